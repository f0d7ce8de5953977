//! The training table of a job: with a column per token where its objective has values for one, and with its rows' images
//! where it asks for them.

use arrow::datatypes::{Field, SchemaRef};
use pageloom_schemas::{columns, tables};

use crate::check::CheckedJob;
use crate::error::StepError;
use crate::job::Sequences;
use crate::objectives::TokenColumns;
use crate::packing::PackedRow;
use crate::sequence_images;

/// The table of a job's sequences, which are these.
pub fn sequences(checked: &CheckedJob, of: &Sequences) -> SchemaRef {
    let images = sequence_images::fields(&checked.job, checked.resources.images.as_ref());
    sequences_with(of.objective.token_columns(), of.objective.num_phases() > 1, images)
}

/// The table with these columns per token, in this order, with a phase of each row where there are several, and with these
/// columns of a row's images.
fn sequences_with(of_tokens: TokenColumns, phases: bool, images: Vec<Field>) -> SchemaRef {
    let positions = of_tokens.position_ids.then(|| columns::position_ids().field());
    let blocks = of_tokens.block_position_ids.then(|| columns::block_position_ids().field());
    let weights = of_tokens.loss_weights.then(|| columns::loss_weights().field());
    let segments = of_tokens.token_type_ids.then(|| columns::token_type_ids().field());
    let follows = of_tokens.token_type_ids.then(|| columns::next_sentence_label().field());
    let phase = phases.then(|| columns::phase().field());
    let of_tokens = [positions, blocks, weights, segments, follows, phase];
    tables::sequences(of_tokens.into_iter().flatten().chain(images))
}

/// An error where a row has what the table has no column for: it would be lost.
pub fn has_room_for(columns: TokenColumns, row: &PackedRow) -> Result<(), StepError> {
    let lost = (!columns.position_ids && !row.position_ids.is_empty())
        || (!columns.block_position_ids && !row.block_position_ids.is_empty())
        || (!columns.loss_weights && !row.loss_weights.is_empty())
        || (!columns.token_type_ids && !row.token_type_ids.is_empty());
    if lost { Err(StepError::Bug("an objective has columns that the training table has not".into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::{ObjectiveConfig, TokenDocument};
    use crate::packing::{PackingSettings, Passthrough};
    use crate::random::KeyedRandom;
    use crate::specials::Specials;

    #[test]
    fn every_objective_has_the_columns_that_it_needs_and_no_others() {
        let specials = Specials::consecutive(100, 256);
        for config in ObjectiveConfig::examples() {
            let (objective, columns) = (config.build(&specials), config.token_columns());
            let mut packer = Passthrough {}.build(&specials);
            let mut rows = Vec::new();
            for number in 0..200_u32 {
                let document = TokenDocument { tokens: (0..40).collect(), ..TokenDocument::default() };
                let mut random = KeyedRandom::new(0, "test", &number.to_le_bytes(), 0);
                for example in objective.apply(&document, &mut random) {
                    packer.push([0; 16], example, &mut rows);
                }
            }
            rows.iter().for_each(|row| has_room_for(columns, row).unwrap());
            let used = TokenColumns {
                position_ids: rows.iter().any(|row| !row.position_ids.is_empty()),
                block_position_ids: rows.iter().any(|row| !row.block_position_ids.is_empty()),
                loss_weights: rows.iter().any(|row| !row.loss_weights.is_empty()),
                token_type_ids: rows.iter().any(|row| !row.token_type_ids.is_empty()),
            };
            assert_eq!(used, columns, "{config:?}");
        }
    }
}
