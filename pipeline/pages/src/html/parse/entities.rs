//! Character references: `&amp;`, `&#38;` and their kin.

/// The WHATWG list: a line per name, in order, with its code points; a star where the semicolon may be missing.
const LIST: &str = include_str!("entities.txt");
const COUNT: usize = 2125;
/// The longest name that stands without a semicolon.
const LONGEST_BARE: usize = 6;
const LONGEST: usize = 32;

/// Where each line of the list begins.
static LINES: [u16; COUNT + 1] = {
    let mut lines = [0; COUNT + 1];
    let (mut line, mut at) = (0, 0);
    while at < LIST.len() {
        if LIST.as_bytes()[at] == b'\n' {
            line += 1;
            lines[line] = at as u16 + 1;
        }
        at += 1;
    }
    lines
};

/// Where a reference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Text,
    Attribute,
}

/// Adds what a reference stands for to `out`. `after` is the page from behind the `&` on; the answer is how many bytes
/// of it belong to the reference, or `None` if it is none (WHATWG HTML, 13.2.5.72 to 13.2.5.80).
pub fn resolve(after: &[u8], place: Place, out: &mut String) -> Option<usize> {
    match after.first()? {
        b'#' => resolve_number(after, out),
        first if first.is_ascii_alphabetic() => resolve_name(after, place, out),
        _ => None,
    }
}

fn resolve_number(after: &[u8], out: &mut String) -> Option<usize> {
    let (radix, start) = if matches!(after.get(1), Some(b'x' | b'X')) { (16, 2) } else { (10, 1) };
    let mut value = 0u32;
    let mut at = start;
    while let Some(digit) = after.get(at).and_then(|byte| char::from(*byte).to_digit(radix)) {
        value = value.saturating_mul(radix).saturating_add(digit);
        at += 1;
    }
    if at == start {
        return None;
    }
    out.push(character(value));
    Some(at + usize::from(after.get(at) == Some(&b';')))
}

/// The character of a number; 0x80 to 0x9F are those of windows-1252.
fn character(value: u32) -> char {
    const WINDOWS: [u16; 32] = [
        0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d,
        0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d,
        0x17e, 0x178,
    ];
    let value = match value {
        0 => 0xfffd,
        0x80..=0x9f => u32::from(WINDOWS[value as usize - 0x80]),
        other => other,
    };
    char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn resolve_name(after: &[u8], place: Place, out: &mut String) -> Option<usize> {
    let length = after.iter().take(LONGEST).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if after.get(length) == Some(&b';')
        && let Some(line) = find(&after[..length])
    {
        push_characters(line, out);
        return Some(length + 1);
    }
    for length in (2..=length.min(LONGEST_BARE)).rev() {
        let Some(line) = find(&after[..length]).filter(|line| line.as_bytes()[length] == b'*') else { continue };
        let next = after.get(length).copied().unwrap_or_default();
        if place == Place::Attribute && (next == b'=' || next.is_ascii_alphanumeric()) {
            return None;
        }
        push_characters(line, out);
        return Some(length);
    }
    None
}

/// The line of a name.
fn find(name: &[u8]) -> Option<&'static str> {
    let (mut low, mut high) = (0, COUNT);
    while low < high {
        let middle = (low + high) / 2;
        let line = &LIST[LINES[middle] as usize..LINES[middle + 1] as usize - 1];
        let end = line.bytes().position(|byte| !byte.is_ascii_alphanumeric())?;
        match line.as_bytes()[..end].cmp(name) {
            std::cmp::Ordering::Equal => return Some(line),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

fn push_characters(line: &str, out: &mut String) {
    let points = line.split(' ').skip(1);
    out.extend(points.filter_map(|point| u32::from_str_radix(point, 16).ok()).filter_map(char::from_u32));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(page: &str, place: Place, expected: Option<(usize, &str)>) {
        let mut out = String::new();
        let length = resolve(page.as_bytes(), place, &mut out);
        assert_eq!(length.map(|length| (length, out.as_str())), expected, "{page}");
    }

    #[test]
    fn the_list_is_in_order() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert_eq!(lines.len(), COUNT);
        for line in lines {
            let name = line.split([' ', '*']).next().unwrap();
            assert_eq!(find(name.as_bytes()), Some(line));
        }
    }

    #[test]
    fn the_longest_name_wins_and_some_need_no_semicolon() {
        check("notin;", Place::Text, Some((6, "\u{2209}")));
        check("notit;", Place::Text, Some((3, "\u{ac}")));
        check("hellip ", Place::Text, None);
        check("nGt;", Place::Text, Some((4, "\u{226b}\u{20d2}")));
    }

    #[test]
    fn a_parameter_of_a_url_is_no_reference() {
        check("copy=1", Place::Attribute, None);
        check("copy=1", Place::Text, Some((4, "\u{a9}")));
        check("copy;=1", Place::Attribute, Some((5, "\u{a9}")));
    }

    #[test]
    fn numbers_mean_what_browsers_make_of_them() {
        check("#x41;", Place::Text, Some((5, "A")));
        check("#128", Place::Text, Some((4, "\u{20ac}")));
        check("#0;", Place::Text, Some((3, "\u{fffd}")));
        check("#99999999999;", Place::Text, Some((13, "\u{fffd}")));
        check("#xd800;", Place::Text, Some((7, "\u{fffd}")));
        check("#x;", Place::Text, None);
    }
}
