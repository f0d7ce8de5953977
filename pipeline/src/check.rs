//! What the job means: every setting checked, every file it names loaded, before any input is read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Schema, SchemaRef};
use pageloom_schemas::{columns, tables};
use pageloom_tokenizers::text::TextTokenizer;
use pageloom_tokenizers::vocabulary::{Vocabulary, VocabularySettings};
use pageloom_vq::{self as vq, ImageSize, ImageTokenizer, VqError};
use tokio::runtime::Handle;

use crate::engine::input::{StoreInput, is_address};
use crate::engine::memory::{LEAST_OF_UNIT, Memory};
use crate::engine::plan::TrainingTable;
use crate::error::{JobError, Problem, RunError, StepError};
use crate::identity::Identity;
use crate::job::{Job, LoadedJob, Sequences};
use crate::job_text::JobText;
use crate::neighbours;
use crate::packing::PackingConfig;
use crate::sources::{Input, Source, SourceConfig, SourceError};
use crate::specials::Specials;
use crate::step::{Ids, Resources, Step, UnusableLines};
use crate::steps::StepConfig;
use crate::steps::interleave_images::ImageTokens;

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

fn check_sources(loaded: &LoadedJob, input: &dyn Input, problems: &mut Vec<Problem>) {
    for (index, source) in loaded.draft.sources.iter().flatten().enumerate() {
        let mut wrong: Vec<(String, Option<String>)> =
            source.check().into_iter().map(|message| (message, None)).collect();
        wrong.extend(source.files().literal().filter_map(|path| missing(loaded, path, input)));
        if wrong.is_empty() {
            wrong = wrong_files(source, input);
        }
        let place = place_of(index, source);
        problems.extend(wrong.into_iter().map(|(message, hint)| loaded.text.problem_at(&place, message, hint)));
    }
}

/// All trees have the same root of addresses: of two pictures at one address, one would stand for both.
fn check_trees(loaded: &LoadedJob, input: &dyn Input, problems: &mut Vec<Problem>) {
    let sources = loaded.draft.sources.iter().flatten().enumerate();
    let trees: Vec<_> = sources.filter(|(_, source)| matches!(source, SourceConfig::html_files(_))).collect();
    if trees.len() < 2 {
        return;
    }
    let mut names = HashMap::new();
    for (index, source) in trees {
        // What can't be listed is a problem of its own.
        let files = source.files().list(input).unwrap_or_default();
        let named = files.iter().map(|file| source.files().locator(&file.path));
        let twice =
            named.filter_map(|name| Some((names.insert(name.clone(), index)?, name))).find(|(of, _)| *of != index);
        if let Some((other, name)) = twice {
            let message =
                format!("has a file at the address file:///{name}, and so has sources.{other}.{}", source.name());
            let hint = Some("name the folders of both in `paths` of one source".to_owned());
            problems.push(loaded.text.problem_at(&place_of(index, source), message, hint));
        }
    }
}

/// What is wrong with a file or folder that is not there, with a remedy.
fn missing(loaded: &LoadedJob, path: &str, input: &dyn Input) -> Option<(String, Option<String>)> {
    if is_address(path) {
        return match input.list(path) {
            Ok(found) if found.is_empty() => {
                Some((format!("`{path}` is not there"), Some("keys are told as they are, without escapes".to_owned())))
            }
            Ok(_) => None,
            Err(error) => Some((error.cause, None)),
        };
    }
    let path = loaded.resolve(Path::new(path));
    let hint = "paths are relative to the job file's folder".to_owned();
    (!path.exists()).then(|| (format!("`{}` is not there", path.display()), Some(hint)))
}

/// What is wrong with files that are there.
fn wrong_files(source: &SourceConfig, input: &dyn Input) -> Vec<(String, Option<String>)> {
    let unmatched = match source.files().unmatched(input) {
        Ok(unmatched) => unmatched,
        Err(error) => return vec![(error.to_string(), None)],
    };
    if unmatched.is_empty() {
        return source.build().suits(input).err().map(|error| (error.to_string(), None)).into_iter().collect();
    }
    unmatched.into_iter().map(|unmatched| (unmatched.message, Some(unmatched.hint))).collect()
}

fn check_steps(loaded: &LoadedJob, problems: &mut Vec<Problem>) {
    let documents =
        [columns::key().field(), columns::url().field(), columns::tokens().field(), columns::image_slots().field()];
    let images: Vec<_> = tables::images([]).fields().iter().map(|field| field.as_ref().clone()).collect();
    let draft = &loaded.draft;
    if let Some(steps) = draft.documents.as_ref().filter(|steps| !steps.is_empty()) {
        check_chain(loaded, "documents", steps, tables::pages(), &Schema::new(documents.to_vec()), problems);
    }
    if let Some(steps) = &draft.images {
        check_chain(loaded, "images", steps, tables::located_images(), &Schema::new(images), problems);
    }
    let (Some(Some(sequences)), Some(tokenizers)) = (&draft.sequences, &draft.tokenizers) else { return };
    let of_objective = sequences.objective.check(tokenizers.num_sentinels).into_iter();
    let of_packing = sequences.packing.check().into_iter().map(|message| ("sequences.packing", message));
    for (path, message) in of_objective.map(|message| ("sequences.objective", message)).chain(of_packing) {
        problems.push(loaded.text.problem_at(path, message, None));
    }
    if !(1..=MOST_VIEWS).contains(&sequences.views) {
        let message = format!("views is {}, but 1 to {MOST_VIEWS} can be made of a document", sequences.views);
        problems.push(loaded.text.problem_at("sequences.views", message, None));
    }
    check_shown(loaded, sequences, problems);
    if let Some(retrieval) = &sequences.retrieval {
        let passages = draft.documents.iter().flatten().any(|step| matches!(step, StepConfig::tokenize_passages(_)));
        let passages = passages.then(|| "documents are retrieved for pages, not for contexts of passages".to_owned());
        for message in retrieval.check().into_iter().chain(passages) {
            problems.push(loaded.text.problem_at("sequences.retrieval", message, None));
        }
    }
    if sequences.objective.next_sentence().is_some() && sequences.block_length().is_some_and(|length| length < 5) {
        let message = "a row has to hold two segments and three tokens around them: 5 tokens at least".to_owned();
        problems.push(loaded.text.problem_at("sequences.packing", message, None));
    }
    if sequences.objective.takes_blocks() && !matches!(sequences.packing, PackingConfig::OneDocument(_)) {
        let message =
            "the objective takes blocks, documents that are joined before it, and each block has a row of its own";
        let hint = "write `packing = { one_document = { sequence_length = … } }`: rows are then as long as blocks";
        problems.push(loaded.text.problem_at("sequences.packing", message.to_owned(), Some(hint.to_owned())));
    }
}

/// What rows can't tell of their images.
fn check_shown(loaded: &LoadedJob, sequences: &Sequences, problems: &mut Vec<Problem>) {
    let Some(shown) = &sequences.images else { return };
    let mut report = |path: &str, message: String, hint: String| {
        problems.push(loaded.text.problem_at(path, message, Some(hint)));
    };
    if sequences.interleave.image_tokens == ImageTokens::Decimal {
        let message = "images' codes are written as text, so that no token of a row is a token of an image";
        report("sequences.images", message.into(), "leave out `interleave.image_tokens`, or `images`".into());
    }
    let Some(steps) = &loaded.draft.images else { return };
    for (index, (name, step)) in shown.steps(steps).enumerate() {
        if step.is_none() {
            let hint = "add `[[images]]` with `draw_masks`, which draws them, or leave the name out";
            report("sequences.images.masks", format!("no `draw_masks` is named `{name}`"), hint.into());
        } else if shown.masks[..index].iter().any(|before| before == name) {
            report("sequences.images.masks", format!("`{name}` is there twice"), "name each set of masks once".into());
        }
    }
}

/// Letters of ASCII and markup, as every page has them.
const SAMPLE: &str =
    "<p>The Quick Brown Fox jumps over 13 lazy dogs! <img src=\"\"> (50 %, {a: [b]}) ~ x@y.z; it's #1 & 2+2=4</p>";

/// Tells of a tokenizer of whose tokens a plain text can't be read any more.
fn loses_text(text: &TextTokenizer) -> Option<String> {
    let back = text.encode(SAMPLE).and_then(|ids| text.decode(&ids)).unwrap_or_default();
    let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
    (letters(&back) != letters(SAMPLE))
        .then(|| format!("`tokenizers.text` does not give texts back: of\n    {SAMPLE}\n  its tokens say\n    {back}"))
}

/// An objective that cuts texts needs a tokenizer that gives them back.
fn check_text(loaded: &LoadedJob, text: &TextTokenizer, problems: &mut Vec<Problem>) {
    let cuts_text = loaded.draft.sequences.iter().flatten().any(|sequences| sequences.objective.cuts_text());
    if cuts_text && !text.gives_texts_back() {
        let message =
            "the objective cuts texts between characters, but this tokenizer's tokens don't give a text back as it was";
        let hint = "take a byte-level tokenizer that puts no space in front, or leave out `cuts`".to_owned();
        problems.push(loaded.text.problem_at("sequences.objective", message.to_owned(), Some(hint)));
    }
}

/// Follows the columns through a section's steps, from what its stage begins with to what the stage must have at its end.
fn check_chain(
    loaded: &LoadedJob,
    section: &str,
    steps: &[StepConfig],
    start: SchemaRef,
    end: &Schema,
    problems: &mut Vec<Problem>,
) {
    let mut schema = start;
    for (index, step) in steps.iter().enumerate() {
        let place = format!("{section}.{index}.{}", step.name());
        for message in step.check() {
            problems.push(loaded.text.problem_at(&place, message, None));
        }
        match step.columns().apply(&schema) {
            Ok(next) => schema = next,
            Err(message) => {
                let message = format!("step {} `{}` {message}", index + 1, step.name());
                let missing = step.columns().missing(&schema).map(|column| writers(&column)).unwrap_or_default();
                let hint = match missing.is_empty() {
                    true => format!("columns here: {}", names(&schema)),
                    false => format!("put {missing} before it"),
                };
                problems.push(loaded.text.problem_at(&place, message, Some(hint)));
                return;
            }
        }
    }
    for wanted in end.fields() {
        let there = schema.field_with_name(wanted.name()).is_ok_and(|found| found.data_type() == wanted.data_type());
        if !there {
            let message = format!("the steps of `{section}` end without column `{}`", wanted.name());
            let hint = format!("add {}; columns at the end: {}", writers(wanted.name()), names(&schema));
            problems.push(loaded.text.problem_at(section, message, Some(hint)));
        }
    }
}

/// A text file that a step reads: the section of the step, the file's name in the job, and the digest of what it says.
type StepFile = (&'static str, PathBuf, String);

/// The text files that steps read, in the job's order.
fn read_files(loaded: &LoadedJob, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) -> Vec<StepFile> {
    let mut files = Vec::new();
    for (section, steps) in [("documents", &loaded.draft.documents), ("images", &loaded.draft.images)] {
        for (index, step) in steps.iter().flatten().enumerate() {
            for (setting, path) in step.files() {
                let file = loaded.resolve(&path);
                let place = format!("{section}.{index}.{}.{setting}", step.name());
                match std::fs::read_to_string(&file) {
                    Ok(text) => {
                        let unusable = step.unusable_lines(setting, &text);
                        // What a run was made with is what it is.
                        if unusable.all && !loaded.is_record {
                            problems.push(without_names(loaded, &place, &file, &unusable));
                        }
                        warnings.extend(warnings_of(&file, unusable));
                        files.push((section, path, blake3::hash(text.as_bytes()).to_hex().to_string()));
                    }
                    Err(error) => {
                        let message = format!("`{}` can't be read: {error}", file.display());
                        let hint = "name a text file in UTF-8, relative to the job file's folder".to_owned();
                        problems.push(loaded.text.problem_at(&place, message, Some(hint)));
                    }
                }
            }
        }
    }
    for retrieval in loaded.draft.sequences.iter().flatten().filter_map(|sequences| sequences.retrieval.as_ref()) {
        let file = loaded.resolve(&retrieval.neighbours);
        match neighbours::read_first(&file).and_then(|()| digest_of(&file).map_err(|error| error.to_string())) {
            Ok(digest) => files.push(("sequences", retrieval.neighbours.clone(), digest)),
            Err(error) => {
                let message = format!("`{}` is no table of neighbours: {error}", file.display());
                let hint = Some(neighbours::HINT.to_owned());
                problems.push(loaded.text.problem_at("sequences.retrieval.neighbours", message, hint));
            }
        }
    }
    files
}

/// A list that comes to nothing.
fn without_names(loaded: &LoadedJob, place: &str, file: &Path, unusable: &UnusableLines) -> Problem {
    let message = format!("`{}` has no line that can be used, so nothing would be rejected by it", file.display());
    let of_first = unusable.first.first().map(|(line, wrong)| format!("line {line}: {wrong}"));
    let hint = of_first.unwrap_or_else(|| "write a name on each line, or leave the file out".to_owned());
    loaded.text.problem_at(place, message, Some(hint))
}

/// Lines of a list that nothing would be rejected by.
fn warnings_of(file: &Path, unusable: UnusableLines) -> Vec<String> {
    let more = unusable.count - unusable.first.len();
    let first = unusable.first.into_iter().map(|(line, wrong)| format!("{}:{line}: {wrong}", file.display()));
    let rest = (more > 0).then(|| format!("{}: {more} more lines are as little use", file.display()));
    first.chain(rest).collect()
}

fn digest_of(file: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(file)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// The steps that write a column, as `a` or `b`.
fn writers(column: &str) -> String {
    let steps = StepConfig::examples().into_iter().filter(|step| step.columns().written(column));
    let names: Vec<String> = steps.map(|step| format!("`{}`", step.name())).collect();
    names.join(" or ")
}

fn names(schema: &Schema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ")
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

/// A document's views are in memory together.
const MOST_VIEWS: u32 = 1024;

type LoadedTokenizers = (Option<Ids>, Arc<dyn ImageTokenizer>);

fn load_tokenizers(loaded: &LoadedJob, problems: &mut Vec<Problem>) -> Option<LoadedTokenizers> {
    let settings = loaded.draft.tokenizers.as_ref()?;
    let mut report = |path: &str, message: String, hint: &str| {
        problems.push(loaded.text.problem_at(path, message, Some(hint.to_owned())));
    };
    let name_one = "name a Hugging Face tokenizer.json, relative to the job file";
    let has_text = loaded.draft.documents.as_ref().is_none_or(|steps| !steps.is_empty());
    let text = match &settings.text {
        Some(file) => TextTokenizer::load(&loaded.resolve(file)).map(Some).map_err(|error| {
            report("tokenizers.text", error.to_string(), name_one);
        }),
        None if has_text => {
            report("tokenizers", "`text` is missing, and the job has documents".into(), name_one);
            Err(())
        }
        None => Ok(None),
    };
    let size = settings.image_size.map(|[width, height]| ImageSize { width, height });
    let mut executor = settings.executor.clone();
    executor.library = executor.library.map(|library| loaded.resolve(&library));
    let images = vq::load_with(&loaded.resolve(&settings.image), size, &executor).map_err(|error| match error {
        VqError::Executor { .. } => {
            report("tokenizers.executor", error.to_string(), "leave it out for the executor that is always there");
        }
        _ => report("tokenizers.image", error.to_string(), "name a folder with config.json and model.safetensors"),
    });
    let (text, images) = (text.ok()?, images.ok()?);
    let ids =
        VocabularySettings { num_sentinels: settings.num_sentinels, pad_to_multiple_of: settings.pad_to_multiple_of };
    let mut of_text = |text: TextTokenizer| match Vocabulary::new(&text, &ids, Specials::NAMES, images.codebook_size())
    {
        Ok(vocabulary) => Some(Ids { text: Arc::new(text), vocabulary: Arc::new(vocabulary) }),
        Err(error) => {
            report("tokenizers", error.to_string(), "choose another text tokenizer, or other numbers");
            None
        }
    };
    let ids = match text {
        Some(text) => Some(of_text(text)?),
        None => None,
    };
    check_image_fits(loaded, images.as_ref(), problems);
    check_masks(loaded, images.as_ref(), problems);
    ids.iter().for_each(|ids| check_text(loaded, &ids.text, problems));
    Some((ids, images))
}

/// Masks that don't fit their grid, or that would go nowhere.
fn check_masks(loaded: &LoadedJob, images: &dyn ImageTokenizer, problems: &mut Vec<Problem>) {
    let has_table = loaded.draft.image_shards.as_ref().is_none_or(Option::is_some);
    let shown = loaded.draft.sequences.iter().flatten().find_map(|sequences| sequences.images.as_ref());
    for (index, step) in loaded.draft.images.iter().flatten().enumerate() {
        let StepConfig::draw_masks(masks) = step else { continue };
        let place = format!("images.{index}.{}", step.name());
        for message in masks.misfits(images.grid(), loaded.text.folder()) {
            problems.push(loaded.text.problem_at(&place, message, None));
        }
        if !has_table && !shown.is_some_and(|shown| shown.masks.contains(&masks.name)) {
            let hint = "add `[image_shards]`, the table of images that masks are a column of, or name them in \
                        `sequences.images.masks`"
                .to_owned();
            problems.push(loaded.text.problem_at(&place, "the masks would go nowhere", Some(hint)));
        }
    }
}

/// A row that can't hold one image whole would cut every image.
fn check_image_fits(loaded: &LoadedJob, images: &dyn ImageTokenizer, problems: &mut Vec<Problem>) {
    let tokens = images.codes_per_image();
    let Some(Some(sequences)) = &loaded.draft.sequences else { return };
    let Some(length) = sequences.packing.row_length() else { return };
    if tokens > length {
        let message = format!("an image is {tokens} tokens, but a row only {length}");
        let hint = "raise `sequence_length` above the tokens of an image".to_owned();
        problems.push(loaded.text.problem_at("sequences.packing", message, Some(hint)));
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
