//! Reads a `tokenizer.json` as a byte-level BPE, and refuses all that could make it anything else.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::merges::Pair;
use super::pattern::Pattern;

/// A tokenizer that is a byte-level BPE and nothing more.
pub(super) struct ByteLevelFile {
    /// How text is split into words.
    pub(super) pattern: Pattern,
    /// Whether text that does not begin with a space gets one.
    pub(super) prefix_space: bool,
    /// Whether text is brought into normal form C first.
    pub(super) normalize: bool,
    /// Whether a word that is a token is that token, whatever its merges say.
    pub(super) ignore_merges: bool,
    /// The tokens of single bytes.
    pub(super) of_byte: [Option<u32>; 256],
    /// Every token whose spelling stands for bytes, with these bytes.
    pub(super) tokens: Vec<(Vec<u8>, u32)>,
    /// What is merged, the first first.
    pub(super) merges: Vec<Pair>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Normalizer>,
    pre_tokenizer: PreTokenizer,
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    content: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum Normalizer {
    #[serde(rename = "NFC")]
    FormC {},
}

#[derive(Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum PreTokenizer {
    ByteLevel {
        add_prefix_space: bool,
        // Moves offsets, not ids.
        #[serde(default, rename = "trim_offsets")]
        _trim_offsets: bool,
        #[serde(default = "yes")]
        use_regex: bool,
    },
    Split {
        pattern: SplitPattern,
        behavior: String,
        invert: bool,
    },
    Sequence {
        pretokenizers: Vec<PreTokenizer>,
    },
}

#[derive(Deserialize)]
enum SplitPattern {
    Regex(String),
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: String,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Two(String, String),
    Joined(String),
}

impl ByteLevelFile {
    /// The tokenizer in the bytes of a `tokenizer.json`; none if it is, or might be, of another kind.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let File { added_tokens, normalizer, pre_tokenizer, model } = serde_json::from_slice(bytes).ok()?;
        let (pattern, prefix_space) = splitting(&pre_tokenizer)?;
        let of_byte = tokens_of_bytes(&model.vocab);
        if !is_plain(&model, &of_byte) || has_twins(&added_tokens, &model.vocab) {
            return None;
        }
        let spelled = bytes_by_spelling();
        let tokens = model.vocab.iter().filter_map(|(token, id)| {
            let bytes = token.chars().map(|character| spelled.get(&character).copied()).collect::<Option<_>>()?;
            Some((bytes, *id))
        });
        Some(Self {
            pattern,
            prefix_space,
            normalize: normalizer.is_some(),
            ignore_merges: model.ignore_merges,
            of_byte,
            tokens: tokens.collect(),
            merges: merges(&model)?,
        })
    }
}

// The pattern, and whether a space is put before the text.
fn splitting(pre_tokenizer: &PreTokenizer) -> Option<(Pattern, bool)> {
    match pre_tokenizer {
        PreTokenizer::ByteLevel { use_regex: true, add_prefix_space, .. } => {
            Some((Pattern::BYTE_LEVEL, *add_prefix_space))
        }
        PreTokenizer::Sequence { pretokenizers } => match pretokenizers.as_slice() {
            [only] => splitting(only),
            [
                PreTokenizer::Split { pattern: SplitPattern::Regex(regex), behavior, invert },
                PreTokenizer::ByteLevel { use_regex: false, add_prefix_space: false, .. },
            ] => {
                // The known patterns leave nothing between two words, so keeping only the words loses nothing.
                let keeps_words = matches!((behavior.as_str(), invert), ("Isolated", false) | ("Removed", true));
                Some((Pattern::of_regex(regex).filter(|_| keeps_words)?, false))
            }
            _ => None,
        },
        _ => None,
    }
}

// Whether the model merges bytes and does nothing else.
fn is_plain(model: &Model, of_byte: &[Option<u32>; 256]) -> bool {
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    // What happens to bytes without a token does not matter where all have one.
    let all_bytes_known = of_byte.iter().all(Option::is_some);
    model.kind == "BPE"
        && model.dropout.is_none_or(|dropout| dropout == 0.0)
        && empty(&model.continuing_subword_prefix)
        && empty(&model.end_of_word_suffix)
        && (all_bytes_known || (model.unk_token.is_none() && !model.byte_fallback))
}

// Whether two tokens share an id, or an id has too many bits for ours, or two added tokens share a spelling.
fn has_twins(added_tokens: &[AddedToken], vocab: &HashMap<String, u32>) -> bool {
    let ids: BTreeSet<_> = vocab.values().filter(|id| i32::try_from(**id).is_ok()).collect();
    let spellings: BTreeSet<_> = added_tokens.iter().map(|token| &token.content).collect();
    ids.len() != vocab.len() || spellings.len() != added_tokens.len()
}

fn merges(model: &Model) -> Option<Vec<Pair>> {
    let mut merges = Vec::with_capacity(model.merges.len());
    for merge in &model.merges {
        let (left, right) = match merge {
            Merge::Two(left, right) => (left.as_str(), right.as_str()),
            Merge::Joined(line) if line.starts_with("#version") => continue,
            Merge::Joined(line) => line.split_once(' ').filter(|(_, right)| !right.contains(' '))?,
        };
        let id = |token: &str| model.vocab.get(token).copied();
        merges.push(Pair { left: id(left)?, right: id(right)?, merged: id(&format!("{left}{right}"))? });
    }
    Some(merges)
}

fn tokens_of_bytes(vocab: &HashMap<String, u32>) -> [Option<u32>; 256] {
    let mut of_byte = [None; 256];
    for (character, byte) in bytes_by_spelling() {
        of_byte[usize::from(byte)] = vocab.get(character.encode_utf8(&mut [0; 4])).copied();
    }
    of_byte
}

// How byte-level tokenizers spell bytes, which is OpenAI's way: visible Latin-1 as it is, the others from U+0100 on.
pub(crate) fn bytes_by_spelling() -> HashMap<char, u8> {
    let mut next = '\u{100}'..;
    let spelled = (0..=u8::MAX).filter_map(|byte| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => Some((char::from(byte), byte)),
        _ => next.next().map(|character| (character, byte)),
    });
    spelled.collect()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn file() -> Value {
        json!({"added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "☃": 4}, "merges": ["#version: 1", "a b"]}})
    }

    fn read(file: &Value) -> Option<ByteLevelFile> {
        ByteLevelFile::read(file.to_string().as_bytes())
    }

    fn is_read_with(pointer: &str, value: Value) -> bool {
        let mut file = file();
        *file.pointer_mut(pointer).unwrap() = value;
        read(&file).is_some()
    }

    #[test]
    fn a_file_is_read_as_it_is() {
        let mut read = read(&file()).unwrap();
        read.tokens.sort();
        let bytes = |text: &str| text.as_bytes().to_vec();
        assert_eq!(read.tokens, [(bytes(" "), 3), (bytes("a"), 0), (bytes("ab"), 2), (bytes("b"), 1)]);
        assert_eq!(read.merges, [Pair { left: 0, right: 1, merged: 2 }]);
        assert_eq!((read.pattern, read.prefix_space, read.normalize), (Pattern::BYTE_LEVEL, false, false));
        assert_eq!(read.of_byte[usize::from(b' ')], Some(3));
    }

    #[test]
    fn merges_may_be_lines_or_pairs() {
        assert!(is_read_with("/model/merges", json!([["a", "b"]])));
        assert!(!is_read_with("/model/merges", json!(["a b c"])));
    }

    #[test]
    fn every_byte_has_its_own_spelling() {
        let spelled = bytes_by_spelling();
        assert_eq!(spelled.len(), 256);
        assert_eq!(['Ġ', 'Ċ', 'Ń', 'ÿ'].map(|character| spelled[&character]), [b' ', b'\n', 0xad, 0xff]);
    }

    #[test]
    fn other_tokenizers_are_left_to_the_plain_path() {
        assert!(is_read_with("/normalizer", json!({"type": "NFC"})));
        let byte_level = |regex: bool, space: bool| json!({"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": regex});
        let split = |regex: &str, behavior: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": false});
        let gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
        let sequence = |first: Value, second: Value| json!({"type": "Sequence", "pretokenizers": [first, second]});
        assert!(is_read_with("/pre_tokenizer", sequence(split(gpt2, "Isolated"), byte_level(false, false))));
        for (pointer, value) in [
            ("/normalizer", json!({"type": "NFKC"})),
            ("/pre_tokenizer", Value::Null),
            ("/pre_tokenizer", byte_level(false, false)),
            ("/pre_tokenizer", sequence(split(gpt2, "Isolated"), byte_level(true, false))),
            ("/pre_tokenizer", sequence(split(gpt2, "Isolated"), byte_level(false, true))),
            ("/pre_tokenizer", sequence(split(gpt2, "MergedWithNext"), byte_level(false, false))),
            ("/pre_tokenizer", sequence(split(r"\s+|\S+", "Isolated"), byte_level(false, false))),
            (
                "/pre_tokenizer",
                json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}),
            ),
            ("/model/type", json!("WordPiece")),
            ("/model/vocab/b", json!(0)),
            ("/model/vocab/b", json!(u32::MAX)),
            ("/added_tokens", json!([{"content": "<x>"}, {"content": "<x>"}])),
        ] {
            assert!(!is_read_with(pointer, value.clone()), "{pointer} {value}");
        }
        for (name, value) in [
            ("dropout", json!(0.1)),
            ("unk_token", json!("☃")),
            ("byte_fallback", json!(true)),
            ("continuing_subword_prefix", json!("##")),
            ("end_of_word_suffix", json!("</w>")),
        ] {
            let mut file = file();
            file["model"][name] = value;
            assert!(read(&file).is_none(), "{name}");
        }
    }
}
