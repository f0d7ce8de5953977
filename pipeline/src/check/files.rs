//! The files that steps read, and what they say that steps can't use.

use std::path::{Path, PathBuf};

use crate::error::Problem;
use crate::job::LoadedJob;
use crate::neighbours;
use crate::step::UnusableLines;

/// A text file that a step reads: the section of the step, the file's name in the job, and the digest of what it says.
pub(super) type StepFile = (&'static str, PathBuf, String);

/// The text files that steps read, in the job's order.
pub(super) fn read_files(loaded: &LoadedJob, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> Vec<StepFile> {
    let mut files = Vec::new();
    for (section, steps) in [("documents", &loaded.draft.documents), ("images", &loaded.draft.images)] {
        for (index, step) in steps.iter().flatten().enumerate() {
            for (setting, path) in step.files() {
                let file = loaded.resolve(&path);
                let place = format!("{section}.{index}.{}.{setting}", step.name());
                match std::fs::read_to_string(&file) {
                    Ok(text) => {
                        let unusable = step.unusable_lines(setting, &text);
                        // What a run was made with is what it is.
                        if unusable.all && !loaded.is_record {
                            problems.push(without_names(loaded, &place, &file, &unusable));
                        }
                        warnings.extend(warnings_of(&file, unusable));
                        files.push((section, path, blake3::hash(text.as_bytes()).to_hex().to_string()));
                    }
                    Err(error) => {
                        let message = format!("`{}` can't be read: {error}", file.display());
                        let hint = "name a text file in UTF-8, relative to the job file's folder".to_owned();
                        problems.push(loaded.text.problem_at(&place, message, Some(hint)));
                    }
                }
            }
        }
    }
    for retrieval in loaded.draft.sequences.iter().flatten().filter_map(|sequences| sequences.retrieval.as_ref()) {
        let file = loaded.resolve(&retrieval.neighbours);
        match neighbours::read_first(&file).and_then(|()| digest_of(&file).map_err(|error| error.to_string())) {
            Ok(digest) => files.push(("sequences", retrieval.neighbours.clone(), digest)),
            Err(error) => {
                let message = format!("`{}` is no table of neighbours: {error}", file.display());
                let hint = Some(neighbours::HINT.to_owned());
                problems.push(loaded.text.problem_at("sequences.retrieval.neighbours", message, hint));
            }
        }
    }
    files
}

/// A list that comes to nothing.
fn without_names(loaded: &LoadedJob, place: &str, file: &Path, unusable: &UnusableLines) -> Problem {
    let message = format!("`{}` has no line that can be used, so nothing would be rejected by it", file.display());
    let of_first = unusable.first.first().map(|(line, wrong)| format!("line {line}: {wrong}"));
    let hint = of_first.unwrap_or_else(|| "write a name on each line, or leave the file out".to_owned());
    loaded.text.problem_at(place, message, Some(hint))
}

/// Lines of a list that nothing would be rejected by.
fn warnings_of(file: &Path, unusable: UnusableLines) -> Vec<String> {
    let more = unusable.count - unusable.first.len();
    let first = unusable.first.into_iter().map(|(line, wrong)| format!("{}:{line}: {wrong}", file.display()));
    let rest = (more > 0).then(|| format!("{}: {more} more lines are as little use", file.display()));
    first.chain(rest).collect()
}

fn digest_of(file: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(file)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}
