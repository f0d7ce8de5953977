//! What a run did not keep, and why: counted by reason, or row by row.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use futures::TryStreamExt;
use serde::Serialize;

use crate::engine::plan::Stage;
use crate::engine::store::Store;
use crate::engine::table_reader::open_table;
use crate::error::RunError;
use crate::status::{commits_of, plan_of};

/// One row of a run's tables of rejects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FoundReject {
    /// The stage that refused it.
    pub stage: &'static str,
    /// The unit of that stage.
    pub unit: u32,
    /// `document`, `image` or `record`; `reference` where a document stayed without one of its images.
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

/// Every reject of the units committed so far, or those with one reason, in the order of stages and units.
pub async fn rejects(store: &Store, reason: Option<&str>) -> Result<Vec<FoundReject>, RunError> {
    plan_of(store).await?;
    let mut found = Vec::new();
    for stage in Stage::ALL {
        for commit in commits_of(store, stage).await? {
            for (table, kind) in [("rejects", None), ("dropped", Some("reference"))] {
                let Some(file) = commit.file(table) else { continue };
                let mut batches = open_table(store, &file.path).await?.build()?;
                while let Some(batch) = batches.try_next().await? {
                    found.extend(rows(&batch, stage.name(), commit.index, kind));
                }
            }
        }
    }
    found.retain(|reject| reason.is_none_or(|reason| reject.reason == reason));
    Ok(found)
}

fn rows(batch: &RecordBatch, stage: &'static str, unit: u32, kind: Option<&str>) -> Vec<FoundReject> {
    let cell = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
    let reject = |row: usize| FoundReject {
        stage,
        unit,
        kind: kind.map_or_else(|| cell(0, row), str::to_owned),
        key: cell(1, row),
        url: cell(2, row),
        step: cell(3, row),
        reason: cell(4, row),
        detail: cell(5, row),
    };
    (0..batch.num_rows()).map(reject).collect()
}

/// The rejects for a terminal: each reason with its number, and up to `sample` of its rows.
pub fn text(rejects: &[FoundReject], sample: usize) -> String {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&FoundReject>> = BTreeMap::new();
    for reject in rejects {
        groups.entry((&reject.kind, &reject.reason, &reject.step)).or_default().push(reject);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
    let mut text = String::new();
    for ((kind, reason, step), rows) in groups {
        text.push_str(&format!("{:>8} {kind}.{reason}, by {step}\n", rows.len()));
        for reject in rows.iter().take(sample) {
            text.push_str(&format!("         {} {}\n             {}\n", reject.key, reject.url, reject.detail));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(reason: &str, key: &str) -> FoundReject {
        FoundReject {
            stage: "documents",
            unit: 0,
            kind: "document".into(),
            key: key.into(),
            url: "file:///a".into(),
            step: "minimal_html".into(),
            reason: reason.into(),
            detail: "9 bytes".into(),
        }
    }

    #[test]
    fn the_most_frequent_reason_comes_first_with_its_samples() {
        let found = [reject("too_deep", "1"), reject("no_text", "2"), reject("no_text", "3")];
        let expected = "       2 document.no_text, by minimal_html\n         2 file:///a\n             9 bytes\n       \
                        1 document.too_deep, by minimal_html\n         1 file:///a\n             9 bytes\n";
        assert_eq!(text(&found, 1), expected);
    }
}
