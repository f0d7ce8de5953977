//! taming-transformers' VQGAN (`taming/models/vqgan.py`, MIT), with a codebook or with Gumbel's logits.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Builder, ConvShape, Style, TensorNames};
use super::ddconfig::Vqgan;
use super::{Architecture, Family, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "taming", publishes: |_| false, read };

/// What a taming configuration has under `model.params`.
#[derive(Debug, Clone, Deserialize)]
struct Settings {
    #[serde(flatten)]
    vqgan: Vqgan,
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
    settings.vqgan.check()?;
    let Vqgan { embed_dim, ddconfig, .. } = &settings.vqgan;
    if settings.quantizer == QuantizerName::Gumbel && *embed_dim != ddconfig.z_channels {
        return Err("Gumbel's `embed_dim` and `z_channels` differ, which taming's own code can't run either".to_owned());
    }
    Ok(Box::new(settings))
}

impl Architecture for Settings {
    fn sides(&self) -> Sides {
        self.vqgan.ddconfig.sides()
    }

    fn codebook_size(&self) -> u32 {
        self.vqgan.n_embed
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::TAMING
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        self.vqgan.encode(&mut builder)?;
        let (quantiser, owned) = match self.quantizer {
            QuantizerName::Nearest => {
                (Quantiser::Nearest(self.vqgan.codebook(&mut builder, "quantize.embedding.weight")?), "quantize.")
            }
            QuantizerName::Gumbel => {
                let Vqgan { n_embed, embed_dim, .. } = self.vqgan;
                builder.conv("quantize.proj", ConvShape::pointwise(embed_dim, n_embed as usize))?;
                (Quantiser::Largest { count: n_embed }, "quantize.proj.")
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
        let codebook = self.vqgan.codebook(&mut builder, name)?;
        self.vqgan.decode(&mut builder)?;
        let plan = DecodePlan { grid, codes: Meaning::Rows(codebook), ops: builder.ops, output: Range::SIGNED };
        Ok(Taken::new(plan, ["decoder.", "post_quant_conv."]))
    }
}
