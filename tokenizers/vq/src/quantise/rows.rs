//! Finds rows of a codebook: the nearest, the one at the smallest angle, the one with the largest product.

use pulp::Arch;

use super::{Margins, Quantise, first_largest};
use crate::cpu::Table;
use crate::plan::Codebook;

/// Places are looked up so many at once, so that a large codebook needs little memory.
const LOOKUPS: usize = 16;

/// The smallest length that something is divided by, as PyTorch's `normalize` has it.
pub(crate) const SHORTEST: f32 = 1e-12;

/// The row at the smallest squared distance.
#[derive(Debug)]
pub(super) struct Nearest(Table);

impl Nearest {
    pub fn new(codebook: &Codebook) -> Self {
        Self(Table::new(codebook, half_squares(codebook)))
    }
}

impl Quantise for Nearest {
    fn ids(&self, arch: Arch, features: &[f32], scratch: &mut Vec<f32>, ids: &mut Vec<u32>) {
        best(&self.0, arch, features, scratch, ids);
    }

    fn margins(&self, arch: Arch, place: &[f32], ids: &[u32]) -> Margins {
        margins(&self.0, arch, place, ids)
    }
}

/// The row at the smallest angle.
#[derive(Debug)]
pub(super) struct Cosine(Nearest);

impl Cosine {
    pub fn new(codebook: &Codebook) -> Self {
        Self(Nearest::new(&unit_rows(codebook)))
    }
}

impl Quantise for Cosine {
    fn ids(&self, arch: Arch, features: &[f32], scratch: &mut Vec<f32>, ids: &mut Vec<u32>) {
        let table = &self.0.0;
        let units: Vec<f32> = features.chunks_exact(table.dimension).flat_map(unit).collect();
        best(table, arch, &units, scratch, ids);
    }

    fn margins(&self, arch: Arch, place: &[f32], ids: &[u32]) -> Margins {
        self.0.margins(arch, &unit(place).collect::<Vec<f32>>(), ids)
    }
}

/// The row with the largest product.
#[derive(Debug)]
pub(super) struct Product(Table);

impl Product {
    pub fn new(codebook: &Codebook) -> Self {
        Self(Table::new(codebook, vec![0.0; codebook.count]))
    }
}

impl Quantise for Product {
    fn ids(&self, arch: Arch, features: &[f32], scratch: &mut Vec<f32>, ids: &mut Vec<u32>) {
        best(&self.0, arch, features, scratch, ids);
    }

    fn margins(&self, arch: Arch, place: &[f32], ids: &[u32]) -> Margins {
        margins(&self.0, arch, place, ids)
    }
}

/// What is added to each row's product: half of what is to be smallest, negated, and without what is the same for every
/// row, is z · row - |row|² / 2.
pub(crate) fn half_squares(codebook: &Codebook) -> Vec<f32> {
    rows(codebook).map(|row| -0.5 * row.iter().map(|x| x * x).sum::<f32>()).collect()
}

/// The codebook with each row scaled to length 1.
pub(crate) fn unit_rows(codebook: &Codebook) -> Codebook {
    Codebook { vectors: rows(codebook).flat_map(unit).collect(), ..*codebook }
}

fn unit(row: &[f32]) -> impl Iterator<Item = f32> {
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(SHORTEST);
    row.iter().map(move |x| x / length)
}

fn rows(codebook: &Codebook) -> impl Iterator<Item = &[f32]> {
    codebook.vectors.chunks_exact(codebook.dimension)
}

/// Adds the row with the largest score for each place.
fn best(table: &Table, arch: Arch, features: &[f32], scratch: &mut Vec<f32>, ids: &mut Vec<u32>) {
    for places in features.chunks(LOOKUPS * table.dimension) {
        scratch.resize(places.len() / table.dimension * table.count, 0.0);
        table.scores(arch, places, scratch);
        ids.extend(scratch.chunks_exact(table.count).map(first_largest));
    }
}

fn margins(table: &Table, arch: Arch, place: &[f32], ids: &[u32]) -> Margins {
    let mut scores = vec![0.0; table.count];
    table.scores(arch, place, &mut scores);
    Margins::of_scores(&scores, ids.first().copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(quantiser: &dyn Quantise, features: &[f32]) -> Vec<u32> {
        let mut ids = Vec::new();
        quantiser.ids(Arch::new(), features, &mut Vec::new(), &mut ids);
        ids
    }

    fn book() -> Codebook {
        Codebook { count: 3, dimension: 2, vectors: vec![1.0, 0.0, 0.0, 1.0, 5.0, 5.0] }
    }

    #[test]
    fn distance_angle_and_product_choose_differently() {
        let features = [1.0, 0.9, 0.2, 0.01];
        assert_eq!(ids(&Nearest::new(&book()), &features), [0, 0]);
        assert_eq!(ids(&Cosine::new(&book()), &features), [2, 0]);
        assert_eq!(ids(&Product::new(&book()), &features), [2, 2]);
    }

    #[test]
    fn of_equal_rows_the_first_wins() {
        let book = Codebook { count: 3, dimension: 1, vectors: vec![2.0, 1.0, 1.0] };
        assert_eq!(ids(&Nearest::new(&book), &[1.0]), [1]);
    }

    #[test]
    fn nothing_has_no_direction_and_the_first_row() {
        let book = Codebook { count: 2, dimension: 2, vectors: vec![3.0, 4.0, 0.0, 1.0] };
        assert_eq!(ids(&Cosine::new(&book), &[0.0, 0.0]), [0]);
    }

    #[test]
    fn places_do_not_depend_on_their_neighbours() {
        let features: Vec<f32> = (0..70).map(|i| (i as f32 * 0.7).sin() * 5.0).collect();
        let alone: Vec<u32> = features.chunks(2).flat_map(|place| ids(&Nearest::new(&book()), place)).collect();
        assert_eq!(ids(&Nearest::new(&book()), &features), alone);
    }
}
