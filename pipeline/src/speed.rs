//! What the units of a stage cost: time by step, rates, peak memory.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::engine::commit::{Commit, StepReport};
use crate::engine::plan::Stage;

/// What a stage's committed units cost together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StageSpeed {
    /// Units.
    pub units: usize,
    /// Time on the wall in which at least one of them ran.
    pub seconds: f64,
    /// CPU time of all their steps.
    pub cpu_seconds: f64,
    /// The most memory that a process had held when it committed one of them.
    pub peak_memory_bytes: Option<u64>,
    /// The most threads that computed in one process.
    pub threads: u32,
    /// What was worked through.
    pub work: Vec<Work>,
    /// Rows and time of each step, in the order of the path.
    pub steps: Vec<StepReport>,
}

/// An amount of something that a stage works through.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Work {
    /// What is counted, such as `documents`; bytes are `bytes of HTML`.
    pub of: &'static str,
    /// How much.
    pub amount: u64,
    /// By seconds on the wall.
    pub per_second: f64,
    /// By seconds of CPU time: what one core does.
    pub per_cpu_second: f64,
}

impl StageSpeed {
    /// Adds up the units of a stage.
    pub fn of(stage: Stage, commits: &[Commit]) -> Self {
        let steps = add_steps(commits);
        let seconds = covered(commits.iter().map(|commit| (commit.began, commit.began + commit.seconds)).collect());
        let cpu_seconds: f64 = steps.iter().map(|step| step.cpu_seconds).sum();
        let work = counts_of(stage).iter().map(|(of, count)| {
            let amount: u64 = commits.iter().map(|commit| commit.count(count)).sum();
            let by = |seconds: f64| if seconds > 0.0 { amount as f64 / seconds } else { 0.0 };
            Work { of, amount, per_second: by(seconds), per_cpu_second: by(cpu_seconds) }
        });
        Self {
            units: commits.len(),
            seconds,
            cpu_seconds,
            peak_memory_bytes: commits.iter().filter_map(|commit| commit.peak_memory_bytes).max(),
            threads: commits.iter().map(|commit| commit.threads).max().unwrap_or(0),
            work: work.collect(),
            steps,
        }
    }

    /// The part of the stage's CPU time that a step took.
    pub fn share(&self, step: &StepReport) -> f64 {
        if self.cpu_seconds > 0.0 { step.cpu_seconds / self.cpu_seconds } else { 0.0 }
    }

    /// The part of the time of all threads in which they were at a step: for the encoder's, how well it is used.
    pub fn busy(&self, step: &StepReport) -> f64 {
        let available = self.seconds * f64::from(self.threads);
        if available > 0.0 { step.seconds / available } else { 0.0 }
    }

    /// The work by its word; nothing where the stage counts no such thing.
    pub fn work(&self, of: &str) -> Option<&Work> {
        self.work.iter().find(|work| work.of == of)
    }
}

/// What a stage works through, and under which names its units count it.
fn counts_of(stage: Stage) -> &'static [(&'static str, &'static str)] {
    match stage {
        Stage::Neighbours => &[("rows", "table_rows"), ("neighbours", "neighbours_chosen")],
        Stage::Documents => &[("documents", "pages"), ("bytes of HTML", "page_bytes"), ("text tokens", "text_tokens")],
        Stage::Images => &[("images", "images"), ("bytes of images", "image_bytes")],
        Stage::Retrieved => &[("documents", "handed_on")],
        Stage::Sequences => &[("documents", "documents"), ("tokens", "row_tokens")],
        Stage::ImageShards => &[("rows", "rows"), ("tokens", "row_tokens"), ("bytes of Parquet", "shard_bytes")],
        Stage::Shards => &[("rows", "rows"), ("tokens", "row_tokens"), ("bytes of Parquet", "shard_bytes")],
    }
}

/// The steps of all units, each where the first unit that ran it has it.
fn add_steps(commits: &[Commit]) -> Vec<StepReport> {
    let mut commits: Vec<&Commit> = commits.iter().collect();
    // A unit without rows never comes to its steps; the longest list has them all, in order.
    commits.sort_by_key(|commit| std::cmp::Reverse(commit.steps.len()));
    let mut sums: Vec<StepReport> = Vec::new();
    for step in commits.into_iter().flat_map(|commit| &commit.steps) {
        match sums.iter_mut().find(|sum| sum.step == step.step) {
            Some(sum) => {
                sum.rows_in += step.rows_in;
                sum.rows_out += step.rows_out;
                sum.cpu_seconds += step.cpu_seconds;
                sum.seconds += step.seconds;
            }
            None => sums.push(step.clone()),
        }
    }
    sums
}

/// The length of what some stretches of time cover together.
fn covered(mut stretches: Vec<(f64, f64)>) -> f64 {
    stretches.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut sum, mut end) = (0.0, f64::NEG_INFINITY);
    for (from, to) in stretches {
        sum += (to - from.max(end)).max(0.0);
        end = end.max(to);
    }
    sum
}

impl fmt::Display for StageSpeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self
            .peak_memory_bytes
            .map_or(String::new(), |bytes| format!(", peak memory {}", amount(bytes as f64, "bytes")));
        writeln!(formatter, "{:.1} s, {:.2} CPU seconds{memory}", self.seconds, self.cpu_seconds)?;
        let rates: Vec<String> =
            self.work.iter().map(|work| format!("{}/s", amount(work.per_second, work.of))).collect();
        writeln!(formatter, "    {}", rates.join(", "))?;
        if let Some(work) = self.work.first().filter(|work| work.amount > 0) {
            let each = work.of.strip_suffix('s').unwrap_or(work.of);
            let milliseconds = self.cpu_seconds * 1e3 / work.amount as f64;
            let rates =
                self.work.iter().map(|work| amount(work.per_cpu_second, work.of)).collect::<Vec<_>>().join(", ");
            writeln!(formatter, "    {milliseconds:.2} ms of CPU time for each {each}; a CPU second does {rates}")?;
        }
        let columns = ["rows in", "rows out", "CPU s", "share", "busy"];
        let [rows_in, rows_out, cpu, share, busy] = columns;
        writeln!(formatter, "    {:<20} {rows_in:>10} {rows_out:>10} {cpu:>9} {share:>6} {busy:>6}", "step")?;
        for step in &self.steps {
            let mut line = format!("    {:<20}", step.step);
            match step.rows_in.max(step.rows_out) {
                0 => write!(line, " {:>10} {:>10}", "", "")?,
                _ => write!(line, " {:>10} {:>10}", step.rows_in, step.rows_out)?,
            }
            let (share, busy) = (100.0 * self.share(step), 100.0 * self.busy(step));
            writeln!(formatter, "{line} {:>9.2} {share:>4.0} % {busy:>4.0} %", step.cpu_seconds)?;
        }
        Ok(())
    }
}

/// `12.3 MB of HTML`, `45 images`, `1.20 million tokens`.
pub fn amount(number: f64, of: &str) -> String {
    match of.strip_prefix("bytes") {
        Some(of) => format!("{:.1} MB{of}", number / 1e6),
        None if number >= 1e6 => format!("{:.2} million {of}", number / 1e6),
        None if number >= 100.0 => format!("{number:.0} {of}"),
        None => format!("{number:.1} {of}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn commit(began: f64, seconds: f64, pages: u64, steps: &[(&str, f64)]) -> Commit {
        let step = |(name, cpu_seconds): &(&str, f64)| StepReport {
            step: (*name).into(),
            rows_in: pages,
            rows_out: pages,
            cpu_seconds: *cpu_seconds,
            seconds: *cpu_seconds,
        };
        Commit {
            unit: String::new(),
            index: 0,
            input: None,
            beyond: Vec::new(),
            files: BTreeMap::new(),
            counts: BTreeMap::from([("pages".into(), pages)]),
            rejects: BTreeMap::new(),
            skipped: BTreeMap::new(),
            dropped: BTreeMap::new(),
            steps: steps.iter().map(step).collect(),
            began,
            seconds,
            threads: 4,
            peak_memory_bytes: Some(pages),
        }
    }

    #[test]
    fn time_in_which_two_units_ran_counts_once_and_a_pause_does_not() {
        assert_eq!(covered(vec![(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]), 4.0);
        assert_eq!(covered(vec![]), 0.0);
    }

    #[test]
    fn units_add_up_and_rates_follow_from_wall_and_cpu_time() {
        let commits = [commit(0.0, 2.0, 0, &[("read", 0.0)]), commit(1.0, 3.0, 40, &[("read", 1.0), ("parse", 7.0)])];
        let speed = StageSpeed::of(Stage::Documents, &commits);
        let documents = speed.work("documents").unwrap();
        assert_eq!((speed.seconds, speed.cpu_seconds, speed.peak_memory_bytes), (4.0, 8.0, Some(40)));
        assert_eq!((documents.amount, documents.per_second, documents.per_cpu_second), (40, 10.0, 5.0));
        assert_eq!(speed.steps.iter().map(|step| step.step.as_str()).collect::<Vec<_>>(), ["read", "parse"]);
        assert_eq!(speed.share(&speed.steps[1]), 0.875);
        // Seven seconds of four times four.
        assert_eq!(speed.busy(&speed.steps[1]), 0.4375);
    }

    #[test]
    fn numbers_are_as_long_as_a_person_reads_them() {
        assert_eq!(amount(12_345_678.0, "bytes of HTML"), "12.3 MB of HTML");
        assert_eq!([amount(3.25, "images"), amount(450.4, "images")], ["3.2 images", "450 images"]);
        assert_eq!(amount(2_500_000.0, "tokens"), "2.50 million tokens");
    }
}
