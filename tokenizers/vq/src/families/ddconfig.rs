//! The settings of a VQGAN by taming's names, and what of them can be built.

use serde::Deserialize;

use super::builder::{Bias, Builder, ConvShape};
use super::pyramid::{LevelNames, Middle, PAD_AFTER, Pyramid, PyramidNames, Resample};
use super::{Bounded, LARGEST_SIDE, Sides};
use crate::error::VqError;
use crate::plan::Codebook;

/// What the configurations of taming, and of what grew out of it, have in common.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Vqgan {
    pub n_embed: u32,
    pub embed_dim: usize,
    pub ddconfig: DdConfig,
}

impl Vqgan {
    pub fn check(&self) -> Result<(), String> {
        self.ddconfig.check()?;
        Bounded("`n_embed`", self.n_embed as usize).within(1, 1 << 20)?;
        Bounded("`embed_dim`", self.embed_dim).within(1, 1 << 16)
    }

    /// From the image to what is quantised.
    pub fn encode(&self, builder: &mut Builder) -> Result<(), VqError> {
        self.ddconfig.encoder().encode(builder)?;
        builder.conv("quant_conv", ConvShape::pointwise(self.ddconfig.z_channels, self.embed_dim))
    }

    /// From rows of the codebook to the image.
    pub fn decode(&self, builder: &mut Builder) -> Result<(), VqError> {
        builder.conv("post_quant_conv", ConvShape::pointwise(self.embed_dim, self.ddconfig.z_channels))?;
        self.ddconfig.decoder().decode(builder)
    }

    pub fn codebook(&self, builder: &mut Builder, name: &str) -> Result<Codebook, VqError> {
        builder.codebook(name, self.n_embed as usize, self.embed_dim)
    }
}

/// What only training reads is ignored.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DdConfig {
    pub ch: usize,
    pub ch_mult: Vec<usize>,
    pub num_res_blocks: usize,
    #[serde(default)]
    pub attn_resolutions: Vec<u32>,
    pub resolution: u32,
    pub in_channels: usize,
    pub z_channels: usize,
    #[serde(default)]
    pub double_z: bool,
}

impl DdConfig {
    /// How often the encoder halves the image.
    pub fn halvings(&self) -> usize {
        self.ch_mult.len().saturating_sub(1)
    }

    pub fn check(&self) -> Result<(), String> {
        if self.ch_mult.is_empty() || self.ch_mult.len() > 8 {
            return Err(format!("`ch_mult` has {} levels; from 1 to 8 can be built", self.ch_mult.len()));
        }
        Bounded("`num_res_blocks`", self.num_res_blocks).within(0, 64)?;
        Bounded("`z_channels`", self.z_channels).within(1, 1 << 20)?;
        Bounded("`ch`", self.ch).normalised(32)?;
        self.widths().into_iter().try_for_each(|width| Bounded("a level of `ch_mult`", width).normalised(32))?;
        Bounded("`resolution`", self.resolution as usize).within(1, LARGEST_SIDE as usize)?;
        if !self.resolution.is_multiple_of(1 << self.halvings()) {
            return Err(format!("`resolution` is {}, no multiple of {}", self.resolution, 1 << self.halvings()));
        }
        if self.in_channels != 3 {
            return Err(format!("`in_channels` is {}, but images have 3", self.in_channels));
        }
        if self.double_z {
            return Err("`double_z` is true, but a VQ encoder has no variances".to_owned());
        }
        Ok(())
    }

    pub fn sides(&self) -> Sides {
        Sides { image: self.resolution, place: 1 << self.halvings() }
    }

    fn widths(&self) -> Vec<usize> {
        self.ch_mult.iter().map(|multiplier| multiplier.saturating_mul(self.ch)).collect()
    }

    /// Which levels attend follows from the size the model was configured for, whatever size it runs at.
    fn attends(&self) -> Vec<bool> {
        (0..self.ch_mult.len()).map(|level| self.attn_resolutions.contains(&(self.resolution >> level))).collect()
    }

    pub fn encoder(&self) -> Pyramid {
        let names = PyramidNames {
            conv_in: "encoder.conv_in",
            block: "encoder.down.{level}.block.{index}",
            attention: "encoder.down.{level}.attn.{index}",
            resample: "encoder.down.{level}.downsample.conv",
            middle: taming_middle("encoder"),
            norm_out: "encoder.norm_out",
            conv_out: "encoder.conv_out",
            levels: LevelNames::FromTop,
        };
        Pyramid {
            top: 3,
            first: self.ch,
            widths: self.widths(),
            blocks: self.num_res_blocks,
            attends: self.attends(),
            halvings: self.halvings(),
            latent: self.z_channels,
            resample: Resample::Conv(PAD_AFTER),
            first_bias: Bias::Stored,
            last_kernel: 3,
            names,
        }
    }

    pub fn decoder(&self) -> Pyramid {
        let names = PyramidNames {
            conv_in: "decoder.conv_in",
            block: "decoder.up.{level}.block.{index}",
            attention: "decoder.up.{level}.attn.{index}",
            resample: "decoder.up.{level}.upsample.conv",
            middle: taming_middle("decoder"),
            norm_out: "decoder.norm_out",
            conv_out: "decoder.conv_out",
            levels: LevelNames::FromTop,
        };
        Pyramid { blocks: self.num_res_blocks + 1, names, ..self.encoder() }
    }
}

fn taming_middle(part: &str) -> Vec<Middle> {
    vec![
        Middle::Residual(format!("{part}.mid.block_1")),
        Middle::Attention(format!("{part}.mid.attn_1")),
        Middle::Residual(format!("{part}.mid.block_2")),
    ]
}
