//! Picks an exact number of cells by the rank of their scores: the one way in which most strategies mask.

use crate::patch_mask::PatchMask;

/// Leaves the `visible` cells of the lowest scores unmasked, and masks all others.
///
/// Among equal scores the cell that comes first is visible, as in a stable argsort. One bit per cell, the lowest bit
/// of a byte first; `bits` holds exactly as many bytes as the cells need. Scores must be numbers.
pub(crate) fn mask_all_but_lowest(scores: &[f32], visible: usize, bits: &mut [u8]) {
    match cut(scores, visible) {
        Cut::None => fill(bits, scores.len()),
        Cut::All => bits.fill(0),
        Cut::After(last_visible) => mask_above(scores, last_visible, bits),
        Cut::Within { tied, visible } => {
            mask_above(scores, tied, bits);
            let ties = scores.iter().enumerate().filter(|&(_, &score)| score == tied);
            for (cell, _) in ties.skip(visible) {
                bits[cell / 8] |= 1 << (cell % 8);
            }
        }
    }
}

/// The cells in the order of their scores, lowest first, equal scores in the order of cells: a stable argsort.
pub fn argsort(scores: &[f32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_by(|&left, &right| scores[left as usize].total_cmp(&scores[right as usize]));
    order
}

/// Sets the first `cells` bits, and clears what remains of the last byte.
pub(crate) fn fill(bits: &mut [u8], cells: usize) {
    bits.fill(0xff);
    clear_behind(bits, cells);
}

/// Clears what remains of the last byte behind so many cells.
pub(crate) fn clear_behind(bits: &mut [u8], cells: usize) {
    if let (Some(last), 1..) = (bits.last_mut(), cells % 8) {
        *last &= (1 << (cells % 8)) - 1;
    }
}

/// Gives every frame of a mask the bits of one frame.
pub(crate) fn repeat_frames(frame: &[u8], mask: &mut PatchMask) {
    let grid = mask.grid();
    if grid.frames() == 1 {
        mask.bits_mut().copy_from_slice(frame);
        return;
    }
    mask.clear();
    let is_set = |cell: usize| frame[cell / 8] >> (cell % 8) & 1 == 1;
    for start in (0..grid.cells()).step_by(grid.frame_cells()) {
        (0..grid.frame_cells()).filter(|&cell| is_set(cell)).for_each(|cell| mask.set(start + cell));
    }
}

/// Where the visible scores end.
enum Cut {
    None,
    All,
    /// All that are not above this score are visible.
    After(f32),
    /// All below this score are visible, and as many of those that have it.
    Within {
        tied: f32,
        visible: usize,
    },
}

// Any value between the last visible score and the first masked one will do, and counting the scores below a value is
// one pass of vector instructions. So it is looked for by interpolation: white noise takes about four passes, where a
// selection by swaps would take as long as forty. Every third pass halves the range of bit patterns instead, which
// ends for any scores.
fn cut(scores: &[f32], visible: usize) -> Cut {
    if visible == 0 {
        return Cut::None;
    }
    if visible >= scores.len() {
        return Cut::All;
    }
    let (lowest, highest) = range(scores);
    let (mut below, mut num_below) = (ordered(lowest) - 1, 0);
    let (mut above, mut num_above) = (ordered(highest), scores.len());
    let mut pass = 0_u32;
    while above - below > 1 {
        pass += 1;
        let middle = match pass % 3 {
            0 => below + (above - below) / 2,
            _ => {
                let share = (visible - num_below) as f32 / (num_above - num_below) as f32;
                let (from, to) = (value(below), value(above));
                ordered(from + (to - from) * share).clamp(below + 1, above - 1)
            }
        };
        let count = count_up_to(scores, value(middle));
        match count.cmp(&visible) {
            std::cmp::Ordering::Equal => return Cut::After(value(middle)),
            std::cmp::Ordering::Less => (below, num_below) = (middle, count),
            std::cmp::Ordering::Greater => (above, num_above) = (middle, count),
        }
    }
    if num_above == visible {
        return Cut::After(value(above));
    }
    Cut::Within { tied: value(above), visible: visible - num_below }
}

// Numbers in the order of floats: the magnitude of negative ones counts down. Both zeros are 0.
fn ordered(score: f32) -> i64 {
    let bits = i64::from(score.to_bits() & 0x7fff_ffff);
    if score.is_sign_negative() { -bits } else { bits }
}

fn value(ordered: i64) -> f32 {
    let magnitude = f32::from_bits(ordered.unsigned_abs() as u32 & 0x7fff_ffff);
    if ordered < 0 { -magnitude } else { magnitude }
}

fn range(scores: &[f32]) -> (f32, f32) {
    const LANES: usize = 16;
    let (blocks, rest) = scores.as_chunks::<LANES>();
    let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    for block in blocks {
        for lane in 0..LANES {
            low[lane] = if block[lane] < low[lane] { block[lane] } else { low[lane] };
            high[lane] = if block[lane] > high[lane] { block[lane] } else { high[lane] };
        }
    }
    let low = low.iter().chain(rest).fold(f32::INFINITY, |low, &score| low.min(score));
    let high = high.iter().chain(rest).fold(f32::NEG_INFINITY, |high, &score| high.max(score));
    (low, high)
}

fn count_up_to(scores: &[f32], limit: f32) -> usize {
    scores.iter().map(|&score| u32::from(score <= limit)).sum::<u32>() as usize
}

fn mask_above(scores: &[f32], limit: f32, bits: &mut [u8]) {
    for (byte, scores) in bits.iter_mut().zip(scores.chunks(8)) {
        *byte = match scores.as_array::<8>() {
            Some(scores) => (0..8).fold(0, |byte, bit| byte | (u8::from(scores[bit] > limit) << bit)),
            None => scores.iter().rev().fold(0, |byte, &score| (byte << 1) | u8::from(score > limit)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(scores: &[f32], visible: usize) -> Vec<usize> {
        let mut bits = vec![0xaa; scores.len().div_ceil(8)];
        mask_all_but_lowest(scores, visible, &mut bits);
        assert_eq!(bits.iter().map(|byte| byte.count_ones() as usize).sum::<usize>(), scores.len() - visible);
        (0..scores.len()).filter(|cell| bits[cell / 8] >> (cell % 8) & 1 == 1).collect()
    }

    fn by_sorting(scores: &[f32], visible: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&left, &right| scores[left].partial_cmp(&scores[right]).unwrap());
        let mut masked = order.split_off(visible);
        masked.sort();
        masked
    }

    #[test]
    fn equal_scores_are_visible_from_the_first_cell_on() {
        assert_eq!(masked(&[1.0, 0.0, 1.0, 1.0, 2.0], 2), [2, 3, 4]);
        assert_eq!(masked(&[0.0; 9], 4), [4, 5, 6, 7, 8]);
        assert_eq!(masked(&[0.0, -0.0, 0.0], 1), [1, 2]);
    }

    #[test]
    fn none_or_all_may_be_visible() {
        assert_eq!(masked(&[3.0; 9], 0), (0..9).collect::<Vec<_>>());
        assert!(masked(&[3.0; 9], 9).is_empty());
    }

    #[test]
    fn any_scores_are_cut_as_a_stable_sort_cuts_them() {
        let mut random = pageloom_training::random::KeyedRandom::new(1, "rank", b"", 0);
        for round in 0..300 {
            let cells = random.within(1, 300) as usize;
            let levels = [2.0, 30.0, 1e9][round % 3];
            let scale = [1.0, 1e-38, 1e30][round / 3 % 3];
            let scores: Vec<f32> =
                (0..cells).map(|_| ((random.uniform() * levels).floor() / levels - 0.5) as f32 * scale).collect();
            for visible in [0, 1, cells / 4, cells / 2, cells - 1, cells] {
                assert_eq!(masked(&scores, visible), by_sorting(&scores, visible), "{scores:?} {visible}");
            }
        }
    }
}
