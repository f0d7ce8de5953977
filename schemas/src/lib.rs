//! The tables between Pageloom's steps and stages, and the public training table.

pub mod column;
pub mod columns;
pub mod features;
pub mod joined;
pub mod key;
pub mod lists;
pub mod passages;
pub mod places;
pub mod runs;
pub mod tables;

pub use column::{Column, SchemaError};
pub use key::Key;
