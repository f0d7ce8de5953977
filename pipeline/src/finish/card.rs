//! The dataset card that Hugging Face reads.

use arrow::datatypes::{Field, Schema};
use pageloom_schemas::features;
use serde_json::Value;

use crate::check::CheckedJob;
use crate::engine::plan::Stage;
use crate::engine::stages::shards::ShardedTable;
use crate::finish::{ImageTable, Manifest, ShardFile};
use crate::steps::draw_masks::MASKS;

/// The card: where the files of each table are, their columns, and what they hold.
pub fn card(manifest: &Manifest, checked: &CheckedJob) -> String {
    let sequences = ShardedTable::of(checked, Stage::Shards);
    let images = ShardedTable::of(checked, Stage::ImageShards).zip(manifest.image_table.as_ref());
    let (mut configs, mut infos, mut about) = (String::new(), String::new(), String::new());
    if let Some(table) = sequences {
        configs.push_str(&config("default", table.folder));
        infos.push_str(&info("default", &table.schema, &manifest.files));
        about.push_str(&of_sequences(manifest, &table.schema));
    }
    if let Some((table, shards)) = images {
        // A name that isn't `default` must be asked for; where there are images alone, they need not be.
        let name = if configs.is_empty() { "default" } else { "images" };
        configs.push_str(&config(name, table.folder));
        infos.push_str(&info(name, &table.schema, &shards.files));
        about.push_str(&of_images(shards, &table.schema));
    }
    let name = &manifest.job;
    format!("---\nconfigs:\n{configs}dataset_info:\n{infos}---\n# {name}\n{about}")
}

fn config(name: &str, folder: &str) -> String {
    format!("- config_name: {name}\n  data_files:\n  - split: train\n    path: {folder}/train-*.parquet\n")
}

fn info(config: &str, schema: &Schema, files: &[ShardFile]) -> String {
    let features: String = schema.fields().iter().map(|field| feature(field)).collect();
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    format!(
        "- config_name: {config}
  features:
{features}  splits:
  - name: train
    num_bytes: {bytes}
    num_examples: {rows}
"
    )
}

fn feature(field: &Field) -> String {
    let named = features::features(&Schema::new(vec![field.clone()]));
    let feature = &named[field.name()];
    let (key, dtype) = match &feature["feature"] {
        Value::Null => ("dtype", feature["dtype"].as_str()),
        of_list => ("sequence", of_list["dtype"].as_str()),
    };
    format!("  - name: {}\n    {key}: {}\n", field.name(), dtype.unwrap_or_default())
}

fn of_sequences(manifest: &Manifest, schema: &Schema) -> String {
    let (rows, tokens, padding) = (manifest.rows, manifest.tokens, manifest.padding_tokens);
    let (documents, images, vocabulary_size) = (manifest.documents, manifest.images, manifest.vocabulary_size);
    let rows_of = manifest
        .sequence_length
        .map_or("rows as long as their examples".to_owned(), |length| format!("rows of {length} tokens"));
    let phase = of_phase(&manifest.files);
    let about = |name: &str| match name {
        "position_ids" => "| `position_ids` | a position for each token |\n",
        "block_position_ids" => "| `block_position_ids` | a second row of positions, within spans |\n",
        "loss_weights" => "| `loss_weights` | the weight of each token's loss |\n",
        "image_keys" => {
            "| `image_keys`, `image_starts`, `image_lengths` | each run of image tokens in the row, by its place: its image's \
             `image_key`, where it starts and how long it is; an objective may have hidden tokens in it |\n\
             | `image_offsets`, `image_is_whole` | how many of the image's tokens come before the run, and whether it has all; \
             packing and objectives may cut an image into several |\n\
             | `image_grid_widths`, `image_grid_heights` | the image's grid of tokens, in raster order |\n"
        }
        "token_type_ids" => {
            "| `token_type_ids` | which of two segments each token is in; `<bod>` stands in front of them, an `<eod>` behind each |\n"
        }
        "next_sentence_label" => {
            "| `next_sentence_label` | 1 where the second segment is from another document, 0 where it follows the first |\n"
        }
        "phase" => phase.as_str(),
        _ => "",
    };
    let of_tokens: String = schema.fields().iter().map(|field| about(field.name())).collect();
    let masks: String = schema.fields().iter().filter_map(|field| about_masks(field)).collect();
    format!(
        "
Training sequences made by Pageloom: {documents} documents and {images} images in {rows} {rows_of}
({tokens} tokens, {padding} of them padding), ids below {vocabulary_size}.

| column | what it holds |
| --- | --- |
| `input_ids` | token ids; `vocabulary.json` names every id |
| `labels` | the same ids, unshifted; -100 where there is no loss (sentinels, padding) |
| `seq_lengths` | lengths of the pieces packed into the row; they add up to the row |
| `document_keys` | the document of each piece, or its block's first one; empty for padding, which is always the last piece |
| `document_offsets` | where each piece starts in its document's example |
| `objectives`, `parts` | what made each piece, and which part of a mixture that is |
| `views`, `branches` | which view of its document each piece is of, and which of the examples of one draw |
| `prefix_lens` | how many tokens at the start of each piece see each other in both directions |
| `label_shifts` | 1 where the token before predicts a label, 0 where the label's own position does |
| `source_counts` | how many sources each piece has: ranges of documents that its example is made of, as they stood before the objective moved tokens |
| `source_keys`, `source_starts`, `source_ends` | each source's document, and which of its tokens; an end or a break put behind a document is its last |
{of_tokens}{masks}"
    )
}

fn about_masks(field: &Field) -> Option<String> {
    let about = field.metadata().get(MASKS)?;
    let of_runs = if field.name().starts_with("image_") { " of each run in turn, for its whole image" } else { "" };
    Some(format!("| `{}` | masks, as bitmaps{of_runs}: `{about}` |\n", field.name()))
}

/// What the column is, and where each phase begins.
fn of_phase(files: &[ShardFile]) -> String {
    let begins = files.windows(2).filter(|two| two[0].phase != two[1].phase);
    let later = begins.filter_map(|two| Some(format!("; that for {} begins at `{}`", two[1].phase?, two[1].path)));
    let later: String = later.collect();
    format!("| `phase` | which phase of training the row is for, from 0, one for all rows of a shard{later} |\n")
}

fn of_images(shards: &ImageTable, schema: &Schema) -> String {
    let images = shards.rows;
    let masks: String = schema.fields().iter().filter_map(|field| about_masks(field)).collect();
    format!(
        "
Images with their tokens, made by Pageloom: {images} rows, one for each image.

| column | what it holds |
| --- | --- |
| `image_key` | hash of the image's URL |
| `url` | where it comes from |
| `sha256`, `perceptual_hash` | of its file's bytes, and 64 bits that are alike for images that look alike |
| `width`, `height` | of the whole image, in pixels |
| `crop_box` | what the encoder saw: left, top, right, bottom, in pixels of the whole image; several crops follow one another |
| `grid_width`, `grid_height`, `tokens` | the codes of the image tokenizer, in its order: numbers below its codebook's size |
| `alts`, `titles`, `captions` | different texts that pages give it |
| `document_keys`, `document_urls`, `page_count` | the first pages that show it, and how many do |
| `preprocessing`, `tokenizer` | fingerprint and digest of what made the tokens |
{masks}"
    )
}
