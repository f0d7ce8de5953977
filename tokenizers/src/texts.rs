//! What each token of a text tokenizer says by itself, as bytes.

use std::collections::HashMap;

use tokenizers::Tokenizer;

use crate::bpe::bytes_by_spelling;
use crate::vocabulary::TokenId;

/// The bytes of every token of a text tokenizer, so that the texts of lists of tokens add up whatever stands beside them.
///
/// A token that begins a word has the space in front of it (`▁word` of SentencePiece, `word` of WordPiece).
#[derive(Debug)]
pub struct TokenTexts {
    of_id: Vec<Option<Box<[u8]>>>,
}

/// How a tokenizer's file spells tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spelling {
    /// A character for each byte (GPT-2 and its kin).
    Bytes,
    /// What goes on with a word has this in front (BERT).
    WordPiece { prefix: String },
    /// Spaces as `▁`, and bytes as `<0x0A>` (SentencePiece); what ends a word has this behind it, if anything.
    Pieces { end_of_word: Option<String> },
}

impl TokenTexts {
    /// The texts of this tokenizer's tokens.
    pub(crate) fn of(tokenizer: &Tokenizer) -> Self {
        let spelling = Spelling::of(&serde_json::to_value(tokenizer.get_decoder()).unwrap_or_default());
        let added = tokenizer.get_added_tokens_decoder();
        let bytes = bytes_by_spelling();
        let mut of_id = Vec::new();
        for (token, id) in tokenizer.get_vocab(true) {
            let of_token = match added.get(&id) {
                Some(added) => Some(added.content.clone().into_bytes()),
                None => spelling.bytes(&token, &bytes),
            };
            let id = id as usize;
            if of_id.len() <= id {
                of_id.resize(id + 1, None);
            }
            of_id[id] = of_token.map(Vec::into_boxed_slice);
        }
        Self { of_id }
    }

    /// The text of these tokens; none where their bytes are no UTF-8 by themselves, or one of them is no text.
    pub fn text(&self, ids: &[TokenId]) -> Option<String> {
        let mut bytes = Vec::with_capacity(4 * ids.len());
        for &id in ids {
            bytes.extend_from_slice(self.of_id.get(usize::try_from(id).ok()?)?.as_ref()?);
        }
        String::from_utf8(bytes).ok()
    }
}

impl Spelling {
    fn of(decoder: &serde_json::Value) -> Self {
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let decoders = match decoder["decoders"].as_array() {
            Some(decoders) => decoders.as_slice(),
            None => std::slice::from_ref(decoder),
        };
        let of_kind = |kind: &str| decoders.iter().find(|decoder| decoder["type"] == kind);
        if of_kind("ByteLevel").is_some() {
            return Self::Bytes;
        }
        match of_kind("WordPiece") {
            Some(word_piece) => Self::WordPiece { prefix: text(&word_piece["prefix"]).unwrap_or_else(|| "##".into()) },
            None => Self::Pieces { end_of_word: of_kind("BPEDecoder").and_then(|decoder| text(&decoder["suffix"])) },
        }
    }

    fn bytes(&self, token: &str, by_spelling: &HashMap<char, u8>) -> Option<Vec<u8>> {
        match self {
            Self::Bytes => token.chars().map(|character| by_spelling.get(&character).copied()).collect(),
            Self::WordPiece { prefix } => Some(match token.strip_prefix(prefix.as_str()) {
                Some(rest) => rest.into(),
                None => format!(" {token}").into_bytes(),
            }),
            Self::Pieces { end_of_word } => {
                if let Some(byte) = byte_fallback(token) {
                    return Some(vec![byte]);
                }
                let token = match end_of_word.as_deref().and_then(|suffix| token.strip_suffix(suffix)) {
                    Some(word) => format!("{word} "),
                    None => token.replace('▁', " "),
                };
                Some(token.into_bytes())
            }
        }
    }
}

fn byte_fallback(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>').filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bytes(decoder: serde_json::Value, token: &str) -> Option<Vec<u8>> {
        Spelling::of(&decoder).bytes(token, &bytes_by_spelling())
    }

    #[test]
    fn a_token_is_read_as_its_tokenizer_spells() {
        let word_piece = json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
        assert_eq!(bytes(word_piece.clone(), "##ing"), Some(b"ing".to_vec()));
        assert_eq!(bytes(word_piece, "go"), Some(b" go".to_vec()));
        let pieces = json!({"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}]});
        assert_eq!(bytes(pieces.clone(), "▁go"), Some(b" go".to_vec()));
        assert_eq!(bytes(pieces, "<0xC3>"), Some(vec![0xc3]));
        assert_eq!(bytes(json!({"type": "BPEDecoder", "suffix": "</w>"}), "go</w>"), Some(b"go ".to_vec()));
        assert_eq!(bytes(json!({"type": "ByteLevel"}), "Ġgo"), Some(b" go".to_vec()));
        assert_eq!(bytes(json!({"type": "ByteLevel"}), "中"), None);
    }
}
