//! Text to ids, and the one vocabulary that owns every id.

mod bpe;
pub mod text;
pub mod texts;
pub mod vocabulary;

pub use vocabulary::TokenId;
