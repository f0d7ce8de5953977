//! Pages in: where they come from, and what is kept of them. Knows nothing of tables, steps or the engine.

pub mod html;
pub mod sources;
