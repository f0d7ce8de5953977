//! Score fields: a number for each cell, by whose rank cells are masked.

mod bank;
mod blue_noise;
mod halton;
mod perlin;
mod spectrum;
mod white;

pub(crate) use bank::Bank;
pub(crate) use blue_noise::blue_noise;
pub(crate) use halton::halton;
pub(crate) use perlin::perlin;
pub(crate) use spectrum::Spectrum;
pub(crate) use white::white;
