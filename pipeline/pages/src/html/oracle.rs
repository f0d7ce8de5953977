//! Holds the parser against html5ever, page by page: for tests and for fuzzing.

use crate::html::parse::departures::Rules;
use crate::html::parse::parse_by;
use crate::html::tree::{Limits, reference};

/// Both trees of a page where they differ, html5ever's own departures from the standard followed.
///
/// Panics where a link of our tree leads nowhere.
pub fn difference(page: &str) -> Option<String> {
    let ours = parse_by(Rules::Html5ever, page, &Limits::default()).map(|tree| {
        assert!(tree.is_sound(), "{page:?}");
        tree.outline()
    });
    let theirs = reference::parse(page, &Limits::default()).map(|tree| tree.outline());
    (ours != theirs).then(|| format!("{page:?}\nours\n{}\ntheirs\n{}", show(ours), show(theirs)))
}

fn show<E: std::fmt::Debug>(outline: Result<String, E>) -> String {
    outline.unwrap_or_else(|error| format!("{error:?}"))
}
