//! The end of a run: vocabulary, dataset card, and last of all the manifest.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use pageloom_schemas::{features, tables};
use serde::{Deserialize, Serialize};

use crate::engine::commit::{Commit, add_up};
use crate::engine::stages::Before;
use crate::engine::store::json_bytes;
use crate::engine::unit::Run;
use crate::error::RunError;
use crate::step::Resources;
use crate::token_columns::sequences;

/// The list of shards, written when everything else is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the tables.
    pub format_version: u32,
    /// The job's name.
    pub job: String,
    /// Digest of the job and its tokenizers.
    pub job_digest: String,
    /// Digest of the plan: job and input.
    pub plan_digest: String,
    /// The job's seed.
    pub seed: u64,
    /// Length of every row, in tokens; none where rows are as long as their examples.
    pub sequence_length: Option<u32>,
    /// Columns and rows of an image's tokens.
    pub image_grid: [u16; 2],
    /// Ids are below this.
    pub vocabulary_size: u32,
    /// Rows of every shard but the last.
    pub rows_per_shard: u64,
    /// Rows of all shards.
    pub rows: u64,
    /// Tokens of all shards, padding included.
    pub tokens: u64,
    /// Padding among them.
    pub padding_tokens: u64,
    /// Tokens of documents that the objective's rule on length has left out.
    pub left_out_tokens: u64,
    /// Tokens of examples that packing has dropped.
    pub dropped_tokens: u64,
    /// Examples that are in more than one row, or not whole.
    pub cut_examples: u64,
    /// How often a row ends inside an image.
    pub cut_images: u64,
    /// Documents in the shards.
    pub documents: u64,
    /// Images with tokens, each counted once.
    pub images: u64,
    /// What was not kept, by `kind.reason`.
    pub rejects: BTreeMap<String, u64>,
    /// References to images that were taken out of documents that stayed, by `image.reason`.
    pub dropped_references: BTreeMap<String, u64>,
    /// The shards, in order.
    pub files: Vec<ShardFile>,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardFile {
    /// Where it is, relative to the manifest.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its tokens, padding included.
    pub tokens: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// Name of the manifest in the output folder.
pub const MANIFEST: &str = "manifest.json";
/// Name of the vocabulary in the output folder.
pub const VOCABULARY: &str = "vocabulary.json";
/// Name of the text tokenizer in the output folder.
pub const TEXT_TOKENIZER: &str = "tokenizer.json";

/// Writes everything that stands beside the shards, the manifest last.
pub async fn finish(run: &Run, before: &Before, shards: &[Commit]) -> Result<Manifest, RunError> {
    let manifest = manifest(run, before, shards);
    let vocabulary = run.checked.resources.vocabulary.as_ref();
    run.store.write(VOCABULARY, json_bytes(vocabulary)?).await?;
    run.store.write(TEXT_TOKENIZER, text_tokenizer(run)?).await?;
    run.store.write("README.md", card(&manifest, &sequences(&run.checked.job)).into_bytes()).await?;
    run.store.write(MANIFEST, json_bytes(&manifest)?).await?;
    Ok(manifest)
}

/// The text tokenizer's file, as it was when the run began.
fn text_tokenizer(run: &Run) -> Result<Vec<u8>, RunError> {
    let path = run.checked.folder.join(&run.checked.job.tokenizers.text);
    let broken = |cause: String| RunError::Record { path: path.display().to_string(), cause };
    let bytes = std::fs::read(&path).map_err(|error| broken(error.to_string()))?;
    if blake3::hash(&bytes).to_hex().as_str() != run.checked.resources.text.digest() {
        return Err(broken("it has changed while the run went on".into()));
    }
    Ok(bytes)
}

fn manifest(run: &Run, before: &Before, shards: &[Commit]) -> Manifest {
    let sequence_length = run.checked.job.sequences.packing.row_length();
    let sum = |commits: &[Commit], name: &str| -> u64 { commits.iter().map(|commit| commit.count(name)).sum() };
    let commits = || [&before.documents, &before.images, &before.sequences].into_iter().flatten();
    let files: Vec<ShardFile> = shards
        .iter()
        .filter_map(|commit| Some((commit, commit.file("shard")?)))
        .map(|(commit, file)| ShardFile {
            path: file.path.clone(),
            rows: file.rows,
            tokens: commit.count("row_tokens"),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        })
        .collect();
    Manifest {
        format_version: tables::FORMAT_VERSION,
        job: run.checked.job.name.clone(),
        job_digest: run.checked.digest.clone(),
        plan_digest: run.plan.digest(),
        seed: run.checked.job.seed,
        sequence_length,
        image_grid: image_grid(&run.checked.resources),
        vocabulary_size: run.checked.resources.vocabulary.size(),
        rows_per_shard: run.checked.job.shards.rows_per_shard,
        rows: files.iter().map(|file| file.rows).sum(),
        tokens: files.iter().map(|file| file.tokens).sum(),
        padding_tokens: sum(&before.sequences, "padding_tokens"),
        left_out_tokens: sum(&before.sequences, "left_out_tokens"),
        dropped_tokens: sum(&before.sequences, "dropped_tokens"),
        cut_examples: sum(&before.sequences, "cut_examples"),
        cut_images: sum(&before.sequences, "cut_images"),
        documents: sum(&before.sequences, "documents"),
        images: sum(&before.images, "images"),
        rejects: add_up(commits().map(|commit| &commit.rejects)),
        dropped_references: add_up(commits().map(|commit| &commit.dropped)),
        files,
    }
}

/// Columns and rows of an image's tokens.
pub fn image_grid(resources: &Resources) -> [u16; 2] {
    let grid = resources.images.grid();
    [grid.width, grid.height]
}

/// The dataset card that Hugging Face reads.
fn card(manifest: &Manifest, schema: &Schema) -> String {
    let features = features::features(schema);
    let feature = |name: &String| {
        let dtype = features[name]["feature"]["dtype"].as_str().unwrap_or_default();
        format!("    - name: {name}\n      sequence: {dtype}\n")
    };
    let features: String = schema.fields().iter().map(|field| feature(field.name())).collect();
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let (name, rows, tokens) = (&manifest.job, manifest.rows, manifest.tokens);
    let rows_of = manifest
        .sequence_length
        .map_or("rows as long as their examples".to_owned(), |length| format!("rows of {length} tokens"));
    let (padding, documents, images) = (manifest.padding_tokens, manifest.documents, manifest.images);
    let vocabulary_size = manifest.vocabulary_size;
    let about = |name: &str| match name {
        "position_ids" => "| `position_ids` | a position for each token |\n",
        "block_position_ids" => "| `block_position_ids` | a second row of positions, within spans |\n",
        "loss_weights" => "| `loss_weights` | the weight of each token's loss |\n",
        _ => "",
    };
    let of_tokens: String = schema.fields().iter().map(|field| about(field.name())).collect();
    format!(
        "---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
dataset_info:
  features:
{features}  splits:
  - name: train
    num_bytes: {bytes}
    num_examples: {rows}
---
# {name}

Training sequences made by Pageloom: {documents} documents and {images} images in {rows} {rows_of}
({tokens} tokens, {padding} of them padding), ids below {vocabulary_size}.

| column | what it holds |
| --- | --- |
| `input_ids` | token ids; `vocabulary.json` names every id |
| `labels` | the same ids, unshifted; -100 where there is no loss (sentinels, padding) |
| `seq_lengths` | lengths of the pieces packed into the row; they add up to the row |
| `document_keys` | the document of each piece; empty for padding, which is always the last piece |
| `document_offsets` | where each piece starts in its document's example |
| `objectives` | what made each piece |
| `views`, `branches` | which view of its document each piece is of, and which of the examples of one draw |
| `prefix_lens` | how many tokens at the start of each piece see each other in both directions |
| `label_shifts` | 1 where the token before predicts a label, 0 where the label's own position does |
{of_tokens}"
    )
}
