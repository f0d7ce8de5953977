//! Joins documents, in their order, into the blocks that some objectives take: end to end, or two segments each.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::Int32Type;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::{TryStreamExt, stream};
use pageloom_schemas::joined::{JoinedPart, joined, joined_of};
use pageloom_schemas::lists::{ListColumn, int32_rows};
use pageloom_schemas::passages::{PassagePlace, passages};
use pageloom_schemas::{Key, columns, runs, tables};

use crate::blocks::{Block, BlockBuilder, BlockPart, JoinsDocuments};
use crate::engine::clock::Stopwatch;
use crate::engine::nodes::{StreamExec, external};
use crate::engine::progress::Progress;
use crate::engine::unit::{Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::image_runs::{ImageRun, image_runs, image_runs_of, tokens as tokens_of};
use crate::job::Sequences;
use crate::next_sentence::NextSentenceBuilder;
use crate::objectives::{Passage, TokenDocument};
use crate::packing::PackingConfig;
use crate::specials::specials;
use crate::text_tokens::text_tokens;

/// The documents as blocks: what is left of them stays for the next block, up to the unit's last.
///
/// A unit is a bucket, which the plan fixes, so the blocks are the same whoever makes them, and none reaches from one
/// bucket into the next.
pub fn blocks(
    run: &Run,
    sequences: &Sequences,
    context: &SessionContext,
    documents: Arc<dyn ExecutionPlan>,
    log: &Arc<UnitLog>,
) -> Result<Arc<dyn ExecutionPlan>, RunError> {
    let joiner = Joiner {
        builder: builder(run, sequences)?,
        open: Vec::new(),
        log: log.clone(),
        progress: run.progress.clone(),
    };
    let documents = execute_stream(documents, context.task_ctx())?;
    let joined = stream::try_unfold((documents, Some(joiner)), |(mut documents, joiner)| async move {
        let Some(mut joiner) = joiner else { return Ok(None) };
        let (blocks, joiner) = match documents.try_next().await? {
            Some(batch) => (joiner.push(&batch), Some(joiner)),
            None => (joiner.finish(), None),
        };
        Ok(Some((blocks.map_err(external)?, (documents, joiner))))
    });
    let blocks: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(tables::blocks(), joined));
    Ok(StreamExec::plan(blocks))
}

/// What a block is joined of, as an example knows it; none where rows are single documents.
pub fn joined_parts(batch: &RecordBatch, row: usize) -> Result<Option<Arc<[BlockPart]>>, StepError> {
    let joined = columns::joined();
    if batch.column_by_name(joined.name()).is_none() {
        return Ok(None);
    }
    let part = |part: JoinedPart| BlockPart {
        document: part.document.0,
        tokens: part.tokens,
        document_offset: part.document_offset,
    };
    Ok(Some(joined_of(joined.of(batch)?, row)?.into_iter().map(part).collect()))
}

/// Blocks are as long as the rows that they become.
fn builder(run: &Run, sequences: &Sequences) -> Result<Box<dyn JoinsDocuments>, RunError> {
    let length = sequences.block_length().and_then(NonZeroU32::new);
    let (PackingConfig::OneDocument(rows), Some(length)) = (&sequences.packing, length) else {
        return Err(RunError::Bug("blocks were not checked to have the length of rows".into()));
    };
    let ids = run.checked.resources.ids()?;
    let specials = specials(&ids.vocabulary);
    Ok(match sequences.objective.next_sentence() {
        Some(settings) => {
            let (seed, text) = (run.checked.job.seed, text_tokens(&ids.text));
            Box::new(NextSentenceBuilder::new(settings, (length.get(), rows.image_spans), seed, &specials, text))
        }
        None => Box::new(BlockBuilder::new(length, rows.image_spans, &specials)),
    })
}

struct Joiner {
    builder: Box<dyn JoinsDocuments>,
    /// Documents that blocks to come may have tokens of.
    open: Vec<OpenDocument>,
    log: Arc<UnitLog>,
    progress: Arc<Progress>,
}

struct OpenDocument {
    key: [u8; 16],
    url: String,
    images: Vec<ImageRun>,
    /// What it was joined of itself, if anything.
    joined: Option<Vec<JoinedPart>>,
}

/// A block's first URL, and which documents and images its tokens are from.
type Named = (String, Vec<JoinedPart>, Vec<ImageRun>);

impl Joiner {
    /// The blocks that are full with these documents.
    fn push(&mut self, batch: &RecordBatch) -> Result<RecordBatch, StepError> {
        let watch = Stopwatch::start();
        let (key, url) = (columns::key(), columns::url());
        let (key, url) = (key.of(batch)?, url.of(batch)?);
        let (tokens, images) = (columns::document_tokens(), columns::image_runs());
        let (tokens, images) = (int32_rows(tokens.of(batch)?)?, images.of(batch)?);
        let (mut blocks, mut named) = (Vec::new(), Vec::new());
        let (of_documents, retrieved) = (columns::joined(), columns::retrieved_runs());
        let has_neighbours = batch.column_by_name(of_documents.name()).is_some();
        for row in 0..batch.num_rows() {
            let (tokens, shown) = (tokens.row(row).to_vec(), image_runs_of(images, row)?);
            let runs_in_front = has_neighbours.then(|| runs::runs_of(retrieved.of(batch)?, row)).transpose()?;
            let retrieved = runs_in_front.unwrap_or_default();
            let images = tokens_of(&shown);
            let document = TokenDocument { tokens, images, retrieved, ..TokenDocument::default() };
            let key = Key::of(key, row)?.0;
            let joined = has_neighbours.then(|| joined_of(of_documents.of(batch)?, row)).transpose()?;
            self.open.push(OpenDocument { key, url: url.value(row).to_owned(), images: shown, joined });
            self.log.count("joined_tokens", document.tokens.len() as u64);
            self.builder.push(key, &document, &mut blocks);
            self.name(&blocks, &mut named);
        }
        self.log.count("documents", batch.num_rows() as u64);
        self.progress.worked(batch.num_rows() as u64);
        let made = self.rows(&blocks, named)?;
        self.log.packed_by("join_documents", (batch.num_rows() as u64, made.num_rows() as u64), watch.spent());
        Ok(made)
    }

    /// The last block, which need not be full.
    fn finish(&mut self) -> Result<RecordBatch, StepError> {
        let (mut blocks, mut named) = (Vec::new(), Vec::new());
        self.builder.finish(&mut blocks);
        self.name(&blocks, &mut named);
        let report = self.builder.report();
        self.log.count("joined_tokens", self.builder.added_tokens());
        self.log.count("dropped_joined_tokens", report.dropped_tokens);
        self.log.count("cut_documents", report.cut_examples);
        self.log.count("cut_joined_images", report.cut_images);
        self.rows(&blocks, named)
    }

    /// Appends what is told of blocks that have no name yet.
    fn name(&mut self, blocks: &[Block], named: &mut Vec<Named>) {
        let unnamed = &blocks[named.len()..];
        if unnamed.is_empty() {
            return;
        }
        let by_key: HashMap<[u8; 16], &OpenDocument> =
            self.open.iter().rev().map(|document| (document.key, document)).collect();
        let open = |key: [u8; 16]| by_key.get(&key).copied();
        let name = |block: &Block| {
            let url = open(block.key()).map(|document| document.url.clone()).unwrap_or_default();
            let of_part = |part: &BlockPart| match open(part.document).and_then(|document| document.joined.as_deref()) {
                Some(joined) => within(part, joined),
                None => vec![whole(part)],
            };
            let images_of = |part: &BlockPart| -> Vec<ImageRun> {
                let Some(document) = open(part.document) else { return Vec::new() };
                let from = part.document_offset..part.document_offset + part.tokens.end - part.tokens.start;
                ImageRun::within(&document.images, from, part.tokens.start).collect()
            };
            (url, block.parts.iter().flat_map(of_part).collect(), block.parts.iter().flat_map(images_of).collect())
        };
        named.extend(unnamed.iter().map(name));
        // All others are in blocks that are done.
        self.open.drain(..self.open.len().saturating_sub(self.builder.num_open()));
    }

    fn rows(&self, blocks: &[Block], named: Vec<Named>) -> Result<RecordBatch, StepError> {
        self.log.count("blocks", blocks.len() as u64);
        let mut tokens = ListColumn::<Int32Type>::default();
        for block in blocks {
            self.log.count("block_tokens", block.document.tokens.len() as u64);
            tokens.push(&block.document.tokens)?;
        }
        let segments: Vec<_> = blocks.iter().map(|block| segments(&block.document)).collect();
        let retrieved: Vec<_> = blocks.iter().map(|block| block.document.retrieved.clone()).collect();
        let (mut urls, mut parts, mut images) = (Vec::new(), Vec::new(), Vec::new());
        for (url, of_documents, of_images) in named {
            urls.push(url);
            parts.push(of_documents);
            images.push(of_images);
        }
        let columns: Vec<ArrayRef> = vec![
            Key::column(blocks.iter().map(|block| Key(block.key())))?,
            Arc::new(StringArray::from(urls)),
            tokens.finish()?,
            image_runs(&images)?,
            passages(&segments)?,
            runs::runs(&retrieved)?,
            Arc::new(UInt32Array::from_iter_values(blocks.iter().map(|block| block.number))),
            joined(&parts)?,
        ];
        Ok(RecordBatch::try_new(tables::blocks(), columns)?)
    }
}

fn segments(block: &TokenDocument) -> Vec<PassagePlace> {
    let place = |passage: &Passage| PassagePlace { tokens: passage.tokens.clone(), gold_step: passage.gold_step };
    block.passages.iter().map(place).collect()
}

fn whole(part: &BlockPart) -> JoinedPart {
    JoinedPart { document: Key(part.document), tokens: part.tokens.clone(), document_offset: part.document_offset }
}

/// The stretches of a block's part whose document was joined of these. The document's end is the last one's.
fn within(part: &BlockPart, joined: &[JoinedPart]) -> Vec<JoinedPart> {
    let (start, end) = (part.document_offset, part.document_offset + part.tokens.end - part.tokens.start);
    let last = joined.len().saturating_sub(1);
    let stretch = |(index, of_joined): (usize, &JoinedPart)| {
        let upto = of_joined.tokens.end + u32::from(index == last);
        let (from, upto) = (of_joined.tokens.start.max(start), upto.min(end));
        (from < upto).then(|| JoinedPart {
            document: of_joined.document,
            tokens: from - start + part.tokens.start..upto - start + part.tokens.start,
            document_offset: of_joined.document_offset + from - of_joined.tokens.start,
        })
    };
    joined.iter().enumerate().filter_map(stretch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_joined_documents_is_told_apart_to_the_last_ones_end() {
        let joined_part =
            |document, tokens, document_offset| JoinedPart { document: Key([document; 16]), tokens, document_offset };
        let joined = [joined_part(1, 0..4, 0), joined_part(2, 4..9, 0), joined_part(3, 9..12, 0)];
        let part = |tokens, document_offset| BlockPart { document: [3; 16], tokens, document_offset };
        assert_eq!(within(&part(10..15, 0), &joined), [joined_part(1, 10..14, 0), joined_part(2, 14..15, 0)]);
        assert_eq!(within(&part(0..8, 5), &joined), [joined_part(2, 0..4, 1), joined_part(3, 4..8, 0)]);
        assert_eq!(within(&part(7..8, 12), &joined), [joined_part(3, 7..8, 3)]);
    }
}
