//! Holds the vocabulary to its order of ids, and to what it refuses.

use super::*;

fn text(tokens: &[(&str, u32)]) -> TextTokenizer {
    let vocab: serde_json::Map<_, _> = tokens.iter().map(|(token, id)| ((*token).to_owned(), (*id).into())).collect();
    let file = serde_json::json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "vocab": vocab, "merges": []}});
    TextTokenizer::load_bytes(file.to_string().as_bytes()).unwrap()
}

const SPECIALS: [&str; 3] = ["<pad>", "<eod>", "<eoss>"];

fn vocabulary(num_sentinels: u32, pad_to_multiple_of: u32) -> Result<Vocabulary, VocabularyError> {
    let settings = VocabularySettings { num_sentinels, pad_to_multiple_of };
    Vocabulary::new(&text(&[("a", 0), ("b", 1)]), &settings, &SPECIALS, 3)
}

#[test]
fn ids_follow_one_another_in_the_order_of_kinds() {
    use TokenKind::{Image, Sentinel, Special, Text, Unused};
    let expected = [
        (Text, "a"),
        (Text, "b"),
        (Special(0), "<pad>"),
        (Special(1), "<eod>"),
        (Special(2), "<eoss>"),
        (Sentinel(0), "<sentinel:0>"),
        (Sentinel(1), "<sentinel:1>"),
        (Image(0), "<image:0>"),
        (Image(1), "<image:1>"),
        (Image(2), "<image:2>"),
        (Unused, "<unused:0>"),
        (Unused, "<unused:1>"),
    ];
    let vocabulary = vocabulary(2, 4).unwrap();
    let ids: Vec<_> = (0..12).filter_map(|id| vocabulary.kind(id).zip(vocabulary.token(id))).collect();
    assert_eq!(ids, expected);
    assert_eq!((vocabulary.size(), vocabulary.kind(12), vocabulary.kind(-100)), (12, None, None));
}

#[test]
fn specials_are_where_the_ranges_say() {
    let vocabulary = vocabulary(2, 1).unwrap();
    let ids = ["<pad>", "<eod>", "<eoss>", "<mask>"].map(|name| vocabulary.special(name));
    assert_eq!(ids, [Some(2), Some(3), Some(4), None]);
    assert_eq!(vocabulary.sentinels(), 5..7);
}

#[test]
fn image_codes_and_ids_are_each_others_inverse() {
    let vocabulary = vocabulary(2, 4).unwrap();
    assert_eq!([0, 2, 3].map(|code| vocabulary.image_token(code)), [Some(7), Some(9), None]);
    assert_eq!([6, 7, 9, 10, -100].map(|id| vocabulary.image_code(id)), [None, Some(0), Some(2), None, None]);
}

#[test]
fn a_special_token_gives_way_to_the_text_tokenizers_own() {
    let settings = VocabularySettings { num_sentinels: 1, pad_to_multiple_of: 1 };
    let own = text(&[("a", 0), ("<pad>", 1)]);
    let vocabulary = Vocabulary::new(&own, &settings, &SPECIALS, 3).unwrap();
    assert_eq!([1, 2, 3].map(|id| vocabulary.token(id)), [Some("<pad>"), Some("<pageloom:pad>"), Some("<eod>")]);
    assert_eq!(vocabulary.special("<pad>"), Some(2));
    let json = serde_json::to_string(&vocabulary).unwrap();
    assert_eq!(Vocabulary::from_json(&json).unwrap(), vocabulary);
}

#[test]
fn a_written_vocabulary_is_read_back() {
    let vocabulary = vocabulary(2, 4).unwrap();
    let json = serde_json::to_string(&vocabulary).unwrap();
    assert_eq!(Vocabulary::from_json(&json).unwrap(), vocabulary);
}

#[test]
fn a_changed_vocabulary_is_refused() {
    let json = serde_json::to_string(&vocabulary(2, 4).unwrap()).unwrap();
    for (written, changed) in
        [(r#""size":12"#, r#""size":13"#), ("sentinel\",", "sentinels\","), (r#""first":5"#, r#""first":6"#)]
    {
        assert!(json.contains(written), "{json}");
        assert!(Vocabulary::from_json(&json.replace(written, changed)).is_err(), "{changed}");
    }
}

#[test]
fn an_id_that_the_text_tokenizer_leaves_out_stays_unused() {
    let settings = VocabularySettings { num_sentinels: 1, pad_to_multiple_of: 1 };
    let vocabulary = Vocabulary::new(&text(&[("a", 0), ("b", 2)]), &settings, &SPECIALS, 3).unwrap();
    assert_eq!(
        [0, 1, 2].map(|id| vocabulary.kind(id)),
        [TokenKind::Text, TokenKind::Unused, TokenKind::Text].map(Some)
    );
    assert_eq!((vocabulary.token(1), vocabulary.token(2)), (Some("<gap:1>"), Some("b")));
    assert_eq!((vocabulary.num_text_tokens(), vocabulary.special("<pad>")), (3, Some(3)));
    let json = serde_json::to_string(&vocabulary).unwrap();
    assert_eq!(Vocabulary::from_json(&json).unwrap(), vocabulary);
    assert!(Vocabulary::from_json(&json.replace(r#""gaps":[1]"#, r#""gaps":[2]"#)).is_err());
}

#[test]
fn a_vocabulary_without_gaps_does_not_speak_of_them() {
    assert!(!serde_json::to_string(&vocabulary(2, 4).unwrap()).unwrap().contains("gap"));
}

#[test]
fn a_text_tokenizer_that_leaves_out_most_ids_is_refused() {
    let settings = VocabularySettings::default();
    let error = Vocabulary::new(&text(&[("a", 0), ("b", 5)]), &settings, &SPECIALS, 3).unwrap_err();
    assert!(matches!(error, VocabularyError::Sparse { tokens: 2, last: 5 }), "{error}");
}

#[test]
fn two_text_tokens_with_one_id_are_refused() {
    let settings = VocabularySettings::default();
    let error = Vocabulary::new(&text(&[("a", 0), ("b", 0)]), &settings, &SPECIALS, 3).unwrap_err();
    assert!(matches!(error, VocabularyError::SameId { id: 0, .. }), "{error}");
}

#[test]
fn a_text_token_with_a_name_of_ours_is_refused() {
    let settings = VocabularySettings::default();
    for name in ["<sentinel:7>", "<gap:1>"] {
        let error = Vocabulary::new(&text(&[("a", 0), (name, 2)]), &settings, &SPECIALS, 3).unwrap_err();
        assert!(matches!(&error, VocabularyError::NameTaken { token } if token == name), "{error}");
    }
}

#[test]
fn more_ids_than_32_bits_are_refused() {
    assert!(matches!(vocabulary(u32::MAX, 1), Err(VocabularyError::TooLarge { .. })));
    assert!(matches!(vocabulary(2, u32::MAX), Err(VocabularyError::TooLarge { .. })));
    assert!(matches!(vocabulary(2, 0), Err(VocabularyError::MultipleOfZero)));
}
