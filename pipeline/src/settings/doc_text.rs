//! Makes plain text of doc comments.

/// The text of a doc comment without rustdoc's links: a line for each paragraph and each item of a list, and an empty
/// line between paragraphs.
pub fn plain(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| unlinked(&joined(paragraph)));
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The first sentence of a plain text, without what follows it.
pub fn first_sentence(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    let mut in_code = false;
    for (index, character) in line.char_indices() {
        match character {
            '`' => in_code = !in_code,
            '.' if !in_code && begins_sentence(&line[index + 1..]) => return &line[..=index],
            _ => {}
        }
    }
    line
}

/// Whether what follows a point begins another sentence, and is no abbreviation's rest.
fn begins_sentence(rest: &str) -> bool {
    let next = rest.strip_prefix(' ').and_then(|rest| rest.chars().next());
    next.is_some_and(|next| next.is_uppercase() || matches!(next, '`' | '"'))
}

fn joined(paragraph: &str) -> String {
    let mut text = String::new();
    for line in paragraph.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !text.is_empty() {
            text.push(if line.starts_with("- ") { '\n' } else { ' ' });
        }
        text.push_str(line);
    }
    text
}

/// `[label](target)` and `[label]` of code become their labels; an address stays, in brackets.
fn unlinked(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(next) = rest.find(['`', '[']) {
        let (before, from) = rest.split_at(next);
        plain.push_str(before);
        let (replacement, length) = match code_length(from) {
            Some(length) => (from[..length].to_owned(), length),
            None => link(from).unwrap_or_else(|| (from[..1].to_owned(), 1)),
        };
        plain.push_str(&replacement);
        rest = &from[length..];
    }
    plain + rest
}

/// The bytes of the code that a text begins with.
fn code_length(text: &str) -> Option<usize> {
    let end = text.strip_prefix('`')?.find('`')?;
    Some(end + 2)
}

/// The label of the link that a text begins with, and the link's length in bytes.
fn link(text: &str) -> Option<(String, usize)> {
    let end = text.find(']')?;
    let label = &text[1..end];
    if let Some(target) = text[end + 1..].strip_prefix('(') {
        let length = target.find(')')?;
        let target = &target[..length];
        let address = if target.starts_with("http") { format!(" ({target})") } else { String::new() };
        return Some((format!("{label}{address}"), end + length + 3));
    }
    let is_code = label.starts_with('`') && label.ends_with('`');
    is_code.then(|| (label.to_owned(), end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_paragraph_are_joined_and_items_of_a_list_are_not() {
        assert_eq!(plain("one\ntwo\n\nthree:\n- four\n  five\n- six"), "one two\n\nthree:\n- four five\n- six");
    }

    #[test]
    fn links_become_their_labels_and_code_stays_as_it_is() {
        for (comment, expected) in [
            ("see [`X`] and [`Y::z`](crate::Y::z)", "see `X` and `Y::z`"),
            ("[the paper](https://arxiv.org/abs/1)", "the paper (https://arxiv.org/abs/1)"),
            ("boxes `[left, top]`, with `[]` none, in [0, 1]", "boxes `[left, top]`, with `[]` none, in [0, 1]"),
        ] {
            assert_eq!(plain(comment), expected);
        }
    }

    #[test]
    fn a_sentence_ends_at_a_point_before_a_capital_and_not_within_code() {
        for (text, expected) in [
            ("One. Two.", "One."),
            ("Files `a. B` of arXiv 2306.16527. More", "Files `a. B` of arXiv 2306.16527."),
            ("No point\n\nNext", "No point"),
            ("Chinese, e.g. in pinyin. `x` follows", "Chinese, e.g. in pinyin."),
        ] {
            assert_eq!(first_sentence(text), expected);
        }
    }
}
