//! Text and images to ids, and the one vocabulary that owns every id.

mod bpe;
pub mod image;
pub mod text;
pub mod vocabulary;
pub mod vq;

pub use vocabulary::TokenId;
