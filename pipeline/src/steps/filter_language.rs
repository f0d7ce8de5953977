//! Rejects documents that are not in one of the languages that are wanted.

use std::sync::Arc;

use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use whatlang::Lang;

use crate::error::StepError;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings, shorten};

/// The language is told by `whatlang` (MIT): scripts, alphabets and the 300 most frequent trigrams of each of 70 languages,
/// which are part of the program. On 819 pieces of a handbook in 22 translations, it was right about 812 by their first 300
/// characters, about 816 by 600, and about all of them whole (some 800); `whichlang` knows 13 of these languages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A document in another language than these is rejected as `other_language`. Codes of three letters (ISO 639-3):
    /// `eng`, `deu`, `cmn` for Chinese, `jpn`.
    pub languages: Vec<String>,
    /// A document whose language is told with less confidence than this is rejected as `uncertain_language`.
    #[serde(default = "default_confidence")]
    pub min_confidence: f64,
    /// How many characters from its beginning a document is judged by: more take longer.
    #[serde(default = "default_chars")]
    pub first_chars: u32,
}

/// As in datatrove's `LanguageFilter`, whose confidence is another model's.
fn default_confidence() -> f64 {
    0.65
}

fn default_chars() -> u32 {
    1000
}

impl StepSettings for Settings {
    fn example() -> Self {
        let (min_confidence, first_chars) = (default_confidence(), default_chars());
        Self { languages: vec!["eng".to_owned(), "deu".to_owned()], min_confidence, first_chars }
    }

    fn columns(&self) -> Columns {
        Columns::reads([columns::key().field(), columns::url().field(), columns::text().field()])
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.languages.is_empty() {
            wrong.push("`languages` is empty, so every document would be rejected".to_owned());
        }
        for code in self.languages.iter().filter(|code| language(code).is_none()) {
            let known: Vec<String> =
                Lang::all().iter().map(|lang| format!("{} {}", lang.code(), lang.eng_name())).collect();
            wrong.push(format!("`{code}` is no language that can be told; these are: {}", known.join(", ")));
        }
        if !(0.0..=1.0).contains(&self.min_confidence) {
            wrong.push(format!("`min_confidence` is {}, but it is from 0 to 1", self.min_confidence));
        }
        if self.first_chars == 0 {
            wrong.push("`first_chars` is 0, so every document would be rejected".to_owned());
        }
        wrong
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(self.clone()))
    }
}

fn language(code: &str) -> Option<Lang> {
    Lang::all().iter().copied().find(|lang| lang.code() == code)
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
        let text = text.trim_start();
        let end = text.char_indices().nth(self.first_chars as usize).map_or(text.len(), |(end, _)| end);
        let Some(told) = whatlang::detect(&text[..end]) else {
            return Err(Refusal::new("uncertain_language", format!("no language in `{}`", shorten(text, 60))));
        };
        let (code, confidence) = (told.lang().code(), told.confidence());
        let detail = || format!("{code} with confidence {confidence:.2}");
        if confidence < self.min_confidence {
            return Err(Refusal::new("uncertain_language", detail()));
        }
        if !self.languages.iter().any(|wanted| wanted == code) {
            return Err(Refusal::new("other_language", detail()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), (&'static str, &str)>) {
        let judged = Settings::example().judge(text);
        let judged = match &judged {
            Ok(()) => Ok(()),
            Err(refusal) => Err((refusal.reason, refusal.detail.as_str())),
        };
        assert_eq!(judged, expected, "{text}");
    }

    #[test]
    fn a_document_in_a_wanted_language_stays() {
        check("The lamp is lit at dusk and put out at dawn, and between the two somebody has to stay awake.", Ok(()));
        check("Der Küstengarten liegt auf einer schmalen Landzunge zwischen dem Hafen und der offenen See.", Ok(()));
    }

    #[test]
    fn another_language_is_named() {
        let japanese = "シダには花も種もありません。そのため、どうやって増えるのか、だれにもわかりませんでした。";
        check(japanese, Err(("other_language", "jpn with confidence 1.00")));
    }

    #[test]
    fn what_is_no_language_is_uncertain() {
        check("12 34 56 — 78", Err(("uncertain_language", "no language in `12 34 56 — 78`")));
        check("", Err(("uncertain_language", "no language in ``")));
    }

    #[test]
    fn only_the_beginning_is_read() {
        let english = "The lamp is lit at dusk and put out at dawn, and between the two somebody has to stay awake.";
        let text = format!("{english} {}", "Лампа горит с вечера до утра, и кто-то не спит. ".repeat(4));
        let settings = Settings { first_chars: english.len() as u32, ..Settings::example() };
        assert_eq!(settings.judge(&text), Ok(()));
        assert_eq!(Settings::example().judge(&text).unwrap_err().reason, "other_language");
    }

    #[test]
    fn a_code_that_is_unknown_is_refused_with_those_that_are_known() {
        let settings = Settings { languages: vec!["en".to_owned()], ..Settings::example() };
        let wrong = settings.check();
        assert!(wrong[0].starts_with("`en` is no language") && wrong[0].contains("eng English"), "{wrong:?}");
        assert_eq!(Settings { languages: vec![], min_confidence: 65.0, first_chars: 0 }.check().len(), 3);
    }
}
