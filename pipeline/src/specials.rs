//! The ids with a meaning of their own, from the vocabulary to those who use them.

use pageloom_tokenizers::vocabulary::Vocabulary;
pub use pageloom_training::specials::Specials;

/// The special ids of a vocabulary.
pub fn specials(vocabulary: &Vocabulary) -> Specials {
    let ids = vocabulary.specials();
    Specials {
        pad: ids.pad,
        end_of_document: ids.end_of_document,
        end_of_span: ids.end_of_span,
        first_sentinel: ids.first_sentinel,
        num_sentinels: ids.num_sentinels,
    }
}
