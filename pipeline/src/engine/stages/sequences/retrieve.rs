//! Puts the documents that were retrieved for a document in front of it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::Int32Type;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::{TryStreamExt, stream};
use pageloom_schemas::joined::{JoinedPart, joined};
use pageloom_schemas::lists::{ListColumn, int32_rows, keys_of};
use pageloom_schemas::passages::{PassagePlace, passages};
use pageloom_schemas::{Key, columns, runs, tables};

use crate::engine::exchange_reader::bucket;
use crate::engine::nodes::{StreamExec, external, sort};
use crate::engine::stages::Before;
use crate::engine::stages::copies::{copies, only};
use crate::engine::unit::{Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::image_runs::{ImageRun, image_runs, image_runs_of, tokens as tokens_of};
use crate::objectives::{Specials, TokenDocument};
use crate::retrieval::in_front;
use crate::specials::specials;

/// Which documents stand in front of each of a bucket, in that order.
type Chosen = HashMap<Key, Vec<Key>>;

/// Where a document of the bucket stands in the global order, its key, and which in front of it another is.
type Place = (u64, Key, u32);

/// A document, and which images stand where in it.
struct Illustrated {
    document: TokenDocument,
    images: Vec<ImageRun>,
}

/// The documents of a bucket, which come in global order, each with its neighbours in front.
///
/// What was retrieved for the bucket comes from a stage of its own, sorted as the documents are, so that both go by side by
/// side; what is held is the keys of who stands in front of whom.
pub async fn with_neighbours(
    run: &Run,
    (context, before, index): (&SessionContext, &Before, u32),
    documents: Arc<dyn ExecutionPlan>,
    log: &Arc<UnitLog>,
) -> Result<Arc<dyn ExecutionPlan>, RunError> {
    let (chosen, places) = chosen(run, context, before, index).await?;
    log.count("neighbours_chosen", chosen.values().map(|of_document| of_document.len() as u64).sum());
    let retrieved = bucket(context, &run.store, &before.retrieved, "retrieved", index, &tables::retrieved_documents())?;
    let retrieved = in_their_places(retrieved.execute_stream().await?, places);
    let retrieved = sort(StreamExec::plan(retrieved), &["order", "for_document", "place_in_front"])?;
    let layer = Layer {
        chosen,
        retrieved: Retrieved { batches: Some(execute_stream(retrieved, context.task_ctx())?), batch: None, row: 0 },
        specials: specials(&run.checked.resources.ids()?.vocabulary),
        log: log.clone(),
    };
    let documents = execute_stream(documents, context.task_ctx())?;
    let joined = stream::try_unfold((documents, layer), |(mut documents, mut layer)| async move {
        let Some(batch) = documents.try_next().await? else {
            layer.finish();
            return Ok(None);
        };
        Ok(Some((layer.put_in_front(&batch).await?, (documents, layer))))
    });
    Ok(StreamExec::plan(Box::pin(RecordBatchStreamAdapter::new(tables::joined_documents(), joined))))
}

/// Which documents stand in front of which of a bucket, and the same by the former.
async fn chosen(
    run: &Run,
    context: &SessionContext,
    before: &Before,
    index: u32,
) -> Result<(Chosen, HashMap<Key, Vec<Place>>), RunError> {
    let rows = bucket(context, &run.store, &before.neighbours, "chosen", index, &tables::chosen_neighbours())?;
    let mut rows = rows.execute_stream().await?;
    let (mut chosen, mut places) = (Chosen::new(), HashMap::<Key, Vec<Place>>::new());
    while let Some(batch) = rows.try_next().await? {
        let (order, key, neighbours) = (columns::order(), columns::key(), columns::neighbours());
        let (order, key, neighbours) = (order.of(&batch)?, key.of(&batch)?, neighbours.of(&batch)?);
        for row in 0..batch.num_rows() {
            let key = Key::of(key, row)?;
            let of_document = keys_of(neighbours, row)?;
            for (place, neighbour) in of_document.iter().enumerate() {
                places.entry(*neighbour).or_default().push((order.value(row), key, place as u32));
            }
            chosen.insert(key, of_document);
        }
    }
    Ok((chosen, places))
}

/// Each retrieved document in every place that it has in front of another.
fn in_their_places(
    retrieved: SendableRecordBatchStream,
    places: HashMap<Key, Vec<Place>>,
) -> SendableRecordBatchStream {
    let of_key = move |key: &Key| places.get(key).cloned().unwrap_or_default();
    let finish = |batch: &RecordBatch, places: Vec<Place>| {
        let of_places: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(places.iter().map(|(order, ..)| *order))),
            Key::column(places.iter().map(|(_, document, _)| *document))?,
            Arc::new(UInt32Array::from_iter_values(places.iter().map(|(.., place)| *place))),
        ];
        only(batch, of_places, &["key", "document_tokens", "image_runs"], tables::documents_in_front())
    };
    copies(retrieved, tables::documents_in_front(), of_key, finish)
}

/// Documents of [`tables::documents_in_front`] on their way.
struct Retrieved {
    batches: Option<SendableRecordBatchStream>,
    batch: Option<RecordBatch>,
    row: usize,
}

impl Retrieved {
    /// Those in front of the document at this position with this key; positions come in order. What stands before them is
    /// for documents that are not there.
    async fn of(&mut self, document: (u64, Key)) -> Result<Vec<(Key, Illustrated)>> {
        let mut found = Vec::new();
        while let Some(batch) = self.current().await? {
            match position(&batch, self.row).map_err(external)?.cmp(&document) {
                Ordering::Greater => break,
                Ordering::Equal => found.push(named(&batch, self.row).map_err(external)?),
                Ordering::Less => {}
            }
            self.row += 1;
        }
        Ok(found)
    }

    /// The batch that the next row is in; none behind the last.
    async fn current(&mut self) -> Result<Option<RecordBatch>> {
        while self.batch.as_ref().is_none_or(|batch| self.row == batch.num_rows()) {
            let Some(batches) = &mut self.batches else { return Ok(None) };
            self.batch = batches.try_next().await?;
            self.row = 0;
            if self.batch.is_none() {
                self.batches = None;
            }
        }
        Ok(self.batch.clone())
    }
}

/// Position and key of the document that a row stands in front of.
fn position(batch: &RecordBatch, row: usize) -> Result<(u64, Key), StepError> {
    Ok((columns::order().of(batch)?.value(row), Key::of(columns::for_document().of(batch)?, row)?))
}

fn named(batch: &RecordBatch, row: usize) -> Result<(Key, Illustrated), StepError> {
    Ok((Key::of(columns::key().of(batch)?, row)?, illustrated(batch, row)?))
}

fn illustrated(batch: &RecordBatch, row: usize) -> Result<Illustrated, StepError> {
    let tokens = int32_rows(columns::document_tokens().of(batch)?)?.row(row).to_vec();
    let images = image_runs_of(columns::image_runs().of(batch)?, row)?;
    let document = TokenDocument { tokens, images: tokens_of(&images), ..TokenDocument::default() };
    Ok(Illustrated { document, images })
}

/// Documents on the one side, and those in front of them on the other.
struct Layer {
    chosen: Chosen,
    retrieved: Retrieved,
    specials: Specials,
    log: Arc<UnitLog>,
}

impl Layer {
    async fn put_in_front(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (order, key) = (columns::order(), columns::key());
        let (order, key) = (order.of(batch).map_err(external)?, key.of(batch).map_err(external)?);
        let mut in_front = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let key = Key::of(key, row).map_err(external)?;
            let found = self.retrieved.of((order.value(row), key)).await?;
            let chosen = self.chosen.remove(&key).unwrap_or_default();
            self.log.count("neighbours_missing", chosen.len().saturating_sub(found.len()) as u64);
            self.log.count("neighbours_in_front", found.len() as u64);
            in_front.push(found);
        }
        joined_documents(batch, &in_front, &self.specials).map_err(external)
    }

    /// What is left was chosen for documents that the run doesn't have, or has rejected.
    fn finish(&self) {
        self.log.count("neighbours_of_no_document", self.chosen.values().map(|chosen| chosen.len() as u64).sum());
    }
}

/// Each document with these in front.
fn joined_documents(
    batch: &RecordBatch,
    in_front_of: &[Vec<(Key, Illustrated)>],
    specials: &Specials,
) -> Result<RecordBatch, StepError> {
    let (key, url) = (columns::key(), columns::url());
    let (key, url) = (key.of(batch)?, url.of(batch)?);
    let mut tokens = ListColumn::<Int32Type>::default();
    let (mut images, mut in_fronts) = (Vec::new(), Vec::new());
    let (mut of_passages, mut parts) = (Vec::new(), Vec::new());
    for (row, found) in in_front_of.iter().enumerate() {
        let key = Key::of(key, row)?;
        let own = illustrated(batch, row)?;
        let retrieved: Vec<&TokenDocument> = found.iter().map(|(_, there)| &there.document).collect();
        let together = in_front(&retrieved, &own.document, specials);
        tokens.push(&together.tokens)?;
        in_fronts.push(together.retrieved);
        let place =
            |passage: crate::objectives::Passage| PassagePlace { tokens: passage.tokens, gold_step: passage.gold_step };
        of_passages.push(together.passages.into_iter().map(place).collect::<Vec<_>>());
        let lengths = found.iter().map(|(key, there)| (*key, there.document.tokens.len() as u32 + 1));
        let of_row = end_to_end(lengths.chain([(key, own.document.tokens.len() as u32)]));
        let each = found.iter().map(|(_, there)| &there.images).chain([&own.images]).zip(&of_row);
        let moved = each
            .flat_map(|(runs, part)| ImageRun::within(runs, 0..part.tokens.end - part.tokens.start, part.tokens.start));
        images.push(moved.collect::<Vec<_>>());
        parts.push(of_row);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(key.clone()),
        Arc::new(url.clone()),
        tokens.finish()?,
        image_runs(&images)?,
        passages(&of_passages)?,
        runs::runs(&in_fronts)?,
        joined(&parts)?,
    ];
    Ok(RecordBatch::try_new(tables::joined_documents(), columns)?)
}

/// Documents with so many tokens, of which the break behind a neighbour is one, one behind another.
fn end_to_end(documents: impl Iterator<Item = (Key, u32)>) -> Vec<JoinedPart> {
    let mut start = 0;
    let part = |(document, length): (Key, u32)| {
        let tokens = start..start + length;
        start = tokens.end;
        JoinedPart { document, tokens, document_offset: 0 }
    };
    documents.map(part).collect()
}
