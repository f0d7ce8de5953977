//! Whether what sources name is there, and is what they read.

use std::collections::HashMap;
use std::path::Path;

use super::place_of;
use crate::engine::input::is_address;
use crate::error::Problem;
use crate::job::LoadedJob;
use crate::sources::{Input, SourceConfig};

pub(super) fn check_sources(loaded: &LoadedJob, input: &dyn Input, problems: &mut Vec<Problem>) {
    for (index, source) in loaded.draft.sources.iter().flatten().enumerate() {
        let mut wrong: Vec<(String, Option<String>)> =
            source.check().into_iter().map(|message| (message, None)).collect();
        wrong.extend(source.files().literal().filter_map(|path| missing(loaded, path, input)));
        if wrong.is_empty() {
            wrong = wrong_files(source, input);
        }
        let place = place_of(index, source);
        problems.extend(wrong.into_iter().map(|(message, hint)| loaded.text.problem_at(&place, message, hint)));
    }
}

/// All trees have the same root of addresses: of two pictures at one address, one would stand for both.
pub(super) fn check_trees(loaded: &LoadedJob, input: &dyn Input, problems: &mut Vec<Problem>) {
    let sources = loaded.draft.sources.iter().flatten().enumerate();
    let trees: Vec<_> = sources.filter(|(_, source)| matches!(source, SourceConfig::html_files(_))).collect();
    if trees.len() < 2 {
        return;
    }
    let mut names = HashMap::new();
    for (index, source) in trees {
        // What can't be listed is a problem of its own.
        let files = source.files().list(input).unwrap_or_default();
        let named = files.iter().map(|file| source.files().locator(&file.path));
        let twice =
            named.filter_map(|name| Some((names.insert(name.clone(), index)?, name))).find(|(of, _)| *of != index);
        if let Some((other, name)) = twice {
            let message =
                format!("has a file at the address file:///{name}, and so has sources.{other}.{}", source.name());
            let hint = Some("name the folders of both in `paths` of one source".to_owned());
            problems.push(loaded.text.problem_at(&place_of(index, source), message, hint));
        }
    }
}

/// What is wrong with a file or folder that is not there, with a remedy.
fn missing(loaded: &LoadedJob, path: &str, input: &dyn Input) -> Option<(String, Option<String>)> {
    if is_address(path) {
        return match input.list(path) {
            Ok(found) if found.is_empty() => {
                Some((format!("`{path}` is not there"), Some("keys are told as they are, without escapes".to_owned())))
            }
            Ok(_) => None,
            Err(error) => Some((error.cause, None)),
        };
    }
    let path = loaded.resolve(Path::new(path));
    let hint = "paths are relative to the job file's folder".to_owned();
    (!path.exists()).then(|| (format!("`{}` is not there", path.display()), Some(hint)))
}

/// What is wrong with files that are there.
fn wrong_files(source: &SourceConfig, input: &dyn Input) -> Vec<(String, Option<String>)> {
    let unmatched = match source.files().unmatched(input) {
        Ok(unmatched) => unmatched,
        Err(error) => return vec![(error.to_string(), None)],
    };
    if unmatched.is_empty() {
        return source.build().suits(input).err().map(|error| (error.to_string(), None)).into_iter().collect();
    }
    unmatched.into_iter().map(|unmatched| (unmatched.message, Some(unmatched.hint))).collect()
}
