//! One packed row, decoded for a person: text, images, sentinels, and where each span went.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use datafusion::prelude::col;
use futures::TryStreamExt;
use pageloom_schemas::{Key, columns, tables};
use pageloom_tokenizers::text::TextTokenizer;
use pageloom_tokenizers::vocabulary::Vocabulary;
use serde::Serialize;

use crate::engine::commit::commits_of;
use crate::engine::exchange::bucket_of;
use crate::engine::exchange_reader::bucket;
use crate::engine::plan::Stage;
use crate::engine::session::session;
use crate::engine::store::Store;
use crate::engine::table_reader::open_table;
use crate::error::{JobError, Problem, RunError};
use crate::finish::{MANIFEST, Manifest, ShardFile, TEXT_TOKENIZER, VOCABULARY};
use crate::random::order_hash;
use crate::sequence_images::{self, ShownImage};
use crate::status::plan_of;
use crate::step::Ids;
use crate::words::{MovedSpan, Words};

/// A decoded row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownRow {
    /// Its number over all shards.
    pub row: u64,
    /// The shard that holds it.
    pub file: String,
    /// Which phase of training it is for, where the job's objective has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<i32>,
    /// The pieces packed into it.
    pub pieces: Vec<ShownPiece>,
    /// The images in it, where the job asked for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ShownImage>,
}

/// One piece of a row: a document's example, or a part of it, or padding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownPiece {
    /// The document's key; empty for padding.
    pub document: String,
    /// The document's URL, where the run's exchange still has it.
    pub url: Option<String>,
    /// Where the piece starts in the row.
    pub start: usize,
    /// Its length in tokens.
    pub length: usize,
    /// Where it starts in the document's example.
    pub document_offset: usize,
    /// The objective that made it; empty for padding.
    pub objective: String,
    /// Which part of a mixture that is.
    pub part: i32,
    /// Which tokens of which documents its example is made of.
    pub sources: Vec<ShownSource>,
    /// Tokens with loss.
    pub trained: usize,
    /// What it says.
    pub text: String,
    /// Spans that were moved, as far as both of their ends are in this piece.
    pub spans: Vec<MovedSpan>,
}

/// Some tokens of a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownSource {
    /// The document's key.
    pub document: String,
    /// Its URL, where the run's exchange still has it.
    pub url: Option<String>,
    /// The first of its tokens.
    pub start: i32,
    /// Where they end.
    pub end: i32,
}

/// Decodes one row of a finished run.
pub async fn show(store: &Store, row: u64) -> Result<ShownRow, RunError> {
    let manifest = manifest_of(store).await?;
    let (file, within) = locate(&manifest.files, row).ok_or_else(|| problem(store, &no_row(&manifest, row)))?;
    let batch = read_row(store, &file, within).await?;
    let words = words(store, &manifest).await?;
    let mut pieces = pieces(&batch, &words)?;
    let sources = pieces.iter().flat_map(|piece| &piece.sources).map(|source| source.document.as_str());
    let urls = urls(store, manifest.seed, pieces.iter().map(|piece| piece.document.as_str()).chain(sources)).await?;
    for piece in &mut pieces {
        piece.url = urls.get(&piece.document).cloned();
        piece.sources.iter_mut().for_each(|source| source.url = urls.get(&source.document).cloned());
    }
    let (phase, images) = (phase(&batch)?, sequence_images::shown(&batch)?);
    Ok(ShownRow { row, file, phase, pieces, images })
}

/// The manifest; an error says that the run has not ended.
pub(crate) async fn manifest_of(store: &Store) -> Result<Manifest, RunError> {
    let manifest = store.read_json::<Manifest>(MANIFEST).await?;
    if manifest.is_none() {
        // Where there is no plan either, this is no run at all.
        plan_of(store).await?;
    }
    manifest.ok_or_else(|| problem(store, "has no manifest: the run has not ended"))
}

pub(crate) fn problem(store: &Store, message: &str) -> RunError {
    JobError::from(Problem::new(store.root().to_string(), message.to_owned())).into()
}

fn no_row(manifest: &Manifest, row: u64) -> String {
    match manifest.image_table.is_some() && !manifest.makes_sequences() {
        true => "has a table of images alone: say --images".to_owned(),
        false => format!("holds {} rows, counted from 0, but no row {row}", manifest.rows),
    }
}

/// The shard that holds a row counted over all of them, and its place there.
pub(crate) fn locate(files: &[ShardFile], row: u64) -> Option<(String, u64)> {
    let mut before = 0;
    for file in files {
        if row < before + file.rows {
            return Some((file.path.clone(), row - before));
        }
        before += file.rows;
    }
    None
}

pub(crate) async fn read_row(store: &Store, file: &str, row: u64) -> Result<RecordBatch, RunError> {
    let rows = open_table(store, file).await?.with_offset(row as usize).with_limit(1);
    let found = rows.build()?.try_next().await?;
    found.ok_or_else(|| RunError::Record { path: file.into(), cause: format!("row {row} is not there") })
}

/// Opens what a finished run says about its ids.
async fn words(store: &Store, manifest: &Manifest) -> Result<Words, RunError> {
    let broken = |path: &str, cause: String| RunError::Record { path: path.into(), cause };
    let missing = |path: &str| broken(path, "it is not there".into());
    let vocabulary = store.read(VOCABULARY).await?.ok_or_else(|| missing(VOCABULARY))?;
    let vocabulary = Vocabulary::from_json(&String::from_utf8_lossy(&vocabulary));
    let text = store.read(TEXT_TOKENIZER).await?.ok_or_else(|| missing(TEXT_TOKENIZER))?;
    let ids = Ids {
        vocabulary: Arc::new(vocabulary.map_err(|error| broken(VOCABULARY, error.to_string()))?),
        text: Arc::new(TextTokenizer::load_bytes(&text).map_err(|error| broken(TEXT_TOKENIZER, error.to_string()))?),
    };
    Ok(Words { ids: Some(ids), image_grid: manifest.image_grid })
}

/// The row's phase of training, in a table that has any.
fn phase(batch: &RecordBatch) -> Result<Option<i32>, RunError> {
    let phase = columns::phase();
    let has_phases = batch.column_by_name(phase.name()).is_some();
    Ok(has_phases.then(|| phase.of(batch)).transpose()?.map(|of_rows| of_rows.value(0)))
}

fn pieces(batch: &RecordBatch, words: &Words) -> Result<Vec<ShownPiece>, RunError> {
    let (ids, labels) = (columns::input_ids(), columns::labels());
    let (lengths, keys) = (columns::seq_lengths(), columns::document_keys());
    let (offsets, objectives, parts) = (columns::document_offsets(), columns::objectives(), columns::parts());
    let (ids, labels) = (ids.of(batch)?.value(0), labels.of(batch)?.value(0));
    let (ids, labels) = (ids.as_primitive::<Int32Type>().values(), labels.as_primitive::<Int32Type>().values());
    let (lengths, keys, offsets) = (lengths.of(batch)?.value(0), keys.of(batch)?.value(0), offsets.of(batch)?.value(0));
    let (objectives, parts) = (objectives.of(batch)?.value(0), parts.of(batch)?.value(0));
    let mut sources = sources(batch)?.into_iter();
    let mut start = 0;
    let mut pieces = Vec::new();
    for (index, length) in lengths.as_primitive::<Int32Type>().values().iter().enumerate() {
        let end = start + *length as usize;
        let piece = &ids[start..end];
        pieces.push(ShownPiece {
            document: keys.as_string::<i32>().value(index).to_owned(),
            url: None,
            start,
            length: piece.len(),
            document_offset: offsets.as_primitive::<Int32Type>().value(index) as usize,
            objective: objectives.as_string::<i32>().value(index).to_owned(),
            part: parts.as_primitive::<Int32Type>().value(index),
            sources: sources.next().unwrap_or_default(),
            trained: labels[start..end].iter().filter(|label| **label >= 0).count(),
            text: words.of(piece),
            spans: words.moved_spans(piece, start),
        });
        start = end;
    }
    Ok(pieces)
}

/// The sources of each piece.
fn sources(batch: &RecordBatch) -> Result<Vec<Vec<ShownSource>>, RunError> {
    let (counts, keys) = (columns::source_counts(), columns::source_keys());
    let (starts, ends) = (columns::source_starts(), columns::source_ends());
    let (counts, keys) = (counts.of(batch)?.value(0), keys.of(batch)?.value(0));
    let (starts, ends) = (starts.of(batch)?.value(0), ends.of(batch)?.value(0));
    let (keys, starts) = (keys.as_string::<i32>(), starts.as_primitive::<Int32Type>().values());
    let ends = ends.as_primitive::<Int32Type>().values();
    let source = |index: usize| ShownSource {
        document: keys.value(index).to_owned(),
        url: None,
        start: starts[index],
        end: ends[index],
    };
    let mut all = (0..starts.len()).map(source);
    let counts = counts.as_primitive::<Int32Type>().values();
    Ok(counts.iter().map(|count| all.by_ref().take(*count as usize).collect()).collect())
}

/// URLs of documents, from the run's exchange.
async fn urls<'a>(
    store: &Store,
    seed: u64,
    keys: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, String>, RunError> {
    let wanted: BTreeSet<Key> = keys.filter_map(Key::from_hex).collect();
    let (commits, buckets) = (commits_of(store, Stage::Documents).await?, plan_of(store).await?.buckets);
    let holding: BTreeSet<u32> = wanted.iter().map(|key| bucket_of(order_hash(seed, &key.0), buckets)).collect();
    let context = session(store, 256 << 20, 1024)?;
    let mut found = BTreeMap::new();
    for index in holding {
        let documents = bucket(&context, store, &commits, "documents", index, &tables::documents())?;
        let mut batches = documents.select(["key", "url"].map(col).to_vec())?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            let (key, url) = (columns::key(), columns::url());
            let (key, url) = (key.of(&batch)?, url.of(&batch)?);
            let rows = Key::all_of(key)?.into_iter().zip(url.iter().flatten());
            found.extend(rows.filter(|(key, _)| wanted.contains(key)).map(|(key, url)| (key.to_string(), url.into())));
        }
    }
    Ok(found)
}

impl ShownRow {
    /// The row for a terminal.
    pub fn text(&self) -> String {
        let phase = self.phase.map(|phase| format!(", for phase {phase} of training")).unwrap_or_default();
        let mut text = format!("row {} of {}{phase}\n", self.row, self.file);
        for piece in &self.pieces {
            let name = match (&piece.url, piece.document.is_empty()) {
                (_, true) => "padding".to_owned(),
                (Some(url), _) => format!("document {} {url}", piece.document),
                (None, _) => format!("document {}", piece.document),
            };
            let (start, end) = (piece.start, piece.start + piece.length);
            let from = if piece.document_offset > 0 {
                format!(", from its token {}", piece.document_offset)
            } else {
                String::new()
            };
            text.push_str(&format!("\n── tokens {start}..{end}: {name}{from}; {} with loss\n", piece.trained));
            // That all of a document is there is what the line above says.
            let others = piece.sources.iter().filter(|source| piece.sources.len() > 1 || source.start > 0);
            for source in others {
                let (name, url) = (&source.document, source.url.as_deref().unwrap_or_default());
                text.push_str(&format!("   tokens {}..{} of document {name} {url}\n", source.start, source.end));
            }
            for span in &piece.spans {
                text.push_str(&format!("   {span}\n"));
            }
            for image in self.images.iter().filter(|image| (start..end).contains(&(image.start as usize))) {
                text.push_str(&format!("   {image}\n"));
            }
            text.push_str(&format!("{}\n", piece.text));
        }
        text
    }
}
