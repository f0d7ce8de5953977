//! Keeps examples for different phases of training in different rows.

use std::collections::BTreeMap;

use super::{FillReport, PackedRow, Packer, PackingConfig};
use crate::objectives::{Example, ObjectiveConfig};
use crate::specials::Specials;

/// A packer for each phase that an objective's examples are for. Each row says whose it is.
///
/// Examples of all phases that are as long as each other, as those of `biphasic` are, come in rows that are cut alike.
/// The last rows come phase by phase; before, rows come as they are full.
pub struct PerPhase {
    packing: PackingConfig,
    objective: ObjectiveConfig,
    specials: Specials,
    packers: BTreeMap<u32, Box<dyn Packer>>,
}

impl PerPhase {
    /// Packers of these settings for examples of this objective.
    pub fn new(packing: PackingConfig, objective: ObjectiveConfig, specials: &Specials) -> Self {
        Self { packing, objective, specials: *specials, packers: BTreeMap::new() }
    }
}

impl Packer for PerPhase {
    fn push(&mut self, key: [u8; 16], example: Example, rows: &mut Vec<PackedRow>) {
        let phase = self.objective.phase(example.part, example.branch);
        let packer = self.packers.entry(phase).or_insert_with(|| self.packing.build(&self.specials));
        let num_before = rows.len();
        packer.push(key, example, rows);
        rows[num_before..].iter_mut().for_each(|row| row.phase = phase);
    }

    fn finish(&mut self, rows: &mut Vec<PackedRow>) {
        for (&phase, packer) in &mut self.packers {
            let num_before = rows.len();
            packer.finish(rows);
            rows[num_before..].iter_mut().for_each(|row| row.phase = phase);
        }
    }

    fn reuse(&mut self, rows: &mut Vec<PackedRow>) {
        for (&phase, packer) in &mut self.packers {
            let mut of_phase = rows.extract_if(.., |row| row.phase == phase).collect();
            packer.reuse(&mut of_phase);
        }
        rows.clear();
    }

    fn report(&self) -> FillReport {
        self.packers.values().map(|packer| packer.report()).fold(FillReport::default(), FillReport::and)
    }
}
