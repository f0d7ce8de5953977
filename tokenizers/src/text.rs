//! Text to ids and back, with any Hugging Face `tokenizer.json`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokenizers::{Encoding, Tokenizer};

use crate::bpe::ByteLevelBpe;
use crate::texts::TokenTexts;
use crate::vocabulary::TokenId;

/// A text tokenizer that reads all text as text.
///
/// A page may spell a special token, such as `<|endoftext|>`, and must not end a document by it. So added tokens that the
/// file marks as special are not looked for in text, no special tokens are put around it, and where the model still finds
/// one (a SentencePiece model that has `</s>` as a piece), the text is encoded in two parts, cut behind the first character
/// of that spelling. Only a special that stands for unknown text (`<unk>`) may come out. Added tokens that the file does
/// not mark as special (runs of blanks, HTML tags, `<think>`) are spellings like any other of the model's and are found in
/// text, as the Hugging Face crate finds them.
///
/// Byte-level BPE tokenizers (GPT-2 to GPT-4o, Llama 3, Qwen and their kin) are done by code of our own, with the same ids.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    byte_level: Option<ByteLevelBpe>,
    digest: String,
    never_in_text: BTreeSet<u32>,
}

// Bytes of text in which a special is looked for first.
const FIRST_WINDOW: usize = 256;
// So many bytes behind the place where a special begins decide whether it is one: more than a token has.
const BEHIND_A_SPECIAL: usize = 128;

/// Why a text tokenizer can't be loaded or used.
#[derive(Debug, Error)]
pub enum TextTokenizerError {
    /// The file can't be read.
    #[error("tokenizer {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not a tokenizer that this build knows.
    #[error("not a Hugging Face tokenizer.json: {0}")]
    Format(String),
    /// The model has no ids for this text.
    #[error("the tokenizer can't encode this text: {0}")]
    Encode(String),
    /// A single character is a special token of the model.
    #[error("the text `{text}` can't be told from the tokenizer's special token {id}")]
    OnlySpecial {
        /// The text that can't be cut further.
        text: String,
        /// The id it would get.
        id: u32,
    },
    /// Not ids of this tokenizer.
    #[error("the tokenizer can't decode these ids: {0}")]
    Decode(String),
}

impl TextTokenizer {
    /// The tokenizer in this `tokenizer.json`.
    pub fn load(path: &Path) -> Result<Self, TextTokenizerError> {
        let bytes = std::fs::read(path).map_err(|source| TextTokenizerError::Read { path: path.to_owned(), source })?;
        Self::load_bytes(&bytes)
    }

    /// The tokenizer in the bytes of a `tokenizer.json`.
    pub fn load_bytes(bytes: &[u8]) -> Result<Self, TextTokenizerError> {
        let format = |error: tokenizers::Error| TextTokenizerError::Format(error.to_string());
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(format)?;
        tokenizer.set_encode_special_tokens(true);
        // A file may ask for fixed lengths, as its own model wanted them. Here nothing is cut off or filled up.
        tokenizer.with_truncation(None).map_err(format)?;
        tokenizer.with_padding(None);
        let never_in_text = specials_but_unknown(&tokenizer, bytes)?;
        let byte_level = ByteLevelBpe::of(bytes, &tokenizer);
        Ok(Self { tokenizer, byte_level, digest: blake3::hash(bytes).to_hex().to_string(), never_in_text })
    }

    /// The ids of this text, with nothing before, between or after.
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, TextTokenizerError> {
        let Some(byte_level) = &self.byte_level else { return self.encode_plainly(text) };
        let ids = byte_level.encode(text);
        if byte_level.can_give_specials() && ids.iter().any(|id| self.never_in_text.contains(&(*id as u32))) {
            return self.encode_without_specials(text);
        }
        Ok(ids)
    }

    /// The same ids as `encode` gives, by the Hugging Face crate alone: to compare with.
    pub fn encode_plainly(&self, text: &str) -> Result<Vec<TokenId>, TextTokenizerError> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(encode_error)?;
        if encoding.get_ids().iter().any(|id| self.never_in_text.contains(id)) {
            return self.encode_without_specials(text);
        }
        Ok(token_ids(encoding.get_ids()))
    }

    /// Whether `encode` does this tokenizer without the Hugging Face crate.
    pub fn is_byte_level(&self) -> bool {
        self.byte_level.is_some()
    }

    /// The text of these ids; special tokens come out as they are spelled.
    pub fn decode(&self, ids: &[TokenId]) -> Result<String, TextTokenizerError> {
        let foreign =
            ids.iter().find(|&&id| u32::try_from(id).ok().and_then(|id| self.tokenizer.id_to_token(id)).is_none());
        if let Some(id) = foreign {
            return Err(TextTokenizerError::Decode(format!("it has no token {id}")));
        }
        let ids: Vec<_> = ids.iter().map(|&id| id as u32).collect();
        self.tokenizer.decode(&ids, false).map_err(|error| TextTokenizerError::Decode(error.to_string()))
    }

    /// What each token says by itself.
    pub fn token_texts(&self) -> TokenTexts {
        TokenTexts::of(&self.tokenizer)
    }

    /// Whether the text of a text's tokens is that text: so for byte-level tokenizers that put no space in front. Others
    /// put one there, or fold cases, and a text that was cut would not be the same when its parts are joined.
    pub fn gives_texts_back(&self) -> bool {
        self.byte_level.as_ref().is_some_and(ByteLevelBpe::gives_texts_back)
    }

    /// How many tokens there are, added ones included.
    #[allow(clippy::len_without_is_empty, reason = "no tokenizer is empty")]
    pub fn len(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The blake3 digest of the tokenizer's file, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Every id with its token as the file spells it, in no order.
    pub(crate) fn tokens(&self) -> Vec<(u32, String)> {
        self.tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect()
    }

    /// The id of the token spelled so in the file.
    pub(crate) fn id_of(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    fn encode_without_specials(&self, text: &str) -> Result<Vec<TokenId>, TextTokenizerError> {
        self.encode_by_windows(text, FIRST_WINDOW)
    }

    // Encodes up to the first special's second character, then the rest, until none is left. The first special is looked
    // for in windows of twice the length each, or a text with many would be encoded to its end for each of them.
    fn encode_by_windows(&self, text: &str, first_window: usize) -> Result<Vec<TokenId>, TextTokenizerError> {
        let mut ids = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (mut part, mut window) = (rest, first_window);
            let encoding = loop {
                let end = part.ceil_char_boundary(window.min(part.len()));
                let encoding = self.tokenizer.encode(&part[..end], false).map_err(encode_error)?;
                match self.first_special(&encoding) {
                    None if end == part.len() => break encoding,
                    Some((id, start)) if end == part.len() || start + BEHIND_A_SPECIAL <= end => {
                        (part, window) = (cut_inside(part, start, id)?, usize::MAX);
                    }
                    _ => window = window.saturating_mul(2),
                }
            };
            ids.extend(token_ids(encoding.get_ids()));
            rest = &rest[part.len()..];
        }
        Ok(ids)
    }

    // The first special in there, and the byte of the text at which it begins.
    fn first_special(&self, encoding: &Encoding) -> Option<(u32, usize)> {
        let index = encoding.get_ids().iter().position(|id| self.never_in_text.contains(id))?;
        Some((encoding.get_ids()[index], encoding.get_offsets()[index].0))
    }
}

impl fmt::Debug for TextTokenizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TextTokenizer").field("digest", &self.digest).finish_non_exhaustive()
    }
}

fn encode_error(error: tokenizers::Error) -> TextTokenizerError {
    TextTokenizerError::Encode(error.to_string())
}

fn token_ids(ids: &[u32]) -> Vec<TokenId> {
    // Whether all ids fit is checked where the vocabulary is made.
    ids.iter().map(|&id| id as TokenId).collect()
}

// The text up to behind the first character of the special that begins at this byte.
fn cut_inside(text: &str, start: usize, id: u32) -> Result<&str, TextTokenizerError> {
    let first_character = text[start..].chars().next().map_or(0, char::len_utf8);
    match start + first_character {
        end if end < text.len() && first_character > 0 => Ok(&text[..end]),
        _ => Err(TextTokenizerError::OnlySpecial { text: text.to_owned(), id }),
    }
}

// Ids of the tokens that the file marks as special, but for the one that its model gives to unknown text.
fn specials_but_unknown(tokenizer: &Tokenizer, bytes: &[u8]) -> Result<BTreeSet<u32>, TextTokenizerError> {
    #[derive(serde::Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(serde::Deserialize)]
    struct Model {
        unk_token: Option<String>,
        unk_id: Option<u32>,
    }
    let File { model } =
        serde_json::from_slice(bytes).map_err(|error| TextTokenizerError::Format(error.to_string()))?;
    let unknown = model.unk_id.or_else(|| tokenizer.token_to_id(&model.unk_token?));
    let added = tokenizer.get_added_tokens_decoder();
    let specials = added.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id);
    Ok(specials.filter(|id| Some(*id) != unknown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // A byte-level BPE whose letters are tokens and whose `<eod>`, 6, and `<b>`, 7, are added, only the first as special.
    fn byte_level() -> TextTokenizer {
        let file = serde_json::json!({"version": "1.0", "truncation": {"direction": "Right", "max_length": 3,
                "strategy": "LongestFirst", "stride": 0}, "padding": null,
            "added_tokens": [added(6, "<eod>", true), added(7, "<b>", false)],
            "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                "use_regex": true}, "post_processor": null, "decoder": {"type": "ByteLevel",
                "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "vocab": {"e": 0, "o": 1, "d": 2, "<": 3, ">": 4, "b": 5}, "merges": []}});
        TextTokenizer::load_bytes(file.to_string().as_bytes()).unwrap()
    }

    // A Unigram model, as SentencePiece makes them, that has its specials as pieces.
    fn unigram() -> TextTokenizer {
        let file = serde_json::json!({"version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [added(0, "<unk>", true), added(1, "</s>", true)],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
            "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab":
                [["<unk>", 0.0], ["</s>", 0.0], ["<", -1.0], ["/", -1.0], ["s", -1.0], [">", -1.0]]}});
        TextTokenizer::load_bytes(file.to_string().as_bytes()).unwrap()
    }

    fn added(id: u32, content: &str, special: bool) -> serde_json::Value {
        serde_json::json!({"id": id, "content": content, "special": special, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false})
    }

    #[test]
    fn a_special_token_in_text_is_its_letters() {
        assert_eq!(byte_level().encode("e<eod>e").unwrap(), [0, 3, 0, 1, 2, 4, 0]);
    }

    #[test]
    fn a_special_token_that_is_a_piece_of_the_model_is_cut() {
        assert_eq!(unigram().encode("s</s></s>s").unwrap(), [4, 2, 3, 4, 5, 2, 3, 4, 5, 4]);
    }

    #[test]
    fn a_text_with_many_specials_has_the_ids_that_it_has_without_windows() {
        let (tokenizer, mut state) = (unigram(), 1_u64);
        for parts in 0..200 {
            let mut text = String::new();
            for _ in 0..parts {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text += ["</s>", "<", "/s", ">", "s</s", "é", "xxxxxxxxxxxxxxxxxxxx"][(state >> 33) as usize % 7];
            }
            let expected = tokenizer.encode_by_windows(&text, usize::MAX).unwrap();
            assert_eq!(tokenizer.encode_without_specials(&text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn unknown_text_is_unknown() {
        assert_eq!(unigram().encode("sxs").unwrap(), [4, 0, 4]);
    }

    #[test]
    fn an_added_token_that_is_not_special_is_found_in_text() {
        assert_eq!(byte_level().encode("e<b>e").unwrap(), [0, 7, 0]);
    }

    #[test]
    fn a_length_that_the_file_asks_for_is_not_kept() {
        assert_eq!(byte_level().encode("eeeee").unwrap(), [0, 0, 0, 0, 0]);
    }

    #[test]
    fn decoding_gives_the_text_with_specials_spelled_out() {
        assert_eq!(byte_level().decode(&[0, 6, 7, 2]).unwrap(), "e<eod><b>d");
    }

    #[test]
    fn the_demo_tokenizer_gives_back_any_text() {
        let demo = TextTokenizer::load_bytes(include_bytes!("../models/demo-bpe/tokenizer.json")).unwrap();
        for text in [
            "",
            "  a  b\n\t",
            "Straße über <p>",
            "灯台への道。",
            "مرحبا",
            "e\u{301}\u{0}\u{10ffff}",
            "<eod><|endoftext|>",
        ] {
            let ids = demo.encode(text).unwrap();
            assert_eq!(demo.decode(&ids).unwrap(), text);
            assert_eq!(demo.token_texts().text(&ids).as_deref(), Some(text));
        }
        assert!(demo.gives_texts_back() && !unigram().gives_texts_back());
        assert_eq!(demo.len(), 8192);
    }

    #[test]
    fn an_id_beyond_the_tokenizer_is_refused() {
        assert!(byte_level().decode(&[0, 8]).is_err());
        assert!(byte_level().decode(&[-100]).is_err());
    }

    #[test]
    fn the_size_counts_added_tokens() {
        assert_eq!(byte_level().len(), 8);
    }

    #[test]
    fn a_file_that_is_no_tokenizer_is_refused() {
        let error = TextTokenizer::load_bytes(b"{}").unwrap_err();
        assert!(error.to_string().starts_with("not a Hugging Face tokenizer.json"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = TextTokenizer::load(Path::new("no/tokenizer.json")).unwrap_err();
        assert!(error.to_string().contains("no/tokenizer.json"), "{error}");
    }
}
