//! Whether steps, objective and packing fit each other.

use arrow::datatypes::{Schema, SchemaRef};
use pageloom_schemas::{columns, tables};

use crate::error::Problem;
use crate::job::{LoadedJob, Sequences};
use crate::packing::PackingConfig;
use crate::steps::StepConfig;
use crate::steps::interleave_images::ImageTokens;

/// A document's views are in memory together.
const MOST_VIEWS: u32 = 1024;

pub(super) fn check_steps(loaded: &LoadedJob, problems: &mut Vec<Problem>) {
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
