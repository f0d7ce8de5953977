//! Rejects documents with too little text, or too much.

use std::sync::Arc;

use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::plain_text::{chars, words};
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// The least is OBELICS' (arXiv 2306.16527, its `config_filter_web_documents.yaml`); its most of 2,000 words is left out,
/// since long pages are cut into rows here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A document with fewer words than this is rejected as `too_few_words`. Words are Unicode's; in Chinese, Japanese,
    /// Thai and the like each character is one.
    pub min_words: u32,
    /// A document with more words than this is rejected as `too_many_words`; without it, none is.
    pub max_words: Option<u32>,
    /// A document whose text has fewer characters than this is rejected as `too_few_chars`.
    pub min_chars: u32,
    /// A document whose text has more characters than this is rejected as `too_many_chars`; without it, none is.
    pub max_chars: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { min_words: 10, max_words: None, min_chars: 0, max_chars: None }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self { min_words: 10, max_words: Some(100_000), min_chars: 100, max_chars: Some(1_000_000) }
    }

    fn columns(&self) -> Columns {
        Columns::reads([columns::key().field(), columns::url().field(), columns::text().field()])
    }

    fn check(&self) -> Vec<String> {
        let above = |name: &str, least: u32, most: Option<u32>| {
            let most = most.filter(|most| *most < least)?;
            Some(format!("`min_{name}` is {least}, above `max_{name}` of {most}, so every document would be rejected"))
        };
        let words = above("words", self.min_words, self.max_words);
        words.into_iter().chain(above("chars", self.min_chars, self.max_chars)).collect()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Step for Settings {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let text = columns::text();
        let outcomes = text.of(&batch)?.iter().flatten().map(|text| self.judge(text)).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

impl Settings {
    fn judge(&self, text: &str) -> Result<(), Refusal> {
        let chars = chars(text);
        if chars < self.min_chars as usize {
            return Err(Refusal::new("too_few_chars", format!("{chars} characters")));
        }
        if self.max_chars.is_some_and(|most| chars > most as usize) {
            return Err(Refusal::new("too_many_chars", format!("{chars} characters")));
        }
        let words = words(text).len();
        if words < self.min_words as usize {
            return Err(Refusal::new("too_few_words", format!("{words} words")));
        }
        if self.max_words.is_some_and(|most| words > most as usize) {
            return Err(Refusal::new("too_many_words", format!("{words} words")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &Settings, text: &str, reason: Option<&str>) {
        assert_eq!(settings.judge(text).err().map(|refusal| refusal.reason), reason, "{text}");
    }

    #[test]
    fn a_limit_is_itself_kept() {
        let settings = Settings { min_words: 2, max_words: Some(3), min_chars: 5, max_chars: Some(9) };
        check(&settings, "ab cd", None);
        check(&settings, "a b c d e", Some("too_many_words"));
        check(&settings, "ab c", Some("too_few_chars"));
        check(&settings, "abcdefgh, i", Some("too_many_chars"));
        check(&settings, "abcdefgh!", Some("too_few_words"));
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        check(&Settings { min_words: 0, max_chars: Some(4), ..Settings::default() }, "植物园!", None);
    }

    #[test]
    fn a_least_above_the_most_is_refused() {
        let settings = Settings { min_words: 9, max_words: Some(8), ..Settings::default() };
        assert_eq!(settings.check().len(), 1);
    }
}
