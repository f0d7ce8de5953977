//! What the job means: every setting checked, every file it names loaded, before any input is read.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pageloom_schemas::tables;
use pageloom_vq::ImageTokenizer;
use tokio::runtime::Handle;

use crate::engine::input::StoreInput;
use crate::engine::memory::{LEAST_OF_UNIT, Memory};
use crate::engine::plan::TrainingTable;
use crate::error::{JobError, Problem, RunError, StepError};
use crate::identity::Identity;
use crate::job::{Job, LoadedJob};
use crate::job_text::JobText;
use crate::sources::{Input, Source, SourceConfig, SourceError};
use crate::step::{Ids, Resources, Step};
use crate::steps::StepConfig;

mod files;
mod sources;
mod steps;
mod tokenizers;

use files::{StepFile, read_files};
use sources::{check_sources, check_trees};
use steps::check_steps;
use tokenizers::{load_tokenizers, loses_text};

/// A job that is right as far as can be known without its input.
pub struct CheckedJob {
    /// What the user wrote.
    pub job: Job,
    /// Hash of the job and of the tokenizers and files it names: what a run's output follows from, beside its input.
    pub digest: String,
    /// What that is the hash of.
    pub identity: Identity,
    /// The folder that the job's paths are relative to.
    pub folder: PathBuf,
    /// The sources, ready to read.
    pub sources: Vec<Arc<dyn Source>>,
    /// Where each of them stands in the job file.
    pub places: Vec<String>,
    /// Where everything else stands.
    pub text: JobText,
    /// What is no mistake, but may not be meant.
    pub warnings: Vec<String>,
    /// What the steps share.
    pub resources: Resources,
    /// Steps that are built already: what they load, a list of a million names, all units share.
    built: Mutex<Vec<(StepConfig, Arc<dyn Step>)>>,
}

impl CheckedJob {
    /// A step of the job, ready to run; it is built when it is first asked for.
    pub fn step(&self, config: &StepConfig) -> Result<Arc<dyn Step>, StepError> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, step)) = built.iter().find(|(of, _)| of == config) {
            return Ok(step.clone());
        }
        let step = config.build(&self.resources)?;
        built.push((config.clone(), step.clone()));
        Ok(step)
    }
}

/// Checks a job and loads what it names; reports every problem at once.
pub fn check(mut loaded: LoadedJob, runtime: Handle) -> Result<CheckedJob, JobError> {
    let mut problems = std::mem::take(&mut loaded.problems);
    let folder = loaded.text.folder().to_owned();
    let storage = loaded.draft.storage.clone().unwrap_or_default();
    let input = StoreInput::new(&folder, storage, runtime);
    let input = input.map_err(|error| Problem::new(folder.display().to_string(), error.to_string()))?;
    if !loaded.is_record {
        check_sources(&loaded, &input, &mut problems);
        check_trees(&loaded, &input, &mut problems);
    }
    check_steps(&loaded, &mut problems);
    let mut warnings = Vec::new();
    let files = read_files(&loaded, &mut problems, &mut warnings);
    check_numbers(&loaded, &mut problems);
    check_storage(&loaded, &mut problems);
    let tokenizers = load_tokenizers(&loaded, &mut problems);
    let places = loaded
        .draft
        .sources
        .iter()
        .flatten()
        .enumerate()
        .map(|(index, source)| loaded.text.problem_at(&place_of(index, source), "", None).place);
    let places = places.collect();
    let Some((job, (ids, images))) = loaded.draft.job().zip(tokenizers).filter(|_| problems.is_empty()) else {
        return Err(JobError(problems));
    };
    let input: Arc<dyn Input> = Arc::new(input);
    warnings.extend(ids.iter().filter_map(|ids| loses_text(&ids.text)));
    let identity = identity(&job, &files, ids.as_ref(), images.as_ref());
    let inputs = job.sources.iter().map(|_| input.clone()).collect();
    let memory = Arc::new(Memory::new(job.units.memory_limit));
    let makes_image_table = job.image_shards.is_some();
    let resources =
        Resources { seed: job.seed, ids, images, makes_image_table, memory, inputs, folder: folder.clone() };
    let sources = job.sources.iter().map(|source| source.build()).collect();
    Ok(CheckedJob {
        job,
        digest: identity.digest(),
        identity,
        folder,
        sources,
        places,
        text: loaded.text,
        warnings,
        resources,
        built: Mutex::default(),
    })
}

impl CheckedJob {
    /// Fingerprint of how image files become the encoder's pixels; none where the job has no such step.
    pub fn preprocessing(&self) -> Option<String> {
        let encoder = self.resources.images.as_ref();
        self.job.images.iter().find_map(|step| match step {
            StepConfig::prepare_image(settings) => Some(settings.preprocessing(encoder).fingerprint()),
            _ => None,
        })
    }

    /// The error of a source whose files are not what the job says: the job's, at the source's line.
    pub fn unsuited(&self, source: usize, error: SourceError) -> RunError {
        match (error, self.places.get(source)) {
            (error @ SourceError::Unsuitable { .. }, Some(place)) => {
                JobError::from(Problem::new(place.clone(), error.to_string())).into()
            }
            (error, _) => error.into(),
        }
    }
}

fn place_of(index: usize, source: &SourceConfig) -> String {
    format!("sources.{index}.{}", source.name())
}

/// Refuses what no request could use, before a copy of the job is written anywhere.
fn check_storage(loaded: &LoadedJob, problems: &mut Vec<Problem>) {
    if let Some(Err(error)) = loaded.draft.storage.as_ref().map(pageloom_storage::Settings::check) {
        let setting = match &error {
            pageloom_storage::StorageError::Setting { name, .. } => *name,
            _ => "endpoint",
        };
        problems.push(loaded.text.problem_at(&format!("storage.{setting}"), error.to_string(), None));
    }
}

fn check_numbers(loaded: &LoadedJob, problems: &mut Vec<Problem>) {
    let (shards, units) = (&loaded.draft.shards, &loaded.draft.units);
    let positive = [
        ("shards.rows_per_shard", shards.as_ref().map(|shards| shards.rows_per_shard)),
        ("shards.rows_per_row_group", shards.as_ref().map(|shards| shards.rows_per_row_group)),
        ("units.bytes", units.as_ref().map(|units| units.bytes)),
        ("units.attempts", units.as_ref().map(|units| units.attempts.into())),
        ("units.heartbeat_seconds", units.as_ref().map(|units| units.heartbeat_seconds.into())),
    ];
    let images = loaded.draft.image_shards.as_ref().and_then(Option::as_ref);
    let of_images = [
        ("image_shards.rows_per_shard", images.map(|shards| shards.rows_per_shard)),
        ("image_shards.rows_per_row_group", images.map(|shards| shards.rows_per_row_group)),
    ];
    for (path, _) in positive.into_iter().chain(of_images).filter(|(_, value)| *value == Some(0)) {
        problems.push(loaded.text.problem_at(path, "must be at least 1", None));
    }
    if units.as_ref().is_some_and(|units| units.memory < LEAST_OF_UNIT) {
        let hint = format!("give each unit at least {LEAST_OF_UNIT} bytes, or leave it out for the default");
        problems.push(loaded.text.problem_at("units.memory", "is too little to sort in", Some(hint)));
    }
}

/// What the output follows from, beside the input: not how much memory or how many attempts a unit
/// may take, nor the job's name.
fn identity(job: &Job, files: &[StepFile], ids: Option<&Ids>, images: &dyn ImageTokenizer) -> Identity {
    let of_section = |name: &str| -> serde_json::Map<String, serde_json::Value> {
        let of_section = files.iter().filter(|(section, ..)| *section == name);
        of_section.map(|(_, path, digest)| (path.display().to_string(), digest.as_str().into())).collect()
    };
    let mut identity = serde_json::json!({
        "format": tables::FORMAT_VERSION,
        "program": env!("CARGO_PKG_VERSION"),
        "seed": job.seed,
        "sources": job.sources,
        "num_sentinels": job.tokenizers.num_sentinels,
        "pad_to_multiple_of": job.tokenizers.pad_to_multiple_of,
        "documents": job.documents,
        "documents_files": of_section("documents"),
        "images": job.images,
        "images_files": of_section("images"),
        "sequences": job.sequences,
        "sequences_files": of_section("sequences"),
        "shards": job.shards,
        "image_shards": job.image_shards,
        "tables": TrainingTable::of(job),
        "images_of_no_page": job.wants_all_images(),
        "unit_bytes": job.units.bytes,
        "text_tokenizer": ids.map(|ids| ids.text.digest()),
        "image_tokenizer": images.provenance(),
    });
    let shown = job.sequences.as_ref().and_then(|sequences| sequences.images.as_ref());
    if let Some(shown) = shown.filter(|shown| !shown.masks.is_empty()) {
        // Masks are drawn again beside sequences, so these follow from what draws them.
        let steps: Vec<&StepConfig> = shown.steps(&job.images).filter_map(|(_, step)| step).collect();
        identity["masks_in_sequences"] = serde_json::json!([steps, of_section("images")]);
    }
    Identity::new(identity)
}
