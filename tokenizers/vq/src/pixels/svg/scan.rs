//! Bounds what parsing an SVG file takes by a look at its characters, since a parser has expanded all when it is done.

/// Attributes of one element, each of which the parser compares with all before it.
const MAX_ATTRIBUTES: usize = 2_000;
/// Namespaces that a file declares: each element that declares one gets a list of all that are in force.
const MAX_NAMESPACES: usize = 4_000;
/// Entities that a file declares; Illustrator's files have a dozen, each a name of a namespace.
const MAX_ENTITIES: usize = 100;
/// Characters that all references together may expand to.
const MAX_EXPANDED: usize = 1 << 20;

/// What of a file's text would take unbounded time or memory to parse.
pub(super) fn unbounded(text: &str) -> Option<&'static str> {
    if text.match_indices("xmlns").nth(MAX_NAMESPACES).is_some() {
        return Some("too many namespaces");
    }
    // No attribute's value has a `<`, so that every element's begin and end between two of them.
    if text.split('<').any(|tag| attributes(tag) > MAX_ATTRIBUTES) {
        return Some("too many attributes");
    }
    (!entities_are_small(text)).then_some("entities that repeat too much")
}

/// How many values in quotes there are before the tag ends.
fn attributes(tag: &str) -> usize {
    let (mut count, mut open) = (0, None);
    for byte in tag.bytes() {
        match (open, byte) {
            (None, b'>') => break,
            (None, b'"' | b'\'') => (count, open) = (count + 1, Some(byte)),
            (Some(quote), byte) if byte == quote => open = None,
            _ => {}
        }
    }
    count
}

/// Whether entities are plain text, and all references together as long as the longest of them stay within bounds.
fn entities_are_small(text: &str) -> bool {
    let mut longest = 0;
    for (index, (at, declaration)) in text.match_indices("<!ENTITY").enumerate() {
        let Some(value) = quoted(&text[at + declaration.len()..]) else { continue };
        // What it names or holds in turn would be repeated with it.
        if index >= MAX_ENTITIES || value.contains('<') || references(value) > 0 {
            return false;
        }
        longest = longest.max(value.len());
    }
    longest == 0 || references(text).saturating_mul(longest) <= MAX_EXPANDED
}

/// What stands between the first pair of quotes.
fn quoted(text: &str) -> Option<&str> {
    let open = text.find(['"', '\''])?;
    let (quote, rest) = text[open..].split_at(1);
    rest.find(quote).map(|close| &rest[..close])
}

/// How many entities are named, but for characters by their number.
fn references(text: &str) -> usize {
    text.match_indices('&').filter(|(at, _)| !text[at + 1..].starts_with('#')).count()
}
