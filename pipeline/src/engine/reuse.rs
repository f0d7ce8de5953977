//! Takes over from another output what the same units have committed there. The other output is only read.

use std::collections::BTreeMap;

use crate::engine::commit::{Commit, commit, committed};
use crate::engine::earlier::Earlier;
use crate::engine::plan::{Stage, Unit, whole_content};
use crate::engine::store::Store;
use crate::engine::table_writer::TableFile;
use crate::engine::unit::Run;
use crate::error::RunError;
use crate::tell;
use crate::verify::check_sum;

/// Commits those units of a stage whose files lie in `earlier`, and says how many. A file is taken over only if its bytes
/// have the checksum of its commit, and a split's documents only if all of what they were read from is as it was.
pub async fn take_over(run: &Run, earlier: &Earlier, stage: Stage, units: &[Unit]) -> Result<(), RunError> {
    let there: BTreeMap<String, Commit> =
        earlier.commits(stage).await?.into_iter().map(|commit| (commit.unit.clone(), commit)).collect();
    let mut taken = 0;
    for unit in units {
        let Some(found) = there.get(&unit.id) else { continue };
        if committed(&run.store, unit).await?.is_some() || !reads_the_same(run, unit, found).await? {
            continue;
        }
        match files_of(run, &earlier.store, unit, found).await? {
            Ok(files) => {
                commit(&run.store, unit, &Commit { index: unit.index, files, ..found.clone() }).await?;
                taken += 1;
            }
            Err(why) => tell!("{unit} runs again: {why}"),
        }
    }
    if taken > 0 {
        let width = Stage::NAME_WIDTH;
        tell!("{:<width$} {taken}/{} units are taken over from {}", stage.name(), units.len(), earlier.store.root());
    }
    Ok(())
}

/// Whether a unit would read what the other read. Units of later stages have it in their identity; a split's says no more
/// than what stands at either end of its files.
pub async fn reads_the_same(run: &Run, unit: &Unit, found: &Commit) -> Result<bool, RunError> {
    if unit.stage != Stage::Documents {
        return Ok(true);
    }
    let planned = run.plan.splits[unit.index as usize].clone();
    let input = run.checked.resources.inputs[planned.source as usize].clone();
    let beyond = found.beyond.clone();
    let whole = tokio::task::spawn_blocking(move || whole_content(&planned.split, &beyond, input.as_ref()));
    // What can't be read is read again by the unit, which then says so.
    let whole = whole.await.map_err(|error| RunError::Bug(error.to_string()))?;
    Ok(whole.is_ok_and(|whole| found.input.as_ref() == Some(&whole)))
}

/// The unit's files, now in our store too; or why they can't be used.
async fn files_of(
    run: &Run,
    earlier: &Store,
    unit: &Unit,
    found: &Commit,
) -> Result<Result<BTreeMap<String, TableFile>, String>, RunError> {
    let mut files = BTreeMap::new();
    for (table, file) in &found.files {
        if let Err(why) = check_sum(earlier, file).await {
            return Ok(Err(why));
        }
        let path = match stage_names_its_files(unit.stage) {
            true => file.path.clone(),
            false => run.file(unit, table, file.path.rsplit('.').next().unwrap_or_default()),
        };
        run.store.copy_from(earlier, &file.path, &path).await?;
        files.insert(table.clone(), TableFile { path, ..file.clone() });
    }
    Ok(Ok(files))
}

/// Shards are named for their readers, everything else for its attempt.
fn stage_names_its_files(stage: Stage) -> bool {
    matches!(stage, Stage::Shards | Stage::ImageShards)
}
