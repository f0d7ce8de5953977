//! Moves spans back from the end of an example to where their sentinels stand.

use std::ops::Range;

use super::super::{NotInvertible, Specials, TokenId};

/// What an example may look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) specials: Specials,
    /// Whether end-of-document tokens stand in the text, as in a block of several documents.
    pub(super) is_block: bool,
    /// Whether its end may be missing.
    pub(super) may_lack_its_end: bool,
}

impl Form {
    /// The document's tokens, as far as they are in the example.
    pub(super) fn restore(&self, example: &[TokenId]) -> Result<Vec<TokenId>, NotInvertible> {
        let (sentinels, spans_start) = self.sentinels_in_text(example)?;
        let spans = self.spans_at_end(example, spans_start, sentinels.len())?;
        let mut tokens = Vec::with_capacity(example.len());
        let mut after_last = 0;
        for (index, sentinel) in sentinels.into_iter().enumerate() {
            tokens.extend_from_slice(&example[after_last..sentinel.start]);
            let span = spans.get(index).cloned().unwrap_or(0..0);
            tokens.extend_from_slice(&example[span]);
            after_last = sentinel.end;
        }
        tokens.extend_from_slice(&example[after_last..spans_start]);
        Ok(tokens)
    }

    // Where each sentinel and its size hints stand, and where the text ends: at the second stand of the first sentinel.
    fn sentinels_in_text(&self, example: &[TokenId]) -> Result<(Vec<Range<usize>>, usize), NotInvertible> {
        let mut sentinels: Vec<Range<usize>> = Vec::new();
        for (position, &token) in example.iter().enumerate() {
            if !self.is_reserved(token) {
                continue;
            }
            let num_sentinels = sentinels.len();
            match (self.specials.sentinel_index(token), sentinels.last_mut()) {
                (Some(index), _) if index as usize == num_sentinels => sentinels.push(position..position + 1),
                (Some(0), _) => return Ok((sentinels, position)),
                (None, Some(last)) if token == self.specials.mask && last.end == position => last.end += 1,
                _ => return Err(NotInvertible::Misplaced { position, token }),
            }
        }
        match sentinels.len() {
            expected if expected > 0 && !self.may_lack_its_end => {
                Err(NotInvertible::MissingSpan { expected, found: 0 })
            }
            _ => Ok((sentinels, example.len())),
        }
    }

    fn spans_at_end(
        &self,
        example: &[TokenId],
        spans_start: usize,
        expected: usize,
    ) -> Result<Vec<Range<usize>>, NotInvertible> {
        let mut spans = Vec::with_capacity(expected);
        let mut open = None;
        for (position, &token) in example.iter().enumerate().skip(spans_start) {
            let next_sentinel = spans.len() < expected && token == self.specials.sentinel(spans.len() as u32);
            match open {
                None if next_sentinel => open = Some(position + 1),
                Some(start) if token == self.specials.end_of_span => {
                    spans.push(start..position);
                    open = None;
                }
                Some(_) if !self.is_reserved(token) => {}
                _ => return Err(NotInvertible::Misplaced { position, token }),
            }
        }
        if self.may_lack_its_end {
            spans.extend(open.map(|start| start..example.len()));
        } else if spans.len() < expected {
            return Err(NotInvertible::MissingSpan { expected, found: spans.len() });
        }
        Ok(spans)
    }

    fn is_reserved(&self, token: TokenId) -> bool {
        self.specials.reserve(token) && !(self.is_block && token == self.specials.end_of_document)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{END, S0, SPECIALS};
    use super::*;

    const E: TokenId = SPECIALS.end_of_span;
    const S1: TokenId = S0 + 1;
    const WHOLE: Form = Form { specials: SPECIALS, is_block: false, may_lack_its_end: false };
    const CUT: Form = Form { may_lack_its_end: true, ..WHOLE };

    #[test]
    fn spans_and_hints_go_back() {
        let example = [10, S0, SPECIALS.mask, 12, S1, S0, 11, E, S1, 13, 14, E];
        assert_eq!(WHOLE.restore(&example), Ok(vec![10, 11, 12, 13, 14]));
    }

    #[test]
    fn a_span_that_never_comes_is_missing() {
        let example = [10, S0, S1, S0, 11, E];
        assert_eq!(WHOLE.restore(&example), Err(NotInvertible::MissingSpan { expected: 2, found: 1 }));
        assert_eq!(CUT.restore(&example), Ok(vec![10, 11]));
    }

    #[test]
    fn a_span_without_its_end_is_missing() {
        assert_eq!(WHOLE.restore(&[S0, S0, 11]), Err(NotInvertible::MissingSpan { expected: 1, found: 0 }));
        assert_eq!(CUT.restore(&[S0, S0, 11]), Ok(vec![11]));
    }

    #[test]
    fn text_between_spans_is_misplaced() {
        assert_eq!(WHOLE.restore(&[S0, S0, 11, E, 12]), Err(NotInvertible::Misplaced { position: 4, token: 12 }));
    }

    #[test]
    fn sentinels_out_of_order_are_misplaced() {
        let example = [S1, S0, S0, 11, E, S1, 12, E];
        assert_eq!(WHOLE.restore(&example), Err(NotInvertible::Misplaced { position: 0, token: S1 }));
    }

    #[test]
    fn an_end_of_document_stands_in_blocks_only() {
        assert_eq!(WHOLE.restore(&[10, END, 11]), Err(NotInvertible::Misplaced { position: 1, token: END }));
        assert_eq!(Form { is_block: true, ..WHOLE }.restore(&[10, END, 11]), Ok(vec![10, END, 11]));
    }
}
