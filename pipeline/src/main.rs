//! The command line: parses, calls, prints.

mod allocator;
mod masks_commands;
mod vq_commands;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use pageloom::bench::{self, Bench};
use pageloom::check::check;
use pageloom::clean::clean;
use pageloom::engine::plan::Stage;
use pageloom::engine::progress::Progress;
use pageloom::engine::stages::shards::ShardedTable;
use pageloom::engine::store::{Place, Store};
use pageloom::error::{JobError, RunError};
use pageloom::finish::ImageTable;
use pageloom::job::{LoadedJob, Sequences};
use pageloom::job_text::settings_of;
use pageloom::rejects::{FoundReject, Groups, each_reject};
use pageloom::step::Resources;
use pageloom::{answer, diff, replay, run, say, settings, show, show_image, status, tell, verify};

/// Weaves web pages and their images into training sequences.
///
/// One job file says where pages come from, what is done to them, and what trainers get:
/// packed, sharded Parquet. Try `pageloom run jobs/demo.toml --out out/demo`.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 done, 1 the job is wrong, 2 the run failed.")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a job; what an earlier run of it has committed is not run again.
    Run {
        #[command(flatten)]
        job: JobOptions,
        /// Output folder, or `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`: new, empty, or begun by the same job.
        #[arg(long, default_value = "out")]
        out: Place,
        /// Another output, of a job or input that was changed since: units that are still the same are taken over from it,
        /// all others run. Nothing in it is touched; on one disk its files are shared.
        #[arg(long, value_name = "OUT")]
        reuse: Option<Place>,
        /// Units in flight, and threads that compute. The output does not depend on it.
        #[arg(long, default_value_t = cores(), value_parser = parallel)]
        parallel: usize,
    },
    /// Check a job without reading its input; prints every problem with its line.
    Check {
        #[command(flatten)]
        job: JobOptions,
    },
    /// Print the stages and units of a job.
    Plan {
        #[command(flatten)]
        job: JobOptions,
        /// Compare with an output that was begun, by this job or another: which units would run again, and why.
        ///
        /// Reads the input, for what counts is its content. Writes nothing.
        #[arg(long, value_name = "OUT")]
        diff: Option<Place>,
        /// Print JSON, with every split.
        #[arg(long)]
        json: bool,
    },
    /// Run one unit of a job, for launchers that place units themselves.
    Unit {
        #[command(flatten)]
        job: JobOptions,
        /// Output folder, or `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`: the same for all units of a run.
        #[arg(long)]
        out: Place,
        /// Stage of the unit; the stages before it must be committed.
        #[arg(long)]
        stage: Stage,
        /// Number of the unit, from 0.
        #[arg(long)]
        index: u32,
    },
    /// Check that a finished run adds up: rows, rejects, files, checksums.
    Verify {
        #[command(flatten)]
        out: RunPlace,
        /// Also read every file, make every row again from what the stages handed on, and invert every example.
        #[arg(long)]
        deep: bool,
        /// With --deep: make the rows of so many units again, spread evenly, and not of all.
        #[arg(long, requires = "deep")]
        sample: Option<usize>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print how far a run is, and what its stages and steps cost so far.
    ///
    /// Rates are by time on the wall in which at least one unit ran, and by CPU second: what one core does. Beside the
    /// job's own steps stand `read` (the source), `scan_join_sort` (exchanges between stages), `pack` and `write`
    /// (Parquet). Shares are of the stage's CPU time; busy is how much of the time of all threads a step took, so that what
    /// is missing from 100 % of `encode_image` was spent elsewhere or in waiting.
    Status {
        #[command(flatten)]
        out: RunPlace,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure what a job costs: run it several times and print the medians.
    ///
    /// Each run is a process of its own with an output folder of its own, which is removed at once. Time and memory are
    /// taken from the runs' commits, as `status` prints them, and from the system; rounds are interleaved, so that a busy
    /// machine is unfair to nobody. Compare CPU seconds, not seconds, where other work goes on beside.
    ///
    /// With `--copies 1 --copies 10` the corpus is presented once and ten times over: peak memory should hardly differ,
    /// because it follows from `units.bytes`, `units.memory` and `--parallel`. A folder is linked ten times, so that its
    /// images are ten times as many; an archive is read ten times, and its images are encoded once.
    #[command(after_help = "Example: pageloom bench jobs/demo.toml --copies 1 --copies 10 --rounds 3\n\
        Documents alone: add --set images.0.fetch_image.max_bytes=1, so that no image is encoded.")]
    Bench {
        #[command(flatten)]
        job: JobOptions,
        /// How many times over the corpus is presented; may be given several times.
        #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
        copies: Vec<u32>,
        /// Runs for each number of copies.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// Units in flight, and threads that compute.
        #[arg(long, default_value_t = cores(), value_parser = parallel)]
        parallel: usize,
        /// Folder for corpora and outputs while they are needed; on the corpus' own disk nothing need be copied.
        #[arg(long, default_value_os_t = std::env::temp_dir())]
        scratch: PathBuf,
        /// Print JSON, with every round's values.
        #[arg(long)]
        json: bool,
    },
    /// Find what killed runs and units done twice have left, and remove it if told to.
    ///
    /// Such files cost nothing but room: no commit names them, so nobody reads them.
    Clean {
        #[command(flatten)]
        out: RunPlace,
        /// Remove what is found.
        #[arg(long)]
        remove: bool,
        /// Also where the run has not ended. No process may be at work on it: what it writes now would be removed.
        #[arg(long)]
        unfinished: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List what was not kept: by stage, step and reason, with numbers and some samples.
    Rejects {
        #[command(flatten)]
        out: RunPlace,
        /// Only this reason, such as `image_too_small`.
        #[arg(long)]
        reason: Option<String>,
        /// Rows to print of each step and reason: drawn from all of the run, and the same ones each time.
        #[arg(long, default_value_t = 3)]
        sample: usize,
        /// Print every row, one JSON object per line.
        #[arg(long, conflicts_with = "sample")]
        json: bool,
    },
    /// Run one page or image through its steps again, and print what each of them did.
    Replay {
        #[command(flatten)]
        out: RunPlace,
        /// Key or URL, as `rejects` and `show` print them.
        #[arg(long)]
        id: String,
        /// The most characters to print of one column.
        #[arg(long, default_value_t = 2000)]
        chars: usize,
        /// Print JSON, with every column whole.
        #[arg(long)]
        json: bool,
    },
    /// Print what a job file may say: its sections, or all about one section, step or setting.
    #[command(after_help = "Examples: pageloom settings documents; pageloom settings filter_length; \
        pageloom settings sequences.objective.fim")]
    Settings {
        /// Names from a section down, with points between, as in `sequences.packing`; or the last of them alone.
        path: Option<String>,
        /// Print the JSON Schema (draft 2020-12) of a whole job, by which editors complete and check TOML.
        #[arg(long, conflicts_with = "path")]
        json: bool,
    },
    /// Look at VQ models, and encode and decode image files with them.
    #[command(subcommand)]
    Vq(vq_commands::VqCommand),
    /// Look at patch masks for masked image modelling.
    #[command(subcommand)]
    Masks(masks_commands::MasksCommand),
    /// Print one row of a finished run, decoded; or one image, as a picture too.
    Show {
        #[command(flatten)]
        out: RunPlace,
        /// Number of the row, over all shards.
        #[arg(long, default_value_t = 0)]
        row: u64,
        /// A row of the table of images.
        #[arg(long)]
        images: bool,
        /// With --images: draw what the encoder saw, what its tokens decode to, and that under each mask.
        #[arg(long, value_name = "FILE", requires = "images")]
        png: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct JobOptions {
    /// The job file.
    job: PathBuf,
    /// Lay a value over the job file's, as in `--set seed=7` or `--set documents.1.minimal_html.min_text_chars=64`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

#[derive(Debug, Args)]
struct RunPlace {
    /// Output of the run: its folder, or `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
    out: Place,
    /// How the bucket is reached, as in the job's `[storage]`: `--storage endpoint=http://host:9000`.
    #[arg(long = "storage", value_name = "KEY=VALUE")]
    storage: Vec<String>,
}

impl RunPlace {
    fn open(&self) -> Result<Store, RunError> {
        Store::open(&self.out, &settings_of("--storage", &self.storage)?)
    }
}

/// Units in flight, and threads.
fn parallel(text: &str) -> Result<usize, String> {
    let parallel = text.parse::<usize>().ok().filter(|parallel| (1..=MOST_PARALLEL).contains(parallel));
    parallel.ok_or_else(|| format!("name a number from 1 to {MOST_PARALLEL}"))
}

/// More threads than any machine has cores would only cost memory.
const MOST_PARALLEL: usize = 1024;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn main() -> ExitCode {
    allocator::start_with_trimming();
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(message) => {
            // Where even a broken pipe can't be reported, the exit code still is.
            let _ = message.print();
            return ExitCode::from(u8::from(message.use_stderr()));
        }
    };
    match execute(command_line.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Job(error)) => {
            tell!("{error}");
            ExitCode::from(1)
        }
        Err(error) => {
            tell!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn execute(command: Command) -> Result<(), RunError> {
    let threads = if let Command::Run { parallel, .. } = &command { *parallel } else { cores() };
    let bug = |error: &dyn std::fmt::Display| RunError::Bug(error.to_string());
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|error| bug(&error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        // Each thread has a heap of its own. Units read on one each; the rest is for the files that they read.
        .max_blocking_threads(2 * threads + 4)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| bug(&error))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = dispatch(command) => outcome,
            _ = told_to_stop() => Err(RunError::Interrupted),
        }
    });
    // Threads in the middle of a document are not waited for: what they make is not committed.
    runtime.shutdown_background();
    outcome
}

/// Ends when the user presses Ctrl-C, or whoever places this process (a shell, Slurm, Kubernetes) asks it to end.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

async fn dispatch(command: Command) -> Result<(), RunError> {
    match command {
        Command::Run { job, out, reuse, parallel } => run_job(&job, &out, parallel, reuse.as_ref()).await,
        Command::Check { job } => check_job(&job).await,
        Command::Plan { job, diff: Some(out), json } => {
            let diff = diff::diff(load(&job)?, &out).await?;
            say::answer(format_args!("{}", if json { to_json(&diff)? + "\n" } else { diff.text(&out) }))?;
            Ok(())
        }
        Command::Plan { job, diff: None, json } => plan_job(&job, json).await,
        Command::Unit { job, out, stage, index } => {
            let unit = run::run_one(load(&job)?, &out, stage, index).await?;
            tell!("{unit} is committed");
            Ok(())
        }
        Command::Verify { out, deep, sample, json } => {
            let store = out.open()?;
            verify_run(&store, json).await?;
            if deep { verify_run_deep(&store, sample, json).await } else { Ok(()) }
        }
        Command::Status { out, json } => {
            let status = status::status(&out.open()?).await?;
            say::answer(format_args!("{}", if json { to_json(&status)? + "\n" } else { status.text() }))?;
            Ok(())
        }
        Command::Bench { job: JobOptions { job, sets }, copies, rounds, parallel, scratch, json } => {
            let bench = Bench { job, sets, copies, rounds, parallel, scratch };
            let measured = tokio::task::spawn_blocking(move || bench.measure(|line| tell!("{line}")));
            let measured = measured.await.map_err(|error| RunError::Bug(error.to_string()))??;
            say::answer(format_args!("{}", if json { to_json(&measured)? + "\n" } else { bench::text(&measured) }))?;
            Ok(())
        }
        Command::Clean { out, remove, unfinished, json } => {
            let orphans = clean(&out.open()?, remove, unfinished).await?;
            say::answer(format_args!("{}", if json { to_json(&orphans)? + "\n" } else { orphans.text() }))?;
            Ok(())
        }
        Command::Rejects { out, reason, sample, json } => {
            let (store, mut groups) = (out.open()?, Groups::new(sample));
            if !json {
                let group = |reject| {
                    groups.add(reject);
                    Ok(())
                };
                each_reject(&store, reason.as_deref(), group).await?;
                if groups.is_empty() {
                    let why = reason.map(|reason| format!(" as `{reason}`")).unwrap_or_default();
                    answer!("nothing was rejected{why}")?;
                }
                say::answer(format_args!("{}", groups.text()))?;
                return Ok(());
            }
            let print = |reject: FoundReject| {
                answer!("{}", serde_json::to_string(&reject).map_err(|error| RunError::Bug(error.to_string()))?)?;
                Ok(())
            };
            each_reject(&store, reason.as_deref(), print).await
        }
        Command::Replay { out, id, chars, json } => {
            let replay = replay::replay(&out.open()?, &id).await?;
            say::answer(format_args!("{}", if json { to_json(&replay)? + "\n" } else { replay.text(chars) }))?;
            Ok(())
        }
        Command::Settings { json: true, .. } => answer!("{}", to_json(&settings::schema())?),
        Command::Settings { path, .. } => {
            let width = console::Term::stdout().size_checked().map_or(100, |(_, columns)| usize::from(columns));
            let text = settings::reference(path.as_deref(), width.max(40)).map_err(JobError::from)?;
            say::answer(format_args!("{text}"))
        }
        Command::Vq(command) => {
            let done = tokio::task::spawn_blocking(move || vq_commands::execute(command));
            done.await.map_err(|error| RunError::Bug(error.to_string()))?
        }
        Command::Masks(command) => masks_commands::execute(command),
        Command::Show { out, row, images: true, png, json } => {
            let store = out.open()?;
            let image = show_image::show_image(&store, row).await?;
            answer!("{}", if json { to_json(&image)? } else { image.text() })?;
            if let Some(png) = png {
                let tiles = show_image::draw(&store, &image, &png).await?;
                tell!("{}: from the left {}", png.display(), tiles.join(", "));
            }
            Ok(())
        }
        Command::Show { out, row, json, .. } => {
            let row = show::show(&out.open()?, row).await?;
            answer!("{}", if json { to_json(&row)? } else { row.text() })?;
            Ok(())
        }
    }
}

fn load(options: &JobOptions) -> Result<LoadedJob, JobError> {
    LoadedJob::read(&options.job, &options.sets)
}

async fn run_job(options: &JobOptions, out: &Place, parallel: usize, reuse: Option<&Place>) -> Result<(), RunError> {
    let manifest = run::run(load(options)?, out, parallel, reuse).await?;
    let rejected: u64 = manifest.rejects.values().sum();
    let nothing = manifest.rows + manifest.image_table.as_ref().map_or(0, |table| table.rows) == 0;
    if nothing {
        let why = match rejected {
            0 => "the sources hold no page and no image".to_owned(),
            _ => format!("`pageloom rejects {out}` tells why"),
        };
        tell!("warning: no row came out; {why}");
    }
    let mut made = Vec::new();
    if manifest.makes_sequences() {
        made.push(format!(
            "{} documents and {} images in {} rows{}, {} shards",
            manifest.documents,
            manifest.images,
            manifest.rows,
            manifest.sequence_length.map_or(String::new(), |length| format!(" of {length} tokens")),
            manifest.files.len(),
        ));
    }
    let of_images = |table: &ImageTable| format!("{} rows of images, {} shards", table.rows, table.files.len());
    made.extend(manifest.image_table.as_ref().map(of_images));
    answer!("{}, {rejected} rejects: {}", made.join(", "), out.join(pageloom::finish::MANIFEST))?;
    Ok(())
}

async fn check_job(options: &JobOptions) -> Result<(), RunError> {
    let (loaded, runtime, progress) = (load(options)?, tokio::runtime::Handle::current(), Progress::default());
    let checked = tokio::task::spawn_blocking(move || check(loaded, runtime, progress.bytes_read));
    let checked = checked.await.map_err(|error| RunError::Bug(error.to_string()))??;
    answer!("{}: all right", options.job.display())?;
    let Resources { ids, images, .. } = &checked.resources;
    match ids {
        Some(ids) => answer!("vocabulary of {} ids, {} per image", ids.vocabulary.size(), images.codes_per_image())?,
        None => answer!("{} codes per image, below {}", images.codes_per_image(), images.codebook_size())?,
    }
    if let Some(blocks) = checked.job.sequences.as_ref().and_then(Sequences::blocks) {
        answer!("{blocks}, each of which is a row")?;
    }
    Ok(())
}

async fn plan_job(options: &JobOptions, json: bool) -> Result<(), RunError> {
    let (checked, plan) = run::plan(load(options)?, &Progress::default()).await?;
    if json {
        say::answer(format_args!("{}", run::describe_plan(&checked, &plan)?))?;
        return Ok(());
    }
    let width = Stage::NAME_WIDTH;
    for stage in Stage::ALL {
        match (ShardedTable::of(&checked, stage), plan.count(stage).unwrap_or_default()) {
            (Some(table), _) => answer!("{:<width$} one unit per {} rows", stage.name(), table.rows_per_shard)?,
            (None, 0) => {}
            (None, units) => answer!("{:<width$} {units} units", stage.name())?,
        }
    }
    if let Some(blocks) = checked.job.sequences.as_ref().and_then(Sequences::blocks) {
        answer!("{:<width$} {blocks}, none across two units", "")?;
    }
    Ok(())
}

async fn verify_run(store: &Store, json: bool) -> Result<(), RunError> {
    let balance = verify::verify(store).await?;
    if json {
        answer!("{}", to_json(&balance)?)?;
        return Ok(());
    }
    answer!("balanced: {} records, {} pages", balance.records, balance.pages)?;
    answer!("{} documents and {} images in {} rows", balance.documents, balance.images, balance.rows)?;
    for (reason, count) in &balance.rejects {
        answer!("{count:>8} {reason}")?;
    }
    for (reason, count) in &balance.dropped_references {
        answer!("{count:>8} {reason} (a reference, dropped from its document)")?;
    }
    Ok(())
}

async fn verify_run_deep(store: &Store, sample: Option<usize>, json: bool) -> Result<(), RunError> {
    let deep = verify::verify_deep(store, sample).await?;
    if json {
        answer!("{}", to_json(&deep)?)?;
        return Ok(());
    }
    answer!("{} files of {:.1} MB have their checksums", deep.files, deep.bytes as f64 / 1e6)?;
    answer!("{} units with {} documents make the same rows again", deep.units, deep.documents)?;
    answer!("{} examples give their document's tokens back", deep.inverted)?;
    answer!("{} shards hold the rows of the stage before them", deep.shards)?;
    Ok(())
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String, RunError> {
    serde_json::to_string_pretty(value).map_err(|error| RunError::Bug(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_problem_prints_its_place_and_remedy() {
        use pageloom::error::Problem;
        let problem = Problem::new("job.toml:3", "unknown section `sed`").hint("did you mean `seed`?");
        assert_eq!(problem.to_string(), "job.toml:3: unknown section `sed`\n    hint: did you mean `seed`?");
    }
}
