//! Plain text in files: each is a document without images.

use crate::sources::html_files::{splits, wrong_endings};
use crate::sources::paths::settings_with_paths;
use crate::sources::{
    Input, Paths, Piece, RawDocument, Records, RejectedRecord, Source, SourceError, SourceSettings, Split, file_url,
};

settings_with_paths! {
    /// `decode_charset` finds out the encoding of each, and makes paragraphs of it.
    pub struct Settings {
        /// Files with these endings are texts; in lower case, without a dot.
        #[serde(default = "extensions")]
        pub extensions: Vec<String>,
        /// A text with more bytes than this is rejected as `page_too_large`, unread.
        #[serde(default = "max_page_bytes")]
        pub max_page_bytes: u64,
    }
}

fn extensions() -> Vec<String> {
    ["md", "text", "txt"].map(str::to_owned).to_vec()
}

fn max_page_bytes() -> u64 {
    32 << 20
}

impl SourceSettings for Settings {
    fn example() -> Self {
        Self { files: Paths::at("texts"), extensions: extensions(), max_page_bytes: max_page_bytes() }
    }

    fn check(&self) -> Vec<String> {
        let mut problems = wrong_endings(self.extensions.iter());
        if self.extensions.is_empty() {
            problems.push("`extensions` is empty, so there would be no texts".to_owned());
        }
        if self.max_page_bytes == 0 {
            problems.push("`max_page_bytes` is 0, so every text would be rejected".to_owned());
        }
        problems
    }
}

impl Source for Settings {
    fn splits(&self, input: &dyn Input, unit_bytes: u64) -> Result<Vec<Split>, SourceError> {
        Ok(splits(self.files.list(input)?, unit_bytes))
    }

    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError> {
        let is_read = |piece: &&Piece| self.is_text(&piece.path) && piece.length <= self.max_page_bytes;
        let mut texts = input.reader(Box::new(split.pieces.iter().filter(is_read)));
        for piece in &split.pieces {
            let locator = self.files.locator(&piece.path);
            let url = file_url(&locator);
            if !self.is_text(&piece.path) {
                records.skip("other_file");
                continue;
            }
            let go_on = if piece.length > self.max_page_bytes {
                let detail = format!("{} bytes are more than `max_page_bytes`, {}", piece.length, self.max_page_bytes);
                records.reject(RejectedRecord { locator, url: Some(url), reason: "page_too_large", detail })
            } else {
                let (content_type, body) = (Some("text/plain".to_owned()), texts(piece)?);
                records.document(RawDocument { locator, url, content_type, robots: None, body })
            };
            if go_on.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Settings {
    /// A file that the job names itself is a text, whatever its ending.
    fn is_text(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        ending.is_some_and(|ending| self.extensions.contains(&ending)) || self.files.names(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::memory::{Collected, MemoryInput};

    fn read(settings: &Settings) -> Collected {
        let files: [(&str, &[u8]); 3] =
            [("texts/a/b c.TXT", b"one"), ("texts/README", b"two"), ("texts/x.png", b"three")];
        Collected::read(settings, &MemoryInput::new(&files), 1)
    }

    #[test]
    fn a_text_is_a_document_and_other_files_are_counted() {
        let found = read(&Settings::example());
        let text = &found.documents[0];
        assert_eq!((text.url.as_str(), &text.body[..]), ("file:///a/b%20c.TXT", &b"one"[..]));
        assert_eq!(text.content_type.as_deref(), Some("text/plain"));
        assert_eq!((found.documents.len(), found.skipped.get("other_file")), (1, Some(&2)));
    }

    #[test]
    fn a_file_that_the_job_names_is_a_text_whatever_its_ending() {
        let settings = Settings { files: Paths::at("texts/README"), ..Settings::example() };
        assert_eq!(read(&settings).documents[0].body, b"two");
    }

    #[test]
    fn a_text_over_the_limit_is_rejected_unread() {
        let settings = Settings { max_page_bytes: 2, ..Settings::example() };
        assert_eq!(read(&settings).reasons(), ["page_too_large"]);
    }
}
