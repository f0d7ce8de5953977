//! Knows a full disk, and a plan without memory, from other errors, however deep they lie, and says what it takes to go on.

use std::error::Error;
use std::io::ErrorKind;

use datafusion::error::DataFusionError;

use crate::engine::commit::{Commit, committed};
use crate::engine::memory::megabytes;
use crate::engine::plan::{Stage, Unit};
use crate::engine::stages::Before;
use crate::engine::stages::neighbours::table_bytes;
use crate::engine::store::Place;
use crate::engine::unit::Run;
use crate::error::RunError;

/// What was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Where output and state lie.
    Output,
    /// Where sorts spill.
    Spill,
}

/// What was full, if that is what an error comes to.
pub fn full(error: &RunError) -> Option<Full> {
    let full = find(error, &|error| error.downcast_ref::<std::io::Error>().is_some_and(no_room));
    // Only what is sorted is written elsewhere than to a store.
    let of_store = find(error, &|error| error.is::<object_store::Error>());
    full.then_some(if of_store { Full::Output } else { Full::Spill })
}

/// Whether a unit's plan needed more memory than it had.
pub fn out_of_share(error: &RunError) -> bool {
    find(error, &|error| matches!(error.downcast_ref(), Some(DataFusionError::ResourcesExhausted(_))))
}

fn no_room(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// Whether an error or one of its causes is so. Some keep theirs where `source` doesn't tell.
fn find(error: &(dyn Error + 'static), is: &dyn Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let inside: Option<&(dyn Error + 'static)> = match error.downcast_ref::<std::io::Error>() {
        Some(error) => error.get_ref().map(|inside| inside as &(dyn Error + 'static)),
        None => match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inside)) => Some(inside.as_ref()),
            Some(DataFusionError::Context(_, inside)) => Some(inside.as_ref()),
            Some(DataFusionError::Shared(inside)) => Some(inside.as_ref()),
            Some(DataFusionError::ArrowError(inside, _)) => Some(inside.as_ref()),
            _ => None,
        },
    };
    is(error) || inside.is_some_and(|inside| find(inside, is)) || error.source().is_some_and(|source| find(source, is))
}

/// The error that ends a run on a full disk: nothing else would fare better.
pub async fn ended(run: &Run, unit: &Unit, before: &Before, full: Full, cause: String) -> RunError {
    remove_pieces(run, unit).await;
    let place = match full {
        Full::Output => run.store.root().to_string(),
        Full::Spill => format!("{}, where sorts spill; TMPDIR names another place", std::env::temp_dir().display()),
    };
    RunError::NoRoom { place, needed: needed(run, unit.stage, before).await, unit: unit.to_string(), cause }
}

/// The error that ends a run where there is no room for its own records, which no unit writes; any other error as it is.
pub fn ended_beside_units(out: &Place, error: RunError) -> RunError {
    if full(&error) != Some(Full::Output) {
        return error;
    }
    let (place, unit, cause) = (out.to_string(), "writing the records of the run".into(), error.to_string());
    RunError::NoRoom { place, needed: "a few MB for them".into(), unit, cause }
}

/// What a unit has made so far, which nobody will read: room for what comes next.
async fn remove_pieces(run: &Run, unit: &Unit) {
    let folder = run.file(unit, "", "");
    let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (path, _) in run.store.list(folder).await.unwrap_or_default() {
        if path.rsplit('/').next().is_some_and(|name| name.starts_with(&run.attempt)) {
            let _ = run.store.remove(&path).await;
        }
    }
}

/// About how much the rest of a stage takes, going by its units that are committed, or by what they read.
async fn needed(run: &Run, stage: Stage, before: &Before) -> String {
    let units = run.plan.units(stage, before);
    let mut done = Vec::new();
    for unit in &units {
        done.extend(committed(&run.store, unit).await.ok().flatten());
    }
    let open = (units.len() - done.len()) as u64;
    let bytes = match (done.len() as u64, stage) {
        (0, Stage::Documents) => {
            run.plan.splits.iter().flat_map(|split| &split.split.pieces).map(|piece| piece.length).sum()
        }
        (0, Stage::Neighbours) => table_bytes(run),
        (0, Stage::Images) => bytes_of(&before.documents),
        (0, Stage::Retrieved) => bytes_of(&before.documents) + bytes_of(&before.images),
        (0, Stage::Sequences) => bytes_of(&before.documents) + bytes_of(&before.images) + bytes_of(&before.retrieved),
        (0, Stage::ImageShards) => bytes_of(&before.images),
        (0, Stage::Shards) => bytes_of(&before.sequences),
        (some, _) => bytes_of(&done) / some * open,
    };
    format!("about {} MB for the {open} units of {} that are open", megabytes(bytes), stage.name())
}

fn bytes_of(commits: &[Commit]) -> u64 {
    commits.iter().flat_map(|commit| commit.files.values()).map(|file| file.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(code: i32) -> std::io::Error {
        std::io::Error::from_raw_os_error(code)
    }

    fn stored(error: std::io::Error) -> object_store::Error {
        object_store::Error::Generic { store: "folder", source: Box::new(error) }
    }

    #[test]
    fn a_full_disk_is_found_however_deep_it_lies() {
        let written = std::io::Error::other(stored(disk(28)));
        let parquet = parquet::errors::ParquetError::External(Box::new(written));
        assert_eq!(full(&parquet.into()), Some(Full::Output));
        assert_eq!(full(&stored(disk(122)).into()), Some(Full::Output));
        let spilt = DataFusionError::Context("sort".into(), Box::new(DataFusionError::IoError(disk(28))));
        assert_eq!(full(&spilt.into()), Some(Full::Spill));
        let ours = DataFusionError::External(Box::new(RunError::Storage(stored(disk(28)))));
        assert_eq!(full(&ours.into()), Some(Full::Output));
    }

    #[test]
    fn a_plan_without_memory_is_found_however_deep_it_lies() {
        let exhausted = DataFusionError::ResourcesExhausted("87 MB".into());
        let found = DataFusionError::Context("sort".into(), Box::new(DataFusionError::External(Box::new(exhausted))));
        assert!(out_of_share(&found.into()) && !out_of_share(&stored(disk(28)).into()));
    }

    #[test]
    fn other_errors_are_none() {
        assert_eq!(full(&stored(disk(13)).into()), None);
        assert_eq!(full(&RunError::Bug("no space left on device".into())), None);
    }
}
