//! taming-transformers' VQGAN (`taming/models/vqgan.py`, MIT), with a codebook or with Gumbel's logits.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Builder, ConvShape, Style, TensorNames};
use super::ddconfig::DdConfig;
use super::{Architecture, Bounded, Family, Taken, convolutional_grid, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "taming", publishes: |_| false, read };

/// What a taming configuration has under `model.params`.
#[derive(Debug, Clone, Deserialize)]
struct Settings {
    n_embed: u32,
    embed_dim: usize,
    ddconfig: DdConfig,
    #[serde(default)]
    quantizer: QuantizerName,
}

/// Which of taming's quantizers the model was trained with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum QuantizerName {
    /// `VQModel`'s.
    #[default]
    Nearest,
    /// `GumbelVQ`'s, without its noise: taming's own code draws some even when it only encodes.
    Gumbel,
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    settings.ddconfig.check()?;
    Bounded("`n_embed`", settings.n_embed as usize).within(1, 1 << 20)?;
    Bounded("`embed_dim`", settings.embed_dim).within(1, 1 << 16)?;
    if settings.quantizer == QuantizerName::Gumbel && settings.embed_dim != settings.ddconfig.z_channels {
        return Err("Gumbel's `embed_dim` and `z_channels` differ, which taming's own code can't run either".to_owned());
    }
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
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        let (z, count) = (self.ddconfig.z_channels, self.n_embed as usize);
        self.ddconfig.encoder().encode(&mut builder)?;
        builder.conv("quant_conv", ConvShape::pointwise(z, self.embed_dim))?;
        let (quantiser, owned) = match self.quantizer {
            QuantizerName::Nearest => {
                let codebook = builder.codebook("quantize.embedding.weight", count, self.embed_dim)?;
                (Quantiser::Nearest(codebook), "quantize.")
            }
            QuantizerName::Gumbel => {
                builder.conv("quantize.proj", ConvShape::pointwise(self.embed_dim, count))?;
                (Quantiser::Largest { count: self.n_embed }, "quantize.proj.")
            }
        };
        let plan = Plan { size, input: Range::SIGNED, ops: builder.ops, quantiser };
        Ok(Taken::new(plan, ["encoder.", "quant_conv.", owned]))
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        let name = match self.quantizer {
            QuantizerName::Nearest => "quantize.embedding.weight",
            QuantizerName::Gumbel => "quantize.embed.weight",
        };
        let codebook = builder.codebook(name, self.n_embed as usize, self.embed_dim)?;
        builder.conv("post_quant_conv", ConvShape::pointwise(self.embed_dim, self.ddconfig.z_channels))?;
        self.ddconfig.decoder().decode(&mut builder)?;
        let plan = DecodePlan { grid, codes: Meaning::Rows(codebook), ops: builder.ops, output: Range::SIGNED };
        Ok(Taken::new(plan, ["decoder.", "post_quant_conv."]))
    }
}
