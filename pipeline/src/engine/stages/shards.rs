//! Shards: rows of all units of a stage, in order, become files of exactly equal length.

use arrow::array::AsArray;
use arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use pageloom_schemas::tables;

use crate::check::CheckedJob;
use crate::engine::commit::Commit;
use crate::engine::plan::{Stage, Unit};
use crate::engine::stages::{Before, image_rows};
use crate::engine::table_reader::open_table;
use crate::engine::table_writer::{TableFile, TableSink, shard_properties};
use crate::engine::unit::{Files, Run, UnitLog};
use crate::error::RunError;
use crate::token_columns::sequences;

const BATCH_ROWS: usize = 256;

/// A table that trainers read, as its shards are written.
#[derive(Debug, Clone)]
pub struct ShardedTable {
    stage: Stage,
    /// The folder of the shards in the output.
    pub folder: &'static str,
    /// Its columns.
    pub schema: SchemaRef,
    /// The column whose values are counted as tokens.
    tokens: &'static str,
    /// Rows of every shard but the last.
    pub rows_per_shard: u64,
    rows_per_row_group: u64,
}

/// Folder of the shards of sequences.
pub const SEQUENCES: &str = "data";
/// Folder of the shards of images.
pub const IMAGES: &str = "images";

impl ShardedTable {
    /// What a stage of shards writes; none for any other stage, or where the job doesn't want that table.
    pub fn of(checked: &CheckedJob, stage: Stage) -> Option<Self> {
        let job = &checked.job;
        match stage {
            Stage::Shards => job.sequences.as_ref().map(|of| Self {
                stage,
                folder: SEQUENCES,
                schema: sequences(checked, of),
                tokens: "input_ids",
                rows_per_shard: job.shards.rows_per_shard,
                rows_per_row_group: job.shards.rows_per_row_group,
            }),
            Stage::ImageShards => job.image_shards.as_ref().map(|of| Self {
                stage,
                folder: IMAGES,
                schema: image_rows::schema(checked),
                tokens: "tokens",
                rows_per_shard: of.rows_per_shard,
                rows_per_row_group: of.rows_per_row_group,
            }),
            _ => None,
        }
    }

    /// The rows that its shards take.
    pub fn rows_of<'a>(&self, before: &'a Before) -> RowsOf<'a> {
        RowsOf::of(self.stage, before)
    }
}

/// The rows that shards take: of which units, and of which table among their files.
#[derive(Debug, Clone, Copy)]
pub struct RowsOf<'a> {
    commits: &'a [Commit],
    table: &'static str,
}

impl<'a> RowsOf<'a> {
    /// Those of a stage of shards.
    pub fn of(stage: Stage, before: &'a Before) -> Self {
        match stage {
            Stage::ImageShards => Self { commits: &before.images, table: "image_rows" },
            _ => Self { commits: &before.sequences, table: "sequences" },
        }
    }

    /// How many there are.
    pub fn count(self) -> u64 {
        self.files().map(|file| file.rows).sum()
    }

    /// Those of one shard: in which files they lie, from which row on, and how many.
    pub fn of_shard(self, index: u32, rows_per_shard: u64) -> Vec<(&'a TableFile, u64, u64)> {
        let first = u64::from(index) * rows_per_shard;
        stretches(self.files(), first, rows_per_shard.min(self.count().saturating_sub(first)))
    }

    fn files(self) -> impl Iterator<Item = &'a TableFile> {
        self.commits.iter().filter_map(move |commit| commit.file(self.table))
    }
}

/// Runs one unit: one shard. Its name and its bytes are the same for whoever writes it, so it is written in place.
pub async fn run(run: &Run, unit: &Unit, log: &UnitLog, before: &Before) -> Result<Files, RunError> {
    let table = ShardedTable::of(&run.checked, unit.stage);
    let table = table.ok_or_else(|| RunError::Bug(format!("{unit}: the job has no such table")))?;
    let rows_of = table.rows_of(before);
    let path = shard_path(table.folder, unit.index, rows_of.count().div_ceil(table.rows_per_shard));
    let properties = shard_properties(&table.schema, table.rows_per_row_group, provenance(run))?;
    let writer = log.file(run, path, table.schema.clone(), properties)?;
    let (shard, tokens) = run_into(run, unit, log, &table, rows_of, writer).await?;
    log.count("rows", shard.rows);
    log.count("shard_bytes", shard.bytes);
    log.count("row_tokens", tokens);
    Ok(vec![("shard", shard)])
}

/// Hands the rows of one shard to `sink`; also tells their tokens.
pub async fn run_into(
    run: &Run,
    unit: &Unit,
    log: &UnitLog,
    table: &ShardedTable,
    rows_of: RowsOf<'_>,
    mut sink: impl TableSink,
) -> Result<(TableFile, u64), RunError> {
    let mut tokens = 0;
    for (file, first, rows) in rows_of.of_shard(unit.index, table.rows_per_shard) {
        log.at_work().did("copies rows of", &file.path);
        tokens += copy(run, &file.path, (first, rows), table, &mut sink).await?;
    }
    Ok((sink.finish().await?, tokens))
}

/// `data/train-00000-of-00128.parquet`
fn shard_path(folder: &str, index: u32, shards: u64) -> String {
    format!("{folder}/train-{index:05}-of-{shards:05}.parquet")
}

/// What made the rows, in each shard's footer.
fn provenance(run: &Run) -> Vec<(String, String)> {
    let value = serde_json::json!({
        "format_version": tables::FORMAT_VERSION,
        "job_digest": run.checked.digest,
        "seed": run.checked.job.seed,
        "text_tokenizer": run.checked.resources.ids.as_ref().map(|ids| ids.text.digest()),
        "image_tokenizer": run.checked.resources.images.provenance(),
    });
    vec![("pageloom".into(), value.to_string())]
}

/// Where `rows` rows from `first` on lie, counted over all files.
fn stretches<'a>(files: impl Iterator<Item = &'a TableFile>, first: u64, rows: u64) -> Vec<(&'a TableFile, u64, u64)> {
    let mut found = Vec::new();
    let (mut before, end) = (0, first + rows);
    for file in files {
        let (from, to) = (first.max(before), end.min(before + file.rows));
        if from < to {
            found.push((file, from - before, to - from));
        }
        before += file.rows;
    }
    found
}

async fn copy(
    run: &Run,
    path: &str,
    (first, count): (u64, u64),
    table: &ShardedTable,
    sink: &mut impl TableSink,
) -> Result<u64, RunError> {
    let rows = open_table(&run.store, path).await?;
    let rows = rows.with_offset(first as usize).with_limit(count as usize).with_batch_size(BATCH_ROWS);
    let (mut rows, mut tokens) = (rows.build()?, 0);
    while let Some(batch) = rows.try_next().await? {
        run.progress.worked(batch.num_rows() as u64);
        let lists = batch.column_by_name(table.tokens).and_then(|column| column.as_list_opt::<i32>());
        let lost = || RunError::Bug(format!("{path}: no column `{}`", table.tokens));
        let offsets = lists.ok_or_else(lost)?.value_offsets();
        tokens += offsets.windows(2).map(|ends| (ends[1] - ends[0]) as u64).sum::<u64>();
        sink.write(batch).await?;
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, rows: u64) -> TableFile {
        TableFile { path: path.into(), rows, bytes: 0, sha256: String::new(), segments: None }
    }

    #[test]
    fn a_shard_takes_its_rows_across_files() {
        let files = [file("a", 3), file("b", 0), file("c", 4)];
        let [a, b, c] = &files;
        assert_eq!(stretches([a, b, c].into_iter(), 2, 3), [(a, 2, 1), (c, 0, 2)]);
        assert_eq!(stretches([a, b, c].into_iter(), 5, 2), [(c, 2, 2)]);
        assert_eq!(stretches([a, b, c].into_iter(), 0, 0), []);
    }
}
