//! What the reader of a split reads beyond it: a record that begins in a split goes on behind its end, and what is needed to
//! read it may stand elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::sources::{Piece, Split};

/// More ranges of one file than these are taken for one.
const MOST_RANGES: usize = 64;

/// Ranges of files, each in their order.
type Ranges = BTreeMap<String, Vec<Range<u64>>>;

/// What was read outside of a split.
#[derive(Debug)]
pub struct Beyond {
    split: Ranges,
    read: Mutex<Ranges>,
}

impl Beyond {
    /// Nothing was read yet.
    pub fn of(split: &Split) -> Self {
        let mut pieces = Ranges::new();
        for Piece { path, offset, length } in &split.pieces {
            add(pieces.entry(path.clone()).or_default(), *offset..offset + length);
        }
        Self { split: pieces, read: Mutex::default() }
    }

    /// What was read outside of the split, in its order.
    pub fn pieces(&self) -> Vec<Piece> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let of_path = |(path, ranges): (&String, &Vec<Range<u64>>)| {
            let piece =
                |range: &Range<u64>| Piece { path: path.clone(), offset: range.start, length: range.end - range.start };
            ranges.iter().map(piece).collect::<Vec<_>>()
        };
        read.iter().flat_map(of_path).collect()
    }

    /// A range that was read, or will be for a page of the split.
    pub fn note(&self, path: &str, range: Range<u64>) {
        let mut outside = vec![range];
        for inside in self.split.get(path).into_iter().flatten() {
            outside = outside.into_iter().flat_map(|range| without(range, inside)).collect();
        }
        if outside.is_empty() {
            return;
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let ranges = read.entry(path.to_owned()).or_default();
        outside.into_iter().for_each(|range| add(ranges, range));
    }
}

/// What lies before and behind another range.
fn without(range: Range<u64>, inside: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let before = range.start..range.end.min(inside.start);
    let behind = range.start.max(inside.end)..range.end;
    [before, behind].into_iter().filter(|range| !range.is_empty())
}

/// Keeps ranges in their order, and those that touch as one.
fn add(ranges: &mut Vec<Range<u64>>, mut new: Range<u64>) {
    if new.is_empty() {
        return;
    }
    ranges.retain(|range| {
        let apart = range.end < new.start || new.end < range.start;
        if !apart {
            new = new.start.min(range.start)..new.end.max(range.end);
        }
        apart
    });
    let at = ranges.partition_point(|range| range.start < new.start);
    ranges.insert(at, new);
    if ranges.len() > MOST_RANGES {
        *ranges = vec![ranges[0].start..ranges[ranges.len() - 1].end];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one_and_too_many_are_all() {
        let mut ranges = Vec::new();
        for range in [8..9, 0..2, 4..4, 2..3, 5..8] {
            add(&mut ranges, range);
        }
        assert_eq!(ranges, [0..3, 5..9]);
        (10..100).for_each(|start| add(&mut ranges, start * 10..start * 10 + 1));
        assert!(
            ranges.len() <= MOST_RANGES && ranges[0].start == 0 && ranges[ranges.len() - 1].end == 991,
            "{ranges:?}"
        );
    }

    #[test]
    fn what_lies_in_the_split_is_not_beyond_it() {
        assert_eq!(without(0..9, &(3..5)).collect::<Vec<_>>(), [0..3, 5..9]);
        assert_eq!(without(3..5, &(0..9)).count(), 0);
        assert_eq!(without(0..2, &(5..9)).collect::<Vec<_>>(), [0..2]);
    }
}
