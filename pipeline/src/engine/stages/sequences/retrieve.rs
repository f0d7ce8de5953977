//! Puts the documents that were retrieved for a document in front of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionContext, col};
use futures::TryStreamExt;
use pageloom_schemas::joined::{JoinedPart, joined};
use pageloom_schemas::lists::{ListColumn, int32_rows};
use pageloom_schemas::passages::{PassagePlace, passages};
use pageloom_schemas::{Key, columns, runs, tables};

use crate::engine::exchange::bucket_of;
use crate::engine::exchange_reader::bucket;
use crate::engine::nodes::MapExec;
use crate::engine::plan::{Stage, Unit};
use crate::engine::stages::{Before, steps_over};
use crate::engine::unit::{Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::image_runs::{ImageRun, image_runs, image_runs_of, tokens as tokens_of};
use crate::neighbours::{self, Settings};
use crate::objectives::{Specials, TokenDocument};
use crate::random::order_hash;
use crate::retrieval::in_front;
use crate::specials::specials;
use crate::step::Kind;
use crate::steps::StepConfig;

/// What a unit needs of other documents: which stand in front of which of its own, and those that there are.
struct Retrieved {
    chosen: HashMap<Key, Vec<Key>>,
    there: HashMap<Key, Illustrated>,
    specials: Specials,
    log: Arc<UnitLog>,
}

/// A document, and which images stand where in it.
struct Illustrated {
    document: TokenDocument,
    images: Vec<ImageRun>,
}

/// The documents of a bucket, each with its neighbours in front. `interleave` is what makes tokens of a document.
///
/// Neighbours may be in any bucket, so a unit reads all that hold one of them, and keeps the neighbours alone: about as
/// many documents as it has itself.
pub async fn with_neighbours(
    run: &Run,
    settings: &Settings,
    (context, before, index): (&SessionContext, &Before, u32),
    interleave: &StepConfig,
    documents: Arc<dyn ExecutionPlan>,
    log: &Arc<UnitLog>,
) -> Result<Arc<dyn ExecutionPlan>, RunError> {
    let own = keys(run, context, before, index).await?;
    let chosen = chosen(run, settings.clone(), own).await?;
    log.count("neighbours_chosen", chosen.values().map(|of_document| of_document.len() as u64).sum());
    let mut by_bucket: BTreeMap<u32, HashSet<Key>> = BTreeMap::new();
    for neighbour in chosen.values().flatten() {
        let order = order_hash(run.checked.job.seed, &neighbour.0);
        by_bucket.entry(bucket_of(order, run.plan.buckets)).or_default().insert(*neighbour);
    }
    let mut there = HashMap::new();
    for (index, wanted) in by_bucket {
        collect(run, (context, before, index), interleave, wanted, &mut there).await?;
    }
    let specials = specials(&run.checked.resources.ids()?.vocabulary);
    let retrieved = Retrieved { chosen, there, specials, log: log.clone() };
    let put = move |batch: RecordBatch| retrieved.put_in_front(&batch);
    Ok(MapExec::plan("put_in_front", documents, tables::joined_documents(), Arc::new(put)))
}

/// The keys of a bucket's documents.
async fn keys(run: &Run, context: &SessionContext, before: &Before, index: u32) -> Result<HashSet<Key>, RunError> {
    let documents = bucket(context, &run.store, &before.documents, "documents", index, &tables::documents())?;
    let mut batches = documents.select(vec![col("key")])?.execute_stream().await?;
    let mut found = HashSet::new();
    while let Some(batch) = batches.try_next().await? {
        found.extend(columns::key().of(&batch)?.iter().flatten().filter_map(Key::from_slice));
    }
    Ok(found)
}

/// Which neighbours stand in front of these documents.
async fn chosen(run: &Run, settings: Settings, own: HashSet<Key>) -> Result<HashMap<Key, Vec<Key>>, RunError> {
    let (seed, file): (u64, PathBuf) = (run.checked.job.seed, run.checked.folder.join(&settings.neighbours));
    let reading = tokio::task::spawn_blocking(move || {
        let (mut chosen, mut twice) = (HashMap::new(), None);
        let each = |row: neighbours::Row| {
            if own.contains(&row.key) && chosen.insert(row.key, settings.choose(&row, seed)).is_some() {
                twice = Some(row.key);
            }
        };
        let read = neighbours::read(&file, each).and_then(|()| match twice {
            Some(key) => Err(format!("document {key} has two rows")),
            None => Ok(chosen),
        });
        read.map_err(|cause| RunError::Record { path: file.display().to_string(), cause })
    });
    reading.await.map_err(|error| RunError::Bug(error.to_string()))?
}

/// Adds the wanted documents of one bucket, as the interleaving step leaves them.
async fn collect(
    run: &Run,
    (context, before, index): (&SessionContext, &Before, u32),
    interleave: &StepConfig,
    wanted: HashSet<Key>,
    there: &mut HashMap<Key, Illustrated>,
) -> Result<(), RunError> {
    let documents = super::illustrated_documents(context, &run.store, before, index).await?;
    let schema = documents.schema();
    let filter = move |batch: RecordBatch| {
        let key = columns::key();
        let keep =
            key.of(&batch)?.iter().map(|key| key.and_then(Key::from_slice).is_some_and(|key| wanted.contains(&key)));
        Ok(filter_record_batch(&batch, &keep.map(Some).collect::<BooleanArray>())?)
    };
    let documents = MapExec::plan("neighbours", documents, schema, Arc::new(filter));
    // What this step rejects here it rejects in the documents' own unit too, and there it is in the books.
    let unit = Unit { stage: Stage::Sequences, index, id: String::new() };
    let log = UnitLog::new(Arc::default(), &unit);
    let documents = steps_over(run, documents, std::slice::from_ref(interleave), Kind::Document, &log)?;
    let mut batches = execute_stream(documents, context.task_ctx())?;
    while let Some(batch) = batches.try_next().await? {
        let key = columns::key();
        for (row, key) in key.of(&batch)?.iter().enumerate() {
            there.insert(key.and_then(Key::from_slice).unwrap_or_default(), document(&batch, row)?);
        }
    }
    Ok(())
}

fn document(batch: &RecordBatch, row: usize) -> Result<Illustrated, StepError> {
    let tokens = int32_rows(columns::document_tokens().of(batch)?)?.row(row).to_vec();
    let images = image_runs_of(columns::image_runs().of(batch)?, row)?;
    let document = TokenDocument { tokens, images: tokens_of(&images), ..TokenDocument::default() };
    Ok(Illustrated { document, images })
}

impl Retrieved {
    fn put_in_front(&self, batch: &RecordBatch) -> Result<RecordBatch, StepError> {
        let (key, url) = (columns::key(), columns::url());
        let (key, url) = (key.of(batch)?, url.of(batch)?);
        let mut tokens = ListColumn::<Int32Type>::default();
        let (mut images, mut in_fronts) = (Vec::new(), Vec::new());
        let (mut of_passages, mut parts) = (Vec::new(), Vec::new());
        for row in 0..batch.num_rows() {
            let key = Key::from_slice(key.value(row)).unwrap_or_default();
            let wanted = self.chosen.get(&key).map_or(&[][..], Vec::as_slice);
            let found: Vec<(Key, &Illustrated)> =
                wanted.iter().filter_map(|key| Some((*key, self.there.get(key)?))).collect();
            self.log.count("neighbours_missing", (wanted.len() - found.len()) as u64);
            self.log.count("neighbours_in_front", found.len() as u64);
            let own = document(batch, row)?;
            let retrieved: Vec<&TokenDocument> = found.iter().map(|(_, there)| &there.document).collect();
            let together = in_front(&retrieved, &own.document, &self.specials);
            tokens.push(&together.tokens)?;
            in_fronts.push(together.retrieved);
            let place = |passage: crate::objectives::Passage| PassagePlace {
                tokens: passage.tokens,
                gold_step: passage.gold_step,
            };
            of_passages.push(together.passages.into_iter().map(place).collect::<Vec<_>>());
            let lengths = found.iter().map(|(key, there)| (*key, there.document.tokens.len() as u32 + 1));
            let of_row = end_to_end(lengths.chain([(key, own.document.tokens.len() as u32)]));
            let each = found.iter().map(|(_, there)| &there.images).chain([&own.images]).zip(&of_row);
            let moved = each.flat_map(|(runs, part)| {
                ImageRun::within(runs, 0..part.tokens.end - part.tokens.start, part.tokens.start)
            });
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
