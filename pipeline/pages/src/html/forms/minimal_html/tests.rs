//! Small pages, and what is left of them.

use url::Url;

use super::*;
use crate::html::document::{MarkupDocument, Unusable};

const LONG: &str = "A paragraph that is long enough to be kept by the thresholds of the papers, for it has more than a \
                    hundred and twenty-eight characters of text.";

fn minimal(html: &str) -> Result<MarkupDocument, Unusable> {
    Settings::default().form().document(html, &Url::parse("file:///a/page.html").unwrap())
}

/// The body's inside, after the long paragraph that keeps it.
fn rest_of_body(html: &str) -> String {
    let markup = minimal(&format!("<p>{LONG}</p>{html}")).unwrap().markup;
    let start = markup.find("</p>").unwrap() + 4;
    markup[start..].strip_suffix("</body></html>").unwrap().to_owned()
}

fn check(html: &str, expected: &str) {
    assert_eq!(rest_of_body(html), expected, "{html}");
}

#[test]
fn a_container_without_long_text_is_removed() {
    check("<div><p>short</p></div>", "");
    check("<ul><li>home</li><li>about</li></ul>", "");
    check(
        "<ul><li>This item has at least the sixty-four characters that a list needs.</li><li>b</li></ul>",
        "<ul><li>This item has at least the sixty-four characters that a list needs.</li><li>b</li></ul>",
    );
}

#[test]
fn short_blocks_stay_with_the_container_that_is_kept() {
    check("<h2>Title</h2><p>short <b>bold</b></p>", "<h2>Title</h2><p>short <b>bold</b></p>");
    check("<div><h3>Only a heading</h3></div>", "<div><h3>Only a heading</h3></div>");
}

#[test]
fn elements_without_text_are_removed() {
    check("<p></p><p> <b> </b></p><i></i><p>&nbsp;</p>", "");
    check("<ul><li><div><p>short</p></div></li></ul><b><div>short</div></b>", "");
}

#[test]
fn what_is_no_content_is_dropped() {
    check("<script>x</script><style>y</style><form><p>z</form><iframe></iframe><noscript>n</noscript>", "");
    check("<header>h</header><footer>f</footer><p class='small Copyright'>c</p><div role=dialog>d</div>", "");
}

#[test]
fn a_form_around_the_page_is_the_page() {
    let page = format!("<form><h1>T</h1><p>{LONG}</p></form>");
    check(&page.replace("<p>", "<input><p>"), &page);
}

#[test]
fn an_articles_own_header_stays() {
    let article = format!("<article><header><h2>T</h2></header><p>{LONG}</p></article>");
    check(&article, &article);
}

#[test]
fn nested_divisions_are_folded() {
    check(
        &format!("<div itemprop=outer itemid=i><div itemprop=inner itemtype=t> <div><p>{LONG}</p></div></div></div>"),
        &format!("<div itemid=\"i\" itemprop=\"outer\" itemtype=\"t\"><p>{LONG}</p></div>"),
    );
    let two = format!("<div><p>{LONG}</p></div><div><p>{LONG}</p></div>");
    check(&format!("<div>{two}</div>"), &format!("<div>{two}</div>"));
}

#[test]
fn attributes_are_few_and_in_alphabetical_order() {
    check(
        "<p id=x class=y><a title='&quot;t&quot;' href='/b?c&d' rel=z>l</a>",
        "<p><a href=\"/b?c&amp;d\" title=\"&quot;t&quot;\">l</a></p>",
    );
}

#[test]
fn whitespace_is_collapsed_and_parts_words() {
    check("<p> a\n <b> b </b> c <br> d</p>", "<p>a <b>b</b> c<br>d</p>");
    check("<p>a<div>b</div>c", "<p>a</p>c");
    check("<p>a<i> </i>b<i></i>c<script>d</script>e<button>f</button>g<wbr>h</p>", "<p>a bce gh</p>");
    check("<pre>\n\n a\n  b</pre>", "<pre>\n\n a\n  b</pre>");
    check("<pre>a<i> \n</i>b</pre>", "<pre>a \nb</pre>");
    check("<pre><b>\na</b></pre><xmp><i></xmp>", "<pre><b>\na</b></pre><pre>&lt;i&gt;</pre>");
}

#[test]
fn an_image_stands_in_its_place_with_an_empty_source() {
    let html = format!(
        "<p>{LONG}</p><figure><img class=c title=t src='../i.png' alt='a \"b\"'><figcaption>c</figcaption></figure>"
    );
    let document = minimal(&html).unwrap();
    let image = &document.images[0];
    assert_eq!(image.url, "file:///i.png");
    let tag = &document.markup[image.tag.start as usize..image.tag.end as usize];
    assert_eq!(tag, "<img alt=\"a &quot;b&quot;\" src=\"\" title=\"t\">");
    assert!(document.markup[..image.src as usize].ends_with("src=\""));
    assert!(document.markup[image.src as usize..].starts_with("\" title"));
    assert!(document.markup.contains("<figure><img"));
}

#[test]
fn an_image_without_source_is_dropped_and_counted() {
    let document = minimal(&format!("<p>{LONG}<img alt=x><img src='http://['></p>")).unwrap();
    let reasons: Vec<&str> = document.dropped_images.iter().map(|dropped| dropped.reason).collect();
    assert_eq!(reasons, ["image_without_src", "image_invalid_url"]);
    assert_eq!(document.images, []);
}

#[test]
fn title_and_descriptive_meta_stay() {
    let head = "<title>T &amp; t</title><meta charset=utf-8><meta property=og:title content=O>\
                <meta name=viewport content=w><meta content=D name=description><link rel=x>";
    let markup = minimal(&format!("{head}<p>{LONG}")).unwrap().markup;
    let expected = "<html><head><title>T &amp; t</title><meta content=\"O\" property=\"og:title\">\
                    <meta content=\"D\" name=\"description\"></head><body>";
    assert_eq!(&markup[..markup.find("<p>").unwrap()], expected);
}

#[test]
fn a_page_without_text_is_unusable() {
    assert_eq!(minimal("").unwrap_err().reason(), "no_text");
    assert_eq!(minimal("<img src=a.png alt=' '>").unwrap_err().reason(), "no_text");
    assert_eq!(minimal("<a href=/><img src=a.png alt=Logo></a>").unwrap_err().reason(), "no_text");
    assert_eq!(minimal("<title>only a title</title>").unwrap_err().reason(), "no_text");
    assert_eq!(minimal(&"<b>".repeat(100_000)).unwrap_err().reason(), "too_deep");
}

#[test]
fn an_image_with_a_caption_and_nothing_else_is_a_page() {
    let document = minimal("<img alt='A lamp' src=i.png>").unwrap();
    assert_eq!(document.markup, "<html><head></head><body><img alt=\"A lamp\" src=\"\"></body></html>");
    assert_eq!((document.images[0].url.as_str(), document.text.as_str()), ("file:///a/i.png", ""));
}

#[test]
fn minimal_html_of_minimal_html_is_itself() {
    let page = format!(
        "<title>t</title><div><div><h1>H</h1><p>{LONG} &lt;x&gt; &amp;amp; <a href='a\"b'>c</a> d</p></div></div>\
         <table><tr><td>{LONG}</td><td></td></tr></table><pre>\n\nx  y</pre><ul><li>{LONG}<ul><li>{LONG}</ul></ul>"
    );
    let once = minimal(&page).unwrap().markup;
    assert_eq!(minimal(&once).unwrap().markup, once);
}

#[test]
fn the_text_alone_has_a_line_for_each_block_and_nothing_of_an_image() {
    let page = format!("<title>T &amp;</title><p>{LONG}</p><p>a <b> b</b><img src=i>c<br>d</p><pre>e\n  f</pre>");
    assert_eq!(minimal(&page).unwrap().text, format!("{LONG}\na bc\nd\ne\n  f\n"));
}
