//! Merges the bytes of a word into tokens: always the pair of lowest rank, of equal ones the leftmost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::TokenId;

/// What may be merged with what, and the tokens of single bytes.
pub(super) struct Merges {
    // Bytes without a token are left out of every word.
    of_byte: Vec<Option<u32>>,
    // For two bytes as one number, how their tokens merge: most merges begin there.
    of_two_bytes: Vec<Merge>,
    // A power of two of slots.
    pairs: Vec<PairSlot>,
}

/// A rank in the upper half and the token that comes out in the lower one, so that the lowest merge is the next one.
type Merge = u64;

const NO_MERGE: Merge = u64::MAX;

#[derive(Clone, Copy)]
struct PairSlot {
    left: u32,
    right: u32,
    merge: Merge,
}

/// Room to work in, kept between words.
#[derive(Default)]
pub(super) struct Workbench {
    tokens: Vec<u32>,
    // How each token merges with the one behind it.
    merges: Vec<Merge>,
}

/// Two tokens that become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) merged: u32,
}

// Looking through so many tokens for the lowest merge is quicker than keeping them in a heap.
const FEW_TOKENS: usize = 64;

impl Merges {
    /// Merges with the first pair as the lowest; of a pair that is there twice the last one counts.
    pub(super) fn new(of_byte: [Option<u32>; 256], pairs: &[Pair]) -> Self {
        let free = PairSlot { left: 0, right: 0, merge: NO_MERGE };
        let mut table = vec![free; (2 * pairs.len() + 2).next_power_of_two()];
        let mask = table.len() - 1;
        for (rank, pair) in pairs.iter().enumerate() {
            let mut slot = hash(pair.left, pair.right) as usize & mask;
            while table[slot].merge != NO_MERGE && (table[slot].left, table[slot].right) != (pair.left, pair.right) {
                slot = (slot + 1) & mask;
            }
            let merge = (rank as u64) << 32 | u64::from(pair.merged);
            table[slot] = PairSlot { left: pair.left, right: pair.right, merge };
        }
        let mut merges = Self { of_byte: of_byte.to_vec(), of_two_bytes: Vec::new(), pairs: table };
        let two_bytes = of_byte.iter().flat_map(|&left| of_byte.iter().map(move |&right| left.zip(right)));
        merges.of_two_bytes =
            two_bytes.map(|pair| pair.map_or(NO_MERGE, |(left, right)| merges.of(left, right))).collect();
        merges
    }

    /// Adds the tokens of this word to `ids`.
    pub(super) fn encode(&self, word: &[u8], bench: &mut Workbench, ids: &mut Vec<TokenId>) {
        bench.tokens.clear();
        bench.merges.clear();
        let mut previous: Option<u8> = None;
        for &byte in word {
            let Some(token) = self.of_byte[usize::from(byte)] else { continue };
            if let Some(previous) = previous {
                bench.merges.push(self.of_two_bytes[usize::from(previous) << 8 | usize::from(byte)]);
            }
            bench.tokens.push(token);
            previous = Some(byte);
        }
        bench.merges.push(NO_MERGE);
        if bench.tokens.len() <= FEW_TOKENS {
            self.merge_few(bench);
            ids.extend(bench.tokens.iter().map(|&token| token as TokenId));
        } else {
            self.merge_many(bench, ids);
            *bench = Workbench::default();
        }
    }

    fn merge_few(&self, bench: &mut Workbench) {
        let (tokens, merges) = (&mut bench.tokens, &mut bench.merges);
        loop {
            let mut lowest = (NO_MERGE, 0);
            for (index, &merge) in merges.iter().enumerate() {
                if merge < lowest.0 {
                    lowest = (merge, index);
                }
            }
            let (merge, index) = lowest;
            if merge == NO_MERGE {
                return;
            }
            let merged = merge as u32;
            tokens[index] = merged;
            tokens.remove(index + 1);
            merges.remove(index + 1);
            merges[index] = tokens.get(index + 1).map_or(NO_MERGE, |&right| self.of(merged, right));
            if index > 0 {
                merges[index - 1] = self.of(tokens[index - 1], merged);
            }
        }
    }

    fn merge_many(&self, bench: &mut Workbench, ids: &mut Vec<TokenId>) {
        let (tokens, merges) = (&mut bench.tokens, &mut bench.merges);
        let count = tokens.len();
        let mut chain = Chain::new(count);
        let in_rank_order = |merge: Merge, position: usize| Reverse((merge >> 32, position));
        let possible = merges.iter().enumerate().filter(|(_, merge)| **merge != NO_MERGE);
        let mut heap: BinaryHeap<_> = possible.map(|(position, &merge)| in_rank_order(merge, position)).collect();
        while let Some(Reverse((rank, position))) = heap.pop() {
            // What is merged since then has another merge, or none.
            if merges[position] == NO_MERGE || merges[position] >> 32 != rank {
                continue;
            }
            tokens[position] = merges[position] as u32;
            merges[chain.next(position)] = NO_MERGE;
            chain.remove(chain.next(position));
            for left in [chain.previous(position), Some(position)].into_iter().flatten() {
                let right = chain.next(left);
                let merge = if right < count { self.of(tokens[left], tokens[right]) } else { NO_MERGE };
                merges[left] = merge;
                if merge != NO_MERGE {
                    heap.push(in_rank_order(merge, left));
                }
            }
        }
        let mut position = 0;
        while position < count {
            ids.push(tokens[position] as TokenId);
            position = chain.next(position);
        }
    }

    // How these two merge.
    #[inline]
    fn of(&self, left: u32, right: u32) -> Merge {
        let mask = self.pairs.len() - 1;
        let mut slot = hash(left, right) as usize & mask;
        loop {
            let found = &self.pairs[slot];
            if (found.left, found.right) == (left, right) || found.merge == NO_MERGE {
                return found.merge;
            }
            slot = (slot + 1) & mask;
        }
    }
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

#[inline]
fn hash(left: u32, right: u32) -> u64 {
    let pair = u64::from(left) << 32 | u64::from(right);
    let product = u128::from(pair ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    product as u64 ^ (product >> 64) as u64
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
        Merges::new(of_byte, &pairs.collect::<Vec<_>>())
    }

    fn encode(merges: &Merges, word: &str) -> Vec<TokenId> {
        let mut ids = Vec::new();
        merges.encode(word.as_bytes(), &mut Workbench::default(), &mut ids);
        ids
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
    fn long_words_are_merged_as_short_ones() {
        let merges = merges(&[(0, 1), (26, 26), (27, 27), (2, 0), (29, 1), (27, 2), (1, 0)]);
        for word in ["a", "ab", "abc", "caab", "abababbabac"] {
            let long = word.repeat(200);
            let mut bench = Workbench::default();
            bench.tokens = long.bytes().map(|byte| u32::from(byte - b'a')).collect();
            bench.merges = bench.tokens.windows(2).map(|pair| merges.of(pair[0], pair[1])).collect();
            bench.merges.push(NO_MERGE);
            merges.merge_few(&mut bench);
            let expected: Vec<_> = bench.tokens.iter().map(|&token| token as TokenId).collect();
            assert_eq!(encode(&merges, &long), expected, "{word}");
        }
    }
}
