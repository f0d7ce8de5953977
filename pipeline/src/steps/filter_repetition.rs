//! Rejects documents that repeat themselves.

mod measure;

use std::sync::Arc;

use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

use measure::{Text, duplicates};

/// Gopher's rules with Gopher's limits (arXiv 2112.11446, table A1), counted as datatrove's `GopherRepetitionFilter` counts
/// them: a line is a duplicate if it stood there before, lengths are in characters, and shares are of the whole text. Words
/// are Unicode's, without punctuation; in Chinese, Japanese, Thai and the like each character is one.
///
/// - A text of `minimal_html` has a line for each block, so that the rules for lines speak of paragraphs, too; those for
///   paragraphs speak where empty lines stand between them, as in preformatted text.
/// - The most frequent n-gram counts even if it stands there once, so that a text of fewer than some 25 words is rejected by
///   its length alone: put `filter_quality` or `filter_length` before this.
/// - A limit of 1 switches its rule off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A document of whose paragraphs more than this share are duplicates is rejected as `duplicate_paragraphs`.
    pub max_duplicate_paragraphs: f64,
    /// A document with more than this share of its characters in duplicate paragraphs is rejected as
    /// `duplicate_paragraph_chars`.
    pub max_duplicate_paragraph_chars: f64,
    /// A document of whose lines more than this share are duplicates is rejected as `duplicate_lines`.
    pub max_duplicate_lines: f64,
    /// A document with more than this share of its characters in duplicate lines is rejected as `duplicate_line_chars`.
    pub max_duplicate_line_chars: f64,
    /// A document with more than these shares of its characters in its most frequent run of 2, 3 and 4 words is rejected
    /// as `top_ngram`.
    pub max_top_ngram_chars: [f64; 3],
    /// A document with more than these shares of its characters in runs of 5, 6, 7, 8, 9 and 10 words that stood there
    /// before is rejected as `duplicate_ngrams`.
    pub max_duplicate_ngram_chars: [f64; 6],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_duplicate_paragraphs: 0.30,
            max_duplicate_paragraph_chars: 0.20,
            max_duplicate_lines: 0.30,
            max_duplicate_line_chars: 0.20,
            max_top_ngram_chars: [0.20, 0.18, 0.16],
            max_duplicate_ngram_chars: [0.15, 0.14, 0.13, 0.12, 0.11, 0.10],
        }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        Columns::reads([columns::key().field(), columns::url().field(), columns::text().field()])
    }

    fn check(&self) -> Vec<String> {
        let lines = [
            ("max_duplicate_paragraphs", self.max_duplicate_paragraphs),
            ("max_duplicate_paragraph_chars", self.max_duplicate_paragraph_chars),
            ("max_duplicate_lines", self.max_duplicate_lines),
            ("max_duplicate_line_chars", self.max_duplicate_line_chars),
        ];
        let top = self.max_top_ngram_chars.map(|share| ("max_top_ngram_chars", share));
        let duplicates = self.max_duplicate_ngram_chars.map(|share| ("max_duplicate_ngram_chars", share));
        let all = lines.into_iter().chain(top).chain(duplicates);
        let wrong = all.filter(|(_, share)| !(0.0..=1.0).contains(share));
        wrong.map(|(name, share)| format!("`{name}` says {share}, but a share is from 0 to 1")).collect()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Step for Settings {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let text = columns::text();
        let outcomes = text.of(&batch)?.iter().flatten().map(|text| self.judge(text.trim())).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

impl Settings {
    fn judge(&self, text: &str) -> Result<(), Refusal> {
        let all = crate::plain_text::chars(text);
        let lines = duplicates(text.split('\n').filter(|line| !line.is_empty()));
        let paragraphs = if text.contains("\n\n") { duplicates(measure::paragraphs(text)) } else { Default::default() };
        let shares = [
            ("duplicate_paragraphs", paragraphs.count, paragraphs.of, self.max_duplicate_paragraphs),
            ("duplicate_paragraph_chars", paragraphs.chars, all, self.max_duplicate_paragraph_chars),
            ("duplicate_lines", lines.count, lines.of, self.max_duplicate_lines),
            ("duplicate_line_chars", lines.chars, all, self.max_duplicate_line_chars),
        ];
        for (reason, part, of, limit) in shares {
            within(limit, part, of).map_err(|detail| Refusal::new(reason, detail))?;
        }
        let mut words = Text::new(text);
        for (limit, n) in self.max_top_ngram_chars.iter().zip(2..) {
            words.lengthen();
            within(*limit, words.top_chars(), all)
                .map_err(|detail| Refusal::new("top_ngram", format!("the top {n}-gram: {detail}")))?;
        }
        for (limit, n) in self.max_duplicate_ngram_chars.iter().zip(5..) {
            words.lengthen();
            within(*limit, words.duplicate_chars(), all)
                .map_err(|detail| Refusal::new("duplicate_ngrams", format!("{n}-grams again: {detail}")))?;
        }
        Ok(())
    }
}

fn within(limit: f64, part: usize, of: usize) -> Result<(), String> {
    // The most frequent n-gram can stand over itself, as in "a a a": its share is the whole then.
    let share = (part as f64 / of.max(1) as f64).min(1.0);
    if share > limit { Err(format!("{part} of {of}, {share:.3}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
