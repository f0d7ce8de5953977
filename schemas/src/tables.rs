//! The tables that stages exchange and the public training table.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::columns;

/// Version of these tables; part of every unit's identity.
pub const FORMAT_VERSION: u32 = 4;

fn table(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// What a source gives: one row per page.
pub fn pages() -> SchemaRef {
    table(vec![
        columns::key().field(),
        columns::url().field(),
        columns::content_type().field(),
        columns::robots().field(),
        columns::body().field(),
    ])
}

/// Exchange A: one row per document, by position in the global order.
pub fn documents() -> SchemaRef {
    table(vec![
        columns::bucket().field(),
        columns::order().field(),
        columns::key().field(),
        columns::url().field(),
        columns::tokens().field(),
        columns::image_slots().field(),
        columns::passages().field(),
    ])
}

/// Exchange B: one row per image that a document shows, by image.
pub fn image_references() -> SchemaRef {
    table(vec![
        columns::bucket().field(),
        columns::key().field(),
        columns::url().field(),
        columns::document_key().field(),
        columns::document_url().field(),
        columns::alt().field(),
        columns::title().field(),
        columns::caption().field(),
    ])
}

/// Exchange B: one row per image that a source holds, by image.
pub fn image_locations() -> SchemaRef {
    table(vec![
        columns::bucket().field(),
        columns::key().field(),
        columns::source().field(),
        columns::container().field(),
        columns::path().field(),
        columns::offset().field(),
        columns::length().field(),
        columns::inline().field(),
        columns::image_url().field(),
    ])
}

/// What the images stage starts from: each image once, with its location where a source holds it.
pub fn located_images() -> SchemaRef {
    table(vec![
        columns::key().field(),
        columns::url().field(),
        columns::source().field(),
        columns::container().field(),
        columns::path().field(),
        columns::offset().field(),
        columns::length().field(),
        columns::inline().field(),
        columns::known_from().field(),
        columns::known_codes().field(),
    ])
}

/// One row per image that has tokens, with the columns of the job's masks.
pub fn images(masks: impl IntoIterator<Item = Field>) -> SchemaRef {
    let mut fields = vec![
        columns::key().field(),
        columns::url().field(),
        columns::sha256().field(),
        columns::width().field(),
        columns::height().field(),
        columns::crop_box().field(),
        columns::perceptual_hash().field(),
        columns::grid_width().field(),
        columns::grid_height().field(),
        columns::codes().field(),
        columns::encoded_from().field(),
    ];
    fields.extend(masks);
    table(fields)
}

/// The public table of images: one row per image that has tokens, with codes of this type and these columns of masks.
pub fn image_rows(codes: DataType, masks: impl IntoIterator<Item = Field>) -> SchemaRef {
    let mut fields = vec![
        columns::image_key().field(),
        columns::url().field(),
        columns::image_sha256().field(),
        columns::perceptual_hash().field(),
        columns::width().field(),
        columns::height().field(),
        columns::crop_box().field(),
        columns::grid_width().field(),
        columns::grid_height().field(),
        columns::image_codes(codes),
        columns::image_texts("alts").field(),
        columns::image_texts("titles").field(),
        columns::image_texts("captions").field(),
        columns::document_keys().field(),
        columns::image_texts("document_urls").field(),
        columns::page_count().field(),
        columns::preprocessing().field(),
        columns::image_tokenizer().field(),
    ];
    fields.extend(masks);
    table(fields)
}

/// Exchange C: one row per document and image, by the document's position in the global order.
pub fn image_tokens() -> SchemaRef {
    table(vec![columns::bucket().field(), columns::document_key().field(), columns::image().field()])
}

/// What the sequences stage starts from: each document with the tokens of its images, in global order.
pub fn illustrated_documents() -> SchemaRef {
    table(vec![
        columns::order().field(),
        columns::key().field(),
        columns::url().field(),
        columns::tokens().field(),
        columns::image_slots().field(),
        columns::passages().field(),
        columns::images().field(),
    ])
}

/// Exchange D: which documents stand in front of one, a row for each that the table of neighbours names, by its position in
/// the global order.
pub fn chosen_neighbours() -> SchemaRef {
    table(vec![
        columns::bucket().field(),
        columns::order().field(),
        columns::key().field(),
        columns::neighbours().field(),
    ])
}

/// Exchange D: one row per document that stands in front of others and bucket that has some of these, by that document's
/// position in the global order.
pub fn wanted_neighbours() -> SchemaRef {
    table(vec![columns::bucket().field(), columns::key().field(), columns::for_bucket().field()])
}

/// Exchange E: documents as the interleaving step leaves them, each once in every bucket of documents that it stands in front
/// of.
pub fn retrieved_documents() -> SchemaRef {
    table(vec![
        columns::bucket().field(),
        columns::key().field(),
        columns::document_tokens().field(),
        columns::image_runs().field(),
    ])
}

/// Documents in front of those of one bucket, by position and key of these: each as often as it stands there.
pub fn documents_in_front() -> SchemaRef {
    table(vec![
        columns::order().field(),
        columns::for_document().field(),
        columns::place_in_front().field(),
        columns::key().field(),
        columns::document_tokens().field(),
        columns::image_runs().field(),
    ])
}

/// Documents with those in front that were retrieved for them. A row's key and URL are the last one's.
pub fn joined_documents() -> SchemaRef {
    table(vec![
        columns::key().field(),
        columns::url().field(),
        columns::document_tokens().field(),
        columns::image_runs().field(),
        columns::passages().field(),
        columns::retrieved_runs().field(),
        columns::joined().field(),
    ])
}

/// Blocks: documents of one bucket end to end, or two segments of some, for objectives that take such. A row's key and URL
/// are its first document's; its passages are the segments.
pub fn blocks() -> SchemaRef {
    table(vec![
        columns::key().field(),
        columns::url().field(),
        columns::document_tokens().field(),
        columns::image_runs().field(),
        columns::passages().field(),
        columns::retrieved_runs().field(),
        columns::block_number().field(),
        columns::joined().field(),
    ])
}

/// The public training table: one row per packed sequence. Trainers take a column that is there for one to be used, so
/// `others` are there only where the job has them: columns per token, a phase, and columns of a row's images.
pub fn sequences(others: impl IntoIterator<Item = Field>) -> SchemaRef {
    let mut fields = vec![
        columns::input_ids().field(),
        columns::labels().field(),
        columns::seq_lengths().field(),
        columns::document_keys().field(),
        columns::document_offsets().field(),
        columns::objectives().field(),
        columns::parts().field(),
        columns::views().field(),
        columns::branches().field(),
        columns::prefix_lens().field(),
        columns::label_shifts().field(),
        columns::source_counts().field(),
        columns::source_keys().field(),
        columns::source_starts().field(),
        columns::source_ends().field(),
    ];
    fields.extend(others);
    table(fields)
}

/// One row per document, image or record that was not kept, with its reason.
pub fn rejects() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    table(vec![text("kind"), text("key"), text("url"), text("step"), text("reason"), text("detail")])
}
