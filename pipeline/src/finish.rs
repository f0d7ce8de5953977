//! The end of a run: vocabulary, dataset card, and last of all the manifest.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use pageloom_schemas::tables;
use serde::{Deserialize, Serialize};

use crate::engine::commit::{Commit, add_up};
use crate::engine::plan::Stage;
use crate::engine::stages::Before;
use crate::engine::stages::shards::RowsOf;
use crate::engine::store::{Store, json_bytes};
use crate::engine::table_writer::TableFile;
use crate::engine::unit::Run;
use crate::error::RunError;
use crate::step::{Ids, Resources};

mod card;

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
    /// Rows of every shard but the last, or the last of each phase of training.
    pub rows_per_shard: u64,
    /// Rows of all shards.
    pub rows: u64,
    /// Tokens of all shards, padding included.
    pub tokens: u64,
    /// Padding among them.
    pub padding_tokens: u64,
    /// How often a document stands in front of one that it was retrieved for; each counts for all views of that one.
    #[serde(default)]
    pub neighbours: u64,
    /// How often one was to stand there that the run does not have.
    #[serde(default)]
    pub missing_neighbours: u64,
    /// Blocks that documents were joined into; none where the objective takes documents.
    #[serde(default)]
    pub blocks: u64,
    /// Tokens of documents, or of blocks, that the objective's rule on length has left out.
    pub left_out_tokens: u64,
    /// Tokens that packing has dropped from examples, or from documents where they were joined into blocks.
    pub dropped_tokens: u64,
    /// Examples that are in more than one row, or not whole, and documents that are not whole in one block.
    pub cut_examples: u64,
    /// How often a row or a block ends inside an image.
    pub cut_images: u64,
    /// Documents in the shards.
    pub documents: u64,
    /// Images with tokens, each counted once.
    pub images: u64,
    /// What was not kept, by `kind.reason`.
    pub rejects: BTreeMap<String, u64>,
    /// Records of the sources that are neither page nor image, by what they are.
    #[serde(default)]
    pub skipped: BTreeMap<String, u64>,
    /// References to images that were taken out of documents that stayed, by `image.reason`.
    pub dropped_references: BTreeMap<String, u64>,
    /// The shards, in order.
    pub files: Vec<ShardFile>,
    /// The table of images, where the job wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_table: Option<ImageTable>,
}

impl Manifest {
    /// Whether there are sequences beside a table of images.
    pub fn makes_sequences(&self) -> bool {
        !self.files.is_empty() || self.image_table.is_none()
    }
}

/// The table of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageTable {
    /// Rows of every shard but the last.
    pub rows_per_shard: u64,
    /// Rows of all shards, one for each image.
    pub rows: u64,
    /// The shards, in order.
    pub files: Vec<ShardFile>,
}

/// Commits of the shards that trainers read.
#[derive(Debug, Clone, Default)]
pub struct Shards {
    /// Of sequences.
    pub sequences: Vec<Commit>,
    /// Of images.
    pub images: Vec<Commit>,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardFile {
    /// Where it is, relative to the manifest.
    pub path: String,
    /// Which phase of training all of its rows are for, where the job's objective has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<u32>,
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
pub async fn finish(run: &Run, before: &Before, shards: &Shards) -> Result<Manifest, RunError> {
    let manifest = manifest(run, before, shards);
    still_there(&run.store, &manifest).await?;
    if let Some(ids) = &run.checked.resources.ids {
        run.store.write(VOCABULARY, json_bytes(ids.vocabulary.as_ref())?).await?;
        run.store.write(TEXT_TOKENIZER, text_tokenizer(run, ids)?).await?;
    }
    run.store.write("README.md", card::card(&manifest, &run.checked).into_bytes()).await?;
    run.store.write(MANIFEST, json_bytes(&manifest)?).await?;
    Ok(manifest)
}

/// Requests on their way at once.
const REQUESTS: usize = 16;

/// Shards that were committed, by an earlier attempt perhaps, lie where they did.
async fn still_there(store: &Store, manifest: &Manifest) -> Result<(), RunError> {
    let files = manifest.files.iter().chain(manifest.image_table.iter().flat_map(|table| &table.files));
    let look = |file: &ShardFile| {
        let (objects, path, bytes) = (store.objects(), file.path.clone(), file.bytes);
        async move {
            let found = objects.head(&path.as_str().into()).await;
            let cause = match found {
                Ok(meta) if meta.size == bytes => return Ok(()),
                Ok(meta) => format!("it has {} bytes, and had {bytes} when it was committed", meta.size),
                Err(object_store::Error::NotFound { .. }) => "it was committed, and is there no more".to_owned(),
                Err(error) => return Err(error.into()),
            };
            let cause = format!("{cause}; `--reuse` of this output, into another, makes it again");
            Err(RunError::Record { path, cause })
        }
    };
    stream::iter(files.map(look)).buffer_unordered(REQUESTS).try_collect().await
}

/// The text tokenizer's file, as it was when the run began.
fn text_tokenizer(run: &Run, ids: &Ids) -> Result<Vec<u8>, RunError> {
    let file = run.checked.job.tokenizers.text.clone().unwrap_or_default();
    let path = run.checked.folder.join(file);
    let broken = |cause: String| RunError::Record { path: path.display().to_string(), cause };
    let bytes = std::fs::read(&path).map_err(|error| broken(error.to_string()))?;
    if blake3::hash(&bytes).to_hex().as_str() != ids.text.digest() {
        return Err(broken("it has changed while the run went on".into()));
    }
    Ok(bytes)
}

fn shard_files(shards: &[Commit], rows_of: &RowsOf<'_>) -> Vec<ShardFile> {
    let named = shards.iter().filter_map(|commit| Some((commit, commit.file("shard")?)));
    let file = |(commit, file): (&Commit, &TableFile)| ShardFile {
        path: file.path.clone(),
        phase: rows_of.phase_of_shard(commit.index),
        rows: file.rows,
        tokens: commit.count("row_tokens"),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    };
    named.map(file).collect()
}

fn manifest(run: &Run, before: &Before, shards: &Shards) -> Manifest {
    let sequence_length = run.checked.job.sequences.as_ref().and_then(|sequences| sequences.packing.row_length());
    let sum = |commits: &[Commit], name: &str| -> u64 { commits.iter().map(|commit| commit.count(name)).sum() };
    let sums = |names: &[&str]| -> u64 { names.iter().map(|name| sum(&before.sequences, name)).sum() };
    let commits = || [&before.documents, &before.images, &before.sequences].into_iter().flatten();
    let files = shard_files(&shards.sequences, &run.plan.rows_of(Stage::Shards, before));
    let image_table = run.checked.job.image_shards.as_ref().map(|settings| {
        let files = shard_files(&shards.images, &run.plan.rows_of(Stage::ImageShards, before));
        ImageTable { rows_per_shard: settings.rows_per_shard, rows: files.iter().map(|file| file.rows).sum(), files }
    });
    Manifest {
        format_version: tables::FORMAT_VERSION,
        job: run.checked.job.name.clone(),
        job_digest: run.checked.digest.clone(),
        plan_digest: run.plan.digest(),
        seed: run.checked.job.seed,
        sequence_length,
        image_grid: image_grid(&run.checked.resources),
        vocabulary_size: run.checked.resources.ids.as_ref().map_or(0, |ids| ids.vocabulary.size()),
        rows_per_shard: run.checked.job.shards.rows_per_shard,
        rows: files.iter().map(|file| file.rows).sum(),
        tokens: files.iter().map(|file| file.tokens).sum(),
        padding_tokens: sum(&before.sequences, "padding_tokens"),
        left_out_tokens: sum(&before.sequences, "left_out_tokens"),
        neighbours: sum(&before.sequences, "neighbours_in_front"),
        missing_neighbours: sum(&before.sequences, "neighbours_missing"),
        blocks: sum(&before.sequences, "blocks"),
        dropped_tokens: sums(&["dropped_tokens", "dropped_joined_tokens"]),
        cut_examples: sums(&["cut_examples", "cut_documents"]),
        cut_images: sums(&["cut_images", "cut_joined_images"]),
        documents: sum(&before.sequences, "documents"),
        images: sum(&before.images, "images"),
        rejects: add_up(commits().map(|commit| &commit.rejects)),
        skipped: add_up(before.documents.iter().map(|commit| &commit.skipped)),
        dropped_references: add_up(commits().map(|commit| &commit.dropped)),
        files,
        image_table,
    }
}

/// Columns and rows of an image's tokens.
pub fn image_grid(resources: &Resources) -> [u16; 2] {
    let grid = resources.images.grid();
    [grid.width, grid.height]
}
