//! Makes each example a row as long as it is, for trainers that pack by themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FillReport, PackedRow, Packer, PackingSettings};
use crate::objectives::Example;
use crate::specials::Specials;

/// Settings of `passthrough`, of which there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Passthrough {}

impl PackingSettings for Passthrough {
    fn example() -> Self {
        Self {}
    }

    fn check(&self) -> Vec<String> {
        Vec::new()
    }

    fn row_length(&self) -> Option<u32> {
        None
    }

    fn build(&self, _: &Specials) -> Box<dyn Packer> {
        Box::new(AsLongAsItIs { report: FillReport::default() })
    }
}

struct AsLongAsItIs {
    report: FillReport,
}

impl Packer for AsLongAsItIs {
    fn push(&mut self, key: [u8; 16], example: Example, rows: &mut Vec<PackedRow>) {
        let length = example.input_ids.len();
        if length == 0 {
            return;
        }
        self.report.count_row(length, 0);
        rows.push(PackedRow::of(key, example));
    }

    fn finish(&mut self, _: &mut Vec<PackedRow>) {}

    fn report(&self) -> FillReport {
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{examples, ids, pack_all};
    use super::*;

    #[test]
    fn rows_are_examples() {
        let (rows, _) = pack_all(&Passthrough {}, examples(&[2, 0, 3]));
        assert_eq!(ids(&rows), [&[10, 11][..], &[10, 11, 12]]);
    }
}
