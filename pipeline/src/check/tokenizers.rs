//! The tokenizers, and whether the job fits them.

use std::sync::Arc;

use pageloom_tokenizers::text::TextTokenizer;
use pageloom_tokenizers::vocabulary::{Vocabulary, VocabularySettings};
use pageloom_vq::{self as vq, ImageSize, ImageTokenizer, VqError};

use crate::error::Problem;
use crate::job::LoadedJob;
use crate::specials::Specials;
use crate::step::Ids;
use crate::steps::StepConfig;

pub(super) type LoadedTokenizers = (Option<Ids>, Arc<dyn ImageTokenizer>);

pub(super) fn load_tokenizers(loaded: &LoadedJob, problems: &mut Vec<Problem>) -> Option<LoadedTokenizers> {
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

/// Letters of ASCII and markup, as every page has them.
const SAMPLE: &str =
    "<p>The Quick Brown Fox jumps over 13 lazy dogs! <img src=\"\"> (50 %, {a: [b]}) ~ x@y.z; it's #1 & 2+2=4</p>";

/// Tells of a tokenizer of whose tokens a plain text can't be read any more.
pub(super) fn loses_text(text: &TextTokenizer) -> Option<String> {
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
