//! Takes signs for bits: lookup-free quantisation (Language Model Beats Diffusion, section 3.1).

use pulp::Arch;

use super::Quantise;

#[derive(Debug)]
pub(super) struct Signs {
    pub bits: u32,
}

impl Quantise for Signs {
    fn ids(&self, _: Arch, features: &[f32], _: &mut Vec<f32>, ids: &mut Vec<u32>) {
        let id = |place: &[f32]| (0..).zip(place).map(|(bit, number)| u32::from(*number > 0.0) << bit).sum::<u32>();
        ids.extend(features.chunks_exact(self.bits as usize).map(id));
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
