//! What a model is trained on: documents become examples, examples become rows. Knows nothing of tables, steps or the engine.

pub mod blocks;
pub mod image_runs;
pub mod next_sentence;
pub mod objectives;
pub mod packing;
pub mod pair;
pub mod random;
pub mod retrieval;
pub mod specials;
