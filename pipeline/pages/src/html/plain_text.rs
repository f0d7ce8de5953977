//! The HTML that plain text becomes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What plain text becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlainText {
    /// A `p` for each paragraph; blank lines part them.
    #[default]
    Paragraphs,
    /// One `pre`, as in a browser.
    Preformatted,
}

/// Text as HTML that shows it.
pub fn html_of_text(text: &str, plain_text: PlainText) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    match plain_text {
        PlainText::Preformatted => {
            // A parser drops one line feed behind the tag, so that the text's own first one stays.
            html.push_str("<pre>\n");
            escape(text, &mut html);
            html.push_str("</pre>\n");
        }
        PlainText::Paragraphs => {
            for paragraph in paragraphs(text) {
                html.push_str("<p>");
                escape(paragraph, &mut html);
                html.push_str("</p>\n");
            }
        }
    }
    html
}

/// Runs of lines that are not blank, without the whitespace around them.
fn paragraphs(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut end) = (Vec::new(), None, 0);
    let mut offset = 0;
    for line in text.split_inclusive(['\n', '\r', '\u{c}']) {
        let next = offset + line.len();
        // The line feed of a carriage return before it is no line of its own.
        let is_rest = line == "\n" && text[..offset].ends_with('\r');
        if !line.trim().is_empty() {
            start = start.or(Some(offset));
            end = next;
        } else if let (Some(first), false) = (start, is_rest) {
            found.push(text[first..end].trim());
            start = None;
        }
        offset = next;
    }
    found.extend(start.map(|first| text[first..end].trim()));
    found
}

fn escape(text: &str, html: &mut String) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::parse::names::Name;
    use crate::html::tree::{Limits, Tree, parse};

    #[test]
    fn blank_lines_part_paragraphs_whatever_ends_a_line() {
        for text in
            ["one\ntwo\n\n \t\nthree", "\r\none\r\ntwo\r\n\r\nthree\r\n", "one\rtwo\r\rthree", "one\ntwo\u{c}\nthree"]
        {
            let lines: Vec<String> =
                paragraphs(text).iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            assert_eq!(lines, ["one two", "three"], "{text:?}");
        }
        assert_eq!(paragraphs(" \n\n"), Vec::<&str>::new());
    }

    /// All text of a tree.
    fn text_of(tree: &Tree<'_>) -> String {
        crate::html::measure::document_order(tree).into_iter().filter_map(|id| tree.text(id)).collect()
    }

    #[test]
    fn a_parser_reads_the_text_back() {
        let text = "\n a < b && c > d &amp; <script>x</script>\n\n</pre></p>";
        let html = html_of_text(text, PlainText::Preformatted);
        let tree = parse(&html, &Limits::default()).unwrap();
        assert_eq!(text_of(&tree), format!("{text}\n"));
        let html = html_of_text(text, PlainText::Paragraphs);
        let tree = parse(&html, &Limits::default()).unwrap();
        let order = crate::html::measure::document_order(&tree);
        assert_eq!(order.iter().filter(|id| tree.element(**id) == Some(Name::P)).count(), 2);
        assert_eq!(text_of(&tree).trim(), "a < b && c > d &amp; <script>x</script>\n</pre></p>");
    }
}
