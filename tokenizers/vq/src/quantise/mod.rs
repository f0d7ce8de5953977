//! From the numbers of places to ids, and back.

mod largest;
mod levels;
mod meaning;
mod residual;
mod rows;
mod signs;

use std::fmt::Debug;

use pulp::Arch;

use crate::plan::Quantiser;

/// Gives ids to places.
pub(crate) trait Quantise: Debug + Send + Sync {
    /// Adds the ids of all places to `ids`. `features` holds their numbers, place by place; `scratch` is used as memory.
    ///
    /// A place's ids never depend on the other places.
    fn ids(&self, arch: Arch, features: &[f32], scratch: &mut Vec<f32>, ids: &mut Vec<u32>);
}

/// What runs a quantiser.
pub(crate) fn of(quantiser: Quantiser) -> Box<dyn Quantise> {
    match quantiser {
        Quantiser::Nearest(codebook) => Box::new(rows::Nearest::new(&codebook)),
        Quantiser::Cosine(codebook) => Box::new(rows::Cosine::new(&codebook)),
        Quantiser::Product(codebook) => Box::new(rows::Product::new(&codebook)),
        Quantiser::Largest { count } => Box::new(largest::Largest { count }),
        Quantiser::Signs { bits } => Box::new(signs::Signs { bits }),
        Quantiser::Levels(levels) => Box::new(levels::Levels::new(&levels)),
        Quantiser::Residual(books) => Box::new(residual::Residual::new(books)),
    }
}

/// The place of the largest number; the first of several. 0 if there is none.
pub(crate) fn first_largest(scores: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, score) in (0..).zip(scores) {
        if *score > best.1 {
            best = (id, *score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests;
