//! What the user wrote: one TOML file, read piece by piece so that every mistake is reported at its own line.

use std::path::{Path, PathBuf};

use pageloom_vq::ExecutorSettings;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::error::{JobError, Problem};
use crate::job_text::JobText;
use crate::neighbours;
use crate::objectives::ObjectiveConfig;
use crate::packing::PackingConfig;
use crate::sequence_images;
use crate::sources::SourceConfig;
use crate::steps::{StepConfig, apply_objective, interleave_images};

/// One job, as the file says, with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Job {
    /// Name in progress lines and in the dataset card. Unset: the job file's name.
    #[schemars(with = "Option<String>")]
    pub name: String,
    /// Every random draw comes from this and from the keys of what is drawn for.
    #[schemars(default)]
    pub seed: u64,
    /// Where pages and images come from.
    #[schemars(length(min = 1))]
    pub sources: Vec<SourceConfig>,
    /// Text and images to ids.
    pub tokenizers: Tokenizers,
    /// Steps from a page's bytes to tokens; none where only images are wanted.
    #[schemars(with = "Option<Vec<StepConfig>>", length(min = 1))]
    pub documents: Vec<StepConfig>,
    /// Steps from an image's location to codes.
    #[schemars(length(min = 1))]
    pub images: Vec<StepConfig>,
    /// From documents and codes to packed sequences, where they are wanted.
    pub sequences: Option<Sequences>,
    /// The files of sequences that trainers read.
    #[schemars(default)]
    pub shards: Shards,
    /// The files of images that trainers read, where they are wanted.
    pub image_shards: Option<ImageShards>,
    /// How a stage is cut into units.
    #[schemars(default)]
    pub units: Units,
    /// How buckets are reached, where paths or the output begin with `s3://`, `gs://` or `az://`. Nothing that comes out follows from it.
    #[schemars(default)]
    pub storage: pageloom_storage::Settings,
}

/// Which tokenizers, and the ids they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tokenizers {
    /// A Hugging Face `tokenizer.json`, relative to the job file. A job of images alone has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<PathBuf>,
    /// A folder with a VQ checkpoint: `config.json` and `model.safetensors`, relative to the job file.
    pub image: PathBuf,
    /// Columns and rows of the images that are encoded, in pixels, where they are to be others than the model was trained
    /// at: convolutional models take every multiple of what a place of their grid covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<[u32; 2]>,
    /// What runs the encoder: `cpu`; `onnxruntime`, also as `onnxruntime:cuda:f16`; or a table with `name`, `device`,
    /// `precision`, `batch`, `threads` and `library`, a path relative to the job file. What isn't `cpu` is held against it
    /// before any image is encoded.
    #[serde(default)]
    pub executor: ExecutorSettings,
    /// How many sentinels the vocabulary holds.
    #[serde(default = "default_sentinels")]
    pub num_sentinels: u32,
    /// The vocabulary's size is padded up to a multiple of this.
    #[serde(default = "default_multiple")]
    pub pad_to_multiple_of: u32,
}

fn default_sentinels() -> u32 {
    256
}

fn default_multiple() -> u32 {
    64
}

/// From documents and codes to packed sequences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sequences {
    /// How image tokens stand in their document.
    #[serde(default)]
    pub interleave: interleave_images::Settings,
    /// Which other documents stand in front of each; none if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<neighbours::Settings>,
    /// What a document becomes.
    pub objective: ObjectiveConfig,
    /// How often each document is seen, each time with draws of its own.
    #[serde(default = "apply_objective::one_view")]
    pub views: u32,
    /// How examples become rows. Where the objective takes blocks (`causal_masking` as `metaseq` or `cm3leon`, `fim` at
    /// context level), it is `one_document`: documents are joined, each followed by its end, into blocks as long as a row,
    /// which are cut as `image_spans` says, and what the objective makes of a block is a row. So it is for `mlm` with
    /// `next_sentence`, whose blocks are two segments of documents; views see the same segments.
    pub packing: PackingConfig,
    /// What each row tells of the images in it: columns of their own; none if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<sequence_images::Settings>,
}

impl Sequences {
    /// The tokens of the blocks that documents are joined into; none where the objective takes documents.
    pub fn block_length(&self) -> Option<u32> {
        self.packing.row_length().filter(|_| self.objective.takes_blocks())
    }

    /// What rows are before the objective, in words; nothing where it takes documents.
    pub fn blocks(&self) -> Option<String> {
        let length = self.block_length()?;
        Some(match self.objective.next_sentence() {
            Some(_) => format!("documents are cut into pairs of segments of at most {length} tokens"),
            None => format!("documents are joined into blocks of {length} tokens"),
        })
    }

    /// The steps before packing: what puts images into documents, and what makes examples of those.
    pub fn steps(&self) -> [StepConfig; 2] {
        [
            StepConfig::interleave_images(self.interleave.clone()),
            StepConfig::apply_objective(apply_objective::Settings {
                objective: self.objective.clone(),
                views: self.views,
            }),
        ]
    }
}

/// The files that trainers read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shards {
    /// Every shard has exactly this many rows, but the last.
    pub rows_per_shard: u64,
    /// Every row group has exactly this many rows, but the last of a shard.
    pub rows_per_row_group: u64,
}

impl Default for Shards {
    fn default() -> Self {
        Self { rows_per_shard: 16_384, rows_per_row_group: 2_048 }
    }
}

/// The table of images: one row per image that has tokens, with its masks, and with what pages say of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageShards {
    /// Every shard has exactly this many rows, but the last.
    pub rows_per_shard: u64,
    /// Every row group has exactly this many rows, but the last of a shard.
    pub rows_per_row_group: u64,
    /// Which images: those that kept documents show, or `all` that the sources hold.
    pub images: WantedImages,
    /// So many of the documents that show an image are named, the first by their keys; `page_count` counts all of them.
    pub max_documents: u32,
    /// So many different texts of each kind are kept of an image.
    pub max_texts: u32,
}

/// Which images become rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedImages {
    /// Those that documents show.
    Shown,
    /// Those, and all others that the sources hold.
    All,
}

impl Default for ImageShards {
    fn default() -> Self {
        Self {
            rows_per_shard: 16_384,
            rows_per_row_group: 2_048,
            images: WantedImages::Shown,
            max_documents: 64,
            max_texts: 16,
        }
    }
}

impl Job {
    /// The tokens of the blocks that documents are joined into; none where the objective takes documents.
    pub fn block_length(&self) -> Option<u32> {
        self.sequences.as_ref().and_then(Sequences::block_length)
    }

    /// Whether images are wanted that no document shows.
    pub fn wants_all_images(&self) -> bool {
        let wanted = self.image_shards.as_ref().map(|shards| shards.images);
        wanted == Some(WantedImages::All) || (self.documents.is_empty() && wanted.is_some())
    }
}

/// How a stage is cut into units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Units {
    /// About how many bytes of input one unit reads. Rows are packed within a unit, so another number gives other rows.
    pub bytes: u64,
    /// Memory that one unit's plan may hold before it spills to disk, in bytes.
    pub memory: u64,
    /// The whole process stays below this, in bytes: fewer units run at once, plans spill, large pages and images wait for
    /// each other. Unset: nine tenths of what the cgroup allows, or of what the machine has.
    pub memory_limit: Option<u64>,
    /// A unit that fails so many times is given up: its stage goes on to its end, and the run ends there.
    pub attempts: u32,
    /// A unit that takes longer says what it is at, each time that so many seconds have passed in silence; a record that
    /// takes a third of it is named while it is worked on.
    pub heartbeat_seconds: u32,
}

impl Default for Units {
    fn default() -> Self {
        Self { bytes: 64 << 20, memory: 512 << 20, memory_limit: None, attempts: 3, heartbeat_seconds: 25 }
    }
}

/// What could be read of a job, with the text it came from for messages about it.
#[derive(Debug, Clone)]
pub struct LoadedJob {
    /// The sections that say something sensible; the others are `None`.
    pub draft: Draft,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
    /// The text, and where things stand in it.
    pub text: JobText,
}

/// A job of which some sections may be unreadable, so that the others can be checked all the same.
#[derive(Debug, Clone)]
pub struct Draft {
    name: Option<String>,
    seed: Option<u64>,
    /// See [`Job::sources`].
    pub sources: Option<Vec<SourceConfig>>,
    /// See [`Job::tokenizers`].
    pub tokenizers: Option<Tokenizers>,
    /// See [`Job::documents`].
    pub documents: Option<Vec<StepConfig>>,
    /// See [`Job::images`].
    pub images: Option<Vec<StepConfig>>,
    /// See [`Job::sequences`].
    pub sequences: Option<Option<Sequences>>,
    /// See [`Job::shards`].
    pub shards: Option<Shards>,
    /// See [`Job::image_shards`].
    pub image_shards: Option<Option<ImageShards>>,
    /// See [`Job::units`].
    pub units: Option<Units>,
    /// See [`Job::storage`].
    pub storage: Option<pageloom_storage::Settings>,
}

impl Draft {
    /// The whole job, if every section could be read.
    pub fn job(self) -> Option<Job> {
        Some(Job {
            name: self.name?,
            seed: self.seed?,
            sources: self.sources?,
            tokenizers: self.tokenizers?,
            documents: self.documents?,
            images: self.images?,
            sequences: self.sequences?,
            shards: self.shards?,
            image_shards: self.image_shards?,
            units: self.units?,
            storage: self.storage?,
        })
    }
}

impl LoadedJob {
    /// Reads a job file and the `--set` options laid over it; an error is a text that is no TOML at all.
    pub fn read(path: &Path, sets: &[String]) -> Result<Self, JobError> {
        let text = JobText::read(path, sets)?;
        let table = text.table()?;
        let mut reader = Reader { text: &text, problems: Vec::new() };
        let draft = reader.draft(&table);
        let problems = reader.problems;
        Ok(Self { draft, problems, text })
    }

    /// A path of the job, relative to the job file's folder.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.text.folder().join(path)
    }
}

const SECTIONS: [&str; 11] = [
    "name",
    "seed",
    "sources",
    "tokenizers",
    "documents",
    "images",
    "sequences",
    "shards",
    "image_shards",
    "units",
    "storage",
];

/// Those that have a block for each of their parts.
const LISTS: [&str; 3] = ["sources", "documents", "images"];

struct Reader<'a> {
    text: &'a JobText,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn draft(&mut self, table: &Spanned<DeTable<'_>>) -> Draft {
        let root = table.get_ref();
        for key in root.keys().filter(|key| !SECTIONS.contains(&key.get_ref().as_ref())) {
            let message = format!("unknown section `{}`", key.get_ref());
            self.problems.push(self.text.problem(key.span(), message, did_you_mean(key.get_ref(), &SECTIONS)));
        }
        // A job of images alone has neither documents nor sequences.
        let has_text =
            !root.contains_key("image_shards") || root.contains_key("documents") || root.contains_key("sequences");
        Draft {
            name: self.optional(root, "name", || self.text.stem()),
            seed: self.optional(root, "seed", || 0),
            sources: self.list(root, "sources"),
            tokenizers: self.required(root, "tokenizers"),
            documents: if has_text { self.list(root, "documents") } else { Some(Vec::new()) },
            images: self.list(root, "images"),
            sequences: match root.contains_key("sequences") || !root.contains_key("image_shards") {
                true => self.required(root, "sequences").map(Some),
                false => Some(None),
            },
            shards: self.optional(root, "shards", Shards::default),
            image_shards: match root.get("image_shards") {
                Some(value) => self.value(value).map(Some),
                None => Some(None),
            },
            units: self.optional(root, "units", Units::default),
            storage: self.optional(root, "storage", pageloom_storage::Settings::default),
        }
    }

    fn value<T: DeserializeOwned>(&mut self, value: &Spanned<DeValue<'_>>) -> Option<T> {
        match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(value) => Some(value),
            Err(error) => {
                let span = error.span().unwrap_or_else(|| value.span());
                let (message, hint) = explain(error.message());
                self.problems.push(self.text.problem(span, message, hint));
                None
            }
        }
    }

    fn optional<T>(&mut self, root: &DeTable<'_>, section: &str, default: impl Fn() -> T) -> Option<T>
    where
        T: DeserializeOwned,
    {
        match root.get(section) {
            Some(value) => self.value(value),
            None => Some(default()),
        }
    }

    fn required<T: DeserializeOwned>(&mut self, root: &DeTable<'_>, section: &str) -> Option<T> {
        match root.get(section) {
            Some(value) => self.value(value),
            None => self.missing(section),
        }
    }

    /// An array of one-key tables; each one's mistake is reported by itself.
    fn list<T: DeserializeOwned>(&mut self, root: &DeTable<'_>, section: &str) -> Option<Vec<T>> {
        let Some(value) = root.get(section) else { return self.missing(section) };
        let Some(items) = value.get_ref().as_array().filter(|items| !items.is_empty()) else {
            let hint = Some(format!("write one `[[{section}]]` block for each"));
            self.problems.push(self.text.problem(value.span(), format!("`{section}` is not a list"), hint));
            return None;
        };
        let read: Vec<Option<T>> = items.iter().map(|item| self.value(item)).collect();
        read.into_iter().collect()
    }

    fn missing<T>(&mut self, section: &str) -> Option<T> {
        let block = if LISTS.contains(&section) { format!("[[{section}]]") } else { format!("[{section}]") };
        let hint = Some(format!("add `{block}`; `pageloom settings {section}` says what stands there"));
        self.problems.push(self.text.problem(0..0, format!("section `{section}` is missing"), hint));
        None
    }
}

/// Splits serde's "unknown field `x`, expected one of `a`, `b`" into what is wrong and the nearest right word.
fn explain(message: &str) -> (String, Option<String>) {
    // What is chosen by a one-key table, such as `objective = { causal_masking = {} }`.
    if message.starts_with("wanted exactly 1 element") {
        let hint = match message.contains("more than") {
            true => "leave one key in it",
            false => "name what is meant, as in `NAME = {}`",
        };
        return ("must have one key, which says what is meant".into(), Some(hint.into()));
    }
    if let Some(found) = message.strip_prefix("invalid type: unit variant, expected ") {
        let hint = if found == "newtype variant" { "write `{ NAME = {} }`" } else { "write `{ NAME = { ... } }`" };
        return ("is a name alone, without its settings".into(), Some(hint.into()));
    }
    if let Some((found, wanted)) = message.split_once(", expected ").filter(|(found, _)| found.starts_with("invalid "))
    {
        return (format!("{found}, expected {}", in_words(wanted)), None);
    }
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((found, known)) if message.starts_with("unknown ") => {
            let what = message.split('`').next().unwrap_or("unknown ");
            (format!("{what}`{found}`"), did_you_mean(found, known))
        }
        _ => (message.to_owned(), None),
    }
}

/// Serde's names of numbers, for people.
fn in_words(wanted: &str) -> String {
    let (least, of_type) = wanted.strip_prefix("a nonzero ").map_or((0, wanted), |of_type| (1, of_type));
    match of_type {
        "u16" => format!("a number from {least} to {}", u16::MAX),
        "u32" => format!("a number from {least} to {}", u32::MAX),
        "u64" | "usize" => format!("a whole number of at least {least}"),
        other => other.to_owned(),
    }
}

/// A remedy that names the nearest known word, or all of them.
fn did_you_mean(found: &str, known: &[&str]) -> Option<String> {
    let nearest = known.iter().map(|word| (strsim::damerau_levenshtein(found, word), word)).min();
    match nearest {
        Some((distance, word)) if distance <= (found.len() / 3).max(1) => Some(format!("did you mean `{word}`?")),
        Some(_) => Some(format!("known here: {}", known.join(", "))),
        None => Some("nothing can be set here".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_explained_with_the_nearest_known_one() {
        let (message, hint) = explain("unknown field `sed`, expected one of `seed`, `name`");
        assert_eq!((message.as_str(), hint.as_deref()), ("unknown field `sed`", Some("did you mean `seed`?")));
    }

    #[test]
    fn what_serde_says_of_types_is_told_in_words() {
        for (said, expected) in [
            ("invalid value: integer `0`, expected a nonzero u32", "a number from 1 to 4294967295"),
            ("invalid value: integer `-1`, expected u64", "a whole number of at least 0"),
            ("invalid type: unit variant, expected newtype variant", "a name alone"),
            ("invalid type: string \"a\", expected a boolean", "expected a boolean"),
        ] {
            assert!(explain(said).0.contains(expected), "{said}");
        }
        assert!(explain("wanted exactly 1 element, more than 1 element").1.unwrap().contains("leave one"));
    }

    #[test]
    fn a_word_near_nothing_is_explained_with_all_known_ones() {
        assert_eq!(did_you_mean("qqqqqq", &["seed", "name"]).as_deref(), Some("known here: seed, name"));
    }
}
