//! White noise, as `torch.rand` draws it.

use pageloom_training::random::KeyedRandom;

/// Fills the scores with independent numbers in `[0, 1)`, each one of 2^24.
pub(crate) fn white(random: &mut KeyedRandom, words: &mut [u32], scores: &mut [f32]) {
    let words = &mut words[..scores.len()];
    random.fill_words(words);
    for (score, word) in scores.iter_mut().zip(words) {
        // As a signed number, because vector units convert those in one instruction.
        *score = (*word >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32);
    }
}
