//! Counts what a text repeats, in time that grows with the text alone.

use std::collections::{HashMap, HashSet};

use crate::plain_text::{chars, words};

/// Elements of a text that stood there before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// How many they are.
    pub count: usize,
    /// Their characters.
    pub chars: usize,
    /// How many elements there are.
    pub of: usize,
}

/// What is there again among these elements.
pub fn duplicates<'a>(elements: impl Iterator<Item = &'a str>) -> Duplicates {
    let mut seen = HashSet::new();
    let mut found = Duplicates::default();
    for element in elements {
        found.of += 1;
        if !seen.insert(element) {
            found.count += 1;
            found.chars += chars(element);
        }
    }
    found
}

/// What stands between empty lines.
pub fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(|paragraph| paragraph.trim_start_matches('\n')).filter(|paragraph| !paragraph.is_empty())
}

/// The words of a text, seen as n-grams of a length that grows.
///
/// Only n-grams that stand there at least twice are told apart, for a longer one can't be there twice if its beginning
/// isn't. Each is known by a number: that of its beginning and its last word make the number of the next.
#[derive(Debug)]
pub struct Text {
    n: usize,
    /// Each word's number.
    words: Vec<u32>,
    /// The characters before each word, without what stands between words; the last one is of all.
    chars_before: Vec<usize>,
    /// Where an n-gram begins that is there at least twice, with its number, in order.
    repeated: Vec<(u32, u32)>,
    /// How often each n-gram is there, by number.
    counts: Vec<u32>,
}

impl Text {
    /// A text's words, as n-grams of one.
    pub fn new(text: &str) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut text_of = Self { n: 1, words: vec![], chars_before: vec![0], repeated: vec![], counts: vec![] };
        let mut before = 0;
        for word in words(text) {
            let next = numbers.len() as u32;
            let number = *numbers.entry(word).or_insert(next);
            text_of.words.push(number);
            before += chars(word);
            text_of.chars_before.push(before);
        }
        text_of.repeated = (0..).zip(text_of.words.iter().copied()).collect();
        text_of
    }

    /// Goes on to n-grams of one word more.
    pub fn lengthen(&mut self) {
        let mut numbers: HashMap<u64, u32> = HashMap::with_capacity(self.repeated.len());
        let (mut found, mut counts) = (Vec::with_capacity(self.repeated.len()), Vec::<u32>::new());
        for (start, beginning) in &self.repeated {
            let Some(last) = self.words.get(*start as usize + self.n) else { continue };
            let next = counts.len() as u32;
            let number = *numbers.entry(u64::from(*beginning) << 32 | u64::from(*last)).or_insert(next);
            if number == next {
                counts.push(0);
            }
            counts[number as usize] += 1;
            found.push((*start, number));
        }
        found.retain(|(_, number)| counts[*number as usize] > 1);
        (self.n, self.repeated, self.counts) = (self.n + 1, found, counts);
    }

    /// Characters of the most frequent n-gram, as often as it is there, with a space between its words; of several the
    /// first.
    pub fn top_chars(&self) -> usize {
        let mut top = (0, 1);
        for (start, number) in &self.repeated {
            let count = self.counts[*number as usize];
            if count > top.1 {
                top = (*start as usize, count);
            }
        }
        let (start, count) = top;
        match self.chars_of(start) {
            Some(chars) => (chars + self.n - 1) * count as usize,
            None => 0,
        }
    }

    /// Characters of n-grams that stood there before, without what stands between words. Where one is found, the search
    /// goes on behind it; what it hides is not remembered.
    pub fn duplicate_chars(&self) -> usize {
        let mut seen = vec![false; self.counts.len()];
        let (mut chars, mut resume) = (0, 0);
        for (start, number) in &self.repeated {
            let (start, number) = (*start as usize, *number as usize);
            if start < resume {
                continue;
            }
            if seen[number] {
                chars += self.chars_of(start).unwrap_or_default();
                resume = start + self.n;
            }
            seen[number] = true;
        }
        chars
    }

    fn chars_of(&self, start: usize) -> Option<usize> {
        Some(self.chars_before.get(start + self.n)? - self.chars_before[start])
    }
}
