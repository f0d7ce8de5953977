//! Counts what rows are made of, so that nothing is lost unseen.

/// What rows are made of, and what was lost by making them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FillReport {
    /// Rows that are done.
    pub rows: u64,
    /// Tokens of examples in these rows.
    pub tokens: u64,
    /// Tokens of padding in these rows.
    pub padding_tokens: u64,
    /// Tokens of examples that are in no row.
    pub dropped_tokens: u64,
    /// Examples that are in more than one row, or not with all their tokens in rows.
    pub cut_examples: u64,
    /// How often a row ended inside an image.
    pub cut_images: u64,
}

impl FillReport {
    /// The share of all places in rows that has a token of an example; 1 if there are no rows.
    pub fn fill(&self) -> f64 {
        match self.tokens + self.padding_tokens {
            0 => 1.0,
            places => self.tokens as f64 / places as f64,
        }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            tokens: self.tokens + other.tokens,
            padding_tokens: self.padding_tokens + other.padding_tokens,
            dropped_tokens: self.dropped_tokens + other.dropped_tokens,
            cut_examples: self.cut_examples + other.cut_examples,
            cut_images: self.cut_images + other.cut_images,
        }
    }

    pub(crate) fn count_row(&mut self, row_length: usize, padding: usize) {
        self.rows += 1;
        self.tokens += (row_length - padding) as u64;
        self.padding_tokens += padding as u64;
    }
}
