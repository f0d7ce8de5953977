//! Packing: examples of any length become rows of one length.

mod best_fit;
mod concat_and_split;
mod cut;
mod one_document;
mod passthrough;
mod per_phase;
mod report;
mod row;

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use best_fit::BestFit;
pub use concat_and_split::ConcatAndSplit;
pub(crate) use cut::Cuts;
pub use cut::{ImagesAtCuts, LongExamples, RowLength};
pub use one_document::OneDocument;
pub use passthrough::Passthrough;
pub use per_phase::PerPhase;
pub use report::FillReport;
pub use row::{PackedRow, Segment, SourceRange};

use crate::objectives::{Example, ObjectiveConfig};
use crate::specials::Specials;

/// Puts examples, one after another, into rows.
///
/// Every token of every example comes out in exactly one row, with its label, or is counted as dropped.
pub trait Packer: Send {
    /// Takes the example of the document with this key, and appends the rows that are now full.
    fn push(&mut self, key: [u8; 16], example: Example, rows: &mut Vec<PackedRow>);

    /// Appends the rows that are not full, padded. What is pushed later starts new rows.
    fn finish(&mut self, rows: &mut Vec<PackedRow>);

    /// Takes back rows that are no longer needed, and makes others in their memory, which is a tenth faster.
    fn reuse(&mut self, rows: &mut Vec<PackedRow>) {
        rows.clear();
    }

    /// What the rows so far are made of, and what was lost by making them.
    fn report(&self) -> FillReport;
}

/// What a job file says about packing.
pub trait PackingSettings: Serialize + DeserializeOwned {
    /// Used in the docs and by the tests that every packer must pass.
    fn example() -> Self;

    /// What is wrong with these settings, in the user's words.
    fn check(&self) -> Vec<String>;

    /// The length of every row, in tokens; none where rows are as long as their examples.
    fn row_length(&self) -> Option<u32>;

    /// The packer, which fills up rows with this vocabulary's padding.
    fn build(&self, specials: &Specials) -> Box<dyn Packer>;
}

/// Makes the enum that a job file's `packing` table names, from the one list of all packers.
macro_rules! register {
    ($($(#[$about:meta])* $variant:ident($settings:ty),)+) => {
        /// The packing of a job, as its job file writes it: `concat_and_split = { sequence_length = 2048 }`.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum PackingConfig {
            $($(#[$about])* $variant($settings),)+
        }

        impl PackingConfig {
            /// One of each registered packing.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$variant(<$settings>::example()),)+]
            }

            /// What is wrong with the settings, in the user's words.
            pub fn check(&self) -> Vec<String> {
                match self { $(Self::$variant(settings) => settings.check(),)+ }
            }

            /// The length of every row, in tokens; none where rows are as long as their examples.
            pub fn row_length(&self) -> Option<u32> {
                match self { $(Self::$variant(settings) => settings.row_length(),)+ }
            }

            /// The packer of these settings, which fills up rows with this vocabulary's padding.
            pub fn build(&self, specials: &Specials) -> Box<dyn Packer> {
                match self { $(Self::$variant(settings) => settings.build(specials),)+ }
            }
        }
    };
}

register! {
    /// Examples end to end, cut wherever a row is full.
    ConcatAndSplit(ConcatAndSplit),
    /// Each example whole, in the row that it fills best.
    BestFit(BestFit),
    /// Each example in a row of its own.
    OneDocument(OneDocument),
    /// Each example as it is.
    Passthrough(Passthrough),
}

impl PackingConfig {
    /// The packer for examples of this objective: where they are for several phases of training, no row has two of them.
    pub fn build_for(&self, objective: &ObjectiveConfig, specials: &Specials) -> Box<dyn Packer> {
        match objective.num_phases() {
            1 => self.build(specials),
            _ => Box::new(PerPhase::new(self.clone(), objective.clone(), specials)),
        }
    }
}

// More tokens than any model reads at once, and few enough for memory to be reserved.
const LONGEST_ROW: u32 = 1 << 24;

// What is wrong with rows of this length.
fn check_row_length(sequence_length: NonZeroU32, row_length: RowLength) -> Vec<String> {
    if row_length.of(sequence_length.get()) == 1 {
        return vec!["sequence_length is 1, but the first token of a row has nothing to be predicted from".to_owned()];
    }
    if sequence_length.get() > LONGEST_ROW {
        return vec![format!("sequence_length is {sequence_length}, but a row has at most {LONGEST_ROW} tokens")];
    }
    Vec::new()
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_no_memory_holds_is_refused() {
        let problems = |length| check_row_length(NonZeroU32::new(length).unwrap(), RowLength::Sequence).len();
        assert_eq!([LONGEST_ROW, LONGEST_ROW + 1, u32::MAX].map(problems), [0, 1, 1]);
    }
}
