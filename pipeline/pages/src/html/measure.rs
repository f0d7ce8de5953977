//! Measures a tree once: how much text each element holds, and where images are.

use crate::html::names::{self, Kind};
use crate::html::parse::names::Name;
use crate::html::tree::{NodeId, Tree};

/// What an element holds. Characters are counted with whitespace collapsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// Characters of the text whose nearest block is this element; for a `span`, of the text in it.
    pub own_chars: u32,
    /// Characters of all the text in it that stays.
    pub all_chars: u32,
    /// Whether it is, or holds, a textual element that reaches its threshold.
    pub has_long_text: bool,
    /// Whether any text is in it.
    pub has_text: bool,
    /// Whether any text is in it outside of headings.
    pub has_text_beside_headings: bool,
    /// Whether an image is in it.
    pub has_image: bool,
    /// Whether it stays where the element around it does. What doesn't counts for nothing above.
    pub stays: bool,
}

/// Thresholds of textual elements, in characters.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// Of paragraphs and the like.
    pub standard: u32,
    /// Of lists, tables and spans.
    pub list_like: u32,
}

/// All nodes that are in the document, in its order.
pub fn document_order(tree: &Tree) -> Vec<NodeId> {
    kept_order(tree, |_, _| true)
}

/// Nodes in the document's order, without the sub-trees of those that are not kept. `keep` hears of each whether it is in an
/// article or the like.
pub fn kept_order(tree: &Tree, keep: impl Fn(NodeId, bool) -> bool) -> Vec<NodeId> {
    let mut order = Vec::with_capacity(tree.node_count());
    let mut open = vec![(Tree::DOCUMENT, false)];
    while let Some((id, in_section)) = open.pop().filter(|_| !tree.work().is_spent()) {
        if keep(id, in_section) {
            order.push(id);
            let in_section = in_section || tree.element(id).is_some_and(names::is_sectioning);
            open.extend(tree.children_reversed(id).map(|child| (child, in_section)));
        }
    }
    order
}

/// Measures of all nodes in `order`, by node. Whether an `img` or a `meta` stays, `stays_bare` says; without thresholds all
/// others do.
pub fn measure(
    tree: &Tree,
    order: &[NodeId],
    thresholds: Option<Thresholds>,
    stays_bare: impl Fn(NodeId, Name) -> bool,
) -> Vec<Measure> {
    let keeps_all = thresholds.is_none();
    let thresholds = thresholds.unwrap_or(Thresholds { standard: 1, list_like: 1 });
    let mut measures = vec![Measure::default(); tree.node_count()];
    for id in order.iter().rev() {
        let name = tree.element(*id).unwrap_or(Name::Other);
        let measure = &mut measures[*id as usize];
        if let Some(text) = tree.text(*id) {
            count_text(text, measure);
        }
        let limit = if names::is_list_like(name) { thresholds.list_like } else { thresholds.standard };
        let is_inline = names::kind(name) == Kind::Inline;
        let chars = if name == Name::Table { measure.all_chars } else { measure.own_chars };
        measure.has_long_text |= (!is_inline || name == Name::Span) && chars >= limit.max(1);
        measure.stays |= match name {
            Name::Img | Name::Meta => stays_bare(*id, name),
            _ if keeps_all => true,
            _ => stays(name, measure),
        };
        measure.has_image |= name == Name::Img && measure.stays;
        let measure = *measure;
        if let (true, Some(parent)) = (measure.stays, tree.parent(*id)) {
            let parent = &mut measures[parent as usize];
            parent.all_chars = parent.all_chars.saturating_add(measure.all_chars);
            parent.own_chars = parent.own_chars.saturating_add(if is_inline { measure.own_chars } else { 0 });
            parent.has_long_text |= measure.has_long_text;
            parent.has_text |= measure.has_text;
            parent.has_image |= measure.has_image;
            parent.has_text_beside_headings |= !names::is_heading(name) && measure.has_text_beside_headings;
        }
    }
    measures
}

fn stays(name: Name, measure: &Measure) -> bool {
    match name {
        Name::Html | Name::Head | Name::Body | Name::Br | Name::Td | Name::Th => true,
        _ if !(measure.has_text || measure.has_image) => false,
        _ if names::kind(name) != Kind::Container => true,
        _ => measure.has_long_text || measure.has_image || !measure.has_text_beside_headings,
    }
}

fn count_text(text: &str, measure: &mut Measure) {
    measure.stays = true;
    if is_visible(text) {
        (measure.has_text, measure.has_text_beside_headings) = (true, true);
        measure.own_chars = collapsed_chars(text);
        measure.all_chars = measure.own_chars;
    }
}

fn is_visible(text: &str) -> bool {
    // Most texts have a letter at their beginning. No space of Unicode begins with one of the bytes above 0xc2, but those
    // from 0xe1 to 0xe3.
    let is_ink = |byte: u8| matches!(byte, 0..=0x08 | 0x0e..=0x1f | 0x21..=0x7f | 0xc3..=0xe0 | 0xe4..=0xff);
    text.bytes().take(64).any(is_ink)
        || text.chars().any(|character| !character.is_whitespace() && character != '\u{200b}')
}

/// Characters of the text without its whitespace, but for one space between words.
fn collapsed_chars(text: &str) -> u32 {
    let Some(here) = text.as_bytes().get(1..) else { return 0 };
    let before = &text.as_bytes()[..here.len()];
    let first = text.as_bytes()[..1].iter().map(|first| u32::from(char_or_word(b' ', *first))).sum::<u32>();
    let (befores, before_rest) = before.as_chunks::<LANES>();
    let (heres, here_rest) = here.as_chunks::<LANES>();
    let strides: u32 = befores.iter().zip(heres).map(|(before, here)| count_stride(before, here)).sum();
    // Spaces behind the end count for nothing.
    let (mut before, mut here) = ([b' '; LANES], [b' '; LANES]);
    before[..before_rest.len()].copy_from_slice(before_rest);
    here[..here_rest.len()].copy_from_slice(here_rest);
    (first + strides + count_stride(&before, &here)).saturating_sub(1)
}

const LANES: usize = 16;

/// Counts byte by byte, each after the one before it, in a way that the compiler makes vectors of.
fn count_stride(before: &[u8; LANES], here: &[u8; LANES]) -> u32 {
    let mut counts = [0; LANES];
    for lane in 0..LANES {
        counts[lane] = char_or_word(before[lane], here[lane]);
    }
    // Eight counts in a number, none greater than two: the sum of all comes out on top.
    let (halves, _) = counts.as_chunks::<8>();
    let sum: u64 = halves.iter().map(|half| u64::from_le_bytes(*half)).sum();
    (sum.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u32
}

/// One for a character that is no space, and one more if it begins a word, for the space before that.
#[inline]
fn char_or_word(before: u8, here: u8) -> u8 {
    let is_space = |byte: u8| (byte == b' ') | (byte == b'\n') | (byte == b'\t') | (byte == b'\r') | (byte == b'\x0c');
    let is_inside = !is_space(here);
    u8::from(is_inside & (here & 0xc0 != 0x80)) + u8::from(is_inside & is_space(before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tree::{Limits, parse};

    fn measured(html: &str, name: &str) -> Measure {
        let tree = parse(html, &Limits::default()).unwrap();
        let order = document_order(&tree);
        let thresholds = Some(Thresholds { standard: 10, list_like: 5 });
        let measures = measure(&tree, &order, thresholds, |_, name| name == Name::Img);
        let id = order.iter().find(|id| tree.name(**id) == name).unwrap();
        measures[*id as usize]
    }

    #[test]
    fn words_are_counted_as_if_one_by_one() {
        let plain = |text: &str| {
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            words.join(" ").chars().count() as u32
        };
        for text in ["", " ", "a", " a", "a ", "a \n b", "\u{e9}\u{e8} \u{2003}c", "\u{1f600}"] {
            for times in [1, 2, 90, 255, 256, 600] {
                let text = text.repeat(times);
                assert_eq!(collapsed_chars(&text), plain(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn text_counts_for_its_nearest_block_through_inline_elements() {
        let paragraph = measured("<div><p>12 <b> 34 <i>56</i></b></div>", "p");
        assert_eq!((paragraph.own_chars, paragraph.has_long_text), (6, false));
        assert_eq!(measured("<div><p>12345 <b>678901</b></div>", "div").own_chars, 0);
        assert!(measured("<div><p>12345 <b>678901</b></div>", "div").has_long_text);
    }

    #[test]
    fn lists_and_spans_have_the_lower_threshold() {
        assert!(measured("<ul><li>12345</ul>", "ul").has_long_text);
        assert!(!measured("<ul><li>1234<li>567</ul>", "ul").has_long_text);
        assert!(measured("<table><tr><td>123<td>45</table>", "table").has_long_text);
        assert!(measured("<div><b><span>12345</span></b></div>", "div").has_long_text);
    }

    #[test]
    fn a_wrapper_of_headings_alone_is_told_apart() {
        assert!(!measured("<div><h2>a</h2><h3>b</h3></div>", "div").has_text_beside_headings);
        assert!(measured("<div><h2>a</h2>b</div>", "div").has_text_beside_headings);
    }
}
