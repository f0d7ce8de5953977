//! Rejects documents with too few whole sentences, and with code or filler in them.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::error::StepError;
use crate::plain_text::words;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// C4's rules (arXiv 1910.10683, 2.2), in the order of its `c4_utils.py`, which datatrove's `C4QualityFilter` keeps. C4 takes
/// lines out of a page; here they stay, since they are part of its markup, but they don't count.
///
/// A line counts if it ends like a sentence, has enough words, none of them endless, and none of the phrases that
/// belong to a site rather than to a text. Sentences are Unicode's (UAX #29).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A document with fewer sentences than this in lines that count is rejected as `too_few_sentences`.
    pub min_sentences: u32,
    /// A line with fewer words than this doesn't count.
    pub min_words_per_line: u32,
    /// A line with a word of more characters than this, between spaces, doesn't count.
    pub max_word_chars: u32,
    /// A line that doesn't end with one of these characters doesn't count, nor does one that ends with an ellipsis. C4 has
    /// the first five; the rest ends sentences in other languages.
    pub line_ends: String,
    /// A line with one of these phrases, in whatever case, doesn't count.
    pub line_phrases: Vec<String>,
    /// A document with one of these phrases in a line that ends like a sentence is rejected as `page_phrase`.
    pub page_phrases: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let phrases = |phrases: &[&str]| phrases.iter().map(|phrase| (*phrase).to_owned()).collect();
        Self {
            min_sentences: 5,
            min_words_per_line: 3,
            max_word_chars: 1000,
            line_ends: ".?!\"'”’»。！？」』؟۔।".to_owned(),
            line_phrases: phrases(&[
                "javascript",
                "terms of use",
                "privacy policy",
                "cookie policy",
                "uses cookies",
                "use of cookies",
                "use cookies",
            ]),
            page_phrases: phrases(&["lorem ipsum", "{"]),
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
        let empty = |name: &str| format!("`{name}` has an empty phrase, which is in every line");
        let mut wrong = Vec::new();
        if self.line_ends.is_empty() && self.min_sentences > 0 {
            wrong.push("`line_ends` is empty, so every document would be rejected".to_owned());
        }
        for (name, phrases) in [("line_phrases", &self.line_phrases), ("page_phrases", &self.page_phrases)] {
            wrong.extend(phrases.iter().any(String::is_empty).then(|| empty(name)));
        }
        wrong
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(FilterC4::new(self)?))
    }
}

#[derive(Debug)]
struct FilterC4 {
    settings: Settings,
    line_phrases: AhoCorasick,
    page_phrases: AhoCorasick,
}

impl Step for FilterC4 {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let text = columns::text();
        let outcomes = text.of(&batch)?.iter().flatten().map(|text| self.judge(text)).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

impl FilterC4 {
    fn new(settings: &Settings) -> Result<Self, StepError> {
        let finder = |phrases: &[String]| {
            let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(phrases);
            finder.map_err(|error| StepError::Bug(error.to_string()))
        };
        let (line_phrases, page_phrases) = (finder(&settings.line_phrases)?, finder(&settings.page_phrases)?);
        Ok(Self { settings: settings.clone(), line_phrases, page_phrases })
    }

    fn judge(&self, text: &str) -> Result<(), Refusal> {
        let least = self.settings.min_sentences as usize;
        let mut sentences = 0;
        for line in text.lines().map(str::trim).filter(|line| self.ends_like_a_sentence(line)) {
            if let Some(found) = self.page_phrases.find(line) {
                return Err(Refusal::new("page_phrase", line[found.range()].to_owned()));
            }
            if sentences < least && !self.line_phrases.is_match(line) {
                sentences += line.unicode_sentences().take(least).count();
            }
        }
        if sentences < least {
            return Err(Refusal::new("too_few_sentences", format!("{sentences} sentences")));
        }
        Ok(())
    }

    fn ends_like_a_sentence(&self, line: &str) -> bool {
        let settings = &self.settings;
        let ends = line.ends_with(|last: char| settings.line_ends.contains(last)) && !line.ends_with("...");
        let is_endless = |word: &str| {
            let most = settings.max_word_chars as usize;
            word.len() > most && word.chars().count() > most
        };
        ends && words(line).len() >= settings.min_words_per_line as usize && !line.split_whitespace().any(is_endless)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &Settings, text: &str, expected: Option<&str>) {
        let reason = FilterC4::new(settings).unwrap().judge(text).err().map(|refusal| refusal.reason);
        assert_eq!(reason, expected, "{text:?}");
    }

    const FIVE: &str = "One lamp is lit. Two are not. Is the third?\nNobody knows it! Nobody will.\n";

    #[test]
    fn five_sentences_in_lines_that_end_like_one_are_enough() {
        let settings = Settings::default();
        check(&settings, FIVE, None);
        check(&settings, &FIVE.replace(" Nobody will.", ""), Some("too_few_sentences"));
        check(&settings, &FIVE.replace("will.", "will"), Some("too_few_sentences"));
        check(&settings, &FIVE.replace("will.", "will..."), Some("too_few_sentences"));
        check(&settings, "植物園は路面電車の終点にあります。花がある。木もある。\n鳥もいる。空もある。", None);
    }

    #[test]
    fn lines_of_few_words_endless_words_and_site_phrases_do_not_count() {
        let settings = Settings { min_sentences: 1, max_word_chars: 9, ..Settings::default() };
        check(&settings, "Home sweet home.", None);
        check(&settings, "Home again.", Some("too_few_sentences"));
        check(&settings, "See the abcdefghij.", Some("too_few_sentences"));
        check(&settings, "Turn on JavaScript now.", Some("too_few_sentences"));
    }

    #[test]
    fn filler_and_code_in_a_sentence_reject_the_page() {
        let settings = Settings::default();
        check(&settings, &format!("{FIVE}Lorem Ipsum dolor sit."), Some("page_phrase"));
        check(&settings, &format!("{FIVE}if (a) {{ return it."), Some("page_phrase"));
        check(&settings, &format!("{FIVE}if (a) {{"), None);
    }

    #[test]
    fn an_empty_phrase_is_refused() {
        let settings = Settings { page_phrases: vec![String::new()], ..Settings::default() };
        assert_eq!(settings.check(), ["`page_phrases` has an empty phrase, which is in every line"]);
    }
}
