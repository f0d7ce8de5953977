//! One Parquet file, read through `Input`: its columns, its row groups and its rows, however broken it is.

mod cell;
mod chunks;
mod columns;
mod footers;
mod rows;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::file::metadata::RowGroupMetaData;

use crate::sources::{Input, InputError, Piece};
use chunks::Chunks;

pub use cell::cell;
pub use columns::{Column, bytes_at};
pub use footers::Footers;
pub use rows::Rows;

/// A Parquet file can't be read, wholly or in part.
#[derive(Debug)]
pub enum ParquetFault {
    /// Its storage failed.
    Input(InputError),
    /// It is broken.
    Broken(String),
}

/// A Parquet file whose footer was read.
pub struct ParquetFile {
    chunks: Chunks,
    footer: Footer,
}

/// What a file's end says of it.
#[derive(Clone)]
struct Footer {
    /// The file's size in bytes.
    size: u64,
    /// Its columns as they are.
    schema: SchemaRef,
    /// The same, with all text as bytes.
    metadata: ArrowReaderMetadata,
    /// The first row of each row group, and the number of all rows.
    first_rows: Arc<[u64]>,
}

impl ParquetFile {
    /// Reads a file's footer, unless it was read before.
    pub fn open(input: &dyn Input, path: &str) -> Result<Self, ParquetFault> {
        let footer = input.footers().of(path, input)?;
        Ok(Self { chunks: Chunks::new(input.shared(), path, footer.size), footer })
    }

    /// Its columns of values, those inside of structs and lists too.
    pub fn columns(&self) -> Vec<Column> {
        columns::columns(&self.footer.schema)
    }

    /// Bytes of the average value of a column in the row group that holds a row; at least one.
    pub fn average_bytes(&self, column: usize, row: u64) -> u64 {
        let chunk = self.group_of(row).and_then(|group| self.groups()[group].columns().get(column));
        chunk.map_or(1, |chunk| (chunk.uncompressed_size() / chunk.num_values().max(1)).max(1) as u64)
    }

    /// The row group that holds a row.
    fn group_of(&self, row: u64) -> Option<usize> {
        let group = self.footer.first_rows.partition_point(|first| *first <= row).checked_sub(1)?;
        (group < self.groups().len()).then_some(group)
    }

    fn groups(&self) -> &[RowGroupMetaData] {
        self.footer.metadata.metadata().row_groups()
    }

    /// Pieces of about `unit_bytes` of these columns, each of whole row groups. They cover the file.
    pub fn pieces(&self, path: &str, columns: &[usize], unit_bytes: u64) -> Vec<Piece> {
        let (mut ends, mut bytes) = (Vec::new(), 0);
        let starts: Vec<u64> = self.groups().iter().map(start).collect();
        let in_order = starts.is_sorted_by(|one, other| one < other);
        for (group, next) in self.groups().iter().zip(starts.iter().skip(1)).filter(|_| in_order) {
            bytes += columns.iter().map(|column| group.column(*column).compressed_size() as u64).sum::<u64>();
            if bytes >= unit_bytes {
                ends.push(*next);
                bytes = 0;
            }
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let pieces = starts.zip(ends.iter().copied().chain([self.footer.size]));
        pieces.map(|(offset, end)| Piece { path: path.to_owned(), offset, length: end - offset }).collect()
    }

    /// The row groups of a piece, each with its first row in the file.
    fn groups_in(&self, piece: &Piece) -> Vec<(usize, u64)> {
        let whole = piece.offset == 0 && piece.length == self.footer.size;
        let range = piece.offset..piece.offset.saturating_add(piece.length);
        let groups = self.groups().iter().zip(self.footer.first_rows.iter()).enumerate();
        let there = groups.filter(|(_, (group, _))| whole || range.contains(&start(group)));
        there.map(|(index, (_, first_row))| (index, *first_row)).collect()
    }

    /// Some rows of a row group, from one of them on.
    fn reader(
        &self,
        group: usize,
        columns: &[usize],
        rows: std::ops::Range<u64>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, String> {
        let metadata = self.footer.metadata.clone();
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), columns.iter().copied());
        let selection =
            vec![RowSelector::skip(rows.start as usize), RowSelector::select((rows.end - rows.start) as usize)];
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.chunks.clone(), metadata)
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_row_selection(RowSelection::from(selection))
            .with_batch_size(batch_rows);
        guarded(|| builder.build().map_err(|error| error.to_string()))
    }
}

/// Where a row group's first column begins.
fn start(group: &RowGroupMetaData) -> u64 {
    let starts =
        group.columns().iter().map(|column| column.dictionary_page_offset().unwrap_or(column.data_page_offset()));
    starts.min().unwrap_or_default().max(0) as u64
}

/// Some broken files make the Parquet library panic instead of telling what is wrong.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("it makes no sense to the Parquet library".to_owned()))
}
