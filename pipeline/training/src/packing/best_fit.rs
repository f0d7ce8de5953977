//! Puts each example into the row that it fills best, so that documents are cut only if they are longer than a row.

use std::collections::{BTreeSet, VecDeque};
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cut::LongCuts;
use super::row::Spares;
use super::{FillReport, ImagesAtCuts, LongExamples, PackedRow, Packer, PackingSettings, RowLength};
use crate::objectives::{Example, TokenId};
use crate::specials::Specials;

/// Settings of `best_fit`.
///
/// Examples are gathered in a window; when it is full, they are placed from the longest to the shortest, each into the
/// open row with the least room that it fits into, or into a new one ("best fit decreasing"). The rows with the most
/// room stay open for the next window. Rows are the same for the same examples in the same order. Those of a full
/// window are made one by one while the next is gathered, so that no more is held than a window and what is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BestFit {
    /// How many tokens a model sees at once.
    pub sequence_length: NonZeroU32,
    /// Whether rows have one token more than that.
    #[serde(default)]
    pub row_length: RowLength,
    /// What happens to an example that is longer than a row.
    #[serde(default)]
    pub long_examples: LongExamples,
    /// What happens to an image where a long example is cut.
    #[serde(default)]
    pub image_spans: ImagesAtCuts,
    /// So many tokens are gathered before any is placed. More fill rows better; each takes about 20 bytes of memory.
    #[serde(default = "default_window_tokens")]
    pub window_tokens: NonZeroU64,
}

fn default_window_tokens() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add((1 << 19) - 1)
}

impl PackingSettings for BestFit {
    fn example() -> Self {
        Self {
            sequence_length: NonZeroU32::MIN.saturating_add(2047),
            row_length: RowLength::Sequence,
            long_examples: LongExamples::Split,
            image_spans: ImagesAtCuts::KeepWhole,
            window_tokens: default_window_tokens(),
        }
    }

    fn check(&self) -> Vec<String> {
        super::check_row_length(self.sequence_length, self.row_length)
    }

    fn row_length(&self) -> Option<u32> {
        Some(self.row_length.of(self.sequence_length.get()))
    }

    fn build(&self, specials: &Specials) -> Box<dyn Packer> {
        let row_length = self.row_length.of(self.sequence_length.get()) as usize;
        Box::new(Window {
            settings: self.clone(),
            cuts: LongCuts { images: self.image_spans.cuts(specials), long_examples: self.long_examples },
            pad: specials.pad,
            row_length,
            pieces: Vec::new(),
            num_tokens: 0,
            open: Vec::new(),
            full: VecDeque::new(),
            by_room: BTreeSet::new(),
            spares: Spares::default(),
            report: FillReport::default(),
        })
    }
}

struct Window {
    settings: BestFit,
    cuts: LongCuts,
    pad: TokenId,
    row_length: usize,
    pieces: Vec<Piece>,
    num_tokens: u64,
    open: Vec<Plan>,
    // What rows will be made of, in their order.
    full: VecDeque<Plan>,
    // The room of each open row with its index.
    by_room: BTreeSet<(usize, usize)>,
    spares: Spares,
    report: FillReport,
}

// What will be in one row. Tokens are copied once, when the row is made.
struct Plan {
    pieces: Vec<Piece>,
    room: usize,
}

// What goes into one row. The pieces of a long example share it.
struct Piece {
    document: [u8; 16],
    example: Arc<Example>,
    range: Range<usize>,
}

impl Packer for Window {
    fn push(&mut self, key: [u8; 16], example: Example, rows: &mut Vec<PackedRow>) {
        let ranges = self.cuts.pieces(&example, self.row_length, &mut self.report);
        // An example counts with all its tokens, as they are held until its last piece is placed.
        self.num_tokens += example.input_ids.len() as u64;
        let example = Arc::new(example);
        let piece = |range| Piece { document: key, example: Arc::clone(&example), range };
        self.pieces.extend(ranges.into_iter().map(piece));
        if self.num_tokens >= self.settings.window_tokens.get() {
            self.place();
            let num_kept = (self.settings.window_tokens.get() / self.row_length as u64 / 8) as usize;
            self.close(num_kept);
        }
        let room = self.settings.window_tokens.get().saturating_sub(self.num_tokens);
        self.make(room / self.row_length as u64, rows);
    }

    fn finish(&mut self, rows: &mut Vec<PackedRow>) {
        self.place();
        self.close(0);
        self.make(0, rows);
    }

    fn reuse(&mut self, rows: &mut Vec<PackedRow>) {
        self.spares.take(rows);
    }

    fn report(&self) -> FillReport {
        self.report
    }
}

impl Window {
    fn place(&mut self) {
        self.pieces.sort_by_key(|piece| std::cmp::Reverse(piece.range.len()));
        for piece in self.pieces.drain(..) {
            let length = piece.range.len();
            let index = match self.by_room.range((length, 0)..).next().copied() {
                Some(fitting) => {
                    self.by_room.remove(&fitting);
                    fitting.1
                }
                None => {
                    self.open.push(Plan { pieces: Vec::new(), room: self.row_length });
                    self.open.len() - 1
                }
            };
            let plan = &mut self.open[index];
            plan.pieces.push(piece);
            plan.room -= length;
            if plan.room > 0 {
                self.by_room.insert((plan.room, index));
            }
        }
        self.num_tokens = 0;
    }

    // No row but this many takes more, those with the most room.
    fn close(&mut self, num_kept: usize) {
        let kept: BTreeSet<usize> = self.by_room.iter().rev().take(num_kept).map(|&(_, index)| index).collect();
        let mut still_open = Vec::with_capacity(kept.len());
        for (index, plan) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if kept.contains(&index) {
                still_open.push(plan);
            } else {
                self.full.push_back(plan);
            }
        }
        self.by_room = still_open.iter().enumerate().map(|(index, plan)| (plan.room, index)).collect();
        self.open = still_open;
    }

    // Makes full rows until no more than these are left.
    fn make(&mut self, num_left: u64, rows: &mut Vec<PackedRow>) {
        while self.full.len() as u64 > num_left {
            let Some(plan) = self.full.pop_front() else { return };
            let mut row = self.spares.row(self.row_length);
            for piece in plan.pieces {
                row.append(piece.document, &piece.example, piece.range);
            }
            self.report.count_row(self.row_length, row.room());
            rows.push(row.padded(self.pad));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{examples, ids, pack_all};
    use super::*;

    fn of_four(long_examples: LongExamples) -> BestFit {
        BestFit { sequence_length: NonZeroU32::MIN.saturating_add(3), long_examples, ..BestFit::example() }
    }

    #[test]
    fn the_longest_come_first_and_gaps_are_filled() {
        let (rows, report) = pack_all(&of_four(LongExamples::Split), examples(&[1, 3, 2, 2]));
        assert_eq!(ids(&rows), [[10, 11, 12, 10], [10, 11, 10, 11]]);
        assert_eq!(report, FillReport { rows: 2, tokens: 8, ..FillReport::default() });
    }

    #[test]
    fn a_long_example_is_split_and_counted() {
        let (rows, report) = pack_all(&of_four(LongExamples::Split), examples(&[6, 2]));
        assert_eq!(ids(&rows), [[10, 11, 12, 13], [14, 15, 10, 11]]);
        assert_eq!(report, FillReport { rows: 2, tokens: 8, cut_examples: 1, ..FillReport::default() });
    }

    #[test]
    fn the_end_of_a_long_example_is_dropped_and_counted() {
        let (rows, report) = pack_all(&of_four(LongExamples::DropEnd), examples(&[6]));
        assert_eq!(ids(&rows), [[10, 11, 12, 13]]);
        let expected = FillReport { rows: 1, tokens: 4, dropped_tokens: 2, cut_examples: 1, ..FillReport::default() };
        assert_eq!(report, expected);
    }
}
