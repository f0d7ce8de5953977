//! Reads one more bit of a block's coefficients (T.81, G.1.2.3).

use super::bits::{Bits, Next, Table};
use super::coefficients::{Part, place};

/// One more bit of the coefficients that an earlier scan began, and the first one of others.
///
/// Bits of what was begun stand between the symbols. They are gathered, and added when all of the block is read: where
/// they belong doesn't decide what is read next.
#[inline(always)]
pub(super) fn refined(
    bits: &mut Bits,
    ac: &Table,
    part: Part,
    empty: &mut u32,
    known: &mut u64,
    block: &mut [i16; 64],
) {
    let band = (u64::MAX << part.first) & (u64::MAX >> (63 - part.last));
    let begun = band & *known;
    let (mut flags, mut new, mut at) = (Flags::default(), 0, part.first);
    if *empty == 0 {
        let mut unknown = [0; 72];
        let count = list(band & !*known, &mut unknown);
        let mut next = 0;
        while at <= part.last {
            let (run, level) = match bits.next(ac) {
                Next::Level { run, level } => {
                    // Whatever the size is said to be, there is one bit.
                    if level.unsigned_abs() > 1 {
                        *bits = bits.put_back(level);
                    }
                    (run, level.signum())
                }
                Next::Symbol(0xF0) => (15, 0),
                Next::Symbol(symbol) if symbol & 15 == 0 => {
                    let size = u32::from(symbol >> 4);
                    *empty = (1 << size) + bits.number(size);
                    break;
                }
                Next::Symbol(symbol) => (symbol >> 4, if bits.flag() { 1 } else { -1 }),
            };
            next += usize::from(run);
            if next >= count {
                // All are passed.
                flags.read(bits, (begun & (u64::MAX << at)).count_ones());
                break;
            }
            let found = usize::from(unknown[next]);
            flags.read(bits, (found - at) as u32 - u32::from(run));
            block[place(found)] = level << part.shift;
            new |= u64::from(level != 0) << (found & 63);
            next += 1;
            at = found + 1;
        }
    }
    if *empty > 0 {
        flags.read(bits, (begun & (u64::MAX << at)).count_ones());
        *empty -= 1;
    }
    *known |= new;
    flags.add(1 << part.shift, begun, block);
}

/// For each coefficient that was begun, in their order, whether a bit is added.
#[derive(Default)]
struct Flags {
    /// The last one is the lowest bit.
    read: u64,
    count: u32,
}

impl Flags {
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits, count: u32) {
        let few = count.min(32);
        self.read_few(bits, few);
        if count > few {
            self.read_few(bits, count - few);
        }
    }

    #[inline(always)]
    fn read_few(&mut self, bits: &mut Bits, count: u32) {
        self.read = self.read << count | u64::from(bits.flags(count));
        self.count += count;
    }

    /// Adds `bit`, away from zero, where it isn't there yet.
    #[inline(always)]
    fn add(self, bit: i16, mut begun: u64, block: &mut [i16; 64]) {
        let mut flags = self.read << ((64 - self.count) & 63);
        for _ in 0..self.count {
            let level = &mut block[place(begun.trailing_zeros() as usize)];
            let sign = *level >> 15;
            let added = (flags >> 63) as i16 * i16::from(*level & bit == 0) * bit;
            *level = level.wrapping_add((added ^ sign) - sign);
            flags <<= 1;
            begun &= begun.wrapping_sub(1);
        }
    }
}

/// Writes the bits that are set down, in order; returns how many they are. Behind them there may be anything.
#[inline(always)]
fn list(set: u64, places: &mut [u8; 64 + 8]) -> usize {
    let mut count = 0;
    for (number, byte) in (0_u64..).zip(set.to_le_bytes()) {
        let eight = BITS[usize::from(byte)] + number * u64::from_ne_bytes([8; 8]);
        // The mask changes nothing, and spares a check of bounds.
        places[count & 63..][..8].copy_from_slice(&eight.to_le_bytes());
        count += byte.count_ones() as usize;
    }
    count
}

/// The bits that are set in each byte, in order: one in each byte, from the lowest one up.
const BITS: [u64; 256] = {
    let mut bits = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                bits[byte] |= bit << (8 * count);
                count += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    bits
};

#[cfg(test)]
mod tests {
    use super::super::bits::Kind;
    use super::*;

    /// Codes of 3 to 11 bits. Runs with levels of one bit; with levels of several, which only damaged files have; what
    /// passes 16, and what ends blocks.
    const COUNTS: [u8; 16] = [0, 0, 1, 10, 4, 4, 4, 0, 4, 2, 1, 0, 0, 0, 0, 0];
    const SYMBOLS: [u8; 30] = [
        0x01, 0x11, 0x21, 0x31, 0x00, 0x10, 0xF0, 0x02, 0x41, 0x51, 0x03, 0x13, 0x61, 0x71, 0x20, 0x12, 0x81, 0x91,
        0xA1, 0x30, 0xB1, 0xC1, 0xD1, 0xE1, 0xF1, 0x14, 0x2A, 0x40, 0x50, 0xF9,
    ];

    /// Reads bit by bit.
    struct Plain<'a> {
        data: &'a [u8],
        at: usize,
    }

    impl Plain<'_> {
        fn bit(&mut self) -> i16 {
            let byte = self.data.get(self.at / 8).copied().unwrap_or(0);
            self.at += 1;
            i16::from(byte >> (7 - (self.at - 1) % 8) & 1)
        }

        fn symbol(&mut self) -> u8 {
            let (mut code, mut first, mut place) = (0, 0, 0);
            for count in COUNTS.map(usize::from) {
                code = code << 1 | self.bit() as usize;
                if code < first + count {
                    return SYMBOLS[place + code - first];
                }
                place += count;
                first = (first + count) << 1;
            }
            0
        }

        /// What the standard has in G.1.2.3, one coefficient after the other.
        fn refine(&mut self, part: Part, empty: &mut u32, block: &mut [i16; 64]) {
            let mut at = part.first;
            while *empty == 0 && at <= part.last {
                let symbol = self.symbol();
                let (mut run, size) = (symbol >> 4, symbol & 15);
                if size == 0 && run < 15 {
                    *empty = (0..run).fold(1, |number, _| number << 1 | self.bit() as u32);
                    break;
                }
                let new = if size == 0 { 0 } else { (2 * self.bit() - 1) << part.shift };
                while at <= part.last && (block[place(at)] != 0 || run > 0) {
                    run -= u8::from(block[place(at)] == 0);
                    self.refine_one(part, &mut block[place(at)]);
                    at += 1;
                }
                if at <= part.last {
                    block[place(at)] = new;
                }
                at += 1;
            }
            if *empty > 0 {
                (at..=part.last).for_each(|at| self.refine_one(part, &mut block[place(at)]));
                *empty -= 1;
            }
        }

        fn refine_one(&mut self, part: Part, level: &mut i16) {
            if *level != 0 && self.bit() == 1 && *level & 1 << part.shift == 0 {
                *level += level.signum() << part.shift;
            }
        }
    }

    #[test]
    fn blocks_are_refined_as_if_coefficient_by_coefficient() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let table = Table::new(Kind::Runs, &COUNTS, &SYMBOLS).unwrap();
        for case in 0..2000 {
            let data: Vec<u8> = (0..400).map(|_| random(255) as u8).collect();
            let part = Part { first: 1 + case % 7, last: 63 - case % 5, shift: (case % 3) as u32, refines: true };
            let density = 1 + random(64);
            let (mut bits, mut plain) = (Bits::new(&data, 0), Plain { data: &data, at: 0 });
            let (mut empty, mut plain_empty) = (0, 0);
            for number in 0..6 {
                let mut block = [0_i16; 64];
                for level in &mut block {
                    *level = if random(64) < density { random(400) as i16 - 200 } else { 0 };
                }
                let there = (0..64).filter(|&at| block[place(at)] != 0);
                let (mut known, mut expected) = (there.fold(0, |known, at| known | 1 << at), block);
                refined(&mut bits, &table, part, &mut empty, &mut known, &mut block);
                plain.refine(part, &mut plain_empty, &mut expected);
                if !bits.sound() {
                    break;
                }
                assert_eq!(block, expected, "block {number} of case {case}");
                let there = (0..64).filter(|&at| block[place(at)] != 0);
                assert_eq!(known, there.fold(0, |known, at| known | 1 << at), "block {number} of case {case}");
                assert_eq!(empty, plain_empty, "block {number} of case {case}");
            }
        }
    }
}
