//! Merges the bytes of a word into tokens: always the pair of lowest rank, of equal ones the leftmost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

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
    tokens: Vec<u32>,
    // The rank at which each token merges with the one behind it.
    ranks: Vec<u32>,
    // What is next to the tokens of a short word.
    previous: Vec<u8>,
    next: Vec<u8>,
}

// Looking through so many tokens for the lowest rank is quicker than keeping them in a heap.
const FEW_TOKENS: usize = 1 << FEW_BITS;
const FEW_BITS: u32 = 6;
// Above every rank, and with a position behind it still a positive `i32`.
const NO_RANK: u32 = (1 << (i32::BITS - 1 - FEW_BITS)) - 1;

impl Merges {
    /// Merges with the first pair as the lowest; of a pair that is there twice the last one counts. None if there are more
    /// merges or tokens than there is room for in the tables.
    pub(super) fn new(of_byte: [Option<u32>; 256], pairs: &[Pair]) -> Option<Self> {
        let table = PairTable::new(pairs)?;
        let two_bytes = of_byte.iter().flat_map(|&left| of_byte.iter().map(move |&right| left.zip(right)));
        let of_two_bytes = two_bytes.map(|pair| pair.map_or(NO_RANK, |(left, right)| table.rank(left, right)));
        Some(Self {
            of_byte: of_byte.to_vec(),
            of_two_bytes: of_two_bytes.collect(),
            merged: pairs.iter().map(|pair| pair.merged).collect(),
            pairs: table,
        })
    }

    /// Adds the tokens of this word to `ids`.
    pub(super) fn encode(&self, word: &[u8], bench: &mut Workbench, ids: &mut Vec<TokenId>) {
        bench.tokens.clear();
        bench.ranks.clear();
        let mut previous: Option<u8> = None;
        for &byte in word {
            let Some(token) = self.of_byte[usize::from(byte)] else { continue };
            if let Some(previous) = previous {
                bench.ranks.push(self.of_two_bytes[usize::from(previous) << 8 | usize::from(byte)]);
            }
            bench.tokens.push(token);
            previous = Some(byte);
        }
        bench.ranks.push(NO_RANK);
        if bench.tokens.len() <= FEW_TOKENS {
            self.merge_few(bench, ids);
        } else {
            self.merge_many(bench, ids);
            *bench = Workbench::default();
        }
    }

    fn merge_few(&self, bench: &mut Workbench, ids: &mut Vec<TokenId>) {
        let Workbench { tokens, ranks, previous, next } = bench;
        let count = tokens.len();
        previous.clear();
        previous.extend((0..count as u8).map(|position| position.wrapping_sub(1)));
        next.clear();
        next.extend(1..=count as u8);
        while let Some((rank, position)) = lowest(ranks) {
            let merged = self.merged[rank as usize];
            tokens[position] = merged;
            let gone = usize::from(next[position]);
            let behind = usize::from(next[gone]);
            ranks[gone] = NO_RANK;
            next[position] = behind as u8;
            ranks[position] = match tokens.get(behind) {
                Some(&right) => {
                    previous[behind] = position as u8;
                    self.pairs.rank(merged, right)
                }
                None => NO_RANK,
            };
            let before = usize::from(previous[position]);
            if let Some(&left) = tokens.get(before) {
                ranks[before] = self.pairs.rank(left, merged);
            }
        }
        let mut position = 0;
        while position < count {
            ids.push(tokens[position] as TokenId);
            position = usize::from(next[position]);
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
            tokens[position] = self.merged[rank as usize];
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

// The lowest of a few ranks and the first place where it is.
#[inline]
fn lowest(ranks: &[u32]) -> Option<(u32, usize)> {
    // Rank above position in one small number, so that there is no branch to guess and four are compared at once.
    let numbers = ranks.iter().zip(0..).map(|(&rank, position)| ((rank << FEW_BITS) | position) as i32);
    let lowest = numbers.min()? as u32;
    let rank = lowest >> FEW_BITS;
    (rank != NO_RANK).then_some((rank, (lowest % (1 << FEW_BITS)) as usize))
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
const RANK_BITS: u32 = 24;
const FREE: u64 = u64::MAX;

impl PairTable {
    fn new(pairs: &[Pair]) -> Option<Self> {
        let largest = pairs.iter().flat_map(|pair| [pair.left, pair.right]).max().unwrap_or(0);
        if largest >= (1 << TOKEN_BITS) - 1 || pairs.len() >= 1 << RANK_BITS {
            return None;
        }
        let slots = (2 * pairs.len() + 2).next_power_of_two();
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
