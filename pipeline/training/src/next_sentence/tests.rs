use std::collections::BTreeSet;

use super::*;
use crate::objectives::TokenId;

const SENTENCE_END: TokenId = 0;

/// A full stop and letters without end.
#[derive(Debug)]
struct Letters;

impl TextTokens for Letters {
    fn text(&self, tokens: &[TokenId]) -> Option<String> {
        Some(tokens.iter().map(|&token| if token == SENTENCE_END { '.' } else { 'a' }).collect())
    }

    fn tokens(&self, text: &str) -> Vec<TokenId> {
        vec![1; text.len()]
    }
}

/// A document of sentences of these lengths, each with a full stop at its end; other tokens count from `first`.
fn document(first: TokenId, lengths: &[u32]) -> TokenDocument {
    let mut tokens: Vec<TokenId> = (first..first + lengths.iter().sum::<u32>() as TokenId).collect();
    let mut end = 0;
    for length in lengths {
        end += *length as usize;
        tokens[end - 1] = SENTENCE_END;
    }
    TokenDocument { tokens, ..TokenDocument::default() }
}

fn key(number: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&number.to_le_bytes());
    key
}

fn builder(row_length: u32, short_seq_prob: f64) -> NextSentenceBuilder {
    builder_with(row_length, short_seq_prob, ImagesAtCuts::Cut)
}

fn builder_with(row_length: u32, short_seq_prob: f64, images: ImagesAtCuts) -> NextSentenceBuilder {
    let settings = NextSentence { short_seq_prob };
    NextSentenceBuilder::new(settings, (row_length, images), 7, &specials(), Arc::new(Letters))
}

fn specials() -> Specials {
    Specials::consecutive(1 << 20, 8)
}

/// The pairs of documents with the keys 0, 1, …
fn pairs(builder: &mut NextSentenceBuilder, documents: &[TokenDocument]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (number, document) in (0..).zip(documents) {
        builder.push(key(number), document, &mut blocks);
    }
    builder.finish(&mut blocks);
    blocks
}

fn many(count: u32) -> Vec<TokenDocument> {
    (0..count).map(|number| document(1 + number as TokenId * 100, &[5, 1 + number % 7, 9, 3, 12, 2])).collect()
}

fn follows(block: &Block) -> bool {
    block.document.passages[1].gold_step.is_some()
}

#[test]
fn each_segment_is_what_its_part_says_of_its_document() {
    let documents = many(200);
    for block in pairs(&mut builder(23, 0.1), &documents) {
        let [first, second] = &block.parts[..] else { panic!("{block:?}") };
        assert_eq!(follows(&block), first.document == second.document);
        for part in &block.parts {
            let number = u32::from_le_bytes(part.document[..4].try_into().unwrap());
            let whole = &documents[number as usize].tokens;
            let there = part.document_offset as usize..(part.document_offset + length(&part.tokens)) as usize;
            let here = part.tokens.start as usize..part.tokens.end as usize;
            assert_eq!(block.document.tokens[here], whole[there]);
        }
        assert_eq!(
            block.document.passages.iter().map(|passage| &passage.tokens).collect::<Vec<_>>(),
            [&first.tokens, &second.tokens]
        );
        assert!(!first.tokens.is_empty() && !second.tokens.is_empty() && block.document.tokens.len() <= 20);
    }
}

#[test]
fn a_segment_that_follows_begins_where_the_first_one_ends() {
    // Longer rows than any document, so that nothing is truncated.
    for block in pairs(&mut builder(1000, 0.0), &many(100)).iter().filter(|block| follows(block)) {
        let [first, second] = &block.parts[..] else { panic!("{block:?}") };
        assert_eq!(first.document_offset + length(&first.tokens), second.document_offset);
        assert_eq!(block.document.tokens[first.tokens.end as usize - 1], SENTENCE_END);
    }
}

#[test]
fn of_several_sentences_half_are_followed_by_another_documents() {
    // Two sentences fill a pair, so a document is one pair that is drawn once, or its second sentence stands alone.
    let documents = vec![document(1, &[10, 10]); 20_000];
    let blocks = pairs(&mut builder(23, 0.0), &documents);
    let drawn = blocks.iter().filter(|block| block.number == 0 && !follows(block)).count();
    // Four standard deviations.
    assert!(drawn.abs_diff(10_000) < 283, "{drawn}");
    // What would have followed begins the next pair, and is a sentence alone.
    let put_back: Vec<&Block> = blocks.iter().filter(|block| block.number == 1).collect();
    assert_eq!(put_back.len(), drawn);
    assert!(put_back.iter().all(|block| !follows(block) && block.parts[0].document_offset == 10));
}

#[test]
fn any_other_document_that_is_held_may_be_drawn_and_never_the_same() {
    let blocks = pairs(&mut builder(43, 0.0), &vec![document(1, &[10, 10, 10, 10]); 30_000]);
    let mut distances = BTreeSet::new();
    for [first, second] in blocks.iter().filter(|block| !follows(block)).map(|block| [&block.parts[0], &block.parts[1]])
    {
        let number = |part: &BlockPart| i64::from(u32::from_le_bytes(part.document[..4].try_into().unwrap()));
        distances.insert(number(second) - number(first));
    }
    let group = GROUP as i64;
    let expected: BTreeSet<i64> = (1 - group..2 * group).filter(|distance| *distance != 0).collect();
    assert!(!distances.contains(&0));
    assert!(distances.is_superset(&expected), "{distances:?}");
    // The last group has up to twice as many.
    assert!(distances.iter().all(|distance| distance.unsigned_abs() < 2 * GROUP as u64));
}

#[test]
fn every_token_of_a_document_is_kept_once_or_counted() {
    for (row_length, short) in [(8, 0.0), (23, 0.1), (23, 1.0), (1000, 0.1)] {
        let documents = many(300);
        let mut builder = builder(row_length, short);
        let blocks = pairs(&mut builder, &documents);
        let num_in: usize = documents.iter().map(|document| document.tokens.len()).sum();
        let num_out: usize = blocks.iter().map(|block| block.document.tokens.len()).sum();
        let (added, dropped) = (builder.added_tokens(), builder.report().dropped_tokens);
        assert_eq!(num_in as u64 + added, num_out as u64 + dropped);
        assert_eq!(builder.num_open(), 0);
    }
}

#[test]
fn the_longer_segment_loses_tokens_at_either_end() {
    let mut starts = BTreeSet::new();
    for number in 0..200 {
        let (mut first, mut second) = (0..10, 20..100);
        truncate(&mut first, &mut second, 40, &mut KeyedRandom::new(0, "test", &key(number), 0));
        assert_eq!((first, length(&second)), (0..10, 30));
        starts.insert(second.start);
    }
    assert!(starts.len() > 10, "{starts:?}");
    let (mut first, mut second) = (0..50, 0..50);
    truncate(&mut first, &mut second, 41, &mut KeyedRandom::new(0, "test", b"", 0));
    assert_eq!((length(&first), length(&second)), (21, 20));
}

#[test]
fn a_document_without_others_is_followed_by_itself_or_dropped() {
    let mut alone = builder(23, 0.0);
    let blocks = pairs(&mut alone, &[document(1, &[4, 4, 4])]);
    assert!(blocks.iter().all(follows) && blocks.len() == 1);
    let mut alone = builder(23, 0.0);
    assert_eq!(pairs(&mut alone, &[document(1, &[4])]), []);
    assert_eq!((alone.report().dropped_tokens, alone.report().cut_examples), (4, 1));
}

#[test]
fn a_long_sentence_without_other_documents_is_dropped_alone() {
    let mut alone = builder(128, 0.0);
    let blocks = pairs(&mut alone, &[document(1, &[200, 10, 10])]);
    assert_eq!(blocks.iter().map(|block| block.document.tokens.len()).collect::<Vec<_>>(), [20]);
    assert_eq!(alone.report().dropped_tokens, 200);
}

#[test]
fn images_are_where_their_tokens_are() {
    let with_image = TokenDocument { images: vec![12..16], ..document(1, &[10, 10, 10]) };
    for block in pairs(&mut builder(1000, 0.0), &vec![with_image; 50]) {
        for image in &block.document.images {
            let tokens = &block.document.tokens[image.start as usize..image.end as usize];
            assert_eq!(tokens, [13, 14, 15, 16]);
        }
        let num_first = block.document.tokens.iter().filter(|&&token| token == 13).count();
        assert_eq!(block.document.images.len(), num_first);
    }
}

#[test]
fn the_same_documents_give_the_same_pairs() {
    let documents = many(300);
    assert_eq!(pairs(&mut builder(23, 0.1), &documents), pairs(&mut builder(23, 0.1), &documents));
}

// Sentences of 24 tokens, of which 8 are an image and the one behind them is a break; each segment is ten tokens of one.
#[test]
fn images_at_the_ends_of_segments_are_kept_whole_or_dropped_as_asked() {
    let mut page = document(1, &[24, 24]);
    page.images = vec![8..16, 32..40];
    [16, 40].into_iter().for_each(|position| page.tokens[position] = specials().break_);
    for (images, starts, ends) in [
        (ImagesAtCuts::Cut, true, true),
        (ImagesAtCuts::DropRest, false, true),
        (ImagesAtCuts::KeepWhole, false, false),
    ] {
        let mut builder = builder_with(23, 0.0, images);
        let blocks = pairs(&mut builder, &vec![page.clone(); 200]);
        let (mut inside_at_start, mut inside_at_end, mut num_cut) = (false, false, 0);
        for part in blocks.iter().flat_map(|block| &block.parts) {
            let (start, end) = (part.document_offset, part.document_offset + length(&part.tokens));
            let is_inside = |at: u32| page.images.iter().any(|image| image.start < at && at < image.end);
            inside_at_start |= is_inside(start);
            inside_at_end |= is_inside(end);
            num_cut += u64::from(is_inside(start)) + u64::from(is_inside(end));
            assert!(start < end && (images == ImagesAtCuts::Cut || page.tokens[start as usize] != specials().break_));
        }
        assert_eq!((inside_at_start, inside_at_end), (starts, ends), "{images:?}");
        assert_eq!(builder.report().cut_images, num_cut);
        assert!(blocks.iter().any(|block| !block.document.images.is_empty()));
    }
}
