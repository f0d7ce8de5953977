//! Holds the fast path to the ids of the Hugging Face crate, for every kind of tokenizer that it takes.

use serde_json::{Value, json};

use crate::text::TextTokenizer;

const GPT2: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN_MARKS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const REGEXES: [&str; 6] = [GPT2, CL100K, QWEN2, QWEN_MARKS, O200K, TEKKEN];

// The demo tokenizer, changed.
fn demo(change: impl FnOnce(&mut Value)) -> TextTokenizer {
    let mut file = serde_json::from_str(include_str!("../../models/demo-bpe/tokenizer.json")).unwrap();
    change(&mut file);
    let tokenizer = TextTokenizer::load_bytes(file.to_string().as_bytes()).unwrap();
    assert!(tokenizer.is_byte_level());
    tokenizer
}

fn split_by(regex: &str) -> Value {
    json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})
}

fn with_regex(regex: &str) -> TextTokenizer {
    demo(|file| file["pre_tokenizer"] = split_by(regex))
}

fn added(id: u32, content: &str, special: bool, normalized: bool) -> Value {
    json!({"id": id, "content": content, "special": special, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": normalized})
}

fn assert_agree(tokenizer: &TextTokenizer, text: &str) {
    let (ours, theirs) = (tokenizer.encode(text).unwrap(), tokenizer.encode_plainly(text).unwrap());
    if ours == theirs {
        return;
    }
    let first = ours.iter().zip(&theirs).take_while(|(ours, theirs)| ours == theirs).count();
    let before = tokenizer.decode(&ours[..first]).unwrap().len();
    let around: String = text[text.floor_char_boundary(before.saturating_sub(10))..].chars().take(30).collect();
    panic!("at token {first}, in {around:?}: {:?} and {:?}", ours.get(first), theirs.get(first));
}

// Text that is hard to split, always the same for the same seed.
fn nasty(seed: u64, pieces: usize) -> String {
    const PIECES: [&str; 46] = [
        " ",
        "  ",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "\0",
        "\u{a0}",
        "\u{3000}",
        "\u{85}",
        "\u{2028}",
        "\u{200b}",
        "'s",
        "'S",
        "'ſ",
        "'ll",
        "'LL",
        "'re",
        "'vE",
        "'",
        "’s",
        "a",
        "the",
        "Word",
        "UPPER",
        "ß",
        "é",
        "e\u{301}",
        "\u{301}",
        "\u{345}\u{307}",
        "Dž",
        "ʰ",
        "灯台",
        "한국",
        "\u{1112}\u{1161}\u{11ab}",
        "ไทย",
        "नमस्ते",
        "مرحبا",
        "1",
        "2345",
        "Ⅷ",
        "½",
        "<p>",
        "://",
        "🎉\u{200d}🎈",
        "_-_",
    ];
    let mut state = seed;
    let mut text = String::new();
    for _ in 0..pieces {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = state >> 33;
        match high % 8 {
            0 => text.extend(char::from_u32((high >> 3) as u32 % 0x3_0000)),
            _ => text.push_str(PIECES[(high >> 3) as usize % PIECES.len()]),
        }
    }
    text
}

#[test]
fn every_regex_agrees_on_nasty_text() {
    for regex in REGEXES {
        let tokenizer = with_regex(regex);
        for seed in 0..200 {
            assert_agree(&tokenizer, &nasty(seed, 100));
        }
    }
}

#[test]
fn nasty_text_without_what_a_block_of_bytes_does_not_tell_agrees() {
    let tokenizer = with_regex(GPT2);
    for seed in 0..400 {
        let mut text = nasty(seed, 300);
        text.retain(|character| character.is_ascii() || !character.is_whitespace());
        assert_agree(&tokenizer, &text);
        text.retain(|character| character.is_ascii());
        assert_agree(&tokenizer, &text);
    }
}

#[test]
fn every_word_agrees_wherever_it_lies_in_a_block() {
    let tokenizer = with_regex(GPT2);
    for before in 0..140 {
        for word in ["it's", "we'll've", "'re're", "  \n x", " \u{a0} y", "\n\n", " 12ab", "'s  ", "灯台'll é1", "   "]
        {
            assert_agree(&tokenizer, &format!("{}{word}", "x".repeat(before)));
            assert_agree(&tokenizer, &format!("{} {word}{}", "<".repeat(before), " z".repeat(40)));
        }
    }
}

#[test]
fn every_regex_agrees_on_all_characters() {
    // The planes beyond hold private and unassigned characters alone, but for some tags in the first part of plane 14.
    let characters: Vec<char> =
        ('\0'..'\u{33480}').chain('\u{e0000}'..'\u{e0200}').chain('\u{10ff00}'..='\u{10ffff}').collect();
    // The others differ from these only in how many digits they take together.
    for regex in [GPT2, CL100K, QWEN_MARKS, O200K] {
        let tokenizer = with_regex(regex);
        for some in characters.chunks(512) {
            let text: String = some.iter().flat_map(|&character| ['a', character, 'B', ' ', character, '1']).collect();
            assert_agree(&tokenizer, &text);
        }
    }
}

#[test]
fn every_regex_agrees_on_long_runs() {
    for regex in REGEXES {
        let tokenizer = with_regex(regex);
        for run in ["a", " ", "\n", "!", "7", "灯", "ab", " \n", "\u{301}", "'S"] {
            for length in [63, 64, 65, 20_000] {
                assert_agree(&tokenizer, &run.repeat(length));
                assert_agree(&tokenizer, &format!("x{}y", run.repeat(length)));
            }
        }
    }
}

#[test]
fn text_of_any_short_length_agrees() {
    let tokenizer = with_regex(CL100K);
    let text = "Straße 灯台 it's  12345\r\n\r\n  <p>é";
    for (start, _) in text.char_indices() {
        for (end, _) in text.char_indices().filter(|(end, _)| *end >= start) {
            assert_agree(&tokenizer, &text[start..end]);
        }
    }
}

#[test]
fn the_two_ways_to_keep_the_words_agree() {
    let mut splitting = split_by(O200K);
    splitting["pretokenizers"][0]["behavior"] = json!("Removed");
    splitting["pretokenizers"][0]["invert"] = json!(true);
    let tokenizer = demo(|file| file["pre_tokenizer"] = splitting);
    assert_agree(&tokenizer, &nasty(1, 2000));
}

#[test]
fn normal_form_c_agrees() {
    let tokenizer = demo(|file| {
        file["normalizer"] = json!({"type": "NFC"});
        file["pre_tokenizer"] = split_by(QWEN2);
    });
    assert_eq!(tokenizer.encode("e\u{301}").unwrap(), tokenizer.encode("é").unwrap());
    for seed in 0..200 {
        assert_agree(&tokenizer, &nasty(seed, 50));
    }
    for some in ('\0'..'\u{30000}').collect::<Vec<_>>().chunks(512) {
        let text: String = some.iter().flat_map(|&character| ['e', character, '\u{301}', character]).collect();
        assert_agree(&tokenizer, &text);
    }
}

#[test]
fn a_space_put_before_text_agrees() {
    let tokenizer = demo(|file| {
        file["pre_tokenizer"]["add_prefix_space"] = json!(true);
        file["added_tokens"] = json!([added(8192, "<b>", false, false)]);
    });
    for text in ["", "word", " word", "\nword", "a<b>b<b> c<b><b>", "<b>"] {
        assert_agree(&tokenizer, text);
    }
}

#[test]
fn added_tokens_agree() {
    let tokenizer = demo(|file| {
        file["normalizer"] = json!({"type": "NFC"});
        file["added_tokens"] = json!([
            added(8192, "<eod>", true, false),
            added(8193, "d><", false, false),
            added(8194, "<tool>", false, false),
            added(8195, "<tool><x>", false, false),
            added(8196, "cafe\u{301}", false, true),
            added(8197, "  ", false, true),
            added(8198, "<café>", true, true)
        ]);
    });
    for text in [
        "<tool>",
        "a<tool><x>b<tool>c",
        "<eod><tool>d><tool>",
        "<eod>d><",
        "un cafe\u{301}, deux café<tool>  ",
        "<cafe\u{301}> <café>",
        "",
    ] {
        assert_agree(&tokenizer, text);
    }
    assert_eq!(tokenizer.encode("<tool><x>").unwrap(), [8195]);
    assert_eq!(tokenizer.encode("cafe\u{301}").unwrap(), [8196]);
}

#[test]
fn a_token_that_no_merge_leads_to_agrees() {
    let unreachable = |file: &mut Value| file["model"]["vocab"]["xqxqx"] = json!(8192);
    assert_agree(&demo(unreachable), "xqxqx");
    let whole = demo(|file| {
        unreachable(file);
        file["model"]["ignore_merges"] = json!(true);
    });
    assert_agree(&whole, "xqxqx xqxqx");
    assert_eq!(whole.encode("xqxqx").unwrap(), [8192]);
}

#[test]
fn bytes_without_a_token_agree() {
    let tokenizer = demo(|file| {
        file["model"]["vocab"] = json!({"a": 0, "b": 1, "ab": 2, "aba": 3, "Ġ": 4});
        file["model"]["merges"] = json!(["a b", "ab a"]);
    });
    for text in ["a!b", "é", "", "ab a!b!a", &"ab!".repeat(100)] {
        assert_agree(&tokenizer, text);
    }
}

#[test]
fn a_special_that_a_word_would_become_agrees() {
    let tokenizer = demo(|file| {
        file["model"]["vocab"]["eod"] = json!(8192);
        file["model"]["ignore_merges"] = json!(true);
        file["added_tokens"] = json!([added(8192, "eod", true, false)]);
    });
    assert_agree(&tokenizer, "an eod, eod");
    assert!(!tokenizer.encode("eod").unwrap().contains(&8192));
}

#[test]
fn what_an_encoder_remembers_changes_no_ids() {
    let tokenizer = with_regex(CL100K);
    // More words than it remembers, young and old, so that it forgets some.
    let letters = |number: u64| (0..8).map(move |at| char::from(b'a' + (number >> (4 * at) & 15) as u8));
    let words: Vec<String> =
        (0..400_000).map(|number: u64| letters(number.wrapping_mul(2_654_435_761)).chain([' ']).collect()).collect();
    tokenizer.encode(&words.concat()).unwrap();
    for some in [&words[..2000], &words[250_000..252_000], &words[398_000..]] {
        assert_agree(&tokenizer, &some.concat());
    }
}
