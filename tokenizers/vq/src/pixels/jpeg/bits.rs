//! Reads bits and Huffman codes of a scan, up to the next marker.

/// The bytes of a scan and what was read of them.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the highest one down.
    next: u64,
    count: u32,
    /// Zeros that stand where the scan has ended.
    padded: u32,
    /// Whether there was a code that no table has.
    broken: bool,
}

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, next: 0, count: 0, padded: 0, broken: false }
    }

    /// Whether all that was read was there and had a meaning.
    pub fn sound(&self) -> bool {
        !self.broken && self.padded <= self.count
    }

    /// The place up to which bytes were taken, which is at or before the next marker.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Passes the next restart marker; false if the next marker is another one.
    pub fn restart(&mut self) -> bool {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let marker = rest.windows(2).position(|pair| pair[0] == 0xFF && pair[1] != 0 && pair[1] != 0xFF);
        let Some(marker) = marker.filter(|&marker| (0xD0..=0xD7).contains(&rest[marker + 1])) else { return false };
        *self = Self { broken: self.broken, ..Self::new(self.data, self.at + marker + 2) };
        true
    }

    /// At least 33 bits are there afterwards: a code and what follows it.
    #[inline(always)]
    fn fill(&mut self) {
        if self.count <= 32 {
            self.refill();
        }
    }

    #[inline(always)]
    fn refill(&mut self) {
        let eight = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>());
        match eight.map(|bytes| u64::from_be_bytes(*bytes)) {
            // What is taken beyond whole bytes is taken again: the same bits in the same place.
            Some(word) if !has_ff(word) => {
                let bytes = (64 - self.count) / 8;
                self.next |= word >> self.count;
                self.count += bytes * 8;
                self.at += bytes as usize;
            }
            _ => self.refill_slowly(),
        }
    }

    #[cold]
    fn refill_slowly(&mut self) {
        while self.count <= 56 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), Some(0xFF)) => {
                    self.at += 1;
                    continue;
                }
                (Some(0xFF), _) | (None, _) => {
                    self.padded += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.next |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.next <<= count;
        self.count -= count;
    }

    /// A number of at most 16 bits.
    #[inline(always)]
    pub fn number(&mut self, bits: u32) -> u32 {
        self.fill();
        self.taken(bits)
    }

    #[inline(always)]
    fn taken(&mut self, bits: u32) -> u32 {
        let number = ((self.next >> 32) >> (32 - bits)) as u32;
        self.skip(bits);
        number
    }

    #[inline(always)]
    pub fn flag(&mut self) -> bool {
        self.number(1) == 1
    }

    /// The symbol whose code comes next.
    #[inline(always)]
    pub fn symbol(&mut self, table: &Table) -> u8 {
        self.fill();
        let entry = table.short[(self.next >> (64 - SHORT)) as usize];
        if entry == 0 {
            return self.long_symbol(table);
        }
        self.skip(u32::from(entry >> 8));
        entry as u8
    }

    /// What comes next in a block: a level with its run where both are short, and otherwise a symbol.
    #[inline(always)]
    pub fn next(&mut self, table: &Table) -> Next {
        self.fill();
        let entry = table.levels[(self.next >> (64 - SHORT)) as usize];
        if entry == 0 {
            return Next::Symbol(self.long_symbol(table));
        }
        self.skip(entry as u32 & 0xFF);
        match (entry >> 16) as i16 {
            0 => Next::Symbol((entry >> 8) as u8),
            level => Next::Level { run: (entry >> 8) as u8, level },
        }
    }

    #[cold]
    fn long_symbol(&mut self, table: &Table) -> u8 {
        let code = (self.next >> 48) as u32;
        for bits in SHORT as usize + 1..=16 {
            if code < table.ends[bits] {
                self.skip(bits as u32);
                let place = (code >> (16 - bits)) as usize + table.symbols.len();
                let found = place.checked_sub(table.behind[bits]).and_then(|place| table.symbols.get(place));
                self.broken |= found.is_none();
                return found.copied().unwrap_or(0);
            }
        }
        self.broken = true;
        0
    }

    /// A signed number of as many bits as its size says (T.81, F.2.2.1).
    #[inline(always)]
    pub fn signed(&mut self, size: u32) -> i32 {
        // A code and 16 bits behind it fit into what one `fill` brings.
        let number = self.taken(size) as i32;
        extended(number, size)
    }
}

#[inline(always)]
fn has_ff(word: u64) -> bool {
    let inverted = !word;
    inverted.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 != 0
}

#[inline(always)]
fn extended(number: i32, size: u32) -> i32 {
    if size > 0 && number < 1 << (size - 1) { number - (1 << size) + 1 } else { number }
}

/// Bits that are looked up at once.
const SHORT: u32 = 10;

/// One step through a block's coefficients.
pub(super) enum Next {
    /// A level behind a run of zeros.
    Level { run: u8, level: i16 },
    /// A symbol, whose number is still to be read.
    Symbol(u8),
}

/// A Huffman table.
pub(super) struct Table {
    /// Length and symbol of the code that each short string of bits begins with, or 0 if that is longer.
    short: Box<[u16; 1 << SHORT]>,
    /// From the lowest byte up: length and symbol of the code, or, where its level lies within the string too, length of
    /// both, run and level.
    levels: Box<[i32; 1 << SHORT]>,
    /// By length: codes below this, as 16 bits, are no longer than that.
    ends: [u32; 17],
    /// By length: what, less a code of that length, is the place of its symbol from the end.
    behind: [usize; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// From how many codes there are of each length, and their symbols; `None` if that can't be.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            short: Box::new([0; 1 << SHORT]),
            levels: Box::new([0; 1 << SHORT]),
            ends: [0; 17],
            behind: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0_usize, 0_usize);
        for (bits, &count) in (1_usize..).zip(counts) {
            let of_length = symbols.get(place..place + usize::from(count))?;
            table.behind[bits] = (code + symbols.len()).checked_sub(place)?;
            for &symbol in of_length {
                if bits <= SHORT as usize {
                    let spare = SHORT as usize - bits;
                    let range = code << spare..(code + 1) << spare;
                    table.short.get_mut(range)?.fill((bits as u16) << 8 | u16::from(symbol));
                }
                code += 1;
            }
            place += usize::from(count);
            if code > 1 << bits {
                return None;
            }
            table.ends[bits] = (code << (16 - bits)) as u32;
            code <<= 1;
        }
        for (string, (entry, short)) in table.levels.iter_mut().zip(table.short.iter()).enumerate() {
            let (bits, symbol) = (u32::from(short >> 8), u32::from(short & 0xFF));
            let (run, size) = (symbol >> 4, symbol & 0xF);
            *entry = (symbol << 8 | bits) as i32;
            if bits > 0 && size > 0 && bits + size <= SHORT {
                let number = (string as u32 >> (SHORT - bits - size)) & ((1 << size) - 1);
                *entry = extended(number as i32, size) << 16 | (run << 8 | (bits + size)) as i32;
            }
        }
        Some(table)
    }
}
