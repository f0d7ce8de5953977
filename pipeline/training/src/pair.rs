//! Tells one image with its text from a page that has an image in it: only the former may change the order of the two.
//!
//! CM3Leon puts the text of a pair first, and Chameleon its image half of the time. Where an image stands in the middle of
//! a text, that would tear the text from what it speaks of. Markup is no text: a pair whose image is followed by closing
//! tags, or stands in a box of its own, is still a pair.

/// A piece of a document, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All tokens of an image.
    Image,
    /// Text or markup.
    Text {
        /// Whether any of it is [seen](has_visible_text).
        is_visible: bool,
    },
}

/// Whether these are one image and one text: all that is seen stands on one side of the only image, and something is.
pub fn is_pair(parts: &[Part]) -> bool {
    let is_seen = |part: &Part| *part == Part::Text { is_visible: true };
    let mut images = parts.iter().enumerate().filter(|(_, part)| **part == Part::Image);
    match (images.next(), images.next()) {
        (Some((image, _)), None) => parts[..image].iter().any(is_seen) != parts[image + 1..].iter().any(is_seen),
        _ => false,
    }
}

/// Whether a reader sees any of this text: anything but tags, comments and white space.
///
/// A `<` begins a tag if a letter, `/`, `!` or `?` follows; where such a tag isn't closed, it is text like any other.
pub fn has_visible_text(text: &str) -> bool {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        match behind_tag(rest).or_else(|| SPACES.iter().find_map(|space| rest.strip_prefix(space))) {
            Some(behind) => rest = behind.trim_start(),
            None => return true,
        }
    }
    false
}

// White space that is written as a character reference.
const SPACES: [&str; 3] = ["&nbsp;", "&#160;", "&#xa0;"];

// What follows the tag or comment that this text begins with.
fn behind_tag(text: &str) -> Option<&str> {
    if let Some(comment) = text.strip_prefix("<!--") {
        return comment.split_once("-->").map(|(_, behind)| behind);
    }
    let tag = text.strip_prefix('<')?;
    if !tag.starts_with(|first: char| first.is_ascii_alphabetic() || "/!?".contains(first)) {
        return None;
    }
    let mut quote = None;
    for (offset, character) in tag.char_indices() {
        match (quote, character) {
            (None, '>') => return Some(&tag[offset + 1..]),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    // Pieces of a page around its images, which are `[]`.
    fn check(page: &str, expected: bool) {
        let mut parts = Vec::new();
        for (index, text) in page.split("[]").enumerate() {
            parts.extend((index > 0).then_some(Part::Image));
            parts.extend((!text.is_empty()).then(|| Part::Text { is_visible: has_visible_text(text) }));
        }
        assert_eq!(is_pair(&parts), expected, "{page}");
    }

    #[test]
    fn one_image_beside_a_text_is_a_pair_whatever_markup_is_around_it() {
        check("A cat.[]", true);
        check("[]A cat.", true);
        check("<html><body><p>A cat.</p>[]</body></html>", true);
        check("<html><body><figure>[]<figcaption>A cat.</figcaption></figure></body></html>", true);
        check("<div class=\"a>b\"><!-- text > no text -->\n&nbsp;[] <b>A</b> cat.", true);
    }

    #[test]
    fn an_image_in_the_middle_of_a_text_is_none() {
        check("Before.[]After.", false);
        check("<title>Cats</title><p>[]</p><p>A long page.</p>", false);
        check("<p>Before.</p>[]<p>After.</p>", false);
    }

    #[test]
    fn an_image_alone_or_among_others_is_none() {
        check("[]", false);
        check("<html><body>[]</body></html>", false);
        check("A cat.[][]", false);
        check("[]A cat.[]", false);
        check("A text without an image.", false);
        check("", false);
    }

    #[test]
    fn what_looks_like_a_tag_and_is_none_is_seen() {
        for seen in ["a", "<", "< b", "<3", "<p", "<p title=\"", "&amp;", "<p>\u{a0}</p>x", "<!-- no end", "é"] {
            assert!(has_visible_text(seen), "{seen}");
        }
        for unseen in
            ["", " \n", "<p>", "</p> <br/>", "<!doctype html>", "<?xml version='1.0'?>", "<a title='>'>\u{a0}"]
        {
            assert!(!has_visible_text(unseen), "{unseen}");
        }
    }
}
