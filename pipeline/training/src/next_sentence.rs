//! Cuts documents into pairs of segments, of which the second follows the first or is another document's (BERT, arXiv
//! 1810.04805 section 3.1; `create_pretraining_data.py`).
//!
//! Sentences are taken until there are as many tokens as fit; of several, some are the first segment. Half of the time the
//! second one is what follows. Else, and where there is one sentence alone, it is another document's from a drawn sentence
//! on, and what would have followed begins the next pair. What is too long loses tokens at drawn ends of the longer segment,
//! and what of an image is left there as `image_spans` of the packing says.
//!
//! Other documents are those that come near this one in the global order, which is drawn by their keys: two groups of
//! [`GROUP`] are held, and not the corpus. A pair is given to the objective as a block is: see [`crate::blocks`].

use std::ops::Range;
use std::sync::Arc;

use crate::blocks::{Block, BlockPart, JoinsDocuments};
use crate::objectives::{NextSentence, Passage, Specials, TextTokens, TokenDocument, ends_sentence};
use crate::packing::{Cuts, FillReport, ImagesAtCuts, Whole};
use crate::random::{KeyedRandom, KeyedStreams};

/// As many documents are cut at once, each with at least as many others to draw from, if there are that many.
pub const GROUP: usize = 64;

/// Tokens of a row that are in no segment: one in front of the first, one behind each.
const AROUND: u32 = 3;

/// Makes pairs of documents, one document after another.
#[derive(Debug)]
pub struct NextSentenceBuilder {
    settings: NextSentence,
    /// Tokens of both segments.
    most: u32,
    cuts: Cuts,
    streams: KeyedStreams,
    specials: Specials,
    text: Arc<dyn TextTokens>,
    held: Vec<Held>,
    drawn_tokens: u64,
    report: FillReport,
}

#[derive(Debug)]
struct Held {
    key: [u8; 16],
    document: TokenDocument,
    sentences: Vec<Range<u32>>,
}

impl NextSentenceBuilder {
    /// Pairs for rows of this many tokens, which treat images so, by the draws of a job's seed.
    pub fn new(
        settings: NextSentence,
        (row_length, images): (u32, ImagesAtCuts),
        seed: u64,
        specials: &Specials,
        text: Arc<dyn TextTokens>,
    ) -> Self {
        Self {
            settings,
            most: row_length.saturating_sub(AROUND).max(2),
            cuts: images.cuts(specials),
            streams: KeyedStreams::new(seed, "next_sentence"),
            specials: *specials,
            text,
            held: Vec::new(),
            drawn_tokens: 0,
            report: FillReport::default(),
        }
    }

    fn sentences(&self, document: &TokenDocument) -> Vec<Range<u32>> {
        let mut sentences = Vec::new();
        let mut start = 0;
        for (position, &token) in (1..).zip(&document.tokens) {
            if position == document.tokens.len() as u32 || ends_sentence(token, &self.specials, self.text.as_ref()) {
                sentences.push(start..position);
                start = position;
            }
        }
        sentences
    }

    fn cut_first(&mut self, count: usize, blocks: &mut Vec<Block>) {
        for index in 0..count {
            self.cut(index, blocks);
        }
        self.held.drain(..count);
    }

    fn cut(&mut self, index: usize, blocks: &mut Vec<Block>) {
        let Held { key, document, sentences } = &self.held[index];
        let random = &mut self.streams.of(key, 0);
        let is_short = random.happens(self.settings.short_seq_prob);
        let target = if is_short { random.within(2, self.most + 1) } else { self.most };
        let (mut next, mut number, mut kept) = (0, 0, 0);
        while next < sentences.len() {
            let chunk = next..enough(sentences, next, target);
            let split = next + if chunk.len() > 1 { random.within(1, chunk.len() as u32) as usize } else { 1 };
            let mut first = sentences[next].start..sentences[split - 1].end;
            let draws = chunk.len() == 1 || random.happens(0.5);
            let drawn = if draws { self.drawn(index, target.saturating_sub(length(&first)), random) } else { None };
            let (other, mut second) = match drawn {
                Some((other, second)) => (other, second),
                None if split < chunk.end => (index, sentences[split].start..sentences[chunk.end - 1].end),
                // A sentence alone in a bucket with no other document.
                None => {
                    next = chunk.end;
                    continue;
                }
            };
            truncate(&mut first, &mut second, self.most, random);
            first = self.without_parts(index, first);
            second = self.without_parts(other, second);
            next = if other == index { chunk.end } else { split };
            kept += u64::from(length(&first));
            match other == index {
                true => kept += u64::from(length(&second)),
                false => self.drawn_tokens += u64::from(length(&second)),
            }
            let segments = [(&self.held[index], first), (&self.held[other], second)];
            self.report.cut_images +=
                segments.iter().map(|(of, segment)| cut_images(&of.document, segment)).sum::<u64>();
            let block = pair(segments, number);
            let num_tokens = block.document.tokens.len();
            self.report.count_row(self.most as usize, self.most as usize - num_tokens);
            blocks.push(block);
            number += 1;
        }
        let lost = document.tokens.len() as u64 - kept;
        self.report.dropped_tokens += lost;
        self.report.cut_examples += u64::from(number > 1 || lost > 0);
    }

    // A segment of this document, without what its ends have left of images.
    fn without_parts(&self, index: usize, segment: Range<u32>) -> Range<u32> {
        let TokenDocument { tokens, images, .. } = &self.held[index].document;
        self.cuts.without_parts(Whole { length: tokens.len(), tokens, labels: &[], images }, segment, self.most)
    }

    // Another document, and so many of its tokens from a drawn sentence on, to the end of one.
    fn drawn(&self, index: usize, wanted: u32, random: &mut KeyedRandom) -> Option<(usize, Range<u32>)> {
        let num_others = self.held.len().saturating_sub(1) as u32;
        if num_others == 0 {
            return None;
        }
        let drawn = random.within(0, num_others) as usize;
        let other = if drawn < index { drawn } else { drawn + 1 };
        let sentences = &self.held[other].sentences;
        if sentences.is_empty() {
            return None;
        }
        let start = random.within(0, sentences.len() as u32) as usize;
        let end = enough(sentences, start, wanted);
        Some((other, sentences[start].start..sentences[end - 1].end))
    }
}

impl JoinsDocuments for NextSentenceBuilder {
    fn push(&mut self, key: [u8; 16], document: &TokenDocument, blocks: &mut Vec<Block>) {
        self.held.push(Held { key, document: document.clone(), sentences: self.sentences(document) });
        if self.held.len() == 2 * GROUP {
            self.cut_first(GROUP, blocks);
        }
    }

    fn finish(&mut self, blocks: &mut Vec<Block>) {
        self.cut_first(self.held.len(), blocks);
    }

    fn num_open(&self) -> usize {
        self.held.len()
    }

    fn added_tokens(&self) -> u64 {
        self.drawn_tokens
    }

    fn report(&self) -> FillReport {
        self.report
    }
}

// Behind which sentence there are so many tokens from this one on, or none left; at least behind this one.
fn enough(sentences: &[Range<u32>], from: usize, wanted: u32) -> usize {
    let start = sentences[from].start;
    let last = sentences[from..].iter().position(|sentence| sentence.end - start >= wanted);
    last.map_or(sentences.len(), |last| from + last + 1)
}

fn truncate(first: &mut Range<u32>, second: &mut Range<u32>, most: u32, random: &mut KeyedRandom) {
    while length(first) + length(second) > most {
        let longer = if length(first) > length(second) { &mut *first } else { &mut *second };
        if random.happens(0.5) {
            longer.start += 1;
        } else {
            longer.end -= 1;
        }
    }
}

fn length(segment: &Range<u32>) -> u32 {
    segment.end - segment.start
}

// How often this segment begins or ends inside an image.
fn cut_images(document: &TokenDocument, segment: &Range<u32>) -> u64 {
    let is_inside = |at: u32| document.images.iter().any(|image| image.start < at && at < image.end);
    u64::from(is_inside(segment.start)) + u64::from(is_inside(segment.end))
}

// The two segments as passages of one context, of which one that does not follow is noise.
fn pair([(of_first, first), (of_second, second)]: [(&Held, Range<u32>); 2], number: u32) -> Block {
    let follows = of_first.key == of_second.key;
    let mut document = TokenDocument::default();
    let mut parts = Vec::with_capacity(2);
    for (held, segment, gold_step) in [(of_first, first, Some(0)), (of_second, second, follows.then_some(1))] {
        let at = document.tokens.len() as u32;
        let piece = held.document.piece(segment.clone());
        let moved = |run: Range<u32>| run.start + at..run.end + at;
        let tokens = at..at + length(&segment);
        document.tokens.extend(piece.tokens);
        document.images.extend(piece.images.into_iter().map(moved));
        document.retrieved.extend(piece.retrieved.into_iter().map(moved));
        document.passages.push(Passage { tokens: tokens.clone(), gold_step });
        parts.push(BlockPart { document: held.key, tokens, document_offset: segment.start });
    }
    Block { document, parts, number }
}

#[cfg(test)]
mod tests;
