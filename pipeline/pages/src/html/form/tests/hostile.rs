//! Pages made to be slow: each takes work in proportion to its length, or is refused for a limit after such work.
//!
//! `HOSTILE_BYTES` makes the pages longer, and has the time of each printed: counted work must agree with it.

use std::time::Instant;

use super::{Form, forms, url};
use crate::html::document::Unusable;
use crate::html::noscript::release_images;

/// Bytes of the shortest of three pages.
const BYTES: usize = 16 << 10;

/// Pages by what they are made of: a beginning, what is repeated (`#` is a number), and an end.
const PAGES: &[(&str, &str, &str)] = &[
    ("", "<div>", ""),
    ("", "<span>", ""),
    ("<p ", "a# ", ">x"),
    ("", "<p a b=c d='e' f g h i>x", ""),
    ("", "<a b='", ""),
    ("<a b='", "x", ""),
    ("<a ", "b=c ", ""),
    ("", "<b><i>", ""),
    ("", "<b a=#>", ""),
    ("", "<p><font a=#>", ""),
    ("", "<a><div>", ""),
    ("", "<a><p>", "</a>"),
    ("", "<b><p></b>", ""),
    ("", "<b><i><a><div></b></i></a>", ""),
    ("<b><i><u><s>", "<div></b></div>", ""),
    ("<div>", "<a>x<a>", ""),
    ("", "<nobr>", ""),
    ("", "<nobr><div>", ""),
    ("", "<a>", ""),
    ("", "<h1>", ""),
    ("", "<button>", ""),
    ("", "<form>", ""),
    ("", "<form><div></form>", "<h1>"),
    ("", "<form><p>x</form>", ""),
    ("", "<header>", ""),
    ("", "<header>x</header>", ""),
    ("", "<table>x", ""),
    ("", "<table><tr><td>", ""),
    ("", "<table><b>x", ""),
    ("", "<table><a>x</table>", ""),
    ("<table>", "x<tr>", ""),
    ("<table>", "<td>x", ""),
    ("<table>", "\0 ", ""),
    ("<table>", "<caption>", ""),
    ("<table>", "<col>", ""),
    ("<table>", "<select>", ""),
    ("<table><b>", "<i>", "x"),
    ("", "<select><option>", ""),
    ("<select>", "<option>", ""),
    ("<select>", "<optgroup><option>x", ""),
    ("", "<object>", ""),
    ("", "<marquee><b>", ""),
    ("", "<template>", ""),
    ("", "<template><p>", ""),
    ("", "<svg>", ""),
    ("", "<svg><foreignObject>", ""),
    ("<svg>", "</x>", ""),
    ("<svg>", "<g a#=b>", ""),
    ("<svg>", "<![CDATA[", ""),
    ("", "<math><mi>", ""),
    ("<math><annotation-xml encoding=text/html>", "<svg><b>", ""),
    ("", "<ruby><rt>", ""),
    ("", "<li>", ""),
    ("", "<ul><li>x", ""),
    ("", "<dd><dt>", ""),
    ("", "<p>", ""),
    ("", "</p>", ""),
    ("", "</br>", ""),
    ("", "</x>", ""),
    ("", "<html a#=b>", ""),
    ("", "<body a#=b>", ""),
    ("<body a b c d e f g h>", "<body a b c d e f g h>", ""),
    ("", "<frameset>", ""),
    ("<frameset>", "<frame>", ""),
    ("&", "a", ""),
    ("&", "notit;&", ""),
    ("&#", "9", ""),
    ("", "&#x", ""),
    ("", "&amp", ""),
    ("<!--", "-", ""),
    ("", "<!--", ""),
    ("", "<!--x-->", ""),
    ("<!--", " --!", ""),
    ("", "<!doctype ", ""),
    ("<!doctype html public '", "x", ""),
    ("", "<!", ""),
    ("", "<?", ""),
    ("", "<", ""),
    ("", "</", ""),
    ("<title>", "</titl", ""),
    ("<title>", "&", ""),
    ("<script>", "<!--<script>", ""),
    ("<script>", "</script", ""),
    ("<textarea>", "</textarea", ""),
    ("<plaintext>", "<", ""),
    ("", "<style></style>", ""),
    ("", "<base href=/#/>", ""),
    ("", "<meta name=author content=x>", ""),
    ("<picture>", "<source srcset='a# 1x'>", "<img>"),
    ("<picture>", "<img>", "<source srcset=a>"),
    ("<picture><source srcset='SRCSET'>", "<img>", "</picture>"),
    ("<img srcset='", "a# 1x,", "'>"),
    ("<img srcset='a ", "(", "'>"),
    ("<img srcset='", ",", "'>"),
    ("<base href='/LONG/'>", "<img src=a>", ""),
    ("", "<img src=# width=1 height=1>", ""),
    ("<img src='data:", "a", "'>"),
    ("", "<noscript><img src=#></noscript>", ""),
    ("", "<noscript>", "<img src=a>"),
    ("", "<!----><noscript><img src=#></noscript>", ""),
    ("<img>", "<noscript><img src=#></noscript> ", "<img>"),
    ("", "<p><a title='x'>y", ""),
    ("<a title='LONG'>", "<p>x", ""),
    ("<b class='LONG'>", "<p>x", ""),
    ("", "<b class='a b c d e f g h i j k l m n o p q r s t u v w x y z'>x", ""),
    ("", "<div itemprop=a#>", ""),
    ("x", "\0", ""),
    ("", " ", ""),
    ("", "\r\n", ""),
    ("<pre>", "\r", ""),
    ("", "x", ""),
    ("", "x ", ""),
    ("", "\u{e9}\u{3000}", ""),
];

/// Pages whose repeated part stands below much of something else: elements, formatting elements, or divisions to fold.
fn deep_pages(bytes: usize) -> Vec<String> {
    let deep = |open: &str, times: usize| open.repeat(times);
    let numbered = |times: usize| (0..times).map(|number| format!("<b a={number}>")).collect::<String>();
    let fill = |beginning: String, part: &str| {
        let times = bytes.saturating_sub(beginning.len()) / part.len();
        beginning + &part.repeat(times)
    };
    let folded = format!("{}x{}", deep("<div> ", 200), deep("</div>", 200));
    vec![
        fill(deep("<span>", 900), "</x>"),
        fill(deep("<span>", 900), "<li>"),
        fill(deep("<span>", 900), "<p>x"),
        fill(deep("<span>", 900), "<b></b>"),
        fill(deep("<i>", 900), "</b>"),
        fill(deep("<div>", 900), "<p>x</p>"),
        fill(deep("<table><tr><td>", 200), "</b>x"),
        fill(deep("<table><tr><td>", 200), "<table>x</table>"),
        fill(deep("<ul><li>", 400), "</ol>x"),
        fill(format!("<p>{}", numbered(400)), "<p>x"),
        fill(format!("<p>{}", numbered(400)), "</p>x"),
        fill(format!("<div>{}", numbered(400)), "<div></b></div>x"),
        fill(String::new(), &folded),
        fill(String::new(), &format!("{}<h1>x", deep("<header><div>", 20))),
        fill(deep("<b>", 900), "<table>x</table>"),
        fill(deep("<template>", 900), "<b>x"),
    ]
}

fn page((beginning, part, end): (&str, &str, &str), bytes: usize) -> String {
    let long =
        |text: &str| text.replace("LONG", &"l".repeat(bytes / 3)).replace("SRCSET", &"a 1x, ".repeat(bytes / 18));
    let mut page = long(beginning);
    let mut number = 0;
    while page.len() + end.len() < bytes {
        page.push_str(&part.replace('#', &number.to_string()));
        number += 1;
    }
    page + end
}

/// The work that a page takes; `None` if it is too much, or another limit is broken.
fn work(form: &Form, html: &str) -> Option<u64> {
    let mut tree = form.parse(html).ok()?;
    let released = release_images(&mut tree, &form.drops);
    form.written(&tree, &url(), &released);
    Some(tree.work().spent()).filter(|_| !tree.work().is_spent())
}

fn bytes() -> Option<usize> {
    std::env::var("HOSTILE_BYTES").ok()?.parse().ok()
}

fn pages(bytes: usize) -> Vec<String> {
    PAGES.iter().map(|parts| page(*parts, bytes)).chain(deep_pages(bytes)).collect()
}

fn beginning(page: &str) -> &str {
    &page[..page.floor_char_boundary(60)]
}

#[test]
fn each_stretch_of_a_page_takes_no_more_work_than_the_one_before() {
    let mut refused = 0;
    let [short, longer, longest] = [1, 2, 3].map(|times| pages(times * BYTES));
    for ((one, two), three) in short.iter().zip(&longer).zip(&longest) {
        for (name, form) in forms().iter().filter(|(name, _)| *name != "htlm_html") {
            let [Some(first), Some(second), Some(third)] = [one, two, three].map(|page| work(form, page)) else {
                refused += 1;
                continue;
            };
            let [before, behind] = [second.saturating_sub(first), third.saturating_sub(second)];
            let most = before + before / 8 + 1000;
            assert!(behind <= most, "{name}: {first}, {second}, {third} steps for {}", beginning(one));
        }
    }
    let all = 3 * short.len();
    println!("{refused} of {all} are refused");
    assert!(refused < all / 2, "{refused} of {all} are refused, so that little is tested");
}

#[test]
fn a_long_hostile_page_ends_as_a_document_or_is_refused() {
    const REASONS: [&str; 7] =
        ["kept", "no_text", "too_deep", "too_large", "too_many_attributes", "too_many_nodes", "too_much_work"];
    let mut slowest = (0.0, String::new());
    for page in pages(bytes().unwrap_or(BYTES)) {
        for (name, form) in forms() {
            let started = Instant::now();
            let end = form.document(&page, &url());
            let nanoseconds = started.elapsed().as_nanos() as f64 / page.len() as f64;
            let reason = end.as_ref().map_or_else(Unusable::reason, |_| "kept");
            assert!(REASONS.contains(&reason), "{reason} for {}", beginning(&page));
            if nanoseconds > slowest.0 {
                slowest = (nanoseconds, format!("{name} {reason} {:?}", beginning(&page)));
            }
            if bytes().is_some() {
                println!("{nanoseconds:6.1} ns a byte: {name} {reason} {:?}", beginning(&page));
            }
        }
    }
    println!("slowest, {:.1} ns a byte: {}", slowest.0, slowest.1);
}
