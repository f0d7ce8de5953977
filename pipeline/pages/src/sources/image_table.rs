//! Images that lie apart from the pages: tables or tars of a URL, or a key, and an image's bytes.

use std::ops::ControlFlow;

use url::Url;

use crate::sources::parquet::{image, lost, opened, splits, suits};
use crate::sources::parquet_file::{Column, ParquetFile, Rows, bytes_at};
use crate::sources::paths::settings_with_paths;
use crate::sources::webdataset::groups::{Extensions, Group, Groups, relative_to};
use crate::sources::{
    Input, Paths, Piece, Records, RejectedRecord, Source, SourceError, SourceSettings, Split, canonical,
};

settings_with_paths! {
    /// `.parquet` files with a row for each image, or `.tar` files with a member for each. Only their places are noted; an
    /// image's bytes are read when a page shows it.
    ///
    /// In a tar, an image is named by the `url` in the `.json` beside it, as `img2dataset` writes it, or else by its path.
    pub struct Settings {
        /// The column that holds an image's URL or key, as text. A column inside of a struct is named with a point.
        #[serde(default = "url_column")]
        pub url_column: String,
        /// The column that holds its bytes, such as `jpg` or `image.bytes`. An image is read when a page needs it; that
        /// reads the page of the Parquet file that it is in, so write small ones (pyarrow: `write_batch_size=8`).
        #[serde(default = "bytes_column")]
        pub bytes_column: String,
        /// The URL that keys are relative to, as links on a page at this URL would be.
        #[serde(default = "base_url")]
        pub base_url: String,
        /// Members of a tar with these endings are images; in lower case, without a dot.
        #[serde(default = "Extensions::of_images")]
        pub image_extensions: Vec<String>,
    }
}

fn url_column() -> String {
    "url".into()
}

fn bytes_column() -> String {
    "bytes".into()
}

fn base_url() -> String {
    "file:///".into()
}

impl SourceSettings for Settings {
    fn example() -> Self {
        Self {
            files: Paths::at("images"),
            url_column: url_column(),
            bytes_column: bytes_column(),
            base_url: base_url(),
            image_extensions: Extensions::of_images(),
        }
    }

    fn check(&self) -> Vec<String> {
        let mut problems = super::html_files::wrong_endings(self.image_extensions.iter());
        problems.extend(self.base().err());
        problems
    }
}

impl Source for Settings {
    fn splits(&self, input: &dyn Input, unit_bytes: u64) -> Result<Vec<Split>, SourceError> {
        let mut found = Vec::new();
        let files = self.files.list_ending(input, &[".parquet", ".tar"])?;
        for file in &files {
            if is_tar(&file.path) {
                found.push(Split { pieces: vec![Piece { path: file.path.clone(), offset: 0, length: file.size }] });
            } else {
                let columns = |file: &ParquetFile| self.columns(file).map(|(url, _)| vec![url.index]);
                found.extend(splits(std::slice::from_ref(file), input, unit_bytes, columns)?);
            }
        }
        Ok(found)
    }

    fn suits(&self, input: &dyn Input) -> Result<(), SourceError> {
        let mut files = self.files.list_ending(input, &[".parquet", ".tar"])?;
        files.retain(|file| !is_tar(&file.path));
        suits(&files, input, |file| self.columns(file).map(drop))
    }

    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError> {
        let unsuitable = |message| SourceError::Unsuitable { path: self.base_url.clone(), message };
        let base = self.base().map_err(unsuitable)?;
        for piece in &split.pieces {
            let go_on = match is_tar(&piece.path) {
                true => self.tar(&base, piece, input, records)?,
                false => self.table(&base, piece, input, records)?,
            };
            if go_on.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn is_tar(path: &str) -> bool {
    path.ends_with(".tar")
}

impl Settings {
    fn base(&self) -> Result<Url, String> {
        let base = Url::parse(&self.base_url).ok().filter(|base| !base.cannot_be_a_base());
        base.ok_or_else(|| {
            format!("`base_url` is `{}`: write an absolute URL, such as `https://a.example/`", self.base_url)
        })
    }

    fn columns(&self, file: &ParquetFile) -> Result<(Column, Column), String> {
        let columns = file.columns();
        Ok((Column::find(&columns, &self.url_column, 0)?, Column::find(&columns, &self.bytes_column, 0)?))
    }

    fn table(
        &self,
        base: &Url,
        piece: &Piece,
        input: &dyn Input,
        records: &mut dyn Records,
    ) -> Result<ControlFlow<()>, SourceError> {
        let locator = self.files.locator(&piece.path);
        let file = match opened(&piece.path, &locator, input)? {
            Ok(file) => file,
            Err(broken) => return Ok(records.reject(broken)),
        };
        let unsuitable = |message| SourceError::Unsuitable { path: piece.path.clone(), message };
        let (url, bytes) = self.columns(&file).map_err(unsuitable)?;
        let take = |rows| {
            let (first, batch) = match rows {
                Rows::Batch(first, batch) => (first, batch),
                Rows::Lost(first, rows, detail) => return records.reject(lost(&locator, first, rows, &detail)),
            };
            let Some(urls) = url.of(&batch) else { return ControlFlow::Continue(()) };
            for row in 0..batch.num_rows() {
                let number = first + row as u64;
                match image_url(base, bytes_at(&urls, row), &url.name) {
                    Ok(url) => records.image(image(&file, &piece.path, &bytes, number, 0, url))?,
                    Err((reason, detail)) => {
                        let locator = format!("{locator}#{number}");
                        records.reject(RejectedRecord { locator, url: None, reason, detail })?;
                    }
                }
            }
            ControlFlow::Continue(())
        };
        Ok(file.read(piece, &[url.index], take)?)
    }

    fn tar(
        &self,
        base: &Url,
        piece: &Piece,
        input: &dyn Input,
        records: &mut dyn Records,
    ) -> Result<ControlFlow<()>, SourceError> {
        let extensions = Extensions { pages: &[], images: &self.image_extensions, captions: false };
        let locator = self.files.locator(&piece.path);
        let groups = Groups { piece, locator: &locator, extensions, max_page_bytes: 0 };
        Ok(groups.read(input, records, |group, records| images(&group, base, &piece.path, records))?)
    }
}

fn image_url(base: &Url, key: Option<&[u8]>, column: &str) -> Result<String, (&'static str, String)> {
    let key = key.ok_or_else(|| ("parquet_missing_value", format!("its `{column}` is null")))?;
    let key = String::from_utf8_lossy(key);
    base.join(&key).map(canonical).map_err(|error| ("bad_image_url", format!("{error}: {key}")))
}

/// The images of a group: the first is what the group's `url` names.
fn images(group: &Group, base: &Url, path: &str, records: &mut dyn Records) -> ControlFlow<()> {
    if group.about.is_some() {
        records.skip("webdataset_json");
    }
    for (index, member) in group.images.iter().enumerate() {
        let url = group.url().filter(|_| index == 0).or_else(|| relative_to(base, &member.name));
        records.image(group.image(member, path, url))?;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::fetch;
    use crate::sources::memory::{Collected, CountingInput, MemoryInput, parquet_of, tar_of};

    /// Every image's URL and bytes.
    fn images(found: &Collected, input: &dyn Input) -> Vec<(String, Vec<u8>)> {
        let of = |image: &crate::sources::ImageLocation| fetch(&image.location, input, 1 << 20).unwrap();
        found.images.iter().map(|image| (image.url.clone(), of(image))).collect()
    }

    fn named(images: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        images.iter().map(|(url, bytes)| ((*url).to_owned(), bytes.to_vec())).collect()
    }

    fn of_html() -> Settings {
        Settings { bytes_column: "html".into(), ..Settings::example() }
    }

    #[test]
    fn urls_are_canonical_and_keys_are_relative_to_the_base() {
        let bytes =
            parquet_of(&[("https://a.example/x#y", "one", &[]), ("img/two.png", "two", &[]), ("https://[", "", &[])]);
        let input = MemoryInput::new(&[("images/a.parquet", &bytes)]);
        let settings = Settings { base_url: "https://b.example/p/".into(), ..of_html() };
        let found = Collected::read(&settings, &input, 1 << 30);
        let expected = [("https://a.example/x", &b"one"[..]), ("https://b.example/p/img/two.png", b"two")];
        assert_eq!((images(&found, &input), found.reasons()), (named(&expected), vec!["bad_image_url"]));
    }

    #[test]
    fn members_of_a_tar_are_named_by_their_json_or_their_paths() {
        let about = b"{\"url\": \"https://a.example/x\"}";
        let tar = tar_of(&[("0.jpg", b"one"), ("0.json", about), ("0.txt", b"caption"), ("d/a b.x.png", b"two")]);
        let input = MemoryInput::new(&[("images/a.tar", &tar)]);
        let found = Collected::read(&Settings::example(), &input, 1);
        let expected = [("https://a.example/x", &b"one"[..]), ("file:///d/a%20b.x.png", b"two")];
        assert_eq!((images(&found, &input), found.documents.len()), (named(&expected), 0));
    }

    #[test]
    fn no_pixels_move_while_places_are_noted_and_one_image_reads_its_own_page_alone() {
        let pixels = "x".repeat(1 << 20);
        let rows: Vec<_> = ["a", "b", "c", "d"].iter().map(|url| (*url, pixels.as_str(), &[][..])).collect();
        let input = CountingInput::new(MemoryInput::new(&[("images/a.parquet", &parquet_of_plain(&rows))]));
        let found = Collected::read(&of_html(), &input, 1);
        let noted = input.bytes();
        assert!(found.images.len() == 4 && noted < 50_000, "{noted}");
        assert_eq!(fetch(&found.images[2].location, &input, 1 << 20).unwrap().len(), 1 << 20);
        let fetched = input.bytes() - noted;
        assert!(fetched < (1 << 20) + 50_000, "{fetched}");
    }

    /// Without a dictionary or compression, so that bytes can be counted.
    fn parquet_of_plain(rows: &[crate::sources::memory::PageRow<'_>]) -> Vec<u8> {
        let file = bytes::Bytes::from(parquet_of(rows));
        let reader = ::parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 1024).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        let properties = ::parquet::file::properties::WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_write_batch_size(1)
            .set_data_page_size_limit(1 << 20)
            .build();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn a_base_that_nothing_is_relative_to_is_refused() {
        for base_url in ["img/", "data:,"] {
            let settings = Settings { base_url: base_url.into(), ..Settings::example() };
            assert!(settings.check()[0].contains("write an absolute URL"), "{base_url}");
        }
    }
}
