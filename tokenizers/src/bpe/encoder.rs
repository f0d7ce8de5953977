//! Text to ids with a byte-level BPE: splits the text into words and looks each of them up before it merges any.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokenizers::Tokenizer;
use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::added::{AddedTokens, Part};
use super::file::ByteLevelFile;
use super::kinds::Kinds;
use super::memory::Memory;
use super::merges::{Merges, Workbench};
use super::pattern::{Pattern, Words};
use super::reader::Text;
use super::table::{Key, WordTable};
use crate::TokenId;

/// A byte-level BPE that gives the ids of the Hugging Face crate.
///
/// There is one difference: where that crate's regex engine gives up, at a million blanks in a row, this goes on.
pub(crate) struct ByteLevelBpe {
    pattern: Pattern,
    prefix_space: bool,
    normalize: bool,
    knows_all_bytes: bool,
    kinds: Kinds,
    merges: Merges,
    // Words that are one token.
    tokens: WordTable<TokenId>,
    can_give_specials: bool,
    added: Option<AddedTokens>,
    added_normalized: Option<AddedTokens>,
    // One for each thread that has encoded at the same time as others.
    memories: Mutex<Vec<Memory>>,
}

impl ByteLevelBpe {
    /// The encoder for the file that this tokenizer is from; none where it could give other ids.
    pub(crate) fn of(file: &[u8], tokenizer: &Tokenizer) -> Option<Self> {
        let file = ByteLevelFile::read(file)?;
        let given = given_to_words(&file);
        let mut can_give_specials = false;
        let mut by_stage = [Vec::new(), Vec::new()];
        for (id, token) in tokenizer.get_added_tokens_decoder() {
            can_give_specials |= token.special && given.contains(&id);
            if !token.special && (token.single_word || token.lstrip || token.rstrip || i32::try_from(id).is_err()) {
                return None;
            }
            let spelling = match token.normalized && file.normalize {
                true => form_c(&token.content).into_owned(),
                false => token.content,
            };
            by_stage[usize::from(token.normalized)].push((spelling, (!token.special).then_some(id)));
        }
        let [added, added_normalized] = by_stage.map(searcher);
        let merges = Merges::new(file.of_byte, &file.merges)?;
        let tokens = WordTable::of(&single_tokens(&file, &merges))?;
        Some(Self {
            pattern: file.pattern,
            prefix_space: file.prefix_space,
            normalize: file.normalize,
            knows_all_bytes: file.of_byte.iter().all(Option::is_some),
            kinds: Kinds::new()?,
            merges,
            tokens,
            can_give_specials,
            added: added?,
            added_normalized: added_normalized?,
            memories: Mutex::default(),
        })
    }

    /// Whether words, and not just added tokens, can become a special token.
    pub(crate) fn can_give_specials(&self) -> bool {
        self.can_give_specials
    }

    /// Whether the bytes of a text's tokens are the text's, but for its normal form.
    pub(crate) fn gives_texts_back(&self) -> bool {
        self.knows_all_bytes && !self.prefix_space
    }

    /// The ids of this text.
    pub(crate) fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut memory = self.memories.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(Memory::new);
        let mut ids = Vec::with_capacity(text.len() / 2 + 8);
        each_part(self.added.as_ref(), text, &mut ids, |part, ids| {
            let part = if self.normalize { form_c(part) } else { Cow::Borrowed(part) };
            each_part(self.added_normalized.as_ref(), &part, ids, |part, ids| self.encode_part(part, &mut memory, ids));
        });
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        ids
    }

    fn encode_part(&self, part: &str, memory: &mut Memory, ids: &mut Vec<TokenId>) {
        let spaced = match self.prefix_space && !part.starts_with(' ') {
            true => Cow::Owned(format!(" {part}")),
            false => Cow::Borrowed(part),
        };
        match self.pattern {
            Pattern::Gpt2(words) => self.encode_words(words, &spaced, memory, ids),
            Pattern::Cl100k(words) => self.encode_words(words, &spaced, memory, ids),
            Pattern::O200k(words) => self.encode_words(words, &spaced, memory, ids),
        }
    }

    fn encode_words(&self, words: impl Words, text: &str, memory: &mut Memory, ids: &mut Vec<TokenId>) {
        let bytes = text.as_bytes();
        words.each_word(Text::new(text, &self.kinds), |start, end| {
            let key = Key::new(bytes, start, end);
            if !memory.recall(key, ids) {
                memory.encode(key, &bytes[start..end], (&self.tokens, &self.merges), ids);
            }
        });
    }
}

// A searcher for the tokens, or none where all that it could find is special, and so text.
fn searcher(tokens: Vec<(String, Option<u32>)>) -> Option<Option<AddedTokens>> {
    match tokens.iter().any(|(_, id)| id.is_some()) {
        true => AddedTokens::new(tokens).map(Some),
        false => Some(None),
    }
}

fn each_part(
    added: Option<&AddedTokens>,
    text: &str,
    ids: &mut Vec<TokenId>,
    mut encode: impl FnMut(&str, &mut Vec<TokenId>),
) {
    let Some(added) = added else { return encode(text, ids) };
    for part in added.split(text) {
        match part {
            Part::Text(range) => encode(&text[range], ids),
            Part::Token(id) => ids.push(id as TokenId),
        }
    }
}

fn form_c(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().map(|(character, _)| character).collect())
}

// Every id that a word can become, or a part of one.
fn given_to_words(file: &ByteLevelFile) -> HashSet<u32> {
    let of_bytes = file.of_byte.iter().copied().flatten();
    let merged = file.merges.iter().map(|pair| pair.merged);
    let whole = file.tokens.iter().filter(|_| file.ignore_merges).map(|(_, id)| *id);
    of_bytes.chain(merged).chain(whole).collect()
}

// The tokens that a word of their bytes becomes. A token that its merges do not lead to is none, unless they are ignored.
fn single_tokens(file: &ByteLevelFile, merges: &Merges) -> Vec<(Vec<u8>, TokenId)> {
    let mut bench = Workbench::default();
    let mut ids = Vec::new();
    let mut single = Vec::with_capacity(file.tokens.len());
    for (bytes, id) in &file.tokens {
        ids.clear();
        if !file.ignore_merges {
            merges.encode(bytes, &mut bench, &mut ids);
        }
        if file.ignore_merges || ids == [*id as TokenId] {
            single.push((bytes.clone(), *id as TokenId));
        }
    }
    single
}
