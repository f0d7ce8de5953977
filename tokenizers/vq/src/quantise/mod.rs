//! From the numbers of places to ids, and back.

mod largest;
mod levels;
mod meaning;
mod residual;
mod rows;
mod signs;

use std::fmt::Debug;

#[cfg(feature = "onnxruntime")]
pub(crate) use levels::thresholds as level_thresholds;
use pulp::Arch;
#[cfg(feature = "onnxruntime")]
pub(crate) use rows::{SHORTEST, half_squares, unit_rows};

use crate::plan::Quantiser;

/// Gives ids to places.
pub(crate) trait Quantise: Debug + Send + Sync {
    /// Adds the ids of all places to `ids`. `features` holds their numbers, place by place; `scratch` is used as memory.
    ///
    /// A place's ids never depend on the other places.
    fn ids(&self, arch: Arch, features: &[f32], scratch: &mut Vec<f32>, ids: &mut Vec<u32>);

    /// How far the numbers of one place are from other ids than the best, and from these.
    fn margins(&self, arch: Arch, place: &[f32], ids: &[u32]) -> Margins;
}

/// How far a place's numbers are from other ids, in whatever ids are chosen by: distances, products, numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Margins {
    /// From the second best.
    pub second: f32,
    /// From the ids in question: 0 if they are the best, infinite if there are no such ids.
    pub found: f32,
}

impl Margins {
    /// Of scores of which the largest is the best.
    fn of_scores(scores: &[f32], found: u32) -> Self {
        let best = first_largest(scores);
        let of = |id: u32| scores.get(id as usize).copied();
        let others = (0..).zip(scores).filter(|(id, _)| *id != best).map(|(_, score)| *score);
        let second = others.fold(f32::NEG_INFINITY, f32::max);
        let score = of(best).unwrap_or(0.0);
        Self { second: score - second, found: of(found).map_or(f32::INFINITY, |found| score - found) }
    }
}

impl Quantiser {
    /// Ids of each place.
    pub fn depth(&self) -> usize {
        if let Self::Residual(books) = self { books.depth } else { 1 }
    }

    /// Rows that each place is held against at once; 1 where there are no rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Nearest(book) | Self::Cosine(book) | Self::Product(book) => book.count,
            Self::Residual(books) => books.books.iter().map(|book| book.count).max().unwrap_or(1),
            Self::Largest { .. } | Self::Signs { .. } | Self::Levels(_) => 1,
        }
    }

    /// Numbers of each place.
    pub fn dimension(&self) -> usize {
        match self {
            Self::Nearest(book) | Self::Cosine(book) | Self::Product(book) => book.dimension,
            Self::Largest { count } => *count as usize,
            Self::Signs { bits } => *bits as usize,
            Self::Levels(levels) => levels.len(),
            Self::Residual(books) => books.books.first().map_or(0, |book| book.dimension),
        }
    }
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
