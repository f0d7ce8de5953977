//! Random draws and document order, fixed by the job's seed and a key: the same whoever asks, and in whatever order.

use std::fmt;
use std::num::NonZeroU64;

use blake3::hazmat::HasherExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

// Changing either line, or how the parts below are hashed, changes every shard ever made from a given seed.
//
// The first is the blake3 key of the context "pageloom 1 keyed random draws", which each document would hash again.
const DRAWS: [u8; 32] = [
    0xd9, 0x9d, 0xe3, 0x45, 0xc0, 0xb2, 0xa7, 0x50, 0xa8, 0xd0, 0xff, 0x41, 0xfd, 0x01, 0x56, 0xce, 0xc5, 0xb7, 0x0f,
    0x2e, 0xfc, 0x95, 0xf5, 0xa3, 0xdd, 0xb9, 0xfb, 0x4c, 0xa6, 0x8c, 0x2d, 0x5a,
];
const ORDER: &str = "pageloom 1 global document order";

/// Uniform draws keyed by job seed, purpose, key and view: a ChaCha8 stream seeded by a blake3 hash of the four.
///
/// Two streams that differ in any part are independent, so a step draws under its own `purpose`, and a document seen
/// `n` times draws under views `0..n`.
pub struct KeyedRandom {
    stream: ChaCha8Rng,
}

impl KeyedRandom {
    /// The stream of these parts, at its start.
    pub fn new(seed: u64, purpose: &str, key: &[u8], view: u32) -> Self {
        let mut hasher = blake3::Hasher::new_from_context_key(&DRAWS);
        let [purpose_length, key_length] = [purpose.len(), key.len()].map(|length| (length as u64).to_le_bytes());
        // With its length in front, no two lists of parts run together into the same bytes.
        let parts: [&[u8]; 6] =
            [&seed.to_le_bytes(), &purpose_length, purpose.as_bytes(), &key_length, key, &view.to_le_bytes()];
        // Most are one block of the hash in all, and one update costs less than six.
        let (mut block, mut end) = ([0; 64], 0);
        for part in parts {
            match block.get_mut(end..end + part.len()) {
                Some(place) => {
                    place.copy_from_slice(part);
                    end += part.len();
                }
                None => {
                    hasher.update(&block[..end]).update(part);
                    end = 0;
                }
            }
        }
        hasher.update(&block[..end]);
        Self { stream: ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()) }
    }

    /// A number in `[0, 1)`, one of 2^53 equally likely.
    pub fn uniform(&mut self) -> f64 {
        (self.stream.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number in `0..bound`, each equally likely.
    pub fn below(&mut self, bound: NonZeroU64) -> u64 {
        // Lemire, "Fast random integer generation in an interval": the high word of a 128-bit product, drawn again
        // where the low word falls into the part that would make small results more likely.
        let biased = bound.get().wrapping_neg() % bound;
        loop {
            let product = u128::from(self.stream.next_u64()) * u128::from(bound.get());
            if product as u64 >= biased {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number in `start..end`, each equally likely; `start` where the range is empty.
    pub fn within(&mut self, start: u32, end: u32) -> u32 {
        match NonZeroU64::new(u64::from(end.saturating_sub(start))) {
            Some(length) => start + self.below(length) as u32,
            None => start,
        }
    }

    /// Whether an event of this probability happens; never at 0 or below, always at 1 or above.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// The index of one of these weights, as likely as its share of their sum; 0 if there are none above 0.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut remaining = self.uniform() * weights.iter().sum::<f64>();
        let last = weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0);
        // Rounding may leave something over; the last weight that isn't 0 has it.
        weights[..last]
            .iter()
            .position(|&weight| {
                remaining -= weight;
                remaining < 0.0
            })
            .unwrap_or(last)
    }

    /// A number of the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        // Box and Muller, "A note on the generation of random normal deviates"; 1 - uniform() is never 0.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        radius * libm::cos(2.0 * std::f64::consts::PI * self.uniform())
    }

    /// Puts the items into an order of which each is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.within(0, last as u32 + 1) as usize;
            items.swap(last, other);
        }
    }

    /// `count` of the numbers in `0..bound`, in order, each set of them equally likely; all of them if there are fewer.
    pub fn choose(&mut self, count: u32, bound: u32) -> Vec<u32> {
        // Floyd's sampling (Bentley, "Programming pearls: a sample of brilliance"): one draw for each that is chosen.
        let count = count.min(bound);
        let mut chosen = std::collections::BTreeSet::new();
        for last in bound - count..bound {
            let drawn = self.within(0, last + 1);
            if !chosen.insert(drawn) {
                chosen.insert(last);
            }
        }
        chosen.into_iter().collect()
    }

    /// A Poisson number of mean `lambda`, which is 0 where `lambda` is not above 0, or not a number.
    pub fn poisson(&mut self, lambda: f64) -> u32 {
        // exp(-lambda) would vanish for a large mean; the sum of two Poisson numbers is Poisson.
        const LARGEST_MEAN: f64 = 256.0;
        let mut remaining = if lambda > 0.0 { lambda.min(f64::from(u32::MAX)) } else { 0.0 };
        let mut total = 0_u32;
        while remaining > 0.0 {
            let mean = remaining.min(LARGEST_MEAN);
            total = total.saturating_add(self.poisson_by_inversion(mean));
            remaining -= mean;
        }
        total
    }

    fn poisson_by_inversion(&mut self, mean: f64) -> u32 {
        let draw = self.uniform();
        // libm and not std: std's exp differs in its last bit between platforms.
        let mut probability = libm::exp(-mean);
        let mut cumulative = probability;
        let mut count = 0;
        // The sum may round to just under the largest draw; it ends where nothing more can be added.
        while draw >= cumulative && probability > 0.0 {
            count += 1;
            probability *= mean / f64::from(count);
            cumulative += probability;
        }
        count
    }
}

impl fmt::Debug for KeyedRandom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyedRandom").finish_non_exhaustive()
    }
}

/// Where a document stands in the global order of the job with this seed.
pub fn order_hash(seed: u64, document_key: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(ORDER);
    hasher.update(&seed.to_le_bytes());
    hasher.update(document_key);
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(key: &str) -> KeyedRandom {
        KeyedRandom::new(7, "test", key.as_bytes(), 0)
    }

    #[test]
    fn the_streams_never_change() {
        let mut random = random("document");
        let ten = NonZeroU64::new(10).unwrap();
        assert_eq!([random.uniform(), random.uniform()], [0.28547827094863487, 0.32030023800209173]);
        assert_eq!([(); 8].map(|()| random.below(ten)), [6, 5, 5, 7, 7, 7, 2, 8]);
        assert_eq!([(); 8].map(|()| random.poisson(1.0)), [5, 1, 1, 1, 2, 3, 1, 1]);
        assert_eq!([(); 2].map(|()| random.poisson(1000.0)), [1002, 967]);
    }

    #[test]
    fn a_key_is_hashed_as_its_parts_one_after_another() {
        for length in [0, 16, 31, 32, 33, 64, 200] {
            let key = vec![7; length];
            let mut hasher = blake3::Hasher::new_derive_key("pageloom 1 keyed random draws");
            hasher.update(&[9, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]).update(b"test");
            hasher.update(&(length as u64).to_le_bytes()).update(&key).update(&[3, 0, 0, 0]);
            let mut expected = KeyedRandom { stream: ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()) };
            assert_eq!(KeyedRandom::new(9, "test", &key, 3).uniform(), expected.uniform());
        }
    }

    #[test]
    fn the_key_of_draws_is_that_of_its_context() {
        assert_eq!(DRAWS, blake3::hazmat::hash_derive_key_context("pageloom 1 keyed random draws"));
    }

    #[test]
    fn the_order_never_changes() {
        assert_eq!([order_hash(0, b""), order_hash(7, b"document")], [12434495027416928629, 11317068825210741797]);
    }

    #[test]
    fn every_part_of_the_key_makes_another_stream() {
        let mut streams = [
            KeyedRandom::new(1, "ab", b"c", 0),
            KeyedRandom::new(2, "ab", b"c", 0),
            KeyedRandom::new(1, "a", b"bc", 0),
            KeyedRandom::new(1, "ab", b"d", 0),
            KeyedRandom::new(1, "ab", b"c", 1),
        ];
        let mut draws = streams.each_mut().map(KeyedRandom::uniform);
        draws.sort_by(f64::total_cmp);
        assert!(draws.windows(2).all(|pair| pair[0] < pair[1]), "{draws:?}");
    }

    #[test]
    fn below_is_even() {
        let mut random = random("below");
        let three = NonZeroU64::new(3).unwrap();
        let mut counts = [0_u32; 3];
        for _ in 0..30_000 {
            counts[random.below(three) as usize] += 1;
        }
        // Four standard deviations of a binomial count are 327.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 327), "{counts:?}");
    }

    #[test]
    fn below_a_bound_of_one_is_zero() {
        assert_eq!(random("one").below(NonZeroU64::MIN), 0);
    }

    #[test]
    fn a_weight_of_zero_is_never_drawn() {
        let mut random = random("weighted");
        let mut counts = [0_u32; 4];
        for _ in 0..40_000 {
            counts[random.weighted(&[0.0, 1.0, 3.0, 0.0])] += 1;
        }
        // Four standard deviations of a binomial count are 347.
        assert!(counts[0] + counts[3] == 0 && counts[1].abs_diff(10_000) < 347, "{counts:?}");
    }

    #[test]
    fn within_an_empty_range_is_its_start() {
        assert_eq!(random("empty").within(5, 5), 5);
    }

    #[test]
    fn normal_has_its_mean_and_its_variance() {
        let mut random = random("normal");
        let draws: Vec<_> = (0..100_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 100_000.0;
        let variance = draws.iter().map(|draw| draw * draw).sum::<f64>() / 100_000.0;
        // Four standard deviations are 0.0126 of the mean and 0.0179 of the variance.
        assert!(mean.abs() < 0.0126 && (variance - 1.0).abs() < 0.0179, "{mean} {variance}");
    }

    #[test]
    fn every_order_of_three_is_equally_likely() {
        let mut random = random("shuffle");
        let mut counts = std::collections::BTreeMap::<_, u32>::new();
        for _ in 0..60_000 {
            let mut items = [0, 1, 2];
            random.shuffle(&mut items);
            *counts.entry(items).or_default() += 1;
        }
        // Four standard deviations of a binomial count are 366.
        assert!(counts.len() == 6 && counts.values().all(|count| count.abs_diff(10_000) < 366), "{counts:?}");
    }

    #[test]
    fn every_pair_of_four_is_chosen_equally_often() {
        let mut random = random("choose");
        let mut counts = std::collections::BTreeMap::<_, u32>::new();
        for _ in 0..60_000 {
            *counts.entry(random.choose(2, 4)).or_default() += 1;
        }
        assert!(counts.len() == 6 && counts.values().all(|count| count.abs_diff(10_000) < 366), "{counts:?}");
    }

    #[test]
    fn more_than_all_are_all() {
        assert_eq!(random("all").choose(9, 3), [0, 1, 2]);
    }

    #[test]
    fn poisson_has_its_published_distribution() {
        let mut random = random("poisson");
        let mut counts = [0_u32; 5];
        for _ in 0..100_000 {
            counts[(random.poisson(1.0) as usize).min(4)] += 1;
        }
        // exp(-1) / k!, and all that is 4 or more; four standard deviations are at most 0.0061.
        for (count, expected) in counts.into_iter().zip([0.3679, 0.3679, 0.1839, 0.0613, 0.0190]) {
            assert!((f64::from(count) / 100_000.0 - expected).abs() < 0.0061, "{count} for {expected}");
        }
    }

    #[test]
    fn poisson_of_a_large_mean_keeps_its_mean() {
        let mut random = random("large");
        let mean = (0..1000).map(|_| f64::from(random.poisson(5000.0))).sum::<f64>() / 1000.0;
        // Four standard deviations of the mean are 8.9.
        assert!((mean - 5000.0).abs() < 8.9, "{mean}");
    }

    #[test]
    fn poisson_of_no_mean_is_zero() {
        assert_eq!([0.0, -1.0, f64::NAN].map(|lambda| random("none").poisson(lambda)), [0; 3]);
    }
}
