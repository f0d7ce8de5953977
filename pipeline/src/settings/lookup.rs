//! Finds the place that a user means: by its whole path, or by its end.

use std::collections::BTreeSet;

use serde_json::Value;

use super::places::{Place, Places};
use crate::error::Problem;

/// A place with its path from the root, `sequences.objective.causal_masking`.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The names above it and its own, with points between.
    pub path: String,
    /// The place.
    pub place: Place<'a>,
}

/// Every place, once where a definition refers to itself.
pub fn all(places: &Places) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    collect(places, places.root(), "", &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(
    places: &'a Places,
    schema: &'a Value,
    path: &str,
    above: &mut Vec<&'a Value>,
    found: &mut Vec<Found<'a>>,
) {
    let element = places.element(schema);
    if above.iter().any(|other| std::ptr::eq(*other, element)) {
        return;
    }
    above.push(element);
    for place in places.below(element) {
        let path = if path.is_empty() { place.name.to_owned() } else { format!("{path}.{}", place.name) };
        found.push(Found { path: path.clone(), place });
        collect(places, place.schema, &path, above, found);
    }
    above.pop();
}

/// The places that a path means: one, or several that are the same. Numbers of blocks are passed over, as in
/// `documents.1.minimal_html`. An error names those that may be meant.
pub fn find<'a>(places: &'a Places, path: &str) -> Result<Vec<Found<'a>>, Problem> {
    let wanted = path.split('.').filter(|part| part.parse::<u32>().is_err()).collect::<Vec<_>>().join(".");
    if let Some(found) = walk(places, &wanted) {
        return Ok(vec![found]);
    }
    let end = format!(".{wanted}");
    let all = all(places);
    let ending: Vec<Found> = all.iter().filter(|found| found.path.ends_with(&end)).cloned().collect();
    let Some(first) = ending.first() else { return Err(unknown(&wanted, &all)) };
    if ending.iter().all(|found| found.place == first.place) {
        return Ok(ending);
    }
    let paths: Vec<&str> = ending.iter().map(|found| found.path.as_str()).collect();
    // One that all others lie below is meant, as a mixture's objectives are those of the job.
    let below_first = paths[1..].iter().all(|path| path.starts_with(&format!("{}.", first.path)));
    if below_first {
        return Ok(vec![first.clone()]);
    }
    let hint = format!("name one of {}", paths.join(", "));
    Err(Problem::new(format!("`{wanted}`"), format!("stands in {} places", paths.len())).hint(hint))
}

/// The place at a whole path.
fn walk<'a>(places: &'a Places, path: &str) -> Option<Found<'a>> {
    let mut schema = places.root();
    let mut last = None;
    for name in path.split('.') {
        let place = places.below(schema).into_iter().find(|place| place.name == name)?;
        schema = place.schema;
        last = Some(place);
    }
    Some(Found { path: path.to_owned(), place: last? })
}

fn unknown(wanted: &str, all: &[Found]) -> Problem {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = match wanted.contains('.') {
        true => all.iter().map(|found| found.path.clone()).collect(),
        false => all.iter().map(|found| last(&found.path)).collect(),
    };
    let nearest = names.iter().min_by_key(|name| strsim::damerau_levenshtein(wanted, name));
    let near = nearest.filter(|name| strsim::damerau_levenshtein(wanted, name) <= (wanted.len() / 3).max(1));
    let hint = match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`pageloom settings` lists the sections of a job".to_owned(),
    };
    Problem::new(format!("`{wanted}`"), "no job has such a setting").hint(hint)
}
