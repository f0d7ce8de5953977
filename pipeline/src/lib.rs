//! Weaves web pages and their images into training sequences. Read `run.rs` first.

pub mod bench;
pub mod check;
pub mod clean;
pub mod diff;
pub mod engine;
pub mod error;
pub mod examples;
pub mod finish;
pub mod identity;
pub mod image_runs;
pub mod job;
pub mod job_text;
pub mod keys;
pub mod neighbours;
pub mod plain_text;
pub mod rejects;
pub mod replay;
pub mod run;
pub mod say;
pub mod sequence_images;
pub mod settings;
pub mod show;
pub mod show_image;
pub mod specials;
pub mod speed;
pub mod status;
pub mod step;
pub mod steps;
pub mod text_tokens;
pub mod token_columns;
pub mod verify;
pub mod words;

pub use pageloom_pages::{html, sources};
pub use pageloom_training::{blocks, next_sentence, objectives, packing, pair, random, retrieval};
