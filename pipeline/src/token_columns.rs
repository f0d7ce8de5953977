//! Which columns per token the training table of a job has: those that its objective needs.

use pageloom_schemas::tables::TokenColumns;

use crate::error::StepError;
use crate::job::Job;
use crate::objectives::ObjectiveConfig;
use crate::packing::PackedRow;

/// The columns of a job.
pub fn token_columns(job: &Job) -> TokenColumns {
    needed(&job.sequences.objective)
}

fn needed(objective: &ObjectiveConfig) -> TokenColumns {
    match objective {
        ObjectiveConfig::MaskedDiffusion(_) => TokenColumns { loss_weights: true, ..TokenColumns::default() },
        ObjectiveConfig::BlankInfilling(_) => {
            TokenColumns { position_ids: true, block_position_ids: true, ..TokenColumns::default() }
        }
        ObjectiveConfig::Mixture(mixture) => {
            mixture.parts.iter().map(|part| needed(&part.objective)).fold(TokenColumns::default(), either)
        }
        _ => TokenColumns::default(),
    }
}

fn either(one: TokenColumns, other: TokenColumns) -> TokenColumns {
    TokenColumns {
        position_ids: one.position_ids || other.position_ids,
        block_position_ids: one.block_position_ids || other.block_position_ids,
        loss_weights: one.loss_weights || other.loss_weights,
    }
}

/// An error where a row has what the table has no column for: it would be lost.
pub fn has_room_for(columns: TokenColumns, row: &PackedRow) -> Result<(), StepError> {
    let lost = (!columns.position_ids && !row.position_ids.is_empty())
        || (!columns.block_position_ids && !row.block_position_ids.is_empty())
        || (!columns.loss_weights && !row.loss_weights.is_empty());
    if lost { Err(StepError::Bug("an objective has columns that the training table has not".into())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::TokenDocument;
    use crate::packing::{PackingSettings, Passthrough};
    use crate::random::KeyedRandom;
    use crate::specials::Specials;

    #[test]
    fn every_objective_has_the_columns_that_it_needs_and_no_others() {
        let specials = Specials::consecutive(100, 256);
        for config in ObjectiveConfig::examples() {
            let (objective, columns) = (config.build(&specials), needed(&config));
            let mut packer = Passthrough {}.build(specials.pad);
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
            };
            assert_eq!(used, columns, "{config:?}");
        }
    }
}
