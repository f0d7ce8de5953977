//! Score fields: a number for each cell, by whose rank cells are masked.

mod bank;
mod spectrum;
mod white;

pub(crate) use bank::Bank;
pub(crate) use spectrum::Spectrum;
pub(crate) use white::white;
