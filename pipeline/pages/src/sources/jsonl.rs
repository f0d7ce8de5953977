//! Pages as lines of JSON: one object with a URL and its HTML on each line.

mod fields;
mod images;

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};
use url::Url;

use crate::sources::input::Watched;
use crate::sources::paths::settings_with_paths;
use crate::sources::range_reader::{RangeReader, size};
use crate::sources::{
    Input, PASSAGES, PLAIN_TEXT, Passages, Paths, Piece, RawDocument, Records, RejectedRecord, Source, SourceError,
    SourceSettings, Split,
};

use fields::Fields;
pub use images::base64;

settings_with_paths! {
    /// `.jsonl`, `.ndjson`, `.jsonl.gz` and `.jsonl.zst` files, such as extracts of a crawl.
    pub struct Settings {
        /// The field that holds a page's absolute URL.
        #[serde(default = "url_field")]
        pub url_field: String,
        /// The field that holds a page's HTML.
        #[serde(default = "html_field")]
        pub html_field: String,
        /// The field that holds plain text; a line that has it and no `html_field` is a text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub text_field: Option<String>,
        /// The field that holds a document's passages: a list of texts, or of objects with `text` and `gold_step`, the step of
        /// the answer's reasoning at which the passage is needed, if it is at all. A line that has it needs no `html_field`;
        /// what its `text_field` says stands behind the passages. The step `tokenize_passages` reads such documents.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub passages_field: Option<String>,
        /// The field that holds a page's images: a list of objects with `url`, absolute or as the page says it, and
        /// `bytes` in base64. Images are read from the middle of the file, so it must not be compressed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub images_field: Option<String>,
        /// A page with more bytes than this is rejected as `page_too_large`, and so is a line of more than eight times as
        /// many, with its images.
        #[serde(default = "max_page_bytes")]
        pub max_page_bytes: u64,
    }
}

fn url_field() -> String {
    "url".into()
}

fn html_field() -> String {
    "html".into()
}

fn max_page_bytes() -> u64 {
    32 << 20
}

/// Bytes that JSON may make of one, as in `\u003c`, and some for what else stands in a line.
const BYTES_PER_BYTE: u64 = 8;

impl SourceSettings for Settings {
    fn example() -> Self {
        let (url_field, html_field) = (url_field(), html_field());
        let (files, max_page_bytes) = (Paths::at("pages"), max_page_bytes());
        Self {
            files,
            url_field,
            html_field,
            text_field: None,
            passages_field: None,
            images_field: None,
            max_page_bytes,
        }
    }

    fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.max_page_bytes == 0 {
            problems.push("`max_page_bytes` is 0, so every page would be rejected".to_owned());
        }
        let fields = [
            ("url_field", Some(&self.url_field)),
            ("html_field", Some(&self.html_field)),
            ("text_field", self.text_field.as_ref()),
            ("passages_field", self.passages_field.as_ref()),
            ("images_field", self.images_field.as_ref()),
        ];
        for (index, (name, field)) in fields.iter().enumerate() {
            if let Some((other, _)) = fields[..index].iter().find(|(_, other)| field.is_some() && other == field) {
                problems.push(format!("`{}` can't be both `{other}` and `{name}`", field.map_or("", String::as_str)));
            }
        }
        let compressed = self.files.literal().find(|path| self.images_field.is_some() && is_compressed(path));
        problems.extend(compressed.map(compressed_images));
        problems
    }
}

impl Source for Settings {
    fn splits(&self, input: &dyn Input, unit_bytes: u64) -> Result<Vec<Split>, SourceError> {
        let mut splits = Vec::new();
        for file in self.files.list_ending(input, &[".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst"])? {
            if self.images_field.is_some() && is_compressed(&file.path) {
                let message = compressed_images(&file.path);
                return Err(SourceError::Unsuitable { path: file.path, message });
            }
            // A compressed file can't be entered in its middle.
            let step = if is_compressed(&file.path) { file.size } else { unit_bytes }.max(1);
            for offset in (0..file.size.max(1)).step_by(step as usize) {
                let length = step.min(file.size - offset);
                splits.push(Split { pieces: vec![Piece { path: file.path.clone(), offset, length }] });
            }
        }
        Ok(splits)
    }

    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError> {
        for piece in &split.pieces {
            // A line belongs to the piece in which its first byte lies. The byte before the piece tells whether it
            // begins with a line.
            let start = piece.offset.saturating_sub(1);
            let file = RangeReader::new(input, &piece.path, start, size(input, &piece.path)?);
            let mut file = Watched::new(file);
            let lines = Lines { settings: self, locator: &self.files.locator(&piece.path), path: &piece.path };
            let bytes = BufReader::new(&mut file);
            let go_on = match &piece.path {
                path if path.ends_with(".gz") => {
                    lines.read(BufReader::new(MultiGzDecoder::new(bytes)), 0..u64::MAX, records)
                }
                path if path.ends_with(".zst") => match zstd::Decoder::with_buffer(bytes) {
                    Ok(decoder) => lines.read(BufReader::new(decoder), 0..u64::MAX, records),
                    Err(error) => lines.reject(records, 0, None, "jsonl_truncated", error.to_string()),
                },
                _ => lines.read(bytes, piece.offset..piece.offset + piece.length, records),
            };
            file.check(&piece.path)?;
            if go_on.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn is_compressed(path: &str) -> bool {
    path.ends_with(".gz") || path.ends_with(".zst")
}

fn compressed_images(path: &str) -> String {
    format!("`{path}` is compressed: images can't be read from its middle; unpack it, or leave `images_field` out")
}

struct Lines<'a> {
    settings: &'a Settings,
    locator: &'a str,
    path: &'a str,
}

impl Lines<'_> {
    /// Reads the lines that begin in `range`, from a file that stands one byte before it.
    fn read(&self, mut file: impl BufRead, range: std::ops::Range<u64>, records: &mut dyn Records) -> ControlFlow<()> {
        let mut offset = range.start.saturating_sub(1);
        if range.start > 0 {
            match skip_line(&mut file) {
                Ok(skipped) => offset += skipped,
                Err(error) => return self.reject(records, offset, None, "jsonl_truncated", error.to_string()),
            }
        }
        let limit = self.settings.max_page_bytes.saturating_mul(BYTES_PER_BYTE);
        while offset < range.end {
            let mut line = Vec::new();
            let read = file.by_ref().take(limit).read_until(b'\n', &mut line);
            let cut = match read {
                Ok(0) => return ControlFlow::Continue(()),
                Ok(_) => line.len() as u64 == limit && line.last() != Some(&b'\n'),
                Err(error) => return self.reject(records, offset, None, "jsonl_truncated", error.to_string()),
            };
            let start = offset;
            offset += line.len() as u64;
            if cut {
                offset += skip_line(&mut file).unwrap_or(0);
                let detail = format!("a line of {} bytes", offset - start);
                self.reject(records, start, None, "page_too_large", detail)?;
            } else {
                self.line(&line, start, records)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn line(&self, line: &[u8], offset: u64, records: &mut dyn Records) -> ControlFlow<()> {
        if line.iter().all(u8::is_ascii_whitespace) {
            records.skip("blank_line");
            return ControlFlow::Continue(());
        }
        let Settings { url_field, html_field, text_field, passages_field, .. } = self.settings;
        let texts = [Some(url_field), Some(html_field), text_field.as_ref()].into_iter().flatten();
        let wanted = Fields { texts: texts.map(String::as_str).collect(), whole: passages_field.as_deref() };
        let mut fields = match wanted.of(line) {
            Ok(fields) => fields,
            Err(error) => {
                // The only line that the parser knows is this one.
                let detail = error.to_string().replace(" at line 1 column ", " at column ");
                return self.reject(records, offset, None, "jsonl_broken_line", detail);
            }
        };
        let url = match text(&mut fields, &self.settings.url_field) {
            Ok(url) => url,
            Err(detail) => return self.reject(records, offset, None, "jsonl_missing_field", detail),
        };
        let (body, content_type) = match self.body(&mut fields) {
            Ok(body) => body,
            Err((reason, detail)) => return self.reject(records, offset, Some(url), reason, detail),
        };
        let url = match Url::parse(&url) {
            Ok(url) => url,
            Err(error) => {
                let detail = format!("{error}: {url}");
                return self.reject(records, offset, Some(url), "bad_url", detail);
            }
        };
        if body.len() as u64 > self.settings.max_page_bytes {
            let detail = format!("{} bytes are more than `max_page_bytes`", body.len());
            return self.reject(records, offset, Some(url.into()), "page_too_large", detail);
        }
        let (locator, content_type) = (self.at(offset), Some(content_type.to_owned()));
        let page = url.to_string();
        records.document(RawDocument { locator, url: page, content_type, robots: None, body })?;
        match &self.settings.images_field {
            Some(field) => images::find(line, field, &url, (self.path, offset), &self.at(offset), records),
            None => ControlFlow::Continue(()),
        }
    }

    /// A page's HTML, text or passages. JSON is Unicode whatever the page says of itself.
    fn body(&self, fields: &mut Map<String, Value>) -> Result<(Vec<u8>, &'static str), (&'static str, String)> {
        let has = |fields: &Map<String, Value>, field: &str| fields.get(field).is_some_and(|value| !value.is_null());
        let missing = |detail| ("jsonl_missing_field", detail);
        let text_field = self.settings.text_field.as_ref().filter(|field| has(fields, field));
        if let Some(field) = self.settings.passages_field.as_ref().filter(|field| has(fields, field)) {
            let behind = text_field.map(|field| text(fields, field)).transpose().map_err(missing)?;
            let passages = Passages::of_json(fields.remove(field).unwrap_or_default(), behind.unwrap_or_default());
            return Ok((passages.map_err(|detail| ("jsonl_bad_passages", detail))?.body(), PASSAGES));
        }
        let (field, content_type) = match text_field {
            Some(field) if !has(fields, &self.settings.html_field) => (field, PLAIN_TEXT),
            _ => (&self.settings.html_field, "text/html; charset=utf-8"),
        };
        Ok((text(fields, field).map_err(missing)?.into_bytes(), content_type))
    }

    fn at(&self, offset: u64) -> String {
        format!("{}#{offset}", self.locator)
    }

    fn reject(
        &self,
        records: &mut dyn Records,
        offset: u64,
        url: Option<String>,
        reason: &'static str,
        detail: String,
    ) -> ControlFlow<()> {
        records.reject(RejectedRecord { locator: self.at(offset), url, reason, detail })
    }
}

fn text(fields: &mut Map<String, Value>, field: &str) -> Result<String, String> {
    match fields.remove(field) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("its `{field}` is no text")),
        None => Err(format!("it has no `{field}`")),
    }
}

/// Passes over the rest of a line; how many bytes that were.
fn skip_line(file: &mut impl BufRead) -> std::io::Result<u64> {
    file.skip_until(b'\n').map(|skipped| skipped as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::memory::{Collected, MemoryInput, gzip};

    const GOOD: &str = "{\"url\": \"http://a.example/p\", \"html\": \"<p>\\u00e4\", \"lang\": \"de\"}\n";

    fn read(path: &str, bytes: &[u8], unit_bytes: u64) -> Collected {
        Collected::read(&Settings::example(), &MemoryInput::new(&[(path, bytes)]), unit_bytes)
    }

    #[test]
    fn a_line_is_a_page_in_unicode() {
        let found = read("pages/a.jsonl", GOOD.as_bytes(), 100);
        let page = &found.documents[0];
        assert_eq!((page.url.as_str(), page.body.as_slice()), ("http://a.example/p", "<p>ä".as_bytes()));
        assert_eq!(page.content_type.as_deref(), Some("text/html; charset=utf-8"));
        assert_eq!(page.locator, "a.jsonl#0");
    }

    #[test]
    fn every_line_is_read_once_wherever_the_file_is_cut() {
        let lines: String = (0..9).map(|number| GOOD.replace("/p", &format!("/{}", "p".repeat(number)))).collect();
        let whole = read("pages/a.jsonl", lines.as_bytes(), 1 << 20);
        assert_eq!(whole.documents.len(), 9);
        for unit_bytes in 1..200 {
            assert_eq!(read("pages/a.jsonl", lines.as_bytes(), unit_bytes), whole, "{unit_bytes}");
        }
    }

    #[test]
    fn a_compressed_file_is_read_whole() {
        let found = read("pages/a.jsonl.gz", &[gzip(GOOD.as_bytes()), gzip(GOOD.as_bytes())].concat(), 10);
        assert_eq!((found.documents.len(), found.documents[1].locator.as_str()), (2, "a.jsonl.gz#65"));
        let cut = gzip(GOOD.as_bytes());
        let found = read("pages/a.jsonl.gz", &cut[..cut.len() - 9], 10);
        assert_eq!(found.reasons(), ["jsonl_truncated"]);
    }

    #[test]
    fn a_file_of_several_zstd_frames_is_read_whole() {
        let frame = zstd::encode_all(GOOD.as_bytes(), 3).unwrap();
        let found = read("pages/a.jsonl.zst", &[frame.clone(), frame.clone()].concat(), 10);
        assert_eq!((found.documents.len(), found.documents[1].locator.as_str()), (2, "a.jsonl.zst#65"));
        assert_eq!(read("pages/a.jsonl.zst", &frame[..frame.len() - 9], 10).reasons(), ["jsonl_truncated"]);
    }

    #[test]
    fn a_line_without_html_is_plain_text_where_the_job_names_a_field_of_it() {
        let settings = Settings { text_field: Some("text".into()), ..Settings::example() };
        let lines = b"{\"url\":\"http://a.example/p\",\"html\":null,\"text\":\"a < b\"}\n\
            {\"url\":\"http://a.example/q\",\"html\":\"<p>\",\"text\":\"a\"}\n{\"url\":\"http://a.example/r\"}";
        let found = Collected::read(&settings, &MemoryInput::new(&[("pages/a.jsonl", lines)]), 1 << 20);
        let bodies: Vec<_> =
            found.documents.iter().map(|page| (page.content_type.as_deref(), &page.body[..])).collect();
        let html = (Some("text/html; charset=utf-8"), &b"<p>"[..]);
        assert_eq!(bodies, [(Some(PLAIN_TEXT), &b"a < b"[..]), html]);
        assert_eq!(found.reasons(), ["jsonl_missing_field"]);
    }

    #[test]
    fn passages_are_told_apart_and_have_the_text_behind_them() {
        let (passages_field, text_field) = (Some("paragraphs".into()), Some("question".into()));
        let settings = Settings { passages_field, text_field, ..Settings::example() };
        let lines = b"{\"url\":\"http://a.example/p\",\"paragraphs\":[\"a\",{\"text\":\"b\",\"gold_step\":0}],\"question\":\"c?\"}\n\
            {\"url\":\"http://a.example/q\",\"paragraphs\":7}\n{\"url\":\"http://a.example/r\",\"question\":\"alone\"}";
        let found = Collected::read(&settings, &MemoryInput::new(&[("pages/a.jsonl", lines)]), 1 << 20);
        let passage = |text: &str, gold_step| crate::sources::PassageText { text: text.into(), gold_step };
        let expected = Passages { passages: vec![passage("a", None), passage("b", Some(0))], text: "c?".into() };
        assert_eq!(found.documents[0].content_type.as_deref(), Some(PASSAGES));
        assert_eq!(Passages::of_body(&found.documents[0].body), Ok(expected));
        assert_eq!((found.documents[1].content_type.as_deref(), found.documents.len()), (Some(PLAIN_TEXT), 2));
        assert_eq!(found.reasons(), ["jsonl_bad_passages"]);
    }

    #[test]
    fn a_field_is_one_thing_only() {
        let settings = Settings { text_field: Some("html".into()), ..Settings::example() };
        assert_eq!(settings.check(), ["`html` can't be both `html_field` and `text_field`"]);
    }

    #[test]
    fn a_line_that_is_no_page_is_rejected_alone() {
        let lines = [
            "{\"url\": \"http://a.example/p\"",
            "[]",
            "{\"html\": \"<p>\"}",
            "{\"url\": 7, \"html\": \"<p>\"}",
            "{\"url\": \"no url\", \"html\": \"<p>\"}",
            "",
            GOOD.trim_end(),
        ];
        let found = read("pages/a.jsonl", lines.join("\n").as_bytes(), 1 << 20);
        let broken =
            ["jsonl_broken_line", "jsonl_broken_line", "jsonl_missing_field", "jsonl_missing_field", "bad_url"];
        assert_eq!((found.reasons(), found.documents.len()), (broken.to_vec(), 1));
        assert_eq!(found.skipped, [("blank_line", 1)].into());
    }

    #[test]
    fn a_page_or_a_line_over_the_limit_is_rejected_alone() {
        let settings = Settings { max_page_bytes: 20, ..Settings::example() };
        let page = |bytes: usize| format!("{{\"url\": \"http://a.example/p\", \"html\": \"{}\"}}\n", "x".repeat(bytes));
        let lines = [page(21), page(400), page(20)].concat();
        let found = Collected::read(&settings, &MemoryInput::new(&[("pages/a.jsonl", lines.as_bytes())]), 1 << 20);
        assert_eq!((found.reasons(), found.documents.len()), (vec!["page_too_large"; 2], 1));
    }
}
