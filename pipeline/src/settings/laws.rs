//! What must hold for every setting of a job.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::lookup::{Found, all};
use super::places::Places;
use super::schema;
use crate::error::Problem;
use crate::job::LoadedJob;
use crate::steps::StepConfig;

/// Near nothing that can be set.
const UNKNOWN: &str = "zzzzzzzzzzzz";

fn places() -> Places {
    Places::new(schema())
}

/// As short as the schema lets it be.
fn shortest(places: &Places, schema: &Value) -> Value {
    let branches = places.branches(schema);
    let branch = branches[0];
    if let Some(word) = branch.get("const").or_else(|| branch["examples"].get(0)) {
        return word.clone();
    }
    match branch["type"].as_str() {
        Some("string") => json!("a"),
        Some("boolean") => json!(true),
        Some("integer") => json!(branch["minimum"].as_u64().unwrap_or_default().max(1)),
        Some("number") => json!(0.5),
        Some("array") => {
            let item = shortest(places, &branch["items"]);
            json!(vec![item; branch["minItems"].as_u64().unwrap_or_default() as usize])
        }
        _ => table(places, branch, |_, required| required),
    }
}

/// A table of those settings that are wanted, each as short as can be.
fn table(places: &Places, schema: &Value, wanted: impl Fn(&str, bool) -> bool) -> Value {
    let below = places.below(schema).into_iter().filter(|place| wanted(place.name, place.is_required));
    below.map(|place| (place.name.to_owned(), shortest(places, place.schema))).collect::<Map<_, _>>().into()
}

/// A value that has `inner` at a path, with whatever is required beside it.
fn with(places: &Places, schema: &Value, path: &[&str], inner: &Value) -> Value {
    let schema = places.resolve(schema);
    if let Some(item) = schema.get("items") {
        return json!([with(places, item, path, inner)]);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        return json!({ "a": with(places, values, path, inner) });
    }
    let Some((name, rest)) = path.split_first() else { return inner.clone() };
    let below = places.below(schema);
    let place = below.iter().find(|place| place.name == *name).unwrap();
    let mut around = match place.is_alternative {
        true => json!({}),
        false => table(places, schema, |name, required| required || ["documents", "sequences"].contains(&name)),
    };
    around[*name] = with(places, place.schema, rest, inner);
    around
}

fn read(job: &Value) -> LoadedJob {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), toml::to_string(job).unwrap()).unwrap();
    LoadedJob::read(file.path(), &[]).unwrap()
}

fn job_with(places: &Places, path: &str, inner: &Value) -> Value {
    let path: Vec<&str> = path.split('.').filter(|name| !name.is_empty()).collect();
    with(places, places.root(), &path, inner)
}

/// The value at a path of a job as it was read, where it is not left out.
fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    match (value, path.split_first()) {
        (Value::Array(items), Some(_)) => at(items.first()?, path),
        (_, None) => Some(value),
        (_, Some((name, rest))) => at(value.get(name).or_else(|| value.get("a")?.get(name))?, rest),
    }
}

/// The words that a problem says are known.
fn known(problem: &Problem) -> BTreeSet<String> {
    let hint = problem.hint.clone().unwrap_or_default();
    hint.strip_prefix("known here: ").into_iter().flat_map(|known| known.split(", ")).map(str::to_owned).collect()
}

#[test]
fn every_setting_and_whatever_it_may_be_has_a_doc_text() {
    let places = places();
    for Found { path, place } in all(&places) {
        assert!(!places.about(place).is_empty(), "{path} has no doc text");
        for word in places.words(place.schema) {
            assert!(!word.about.is_empty(), "`{}` of {path} has no doc text", word.name);
        }
    }
}

#[test]
fn no_doc_text_has_links_that_only_rustdoc_follows() {
    let text = schema().to_string();
    for link in ["[`", "](", "crate::", "Self::"] {
        assert!(!text.contains(link), "{link} in {text}");
    }
}

#[test]
fn what_the_job_reader_knows_at_a_place_is_what_the_schema_has_there() {
    let places = places();
    let root = Found { path: String::new(), place: places.below(places.root())[0] };
    for Found { path, place } in all(&places).iter().chain([&root]) {
        let here = if path.is_empty() { places.root() } else { place.schema };
        let below = places.below(here);
        let is_table = places.branches(places.element(here)).iter().any(|branch| branch["type"] == "object");
        if !is_table || ["documents", "images"].contains(&path.as_str()) {
            continue;
        }
        let job = job_with(&places, path, &json!({ UNKNOWN: {} }));
        let problems = read(&job).problems;
        assert!(!problems.is_empty(), "{path} takes `{UNKNOWN}`");
        if let Some(problem) = problems.iter().find(|problem| problem.message.ends_with(&format!("`{UNKNOWN}`"))) {
            let mut expected: BTreeSet<String> = below.iter().map(|place| place.name.to_owned()).collect();
            expected.extend(places.words(here).iter().map(|word| word.name.to_owned()));
            assert_eq!(known(problem), expected, "{path}: {problem}");
            continue;
        }
        // Of several forms that aren't told apart by a name, the reader says that none fits.
        assert!(problems[0].message.contains("did not match any variant"), "{path}: {:?}", problems[0]);
        for alternative in below {
            let everything = match alternative.is_alternative {
                true => json!({ alternative.name: table(&places, alternative.schema, |_, _| true) }),
                false => table(&places, here, |_, _| true),
            };
            let problems = read(&job_with(&places, path, &everything)).problems;
            assert!(problems.is_empty(), "{path}: {problems:?}");
        }
    }
}

#[test]
fn each_step_stands_in_its_section_or_is_made_of_sequences() {
    let places = places();
    let of = |section: &str| -> BTreeSet<String> {
        let found = all(&places);
        let place = found.iter().find(|found| found.path == section).unwrap().place;
        places.below(place.schema).iter().map(|place| place.name.to_owned()).collect()
    };
    let (documents, images) = (of("documents"), of("images"));
    let both: Vec<&String> = documents.intersection(&images).collect();
    assert_eq!(both, ["filter_url"]);
    let examples = StepConfig::examples();
    let missing =
        examples.iter().map(StepConfig::name).filter(|name| !documents.contains(*name) && !images.contains(*name));
    assert_eq!(missing.collect::<Vec<_>>(), ["interleave_images", "apply_objective"]);
}

#[test]
fn defaults_are_those_that_the_job_reader_fills_in() {
    let places = places();
    let mut tables: BTreeMap<String, Vec<(&str, &Value)>> = BTreeMap::new();
    for Found { path, place } in all(&places) {
        if let Some(default) = place.schema.get("default") {
            let (above, name) = path.rsplit_once('.').unwrap_or(("", &path));
            assert_eq!(name, place.name);
            tables.entry(above.to_owned()).or_default().push((place.name, default));
        }
    }
    for (path, defaults) in tables {
        let above = all(&places).into_iter().find(|found| found.path == path);
        let schema = above.map_or(places.root(), |above| above.place.schema);
        let inner = table(&places, places.element(schema), |name, required| {
            required || (path.is_empty() && ["documents", "sequences"].contains(&name))
        });
        let loaded = read(&job_with(&places, &path, &inner));
        assert!(loaded.problems.is_empty(), "{path}: {:?}", loaded.problems);
        let job = serde_json::to_value(loaded.draft.job().unwrap()).unwrap();
        for (name, default) in defaults {
            let whole: Vec<&str> = path.split('.').filter(|name| !name.is_empty()).chain([name]).collect();
            // What is left out of a job that was read is what it would be without.
            if let Some(filled_in) = at(&job, &whole) {
                assert_eq!(filled_in, default, "{path}.{name}");
            }
        }
    }
}
