//! Takes signs for bits: lookup-free quantisation (Language Model Beats Diffusion, section 3.1).

use pulp::Arch;

use super::{Margins, Quantise};

#[derive(Debug)]
pub(super) struct Signs {
    pub bits: u32,
}

impl Quantise for Signs {
    fn ids(&self, _: Arch, features: &[f32], _: &mut Vec<f32>, ids: &mut Vec<u32>) {
        let id = |place: &[f32]| (0..).zip(place).map(|(bit, number)| u32::from(*number > 0.0) << bit).sum::<u32>();
        ids.extend(features.chunks_exact(self.bits as usize).map(id));
    }

    /// How far the number is from zero that must change its sign the most.
    fn margins(&self, _: Arch, place: &[f32], ids: &[u32]) -> Margins {
        let id = ids.first().copied().unwrap_or(0);
        let flipped = (0..).zip(place).filter(|(bit, number)| (id >> bit & 1 == 1) != (**number > 0.0));
        let found = flipped.map(|(_, number)| number.abs()).fold(0.0, f32::max);
        let second = place.iter().map(|number| number.abs()).fold(f32::INFINITY, f32::min);
        if id >> self.bits > 0 { Margins { second, found: f32::INFINITY } } else { Margins { second, found } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_is_the_lowest_bit_and_zero_is_no_bit() {
        let mut ids = Vec::new();
        let features = [0.5, -0.5, -0.5, 0.0, 1e-30, -0.0, -1.0, 1.0, 1.0];
        Signs { bits: 3 }.ids(Arch::new(), &features, &mut Vec::new(), &mut ids);
        assert_eq!(ids, [1, 2, 6]);
    }

    #[test]
    fn eighteen_bits_make_ids_up_to_2_to_the_18th() {
        let mut ids = Vec::new();
        Signs { bits: 18 }.ids(Arch::new(), &[1.0; 18], &mut Vec::new(), &mut ids);
        assert_eq!(ids, [(1 << 18) - 1]);
    }
}
