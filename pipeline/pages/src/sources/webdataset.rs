//! Tars of samples: pages with their images, images with captions, and texts.

pub(super) mod groups;

use std::ops::ControlFlow;

use url::Url;

use crate::sources::html_files::wrong_endings;
use crate::sources::paths::settings_with_paths;
use crate::sources::{
    Input, Paths, Piece, RawDocument, Records, RejectedRecord, Source, SourceError, SourceSettings, Split, file_url,
};
use groups::{Extensions, Group, Groups};

settings_with_paths! {
    /// `.tar` files as the `webdataset` library writes them: members that stand together and have the same path up to the
    /// first point of the name are one sample.
    ///
    /// - `a.html`, `a.0.png`, `a.1.png`: a page. Its images are found under their file names beside the page's URL, so
    ///   `<img src="a.0.png">` shows the first. The page's URL is the `url` in `a.json`, or else its path's.
    /// - `a.jpg`, `a.txt`, `a.json`, as `img2dataset` writes them: an image with its caption. They become the page
    ///   `<img alt="caption" src="…">`. The image's URL is the `url` in `a.json`, or else its path's. Where there is no
    ///   `a.txt`, the `caption` in `a.json` is taken. One whose `status` is not `success` is rejected as `pair_failed`.
    /// - `a.txt` without an image: a text.
    pub struct Settings {
        /// Members with these endings are pages; in lower case, without a dot.
        #[serde(default = "Extensions::of_pages")]
        pub page_extensions: Vec<String>,
        /// Members with these endings are images.
        #[serde(default = "Extensions::of_images")]
        pub image_extensions: Vec<String>,
        /// A page or a text with more bytes than this is rejected as `page_too_large`, unread.
        #[serde(default = "max_page_bytes")]
        pub max_page_bytes: u64,
    }
}

fn max_page_bytes() -> u64 {
    32 << 20
}

impl SourceSettings for Settings {
    fn example() -> Self {
        Self {
            files: Paths::at("shards"),
            page_extensions: Extensions::of_pages(),
            image_extensions: Extensions::of_images(),
            max_page_bytes: max_page_bytes(),
        }
    }

    fn check(&self) -> Vec<String> {
        let mut problems = wrong_endings(self.page_extensions.iter().chain(&self.image_extensions));
        if self.max_page_bytes == 0 {
            problems.push("`max_page_bytes` is 0, so every page would be rejected".to_owned());
        }
        let compressed =
            self.files.literal().find(|path| [".gz", ".tgz", ".zst", ".xz"].iter().any(|end| path.ends_with(end)));
        problems.extend(
            compressed.map(|path| format!("`{path}` is compressed: images can't be read from its middle; unpack it")),
        );
        problems
    }
}

impl Source for Settings {
    fn splits(&self, input: &dyn Input, _: u64) -> Result<Vec<Split>, SourceError> {
        let tars = self.files.list_ending(input, &[".tar"])?;
        let split = |path, length| Split { pieces: vec![Piece { path, offset: 0, length }] };
        Ok(tars.into_iter().map(|file| split(file.path, file.size)).collect())
    }

    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError> {
        for piece in &split.pieces {
            let locator = self.files.locator(&piece.path);
            let extensions =
                Extensions { pages: &self.page_extensions, images: &self.image_extensions, captions: true };
            let groups = Groups { piece, locator: &locator, extensions, max_page_bytes: self.max_page_bytes };
            let go_on = groups.read(input, records, |group, records| sample(group, &locator, &piece.path, records))?;
            if go_on.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// What a group of members is.
fn sample(mut group: Group, tar: &str, path: &str, records: &mut dyn Records) -> ControlFlow<()> {
    if group.about.is_some() {
        records.skip("webdataset_json");
    }
    let (name, body, content_type) = match (group.page.take(), group.text.take()) {
        (Some((name, page)), caption) => {
            if caption.is_some() {
                records.skip("caption_of_page");
            }
            (name, page, None)
        }
        (None, Some(text)) if group.images.is_empty() => {
            (format!("{}.txt", group.key), text, Some("text/plain".to_owned()))
        }
        (None, _) if group.images.is_empty() => return ControlFlow::Continue(()),
        (None, caption) => return pair(&group, caption, tar, path, records),
    };
    let by_path = file_url(&format!("{tar}/{name}"));
    let url = group.url().or_else(|| Url::parse(&by_path).ok());
    let (locator, page) = (format!("{tar}#{}", group.first), url.as_ref().map_or(by_path, Url::to_string));
    records.document(RawDocument { locator, url: page, content_type, robots: None, body })?;
    for member in &group.images {
        let beside = url.as_ref().and_then(|page| groups::beside(page, &member.name));
        records.image(group.image(member, path, beside))?;
    }
    ControlFlow::Continue(())
}

/// Images without a page: with a caption, the first is one.
fn pair(group: &Group, caption: Option<Vec<u8>>, tar: &str, path: &str, records: &mut dyn Records) -> ControlFlow<()> {
    let locator = format!("{tar}#{}", group.first);
    let by_path = |name: &str| Url::parse(&file_url(&format!("{tar}/{name}"))).ok();
    let about = group.about.as_ref();
    if let Some(status) = about.and_then(|about| about.status.as_deref()).filter(|status| *status != "success") {
        let (url, detail) = (group.url().map(String::from), format!("its status is `{status}`"));
        return records.reject(RejectedRecord { locator, url, reason: "pair_failed", detail });
    }
    let mut captioned = None;
    for (index, member) in group.images.iter().enumerate() {
        let url = group.url().filter(|_| index == 0).or_else(|| by_path(&member.name));
        let image = group.image(member, path, url);
        captioned = captioned.or_else(|| Some(image.url.clone()));
        records.image(image)?;
    }
    let said = about.and_then(|about| about.caption.as_deref()).map(|caption| caption.as_bytes().to_vec());
    let caption = caption.filter(|caption| !caption.trim_ascii().is_empty()).or(said);
    let (Some(image), Some(caption)) = (captioned, caption) else {
        records.skip("image_without_caption");
        return ControlFlow::Continue(());
    };
    let Ok(caption) = String::from_utf8(caption) else {
        let detail = "it is not UTF-8".to_owned();
        return records.reject(RejectedRecord { locator, url: Some(image), reason: "bad_caption", detail });
    };
    let body = format!("<img alt=\"{}\" src=\"{}\">", escaped(caption.trim()), escaped(&image)).into_bytes();
    let content_type = Some("text/html; charset=utf-8".to_owned());
    let url = file_url(&format!("{tar}/{}", group.key));
    records.document(RawDocument { locator, url, content_type, robots: None, body })
}

/// Text as it stands in an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests;
