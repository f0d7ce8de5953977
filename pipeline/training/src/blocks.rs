//! Joins documents into blocks of one length, for objectives that are published for packed blocks (CM3Leon, metaseq).
//!
//! Documents go in in their order, each followed by its end; where a block is full it is cut, and the rest goes on in the
//! next. A block is then given to the objective as if it were a document, with draws that are keyed by the block: see
//! [`random_key`]. Its examples are as long as a full block or shorter, so they go into rows of that length by the
//! packing `one_document`. The same documents in the same order give the same blocks, so whoever needs the same rows
//! however work is spread keeps one builder to a bucket.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::objectives::{TokenDocument, TokenId, runs_within};
use crate::packing::{Cuts, FillReport, ImagesAtCuts, Whole};
use crate::random::KeyedRandom;
use crate::specials::Specials;

/// Documents end to end, and where each stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// The tokens of all documents, each with its end, and their images. Only the last block of all is shorter than
    /// others, or one in front of an image that is kept whole.
    pub document: TokenDocument,
    /// What the block is made of, in order.
    pub parts: Vec<BlockPart>,
    /// How many blocks have begun in the document that this one begins in.
    pub number: u32,
}

/// A stretch of a block that comes from one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockPart {
    /// The document's key.
    pub document: [u8; 16],
    /// Where it stands in the block.
    pub tokens: Range<u32>,
    /// Where the stretch begins in the document. The document's end counts as its last token.
    pub document_offset: u32,
}

impl Block {
    /// The key of the first document.
    pub fn key(&self) -> [u8; 16] {
        self.parts.first().map_or([0; 16], |part| part.document)
    }

    /// The draws of this block under the job's seed: see [`random_key`].
    pub fn random(&self, seed: u64, purpose: &str, view: u32) -> KeyedRandom {
        KeyedRandom::new(seed, purpose, &random_key(&self.key(), self.number), view)
    }

    /// Which document this token of the block is from, and where it stands there; none behind the block's end.
    pub fn document_of(&self, token: u32) -> Option<([u8; 16], u32)> {
        let part = self.parts.get(self.parts.partition_point(|part| part.tokens.end <= token))?;
        Some((part.document, part.document_offset + token - part.tokens.start))
    }
}

/// What the draws of a block are keyed by: its first document and its number, so that no two blocks have the same, and a
/// block can be made again from the documents that it holds.
pub fn random_key(document: &[u8], number: u32) -> Vec<u8> {
    document.iter().copied().chain(number.to_le_bytes()).collect()
}

/// Makes blocks of documents, one document after another; whoever does it, the same documents in the same order give the
/// same blocks, and each token of theirs is in a block or counted as dropped.
pub trait JoinsDocuments: std::fmt::Debug + Send {
    /// Takes the document with this key, and appends the blocks that are now full.
    fn push(&mut self, key: [u8; 16], document: &TokenDocument, blocks: &mut Vec<Block>);

    /// Appends what is left.
    fn finish(&mut self, blocks: &mut Vec<Block>);

    /// How many of the documents, the last ones, may be in blocks to come.
    fn num_open(&self) -> usize;

    /// Tokens of blocks so far beyond those of each document once: documents' ends, or what a document gives to others.
    fn added_tokens(&self) -> u64;

    /// What the blocks so far are made of, and what was lost by making them; a block's missing tokens are its padding.
    fn report(&self) -> FillReport;
}

/// Makes blocks of documents end to end.
#[derive(Debug)]
pub struct BlockBuilder {
    length: usize,
    cuts: Cuts,
    end_of_document: TokenId,
    open: Block,
    num_ends: u64,
    report: FillReport,
}

impl BlockBuilder {
    /// Blocks of this many tokens, in which documents end in their token.
    pub fn new(length: NonZeroU32, images: ImagesAtCuts, specials: &Specials) -> Self {
        let (length, cuts) = (length.get() as usize, images.cuts(specials));
        let end_of_document = specials.end_of_document;
        let (open, report) = (Block::default(), FillReport::default());
        Self { length, cuts, end_of_document, open, num_ends: 0, report }
    }

    fn append(&mut self, key: [u8; 16], document: &TokenDocument, piece: Range<usize>) {
        if piece.is_empty() {
            return;
        }
        let block = &mut self.open.document;
        let (at, start, end) = (block.tokens.len() as u32, piece.start as u32, piece.end as u32);
        let num_tokens = document.tokens.len();
        block.tokens.extend_from_slice(&document.tokens[piece.start..piece.end.min(num_tokens)]);
        block.tokens.extend((piece.end > num_tokens).then_some(self.end_of_document));
        block.images.extend(runs_within(&document.images, start..end, at));
        block.retrieved.extend(runs_within(&document.retrieved, start..end, at));
        self.open.parts.push(BlockPart { document: key, tokens: at..at + end - start, document_offset: start });
    }

    fn close(&mut self, blocks: &mut Vec<Block>) {
        let block = std::mem::take(&mut self.open);
        self.report.count_row(self.length, self.length - block.document.tokens.len());
        blocks.push(block);
    }
}

impl JoinsDocuments for BlockBuilder {
    fn push(&mut self, key: [u8; 16], document: &TokenDocument, blocks: &mut Vec<Block>) {
        let length = document.tokens.len() + 1;
        self.num_ends += 1;
        let (mut start, mut num_begun, mut num_pieces) = (0, 0, 0);
        while start < length {
            let room = self.length - self.open.document.tokens.len();
            let whole = Whole { length, tokens: &document.tokens, labels: &[], images: &document.images };
            let cut = self.cuts.cut(whole, start, room, self.length, &mut self.report);
            if self.open.parts.is_empty() && start < cut.end {
                self.open.number = num_begun;
                num_begun += 1;
            }
            num_pieces += u32::from(start < cut.end);
            self.append(key, document, start..cut.end);
            if self.open.document.tokens.len() == self.length || cut.end < length {
                self.close(blocks);
            }
            self.report.cut_examples += u64::from(num_pieces == 1 && start < cut.end && cut.end < length);
            start = cut.next_start;
        }
    }

    fn finish(&mut self, blocks: &mut Vec<Block>) {
        if !self.open.parts.is_empty() {
            self.close(blocks);
        }
    }

    fn num_open(&self) -> usize {
        self.open.parts.len()
    }

    fn added_tokens(&self) -> u64 {
        self.num_ends
    }

    fn report(&self) -> FillReport {
        self.report
    }
}

#[cfg(test)]
mod tests;
