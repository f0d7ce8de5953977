//! Pages as rows of Parquet tables: a URL and its HTML in each, perhaps with the page's images.

use std::ops::ControlFlow;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt32Type};
use rayon::prelude::*;
use url::Url;

use crate::sources::parquet_file::{Column, ParquetFault, ParquetFile, Rows, bytes_at};
use crate::sources::paths::settings_with_paths;
use crate::sources::{
    Container, ImageLocation, Input, InputError, Location, PASSAGES, PLAIN_TEXT, PassageText, Passages, Paths, Piece,
    RawDocument, Records, RejectedRecord, Source, SourceError, SourceFile, SourceSettings, Split, canonical,
};

settings_with_paths! {
    /// `.parquet` files. Columns that are not named here are never read. A column inside of a struct is named with a point,
    /// as in `page.html`, and one inside of a list of structs in the same way, as in `images.bytes`.
    pub struct Settings {
        /// The column that holds a page's absolute URL, as text.
        #[serde(default = "url_column")]
        pub url_column: String,
        /// The column that holds a page's HTML: as text, or as the bytes that the page came in.
        #[serde(default = "html_column")]
        pub html_column: String,
        /// The column that holds plain text, instead of HTML.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub text_column: Option<String>,
        /// The list that holds a document's passages, as text: `passages.text`, or a list by itself. What `text_column` says
        /// stands behind them; HTML isn't read. The step `tokenize_passages` reads such documents.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub passages_column: Option<String>,
        /// The list that holds the same passages' steps, as whole numbers in the same order: the step of the answer's
        /// reasoning at which each is needed, null where it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub gold_steps_column: Option<String>,
        /// The list that holds the URLs of a page's images, absolute or as the page says them: `images.url`, or a list by
        /// itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub image_urls_column: Option<String>,
        /// The list that holds the same images' bytes, in the same order: `images.bytes`, or a list by itself. An image is
        /// read when a page needs it; that reads the page of the Parquet file that it is in, so write small ones (pyarrow:
        /// `write_batch_size=8`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub image_bytes_column: Option<String>,
        /// A page with more bytes than this is rejected as `page_too_large`.
        #[serde(default = "max_page_bytes")]
        pub max_page_bytes: u64,
    }
}

fn url_column() -> String {
    "url".into()
}

fn html_column() -> String {
    "html".into()
}

fn max_page_bytes() -> u64 {
    32 << 20
}

impl SourceSettings for Settings {
    fn example() -> Self {
        Self {
            files: Paths::at("tables"),
            url_column: url_column(),
            html_column: html_column(),
            text_column: None,
            passages_column: None,
            gold_steps_column: None,
            image_urls_column: None,
            image_bytes_column: None,
            max_page_bytes: max_page_bytes(),
        }
    }

    fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.max_page_bytes == 0 {
            problems.push("`max_page_bytes` is 0, so every page would be rejected".to_owned());
        }
        if self.image_urls_column.is_some() != self.image_bytes_column.is_some() {
            problems.push("`image_urls_column` and `image_bytes_column` need each other".to_owned());
        }
        if self.gold_steps_column.is_some() && self.passages_column.is_none() {
            problems.push("`gold_steps_column` needs `passages_column`".to_owned());
        }
        problems
    }
}

/// Where a table has what the settings name.
struct Columns {
    url: Column,
    /// Nothing where passages have nothing behind them.
    body: Option<Column>,
    content_type: Option<&'static str>,
    /// Texts and steps.
    passages: Option<(Column, Option<Column>)>,
    /// URLs and bytes.
    images: Option<(Column, Column)>,
}

impl Columns {
    /// The columns that are read: not the images'.
    fn read(&self) -> Vec<usize> {
        let mut read = vec![self.url.index];
        read.extend(self.body.as_ref().map(|body| body.index));
        read.extend(
            self.passages.iter().flat_map(|(texts, steps)| [Some(texts), steps.as_ref()]).flatten().map(|of| of.index),
        );
        read.extend(self.images.as_ref().map(|(urls, _)| urls.index));
        read
    }
}

impl Source for Settings {
    fn splits(&self, input: &dyn Input, unit_bytes: u64) -> Result<Vec<Split>, SourceError> {
        let columns = |file: &ParquetFile| self.columns(file).map(|columns| columns.read());
        splits(&self.files.list_ending(input, &[".parquet"])?, input, unit_bytes, columns)
    }

    fn suits(&self, input: &dyn Input) -> Result<(), SourceError> {
        suits(&self.files.list_ending(input, &[".parquet"])?, input, |file| self.columns(file).map(drop))
    }

    fn read(&self, split: &Split, input: &dyn Input, records: &mut dyn Records) -> Result<(), SourceError> {
        for piece in &split.pieces {
            let locator = self.files.locator(&piece.path);
            let go_on = match opened(&piece.path, &locator, input)? {
                Ok(file) => self.table(&file, piece, &locator, records)?,
                Err(broken) => records.reject(broken),
            };
            if go_on.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Settings {
    fn table(
        &self,
        file: &ParquetFile,
        piece: &Piece,
        locator: &str,
        records: &mut dyn Records,
    ) -> Result<ControlFlow<()>, SourceError> {
        let unsuitable = |message| SourceError::Unsuitable { path: piece.path.clone(), message };
        let columns = self.columns(file).map_err(unsuitable)?;
        let table = Table { settings: self, path: &piece.path, locator, columns: &columns, file };
        Ok(file.read(piece, &columns.read(), |rows| table.rows(rows, records))?)
    }

    fn columns(&self, file: &ParquetFile) -> Result<Columns, String> {
        let columns = file.columns();
        let url = Column::find(&columns, &self.url_column, 0)?;
        let of_steps = |name: &String| Column::find_numbers(&columns, name, 1);
        let passages = match &self.passages_column {
            Some(texts) => {
                Some((Column::find(&columns, texts, 1)?, self.gold_steps_column.as_ref().map(of_steps).transpose()?))
            }
            None => None,
        };
        let body = match (&passages, &self.text_column) {
            (Some(_), None) => None,
            (_, text) => Some(Column::find(&columns, text.as_ref().unwrap_or(&self.html_column), 0)?),
        };
        let content_type = match (&passages, &self.text_column) {
            (Some(_), _) => Some(PASSAGES),
            (None, Some(_)) => Some(PLAIN_TEXT),
            (None, None) => body.as_ref().is_some_and(Column::is_text).then_some("text/html; charset=utf-8"),
        };
        let images = match (&self.image_urls_column, &self.image_bytes_column) {
            (Some(urls), Some(bytes)) => Some((Column::find(&columns, urls, 1)?, Column::find(&columns, bytes, 1)?)),
            _ => None,
        };
        Ok(Columns { url, body, content_type, passages, images })
    }
}

/// One split for each run of row groups; a file that is broken is one, so that its reject is counted.
pub(super) fn splits(
    files: &[SourceFile],
    input: &dyn Input,
    unit_bytes: u64,
    columns: impl Fn(&ParquetFile) -> Result<Vec<usize>, String> + Sync,
) -> Result<Vec<Split>, SourceError> {
    let of_file = |file: &SourceFile| {
        let pieces = match ParquetFile::open(input, &file.path) {
            Ok(table) => {
                let unsuitable = |message| SourceError::Unsuitable { path: file.path.clone(), message };
                table.pieces(&file.path, &columns(&table).map_err(unsuitable)?, unit_bytes)
            }
            Err(ParquetFault::Input(error)) => return Err(error.into()),
            Err(ParquetFault::Broken(_)) => vec![Piece { path: file.path.clone(), offset: 0, length: file.size }],
        };
        Ok(pieces.into_iter().map(|piece| Split { pieces: vec![piece] }).collect())
    };
    let splits: Result<Vec<Vec<Split>>, SourceError> = files.par_iter().map(of_file).collect();
    Ok(splits?.into_iter().flatten().collect())
}

/// Looks at the columns of the first file that is not broken.
pub(super) fn suits(
    files: &[SourceFile],
    input: &dyn Input,
    columns: impl Fn(&ParquetFile) -> Result<(), String>,
) -> Result<(), SourceError> {
    for file in files {
        match ParquetFile::open(input, &file.path) {
            Ok(table) => {
                let unsuitable = |message| SourceError::Unsuitable { path: file.path.clone(), message };
                return columns(&table).map_err(unsuitable);
            }
            Err(ParquetFault::Input(error)) => return Err(error.into()),
            Err(ParquetFault::Broken(_)) => {}
        }
    }
    Ok(())
}

/// The file, or what is to be rejected if it is broken.
pub(super) fn opened(
    path: &str,
    locator: &str,
    input: &dyn Input,
) -> Result<Result<ParquetFile, RejectedRecord>, InputError> {
    match ParquetFile::open(input, path) {
        Ok(file) => Ok(Ok(file)),
        Err(ParquetFault::Input(error)) => Err(error),
        Err(ParquetFault::Broken(detail)) => {
            let locator = locator.to_owned();
            Ok(Err(RejectedRecord { locator, url: None, reason: "parquet_broken", detail }))
        }
    }
}

/// The record of rows that can't be read.
pub(super) fn lost(locator: &str, first: u64, rows: u64, detail: &str) -> RejectedRecord {
    let detail = format!("{rows} rows from row {first} on: {detail}");
    RejectedRecord { locator: format!("{locator}#{first}"), url: None, reason: "parquet_broken", detail }
}

struct Table<'a> {
    settings: &'a Settings,
    path: &'a str,
    locator: &'a str,
    columns: &'a Columns,
    file: &'a ParquetFile,
}

impl Table<'_> {
    fn rows(&self, rows: Rows, records: &mut dyn Records) -> ControlFlow<()> {
        let (first, batch) = match rows {
            Rows::Batch(first, batch) => (first, batch),
            Rows::Lost(first, rows, detail) => return records.reject(lost(self.locator, first, rows, &detail)),
        };
        let body = self.columns.body.as_ref().and_then(|body| body.of(&batch));
        let Some(url) = self.columns.url.of(&batch) else { return ControlFlow::Continue(()) };
        for row in 0..batch.num_rows() {
            let number = first + row as u64;
            let locator = format!("{}#{number}", self.locator);
            let body = body.as_ref().and_then(|body| bytes_at(body, row));
            match self.page(&locator, bytes_at(&url, row), body, (&batch, row)) {
                Ok((url, page)) => {
                    records.document(page)?;
                    self.images(&url, &batch, row, number, records)?;
                }
                Err(reject) => records.reject(reject)?,
            }
        }
        ControlFlow::Continue(())
    }

    fn page(
        &self,
        locator: &str,
        url: Option<&[u8]>,
        body: Option<&[u8]>,
        (batch, row): (&RecordBatch, usize),
    ) -> Result<(Url, RawDocument), RejectedRecord> {
        let said = url.map(|url| String::from_utf8_lossy(url).into_owned());
        let reject = |reason, detail| RejectedRecord { locator: locator.to_owned(), url: said.clone(), reason, detail };
        let null = |column: &Column| reject("parquet_missing_value", format!("its `{}` is null", column.name));
        let url = said.as_deref().ok_or_else(|| null(&self.columns.url))?;
        let body = match (&self.columns.passages, &self.columns.body) {
            (Some(columns), _) => {
                let behind = body.map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
                let passages = passages(columns, batch, row, behind);
                passages.map_err(|detail| reject("parquet_bad_passages", detail))?.body()
            }
            (None, Some(column)) => body.ok_or_else(|| null(column))?.to_vec(),
            (None, None) => Vec::new(),
        };
        let url = Url::parse(url).map_err(|error| reject("bad_url", format!("{error}: {url}")))?;
        if body.len() as u64 > self.settings.max_page_bytes {
            return Err(reject("page_too_large", format!("{} bytes are more than `max_page_bytes`", body.len())));
        }
        let page = RawDocument {
            locator: locator.to_owned(),
            url: url.to_string(),
            content_type: self.columns.content_type.map(str::to_owned),
            robots: None,
            body,
        };
        Ok((url, page))
    }

    fn images(
        &self,
        page: &Url,
        batch: &RecordBatch,
        row: usize,
        number: u64,
        records: &mut dyn Records,
    ) -> ControlFlow<()> {
        let Some((urls, bytes)) = &self.columns.images else { return ControlFlow::Continue(()) };
        let items = urls.of(batch).and_then(|lists| items_at(&lists, row)).and_then(|items| urls.of_items(&items));
        let Some(items) = items else { return ControlFlow::Continue(()) };
        for element in 0..items.len() {
            let Some(url) = bytes_at(&items, element) else {
                records.skip("image_without_url");
                continue;
            };
            let url = String::from_utf8_lossy(url);
            match page.join(&url) {
                Ok(url) => records.image(image(self.file, self.path, bytes, number, element, canonical(url)))?,
                Err(error) => {
                    let (locator, detail) = (format!("{}#{number}", self.locator), error.to_string());
                    records.reject(RejectedRecord {
                        locator,
                        url: Some(url.into()),
                        reason: "bad_image_url",
                        detail,
                    })?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// A row's passages.
fn passages(
    (texts, steps): &(Column, Option<Column>),
    batch: &RecordBatch,
    row: usize,
    text: String,
) -> Result<Passages, String> {
    let items = |column: &Column| {
        let items = column.of(batch).and_then(|lists| items_at(&lists, row)).and_then(|items| column.of_items(&items));
        items.ok_or_else(|| format!("its `{}` is null", column.name))
    };
    let texts = items(texts)?;
    let steps = match steps {
        Some(steps) => {
            let (found, name) = (items(steps)?, &steps.name);
            let steps = cast(&found, &DataType::UInt32).map_err(|error| format!("its `{name}`: {error}"))?;
            if steps.null_count() != found.null_count() || steps.len() != texts.len() {
                return Err(format!("its `{name}` has no whole number, from 0 on, or null for each passage"));
            }
            steps.as_primitive::<UInt32Type>().iter().collect()
        }
        None => vec![None; texts.len()],
    };
    let passage = |(index, gold_step): (usize, Option<u32>)| {
        let text = bytes_at(&texts, index).ok_or_else(|| format!("passage {index} is null"))?;
        Ok(PassageText { text: String::from_utf8_lossy(text).into_owned(), gold_step })
    };
    Ok(Passages { passages: steps.into_iter().enumerate().map(passage).collect::<Result<_, String>>()?, text })
}

/// The place of one image of a table.
pub(super) fn image(
    file: &ParquetFile,
    path: &str,
    bytes: &Column,
    row: u64,
    element: usize,
    url: String,
) -> ImageLocation {
    let container = Container::ParquetRow { column: bytes.index as u32, element: element as u32 };
    let length = file.average_bytes(bytes.index, row);
    ImageLocation { url, location: Location { container, path: path.to_owned(), offset: row, length } }
}

/// The items of a row's list; `None` where it is null.
fn items_at(lists: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if lists.is_null(row) {
        return None;
    }
    match lists.data_type() {
        DataType::List(_) => Some(lists.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(lists.as_list::<i64>().value(row)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
