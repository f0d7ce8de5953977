//! Decodes each page's bytes as browsers do, and makes HTML of plain text.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray, UInt64Array};
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::html::charset::{Decoded, charset_of_content_type, decode, decode_plain, is_plain_text};
use crate::html::plain_text::{PlainText, html_of_text};
use crate::plain_text::chars;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// A byte order mark wins, then the charset that came with the page, then its `<meta>`, then a guess from its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A page in which more than this share of the characters mean nothing in its encoding, or are control characters
    /// that no text holds, is rejected as `not_text`.
    pub max_broken_share: f64,
    /// What becomes of a text that is no HTML (one whose `Content-Type` is `text/plain`): a paragraph for each of its own,
    /// which blank lines part (`paragraphs`), or all of it as it stands (`preformatted`).
    pub plain_text: PlainText,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_broken_share: 0.05, plain_text: PlainText::Paragraphs }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        let inputs = || [columns::content_type().field(), columns::body().field()];
        Columns::reads(inputs()).drops(inputs()).writes([columns::html().field(), columns::page_chars().field()])
    }

    fn check(&self) -> Vec<String> {
        let share = (0.0..=1.0).contains(&self.max_broken_share);
        (!share).then(|| "`max_broken_share` is not between 0 and 1".to_owned()).into_iter().collect()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Step for Settings {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (content_type, body) = (columns::content_type(), columns::body());
        let (content_type, body) = (content_type.of(&batch)?, body.of(&batch)?);
        let decoded = |row: usize| {
            let content_type = if content_type.is_valid(row) { content_type.value(row) } else { "" };
            self.html(body.value(row), content_type)
        };
        let outcomes: Vec<Result<String, Refusal>> = rejects.each_row(&batch).map(decoded).collect();
        let (batch, pages) = rejects.keep_ok(&batch, outcomes)?;
        let page_chars = UInt64Array::from_iter_values(pages.iter().map(|page| chars(page) as u64));
        let html = StringArray::from_iter_values(pages);
        self.columns().replace(&batch, vec![Arc::new(html), Arc::new(page_chars)])
    }
}

impl Settings {
    fn html(&self, body: &[u8], content_type: &str) -> Result<String, Refusal> {
        let charset = charset_of_content_type(content_type);
        match is_plain_text(content_type) {
            true => Ok(html_of_text(&self.text(decode_plain(body, charset))?, self.plain_text)),
            false => self.text(decode(body, charset)),
        }
    }

    fn text(&self, decoded: Decoded<'_>) -> Result<String, Refusal> {
        let meaningless = meaningless(&decoded);
        if meaningless > 0 {
            let share = meaningless as f64 / decoded.text.chars().count().max(1) as f64;
            if share > self.max_broken_share {
                let detail = format!("{:.0} % of it means nothing in {}", share * 100.0, decoded.encoding);
                return Err(Refusal::new("not_text", detail));
            }
        }
        Ok(decoded.text.into_owned())
    }
}

/// Characters that stand for broken bytes, and the "binary data bytes" of the MIME Sniffing standard (section 3): most
/// old encodings give every byte a meaning, so that noise decodes without an error.
fn meaningless(decoded: &Decoded<'_>) -> usize {
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    // In UTF-8 these bytes stand for themselves alone.
    let controls = decoded.text.bytes().filter(is_control).count();
    let broken = match decoded.had_errors {
        true => decoded.text.matches(char::REPLACEMENT_CHARACTER).count(),
        false => 0,
    };
    controls + broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_noise_is_rejected() {
        let settings = Settings::default();
        let noise: Vec<u8> = (0..200).map(|index| if index % 2 == 0 { 0xff } else { b'a' }).collect();
        assert_eq!(settings.text(decode(&noise, Some("utf-8"))).unwrap_err().reason, "not_text");
        assert_eq!(settings.text(decode(b"<p>a", Some("utf-8"))).unwrap(), "<p>a");
    }

    #[test]
    fn plain_text_becomes_html_and_html_stays() {
        let settings = Settings::default();
        let text = "a <b>\n\nc".as_bytes();
        assert_eq!(settings.html(text, "text/plain; charset=utf-8").unwrap(), "<p>a &lt;b&gt;</p>\n<p>c</p>\n");
        assert_eq!(settings.html(text, "text/html").unwrap(), "a <b>\n\nc");
        let preformatted = Settings { plain_text: PlainText::Preformatted, ..settings };
        assert_eq!(preformatted.html(text, "text/plain").unwrap(), "<pre>\na &lt;b&gt;\n\nc</pre>\n");
    }

    #[test]
    fn noise_that_its_encoding_can_read_is_rejected_too() {
        let settings = Settings::default();
        let noise: Vec<u8> = (0..=255).cycle().take(3000).collect();
        let decoded = decode(&noise, Some("windows-1252"));
        assert!(!decoded.had_errors);
        assert_eq!(settings.text(decoded).unwrap_err().reason, "not_text");
        let page = "<p>\tOne form\x0cfeed, one stray \x1a and\r\nlines that are long enough.";
        assert_eq!(settings.text(decode(page.as_bytes(), Some("windows-1252"))).unwrap(), page);
    }
}
