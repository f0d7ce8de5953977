//! Shards: rows of all sequences units, in order, become files of exactly equal length.

use futures::TryStreamExt;
use pageloom_schemas::{columns, tables};

use crate::engine::commit::Commit;
use crate::engine::plan::Unit;
use crate::engine::table_reader::open_table;
use crate::engine::table_writer::{TableFile, TableSink, shard_properties};
use crate::engine::unit::{Files, Run, UnitLog};
use crate::error::RunError;
use crate::token_columns::sequences as table;

const BATCH_ROWS: usize = 256;

/// Runs one unit: one shard. Its name and its bytes are the same for whoever writes it, so it is written in place.
pub async fn run(run: &Run, unit: &Unit, log: &UnitLog, sequences: &[Commit]) -> Result<Files, RunError> {
    let total: u64 = sequences.iter().filter_map(|commit| commit.file("sequences")).map(|file| file.rows).sum();
    let path = shard_path(unit.index, total.div_ceil(run.checked.job.shards.rows_per_shard));
    let schema = table(&run.checked.job);
    let properties = shard_properties(&schema, run.checked.job.shards.rows_per_row_group, provenance(run))?;
    let writer = log.file(run, path, schema, properties)?;
    let (shard, tokens) = run_into(run, unit, log, sequences, writer).await?;
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
    sequences: &[Commit],
    mut sink: impl TableSink,
) -> Result<(TableFile, u64), RunError> {
    let mut tokens = 0;
    for (file, first, rows) in stretches_of_shard(sequences, unit.index, run.checked.job.shards.rows_per_shard) {
        log.at_work().did("copies rows of", &file.path);
        tokens += copy(run, &file.path, (first, rows), &mut sink).await?;
    }
    Ok((sink.finish().await?, tokens))
}

/// The rows of one shard: in which files they lie, from which row on, and how many.
pub fn stretches_of_shard(sequences: &[Commit], index: u32, rows_per_shard: u64) -> Vec<(&TableFile, u64, u64)> {
    let files: Vec<&TableFile> = sequences.iter().filter_map(|commit| commit.file("sequences")).collect();
    let total: u64 = files.iter().map(|file| file.rows).sum();
    let first = u64::from(index) * rows_per_shard;
    stretches(&files, first, rows_per_shard.min(total.saturating_sub(first)))
}

/// `data/train-00000-of-00128.parquet`
pub fn shard_path(index: u32, shards: u64) -> String {
    format!("data/train-{index:05}-of-{shards:05}.parquet")
}

/// What made the rows, in each shard's footer.
fn provenance(run: &Run) -> Vec<(String, String)> {
    let value = serde_json::json!({
        "format_version": tables::FORMAT_VERSION,
        "job_digest": run.checked.digest,
        "seed": run.checked.job.seed,
        "text_tokenizer": run.checked.resources.text.digest(),
        "image_tokenizer": run.checked.resources.images.provenance(),
    });
    vec![("pageloom".into(), value.to_string())]
}

/// Where `rows` rows from `first` on lie, counted over all files.
fn stretches<'a>(files: &[&'a TableFile], first: u64, rows: u64) -> Vec<(&'a TableFile, u64, u64)> {
    let mut found = Vec::new();
    let (mut before, end) = (0, first + rows);
    for file in files {
        let (from, to) = (first.max(before), end.min(before + file.rows));
        if from < to {
            found.push((*file, from - before, to - from));
        }
        before += file.rows;
    }
    found
}

async fn copy(run: &Run, path: &str, (first, count): (u64, u64), sink: &mut impl TableSink) -> Result<u64, RunError> {
    let rows = open_table(&run.store, path).await?;
    let rows = rows.with_offset(first as usize).with_limit(count as usize).with_batch_size(BATCH_ROWS);
    let (mut rows, mut tokens) = (rows.build()?, 0);
    while let Some(batch) = rows.try_next().await? {
        run.progress.worked(batch.num_rows() as u64);
        let input_ids = columns::input_ids();
        tokens += input_ids.of(&batch)?.value_offsets().windows(2).map(|ends| (ends[1] - ends[0]) as u64).sum::<u64>();
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
        assert_eq!(stretches(&[a, b, c], 2, 3), [(a, 2, 1), (c, 0, 2)]);
        assert_eq!(stretches(&[a, b, c], 5, 2), [(c, 2, 2)]);
        assert_eq!(stretches(&[a, b, c], 0, 0), []);
    }
}
