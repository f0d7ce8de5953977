//! The ids with a meaning of their own, from the vocabulary to those who use them.

use pageloom_tokenizers::vocabulary::Vocabulary;
pub use pageloom_training::specials::Specials;

/// The special ids of a vocabulary. One that a vocabulary was made without is none that any token has.
pub fn specials(vocabulary: &Vocabulary) -> Specials {
    let (sentinels, num_text) = (vocabulary.sentinels(), vocabulary.num_text_tokens());
    let id = |name: &str| vocabulary.special(name).unwrap_or(-1);
    Specials::from_names(&id, sentinels.start, sentinels.len() as u32, num_text)
}
