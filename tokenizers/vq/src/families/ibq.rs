//! Index backpropagation quantisation (TencentARC/SEED-Voken, `src/IBQ`, Apache-2.0): taming's encoder, and the codebook
//! row with the largest product, whatever its length.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Builder, ConvShape, Style};
use super::ddconfig::DdConfig;
use super::open_magvit2::names_of;
use super::{Architecture, Bounded, Family, Taken, convolutional_grid, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "ibq", publishes: |_| false, read };

/// What its configurations have under `model.init_args`.
#[derive(Debug, Clone, Deserialize)]
struct Settings {
    n_embed: u32,
    embed_dim: usize,
    ddconfig: DdConfig,
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    settings.ddconfig.check()?;
    Bounded("`n_embed`", settings.n_embed as usize).within(1, 1 << 20)?;
    Bounded("`embed_dim`", settings.embed_dim).within(1, 1 << 16)?;
    Ok(Box::new(settings))
}

impl Architecture for Settings {
    fn native_size(&self) -> ImageSize {
        ImageSize::square(self.ddconfig.resolution)
    }

    fn grid(&self, size: ImageSize) -> Result<Grid, String> {
        convolutional_grid(size, 1 << self.ddconfig.halvings())
    }

    fn codebook_size(&self) -> u32 {
        self.n_embed
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::TAMING
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let names = names_of(checkpoint, "encoder.conv_in.weight");
        let prefixes = ["encoder", "quant_conv", "quantize"].map(|part| names.of(part)).to_vec();
        let mut builder = Builder::new(checkpoint, names, Style::TAMING);
        self.ddconfig.encoder().encode(&mut builder)?;
        builder.conv("quant_conv", ConvShape::pointwise(self.ddconfig.z_channels, self.embed_dim))?;
        let codebook = builder.codebook("quantize.embedding.weight", self.n_embed as usize, self.embed_dim)?;
        let quantiser = Quantiser::Product(codebook);
        Ok(Taken { plan: Plan { size, input: Range::SIGNED, ops: builder.ops, quantiser }, prefixes })
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let names = names_of(checkpoint, "decoder.conv_in.weight");
        let prefixes = ["decoder", "post_quant_conv"].map(|part| names.of(part)).to_vec();
        let mut builder = Builder::new(checkpoint, names, Style::TAMING);
        let codebook = builder.codebook("quantize.embedding.weight", self.n_embed as usize, self.embed_dim)?;
        builder.conv("post_quant_conv", ConvShape::pointwise(self.embed_dim, self.ddconfig.z_channels))?;
        self.ddconfig.decoder().decode(&mut builder)?;
        let codes = Meaning::Rows(codebook);
        Ok(Taken { plan: DecodePlan { grid, codes, ops: builder.ops, output: Range::SIGNED }, prefixes })
    }
}
