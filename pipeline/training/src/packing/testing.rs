//! What the packers' tests share.

use super::{FillReport, PackedRow, PackingSettings};
use crate::objectives::{Example, TokenId};
use crate::specials::Specials;

/// Tokens 10, 11, … in one example of each length.
pub(super) fn examples(lengths: &[usize]) -> Vec<Example> {
    let example = |&length: &usize| {
        let input_ids: Vec<TokenId> = (10..).take(length).collect();
        Example { labels: input_ids.clone(), input_ids, ..Example::default() }
    };
    lengths.iter().map(example).collect()
}

/// All rows of these examples, with 0 as padding, and what is counted.
pub(super) fn pack_all(settings: &impl PackingSettings, examples: Vec<Example>) -> (Vec<PackedRow>, FillReport) {
    let mut packer = settings.build(&Specials { pad: 0, ..Specials::consecutive(1000, 4) });
    let mut rows = Vec::new();
    for (number, example) in (0_u128..).zip(examples) {
        packer.push(number.to_le_bytes(), example, &mut rows);
    }
    packer.finish(&mut rows);
    (rows, packer.report())
}

pub(super) fn ids(rows: &[PackedRow]) -> Vec<&[TokenId]> {
    rows.iter().map(|row| row.input_ids.as_slice()).collect()
}
