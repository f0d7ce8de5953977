//! Shards: rows of all units of a stage, in order, become files of equal length, those of each phase of training by themselves.

use arrow::array::AsArray;
use arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use pageloom_schemas::tables;

use crate::check::CheckedJob;
use crate::engine::commit::Commit;
use crate::engine::plan::{Stage, Unit};
use crate::engine::stages::sequences::table_of_phase;
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
    /// Rows of every shard but the last of each phase of training.
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
        RowsOf::of(self.stage, before, self.rows_per_shard)
    }
}

/// The rows that shards take: those of all units for the first phase of training, then those for the next.
#[derive(Debug, Clone)]
pub struct RowsOf<'a> {
    /// The units' files with the rows of each phase; a table without phases is one.
    phases: Vec<Vec<&'a TableFile>>,
    rows_per_shard: u64,
}

impl<'a> RowsOf<'a> {
    /// Those of a stage of shards with so many rows each.
    pub fn of(stage: Stage, before: &'a Before, rows_per_shard: u64) -> Self {
        let phases = match stage {
            Stage::ImageShards => vec![files(&before.images, "image_rows")],
            _ => {
                let of_phases = (0..).map(|phase| files(&before.sequences, &table_of_phase(phase)));
                of_phases.take_while(|files| !files.is_empty()).collect()
            }
        };
        Self { phases, rows_per_shard: rows_per_shard.max(1) }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.phases.iter().map(|files| rows_in(files)).sum()
    }

    /// How many shards they fill. None has rows of two phases, so the last one of each may be shorter.
    pub fn num_shards(&self) -> u32 {
        (0..self.phases.len()).map(|phase| self.shards_of(phase)).sum()
    }

    /// Those of one shard: in which files they lie, from which row on, and how many.
    pub fn of_shard(&self, index: u32) -> Vec<(&'a TableFile, u64, u64)> {
        let Some((phase, index)) = self.place(index) else { return Vec::new() };
        let files = &self.phases[phase];
        let first = u64::from(index) * self.rows_per_shard;
        stretches(files.iter().copied(), first, self.rows_per_shard.min(rows_in(files).saturating_sub(first)))
    }

    /// Which phase of training a shard is for; none where there is only one.
    pub fn phase_of_shard(&self, index: u32) -> Option<u32> {
        self.place(index).filter(|_| self.phases.len() > 1).map(|(phase, _)| phase as u32)
    }

    /// A shard's phase, and its place among the shards of that.
    fn place(&self, mut index: u32) -> Option<(usize, u32)> {
        for phase in 0..self.phases.len() {
            match self.shards_of(phase) {
                shards if index < shards => return Some((phase, index)),
                shards => index -= shards,
            }
        }
        None
    }

    fn shards_of(&self, phase: usize) -> u32 {
        rows_in(&self.phases[phase]).div_ceil(self.rows_per_shard) as u32
    }
}

fn files<'a>(commits: &'a [Commit], table: &str) -> Vec<&'a TableFile> {
    commits.iter().filter_map(|commit| commit.file(table)).collect()
}

fn rows_in(files: &[&TableFile]) -> u64 {
    files.iter().map(|file| file.rows).sum()
}

/// Runs one unit: one shard. Its name and its bytes are the same for whoever writes it, so it is written in place.
pub async fn run(run: &Run, unit: &Unit, log: &UnitLog, before: &Before) -> Result<Files, RunError> {
    let table = ShardedTable::of(&run.checked, unit.stage);
    let table = table.ok_or_else(|| RunError::Bug(format!("{unit}: the job has no such table")))?;
    let rows_of = table.rows_of(before);
    let path = shard_path(table.folder, unit.index, rows_of.num_shards());
    let properties = shard_properties(&table.schema, table.rows_per_row_group, provenance(run))?;
    let writer = log.file(run, path, table.schema.clone(), properties)?;
    let (shard, tokens) = run_into(run, unit, log, &table, &rows_of, writer).await?;
    log.count("rows", shard.rows);
    log.count("shard_bytes", shard.bytes);
    log.count("row_tokens", tokens);
    Ok(vec![("shard".into(), shard)])
}

/// Hands the rows of one shard to `sink`; also tells their tokens.
pub async fn run_into(
    run: &Run,
    unit: &Unit,
    log: &UnitLog,
    table: &ShardedTable,
    rows_of: &RowsOf<'_>,
    mut sink: impl TableSink,
) -> Result<(TableFile, u64), RunError> {
    let mut tokens = 0;
    for (file, first, rows) in rows_of.of_shard(unit.index) {
        log.at_work().did("copies rows of", &file.path);
        tokens += copy(run, &file.path, (first, rows), table, &mut sink).await?;
    }
    Ok((sink.finish().await?, tokens))
}

/// `data/train-00000-of-00128.parquet`
fn shard_path(folder: &str, index: u32, shards: u32) -> String {
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

    #[test]
    fn a_shard_is_for_one_phase_and_phases_follow_one_another() {
        let files = [file("a0", 3), file("b0", 2), file("a1", 1), file("b1", 0), file("c1", 2)];
        let [a0, b0, a1, b1, c1] = &files;
        let rows_of = RowsOf { phases: vec![vec![a0, b0], vec![a1, b1, c1]], rows_per_shard: 2 };
        assert_eq!((rows_of.count(), rows_of.num_shards()), (8, 5));
        let shards: Vec<_> = (0..5).map(|index| rows_of.of_shard(index)).collect();
        let expected = [
            vec![(a0, 0, 2)],
            vec![(a0, 2, 1), (b0, 0, 1)],
            vec![(b0, 1, 1)],
            vec![(a1, 0, 1), (c1, 0, 1)],
            vec![(c1, 1, 1)],
        ];
        assert_eq!(shards, expected);
        let phases: Vec<_> = (0..6).map(|index| rows_of.phase_of_shard(index)).collect();
        assert_eq!(phases, [Some(0), Some(0), Some(0), Some(1), Some(1), None]);
    }

    #[test]
    fn a_table_without_phases_names_none() {
        let only = file("a", 3);
        let rows_of = RowsOf { phases: vec![vec![&only]], rows_per_shard: 2 };
        assert_eq!((rows_of.num_shards(), rows_of.phase_of_shard(0)), (2, None));
    }
}
