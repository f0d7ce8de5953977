//! Reads a Parquet file of a run: its footer, or rows from anywhere in it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, MetadataSuffixFetch};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::engine::store::Store;
use crate::error::RunError;

/// Opens a file by its path in the store; its footer is read, its rows are not yet.
pub async fn open_table(
    store: &Store,
    path: &str,
) -> std::result::Result<ParquetRecordBatchStreamBuilder<StoredFile>, RunError> {
    let file = StoredFile { objects: store.objects(), path: Path::from(path) };
    let broken = |error: ParquetError| RunError::Record { path: path.into(), cause: error.to_string() };
    ParquetRecordBatchStreamBuilder::new(file).await.map_err(broken)
}

/// A file of an object store, as the Parquet reader wants it.
#[derive(Debug, Clone)]
pub struct StoredFile {
    objects: Arc<dyn ObjectStore>,
    path: Path,
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move { self.objects.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move { self.objects.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            // Offsets of pages let a reader that skips rows skip their bytes too.
            let reader = ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Optional);
            Ok(Arc::new(reader.load_via_suffix_and_finish(self).await?))
        }
        .boxed()
    }
}

impl MetadataSuffixFetch for &mut StoredFile {
    fn fetch_suffix(&mut self, suffix: usize) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let options = object_store::GetOptions {
                range: Some(object_store::GetRange::Suffix(suffix as u64)),
                ..object_store::GetOptions::default()
            };
            let found = self.objects.get_opts(&self.path, options).await.map_err(external)?;
            found.bytes().await.map_err(external)
        }
        .boxed()
    }
}
