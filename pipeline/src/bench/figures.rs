//! The numbers of one run, by name, and their medians over several.

use serde::Serialize;

use super::OneRun;
use crate::speed::StageSpeed;
use crate::status::StageStatus;

/// One number, measured in every round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is, with its unit.
    pub name: String,
    /// The median over the rounds.
    pub median: f64,
    /// Each round's value.
    pub rounds: Vec<f64>,
}

type Figures = Vec<(String, f64)>;

/// The figures of one run, in the order in which they are printed.
pub fn figures(run: &OneRun) -> Figures {
    let stages = &run.status.stages;
    let steps: f64 = stages.iter().map(|stage| stage.speed.cpu_seconds).sum();
    // Where the system does not tell what the process took, its steps are all that is known.
    let cpu_seconds = run.cpu_seconds.unwrap_or(steps);
    let peak = stages.iter().filter_map(|stage| stage.speed.peak_memory_bytes).max();
    let mut figures: Figures = vec![("seconds".into(), run.seconds), ("CPU seconds".into(), cpu_seconds)];
    figures.extend(peak.map(|bytes| ("peak memory, MB".into(), bytes as f64 / 1e6)));
    for stage in stages {
        stage_figures(stage, &mut figures);
    }
    let tokens = stages.last().and_then(|stage| stage.speed.work("tokens")).map_or(0, |work| work.amount);
    figures.push(("run: tokens written / s".into(), per(tokens as f64, run.seconds)));
    for stage in stages {
        for step in &stage.speed.steps {
            let share = 100.0 * per(step.cpu_seconds, cpu_seconds);
            figures.push((format!("share of {} {}, %", stage.stage, step.step), share));
        }
    }
    let outside = 100.0 * per((cpu_seconds - steps).max(0.0), cpu_seconds);
    figures.push(("share of all else (start, plan, end), %".into(), outside));
    figures
}

fn stage_figures(stage: &StageStatus, figures: &mut Figures) {
    let StageSpeed { seconds, cpu_seconds, work, .. } = &stage.speed;
    figures.push((format!("{}: seconds", stage.stage), *seconds));
    if let Some(work) = work.first() {
        let each = work.of.strip_suffix('s').unwrap_or(work.of);
        let milliseconds = per(cpu_seconds * 1e3, work.amount as f64);
        figures.push((format!("{}: CPU ms / {each}", stage.stage), milliseconds));
    }
    for work in work {
        let (of, scale) = match work.of.strip_prefix("bytes") {
            Some(of) => (format!("MB{of}"), 1e-6),
            None => (work.of.to_owned(), 1.0),
        };
        figures.push((format!("{}: {of}", stage.stage), work.amount as f64 * scale));
        figures.push((format!("{}: {of} / s", stage.stage), work.per_second * scale));
        figures.push((format!("{}: {of} / CPU s", stage.stage), work.per_cpu_second * scale));
    }
}

fn per(amount: f64, of: f64) -> f64 {
    if of > 0.0 { amount / of } else { 0.0 }
}

/// The median of each figure over the runs that have it.
pub fn medians(runs: &[Figures]) -> Vec<Figure> {
    let names = runs.first().map(|run| run.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    let values = |name: &String| -> Vec<f64> {
        runs.iter().flatten().filter(|(other, _)| other == name).map(|(_, value)| *value).collect()
    };
    let names = names.unwrap_or_default().into_iter();
    names
        .map(|name| (values(&name), name))
        .map(|(rounds, name)| Figure { name, median: median(&rounds), rounds })
        .collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_not_moved_by_one_slow_round() {
        assert_eq!(median(&[2.0, 90.0, 1.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn every_round_of_a_figure_is_kept() {
        let runs = [3.0, 1.0, 2.0].map(|value| vec![("seconds".to_owned(), value)]);
        let expected = Figure { name: "seconds".into(), median: 2.0, rounds: vec![3.0, 1.0, 2.0] };
        assert_eq!(medians(&runs), [expected]);
    }
}
