//! Reads one block's coefficients in each of the ways that scans have them.

use super::bits::{Bits, Next, Table};

/// Where the coefficients of a scan lie in a block of rows; what would lie behind the last one goes there too.
const PLACES: [u8; 128] = {
    let mut places = [63; 128];
    let (mut row, mut column, mut at) = (0_u8, 0_u8, 0);
    while at < 64 {
        places[at] = row * 8 + column;
        let upwards = (row + column) % 2 == 0;
        if upwards && column == 7 {
            row += 1;
        } else if upwards {
            column += 1;
            row = row.saturating_sub(1);
        } else if row == 7 {
            column += 1;
        } else {
            row += 1;
            column = column.saturating_sub(1);
        }
        at += 1;
    }
    places
};

/// The place of a scan's coefficient in a block of rows.
#[inline(always)]
pub(super) fn place(at: usize) -> usize {
    // Both masks change nothing, and spare checks of bounds.
    usize::from(PLACES[at & 127]) & 63
}

/// What a scan of a progressive file tells of its coefficients.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub first: usize,
    pub last: usize,
    /// Lower bits that are still missing afterwards.
    pub shift: u32,
    /// Whether one more bit is told of what an earlier scan began.
    pub refines: bool,
}

/// All of a block.
#[inline(always)]
pub(super) fn whole(bits: &mut Bits, dc: &Table, ac: &Table, predicted: &mut i32, block: &mut [i16; 64]) {
    let size = u32::from(bits.symbol(dc)).min(16);
    *predicted = predicted.wrapping_add(bits.signed(size));
    block[0] = *predicted as i16;
    let mut at = 1;
    while at < 64 {
        match bits.next(ac) {
            Next::Level { run, level } => {
                at += usize::from(run);
                block[place(at)] = level;
                at += 1;
            }
            Next::Symbol(0xF0) => at += 16,
            Next::Symbol(symbol) if symbol & 15 == 0 => break,
            Next::Symbol(symbol) => {
                at += usize::from(symbol >> 4);
                block[place(at)] = bits.signed(u32::from(symbol & 15)) as i16;
                at += 1;
            }
        }
    }
}

/// The upper bits of a block's mean.
#[inline(always)]
pub(super) fn mean(bits: &mut Bits, dc: &Table, predicted: &mut i32, shift: u32, block: &mut [i16; 64]) {
    let size = u32::from(bits.symbol(dc)).min(16);
    *predicted = predicted.wrapping_add(bits.signed(size));
    block[0] = (*predicted << shift) as i16;
}

/// The upper bits of other coefficients. `empty` blocks follow that have none.
#[inline(always)]
pub(super) fn begun(bits: &mut Bits, ac: &Table, part: Part, empty: &mut u32, block: &mut [i16; 64]) {
    if *empty > 0 {
        *empty -= 1;
        return;
    }
    let mut at = part.first;
    while at <= part.last {
        let symbol = bits.symbol(ac);
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size > 0 {
            at += run;
            block[place(at)] = (bits.signed(size) << part.shift) as i16;
            at += 1;
        } else if run == 15 {
            at += 16;
        } else {
            *empty = (1 << run) - 1 + bits.number(run as u32);
            break;
        }
    }
}

/// One more bit of other coefficients (T.81, G.1.2.3).
#[inline(always)]
pub(super) fn refined(bits: &mut Bits, ac: &Table, part: Part, empty: &mut u32, block: &mut [i16; 64]) {
    let bit = 1_i16 << part.shift;
    let mut at = part.first;
    while *empty == 0 && at <= part.last {
        let symbol = bits.symbol(ac);
        let (mut run, size) = (symbol >> 4, symbol & 15);
        if size == 0 && run < 15 {
            *empty = (1 << run) + bits.number(u32::from(run));
            break;
        }
        let new = if size == 0 {
            0
        } else if bits.flag() {
            bit
        } else {
            -bit
        };
        while at <= part.last {
            let level = &mut block[place(at)];
            if *level != 0 {
                refine(bits, bit, level);
            } else if run == 0 {
                *level = new;
                break;
            } else {
                run -= 1;
            }
            at += 1;
        }
        at += 1;
    }
    if *empty > 0 {
        for at in at..=part.last {
            let level = &mut block[place(at)];
            if *level != 0 {
                refine(bits, bit, level);
            }
        }
        *empty -= 1;
    }
}

#[inline(always)]
fn refine(bits: &mut Bits, bit: i16, level: &mut i16) {
    if bits.flag() && *level & bit == 0 {
        *level = level.wrapping_add(if *level < 0 { -bit } else { bit });
    }
}

#[cfg(test)]
mod tests {
    use super::{PLACES, place};

    #[test]
    fn places_go_along_diagonals() {
        assert_eq!(PLACES[..12], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25]);
        assert_eq!(PLACES[56..64], [53, 60, 61, 54, 47, 55, 62, 63]);
        let mut all: Vec<usize> = (0..64).map(place).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..64));
    }
}
