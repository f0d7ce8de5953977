//! Who watches a run: bars with rates and time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::engine::plan::Stage;
use crate::engine::watch::Watch;
use crate::{say, tell};

/// Counters of the stage that runs now. Work is what the time left is reckoned from.
#[derive(Debug, Default)]
pub struct Progress {
    /// What the units are at.
    pub watch: Arc<Watch>,
    work_done: AtomicU64,
    work_total: AtomicU64,
    units_done: AtomicU64,
    rejects: AtomicU64,
    met_another_run: AtomicBool,
}

impl Progress {
    /// A unit turned out to be another run's; whether it is the first.
    pub fn meets_another_run(&self) -> bool {
        !self.met_another_run.swap(true, Ordering::Relaxed)
    }

    /// Some of the stage's work is done.
    pub fn worked(&self, amount: u64) {
        self.work_done.fetch_add(amount, Ordering::Relaxed);
    }

    /// A part of the stage's work, of so many bytes.
    pub fn part(self: &Arc<Self>, bytes: u64) -> Part {
        Part { left: AtomicU64::new(bytes), progress: self.clone() }
    }

    /// A row was rejected.
    pub fn rejected(&self, rows: u64) {
        self.rejects.fetch_add(rows, Ordering::Relaxed);
    }

    /// A unit is committed.
    pub fn unit_done(&self) {
        self.units_done.fetch_add(1, Ordering::Relaxed);
    }

    fn reset(&self, total: u64) {
        self.work_total.store(total, Ordering::Relaxed);
        for counter in [&self.work_done, &self.units_done, &self.rejects] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// A part of a stage's work. What is done twice, or beside it, is no more of it.
#[derive(Debug)]
pub struct Part {
    left: AtomicU64,
    progress: Arc<Progress>,
}

impl Part {
    /// So many bytes are read.
    pub fn read(&self, bytes: u64) {
        let less = |left: u64| Some(left.saturating_sub(bytes));
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_default();
        self.progress.worked(before.min(bytes));
    }

    /// All of it is done, what was passed over too.
    pub fn done(&self) {
        self.read(u64::MAX);
    }
}

/// What a stage's work is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Bytes of input.
    Bytes,
    /// Rows, by their word.
    Rows(&'static str),
}

/// No time left is reckoned from less than this.
const LEAST_TO_GO_BY: Duration = Duration::from_secs(5);

/// Shows one stage until it is dropped or told to finish.
pub struct StageDisplay {
    task: tokio::task::JoinHandle<()>,
    progress: Arc<Progress>,
    line: Line,
}

#[derive(Clone)]
struct Line {
    stage: &'static str,
    units: u64,
    measure: Measure,
    started: Instant,
}

impl StageDisplay {
    /// Starts showing a stage of so many units and so much work.
    pub fn start(progress: &Arc<Progress>, stage: &'static str, units: u64, total: u64, measure: Measure) -> Self {
        progress.reset(total);
        let line = Line { stage, units, measure, started: Instant::now() };
        let task = match std::io::stderr().is_terminal() {
            true => tokio::spawn(draw_bar(progress.clone(), line.clone(), total)),
            false => tokio::spawn(print_lines(progress.clone(), line.clone())),
        };
        Self { task, progress: progress.clone(), line }
    }

    /// Ends the display with one line that stays, and says how it ended.
    pub fn finish(self, end: &str) {
        self.task.abort();
        if std::io::stderr().is_terminal() {
            say::tell(format_args!("\r\x1b[2K"));
        }
        tell!("{}", self.line.text(&self.progress, end));
    }
}

impl Line {
    fn text(&self, progress: &Progress, end: &str) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let done = self.done(progress);
        let units = progress.units_done.load(Ordering::Relaxed);
        let rate = done as f64 / seconds.max(1e-3);
        let work = match self.measure {
            Measure::Bytes => format!("{:.1} MB, {:.1} MB/s", done as f64 / 1e6, rate / 1e6),
            Measure::Rows(word) => format!("{done} {word}, {rate:.0} {word}/s"),
        };
        let rejects = progress.rejects.load(Ordering::Relaxed);
        let width = Stage::NAME_WIDTH;
        format!(
            "{:<width$} {units}/{} units, {work}, {rejects} rejects, {seconds:.0} s{}",
            self.stage,
            self.units,
            match end {
                "" => String::new(),
                end => format!(", {end}"),
            }
        )
    }

    /// Nothing before there is a rate to go by: the first rows wait for whole batches, and what is refused costs nothing.
    fn time_left(&self, progress: &Progress) -> String {
        let (done, passed) = (self.done(progress) as f64, self.started.elapsed());
        let total = progress.work_total.load(Ordering::Relaxed) as f64;
        let open = total - self.settled(progress) as f64;
        if done == 0.0 || open <= 0.0 || passed < LEAST_TO_GO_BY {
            return String::new();
        }
        format!("{:.0} s left", passed.as_secs_f64() * open / done)
    }

    /// Work that is done. Of bytes it is known how many there are: a unit that is tried again reads none beside them.
    fn done(&self, progress: &Progress) -> u64 {
        let done = progress.work_done.load(Ordering::Relaxed);
        match self.measure {
            Measure::Bytes => done.min(progress.work_total.load(Ordering::Relaxed)),
            Measure::Rows(_) => done,
        }
    }

    /// Work of which nothing is left: a rejected row is settled too.
    fn settled(&self, progress: &Progress) -> u64 {
        let done = self.done(progress);
        match self.measure {
            Measure::Bytes => done,
            Measure::Rows(_) => done + progress.rejects.load(Ordering::Relaxed),
        }
    }
}

async fn print_lines(progress: Arc<Progress>, line: Line) {
    let mut pause = Duration::from_secs(2);
    loop {
        tokio::time::sleep(pause).await;
        tell!("{}", line.text(&progress, &line.time_left(&progress)));
        pause = Duration::from_secs(10);
    }
}

async fn draw_bar(progress: Arc<Progress>, line: Line, total: u64) {
    let bar = ProgressBar::new(total.max(1));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}") {
        bar.set_style(style);
    }
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        bar.set_position(line.settled(&progress));
        bar.set_message(line.text(&progress, &line.time_left(&progress)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_twice_or_passed_over_is_done_once_and_a_second_attempt_adds_nothing() {
        let progress = Arc::new(Progress::default());
        progress.reset(100);
        let line = Line { stage: "documents", units: 1, measure: Measure::Bytes, started: Instant::now() };
        let part = progress.part(100);
        for (read, done) in [(30, 30), (40, 70), (40, 100), (5, 100)] {
            part.read(read);
            assert_eq!(line.done(&progress), done);
        }
        let again = progress.part(100);
        again.read(10);
        again.done();
        assert_eq!((progress.work_done.load(Ordering::Relaxed), line.done(&progress)), (200, 100));
    }
}
