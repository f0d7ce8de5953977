//! Reads bits and Huffman codes of a scan, up to the next marker.

/// The bytes of a scan and what was read of them.
///
/// Nothing that isn't inlined takes a reference to it, so that it stays in registers while a block is read.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next bytes, none of them 0xFF: up to `plain_end`.
    plain: &'a [u8],
    plain_end: usize,
    /// The next bits, from the highest one down. Behind the `count` that are there may be some that come next.
    next: u64,
    count: u32,
    /// Zeros that stand where the scan has ended.
    padded: u32,
    /// Whether there was a code that no table has.
    broken: bool,
}

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Self {
        let bits = Self { data, plain: &[], plain_end: 0, next: 0, count: 0, padded: 0, broken: false };
        bits.at(at)
    }

    /// The same, with what comes next at another place.
    fn at(mut self, at: usize) -> Self {
        let rest = self.data.get(at..).unwrap_or_default();
        self.plain = &rest[..before_ff(rest)];
        self.plain_end = at + self.plain.len();
        self
    }

    /// Whether all that was read was there and had a meaning.
    pub fn sound(self) -> bool {
        !self.broken && self.padded <= self.count
    }

    /// The place up to which bytes were taken, which is at or before the next marker.
    pub fn position(self) -> usize {
        self.plain_end - self.plain.len()
    }

    /// Behind the next restart marker; `None` if the next marker is another one.
    pub fn restarted(self) -> Option<Self> {
        let at = self.position();
        let rest = self.data.get(at..)?;
        let marker = rest.windows(2).position(|pair| pair[0] == 0xFF && pair[1] != 0 && pair[1] != 0xFF)?;
        let due = (0xD0..=0xD7).contains(&rest[marker + 1]);
        due.then(|| Self { broken: self.broken, ..Self::new(self.data, at + marker + 2) })
    }

    /// At least 33 bits are there afterwards, a code and what follows it, and at most 63.
    #[inline(always)]
    fn fill(&mut self) {
        if let Some(&eight) = self.plain.first_chunk::<8>() {
            // What is taken beyond whole bytes is taken again: the same bits in the same place.
            self.next |= u64::from_be_bytes(eight) >> (self.count & 63);
            self.plain = &self.plain[(((63 - self.count) / 8) & 7) as usize..];
            self.count |= 56;
        } else if self.count <= 32 {
            *self = self.filled_slowly();
        }
    }

    #[cold]
    #[inline(never)]
    fn filled_slowly(mut self) -> Self {
        while self.count < 56 {
            let byte = match (self.plain, self.data.get(self.plain_end + 1)) {
                (&[byte, ref rest @ ..], _) => {
                    self.plain = rest;
                    byte
                }
                ([], Some(&0)) if self.data[self.plain_end] == 0xFF => {
                    self = self.at(self.plain_end + 2);
                    0xFF
                }
                ([], Some(&0xFF)) if self.data[self.plain_end] == 0xFF => {
                    self = self.at(self.plain_end + 1);
                    continue;
                }
                ([], _) => {
                    self.padded += 8;
                    0
                }
            };
            self.next |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
        self
    }

    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.next <<= count & 63;
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

    /// So many flags, at most 32; the last one is the lowest bit.
    #[inline(always)]
    pub fn flags(&mut self, count: u32) -> u32 {
        if self.count < count {
            self.fill();
        }
        self.taken(count)
    }

    /// What comes next in a block: a level with its run where both are short, and otherwise a symbol.
    #[inline(always)]
    pub fn next(&mut self, table: &Table) -> Next {
        self.fill();
        let entry = table.steps[(self.next >> (64 - SHORT)) as usize];
        self.skip(entry as u32 & 63);
        let level = entry >> 16;
        if level != 0 {
            return Next::Level { run: (entry >> 8) as u8, level: level as i16 };
        }
        if entry != 0 {
            return Next::Symbol((entry >> 8) as u8);
        }
        let (symbol, length) = table.code(self.next);
        self.skip(length);
        self.broken |= length == 0;
        Next::Symbol(symbol)
    }

    /// The same, with all bits of the level that was read last still to be read, but for the first.
    #[cold]
    #[inline(never)]
    pub fn put_back(mut self, level: i16) -> Self {
        let number = if level < 0 { level - 1 } else { level };
        let back = 15 - level.unsigned_abs().leading_zeros();
        self.next = self.next >> back | u64::from(number.cast_unsigned()) << (64 - back);
        self.count += back;
        self
    }

    /// A signed number of as many bits as its size says (T.81, F.2.2.1).
    #[inline(always)]
    pub fn signed(&mut self, size: u32) -> i32 {
        // A code and 16 bits behind it fit into what one `fill` brings.
        let number = self.taken(size) as i32;
        extended(number, size)
    }
}

/// How many bytes come before the first 0xFF.
fn before_ff(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let begin = words.iter().position(|word| has_ff(u64::from_ne_bytes(*word))).unwrap_or(words.len()) * 8;
    begin + bytes[begin..].iter().position(|&byte| byte == 0xFF).unwrap_or(bytes.len() - begin)
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
    /// By the next bits, from the lowest byte up: length and symbol of the code that they begin with, or, where its level
    /// lies within them too, length of both, run and level; 0 if the code is longer.
    steps: [i32; 1 << SHORT],
    /// By length: codes below this, as 16 bits, are no longer than that.
    ends: [u32; 17],
    /// By length: what, less a code of that length, is the place of its symbol from the end.
    behind: [usize; 17],
    symbols: Vec<u8>,
}

/// What a table's symbols stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The size of a mean's difference.
    Mean,
    /// A run of zeros and the size of the level behind it.
    Runs,
}

impl Table {
    /// From how many codes there are of each length, and their symbols; `None` if that can't be.
    pub fn new(kind: Kind, counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self { steps: [0; 1 << SHORT], ends: [0; 17], behind: [0; 17], symbols: symbols.to_vec() };
        if kind == Kind::Mean {
            table.symbols.iter_mut().for_each(|size| *size = (*size).min(16));
        }
        let (mut code, mut place) = (0_usize, 0_usize);
        for (bits, &count) in (1_usize..).zip(counts) {
            table.behind[bits] = (code + symbols.len()).checked_sub(place)?;
            for _ in 0..count {
                let symbol = *table.symbols.get(place)?;
                if bits <= SHORT as usize {
                    let spare = SHORT as usize - bits;
                    let range = code << spare..(code + 1) << spare;
                    fill(table.steps.get_mut(range)?, kind, bits as u32, symbol);
                }
                code += 1;
                place += 1;
            }
            if code > 1 << bits {
                return None;
            }
            table.ends[bits] = (code << (16 - bits)) as u32;
            code <<= 1;
        }
        Some(table)
    }

    /// The symbol of the code that these bits begin with, and its length; 0 if there is none.
    #[cold]
    #[inline(never)]
    fn code(&self, next: u64) -> (u8, u32) {
        let code = (next >> 48) as u32;
        for bits in 1..=16 {
            if code < self.ends[bits] {
                let place = (code >> (16 - bits)) as usize + self.symbols.len();
                let found = place.checked_sub(self.behind[bits]).and_then(|place| self.symbols.get(place));
                return found.map_or((0, 0), |&symbol| (symbol, bits as u32));
            }
        }
        (0, 0)
    }
}

/// Fills the entries of one code in.
fn fill(entries: &mut [i32], kind: Kind, bits: u32, symbol: u8) {
    let (run, size) = match kind {
        Kind::Mean => (0, u32::from(symbol)),
        Kind::Runs => (i32::from(symbol >> 4), u32::from(symbol & 15)),
    };
    if size == 0 || bits + size > SHORT {
        return entries.fill(i32::from(symbol) << 8 | bits as i32);
    }
    // Every number of that size, each as often as there are strings behind it.
    for (number, entries) in entries.chunks_exact_mut(1 << (SHORT - bits - size)).enumerate() {
        entries.fill(extended(number as i32, size) << 16 | run << 8 | (bits + size) as i32);
    }
}
