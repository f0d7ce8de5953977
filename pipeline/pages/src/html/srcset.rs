//! The candidates of a `srcset` attribute (WHATWG HTML, 4.8.4.3.10).

/// The URL with the largest descriptor; the first of equals. Widths and densities never stand together.
pub fn largest_candidate(srcset: &str) -> Option<&str> {
    let mut best: Option<(&str, f64)> = None;
    for (url, size) in candidates(srcset) {
        if best.is_none_or(|(_, largest)| size > largest) {
            best = Some((url, size));
        }
    }
    best.map(|(url, _)| url)
}

/// Each URL with its width or density; without a descriptor it is 1.
fn candidates(srcset: &str) -> Vec<(&str, f64)> {
    let mut found = Vec::new();
    let mut rest = srcset;
    loop {
        rest = rest.trim_start_matches(|character: char| character.is_ascii_whitespace() || character == ',');
        if rest.is_empty() {
            return found;
        }
        let end = rest.find(|character: char| character.is_ascii_whitespace()).unwrap_or(rest.len());
        let (url, after) = rest.split_at(end);
        // A comma ends a URL without descriptors; inside of one it is part of it, as in `data:` URLs.
        if let Some(bare) = url.strip_suffix(',') {
            found.push((bare.trim_end_matches(','), 1.0));
            rest = after;
            continue;
        }
        let (descriptors, later) = descriptors(after);
        if let Some(size) = size(descriptors) {
            found.push((url, size));
        }
        rest = later;
    }
}

/// The descriptors up to the next comma outside of parentheses, and what follows.
fn descriptors(text: &str) -> (&str, &str) {
    let mut open = 0u32;
    for (index, character) in text.char_indices() {
        match character {
            '(' => open += 1,
            ')' => open = open.saturating_sub(1),
            ',' if open == 0 => return (&text[..index], &text[index + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// The width or density among some descriptors; `None` if one of them is broken.
fn size(descriptors: &str) -> Option<f64> {
    let mut size = 1.0;
    for descriptor in descriptors.split_ascii_whitespace() {
        let number = descriptor.strip_suffix(['w', 'x', 'h'])?.parse::<f64>().ok().filter(|number| *number >= 0.0)?;
        if !descriptor.ends_with('h') {
            size = number;
        }
    }
    Some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(srcset: &str, expected: Option<&str>) {
        assert_eq!(largest_candidate(srcset), expected, "{srcset}");
    }

    #[test]
    fn the_largest_width_or_density_wins() {
        check("a.png 320w, b.png 1280w,c.png 640w", Some("b.png"));
        check("a.png, b.png 2x", Some("b.png"));
        check("a.png,\n b.png", Some("a.png"));
    }

    #[test]
    fn a_comma_inside_a_url_is_part_of_it() {
        check("data:image/png;base64,AAAA 1x, b.png 2x", Some("b.png"));
        check("data:image/png;base64,AAAA 3x, b.png 2x", Some("data:image/png;base64,AAAA"));
    }

    #[test]
    fn a_broken_candidate_is_passed_over() {
        check("a.png 10q, b.png 5w", Some("b.png"));
        check(" , ,", None);
    }
}
