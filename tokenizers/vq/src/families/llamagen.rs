//! LlamaGen's VQ-8 and VQ-16 (FoundationVision/LlamaGen, `tokenizer/tokenizer_image/vq_model.py`, MIT), which compare
//! directions.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Bias, Builder, ConvShape, Style, TensorNames};
use super::pyramid::{LevelNames, Middle, PAD_AFTER, Pyramid, PyramidNames, Resample};
use super::{Architecture, Bounded, Family, LARGEST_SIDE, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{Codebook, DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "llamagen", publishes: |_| false, read };

/// Its `ModelArgs`, what its code fixes beside them, and the size of the images.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Settings {
    image_size: u32,
    codebook_size: u32,
    codebook_embed_dim: usize,
    codebook_l2_norm: bool,
    encoder_ch_mult: Vec<usize>,
    decoder_ch_mult: Vec<usize>,
    z_channels: usize,
    ch: usize,
    num_res_blocks: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image_size: 256,
            codebook_size: 16384,
            codebook_embed_dim: 8,
            codebook_l2_norm: true,
            encoder_ch_mult: vec![1, 1, 2, 2, 4],
            decoder_ch_mult: vec![1, 1, 2, 2, 4],
            z_channels: 256,
            ch: 128,
            num_res_blocks: 2,
        }
    }
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    Bounded("`image_size`", settings.image_size as usize).within(1, LARGEST_SIDE as usize)?;
    Bounded("`codebook_size`", settings.codebook_size as usize).within(1, 1 << 20)?;
    Bounded("`codebook_embed_dim`", settings.codebook_embed_dim).within(1, 1 << 16)?;
    Bounded("`z_channels`", settings.z_channels).within(1, 1 << 16)?;
    Bounded("`num_res_blocks`", settings.num_res_blocks).within(0, 64)?;
    Bounded("`ch`", settings.ch).normalised(32)?;
    for multipliers in [&settings.encoder_ch_mult, &settings.decoder_ch_mult] {
        Bounded("the number of levels", multipliers.len()).within(1, 8)?;
        let widths = multipliers.iter().map(|multiplier| multiplier.saturating_mul(settings.ch));
        widths.into_iter().try_for_each(|width| Bounded("a level", width).normalised(32))?;
    }
    if settings.encoder_ch_mult.len() != settings.decoder_ch_mult.len() {
        return Err("`encoder_ch_mult` and `decoder_ch_mult` have different numbers of levels".to_owned());
    }
    settings.grid(settings.native_size())?;
    Ok(Box::new(settings))
}

impl Settings {
    fn factor(&self) -> u32 {
        1 << (self.encoder_ch_mult.len() - 1)
    }

    /// The last level attends, whatever its size.
    fn pyramid(&self, multipliers: &[usize], blocks: usize, names: PyramidNames) -> Pyramid {
        let levels = multipliers.len();
        Pyramid {
            top: 3,
            first: self.ch,
            widths: multipliers.iter().map(|multiplier| multiplier * self.ch).collect(),
            blocks,
            attends: (1..=levels).map(|level| level == levels).collect(),
            halvings: levels - 1,
            latent: self.z_channels,
            resample: Resample::Conv(PAD_AFTER),
            first_bias: Bias::Stored,
            last_kernel: 3,
            names,
        }
    }

    fn codebook(&self, builder: &mut Builder) -> Result<Codebook, VqError> {
        builder.codebook("quantize.embedding.weight", self.codebook_size as usize, self.codebook_embed_dim)
    }
}

fn middle(part: &str) -> Vec<Middle> {
    let name = |index| format!("{part}.mid.{index}");
    vec![Middle::Residual(name(0)), Middle::Attention(name(1)), Middle::Residual(name(2))]
}

fn encoder_names() -> PyramidNames {
    PyramidNames {
        conv_in: "encoder.conv_in",
        block: "encoder.conv_blocks.{level}.res.{index}",
        attention: "encoder.conv_blocks.{level}.attn.{index}",
        resample: "encoder.conv_blocks.{level}.downsample.conv",
        middle: middle("encoder"),
        norm_out: "encoder.norm_out",
        conv_out: "encoder.conv_out",
        levels: LevelNames::FromTop,
    }
}

fn decoder_names() -> PyramidNames {
    PyramidNames {
        conv_in: "decoder.conv_in",
        block: "decoder.conv_blocks.{level}.res.{index}",
        attention: "decoder.conv_blocks.{level}.attn.{index}",
        resample: "decoder.conv_blocks.{level}.upsample.conv",
        middle: middle("decoder"),
        norm_out: "decoder.norm_out",
        conv_out: "decoder.conv_out",
        levels: LevelNames::FromBottom,
    }
}

impl Architecture for Settings {
    fn sides(&self) -> Sides {
        Sides { image: self.image_size, place: self.factor() }
    }

    fn codebook_size(&self) -> u32 {
        self.codebook_size
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::ADM
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        self.pyramid(&self.encoder_ch_mult, self.num_res_blocks, encoder_names()).encode(&mut builder)?;
        builder.conv("quant_conv", ConvShape::pointwise(self.z_channels, self.codebook_embed_dim))?;
        let codebook = self.codebook(&mut builder)?;
        let quantiser = if self.codebook_l2_norm { Quantiser::Cosine(codebook) } else { Quantiser::Nearest(codebook) };
        let plan = Plan { size, input: Range::SIGNED, ops: builder.ops, quantiser };
        Ok(Taken::new(plan, ["encoder.", "quant_conv.", "quantize.embedding."]))
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        let codebook = self.codebook(&mut builder)?;
        let codes = if self.codebook_l2_norm { Meaning::UnitRows(codebook) } else { Meaning::Rows(codebook) };
        builder.conv("post_quant_conv", ConvShape::pointwise(self.codebook_embed_dim, self.z_channels))?;
        self.pyramid(&self.decoder_ch_mult, self.num_res_blocks + 1, decoder_names()).decode(&mut builder)?;
        let plan = DecodePlan { grid, codes, ops: builder.ops, output: Range::SIGNED };
        Ok(Taken::new(plan, ["decoder.", "post_quant_conv."]))
    }
}
