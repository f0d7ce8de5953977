//! Rounds each number to one of a few levels: finite scalar quantisation (arXiv 2309.15505, appendix A.1).
//!
//! The paper rounds `tanh(z + shift) · half - offset`; that grows with `z`, so the level is the number of thresholds that
//! `z` is above, and no tangent has to be the same on every machine.

use pulp::Arch;

use super::{Margins, Quantise};

/// What the paper widens the range by, so that the outermost levels can be reached.
const WIDER: f64 = 1e-3;

#[derive(Debug)]
pub(super) struct Levels {
    /// Of each number, its thresholds in ascending order.
    thresholds: Vec<Vec<f32>>,
}

impl Levels {
    pub fn new(levels: &[u32]) -> Self {
        Self { thresholds: levels.iter().map(|levels| thresholds(*levels)).collect() }
    }

    fn id(&self, place: &[f32]) -> u32 {
        let mut id = 0;
        let mut base = 1;
        for (number, thresholds) in place.iter().zip(&self.thresholds) {
            id += base * thresholds.iter().filter(|threshold| number > threshold).count() as u32;
            base *= thresholds.len() as u32 + 1;
        }
        id
    }
}

impl Quantise for Levels {
    fn ids(&self, _: Arch, features: &[f32], _: &mut Vec<f32>, ids: &mut Vec<u32>) {
        ids.extend(features.chunks_exact(self.thresholds.len()).map(|place| self.id(place)));
    }

    /// How far the number is that must cross the most to become the digit that was found.
    fn margins(&self, _: Arch, place: &[f32], ids: &[u32]) -> Margins {
        let mut margins = Margins { second: f32::INFINITY, found: 0.0 };
        let mut rest = ids.first().copied().unwrap_or(0);
        for (number, thresholds) in place.iter().zip(&self.thresholds) {
            let levels = thresholds.len() as u32 + 1;
            let digit = (rest % levels) as usize;
            rest /= levels;
            let below = digit.checked_sub(1).map_or(0.0, |lower| thresholds[lower] - number);
            let above = thresholds.get(digit).map_or(0.0, |upper| number - upper);
            margins.found = margins.found.max(below).max(above);
            margins.second =
                thresholds.iter().map(|threshold| (number - threshold).abs()).fold(margins.second, f32::min);
        }
        if rest > 0 { Margins { found: f32::INFINITY, ..margins } } else { margins }
    }
}

/// Where `tanh(z + shift) · half - offset` crosses from one level to the next.
pub(crate) fn thresholds(levels: u32) -> Vec<f32> {
    let half = f64::from(levels - 1) * (1.0 + WIDER) / 2.0;
    let offset = if levels.is_multiple_of(2) { 0.5 } else { 0.0 };
    let shift = libm::atanh(offset / half);
    let lowest = -f64::from(levels / 2);
    let crossing = |level: u32| libm::atanh((lowest + f64::from(level) + 0.5 + offset) / half) - shift;
    (0..levels - 1).map(|level| crossing(level) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paper's formula.
    fn rounded(levels: u32, z: f64) -> u32 {
        let half = f64::from(levels - 1) * (1.0 + 1e-3) / 2.0;
        let offset = if levels.is_multiple_of(2) { 0.5 } else { 0.0 };
        let shift = (offset / half).atanh();
        (((z + shift).tanh() * half - offset).round_ties_even() + f64::from(levels / 2)) as u32
    }

    #[test]
    fn thresholds_are_where_the_papers_formula_rounds() {
        for levels in [2, 3, 5, 8] {
            for step in -5000..5000 {
                let z = f64::from(step) / 1000.0 + 1e-5;
                let mut ids = Vec::new();
                Levels::new(&[levels]).ids(Arch::new(), &[z as f32], &mut Vec::new(), &mut ids);
                assert_eq!(ids, [rounded(levels, z)], "{levels} {z}");
            }
        }
    }

    #[test]
    fn the_first_number_is_the_fastest_digit() {
        let mut ids = Vec::new();
        let features = [9.0, -9.0, -9.0, -9.0, 9.0, -9.0, 9.0, 9.0, 9.0];
        Levels::new(&[8, 5, 3]).ids(Arch::new(), &features, &mut Vec::new(), &mut ids);
        assert_eq!(ids, [7, 4 * 8, 119]);
    }
}
