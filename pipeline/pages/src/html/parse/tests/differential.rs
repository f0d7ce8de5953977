//! Holds the parser against html5ever, on tag soup and on damaged pages.
//!
//! `SOUP_PAGES` and `SOUP_SEED` say how much soup there is and which; `HTML_PAGES` names a folder of pages to read, too.

use crate::html::oracle::difference;
use crate::html::test_pages::real_pages;
use crate::html::tree::{Limits, reference};

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn one_of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }
}

const NAMES: &str = "a a b b i u nobr font em p p div div ul ol li dl dd dt h1 h2 pre listing textarea title script style \
    noscript head body html frameset frame noframes table table tr tr td td th tbody thead tfoot caption col colgroup form \
    input select option optgroup hr button object applet marquee br img image wbr svg math mi mo mtext annotation-xml \
    foreignObject desc title mglyph malignmark template template ruby rt rp rb rtc center address article search main \
    plaintext xmp iframe noembed link meta base param source track embed keygen area x-y linearGradient g span sub details \
    summary dialog fieldset menu isindex code s big tt u strike small strong";

const TEXTS: &[&str] = &[
    "x",
    " ",
    "\n",
    "a b",
    "&amp;",
    "&lt;",
    "&notit;",
    "&#0;",
    "&#x41",
    "\0",
    "\r\n",
    "\r",
    "\u{e9}",
    "&nbsp;",
    "&ampx",
    "& ",
    "<",
    "</",
    "<!",
    "<?pi?>",
    "]]>",
    "<![CDATA[x]]>",
    "<![CDATA[",
    "<!-- c -->",
    "<!-->",
    "<!--",
    "--!>",
    "-->",
    "<!doctype html>",
    "<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 3.2//EN'>",
    "<a",
    "\t",
    "\u{c}",
];

const ATTRIBUTES: &[&str] = &[
    "",
    "",
    "",
    " ",
    "/",
    " x",
    " a=1",
    " A=2 a=3",
    " b='c'",
    " b=\"&lt;d\"",
    " type=hidden",
    " color=red",
    " face",
    " size=1",
    " encoding=text/html",
    " encoding='application/xhtml+xml'",
    " xlink:href=u",
    " xml:lang=en",
    " viewbox=0",
    " =",
    " \0=\0",
    " definitionurl=x",
    " a=&copy=1",
    " a=b/",
    " 'q'",
    " xmlns=y",
];

/// A page of tags that mostly don't fit.
fn soup(dice: &mut Dice) -> String {
    let names: Vec<&str> = NAMES.split_ascii_whitespace().collect();
    let mut page = String::from(dice.one_of(&["", "<!doctype html>", "<body>", "<table>", "<svg>", "<math>", "<p>"]));
    let most = if dice.below(8) == 0 { 300 } else { 30 };
    for _ in 0..2 + dice.below(most) {
        match dice.below(8) {
            0..=3 => page += &format!("<{}{}>", dice.one_of(&names), dice.one_of(ATTRIBUTES)),
            4 | 5 => page += &format!("</{}{}>", dice.one_of(&names), dice.one_of(&["", "", "", " ", " a=b", "/"])),
            _ => page += dice.one_of(TEXTS),
        }
    }
    page
}

const CRUMBS: &[&str] = &[
    "<",
    "<",
    ">",
    "/",
    "</",
    "!",
    "!--",
    "-",
    "--",
    "-->",
    "--!>",
    "?",
    "&",
    "#",
    "x",
    "X4",
    "1",
    "amp",
    "lt",
    "not",
    "in",
    ";",
    "=",
    "\"",
    "'",
    " ",
    "\0",
    "\r",
    "\n",
    "\t",
    "[CDATA[",
    "]]",
    "]]>",
    "!doctype",
    "html",
    "public",
    "system",
    "a",
    "B",
    "\u{e9}",
    "\u{feff}",
    "p",
    "svg",
    "math",
    "script",
    "</script",
    "SCRIPT",
    "title",
    "</title",
    "textarea",
    "style",
    "xmp",
    "plaintext",
    "table",
    "td",
    "template",
    "select",
    "option",
    "pre",
    "body",
    "head",
    "noscript",
];

/// A page of what tags are made of.
fn crumbs(dice: &mut Dice) -> String {
    (0..2 + dice.below(40)).map(|_| dice.one_of(CRUMBS)).collect()
}

/// The shortest page that still differs, by leaving out what can be left out.
fn smallest(page: &str) -> String {
    let mut page = page.to_owned();
    let mut length = page.len() / 2;
    while length > 0 {
        let mut start = 0;
        while start < page.len() {
            let end = page.ceil_char_boundary((start + length).min(page.len()));
            let start_of = page.ceil_char_boundary(start);
            let without = format!("{}{}", &page[..start_of], &page[end.max(start_of)..]);
            if without.len() < page.len() && difference(&without).is_some() {
                page = without;
            } else {
                start += length;
            }
        }
        length /= 2;
    }
    page
}

fn count(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|count| count.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn tag_soup_becomes_the_same_tree() {
    let mut dice = Dice(count("SOUP_SEED", 88_172_645_463_325_252));
    let mut differing = Vec::new();
    for number in 0..count("SOUP_PAGES", 5_000) {
        let page = if number % 2 == 0 { soup(&mut dice) } else { crumbs(&mut dice) };
        if difference(&page).is_some() {
            differing.push(smallest(&page));
        }
    }
    differing.sort_by_key(String::len);
    let first: Vec<String> = differing.iter().take(10).filter_map(|page| difference(page)).collect();
    assert!(differing.is_empty(), "{} pages differ: {}", differing.len(), first.join("\n"));
}

#[test]
fn real_pages_become_the_same_tree() {
    let pages = real_pages();
    assert!(pages.len() > 10);
    for page in pages {
        let outline = |tree: crate::html::tree::Tree<'_>| tree.outline();
        let ours = crate::html::tree::parse(&page, &Limits::default()).map(outline);
        assert!(ours == reference::parse(&page, &Limits::default()).map(outline), "{page}");
    }
}

#[test]
fn damaged_pages_become_the_same_tree() {
    let mut dice = Dice(count("SOUP_SEED", 88_172_645_463_325_252));
    for page in real_pages() {
        for _ in 0..count("DAMAGES", 20) {
            let mut damaged = page.clone();
            for _ in 0..1 + dice.below(8) {
                let [start, length] = [dice.below(damaged.len() + 1), dice.below(40)];
                let start = damaged.floor_char_boundary(start);
                let end = damaged.floor_char_boundary(start + length);
                let patch = if dice.below(2) == 0 { soup(&mut dice) } else { String::new() };
                damaged.replace_range(start..end, &patch);
            }
            assert_eq!(difference(&damaged).map(|_| difference(&smallest(&damaged))), None);
        }
    }
}
