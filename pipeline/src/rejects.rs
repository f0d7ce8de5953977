//! What a run did not keep, and why: counted by stage, step and reason, or row by row.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use serde::Serialize;

use crate::engine::commit::commits_of;
use crate::engine::plan::Stage;
use crate::engine::store::Store;
use crate::engine::table_reader::open_table;
use crate::error::RunError;
use crate::status::plan_of;

/// One row of a run's tables of rejects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FoundReject {
    /// The stage that refused it.
    pub stage: &'static str,
    /// The unit of that stage.
    pub unit: u32,
    /// `document`, `block`, `image` or `record`; `reference` where a document stayed without one of its images.
    pub kind: String,
    /// Its key, or where a record stood in its source; `pageloom replay --id` takes it.
    pub key: String,
    /// Its URL, as far as known.
    pub url: String,
    /// The step that refused it.
    pub step: String,
    /// Why, in a word.
    pub reason: String,
    /// What was found.
    pub detail: String,
}

impl FoundReject {
    /// Whether it is called so: by its reason, or by kind and reason as counts of rejects name it, which count references
    /// to images as images.
    pub fn is_called(&self, name: &str) -> bool {
        let of_kind = |(kind, reason): (&str, &str)| {
            reason == self.reason && (kind == self.kind || (kind == "image" && self.kind == "reference"))
        };
        name == self.reason || name.split_once('.').is_some_and(of_kind)
    }
}

/// Shows every reject of the units committed so far, in the order of stages and units.
pub async fn each_reject(
    store: &Store,
    mut show: impl FnMut(FoundReject) -> Result<(), RunError>,
) -> Result<(), RunError> {
    plan_of(store).await?;
    for stage in Stage::ALL {
        for commit in commits_of(store, stage).await? {
            for (table, kind) in [("rejects", None), ("dropped", Some("reference"))] {
                let Some(file) = commit.file(table) else { continue };
                let mut batches = open_table(store, &file.path).await?.build()?;
                while let Some(batch) = batches.try_next().await? {
                    rows(&batch, stage.name(), commit.index, kind).try_for_each(&mut show)?;
                }
            }
        }
    }
    Ok(())
}

fn rows<'a>(
    batch: &'a RecordBatch,
    stage: &'static str,
    unit: u32,
    kind: Option<&'a str>,
) -> impl Iterator<Item = FoundReject> + 'a {
    let cell = move |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
    let reject = move |row: usize| FoundReject {
        stage,
        unit,
        kind: kind.map_or_else(|| cell(0, row), str::to_owned),
        key: cell(1, row),
        url: cell(2, row),
        step: cell(3, row),
        reason: cell(4, row),
        detail: cell(5, row),
    };
    (0..batch.num_rows()).map(reject)
}

/// Rejects by stage, step, kind and reason, with a few of each: as many as are asked for, whatever a run has.
#[derive(Debug)]
pub struct Groups {
    sample: usize,
    groups: BTreeMap<(Stage, String, String, String), Group>,
}

#[derive(Debug, Default)]
struct Group {
    count: u64,
    /// Those whose digests are the lowest, so that they are drawn alike from all of the run, and are the same each time.
    sample: BTreeSet<([u8; 32], FoundReject)>,
}

impl Groups {
    /// No rejects yet, of which `sample` of each group will be told.
    pub fn new(sample: usize) -> Self {
        Self { sample, groups: BTreeMap::new() }
    }

    /// Counts a reject.
    pub fn add(&mut self, reject: FoundReject) {
        let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.name() == reject.stage) else { return };
        let (step, kind, reason) = (reject.step.clone(), reject.kind.clone(), reject.reason.clone());
        let group = self.groups.entry((stage, step, kind, reason)).or_default();
        group.count += 1;
        let digest = blake3::hash(format!("{}\n{}\n{}", reject.key, reject.url, reject.detail).as_bytes());
        group.sample.insert((digest.into(), reject));
        if group.sample.len() > self.sample {
            group.sample.pop_last();
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The groups for a terminal: stages in order, and in each the most frequent first.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for stage in Stage::ALL {
            let mut groups: Vec<_> = self.groups.iter().filter(|((of, ..), _)| *of == stage).collect();
            if groups.is_empty() {
                continue;
            }
            let all: u64 = groups.iter().map(|(_, group)| group.count).sum();
            text.push_str(&format!("{}: {all}\n", stage.name()));
            groups.sort_by_key(|(_, group)| Reverse(group.count));
            for ((_, step, kind, reason), group) in groups {
                text.push_str(&format!("{:>8} {kind}.{reason}, by {step}\n", group.count));
                for (_, reject) in &group.sample {
                    text.push_str(&format!("         {} {}\n             {}\n", reject.key, reject.url, reject.detail));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(stage: &'static str, step: &str, reason: &str, key: &str) -> FoundReject {
        FoundReject {
            stage,
            unit: 0,
            kind: "document".into(),
            key: key.into(),
            url: "file:///a".into(),
            step: step.into(),
            reason: reason.into(),
            detail: "9 bytes".into(),
        }
    }

    fn text(rejects: &[FoundReject], sample: usize) -> String {
        let mut groups = Groups::new(sample);
        rejects.iter().cloned().for_each(|reject| groups.add(reject));
        groups.text()
    }

    #[test]
    fn stages_come_in_order_and_in_each_the_most_frequent_reason_first() {
        let found = [
            reject("sequences", "interleave_images", "no_tokens", "0"),
            reject("documents", "minimal_html", "too_deep", "1"),
            reject("documents", "minimal_html", "no_text", "2"),
            reject("documents", "filter_length", "no_text", "3"),
            reject("documents", "minimal_html", "no_text", "4"),
        ];
        let expected = "documents: 4\n       2 document.no_text, by minimal_html\n       \
                        1 document.no_text, by filter_length\n       1 document.too_deep, by minimal_html\n\
                        sequences: 1\n       1 document.no_tokens, by interleave_images\n";
        assert_eq!(text(&found, 0), expected);
    }

    #[test]
    fn a_sample_does_not_depend_on_the_order_of_the_rejects() {
        let mut found: Vec<FoundReject> = (0..50).map(|key| reject("images", "a", "b", &key.to_string())).collect();
        let sample = text(&found, 3);
        assert_eq!(sample.matches("file:///a\n             9 bytes").count(), 3);
        found.reverse();
        assert_eq!(text(&found, 3), sample);
    }
}
