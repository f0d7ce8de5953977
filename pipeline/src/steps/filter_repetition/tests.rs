//! What datatrove's functions count, and what follows from it.

use super::measure::{Duplicates, Text, duplicates, paragraphs};
use super::*;

/// Counts of lines, of paragraphs (as number, characters and of how many), of the top 2- to 4-grams and of 5- to 10-grams
/// again. The numbers are what `find_duplicates`, `find_top_duplicate` and `find_all_duplicate` of datatrove 0.10.1
/// returned for the same lines, paragraphs and words.
fn check(text: &str, lines: [usize; 3], of_paragraphs: [usize; 3], top: [usize; 3], again: [usize; 6]) {
    let numbers = |found: Duplicates| [found.count, found.chars, found.of];
    assert_eq!(numbers(duplicates(text.split('\n').filter(|line| !line.is_empty()))), lines, "lines of {text:?}");
    assert_eq!(numbers(duplicates(paragraphs(text))), of_paragraphs, "paragraphs of {text:?}");
    let mut words = Text::new(text);
    let mut count = |of: fn(&Text) -> usize| {
        words.lengthen();
        of(&words)
    };
    assert_eq!([(); 3].map(|()| count(Text::top_chars)), top, "top n-grams of {text:?}");
    assert_eq!([(); 6].map(|()| count(Text::duplicate_chars)), again, "n-grams again of {text:?}");
}

#[test]
fn the_counts_are_those_of_datatrove() {
    check(
        "The lamp is lit at dusk and put out at dawn, and between the two somebody has to stay awake.",
        [0, 0, 1],
        [0, 0, 1],
        [8, 11, 15],
        [0, 0, 0, 0, 0, 0],
    );
    check("Home\nNews of today\nHome\nNews of yesterday\nHome", [2, 8, 5], [0, 0, 1], [18, 24, 18], [0, 0, 0, 0, 0, 0]);
    check(
        "One block here.\nSecond line.\n\nOne block here.\nSecond line.\n\n\nAnother block.\n\nAnother block.",
        [3, 41, 6],
        [2, 42, 4],
        [18, 28, 42],
        [22, 0, 0, 0, 0, 0],
    );
    check(
        "buy now and save big today while stocks last buy now and save big today while stocks last buy now and save big today while stocks last buy now and save big today while stocks last or walk on by the sea and look at the waves and the wind in the reeds",
        [0, 0, 1],
        [0, 0, 1],
        [28, 44, 64],
        [98, 93, 81, 93, 108, 78],
    );
    check("ha ha ha ha ha ha ha ha ha ha ha ha", [0, 0, 1], [0, 0, 1], [55, 80, 99], [20, 12, 14, 16, 18, 20]);
    check(
        "a b c d e f g h i j k l a b c d e f g h b c d e f g h i j k l m a b c d e",
        [0, 0, 1],
        [0, 0, 1],
        [12, 20, 28],
        [20, 12, 14, 16, 9, 10],
    );
    check(
        "Größe naïve Größe naïve café Größe naïve Größe naïve café Größe naïve Größe naïve café",
        [0, 0, 1],
        [0, 0, 1],
        [66, 51, 69],
        [48, 29, 34, 39, 44, 48],
    );
    check("one two", [0, 0, 1], [0, 0, 1], [7, 0, 0], [0, 0, 0, 0, 0, 0]);
}

fn reason(settings: &Settings, text: &str) -> Option<&'static str> {
    settings.judge(text).err().map(|refusal| refusal.reason)
}

/// Sixty words, none of them twice.
fn prose() -> String {
    (0..60).map(|number| format!("word{} ", number * 37)).collect()
}

#[test]
fn each_rule_has_its_reason() {
    let prose = prose();
    let check = |text: &str, expected| assert_eq!(reason(&Settings::default(), text), expected, "{text:?}");
    check(&prose, None);
    check(&format!("{prose}\nMenu\nMenu\nMenu"), Some("duplicate_lines"));
    check(&format!("{prose}\n{prose}\na\nb\nc\nd"), Some("duplicate_line_chars"));
    check(&format!("{prose}\n\nMenu\n\nMenu\n\nMenu"), Some("duplicate_paragraphs"));
    check(&format!("{prose}\n\n{prose}\n\na\n\nb\n\nc\n\nd"), Some("duplicate_paragraph_chars"));
    check(&format!("{prose} {}", "buy it now ".repeat(30)), Some("top_ngram"));
    check(&format!("{prose} {prose}"), Some("duplicate_ngrams"));
}

#[test]
fn a_limit_of_one_switches_its_rule_off() {
    let off = Settings {
        max_duplicate_paragraphs: 1.0,
        max_duplicate_paragraph_chars: 1.0,
        max_duplicate_lines: 1.0,
        max_duplicate_line_chars: 1.0,
        max_top_ngram_chars: [1.0; 3],
        max_duplicate_ngram_chars: [1.0; 6],
    };
    assert_eq!(reason(&off, &"ha ".repeat(100)), None);
}

#[test]
fn a_reject_says_how_much_is_repeated() {
    let refusal = Settings::default().judge(&"ha ".repeat(100)).unwrap_err();
    assert_eq!(refusal.detail, "the top 2-gram: 495 of 300, 1.000");
}

#[test]
fn what_is_no_share_is_refused() {
    let settings = Settings { max_top_ngram_chars: [0.2, 1.8, 0.16], ..Settings::default() };
    assert_eq!(settings.check(), ["`max_top_ngram_chars` says 1.8, but a share is from 0 to 1"]);
}

#[test]
fn a_text_of_nothing_repeats_nothing() {
    assert_eq!(reason(&Settings::default(), ""), None);
    assert_eq!(reason(&Settings::default(), "…"), None);
}
