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

/// A run of rows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    path: String,
    first: u64,
    rows: u64,
}

/// Runs one unit: one shard. Its name and its bytes are the same for whoever writes it, so it is written in place.
pub async fn run(run: &Run, unit: &Unit, log: &UnitLog, sequences: &[Commit]) -> Result<Files, RunError> {
    let total: u64 = sequences.iter().filter_map(|commit| commit.file("sequences")).map(|file| file.rows).sum();
    let path = shard_path(unit.index, total.div_ceil(run.checked.job.shards.rows_per_shard));
    let schema = table(&run.checked.job);
    let properties = shard_properties(&schema, run.checked.job.shards.rows_per_row_group, provenance(run))?;
    let writer = log.file(run, path, schema, properties)?;
    let (shard, tokens) = run_into(run, unit, sequences, writer).await?;
    log.count("rows", shard.rows);
    log.count("shard_bytes", shard.bytes);
    log.count("row_tokens", tokens);
    Ok(vec![("shard", shard)])
}

/// Hands the rows of one shard to `sink`; also tells their tokens.
pub async fn run_into(
    run: &Run,
    unit: &Unit,
    sequences: &[Commit],
    mut sink: impl TableSink,
) -> Result<(TableFile, u64), RunError> {
    let per_shard = run.checked.job.shards.rows_per_shard;
    let files: Vec<TableFile> = sequences.iter().filter_map(|commit| commit.file("sequences").cloned()).collect();
    let total: u64 = files.iter().map(|file| file.rows).sum();
    let first = u64::from(unit.index) * per_shard;
    let mut tokens = 0;
    for stretch in stretches(&files, first, per_shard.min(total.saturating_sub(first))) {
        tokens += copy(run, &stretch, &mut sink).await?;
    }
    Ok((sink.finish().await?, tokens))
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
fn stretches(files: &[TableFile], first: u64, rows: u64) -> Vec<Stretch> {
    let mut found = Vec::new();
    let (mut before, end) = (0, first + rows);
    for file in files {
        let (from, to) = (first.max(before), end.min(before + file.rows));
        if from < to {
            found.push(Stretch { path: file.path.clone(), first: from - before, rows: to - from });
        }
        before += file.rows;
    }
    found
}

async fn copy(run: &Run, stretch: &Stretch, sink: &mut impl TableSink) -> Result<u64, RunError> {
    let rows = open_table(&run.store, &stretch.path).await?;
    let rows = rows.with_offset(stretch.first as usize).with_limit(stretch.rows as usize).with_batch_size(BATCH_ROWS);
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

    fn stretch(path: &str, first: u64, rows: u64) -> Stretch {
        Stretch { path: path.into(), first, rows }
    }

    #[test]
    fn a_shard_takes_its_rows_across_files() {
        let files = [file("a", 3), file("b", 0), file("c", 4)];
        assert_eq!(stretches(&files, 2, 3), [stretch("a", 2, 1), stretch("c", 0, 2)]);
        assert_eq!(stretches(&files, 5, 2), [stretch("c", 2, 2)]);
        assert_eq!(stretches(&files, 0, 0), []);
    }
}
