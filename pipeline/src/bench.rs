//! Runs a job several times, each time in a process and a folder of its own, and says what it costs.

mod copies;
mod figures;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use pageloom_storage::Settings;
use serde::Serialize;
use tokio::process::{Child, Command};

use crate::check::check;
use crate::engine::clock::children_cpu_seconds;
use crate::engine::store::Store;
use crate::error::{JobError, Problem, RunError};
use crate::job::LoadedJob;
use crate::status::{Status, status};

use copies::sources_copied;
use figures::{Figure, figures, medians};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The job file.
    pub job: PathBuf,
    /// Options laid over it.
    pub sets: Vec<String>,
    /// How many times over the corpus is presented; each number is measured by itself.
    pub copies: Vec<u32>,
    /// Runs for each number of copies, taken in turns.
    pub rounds: u32,
    /// Units in flight, and threads.
    pub parallel: usize,
    /// Folder for corpora, outputs and what sorts spill, while they are needed.
    pub scratch: PathBuf,
}

/// What a job costs with its corpus presented so many times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// How many times.
    pub copies: u32,
    /// Medians over the rounds, and every round's value.
    pub figures: Vec<Figure>,
}

/// One run in a process of its own.
#[derive(Debug)]
struct OneRun {
    seconds: f64,
    /// Of the whole process; unknown where the system does not tell.
    cpu_seconds: Option<f64>,
    status: Status,
}

impl Bench {
    /// Measures everything. `tell` hears of each run. What it wrote is gone afterwards, and no run goes on: on errors too,
    /// and where nobody awaits it any more.
    pub async fn measure(&self, tell: impl Fn(&str)) -> Result<Vec<Measured>, RunError> {
        let load = || LoadedJob::read(&self.job, &self.sets);
        let (job, runtime) = (load()?, tokio::runtime::Handle::current());
        let checked = tokio::task::spawn_blocking(move || check(job, runtime).map(drop));
        checked.await.map_err(|error| RunError::Bug(error.to_string()))??;
        let job = load()?;
        let cannot = |error: std::io::Error| not_writable(&self.scratch, &error);
        let scratch = tempfile::Builder::new().prefix("pageloom-bench-").tempdir_in(&self.scratch).map_err(cannot)?;
        let mut variants = Vec::new();
        for copies in &self.copies {
            let folder = scratch.path().join(format!("corpus-{copies}"));
            let sources =
                sources_copied(&job, *copies, &folder).await.map_err(|error| not_writable(&folder, &error))?;
            let sets = self.sets.iter().cloned().chain(sources).collect::<Vec<_>>();
            variants.push((*copies, sets, Vec::new()));
        }
        for round in 1..=self.rounds {
            for (copies, sets, runs) in &mut variants {
                let run = self.run_once(sets, scratch.path()).await?;
                let cpu = run.cpu_seconds.map_or(String::new(), |seconds| format!(", {seconds:.1} CPU seconds"));
                tell(&format!("round {round}/{}, {copies} x: {:.1} s{cpu}", self.rounds, run.seconds));
                runs.push(figures(&run));
            }
        }
        Ok(variants.into_iter().map(|(copies, _, runs)| Measured { copies, figures: medians(&runs) }).collect())
    }

    /// A process for each run, so that neither memory nor caches of one are in the next.
    async fn run_once(&self, sets: &[String], scratch: &Path) -> Result<OneRun, RunError> {
        let failed = |cause: String| RunError::Unit { unit: "a run of the job".into(), cause };
        let (program, out, said) = (std::env::current_exe(), scratch.join("out"), scratch.join("said"));
        let mut command = Command::new(program.map_err(|error| failed(error.to_string()))?);
        command.arg("run").arg(&self.job).arg("--out").arg(&out).args(["--parallel", &self.parallel.to_string()]);
        let stderr = File::create(&said).map_err(|error| not_writable(&said, &error))?;
        command.args(sets.iter().flat_map(|set| ["--set", set])).env("TMPDIR", scratch);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let (started, cpu_before) = (Instant::now(), children_cpu_seconds());
        let mut run = Running(command.spawn().map_err(|error| failed(error.to_string()))?);
        let ended = run.0.wait().await.map_err(|error| failed(error.to_string()))?;
        let seconds = started.elapsed().as_secs_f64();
        let cpu_seconds = cpu_before.zip(children_cpu_seconds()).map(|(before, after)| after - before);
        if !ended.success() {
            let said = std::fs::read(&said).unwrap_or_default();
            return Err(failed(String::from_utf8_lossy(&said).trim().to_owned()));
        }
        let store = Store::open(&out.as_path().into(), &Settings::default())?;
        let status = status(&store).await?;
        std::fs::remove_dir_all(&out).map_err(|error| not_writable(&out, &error))?;
        Ok(OneRun { seconds, cpu_seconds, status })
    }
}

/// A run that is ended where nobody awaits its end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Until it has ended it may still write into the folder that is removed next.
        while self.0.start_kill().is_ok() && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn not_writable(folder: &Path, error: &std::io::Error) -> RunError {
    let problem = Problem::new(folder.display().to_string(), format!("can't be written: {error}"));
    JobError::from(problem.hint("name another folder with --scratch")).into()
}

/// For a person: a line for each figure, a column for each number of copies, and how the last differs from the first.
pub fn text(measured: &[Measured]) -> String {
    let Some(first) = measured.first() else { return String::new() };
    let mut text = format!("{:<48}", "median");
    for one in measured {
        text.push_str(&format!(" {:>11}", format!("{} x", one.copies)));
    }
    text.push_str(if measured.len() > 1 { "  last / first\n" } else { "\n" });
    for figure in &first.figures {
        let values = measured.iter().map(|one| one.figures.iter().find(|other| other.name == figure.name));
        let values: Vec<Option<f64>> = values.map(|figure| figure.map(|figure| figure.median)).collect();
        text.push_str(&format!("{:<48}", figure.name));
        for value in &values {
            text.push_str(&format!(" {:>11}", value.map_or("-".into(), readable)));
        }
        if let (true, Some(Some(last))) = (values.len() > 1 && figure.median > 0.0, values.last()) {
            text.push_str(&format!("  {:>12.2}", last / figure.median));
        }
        text.push('\n');
    }
    text
}

/// Three digits or more, whichever is shorter.
fn readable(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_tells_how_much_more_the_last_number_of_copies_takes() {
        let measured = |copies, median| Measured {
            copies,
            figures: vec![Figure { name: "peak memory, MB".into(), median, rounds: vec![median] }],
        };
        let text = text(&[measured(1, 200.0), measured(10, 230.0)]);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["peak", "memory,", "MB", "200", "230", "1.15"]);
    }
}
