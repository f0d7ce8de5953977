//! Letters of three by five pixels, to name what is drawn.

/// Columns of a letter, with the empty one behind it.
pub(super) const WIDTH: usize = 4;
/// Rows of a letter.
pub(super) const HEIGHT: usize = 5;

// From `a` to `z`: five rows from the top, an octal digit each, whose highest bit is the left column.
const LETTERS: [u16; 26] = [
    0o25755, 0o65656, 0o34443, 0o65556, 0o74647, 0o74644, 0o34553, 0o55755, 0o72227, 0o11152, 0o55655, 0o44447,
    0o57755, 0o65555, 0o25552, 0o65644, 0o25563, 0o65655, 0o34216, 0o72222, 0o55557, 0o55552, 0o55775, 0o55255,
    0o55222, 0o71247,
];
const DIGITS: [u16; 10] = [0o75557, 0o26227, 0o61247, 0o61216, 0o55711, 0o74616, 0o34757, 0o71222, 0o75757, 0o75716];

/// Whether this pixel of a letter is drawn; nothing is of what is neither a small letter, a digit nor `_`.
pub(super) fn is_drawn(letter: u8, row: usize, column: usize) -> bool {
    let rows = match letter {
        b'a'..=b'z' => LETTERS[usize::from(letter - b'a')],
        b'0'..=b'9' => DIGITS[usize::from(letter - b'0')],
        b'_' => 0o00007,
        _ => 0,
    };
    row < HEIGHT && column < WIDTH - 1 && rows >> (3 * (HEIGHT - 1 - row) + (2 - column)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_look_like_themselves() {
        let drawn = |letter: u8| {
            let row = |row| (0..3).map(|column| if is_drawn(letter, row, column) { '#' } else { '.' }).collect();
            (0..HEIGHT).map(row).collect::<Vec<String>>().join(" ")
        };
        assert_eq!(drawn(b'a'), ".#. #.# ### #.# #.#");
        assert_eq!(drawn(b'2'), "##. ..# .#. #.. ###");
        assert_eq!(drawn(b'_'), "... ... ... ... ###");
        assert_eq!(drawn(b' '), "... ... ... ... ...");
    }
}
