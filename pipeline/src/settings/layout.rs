//! Lays text out in lines of a width.

/// Lines of text, indented and broken at spaces.
#[derive(Debug)]
pub struct Layout {
    width: usize,
    lines: String,
}

impl Layout {
    /// An empty page whose lines have no more characters than this, but for words that are longer.
    pub fn new(width: usize) -> Self {
        Self { width, lines: String::new() }
    }

    /// Adds a plain text; each of its lines begins so far from the left.
    pub fn text(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            self.line(indent, if line.starts_with("- ") { indent + 2 } else { indent }, line);
        }
    }

    /// Adds a name with what is said of it, which begins at this column.
    pub fn entry(&mut self, indent: usize, column: usize, name: &str, said: &str) {
        let padding = column.saturating_sub(indent + name.chars().count()).max(1);
        // The padding must not be broken.
        let name = format!("{name}{}", "\u{a0}".repeat(padding - 1));
        self.line(indent, column, &format!("{name} {said}"));
    }

    /// Adds one line, and those that it is broken into, which begin further to the right.
    pub fn line(&mut self, indent: usize, hanging: usize, line: &str) {
        let (mut current, mut empty) = (" ".repeat(indent), true);
        for word in line.split(' ') {
            if !empty && current.chars().count() + 1 + word.chars().count() > self.width {
                self.push(&current);
                (current, empty) = (" ".repeat(hanging), true);
            }
            if !empty {
                current.push(' ');
            }
            current.push_str(word);
            empty = false;
        }
        self.push(&current);
    }

    fn push(&mut self, line: &str) {
        self.lines.push_str(line.trim_end());
        self.lines.push('\n');
    }

    /// Everything that was added.
    pub fn finish(self) -> String {
        self.lines.replace('\u{a0}', " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_the_width_and_hang() {
        let mut layout = Layout::new(16);
        layout.entry(2, 6, "ab", "one two three four");
        layout.text(2, "- five six seven");
        assert_eq!(layout.finish(), "  ab  one two\n      three four\n  - five six\n    seven\n");
    }

    #[test]
    fn a_word_longer_than_the_width_has_a_line_of_its_own() {
        let mut layout = Layout::new(4);
        layout.text(0, "a pneumonoultra b");
        assert_eq!(layout.finish(), "a\npneumonoultra\nb\n");
    }
}
