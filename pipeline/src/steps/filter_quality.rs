//! Rejects documents that don't read like prose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::plain_text::{chars, is_unspaced, words};
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// Gopher's quality rules with Gopher's limits (arXiv 2112.11446, A.1.1), as datatrove's `GopherQualityFilter` counts them:
/// a token is a word or a character of punctuation. Words are Unicode's; in Chinese, Japanese, Thai and the like each
/// character is one, and of a document that is mostly written so the mean length of words is not asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A document with fewer words than this is rejected as `too_few_words`.
    pub min_words: u32,
    /// A document with more words than this is rejected as `too_many_words`.
    pub max_words: u32,
    /// A document whose words have fewer characters than this on average is rejected as `short_words`.
    pub min_mean_word_chars: f64,
    /// A document whose words have more characters than this on average is rejected as `long_words`.
    pub max_mean_word_chars: f64,
    /// A document with more `#`, or more ellipses, for each token than this is rejected as `many_hashes` or
    /// `many_ellipses`.
    pub max_symbols_per_token: f64,
    /// A document of whose lines more than this share begin with a bullet or a dash is rejected as `bullet_lines`. What is
    /// a list in HTML has no bullets in its text.
    pub max_bullet_lines: f64,
    /// A document of whose lines more than this share end with an ellipsis is rejected as `ellipsis_lines`.
    pub max_ellipsis_lines: f64,
    /// A document of whose tokens less than this share has a letter is rejected as `few_letters`.
    pub min_tokens_with_letters: f64,
    /// A document in which no language has as many different stop words as this is rejected as `few_stop_words`.
    pub min_stop_words: u32,
    /// Each language's stop words, in lower case, under a name of yours. It is enough for one language to have them.
    pub stop_words: BTreeMap<String, BTreeSet<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        let english = ["the", "be", "to", "of", "and", "that", "have", "with"];
        Self {
            min_words: 50,
            max_words: 100_000,
            min_mean_word_chars: 3.0,
            max_mean_word_chars: 10.0,
            max_symbols_per_token: 0.1,
            max_bullet_lines: 0.9,
            max_ellipsis_lines: 0.3,
            min_tokens_with_letters: 0.8,
            min_stop_words: 2,
            stop_words: BTreeMap::from([("en".to_owned(), english.map(str::to_owned).into())]),
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
        let mut wrong = Vec::new();
        if self.min_words > self.max_words {
            let (least, most) = (self.min_words, self.max_words);
            wrong.push(format!("`min_words` is {least}, above `max_words` of {most}"));
        }
        if self.min_mean_word_chars > self.max_mean_word_chars {
            let (least, most) = (self.min_mean_word_chars, self.max_mean_word_chars);
            wrong.push(format!("`min_mean_word_chars` is {least}, above `max_mean_word_chars` of {most}"));
        }
        let shares = [
            ("max_bullet_lines", self.max_bullet_lines),
            ("max_ellipsis_lines", self.max_ellipsis_lines),
            ("min_tokens_with_letters", self.min_tokens_with_letters),
        ];
        let no_shares = shares.into_iter().filter(|(_, share)| !(0.0..=1.0).contains(share));
        wrong.extend(no_shares.map(|(name, share)| format!("`{name}` is {share}, but a share is from 0 to 1")));
        let most = self.stop_words.values().map(BTreeSet::len).max().unwrap_or_default();
        if self.min_stop_words as usize > most {
            wrong.push(format!("`min_stop_words` is {}, but no language has more than {most}", self.min_stop_words));
        }
        let spelled = self.stop_words.values().flatten().find(|word| word.to_lowercase() != **word);
        wrong.extend(spelled.map(|word| format!("the stop word `{word}` is not in lower case")));
        wrong
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(FilterQuality::new(self.clone())))
    }
}

#[derive(Debug)]
struct FilterQuality {
    settings: Settings,
    /// Where each stop word stands: in which language's list, and where in that.
    stop_words: BTreeMap<String, Vec<(usize, usize)>>,
}

impl Step for FilterQuality {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let text = columns::text();
        let outcomes = text.of(&batch)?.iter().flatten().map(|text| self.judge(text)).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

impl FilterQuality {
    fn new(settings: Settings) -> Self {
        let mut stop_words: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
        for (language, words) in settings.stop_words.values().enumerate() {
            for (place, word) in words.iter().enumerate() {
                stop_words.entry(word.clone()).or_default().push((language, place));
            }
        }
        Self { settings, stop_words }
    }

    fn judge(&self, text: &str) -> Result<(), Refusal> {
        let settings = &self.settings;
        let words = words(text);
        if words.len() < settings.min_words as usize {
            return Err(Refusal::new("too_few_words", format!("{} words", words.len())));
        }
        if words.len() > settings.max_words as usize {
            return Err(Refusal::new("too_many_words", format!("{} words", words.len())));
        }
        let word_chars: usize = words.iter().map(|word| chars(word)).sum();
        self.judge_word_length(&words, word_chars)?;
        let not_blank = text.chars().filter(|character| !character.is_whitespace()).count();
        let tokens = words.len() + not_blank.saturating_sub(word_chars);
        let hashes = text.matches('#').count();
        above(settings.max_symbols_per_token, hashes, tokens, "tokens", "many_hashes")?;
        let ellipses = text.matches("...").count() + text.matches('…').count();
        above(settings.max_symbols_per_token, ellipses, tokens, "tokens", "many_ellipses")?;
        self.judge_lines(text)?;
        let with_letters = words.iter().filter(|word| word.chars().any(char::is_alphabetic)).count();
        if (with_letters as f64) < settings.min_tokens_with_letters * tokens as f64 {
            return Err(Refusal::new("few_letters", format!("{with_letters} of {tokens} tokens have letters")));
        }
        self.judge_stop_words(&words)
    }

    fn judge_word_length(&self, words: &[&str], word_chars: usize) -> Result<(), Refusal> {
        let unspaced = words.iter().filter(|word| is_unspaced(word)).count();
        if unspaced * 2 > words.len() || words.is_empty() {
            return Ok(());
        }
        let mean = word_chars as f64 / words.len() as f64;
        let detail = || format!("{mean:.2} characters a word");
        if mean < self.settings.min_mean_word_chars {
            return Err(Refusal::new("short_words", detail()));
        }
        if mean > self.settings.max_mean_word_chars {
            return Err(Refusal::new("long_words", detail()));
        }
        Ok(())
    }

    fn judge_lines(&self, text: &str) -> Result<(), Refusal> {
        let (mut lines, mut bullets, mut ellipses) = (0, 0, 0);
        for line in text.lines() {
            let line = line.trim();
            lines += 1;
            bullets += usize::from(line.starts_with(['•', '-']));
            ellipses += usize::from(line.ends_with("...") || line.ends_with('…'));
        }
        above(self.settings.max_bullet_lines, bullets, lines, "lines", "bullet_lines")?;
        above(self.settings.max_ellipsis_lines, ellipses, lines, "lines", "ellipsis_lines")
    }

    /// Stops at the word with which one language has enough.
    fn judge_stop_words(&self, words: &[&str]) -> Result<(), Refusal> {
        let least = self.settings.min_stop_words as usize;
        let mut found: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.settings.stop_words.len()];
        if least == 0 {
            return Ok(());
        }
        let longest = self.stop_words.keys().map(String::len).max().unwrap_or_default();
        // No character takes more than three times the bytes of its lower case.
        for word in words.iter().filter(|word| word.len() <= 3 * longest) {
            for (language, place) in self.stop_words.get(&word.to_lowercase()).into_iter().flatten() {
                found[*language].insert(*place);
                if found[*language].len() >= least {
                    return Ok(());
                }
            }
        }
        let most = found.iter().map(BTreeSet::len).max().unwrap_or_default();
        Err(Refusal::new("few_stop_words", format!("{most} of the least {least}")))
    }
}

fn above(limit: f64, part: usize, of: usize, what: &str, reason: &'static str) -> Result<(), Refusal> {
    if part as f64 <= limit * of as f64 {
        return Ok(());
    }
    Err(Refusal::new(reason, format!("{part} for {of} {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sentence of 12 words, 14 tokens and two stop words.
    const SENTENCE: &str = "The lamp keeps burning, whatever weather comes up from the open sea. ";

    fn reason(settings: Settings, text: &str) -> Option<&'static str> {
        FilterQuality::new(settings).judge(text).err().map(|refusal| refusal.reason)
    }

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(reason(Settings::default(), text), expected, "{text:?}");
    }

    #[test]
    fn each_rule_has_its_reason() {
        let prose = format!("{}and that is that.", SENTENCE.repeat(6));
        check(&prose, None);
        check(SENTENCE, Some("too_few_words"));
        check(&SENTENCE.repeat(10_000), Some("too_many_words"));
        check(&"a bc of the ".repeat(20), Some("short_words"));
        check(&"unfathomably incomprehensible ".repeat(30), Some("long_words"));
        check(&format!("{prose}{}", "#".repeat(20)), Some("many_hashes"));
        check(&format!("{prose}{}", "… ".repeat(20)), Some("many_ellipses"));
        check(&format!("- {}", prose.replace(". ", ".\n- ")), Some("bullet_lines"));
        check(&prose.replace(". ", "...\n"), Some("ellipsis_lines"));
        check(&format!("{prose}{}", "1850 ".repeat(30)), Some("few_letters"));
        check(&SENTENCE.replace("The", "Some").replace("the", "no").repeat(6), Some("few_stop_words"));
    }

    #[test]
    fn a_stop_word_counts_once_in_whatever_case() {
        let settings = || Settings { min_words: 0, min_tokens_with_letters: 0.0, ..Settings::default() };
        assert_eq!(reason(settings(), "The, the, THE lighthouse"), Some("few_stop_words"));
        assert_eq!(reason(settings(), "THE lighthouse WITH lamps"), None);
    }

    #[test]
    fn one_language_must_have_enough_stop_words() {
        let german = ("de".to_owned(), BTreeSet::from(["der".to_owned(), "und".to_owned()]));
        let settings = || {
            let mut settings = Settings { min_words: 0, min_tokens_with_letters: 0.0, ..Settings::default() };
            settings.stop_words.extend([german.clone()]);
            settings
        };
        assert_eq!(reason(settings(), "Der Leuchtturm und seine Lampe"), None);
        assert_eq!(reason(settings(), "Der Leuchtturm with Lampe"), Some("few_stop_words"));
    }

    #[test]
    fn the_length_of_words_is_not_asked_where_characters_are_words() {
        let japanese =
            "シダには花も種もありません。そのため、どうやって増えるのか、長いあいだだれにもわかりませんでした。";
        let settings = Settings {
            stop_words: BTreeMap::from([("ja".to_owned(), ["に", "の"].map(str::to_owned).into())]),
            min_words: 30,
            ..Settings::default()
        };
        assert_eq!(reason(settings, japanese), None);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let settings = Settings {
            min_words: 9,
            max_words: 8,
            min_mean_word_chars: 11.0,
            max_bullet_lines: 90.0,
            min_stop_words: 9,
            ..Settings::default()
        };
        assert_eq!(settings.check().len(), 4);
        let spelled = Settings {
            stop_words: BTreeMap::from([("de".to_owned(), ["Der", "und"].map(str::to_owned).into())]),
            ..Settings::default()
        };
        assert_eq!(spelled.check(), ["the stop word `Der` is not in lower case"]);
    }
}
