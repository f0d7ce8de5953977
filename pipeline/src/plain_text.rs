//! Cuts a document's plain text into words, as filters count them.

use unicode_segmentation::UnicodeSegmentation;

/// The words of a text: what stands between Unicode's word boundaries (UAX #29) and holds a letter or a digit. In
/// scripts that are written without spaces each character is a word, but for Katakana, whose runs are.
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::with_capacity(text.len() / 6);
    // No word reaches over a space or the end of a line, and most of what stands between them is plain.
    for piece in text.split([' ', '\n']) {
        let is_plain = piece.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match is_plain {
            true if piece.is_empty() => {}
            true => words.push(piece),
            false => words.extend(piece.unicode_words()),
        }
    }
    words
}

/// Whether a word is a character of a script that is written without spaces: Han, Kana, Thai, Lao, Burmese and Khmer.
pub fn is_unspaced(word: &str) -> bool {
    let is_unspaced = |first: char| {
        matches!(first,
            '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
    };
    !word.is_ascii() && word.chars().next().is_some_and(is_unspaced)
}

/// Characters of a text: Unicode's code points.
pub fn chars(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text), expected);
        assert_eq!(text.unicode_words().collect::<Vec<_>>(), expected, "what Unicode's boundaries give of the whole");
    }

    #[test]
    fn words_have_letters_or_digits_and_no_punctuation_around_them() {
        check("It’s 3.5 “rooms”,  isn't\nit? -- no!", &["It’s", "3.5", "rooms", "isn't", "it", "no"]);
        check("well-kept e.g. naïve\u{301} \u{301}x", &["well", "kept", "e.g", "naïve\u{301}", "x"]);
        check("", &[]);
        check("… • 💡 —", &[]);
    }

    #[test]
    fn characters_without_spaces_are_words() {
        check("シダには花もない。", &["シダ", "に", "は", "花", "も", "な", "い"]);
        check("植物园 at 9", &["植", "物", "园", "at", "9"]);
        assert!(
            is_unspaced("花")
                && is_unspaced("シダ")
                && is_unspaced("ก")
                && !is_unspaced("naïve")
                && !is_unspaced("한국")
        );
    }
}
