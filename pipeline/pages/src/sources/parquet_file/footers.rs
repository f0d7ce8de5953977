//! Footers of Parquet files, kept for those who read single values of the same files again and again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as PhysicalType;
use parquet::errors::Result;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::schema::types::{SchemaDescriptor, Type};

use super::chunks::Chunks;
use super::{Footer, ParquetFault, guarded};
use crate::sources::Input;
use crate::sources::range_reader::size;

/// Bytes of footers that are kept: those of some thousand files.
const KEPT_BYTES: usize = 64 << 20;

/// Footers by path; the oldest go when they are too many.
#[derive(Default)]
pub struct Footers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    footers: HashMap<String, (Footer, usize)>,
    oldest: VecDeque<String>,
    bytes: usize,
}

impl Footers {
    /// A file's footer, read or kept.
    pub(super) fn of(&self, path: &str, input: &dyn Input) -> std::result::Result<Footer, ParquetFault> {
        if let Some((footer, _)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).footers.get(path) {
            return Ok(footer.clone());
        }
        let footer = read(path, input)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keep(path, &footer);
        Ok(footer)
    }
}

impl Kept {
    fn keep(&mut self, path: &str, footer: &Footer) {
        let bytes = footer.metadata.metadata().memory_size();
        if bytes > KEPT_BYTES || self.footers.contains_key(path) {
            return;
        }
        while self.bytes + bytes > KEPT_BYTES {
            let Some(oldest) = self.oldest.pop_front() else { break };
            self.bytes -= self.footers.remove(&oldest).map_or(0, |(_, bytes)| bytes);
        }
        self.footers.insert(path.to_owned(), (footer.clone(), bytes));
        self.oldest.push_back(path.to_owned());
        self.bytes += bytes;
    }
}

fn read(path: &str, input: &dyn Input) -> std::result::Result<Footer, ParquetFault> {
    let size = size(input, path).map_err(ParquetFault::Input)?;
    let chunks = Chunks::new(input.shared(), path, size);
    let footer = guarded(|| metadata(&chunks).map_err(|error| error.to_string()));
    chunks.check().map_err(ParquetFault::Input)?;
    let (schema, metadata) = footer.map_err(ParquetFault::Broken)?;
    let first_rows = first_rows(metadata.metadata(), size).map_err(ParquetFault::Broken)?;
    Ok(Footer { size, schema, metadata, first_rows: first_rows.into() })
}

/// A file's columns as they are, and the metadata to read them with: text as the bytes that it is, so that a value that is
/// no Unicode does not take the values beside it along; and where pages begin, if the file says.
fn metadata(chunks: &Chunks) -> Result<(SchemaRef, ArrowReaderMetadata)> {
    // What kind of array the writer had makes no difference.
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let as_they_are = ArrowReaderMetadata::load(chunks, options())?;
    let bytes = as_bytes(as_they_are.parquet_schema().root_schema())?;
    let options = options()
        .with_parquet_schema(Arc::new(SchemaDescriptor::new(Arc::new(bytes))))
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    Ok((as_they_are.schema().clone(), ArrowReaderMetadata::load(chunks, options)?))
}

/// The same columns, but that all of text are of bytes.
fn as_bytes(schema: &Type) -> Result<Type> {
    let info = schema.get_basic_info();
    match schema {
        Type::GroupType { fields, .. } => {
            let fields = fields.iter().map(|field| Ok(Arc::new(as_bytes(field)?))).collect::<Result<_>>()?;
            let group = Type::group_type_builder(info.name()).with_fields(fields);
            let group =
                group.with_logical_type(info.logical_type_ref().cloned()).with_converted_type(info.converted_type());
            if info.has_repetition() { group.with_repetition(info.repetition()).build() } else { group.build() }
        }
        Type::PrimitiveType { physical_type: PhysicalType::BYTE_ARRAY, .. } => {
            let bytes = Type::primitive_type_builder(info.name(), PhysicalType::BYTE_ARRAY);
            bytes.with_repetition(info.repetition()).build()
        }
        other => Ok(other.clone()),
    }
}

/// The first row of each row group, and the number of all rows; an error if the footer's numbers can't be true of a file
/// of this size.
fn first_rows(metadata: &ParquetMetaData, size: u64) -> std::result::Result<Vec<u64>, String> {
    let mut rows: u64 = 0;
    let mut first_rows = vec![0];
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let more = u64::try_from(group.num_rows()).ok().and_then(|more| rows.checked_add(more));
        rows = more
            .filter(|rows| *rows <= 1 << 60)
            .ok_or_else(|| format!("row group {index} has {} rows", group.num_rows()))?;
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let (start, length) = (u64::try_from(start).ok(), u64::try_from(column.compressed_size()).ok());
            let end = start.zip(length).and_then(|(start, length)| start.checked_add(length));
            if end.is_none_or(|end| end > size) {
                return Err(format!(
                    "row group {index} is not in the file: column `{}`",
                    column.column_path().string()
                ));
            }
        }
        first_rows.push(rows);
    }
    Ok(first_rows)
}
