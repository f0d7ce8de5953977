//! What a run's output follows from, beside its input: told part by part, so that what a change does not touch is known.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything by name: settings, digests of the tokenizers and of the files that steps read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(Map<String, Value>);

/// A digest for each stage, of what it follows from by itself: what the stages before it hand on comes to that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Of pages and the steps over them. Where pages come from stands with each split.
    pub documents: String,
    /// Of the steps over images, and the model.
    pub images: String,
    /// Of objective, packing and vocabulary.
    pub sequences: String,
    /// Of a table of neighbours, and how some of them are chosen; empty where the job names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub neighbours: String,
    /// Of what makes retrieved documents ready; empty where there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub retrieved: String,
    /// Of the whole job, which every shard names.
    pub shards: String,
}

/// What all stages follow from: a version of the program may make other rows of the same input.
const EVERYWHERE: [&str; 3] = ["format", "program", "seed"];
const DOCUMENTS: [&str; 4] = ["documents", "documents_files", "text_tokenizer", "images_of_no_page"];
const IMAGES: [&str; 8] = [
    "images",
    "images_files",
    "image_tokenizer",
    // How its rows are cut into shards is the shards'.
    "image_shards.images",
    "image_shards.max_documents",
    "image_shards.max_texts",
    "images_of_no_page",
    "tables",
];
const SEQUENCES: [&str; 7] = [
    "sequences",
    "sequences_files",
    "num_sentinels",
    "pad_to_multiple_of",
    "text_tokenizer",
    "image_tokenizer",
    "masks_in_sequences",
];

/// Of the settings of sequences, these have stages of their own.
const RETRIEVAL: &str = "sequences.retrieval";
const NEIGHBOURS: [&str; 2] = [RETRIEVAL, "sequences_files"];
const RETRIEVED: [&str; 5] =
    ["sequences.interleave", "num_sentinels", "pad_to_multiple_of", "text_tokenizer", "image_tokenizer"];

impl Identity {
    /// Takes the object that `value` is.
    pub fn new(value: Value) -> Self {
        match value {
            Value::Object(fields) => Self(fields),
            _ => Self::default(),
        }
    }

    /// The digest of all of it, but for the program's version: shards name it, and the version stands beside it.
    pub fn digest(&self) -> String {
        let mut job = self.0.clone();
        job.remove("program");
        digest_of(&Value::Object(job))
    }

    /// The digests of its parts.
    pub fn parts(&self) -> Parts {
        let part = |names: &[&str]| -> String {
            // What is told by name for some jobs alone is in the digests of those alone.
            let all = EVERYWHERE.iter().chain(names);
            digest_of(&Value::Array(all.filter_map(|name| self.at(name).cloned()).collect()))
        };
        let retrieves = self.at(RETRIEVAL).is_some_and(|settings| !settings.is_null());
        let of_retrieval = |names: &[&str]| if retrieves { part(names) } else { String::new() };
        Parts {
            documents: part(&DOCUMENTS),
            images: part(&IMAGES),
            sequences: part(&SEQUENCES),
            neighbours: of_retrieval(&NEIGHBOURS),
            retrieved: of_retrieval(&RETRIEVED),
            shards: digest_of(&Value::Object(self.0.clone())),
        }
    }

    /// What stands at a path, such as `sequences.interleave`.
    fn at(&self, path: &str) -> Option<&Value> {
        let (first, below) = path.split_once('.').map_or((path, None), |(first, below)| (first, Some(below)));
        let value = self.0.get(first)?;
        below.map_or(Some(value), |below| value.get(below))
    }

    /// Every value in which two differ, as `path: there -> here`, in the order of paths.
    pub fn changes(&self, here: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        differences(String::new(), &Value::Object(self.0.clone()), &Value::Object(here.0.clone()), &mut changes);
        changes
    }
}

/// The digest of what is written down as JSON.
pub fn digest_of(value: &Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex().to_string()
}

/// A value that is another now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Where it stands in the job, as `--set` names it; or what else a run follows from.
    pub path: String,
    /// What it was; `null` where there was none.
    pub there: Value,
    /// What it is.
    pub here: Value,
}

impl Change {
    /// Whether a stage follows from it by itself; shards follow from everything.
    pub fn touches(&self, stage: &str) -> bool {
        let names: &[&str] = match stage {
            "neighbours" => &NEIGHBOURS,
            "documents" => &DOCUMENTS,
            "images" => &IMAGES,
            "retrieved" => &RETRIEVED,
            "sequences" => &SEQUENCES,
            _ => return true,
        };
        EVERYWHERE.iter().chain(names).any(|name| is_within(&self.path, name) || is_within(name, &self.path))
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, there, here } = self;
        write!(formatter, "`{path}` is {} there and {} here", brief(there), brief(here))
    }
}

/// Whether a path is another one, or below it.
fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn brief(value: &Value) -> String {
    crate::step::shorten(&value.to_string(), 80)
}

fn differences(path: String, there: &Value, here: &Value, found: &mut Vec<Change>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (there, here) {
        // What is chosen by a one-key table is another choice, and not one setting more and one less.
        (Value::Object(one), Value::Object(other))
            if one.len() != 1 || other.len() != 1 || one.keys().eq(other.keys()) =>
        {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let value = |of: &Map<String, Value>| of.get(key).cloned().unwrap_or_default();
                differences(below(key), &value(one), &value(other), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differences(below(&index.to_string()), one, other, found);
            }
        }
        _ if there == here => {}
        _ => found.push(Change { path, there: there.clone(), here: here.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(images: &str, objective: &str) -> Identity {
        Identity::new(json!({
            "format": 1, "program": "0.1.0", "seed": 7, "documents": [], "images": [images],
            "sequences": {"objective": objective}, "shards": {"rows_per_shard": 4},
        }))
    }

    #[test]
    fn a_part_changes_with_what_is_in_it_and_not_with_its_neighbours() {
        let (one, other) = (identity("a", "x").parts(), identity("a", "y").parts());
        assert_eq!((&one.documents, &one.images), (&other.documents, &other.images));
        assert_ne!(one.sequences, other.sequences);
        assert_ne!(one.shards, other.shards);
        assert_ne!(one.images, identity("b", "x").parts().images);
    }

    #[test]
    fn retrieval_follows_from_its_table_and_from_the_layout_and_not_from_the_objective() {
        let job = |objective: &str, layout: &str, max_documents: u32| {
            let retrieval = json!({"neighbours": "near.jsonl", "max_documents": max_documents});
            let settings = json!({"objective": objective, "interleave": {"layout": layout}, "retrieval": retrieval});
            Identity::new(json!({"seed": 7, "sequences": settings, "sequences_files": {"near.jsonl": "5f"}}))
        };
        let parts = |objective: &str, layout: &str, max_documents: u32| {
            let Parts { neighbours, retrieved, .. } = job(objective, layout, max_documents).parts();
            (neighbours, retrieved)
        };
        let of_one = parts("x", "cm3", 1);
        assert_eq!(of_one, parts("y", "cm3", 1));
        assert_eq!((parts("x", "plain", 1).0 == of_one.0, parts("x", "plain", 1).1 == of_one.1), (true, false));
        assert_eq!((parts("x", "cm3", 2).0 == of_one.0, parts("x", "cm3", 2).1 == of_one.1), (false, true));
        let touched = |changes: &[Change]| -> Vec<&str> {
            let stages = ["neighbours", "documents", "images", "retrieved", "sequences"];
            stages.into_iter().filter(|stage| changes.iter().any(|change| change.touches(stage))).collect()
        };
        assert_eq!(touched(&job("x", "cm3", 1).changes(&job("y", "cm3", 1))), ["sequences"]);
        assert_eq!(touched(&job("x", "cm3", 1).changes(&job("x", "plain", 1))), ["retrieved", "sequences"]);
        assert_eq!(touched(&job("x", "cm3", 1).changes(&job("x", "cm3", 2))), ["neighbours", "sequences"]);
        let parts_without = identity("a", "x").parts();
        assert_eq!((parts_without.neighbours, parts_without.retrieved), (String::new(), String::new()));
    }

    #[test]
    fn another_version_of_the_program_is_another_part_and_the_same_job() {
        let mut next = identity("a", "x");
        next.0.insert("program".into(), json!("0.2.0"));
        assert_eq!(next.digest(), identity("a", "x").digest());
        assert_ne!(next.parts().documents, identity("a", "x").parts().documents);
    }

    #[test]
    fn every_difference_is_told_with_the_stages_that_follow_from_it() {
        let changes = identity("a", "x").changes(&identity("b", "y"));
        let told: Vec<String> = changes.iter().map(Change::to_string).collect();
        assert_eq!(
            told,
            ["`images.0` is \"a\" there and \"b\" here", "`sequences.objective` is \"x\" there and \"y\" here"]
        );
        assert!(changes[0].touches("images") && !changes[0].touches("documents") && changes[1].touches("shards"));
    }
}
