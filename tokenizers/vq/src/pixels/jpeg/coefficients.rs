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

/// All of a block but its mean.
#[inline(always)]
pub(super) fn others(bits: &mut Bits, ac: &Table, block: &mut [i16; 64]) {
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

/// From one block's mean to the next one's.
#[inline(always)]
fn difference(bits: &mut Bits, dc: &Table) -> i32 {
    match bits.next(dc) {
        Next::Level { level, .. } => i32::from(level),
        Next::Symbol(size) => bits.signed(u32::from(size)),
    }
}

/// A block's mean, or its upper bits.
#[inline(always)]
pub(super) fn mean(bits: &mut Bits, dc: &Table, predicted: &mut i32, shift: u32) -> i16 {
    *predicted = predicted.wrapping_add(difference(bits, dc));
    (*predicted << shift) as i16
}

/// The upper bits of other coefficients. `empty` blocks follow that have none.
///
/// Bit n of `known` says whether the n-th coefficient of a scan is there.
#[inline(always)]
pub(super) fn begun(bits: &mut Bits, ac: &Table, part: Part, empty: &mut u32, known: &mut u64, block: &mut [i16; 64]) {
    if *empty > 0 {
        *empty -= 1;
        return;
    }
    let mut at = part.first;
    while at <= part.last {
        let (run, level) = match bits.next(ac) {
            Next::Level { run, level } => (run, i32::from(level)),
            Next::Symbol(0xF0) => {
                at += 16;
                continue;
            }
            Next::Symbol(symbol) if symbol & 15 == 0 => {
                let size = u32::from(symbol >> 4);
                *empty = (1 << size) - 1 + bits.number(size);
                break;
            }
            Next::Symbol(symbol) => (symbol >> 4, bits.signed(u32::from(symbol & 15))),
        };
        at += usize::from(run);
        let level = (level << part.shift) as i16;
        block[place(at)] = level;
        let bit = 1 << at.min(63);
        *known = if level == 0 { *known & !bit } else { *known | bit };
        at += 1;
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
