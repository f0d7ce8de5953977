//! One mask as a packed bitmap, and the lists of cells that trainers index with.

use serde::{Deserialize, Serialize};

use crate::count::CountRule;
use crate::error::MaskError;
use crate::grid::Grid;
use crate::rank::clear_behind;

/// A bitmap with one bit per cell in raster order, in which 1 is masked.
///
/// Cell `c` is bit `c % 8` of byte `c / 8`, counted from the lowest bit: Arrow's order. Bits behind the last cell
/// are 0, so 196 cells are 25 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchMask {
    grid: Grid,
    rule: CountRule,
    bits: Vec<u8>,
}

/// What a 1 stands for where bits leave this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// 1 is masked: MAE, BEiT, SimMIM, VideoMAE, and every mask in here.
    OneIsMasked,
    /// 1 is visible: MambaMIM's `active`.
    OneIsVisible,
}

impl PatchMask {
    /// A mask that hides nothing, whose cells will be counted by this rule.
    pub fn visible(grid: Grid, rule: CountRule) -> Self {
        Self { grid, rule, bits: vec![0; grid.cells().div_ceil(8)] }
    }

    /// The mask that was stored as these bits, 1 for masked; an error where they are not those of a grid's mask.
    pub fn from_bits(grid: Grid, rule: CountRule, bits: &[u8]) -> Result<Self, MaskError> {
        let mut cut = bits.to_vec();
        clear_behind(&mut cut, grid.cells());
        if bits.len() != grid.cells().div_ceil(8) || cut != bits {
            return Err(MaskError::Bits { cells: grid.cells(), bytes: bits.len() });
        }
        Ok(Self { grid, rule, bits: cut })
    }

    /// The cells that the mask covers.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// By which rule the masked cells were counted.
    pub fn rule(&self) -> CountRule {
        self.rule
    }

    /// The bitmap, 1 for masked.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// The bitmap in either polarity; bits behind the last cell stay 0.
    pub fn bits_as(&self, polarity: Polarity) -> Vec<u8> {
        match polarity {
            Polarity::OneIsMasked => self.bits.clone(),
            Polarity::OneIsVisible => {
                let mut visible = self.clone();
                visible.invert();
                visible.bits
            }
        }
    }

    /// Whether this cell is masked; a cell outside the grid isn't.
    pub fn is_masked(&self, cell: usize) -> bool {
        self.bits.get(cell / 8).is_some_and(|byte| byte >> (cell % 8) & 1 == 1)
    }

    /// How many cells are masked.
    pub fn num_masked(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// The visible cells in raster order: what an encoder sees, in MAE's place of `ids_keep`.
    ///
    /// MAE lists them in the order of its noise; with positions embedded, attention gives the same either way.
    pub fn ids_keep(&self) -> Vec<u32> {
        self.cells_where(false)
    }

    /// The masked cells in raster order.
    pub fn ids_masked(&self) -> Vec<u32> {
        self.cells_where(true)
    }

    /// Where each cell stands in the visible cells followed by the masked ones: MAE's `ids_restore` for [`Self::ids_keep`].
    pub fn ids_restore(&self) -> Vec<u32> {
        let mut ids_shuffle = self.ids_keep();
        ids_shuffle.extend(self.ids_masked());
        inverse(&ids_shuffle)
    }

    /// MAE's `ids_keep` and `ids_restore` as its own code orders them: by the noise that the mask was drawn from.
    ///
    /// `scores` has one score per cell, as [`crate::Masker::scores`] gives them right after the draw.
    pub fn reference_ids(&self, scores: &[f32]) -> (Vec<u32>, Vec<u32>) {
        let ids_shuffle = crate::rank::argsort(scores);
        let ids_restore = inverse(&ids_shuffle);
        let num_visible = ids_shuffle.len().saturating_sub(self.num_masked());
        (ids_shuffle[..num_visible].to_vec(), ids_restore)
    }

    fn cells_where(&self, masked: bool) -> Vec<u32> {
        (0..self.grid.cells()).filter(|&cell| self.is_masked(cell) == masked).map(|cell| cell as u32).collect()
    }

    pub(crate) fn bits_mut(&mut self) -> &mut [u8] {
        &mut self.bits
    }

    pub(crate) fn clear(&mut self) {
        self.bits.fill(0);
    }

    pub(crate) fn set(&mut self, cell: usize) {
        self.bits[cell / 8] |= 1 << (cell % 8);
    }

    pub(crate) fn unset(&mut self, cell: usize) {
        self.bits[cell / 8] &= !(1 << (cell % 8));
    }

    /// Gives every frame the mask of the first one.
    pub(crate) fn repeat_first_frame(&mut self) {
        let frame_cells = self.grid.frame_cells();
        for cell in frame_cells..self.grid.cells() {
            if self.is_masked(cell % frame_cells) { self.set(cell) } else { self.unset(cell) }
        }
    }

    pub(crate) fn invert(&mut self) {
        for byte in &mut self.bits {
            *byte = !*byte;
        }
        clear_behind(&mut self.bits, self.grid.cells());
    }
}

/// The inverse of a permutation: where each number stands in it.
pub fn inverse(order: &[u32]) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    for (place, &id) in order.iter().enumerate() {
        places[id as usize] = place as u32;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask_of(cells: &[usize]) -> PatchMask {
        let mut mask = PatchMask::visible(Grid::image(2, 5).unwrap(), CountRule::Pattern);
        cells.iter().for_each(|&cell| mask.set(cell));
        mask
    }

    #[test]
    fn bits_are_in_arrow_order() {
        assert_eq!(mask_of(&[0, 3, 9]).bits(), [0b0000_1001, 0b10]);
    }

    #[test]
    fn bits_behind_the_last_cell_are_0_in_either_polarity() {
        assert_eq!(mask_of(&[0, 3, 9]).bits_as(Polarity::OneIsVisible), [0b1111_0110, 0b01]);
        assert_eq!(mask_of(&[]).bits_as(Polarity::OneIsVisible), [0xff, 0b11]);
    }

    #[test]
    fn stored_bits_are_a_mask_again_and_others_are_an_error() {
        let mask = mask_of(&[0, 3, 9]);
        let from = |bits: &[u8]| PatchMask::from_bits(mask.grid(), mask.rule(), bits);
        assert_eq!(from(mask.bits()), Ok(mask.clone()));
        let message = from(&[1]).unwrap_err().to_string();
        assert_eq!(message, "1 bytes are no mask of 10 cells: it has one bit for each cell, and zeros behind the last");
        assert!(from(&[0, 0b100]).is_err());
    }

    #[test]
    fn ids_restore_puts_visible_and_masked_cells_back() {
        let mask = mask_of(&[1, 4, 5]);
        let shuffled = [mask.ids_keep(), mask.ids_masked()].concat();
        let restored: Vec<u32> = mask.ids_restore().into_iter().map(|place| shuffled[place as usize]).collect();
        assert_eq!(restored, (0..10).collect::<Vec<_>>());
    }
}
