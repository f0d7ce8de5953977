//! Remembers the ids of words, so that most words are looked up in one place and merged once.

use super::merges::{Merges, Workbench};
use super::table::{Key, WordTable, hash_short};
use crate::TokenId;

/// What an encoder remembers from one text to the next, which changes how fast it is and nothing else.
pub(super) struct Memory {
    bench: Workbench,
    // Short words of few ids that came up lately. A new word takes the place of an older one with the same hash.
    recent: Vec<Recent>,
    // Words that are not one token. When the young ones are too many, they become the old ones, and those are forgotten.
    young: Merged,
    // Takes no room before it is needed.
    old: Option<Merged>,
}

/// Words with the ids that they were merged to.
struct Merged {
    // Where in `ids` those of a word lie.
    words: WordTable<Place>,
    ids: Vec<TokenId>,
}

#[derive(Clone, Copy)]
// In one line of the cache.
#[repr(align(32))]
struct Recent {
    // 0 where there is no word.
    word: u128,
    ids: PackedIds,
}

/// Up to six ids, three in each number, with how many they are above the first three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PackedIds([u64; 2]);

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u32,
    count: u32,
}

// 32 bytes each: 2 MB, of which the words that come often stay in a core's own cache.
const RECENT_WORDS: usize = 1 << 16;
// 64 bytes each, and the bytes and ids of the words: some 15 MB at most, once for the young and once for the old.
const MERGED_WORDS: usize = 1 << 17;
const MERGED_IDS: usize = 1 << 20;
// A longer word is unlikely to come again.
const REMEMBERED_WORD_BYTES: usize = 128;

const ID_BITS: u32 = 20;
const IDS_IN_HALF: usize = 3;
const COUNT_SHIFT: u32 = ID_BITS * IDS_IN_HALF as u32;

impl PackedIds {
    const NONE: Self = Self([0; 2]);

    // None where these are too many or too large.
    fn new(ids: &[TokenId]) -> Self {
        if ids.len() > 2 * IDS_IN_HALF || ids.iter().any(|&id| id >> ID_BITS != 0) {
            return Self::NONE;
        }
        let pack = |ids: &[TokenId]| ids.iter().rev().fold(0, |packed, &id| packed << ID_BITS | u64::from(id as u32));
        let (first, second) = ids.split_at(ids.len().min(IDS_IN_HALF));
        Self([pack(first) | (ids.len() as u64) << COUNT_SHIFT, pack(second)])
    }

    /// Adds these to `ids`; false if there are none.
    #[inline]
    fn unpack(self, ids: &mut Vec<TokenId>) -> bool {
        let unpack = |packed: u64| [0, 1, 2].map(|at| (packed >> (at * ID_BITS)) as TokenId & ((1 << ID_BITS) - 1));
        let count = (self.0[0] >> COUNT_SHIFT) as usize;
        let end = ids.len() + count;
        // Whether they are one, two or three would often be guessed wrong, so all three are added first.
        ids.extend_from_slice(&unpack(self.0[0]));
        if count > IDS_IN_HALF {
            ids.extend_from_slice(&unpack(self.0[1]));
        }
        ids.truncate(end);
        count > 0
    }
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            bench: Workbench::default(),
            recent: vec![Recent { word: 0, ids: PackedIds::NONE }; RECENT_WORDS],
            young: Merged::new(),
            old: None,
        }
    }

    /// Whether this is a word that came up lately, whose ids are then added.
    #[inline]
    pub(super) fn recall(&self, key: Key<'_>, ids: &mut Vec<TokenId>) -> bool {
        let Key::Short(word) = key else { return false };
        let place = hash_short(word) as usize & (self.recent.len() - 1);
        self.recent.get(place).is_some_and(|recent| recent.word == word && recent.ids.unpack(ids))
    }

    /// Adds the ids of this word, which may be one of `tokens`, and remembers them.
    #[inline(never)]
    pub(super) fn encode(
        &mut self,
        key: Key<'_>,
        word: &[u8],
        (tokens, merges): (&WordTable<TokenId>, &Merges),
        ids: &mut Vec<TokenId>,
    ) {
        let before = ids.len();
        if let Some(id) = tokens.get(key) {
            ids.push(id);
        } else if let Some(known) = self.young.get(key) {
            ids.extend_from_slice(known);
        } else {
            match self.old.as_ref().and_then(|old| old.get(key)) {
                Some(known) => ids.extend_from_slice(known),
                None => merges.encode(word, &mut self.bench, ids),
            }
            if word.len() <= REMEMBERED_WORD_BYTES {
                self.remember(key, &ids[before..]);
            }
        }
        if let Key::Short(word) = key {
            let place = hash_short(word) as usize & (RECENT_WORDS - 1);
            self.recent[place] = Recent { word, ids: PackedIds::new(&ids[before..]) };
        }
    }

    fn remember(&mut self, key: Key<'_>, ids: &[TokenId]) {
        if self.young.is_full() {
            let mut room = self.old.take().unwrap_or_else(Merged::new);
            room.clear();
            self.old = Some(std::mem::replace(&mut self.young, room));
        }
        self.young.insert(key, ids);
    }
}

impl Merged {
    fn new() -> Self {
        Self { words: WordTable::with_room_for(MERGED_WORDS, MERGED_WORDS / 4), ids: Vec::new() }
    }

    fn get(&self, key: Key<'_>) -> Option<&[TokenId]> {
        let Place { start, count } = self.words.get(key)?;
        self.ids.get(start as usize..(start + count) as usize)
    }

    fn insert(&mut self, key: Key<'_>, ids: &[TokenId]) {
        let place = Place { start: self.ids.len() as u32, count: ids.len() as u32 };
        if self.words.insert(key, place) {
            self.ids.extend_from_slice(ids);
        }
    }

    fn is_full(&self) -> bool {
        self.words.is_full() || self.ids.len() > MERGED_IDS
    }

    fn clear(&mut self) {
        self.words.clear();
        self.ids.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_ids_come_out_as_they_went_in() {
        for ids in [&[7][..], &[0], &[1, 2, 3], &[1, 2, 3, 4], &[0, 0, 1_048_575, 0, 0, 1_048_575]] {
            let mut unpacked = Vec::new();
            assert!(PackedIds::new(ids).unpack(&mut unpacked));
            assert_eq!(unpacked, ids);
        }
    }

    #[test]
    fn no_ids_many_or_large_ones_are_not_packed() {
        for ids in [&[][..], &[1; 7], &[1_048_576]] {
            assert_eq!(PackedIds::new(ids), PackedIds::NONE);
        }
    }
}
