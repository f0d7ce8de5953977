//! A hash table from the bytes of words to small values, without allocation per word.

/// Words and their values. Most words have at most 15 bytes and are compared as one number.
pub(super) struct WordTable<V> {
    short: Vec<ShortSlot<V>>,
    long: Vec<LongSlot<V>>,
    long_bytes: Vec<u8>,
    short_words: usize,
    long_words: usize,
}

#[derive(Clone, Copy)]
#[repr(align(32))]
struct ShortSlot<V> {
    // 0 where the slot is free.
    key: u128,
    value: V,
}

#[derive(Clone, Copy)]
struct LongSlot<V> {
    hash: u64,
    start: u32,
    // 0 where the slot is free.
    bytes: u32,
    value: V,
}

/// A word inside a text, ready to be looked up.
#[derive(Clone, Copy)]
pub(super) enum Key<'a> {
    /// At most 15 bytes: the bytes, then their number in the last byte.
    Short(u128),
    /// More bytes, and their hash.
    Long(&'a [u8], u64),
}

const SHORT_BYTES: usize = 15;
// So far a word may lie behind the slot that its hash names; words made to collide can't slow a table down beyond it.
const PROBES: usize = 32;

// The lowest bytes of a number, by how many they are: looking them up takes less than shifting a number of 128 bits.
const FIRST_BYTES: [u128; SHORT_BYTES + 1] = {
    let mut masks = [0; SHORT_BYTES + 1];
    let mut count = 1;
    while count <= SHORT_BYTES {
        masks[count] = masks[count - 1] << 8 | 0xff;
        count += 1;
    }
    masks
};

impl<'a> Key<'a> {
    /// The key of the bytes from `start` to `end`, which must be some, of this text.
    #[inline]
    pub(super) fn new(text: &'a [u8], start: usize, end: usize) -> Self {
        let length = end - start;
        if length > SHORT_BYTES {
            let bytes = text.get(start..end).unwrap_or_default();
            return Self::Long(bytes, hash_bytes(bytes));
        }
        let bytes = match text.get(start..).and_then(|rest| rest.first_chunk()) {
            Some(sixteen) => u128::from_le_bytes(*sixteen) & FIRST_BYTES[length],
            None => pack_last(text.get(start..end).unwrap_or_default()),
        };
        Self::Short(bytes | (length as u128) << 120)
    }
}

impl<V: Copy + Default> WordTable<V> {
    /// An empty table with room for this many short and long words; `insert` refuses more.
    pub(super) fn with_room_for(short: usize, long: usize) -> Self {
        let slots = |words: usize| (2 * words).next_power_of_two().max(PROBES);
        Self {
            short: vec![ShortSlot { key: 0, value: V::default() }; slots(short)],
            long: vec![LongSlot { hash: 0, start: 0, bytes: 0, value: V::default() }; slots(long)],
            long_bytes: Vec::new(),
            short_words: 0,
            long_words: 0,
        }
    }

    /// The table of all these words; none if too many have one hash.
    pub(super) fn of(words: &[(Vec<u8>, V)]) -> Option<Self> {
        // Twice as many slots halve the length of the runs of taken ones.
        let long = words.iter().filter(|(word, _)| word.len() > SHORT_BYTES).count();
        let short = words.len() - long;
        (0..4).find_map(|doublings| {
            let mut table = Self::with_room_for((short + 1) << doublings, (long + 1) << doublings);
            let all = words
                .iter()
                .all(|(word, value)| word.is_empty() || table.insert(Key::new(word, 0, word.len()), *value));
            all.then_some(table)
        })
    }

    /// The value of this word.
    #[inline]
    pub(super) fn get(&self, key: Key<'_>) -> Option<V> {
        match key {
            Key::Short(key) => {
                let mask = self.short.len() - 1;
                let first = hash_short(key) as usize & mask;
                for step in 0..PROBES {
                    let found = self.short.get((first + step) & mask)?;
                    if found.key == key {
                        return Some(found.value);
                    }
                    if found.key == 0 {
                        return None;
                    }
                }
                None
            }
            Key::Long(bytes, hash) => self.get_long(bytes, hash),
        }
    }

    /// Whether half of the room is taken, behind which lookups get slow.
    pub(super) fn is_full(&self) -> bool {
        2 * self.short_words >= self.short.len() || 2 * self.long_words >= self.long.len()
    }

    /// Whether there was room to remember the value of this word, which must not be there already.
    pub(super) fn insert(&mut self, key: Key<'_>, value: V) -> bool {
        if self.is_full() {
            return false;
        }
        match key {
            Key::Short(key) => {
                let mask = self.short.len() - 1;
                let first = hash_short(key) as usize & mask;
                let free = (0..PROBES).map(|step| (first + step) & mask).find(|&slot| self.short[slot].key == 0);
                let Some(slot) = free else { return false };
                self.short[slot] = ShortSlot { key, value };
                self.short_words += 1;
            }
            Key::Long(bytes, hash) => {
                let mask = self.long.len() - 1;
                let first = hash as usize & mask;
                let free = (0..PROBES).map(|step| (first + step) & mask).find(|&slot| self.long[slot].bytes == 0);
                let (Some(slot), Ok(start), Ok(length)) =
                    (free, u32::try_from(self.long_bytes.len()), u32::try_from(bytes.len()))
                else {
                    return false;
                };
                self.long[slot] = LongSlot { hash, start, bytes: length, value };
                self.long_bytes.extend_from_slice(bytes);
                self.long_words += 1;
            }
        }
        true
    }

    /// Forgets all words and keeps the room.
    pub(super) fn clear(&mut self) {
        self.short.iter_mut().for_each(|slot| slot.key = 0);
        self.long.iter_mut().for_each(|slot| slot.bytes = 0);
        self.long_bytes.clear();
        (self.short_words, self.long_words) = (0, 0);
    }

    fn get_long(&self, bytes: &[u8], hash: u64) -> Option<V> {
        let mask = self.long.len() - 1;
        let first = hash as usize & mask;
        for step in 0..PROBES {
            let found = self.long.get((first + step) & mask)?;
            if found.bytes == 0 {
                return None;
            }
            let start = found.start as usize;
            if found.hash == hash && self.long_bytes.get(start..start + found.bytes as usize) == Some(bytes) {
                return Some(found.value);
            }
        }
        None
    }
}

fn pack_last(word: &[u8]) -> u128 {
    word.iter().rev().fold(0, |packed, &byte| packed << 8 | u128::from(byte))
}

#[inline]
pub(super) fn hash_short(key: u128) -> u64 {
    fold(key as u64 ^ 0x9e37_79b9_7f4a_7c15, (key >> 64) as u64 ^ 0xc2b2_ae3d_27d4_eb4f)
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let hash = words
        .iter()
        .fold(bytes.len() as u64, |hash, word| fold(hash ^ u64::from_le_bytes(*word), 0x9e37_79b9_7f4a_7c15));
    fold(hash ^ pack_last(rest) as u64, 0xc2b2_ae3d_27d4_eb4f)
}

// The product's halves over each other, which depend on every bit of both factors.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(word: &str) -> Key<'_> {
        Key::new(word.as_bytes(), 0, word.len())
    }

    #[test]
    fn words_of_every_length_are_found_and_no_others() {
        let text = "abcdefghijklmnopqrstuvwxyz".repeat(3);
        let words: Vec<_> = (1..60).map(|length| (text.as_bytes()[..length].to_vec(), length)).collect();
        let table = WordTable::of(&words).unwrap();
        for length in 1..60 {
            assert_eq!(table.get(key(&text[..length])), Some(length));
            assert_eq!(table.get(key(&text[1..=length])), None);
        }
    }

    #[test]
    fn a_word_is_the_same_at_the_end_of_a_text_and_inside() {
        let text = b"word, and more text, and one more word";
        let table = WordTable::of(&[(b"word".to_vec(), 7)]).unwrap();
        assert_eq!(table.get(Key::new(text, 0, 4)), Some(7));
        assert_eq!(table.get(Key::new(text, text.len() - 4, text.len())), Some(7));
    }

    #[test]
    fn a_zero_byte_counts() {
        let table = WordTable::of(&[(vec![b'a'], 1), (vec![b'a', 0], 2)]).unwrap();
        assert_eq!([key("a"), key("a\0"), key("a\0\0")].map(|key| table.get(key)), [Some(1), Some(2), None]);
    }

    #[test]
    fn a_full_table_refuses_and_a_cleared_one_has_room() {
        let mut table = WordTable::with_room_for(16, 16);
        let words: Vec<_> = (0..40).map(|number| number.to_string()).collect();
        let kept = words.iter().filter(|word| table.insert(key(word), 1)).count();
        assert!((16..40).contains(&kept), "{kept}");
        table.clear();
        assert!(table.get(key("0")).is_none() && table.insert(key("0"), 2));
    }
}
