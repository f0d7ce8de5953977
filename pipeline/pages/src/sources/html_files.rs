//! Pages in a folder tree or a tar, with their images beside them.

mod tar;

use std::ops::ControlFlow;

use crate::sources::paths::settings_with_paths;
use crate::sources::{
    Container, FileReader, ImageLocation, Input, InputError, Location, Paths, Piece, RawDocument, Records,
    RejectedRecord, Source, SourceError, SourceFile, SourceSettings, Split, file_url,
};

settings_with_paths! {
    /// The tree's root is the root of all URLs: `sub/page.html` is `file:///sub/page.html`, so `/img/x.png` on a page is
    /// the file `img/x.png` of the tree, and no link leads out of it. The root is the folder that `path` names, or the one
    /// that a pattern, several paths or a manifest begin at.
    ///
    /// A `.tar` that the job names is a tree, too; it must not be compressed, for images are read from its middle. Several
    /// are folders of one tree: `one.tar` holds `file:///one.tar/page.html`.
    pub struct Settings {
        /// Files with these endings are pages; in lower case, without a dot.
        #[serde(default = "page_extensions")]
        pub page_extensions: Vec<String>,
        /// Files with these endings are images.
        #[serde(default = "image_extensions")]
        pub image_extensions: Vec<String>,
        /// A page with more bytes than this is rejected as `page_too_large`, unread.
        #[serde(default = "max_page_bytes")]
        pub max_page_bytes: u64,
    }
}

fn page_extensions() -> Vec<String> {
    ["html", "htm", "xhtml"].map(str::to_owned).to_vec()
}

fn image_extensions() -> Vec<String> {
    ["avif", "bmp", "gif", "jpeg", "jpg", "png", "svg", "tif", "tiff", "webp"].map(str::to_owned).to_vec()
}

fn max_page_bytes() -> u64 {
    32 << 20
}

impl SourceSettings for Settings {
    fn example() -> Self {
        Self {
            files: Paths::at("site"),
            page_extensions: page_extensions(),
            image_extensions: image_extensions(),
            max_page_bytes: max_page_bytes(),
        }
    }

    fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.page_extensions.is_empty() {
            problems.push("`page_extensions` is empty, so there would be no pages".to_owned());
        }
        if let Some(both) = self.page_extensions.iter().find(|ending| self.image_extensions.contains(ending)) {
            problems.push(format!("`{both}` is in `page_extensions` and in `image_extensions`"));
        }
        problems.extend(wrong_endings(self.page_extensions.iter().chain(&self.image_extensions)));
        if self.max_page_bytes == 0 {
            problems.push("`max_page_bytes` is 0, so every page would be rejected".to_owned());
        }
        let compressed = [".gz", ".tgz", ".xz", ".zst", ".bz2", ".zip"];
        for path in self.files.literal().filter(|path| compressed.iter().any(|ending| path.ends_with(ending))) {
            problems.push(format!("`{path}` is compressed: images can't be read from its middle; unpack it"));
        }
        problems
    }
}

/// What a file of the tree is, by its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Page,
    Image,
    Other,
}

/// Files of a split, however small they are.
const FILES_PER_SPLIT: usize = 10_000;

impl Source for Settings {
    fn splits(&self, input: &dyn Input, unit_bytes: u64) -> Result<Vec<Split>, SourceError> {
        Ok(splits(self.files.list(input)?, unit_bytes))
    }

    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError> {
        let mut pages = input.reader(Box::new(split.pieces.iter().filter(|piece| self.is_page(piece))));
        for piece in &split.pieces {
            let go_on = match self.tree_of_tar(&piece.path) {
                Some(folder) => tar::read(self, piece, &folder, input, records)?,
                None => self.file(piece, &mut pages, records)?,
            };
            if go_on.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Files in their order, cut wherever a split has its bytes.
pub(super) fn splits(files: Vec<SourceFile>, unit_bytes: u64) -> Vec<Split> {
    let mut splits = Vec::new();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut bytes = 0;
    for file in files {
        bytes += file.size;
        pieces.push(Piece { path: file.path, offset: 0, length: file.size });
        if bytes >= unit_bytes || pieces.len() >= FILES_PER_SPLIT {
            splits.push(Split { pieces: std::mem::take(&mut pieces) });
            bytes = 0;
        }
    }
    if !pieces.is_empty() {
        splits.push(Split { pieces });
    }
    splits
}

/// What is wrong with endings of files.
pub(super) fn wrong_endings<'a>(endings: impl Iterator<Item = &'a String>) -> Vec<String> {
    let wrong = endings.filter(|ending| ending.contains('.') || **ending != ending.to_ascii_lowercase());
    wrong.map(|ending| format!("`{ending}` matches no file: write endings in lower case, without a dot")).collect()
}

impl Settings {
    /// The folder of a tar's tree, if the file is a tar that the job names: empty for the only one.
    fn tree_of_tar(&self, path: &str) -> Option<String> {
        let is_tar = path.ends_with(".tar") && self.files.names(path);
        let only = self.files.path.as_deref() == Some(path);
        is_tar.then(|| if only { String::new() } else { format!("{}/", self.files.locator(path)) })
    }

    fn role(&self, path: &str) -> Role {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        if self.page_extensions.contains(&ending) {
            Role::Page
        } else if self.image_extensions.contains(&ending) {
            Role::Image
        } else {
            Role::Other
        }
    }

    /// Whether this is a file whose bytes become a page.
    fn is_page(&self, piece: &Piece) -> bool {
        let role = || self.role(&self.files.locator(&piece.path));
        piece.length <= self.max_page_bytes && self.tree_of_tar(&piece.path).is_none() && role() == Role::Page
    }

    fn file(
        &self,
        piece: &Piece,
        pages: &mut FileReader<'_>,
        records: &mut dyn Records,
    ) -> Result<ControlFlow<()>, InputError> {
        let locator = &self.files.locator(&piece.path);
        match self.role(locator) {
            Role::Page if piece.length > self.max_page_bytes => {
                Ok(records.reject(self.too_large(locator, piece.length)))
            }
            Role::Page => Ok(records.document(page(locator, pages(piece)?))),
            Role::Image => {
                let (path, offset, length) = (piece.path.clone(), piece.offset, piece.length);
                let location = Location { container: Container::Bytes, path, offset, length };
                Ok(records.image(ImageLocation { url: file_url(locator), location }))
            }
            Role::Other => {
                records.skip("other_file");
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn too_large(&self, locator: &str, bytes: u64) -> RejectedRecord {
        RejectedRecord {
            locator: locator.to_owned(),
            url: Some(file_url(locator)),
            reason: "page_too_large",
            detail: format!("{bytes} bytes are more than `max_page_bytes`, {}", self.max_page_bytes),
        }
    }
}

fn page(locator: &str, body: Vec<u8>) -> RawDocument {
    let (locator, url) = (locator.to_owned(), file_url(locator));
    RawDocument { locator, url, content_type: None, robots: None, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::memory::{Collected, MemoryInput};

    fn read(files: &[(&str, &[u8])]) -> Collected {
        Collected::read(&Settings::example(), &MemoryInput::new(files), 1 << 20)
    }

    #[test]
    fn the_trees_root_is_the_root_of_all_urls() {
        let found = read(&[("site/a/page.html", b"<p>"), ("site/img/my photo?.png", b"x"), ("site/zero.htm", b"")]);
        assert_eq!(
            (found.documents[0].url.as_str(), &found.documents[0].body[..]),
            ("file:///a/page.html", &b"<p>"[..])
        );
        assert_eq!((found.documents[0].locator.as_str(), found.documents[1].body.len()), ("a/page.html", 0));
        assert_eq!(found.images[0].url, "file:///img/my%20photo%3F.png");
    }

    #[test]
    fn files_that_are_neither_page_nor_image_are_counted() {
        let found = read(&[("site/style.css", b""), ("site/PAGE.HTM", b"")]);
        assert_eq!((found.skipped.get("other_file"), found.documents.len()), (Some(&1), 1));
    }

    #[test]
    fn a_page_over_the_limit_is_rejected_unread() {
        let settings = Settings { max_page_bytes: 2, ..Settings::example() };
        let found = Collected::read(&settings, &MemoryInput::new(&[("site/a.html", b"<p>")]), 1);
        assert_eq!(found.rejects[0].reason, "page_too_large");
    }

    #[test]
    fn every_file_is_in_exactly_one_split() {
        let file = |path: &str, size| SourceFile { path: path.into(), size, named: false };
        let cut = splits(vec![file("a", 6), file("b", 6), file("c", 1)], 10);
        let paths: Vec<Vec<&str>> =
            cut.iter().map(|split| split.pieces.iter().map(|piece| piece.path.as_str()).collect()).collect();
        assert_eq!(paths, [vec!["a", "b"], vec!["c"]]);
    }

    #[test]
    fn a_compressed_tar_is_refused_with_a_remedy() {
        let settings = Settings { files: Paths::at("site.tar.gz"), ..Settings::example() };
        assert!(settings.check()[0].contains("unpack it"));
    }

    #[test]
    fn an_ending_that_matches_nothing_is_refused() {
        let settings = Settings { page_extensions: vec![".HTML".into()], ..Settings::example() };
        assert_eq!(settings.check(), ["`.HTML` matches no file: write endings in lower case, without a dot"]);
    }

    #[test]
    fn several_tars_are_folders_of_one_tree() {
        let tar = crate::sources::memory::tar_of(&[("a.html", b"<p>"), ("b.png", b"x")]);
        let settings = Settings { files: Paths::at("sites/*.tar"), ..Settings::example() };
        let input = MemoryInput::new(&[("sites/one.tar", &tar), ("sites/two.tar", &tar), ("sites/c.html", b"")]);
        let found = Collected::read(&settings, &input, 1);
        let locators: Vec<&str> = found.documents.iter().map(|page| page.locator.as_str()).collect();
        assert_eq!(locators, ["one.tar/a.html", "two.tar/a.html"]);
        assert_eq!(found.images[1].url, "file:///two.tar/b.png");
    }

    #[test]
    fn an_empty_folder_has_nothing_to_read() {
        assert_eq!(Settings::example().splits(&MemoryInput::new(&[]), 1).unwrap(), []);
    }
}
