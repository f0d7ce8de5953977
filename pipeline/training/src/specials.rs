//! The ids with a meaning of their own.

/// A token, as training files hold it.
pub type TokenId = i32;

/// The ids that neither text nor an image ever has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Specials {
    /// Fills up rows.
    pub pad: TokenId,
    /// Ends a document.
    pub end_of_document: TokenId,
    /// Ends a span that was moved behind its sentinel.
    pub end_of_span: TokenId,
    /// The first of `num_sentinels` consecutive ids.
    pub first_sentinel: TokenId,
    /// How many spans can be told apart in one document.
    pub num_sentinels: u32,
}

impl Specials {
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

    /// Whether this is a sentinel or any of the other three.
    pub fn contain(&self, id: TokenId) -> bool {
        [self.pad, self.end_of_document, self.end_of_span].contains(&id) || self.is_sentinel(id)
    }
}
