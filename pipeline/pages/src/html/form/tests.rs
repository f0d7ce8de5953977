//! What must hold in every form, on every page there is.

mod hostile;
mod parts;

use super::*;
use crate::html::forms::{self, htlm_html};
use crate::html::names::{self, Kind};
use crate::html::test_pages::{real_pages, tree_tests};
use crate::html::tree::reference;

/// Every form, as its step has it by default, but that no page is refused for its language or share of text.
pub(super) fn forms() -> Vec<(&'static str, Form)> {
    let mut forms = forms::all();
    let without_images = htlm_html::Settings { keep_images: false, ..htlm_html::Settings::default() };
    forms.push(("htlm_html", without_images.form()));
    for (_, form) in &mut forms {
        (form.languages, form.min_text_ratio) = (Vec::new(), 0.0);
    }
    forms
}

pub(super) fn url() -> Url {
    Url::parse("https://any.example/a/page.html").unwrap()
}

/// All characters but whitespace.
fn ink(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|character| !character.is_ascii_whitespace())
}

/// The ink of the text nodes of a tree in document order.
fn ink_of(tree: &Tree<'_>, enters: impl Fn(NodeId) -> bool) -> String {
    let mut found = String::new();
    let mut open = vec![Tree::DOCUMENT];
    while let Some(id) = open.pop() {
        found.extend(tree.text(id).into_iter().flat_map(ink));
        if enters(id) {
            open.extend(tree.children_reversed(id));
        }
    }
    found
}

/// The ink that a form keeps of a page outside of one element, told from its rules alone.
fn kept_ink(form: &Form, html: &str, without: Option<Name>) -> String {
    let mut tree = parse(html, &form.limits).unwrap();
    let released = release_images(&mut tree, &form.drops);
    let (page, _) = form.page(&tree, &url(), &released);
    ink_of(&tree, |id| match tree.element(id) {
        None => id == Tree::DOCUMENT,
        Some(name) if without == Some(name) => false,
        // Elements within a line that are blank go without what is in them.
        Some(name) => page.keeps(id) || (names::kind(name) == Kind::Inline && !page.drops.has(id, true)),
    })
}

/// The ink of a document's markup, read again.
fn written_ink(form: &Form, markup: &str) -> String {
    match form.style {
        Style::Html => ink_of(&parse(markup, &form.limits).unwrap(), |_| true),
        Style::Text(_) => ink(markup).collect(),
    }
}

fn is_subsequence(part: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    part.chars().all(|wanted| rest.any(|character| character == wanted))
}

/// Checks one page in one form; the answer is how much ink was kept.
fn check(name: &str, form: &Form, html: &str) -> usize {
    let document = match form.document(html, &url()) {
        Ok(document) => document,
        Err(Unusable::NoText) => return 0,
        Err(other) => panic!("{name}: {other:?} for {html}"),
    };
    let written = written_ink(form, &document.markup);
    assert_eq!(written, kept_ink(form, html, None), "{name} of {html}: text is lost, doubled or moved");
    let (head, text) = (kept_ink(form, html, Some(Name::Body)), ink(&document.text).collect::<String>());
    assert_eq!(head + &text, written, "{name} of {html}: the text alone is not the body's");
    check_places(name, &document);
    written.len()
}

/// Images' places are in order, apart from each other, and inside of the markup.
fn check_places(name: &str, document: &MarkupDocument) {
    let mut from = 0;
    for image in &document.images {
        assert!(
            from <= image.tag.start && image.tag.start <= image.src && image.src <= image.tag.end,
            "{name}: {image:?}"
        );
        let is_place = |at: u32| document.markup.is_char_boundary(at as usize);
        assert!(is_place(image.tag.start) && is_place(image.src) && is_place(image.tag.end), "{name}: {image:?}");
        assert!(!image.url.is_empty());
        from = image.tag.end;
    }
}

#[test]
fn kept_text_of_real_pages_is_neither_lost_nor_doubled_nor_moved() {
    let pages = real_pages();
    assert!(pages.len() > 10);
    for (name, form) in forms() {
        let kept: usize = pages.iter().map(|page| check(name, &form, page)).sum();
        println!("{name}: {kept} bytes of text that is no whitespace, of {} pages", pages.len());
        assert!(kept > 1000, "{name} keeps nothing, so that nothing is tested");
    }
}

#[test]
fn kept_text_of_test_pages_is_neither_lost_nor_doubled_nor_moved() {
    let forms = forms();
    for test in tree_tests() {
        for (name, form) in &forms {
            check(name, form, &test.page);
        }
    }
}

#[test]
fn kept_text_comes_in_the_order_of_html5ever() {
    for page in real_pages() {
        let Ok(tree) = reference::parse(&page, &Limits::default()) else { continue };
        let whole = ink_of(&tree, |_| true);
        for (name, form) in forms() {
            let document = form.document(&page, &url()).unwrap_or_default();
            assert!(is_subsequence(&written_ink(&form, &document.markup), &whole), "{name} of {page}");
        }
    }
}

#[test]
fn misnested_text_is_neither_lost_nor_doubled_nor_moved() {
    let long = "and so on, and so on, ".repeat(8);
    let page = format!(
        "<h1>One two</h1><p>three <b>four<i>five</b>six</i> {long}</p><table>seven<tr><td>eight {long}</table>"
    );
    for (name, form) in forms() {
        assert_eq!(
            check(name, &form, &page),
            ink(&page).count() - "<h1></h1><p><b><i></b></i></p><table><tr><td></table>".len()
        );
    }
}
