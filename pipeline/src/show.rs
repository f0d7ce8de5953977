//! One packed row, decoded for a person: text, images, sentinels, and where each span went.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use datafusion::prelude::{col, lit};
use futures::TryStreamExt;
use pageloom_schemas::{Key, columns, tables};
use pageloom_tokenizers::TokenId;
use pageloom_tokenizers::text::TextTokenizer;
use pageloom_tokenizers::vocabulary::{Specials, TokenKind, Vocabulary};
use serde::Serialize;

use crate::engine::plan::Stage;
use crate::engine::session::{scan, session};
use crate::engine::store::Store;
use crate::engine::table_reader::open_table;
use crate::error::{JobError, Problem, RunError};
use crate::finish::{MANIFEST, Manifest, TEXT_TOKENIZER, VOCABULARY};
use crate::status::commits_of;

/// A decoded row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownRow {
    /// Its number over all shards.
    pub row: u64,
    /// The shard that holds it.
    pub file: String,
    /// The pieces packed into it.
    pub pieces: Vec<ShownPiece>,
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
    /// Tokens with loss.
    pub trained: usize,
    /// What it says.
    pub text: String,
    /// Spans that were moved, as far as both of their ends are in this piece.
    pub spans: Vec<ShownSpan>,
}

/// Where one span was, and where it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownSpan {
    /// The number of its sentinel.
    pub sentinel: u32,
    /// Where in the row its sentinel stands in its place.
    pub gap: usize,
    /// Where in the row its tokens begin now.
    pub start: usize,
    /// Their number.
    pub length: usize,
}

/// Decodes one row of a finished run.
pub async fn show(store: &Store, row: u64) -> Result<ShownRow, RunError> {
    let manifest = store.read_json::<Manifest>(MANIFEST).await?;
    let manifest = manifest.ok_or_else(|| problem(store, "has no manifest: the run has not ended"))?;
    let (file, within) = locate(&manifest, row)
        .ok_or_else(|| problem(store, &format!("holds {} rows, counted from 0, but no row {row}", manifest.rows)))?;
    let batch = read_row(store, &file, within).await?;
    let reader = Reader::open(store).await?;
    let mut pieces = pieces(&batch, &reader)?;
    let urls = urls(store, pieces.iter().map(|piece| piece.document.as_str())).await?;
    for piece in &mut pieces {
        piece.url = urls.get(&piece.document).cloned();
    }
    Ok(ShownRow { row, file, pieces })
}

fn problem(store: &Store, message: &str) -> RunError {
    JobError::from(Problem::new(store.root().display().to_string(), message.to_owned())).into()
}

fn locate(manifest: &Manifest, row: u64) -> Option<(String, u64)> {
    let mut before = 0;
    for file in &manifest.files {
        if row < before + file.rows {
            return Some((file.path.clone(), row - before));
        }
        before += file.rows;
    }
    None
}

async fn read_row(store: &Store, file: &str, row: u64) -> Result<RecordBatch, RunError> {
    let rows = open_table(store, file).await?.with_offset(row as usize).with_limit(1);
    let found = rows.build()?.try_next().await?;
    found.ok_or_else(|| RunError::Record { path: file.into(), cause: format!("row {row} is not there") })
}

/// What turns ids back into words.
struct Reader {
    vocabulary: Vocabulary,
    text: TextTokenizer,
}

impl Reader {
    async fn open(store: &Store) -> Result<Self, RunError> {
        let broken = |path: &str, cause: String| RunError::Record { path: path.into(), cause };
        let missing = |path: &str| broken(path, "it is not there".into());
        let vocabulary = store.read(VOCABULARY).await?.ok_or_else(|| missing(VOCABULARY))?;
        let vocabulary = Vocabulary::from_json(&String::from_utf8_lossy(&vocabulary));
        let text = store.read(TEXT_TOKENIZER).await?.ok_or_else(|| missing(TEXT_TOKENIZER))?;
        Ok(Self {
            vocabulary: vocabulary.map_err(|error| broken(VOCABULARY, error.to_string()))?,
            text: TextTokenizer::load_bytes(&text).map_err(|error| broken(TEXT_TOKENIZER, error.to_string()))?,
        })
    }

    /// The ids in words: runs of text decoded, runs of image tokens counted, specials by name.
    fn words(&self, ids: &[TokenId]) -> String {
        let group = |id: &TokenId| match self.vocabulary.kind(*id) {
            Some(TokenKind::Text) => Group::Text,
            Some(TokenKind::Image(_)) => Group::Image,
            Some(TokenKind::Pad) => Group::Pad,
            _ => Group::Special,
        };
        let mut words = String::new();
        for run in ids.chunk_by(|one, other| group(one) == group(other) && group(one) != Group::Special) {
            match group(&run[0]) {
                Group::Text => words.push_str(&self.text.decode(run).unwrap_or_default()),
                Group::Image => words.push_str(&image_words(run.len())),
                Group::Pad => words.push_str(&format!("[padding {} tokens]", run.len())),
                Group::Special => words.push_str(self.vocabulary.token(run[0]).unwrap_or("<unknown>")),
            }
        }
        words
    }
}

/// Spans whose place and whose tokens, up to their end, are in this piece. A piece may end within a span.
fn spans(ids: &[TokenId], start: usize, specials: &Specials) -> Vec<ShownSpan> {
    let mut gaps = BTreeMap::new();
    let mut spans = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let Some(sentinel) = specials.sentinel_index(*id) else { continue };
        let Some(gap) = gaps.remove(&sentinel) else {
            gaps.insert(sentinel, index);
            continue;
        };
        let moved = &ids[index + 1..];
        if let Some(length) = moved.iter().position(|id| *id == specials.end_of_span) {
            spans.push(ShownSpan { sentinel, gap: start + gap, start: start + index + 1, length });
        }
    }
    spans
}

#[derive(PartialEq, Clone, Copy)]
enum Group {
    Text,
    Image,
    Pad,
    Special,
}

/// A whole square grid is named by its sides, a part of one by its tokens.
fn image_words(tokens: usize) -> String {
    let side = tokens.isqrt();
    if side * side == tokens && tokens > 1 {
        return format!("[image {side}x{side}]");
    }
    format!("[{tokens} tokens of an image]")
}

fn pieces(batch: &RecordBatch, reader: &Reader) -> Result<Vec<ShownPiece>, RunError> {
    let (ids, labels) = (columns::input_ids(), columns::labels());
    let (lengths, keys) = (columns::seq_lengths(), columns::document_keys());
    let offsets = columns::document_offsets();
    let (ids, labels) = (ids.of(batch)?.value(0), labels.of(batch)?.value(0));
    let (ids, labels) = (ids.as_primitive::<Int32Type>().values(), labels.as_primitive::<Int32Type>().values());
    let (lengths, keys, offsets) = (lengths.of(batch)?.value(0), keys.of(batch)?.value(0), offsets.of(batch)?.value(0));
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
            trained: labels[start..end].iter().filter(|label| **label >= 0).count(),
            text: reader.words(piece),
            spans: spans(piece, start, &reader.vocabulary.specials()),
        });
        start = end;
    }
    Ok(pieces)
}

/// URLs of documents, from the run's exchange.
async fn urls<'a>(store: &Store, keys: impl Iterator<Item = &'a str>) -> Result<BTreeMap<String, String>, RunError> {
    let wanted: BTreeSet<Key> = keys.filter_map(Key::from_hex).collect();
    let commits = commits_of(store, Stage::Documents).await?;
    let files: Vec<String> =
        commits.iter().filter_map(|commit| commit.file("documents")).map(|file| file.path.clone()).collect();
    let context = session(store, 256 << 20, 1024)?;
    let binary =
        |key: &Key| lit(datafusion::scalar::ScalarValue::FixedSizeBinary(Key::BYTES as i32, Some(key.0.to_vec())));
    let documents = scan(&context, &files, &tables::documents()).await?;
    let documents = documents.select(vec![col("key"), col("url")])?;
    let documents = documents.filter(col("key").in_list(wanted.iter().map(binary).collect(), false))?;
    let mut found = BTreeMap::new();
    for batch in documents.collect().await? {
        let (key, url) = (columns::key(), columns::url());
        let (key, url) = (key.of(&batch)?, url.of(&batch)?);
        for row in 0..batch.num_rows() {
            found.insert(Key::from_slice(key.value(row)).unwrap_or_default().to_string(), url.value(row).to_owned());
        }
    }
    Ok(found)
}

impl ShownRow {
    /// The row for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("row {} of {}\n", self.row, self.file);
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
            for span in &piece.spans {
                let (sentinel, gap, at, length) = (span.sentinel, span.gap, span.start, span.length);
                text.push_str(&format!("   span {sentinel}: {length} tokens moved from {gap} to {at}\n"));
            }
            text.push_str(&format!("{}\n", piece.text));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_grid_is_named_by_its_sides() {
        assert_eq!(image_words(256), "[image 16x16]");
        assert_eq!(image_words(100), "[image 10x10]");
        assert_eq!(image_words(7), "[7 tokens of an image]");
    }

    #[test]
    fn a_span_that_its_piece_cuts_is_not_shown() {
        let specials = Specials { pad: 2, end_of_document: 3, end_of_span: 4, first_sentinel: 5, num_sentinels: 2 };
        let ids = [0, 5, 1, 6, 0, 5, 1, 1, 4, 6, 1, 0];
        let whole = ShownSpan { sentinel: 0, gap: 101, start: 106, length: 2 };
        assert_eq!(spans(&ids, 100, &specials), [whole]);
    }
}
