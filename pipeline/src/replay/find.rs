//! Finds a page of a run by its key or URL, and reads it again from its source.

use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use datafusion::prelude::{SessionContext, col};
use futures::TryStreamExt;
use pageloom_schemas::{Key, columns, tables};

use crate::engine::commit::Commit;
use crate::engine::exchange_reader::whole;
use crate::engine::plan::{Stage, whole_content};
use crate::engine::session::{scan, session};
use crate::engine::stages::Before;
use crate::engine::unit::Run;
use crate::error::{JobError, Problem, RunError};
use crate::keys::{document_key, image_key};
use crate::rejects::{FoundReject, each_reject};
use crate::sources::{ImageLocation, RawDocument, Records, RejectedRecord, canonical};

const ROWS_AT_ONCE: usize = 1024;

/// What stands under a key or a URL.
pub enum Found {
    /// A page, as its source gives it now.
    Page(Key, RawDocument),
    /// A record that never became a page.
    Record(FoundReject),
}

/// The key of an image that is named by its key or its URL. One that lies in its own URL is called by its digest, from which
/// no key follows: it is looked for among those that were kept and rejected.
pub async fn image(run: &Run, context: &SessionContext, before: &Before, id: &str) -> Result<Key, RunError> {
    if let Some(key) = Key::from_hex(id) {
        return Ok(key);
    }
    if id.starts_with("data:") {
        for commit in &before.images {
            let Some(file) = commit.file("images") else { continue };
            let images = scan(context, file, &tables::images([])).await?.select(["key", "url"].map(col).to_vec())?;
            let mut batches = images.execute_stream().await?;
            while let Some(batch) = batches.try_next().await? {
                if let Some(key) = named(&batch, id)? {
                    return Ok(key);
                }
            }
        }
        let mut refused = None;
        let keep = |reject: FoundReject| {
            refused = refused.or(Key::from_hex(&reject.key).filter(|_| reject.url == id && reject.kind == "image"));
            Ok(())
        };
        each_reject(&run.store, keep).await?;
        if let Some(key) = refused {
            return Ok(key);
        }
    }
    Ok(image_key(&url::Url::parse(id).map_or_else(|_| id.to_owned(), canonical)))
}

/// The page of the units committed so far that is named by its key or its URL.
pub async fn find(run: &Run, before: &Before, id: &str) -> Result<Option<Found>, RunError> {
    let is_it = |reject: &FoundReject| {
        let is_named = reject.key == id || reject.url == id;
        is_named && reject.stage == Stage::Documents.name() && reject.kind != "reference"
    };
    let mut refused = Vec::new();
    let keep = |reject: FoundReject| {
        refused.extend(is_it(&reject).then_some(reject));
        Ok(())
    };
    each_reject(&run.store, keep).await?;
    if let Some(record) = refused.iter().find(|reject| reject.kind == "record") {
        return Ok(Some(Found::Record(record.clone())));
    }
    for commit in &before.documents {
        let refused = refused.iter().find(|reject| reject.unit == commit.index);
        let key = match refused.and_then(|reject| Key::from_hex(&reject.key)) {
            Some(key) => Some(key),
            None => key_in(run, commit, id).await?,
        };
        if let Some(key) = key {
            return read_again(run, commit, key).await;
        }
    }
    Ok(None)
}

/// The key of the document that a unit holds under this name.
async fn key_in(run: &Run, commit: &Commit, id: &str) -> Result<Option<Key>, RunError> {
    let Some(file) = commit.file("documents") else { return Ok(None) };
    let context = session(&run.store, run.checked.job.units.memory, ROWS_AT_ONCE)?;
    let documents = whole(&context, &run.store, file, &tables::documents())?;
    let mut batches = documents.select(["key", "url"].map(col).to_vec())?.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        if let Some(key) = named(&batch, id)? {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

fn named(batch: &RecordBatch, id: &str) -> Result<Option<Key>, RunError> {
    let (key, url) = (columns::key(), columns::url());
    let (key, url) = (key.of(batch)?, url.of(batch)?);
    let wanted = Key::from_hex(id);
    let is_it = |row: &usize| match wanted {
        Some(wanted) => key.value(*row) == wanted.0,
        None => url.value(*row) == id,
    };
    Ok((0..batch.num_rows()).find(is_it).map(|row| Key::of(key, row)).transpose()?)
}

/// Reads a page of a unit again. An error if its files are gone or have changed: its steps would leave something else.
async fn read_again(run: &Run, commit: &Commit, key: Key) -> Result<Option<Found>, RunError> {
    let Some(split) = run.plan.splits.get(commit.index as usize).cloned() else { return Ok(None) };
    let first = split.split.pieces.first().map(|piece| piece.path.clone()).unwrap_or_default();
    let source = run.checked.sources[split.source as usize].clone();
    let input = run.checked.resources.inputs[split.source as usize].clone();
    let (read_then, beyond) = (commit.input.clone(), commit.beyond.clone());
    let reading = tokio::task::spawn_blocking(move || {
        if read_then
            .is_some_and(|then| whole_content(&split.split, &beyond, input.as_ref()).is_ok_and(|now| now == then))
        {
            let mut wanted = Wanted { source: split.source, key, found: None };
            return source.read(&split.split, input.as_ref(), &mut wanted).map(|()| Some(wanted.found));
        }
        Ok(None)
    });
    let found = reading.await.map_err(|error| RunError::Bug(error.to_string()))??;
    let changed = || {
        let message = "has changed since the run read it, or is gone, or one of the files that were read with it";
        JobError::from(Problem::new(first, message).hint("set it back: only what the run read can be replayed"))
    };
    Ok(found.ok_or_else(changed)?.map(|document| Found::Page(key, document)))
}

/// Reads until one page is there.
struct Wanted {
    source: u32,
    key: Key,
    found: Option<RawDocument>,
}

impl Records for Wanted {
    fn document(&mut self, document: RawDocument) -> ControlFlow<()> {
        if document_key(self.source, &document.locator) != self.key {
            return ControlFlow::Continue(());
        }
        self.found = Some(document);
        ControlFlow::Break(())
    }

    fn image(&mut self, _: ImageLocation) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn reject(&mut self, _: RejectedRecord) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn skip(&mut self, _: &'static str) {}
}
