//! Objects for code on blocking threads: as a reader, or a range at once.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// So many chunks of a body, each of up to a few hundred KiB, are fetched ahead of their reader.
const CHUNKS_AHEAD: usize = 16;

/// An object's bytes from its start, fetched a little ahead. Must not be called or read on a thread that runs futures.
pub fn open_object(runtime: &Handle, store: &dyn ObjectStore, location: &Path) -> Result<ObjectReader> {
    let mut body = runtime.block_on(store.get(location))?.into_stream();
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    runtime.spawn(async move {
        while let Some(chunk) = body.next().await {
            let failed = chunk.is_err();
            // An empty chunk stands for the end.
            if chunk.as_ref().is_ok_and(Bytes::is_empty) {
                continue;
            }
            if sender.send(chunk).await.is_err() || failed {
                return;
            }
        }
        // Its absence tells the reader of a runtime that was shut down in mid-body.
        let _ = sender.send(Ok(Bytes::new())).await;
    });
    Ok(ObjectReader { chunks, chunk: Bytes::new(), ended: false })
}

/// Exactly the bytes asked for; an object that ends before them is an error. Must not be called on a thread that runs
/// futures.
pub fn read_range(
    runtime: &Handle,
    store: &dyn ObjectStore,
    location: &Path,
    offset: u64,
    length: u64,
) -> Result<Bytes> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    let bytes = runtime.block_on(store.get_range(location, offset..offset.saturating_add(length)))?;
    if bytes.len() as u64 == length {
        return Ok(bytes);
    }
    let end = offset + bytes.len() as u64;
    let cause = format!("{location} ends at byte {end}, before {}", offset.saturating_add(length));
    Err(Error::Generic { store: "range", source: cause.into() })
}

/// Reads an object on a blocking thread.
#[derive(Debug)]
pub struct ObjectReader {
    chunks: mpsc::Receiver<Result<Bytes>>,
    chunk: Bytes,
    ended: bool,
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && !self.ended {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.chunk = chunk?,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "reading stopped before the end")),
            }
            self.ended = self.chunk.is_empty();
        }
        let count = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
