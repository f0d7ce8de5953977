//! Index backpropagation quantisation (TencentARC/SEED-Voken, `src/IBQ`, Apache-2.0): taming's encoder, and the codebook
//! row with the largest product, whatever its length.

use serde_json::Value;

use super::builder::{Builder, Style};
use super::ddconfig::Vqgan;
use super::open_magvit2::names_of;
use super::{Architecture, Family, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "ibq", publishes: |_| false, read };

/// What its configurations have under `model.init_args`.
#[derive(Debug)]
struct Ibq(Vqgan);

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let vqgan: Vqgan = settings(config)?;
    vqgan.check()?;
    Ok(Box::new(Ibq(vqgan)))
}

impl Architecture for Ibq {
    fn sides(&self) -> Sides {
        self.0.ddconfig.sides()
    }

    fn codebook_size(&self) -> u32 {
        self.0.n_embed
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::TAMING
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let names = names_of(checkpoint, "encoder.conv_in.weight");
        let prefixes = ["encoder", "quant_conv", "quantize"].map(|part| names.of(part)).to_vec();
        let mut builder = Builder::new(checkpoint, names, Style::TAMING);
        self.0.encode(&mut builder)?;
        let quantiser = Quantiser::Product(self.0.codebook(&mut builder, "quantize.embedding.weight")?);
        Ok(Taken { plan: Plan { size, input: Range::SIGNED, ops: builder.ops, quantiser }, prefixes })
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let names = names_of(checkpoint, "decoder.conv_in.weight");
        let prefixes = ["decoder", "post_quant_conv"].map(|part| names.of(part)).to_vec();
        let mut builder = Builder::new(checkpoint, names, Style::TAMING);
        let codes = Meaning::Rows(self.0.codebook(&mut builder, "quantize.embedding.weight")?);
        self.0.decode(&mut builder)?;
        Ok(Taken { plan: DecodePlan { grid, codes, ops: builder.ops, output: Range::SIGNED }, prefixes })
    }
}
