//! How text and images follow one another in a document: one form for each family of models.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::objectives::TokenId;
use crate::pair::{Part, is_pair};
use crate::random::KeyedRandom;
use crate::specials::Specials;

/// The published layouts of documents with images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// An image's tokens are the value of its `src`, with the tag around them (CM3, arXiv 2201.07520, 3.1).
    #[default]
    Cm3,
    /// `text <break> image <break> text`: the tag goes; images that follow one another have one break between them
    /// (CM3Leon, arXiv 2309.02591). [One image beside a text](is_pair) has its text first, and no break at the end.
    Cm3leon,
    /// `<begin_of_image> image <end_of_image>` in the tag's place (Chameleon, arXiv 2405.09818).
    /// [One image beside a text](is_pair) has its image first half of the time, drawn by the document's key.
    Chameleon,
    /// The image's tokens alone in the tag's place.
    Plain,
}

/// A piece of a document: text as it stands, or an image's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Some text, never empty.
    Text(Vec<TokenId>),
    /// All tokens of an image.
    Image(Vec<TokenId>),
}

/// A document's tokens, and where its images' tokens stand in them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Laid {
    pub tokens: Vec<TokenId>,
    pub images: Vec<Range<u32>>,
}

impl Layout {
    /// Whether an image's tag stays around its tokens.
    pub fn keeps_tags(self) -> bool {
        self == Layout::Cm3
    }

    /// The pieces as this layout has them; `is_seen` says whether a reader sees any of a text.
    pub fn lay(
        self,
        mut pieces: Vec<Piece>,
        specials: &Specials,
        random: &mut KeyedRandom,
        is_seen: &dyn Fn(&[TokenId]) -> bool,
    ) -> Laid {
        let is_pair = |pieces: &[Piece]| is_pair(&parts(pieces, is_seen));
        let mut laid = Laid::default();
        match self {
            Layout::Cm3 | Layout::Plain => pieces.iter().for_each(|piece| laid.push(piece)),
            Layout::Chameleon => {
                if is_pair(&pieces) && random.uniform() < 0.5 {
                    pieces.sort_by_key(|piece| matches!(piece, Piece::Text(_)));
                }
                laid.enclosed(&pieces, specials);
            }
            Layout::Cm3leon => {
                let is_pair = is_pair(&pieces);
                if is_pair {
                    pieces.sort_by_key(|piece| matches!(piece, Piece::Image(_)));
                }
                laid.broken(&pieces, is_pair, specials);
            }
        }
        laid
    }
}

/// The pieces, as far as their order goes by them.
fn parts(pieces: &[Piece], is_seen: &dyn Fn(&[TokenId]) -> bool) -> Vec<Part> {
    let part = |piece: &Piece| match piece {
        Piece::Image(_) => Part::Image,
        Piece::Text(text) => Part::Text { is_visible: is_seen(text) },
    };
    pieces.iter().map(part).collect()
}

impl Laid {
    fn push(&mut self, piece: &Piece) {
        let start = self.tokens.len() as u32;
        match piece {
            Piece::Text(text) => self.tokens.extend_from_slice(text),
            Piece::Image(image) => {
                self.tokens.extend_from_slice(image);
                self.images.push(start..self.tokens.len() as u32);
            }
        }
    }

    fn enclosed(&mut self, pieces: &[Piece], specials: &Specials) {
        for piece in pieces {
            let is_image = matches!(piece, Piece::Image(_));
            self.tokens.extend(is_image.then_some(specials.begin_of_image));
            self.push(piece);
            self.tokens.extend(is_image.then_some(specials.end_of_image));
        }
    }

    /// A break before each image, and one behind the last of those that stand together, unless the document is a pair.
    fn broken(&mut self, pieces: &[Piece], is_pair: bool, specials: &Specials) {
        for (index, piece) in pieces.iter().enumerate() {
            let is_image = matches!(piece, Piece::Image(_));
            self.tokens.extend(is_image.then_some(specials.break_));
            self.push(piece);
            let ends_images = !matches!(pieces.get(index + 1), Some(Piece::Image(_)));
            self.tokens.extend((is_image && ends_images && !is_pair).then_some(specials.break_));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specials() -> Specials {
        Specials::consecutive(100, 4)
    }

    fn laid(layout: Layout, pieces: &[Piece], key: &[u8]) -> Vec<TokenId> {
        let random = &mut KeyedRandom::new(0, "layout", key, 0);
        let laid = layout.lay(pieces.to_vec(), &specials(), random, &|text| text != [MARKUP]);
        let images: Vec<TokenId> =
            laid.images.iter().flat_map(|run| &laid.tokens[run.start as usize..run.end as usize]).copied().collect();
        assert!(images.iter().all(|id| *id >= 1000), "{images:?}");
        assert_eq!(images.len(), laid.tokens.iter().filter(|id| **id >= 1000).count());
        laid.tokens
    }

    // A text that is all markup.
    const MARKUP: TokenId = 99;

    fn text(id: TokenId) -> Piece {
        Piece::Text(vec![id])
    }

    fn image(id: TokenId) -> Piece {
        Piece::Image(vec![1000 + id, 1000 + id])
    }

    #[test]
    fn a_break_stands_before_each_image_and_behind_those_that_stand_together() {
        let b = specials().break_;
        let found = laid(Layout::Cm3leon, &[text(1), image(1), image(2), text(2), image(3)], b"");
        assert_eq!(found, [1, b, 1001, 1001, b, 1002, 1002, b, 2, b, 1003, 1003, b]);
    }

    #[test]
    fn a_pair_has_its_text_first_and_no_break_at_its_end() {
        let b = specials().break_;
        let around = [text(MARKUP), image(1), text(1)];
        assert_eq!(laid(Layout::Cm3leon, &around, b""), [MARKUP, 1, b, 1001, 1001]);
        assert_eq!(laid(Layout::Cm3leon, &[text(1), image(1), text(MARKUP)], b""), [1, MARKUP, b, 1001, 1001]);
    }

    #[test]
    fn an_image_in_the_middle_of_a_text_stays_there() {
        let (b, begin, end) = (specials().break_, specials().begin_of_image, specials().end_of_image);
        let middle = [text(1), image(1), text(2)];
        assert_eq!(laid(Layout::Cm3leon, &middle, b""), [1, b, 1001, 1001, b, 2]);
        for number in 0..100_u32 {
            assert_eq!(laid(Layout::Chameleon, &middle, &number.to_le_bytes()), [1, begin, 1001, 1001, end, 2]);
        }
    }

    #[test]
    fn a_pair_has_its_image_first_half_of_the_time() {
        let (begin, end) = (specials().begin_of_image, specials().end_of_image);
        let pair = [text(1), image(1)];
        let first = |number: &u32| laid(Layout::Chameleon, &pair, &number.to_le_bytes())[0] == begin;
        let share = (0..10_000).filter(first).count();
        assert!((4_800..5_200).contains(&share), "{share}");
        let several = laid(Layout::Chameleon, &[text(1), image(1), image(2)], b"");
        assert_eq!(several, [1, begin, 1001, 1001, end, begin, 1002, 1002, end]);
    }

    #[test]
    fn nothing_is_added_where_tokens_stand_alone() {
        for layout in [Layout::Cm3, Layout::Plain] {
            assert_eq!(laid(layout, &[text(1), image(1), text(2)], b""), [1, 1001, 1001, 2]);
        }
    }
}
