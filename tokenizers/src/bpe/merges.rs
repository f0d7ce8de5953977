//! Merges the bytes of a word into tokens: always the pair of lowest rank, of equal ones the leftmost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use wide::i32x8;

use crate::TokenId;

/// What may be merged with what, and the tokens of single bytes.
pub(super) struct Merges {
    // Bytes without a token are left out of every word.
    of_byte: Vec<Option<u32>>,
    // For two bytes as one number, the rank of the merge of their tokens: most merges begin there.
    of_two_bytes: Vec<u32>,
    pairs: PairTable,
    // The token that each merge makes, by rank.
    merged: Vec<u32>,
    // The first of them, where they follow each other, as they do in most files: then nothing need be looked up.
    first_merged: Option<u32>,
}

/// Two tokens that become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) merged: u32,
}

/// Room to work in, kept between words.
#[derive(Default)]
pub(super) struct Workbench {
    few: Few,
    tokens: Vec<u32>,
    // The rank at which each token merges with the one behind it.
    ranks: Vec<u32>,
}

/// The tokens of a short word.
struct Few {
    count: usize,
    tokens: [u32; FEW_TOKENS],
    // The rank at which each token merges with the one behind it, above the token's position, so that the lowest number tells
    // the lowest rank and the first place where it is. `i32`, of which the lowest is found without a branch to guess.
    ranks: [i32; FEW_TOKENS],
    // What is next to each token: its position, or one that is not below `count`.
    previous: [u8; FEW_TOKENS],
    next: [u8; FEW_TOKENS],
}

// Looking through so many tokens for the lowest rank is quicker than keeping them in a heap.
const FEW_TOKENS: usize = 1 << FEW_BITS;
const FEW_BITS: u32 = 6;
// Above every rank, and with a position behind it still a positive `i32`.
const NO_RANK: u32 = (1 << (i32::BITS - 1 - FEW_BITS)) - 1;
// With any position behind it.
const NO_RANKS: i32 = (NO_RANK << FEW_BITS) as i32;

impl Default for Few {
    fn default() -> Self {
        let position = |position: usize| position as u8;
        Self {
            count: 0,
            tokens: [0; FEW_TOKENS],
            ranks: [NO_RANKS; FEW_TOKENS],
            previous: std::array::from_fn(|at| position(at).wrapping_sub(1)),
            next: std::array::from_fn(|at| position(at + 1)),
        }
    }
}

impl Few {
    /// Begins another word, of at most `FEW_TOKENS` bytes.
    fn start(&mut self, bytes: usize) {
        let fresh = const { [NO_RANKS; FEW_TOKENS] };
        let end = bytes.next_multiple_of(8).min(FEW_TOKENS);
        self.ranks[..end].copy_from_slice(&fresh[..end]);
        self.count = 0;
    }

    #[inline]
    fn set_rank(&mut self, position: usize, rank: u32) {
        self.ranks[position % FEW_TOKENS] = ((rank << FEW_BITS) | position as u32) as i32;
    }

    /// The lowest rank and the first place where it is.
    #[inline]
    fn lowest(&self) -> Option<(u32, usize)> {
        let (eights, _) = self.ranks.as_chunks::<8>();
        let eights = &eights[..self.count.div_ceil(8).min(FEW_TOKENS / 8)];
        let lowest = eights.iter().fold(i32x8::splat(NO_RANKS), |lowest, ranks| lowest.min(i32x8::new(*ranks)));
        let lowest = lowest.to_array().into_iter().min().unwrap_or(NO_RANKS);
        (lowest < NO_RANKS).then_some((lowest as u32 >> FEW_BITS, lowest as usize % FEW_TOKENS))
    }
}

impl Merges {
    /// Merges with the first pair as the lowest; of a pair that is there twice the last one counts. None if there are more
    /// merges or tokens than there is room for in the tables.
    pub(super) fn new(of_byte: [Option<u32>; 256], pairs: &[Pair]) -> Option<Self> {
        // What merges make, and bytes are, is looked up next.
        let tokens = pairs.iter().map(|pair| pair.merged).chain(of_byte.iter().copied().flatten());
        if tokens.max().is_some_and(|largest| largest > LARGEST_TOKEN) {
            return None;
        }
        let table = PairTable::new(pairs)?;
        let two_bytes = of_byte.iter().flat_map(|&left| of_byte.iter().map(move |&right| left.zip(right)));
        let of_two_bytes = two_bytes.map(|pair| pair.map_or(NO_RANK, |(left, right)| table.rank(left, right)));
        let merged: Vec<u32> = pairs.iter().map(|pair| pair.merged).collect();
        let follow = merged.windows(2).all(|two| two[0].checked_add(1) == Some(two[1]));
        Some(Self {
            of_byte: of_byte.to_vec(),
            of_two_bytes: of_two_bytes.collect(),
            first_merged: merged.first().copied().filter(|_| follow),
            merged,
            pairs: table,
        })
    }

    /// Adds the tokens of this word to `ids`.
    pub(super) fn encode(&self, word: &[u8], bench: &mut Workbench, ids: &mut Vec<TokenId>) {
        if word.len() <= FEW_TOKENS {
            self.split_few(word, &mut bench.few);
            self.merge_few(&mut bench.few, ids);
        } else {
            self.split_many(word, bench);
            self.merge_many(bench, ids);
            *bench = Workbench::default();
        }
    }

    /// Calls `each` with the token of each byte that has one, and the rank at which it merges with the one before it.
    #[inline]
    fn split(&self, word: &[u8], mut each: impl FnMut(u32, u32)) {
        let mut previous: Option<u8> = None;
        for &byte in word {
            let Some(token) = self.of_byte[usize::from(byte)] else { continue };
            let rank = previous.map_or(NO_RANK, |left| self.of_two_bytes[usize::from(left) << 8 | usize::from(byte)]);
            each(token, rank);
            previous = Some(byte);
        }
    }

    fn split_few(&self, word: &[u8], few: &mut Few) {
        few.start(word.len());
        self.split(word, |token, rank| {
            let position = few.count % FEW_TOKENS;
            few.tokens[position] = token;
            few.previous[position] = position.wrapping_sub(1) as u8;
            few.next[position] = position as u8 + 1;
            if position > 0 {
                few.set_rank(position - 1, rank);
            }
            few.count += 1;
        });
    }

    fn split_many(&self, word: &[u8], bench: &mut Workbench) {
        let Workbench { tokens, ranks, .. } = bench;
        self.split(word, |token, rank| {
            if !tokens.is_empty() {
                ranks.push(rank);
            }
            tokens.push(token);
        });
        ranks.push(NO_RANK);
    }

    fn merge_few(&self, few: &mut Few, ids: &mut Vec<TokenId>) {
        let count = few.count;
        while let Some((rank, position)) = few.lowest() {
            let merged = self.merged_at(rank);
            few.tokens[position] = merged;
            let gone = usize::from(few.next[position]);
            let behind = usize::from(few.next[gone % FEW_TOKENS]);
            few.set_rank(gone, NO_RANK);
            few.next[position] = behind as u8;
            if behind < count {
                few.previous[behind % FEW_TOKENS] = position as u8;
                few.set_rank(position, self.pairs.rank(merged, few.tokens[behind % FEW_TOKENS]));
            } else {
                few.set_rank(position, NO_RANK);
            }
            let before = usize::from(few.previous[position]);
            if before < count {
                few.set_rank(before, self.pairs.rank(few.tokens[before % FEW_TOKENS], merged));
            }
        }
        let mut position = 0;
        while position < count {
            ids.push(few.tokens[position % FEW_TOKENS] as TokenId);
            position = usize::from(few.next[position % FEW_TOKENS]);
        }
    }

    /// The token that the merge of this rank makes.
    #[inline]
    fn merged_at(&self, rank: u32) -> u32 {
        match self.first_merged {
            Some(first) => first + rank,
            None => self.merged[rank as usize],
        }
    }

    fn merge_many(&self, bench: &mut Workbench, ids: &mut Vec<TokenId>) {
        let (tokens, ranks) = (&mut bench.tokens, &mut bench.ranks);
        let count = tokens.len();
        let mut chain = Chain::new(count);
        let in_rank_order = |rank: u32, position: usize| Reverse((rank, position as u32));
        let possible = ranks.iter().enumerate().filter(|(_, rank)| **rank != NO_RANK);
        let mut heap: BinaryHeap<_> = possible.map(|(position, &rank)| in_rank_order(rank, position)).collect();
        while let Some(Reverse((rank, position))) = heap.pop() {
            let position = position as usize;
            // What is merged since then has another rank, or none.
            if ranks[position] != rank {
                continue;
            }
            tokens[position] = self.merged_at(rank);
            ranks[chain.next(position)] = NO_RANK;
            chain.remove(chain.next(position));
            for left in [chain.previous(position), Some(position)].into_iter().flatten() {
                let right = chain.next(left);
                ranks[left] = if right < count { self.pairs.rank(tokens[left], tokens[right]) } else { NO_RANK };
                if ranks[left] != NO_RANK {
                    heap.push(in_rank_order(ranks[left], left));
                }
            }
        }
        let mut position = 0;
        while position < count {
            ids.push(tokens[position] as TokenId);
            position = chain.next(position);
        }
    }
}

/// The ranks of pairs of tokens.
struct PairTable {
    // The left token, the right one and the rank, in a power of two of slots.
    slots: Vec<u64>,
    // A bit for every hash that some pair has: nearly all pairs of neighbours have none and need not go on to `slots`.
    known: Vec<u64>,
    shift: u32,
}

const TOKEN_BITS: u32 = 20;
// The next would be a part of `FREE`.
const LARGEST_TOKEN: u32 = (1 << TOKEN_BITS) - 2;
const RANK_BITS: u32 = 24;
const FREE: u64 = u64::MAX;

impl PairTable {
    fn new(pairs: &[Pair]) -> Option<Self> {
        let largest = pairs.iter().flat_map(|pair| [pair.left, pair.right]).max().unwrap_or(0);
        if largest > LARGEST_TOKEN || pairs.len() >= 1 << RANK_BITS {
            return None;
        }
        let slots = (5 * pairs.len() / 4 + 2).next_power_of_two();
        let bits = (6 * pairs.len() + 64).next_power_of_two();
        let mut table = Self { slots: vec![FREE; slots], known: vec![0; bits / 64], shift: 64 - bits.trailing_zeros() };
        for (rank, pair) in (0..).zip(pairs) {
            let key = key(pair.left, pair.right);
            let hash = hash(key);
            let bit = hash >> table.shift;
            table.known[bit as usize / 64] |= 1 << (bit % 64);
            let mut slot = hash as usize & (slots - 1);
            while table.slots[slot] != FREE && table.slots[slot] >> RANK_BITS != key {
                slot = (slot + 1) & (slots - 1);
            }
            table.slots[slot] = key << RANK_BITS | rank;
        }
        Some(table)
    }

    // The rank of the merge of these two.
    #[inline]
    fn rank(&self, left: u32, right: u32) -> u32 {
        let key = key(left, right);
        let hash = hash(key);
        let bit = hash >> self.shift;
        if self.known[bit as usize / 64] >> (bit % 64) & 1 == 0 {
            return NO_RANK;
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let found = self.slots[slot & mask];
            if found >> RANK_BITS == key {
                return (found & ((1 << RANK_BITS) - 1)) as u32;
            }
            if found == FREE {
                return NO_RANK;
            }
            slot += 1;
        }
    }
}

#[inline]
fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << TOKEN_BITS | u64::from(right)
}

#[inline]
fn hash(key: u64) -> u64 {
    let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    product as u64 ^ (product >> 64) as u64
}

/// Positions in a row, from which some are taken out.
struct Chain {
    // The position before each, counted from 1, and 0 where there is none.
    previous: Vec<u32>,
    next: Vec<u32>,
}

impl Chain {
    fn new(count: usize) -> Self {
        Self { previous: (0..count as u32).collect(), next: (1..=count as u32).collect() }
    }

    fn next(&self, position: usize) -> usize {
        self.next[position] as usize
    }

    fn previous(&self, position: usize) -> Option<usize> {
        (self.previous[position] as usize).checked_sub(1)
    }

    // Not for the first position.
    fn remove(&mut self, position: usize) {
        let (previous, next) = (self.previous[position], self.next[position]);
        self.next[previous as usize - 1] = next;
        if let Some(behind) = self.previous.get_mut(next as usize) {
            *behind = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tokens 0 to 25 are the letters a to z; each merge makes the next one.
    fn merges(pairs: &[(u32, u32)]) -> Merges {
        let mut of_byte = [None; 256];
        for (token, letter) in (b'a'..=b'z').enumerate() {
            of_byte[usize::from(letter)] = Some(token as u32);
        }
        let pairs = (26..).zip(pairs).map(|(merged, &(left, right))| Pair { left, right, merged });
        Merges::new(of_byte, &pairs.collect::<Vec<_>>()).unwrap()
    }

    fn encode(merges: &Merges, word: &str) -> Vec<TokenId> {
        let mut ids = Vec::new();
        merges.encode(word.as_bytes(), &mut Workbench::default(), &mut ids);
        ids
    }

    // What merging is, without any cleverness.
    fn slowly(merges: &Merges, word: &str) -> Vec<TokenId> {
        let mut tokens: Vec<_> = word.bytes().map(|byte| u32::from(byte - b'a')).collect();
        loop {
            let ranks: Vec<_> = tokens.windows(2).map(|pair| merges.pairs.rank(pair[0], pair[1])).collect();
            let Some(&rank) = ranks.iter().min().filter(|&&rank| rank != NO_RANK) else { break };
            let position = ranks.iter().position(|&other| other == rank).unwrap();
            tokens.splice(position..position + 2, [merges.merged[rank as usize]]);
        }
        tokens.into_iter().map(|token| token as TokenId).collect()
    }

    #[test]
    fn tokens_that_have_no_room_in_the_tables_are_left_to_the_hugging_face_crate() {
        let merges = |byte: u32, merged: u32| {
            let mut of_byte = [None; 256];
            of_byte[0] = Some(byte);
            Merges::new(of_byte, &[Pair { left: 0, right: 1, merged }]).is_some()
        };
        assert!(merges(LARGEST_TOKEN, LARGEST_TOKEN));
        assert!(!merges(2, (1 << TOKEN_BITS) + 3) && !merges(LARGEST_TOKEN + 1, 2));
    }

    #[test]
    fn the_lowest_merge_comes_first_wherever_it_is() {
        let merges = merges(&[(1, 2), (0, 1)]);
        assert_eq!(encode(&merges, "abc"), [0, 26]);
        assert_eq!(encode(&merges, "abd"), [27, 3]);
    }

    #[test]
    fn of_equal_merges_the_leftmost_comes_first() {
        assert_eq!(encode(&merges(&[(0, 0)]), "aaa"), [26, 0]);
    }

    #[test]
    fn of_a_pair_that_is_there_twice_the_last_counts() {
        assert_eq!(encode(&merges(&[(0, 1), (1, 2), (0, 1)]), "abc"), [0, 27]);
    }

    #[test]
    fn a_byte_without_a_token_is_left_out() {
        assert_eq!(encode(&merges(&[(0, 1)]), "a!b"), [26]);
    }

    #[test]
    fn words_of_any_length_are_merged_alike() {
        let merges = merges(&[(0, 1), (26, 26), (27, 27), (2, 0), (29, 1), (27, 2), (1, 0)]);
        for (word, times) in [("a", 7), ("abab", 16), ("abab", 17), ("abc", 200), ("caab", 200), ("abababbabac", 200)] {
            let long = word.repeat(times);
            let expected = slowly(&merges, &long);
            assert_eq!(encode(&merges, &long), expected, "{word}");
        }
    }
}
