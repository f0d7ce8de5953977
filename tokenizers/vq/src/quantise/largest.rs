//! Takes the place of the largest number: Gumbel's logits, DALL-E's dVAE.

use pulp::Arch;

use super::{Margins, Quantise, first_largest};

#[derive(Debug)]
pub(super) struct Largest {
    pub count: u32,
}

impl Quantise for Largest {
    fn ids(&self, _: Arch, features: &[f32], _: &mut Vec<f32>, ids: &mut Vec<u32>) {
        ids.extend(features.chunks_exact(self.count as usize).map(first_largest));
    }

    fn margins(&self, _: Arch, place: &[f32], ids: &[u32]) -> Margins {
        Margins::of_scores(place, ids.first().copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_own_largest() {
        let mut ids = Vec::new();
        Largest { count: 3 }.ids(Arch::new(), &[0.0, 2.0, 1.0, -1.0, -2.0, -3.0], &mut Vec::new(), &mut ids);
        assert_eq!(ids, [1, 0]);
    }
}
