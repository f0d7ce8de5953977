//! The ids with a meaning of their own, and their names: one table that vocabularies are built from.

/// A token, as training files hold it.
pub type TokenId = i32;

/// Makes the ids, their names and what goes from one to the other, from the one list of all special tokens.
macro_rules! specials {
    ($($(#[$about:meta])* $field:ident = $name:literal,)+) => {
        /// The ids that neither text nor an image ever has, and which ids text has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Specials {
            $($(#[$about])* pub $field: TokenId,)+
            /// The first of `num_sentinels` consecutive ids.
            pub first_sentinel: TokenId,
            /// How many spans can be told apart in one document.
            pub num_sentinels: u32,
            /// How many ids text has: `0..num_text`. Tokens that are drawn at random are drawn from these.
            pub num_text: u32,
        }

        impl Specials {
            /// The names of all special tokens but the sentinels, in the order of [`Specials::consecutive`].
            pub const NAMES: &[&str] = &[$($name),+];

            /// The specials of a vocabulary that knows each of [`Specials::NAMES`] by name.
            pub fn from_names(
                id: &dyn Fn(&str) -> TokenId,
                first_sentinel: TokenId,
                num_sentinels: u32,
                num_text: u32,
            ) -> Self {
                Self { $($field: id($name),)+ first_sentinel, num_sentinels, num_text }
            }

            /// The ids of [`Specials::NAMES`], in that order.
            pub fn ids(&self) -> [TokenId; Self::NAMES.len()] {
                [$(self.$field),+]
            }
        }
    };
}

specials! {
    /// Fills up rows.
    pad = "<pad>",
    /// Begins a document, for objectives that predict its first token, too (GPT-BERT).
    begin_of_document = "<bod>",
    /// Ends a document.
    end_of_document = "<eod>",
    /// Ends a span that was moved behind its sentinel.
    end_of_span = "<eoss>",
    /// Stands for a token that is hidden from the model, or for a span of them.
    mask = "<mask>",
    /// Stands for whole hidden sentences (GLM).
    sentence_mask = "<sentence_mask>",
    /// Stands for a hidden end of the document (GLM).
    end_mask = "<end_mask>",
    /// Begins a hidden span where it is predicted (GLM).
    begin_of_piece = "<begin_of_piece>",
    /// Follows the last token of a predicted span (GLM).
    end_of_piece = "<end_of_piece>",
    /// Stands between text and images, or between documents in one context (CM3Leon): no span reaches across it.
    break_ = "<break>",
    /// Begins an image (Chameleon).
    begin_of_image = "<begin_of_image>",
    /// Ends an image (Chameleon).
    end_of_image = "<end_of_image>",
    /// Precedes what stands before the middle.
    fim_prefix = "<fim_prefix>",
    /// Precedes the middle.
    fim_middle = "<fim_middle>",
    /// Precedes what stands after the middle.
    fim_suffix = "<fim_suffix>",
    /// Announces short and few spans (UL2).
    regular_denoising = "<R>",
    /// Announces long or many spans (UL2).
    extreme_denoising = "<X>",
    /// Announces a continuation (UL2).
    sequential_denoising = "<S>",
    /// Stands for a token of a hidden span that is hidden where the span is predicted, too (GLM, `[dBLOCK]`).
    block_mask = "<block_mask>",
}

impl Specials {
    /// Text, then each special in the order of [`Specials::NAMES`], then the sentinels, without gaps.
    pub fn consecutive(num_text: u32, num_sentinels: u32) -> Self {
        let first = num_text as TokenId;
        let id = |name: &str| first + Self::NAMES.iter().position(|&other| other == name).unwrap_or(0) as TokenId;
        Self::from_names(&id, first + Self::NAMES.len() as TokenId, num_sentinels, num_text)
    }

    /// The sentinel of the span with this index, which must be below `num_sentinels`.
    pub fn sentinel(&self, index: u32) -> TokenId {
        debug_assert!(index < self.num_sentinels, "no sentinel {index}");
        self.first_sentinel + index as TokenId
    }

    /// Which span this sentinel stands for; none if it is no sentinel.
    pub fn sentinel_index(&self, id: TokenId) -> Option<u32> {
        self.is_sentinel(id).then(|| id.wrapping_sub(self.first_sentinel) as u32)
    }

    /// Whether this is a sentinel.
    pub fn is_sentinel(&self, id: TokenId) -> bool {
        // An id below the first wraps around to above any number of sentinels.
        (id.wrapping_sub(self.first_sentinel) as u32) < self.num_sentinels
    }

    /// Whether this is a token of text.
    pub fn is_text(&self, id: TokenId) -> bool {
        (id as u32) < self.num_text
    }

    /// Whether this is a sentinel or any of the others.
    pub fn contain(&self, id: TokenId) -> bool {
        self.is_sentinel(id) || self.ids().contains(&id)
    }

    /// Whether this is special and no document has it: all but the break and the two that enclose an image.
    pub fn reserve(&self, id: TokenId) -> bool {
        let lays_out = [self.break_, self.begin_of_image, self.end_of_image].contains(&id);
        !lays_out && self.contain(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_every_id_is_there_once() {
        let mut names = Specials::NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Specials::NAMES.len());
        let first = 100;
        let expected: Vec<_> = (first..).take(Specials::NAMES.len()).collect();
        assert_eq!(Specials::consecutive(100, 4).ids().as_slice(), expected);
    }

    #[test]
    fn sentinels_follow_the_named_ids() {
        let specials = Specials::consecutive(100, 4);
        let after_names = specials.ids()[Specials::NAMES.len() - 1] + 1;
        assert_eq!([specials.sentinel(0), specials.sentinel(3)], [after_names, after_names + 3]);
        assert_eq!(specials.sentinel_index(after_names + 4), None);
    }

    #[test]
    fn no_text_is_special() {
        assert!((0..100).all(|id| !Specials::consecutive(100, 4).contain(id)));
    }
}
