//! The shape that convolutional families share: levels of residual blocks, each at half the side of the one before.

use super::builder::{Bias, Builder, ConvShape};
use crate::error::VqError;
use crate::plan::{Activation, Op, Padding, Pool};

/// An encoder, or a decoder from the bottom up.
#[derive(Debug, Clone)]
pub(crate) struct Pyramid {
    /// Channels of what goes in on top: 3, or more where the image is cut into patches first.
    pub top: usize,
    /// Channels of the first convolution of an encoder.
    pub first: usize,
    /// Channels of each level, from the top.
    pub widths: Vec<usize>,
    /// Residual blocks of each level.
    pub blocks: usize,
    /// Whether an attention follows each block of a level.
    pub attends: Vec<bool>,
    /// How often the sides are halved: behind each of the first levels of an encoder, before each of the last of a decoder.
    pub halvings: usize,
    /// Channels at the bottom.
    pub latent: usize,
    pub resample: Resample,
    /// Of an encoder's first convolution.
    pub first_bias: Bias,
    /// Side of the kernel of an encoder's last convolution.
    pub last_kernel: usize,
    pub names: PyramidNames,
}

/// How sides are halved and doubled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resample {
    /// A convolution with this padding; a convolution behind equal places.
    Conv(Padding),
    /// The mean of four places; a convolution behind equal places.
    Average,
    /// A convolution with this padding; a convolution whose channels become places, behind a style.
    Adaptive(Padding),
}

/// Zeros only at the bottom and on the right, which halves an even side exactly.
pub(crate) const PAD_AFTER: Padding = Padding { before: 0, after: 1 };

/// Names of tensors, in which `{level}` and `{index}` stand for numbers.
#[derive(Debug, Clone)]
pub(crate) struct PyramidNames {
    pub conv_in: &'static str,
    pub block: &'static str,
    pub attention: &'static str,
    /// Of the convolution that halves or doubles.
    pub resample: &'static str,
    pub middle: Vec<Middle>,
    pub norm_out: &'static str,
    pub conv_out: &'static str,
    pub levels: LevelNames,
}

/// A block at the bottom.
#[derive(Debug, Clone)]
pub(crate) enum Middle {
    Residual(String),
    Attention(String),
}

/// How a decoder numbers its levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LevelNames {
    /// As its encoder: 0 is at the top.
    FromTop,
    /// In the order in which they run: 0 is at the bottom.
    FromBottom,
}

impl Pyramid {
    /// From the top down.
    pub fn encode(&self, builder: &mut Builder) -> Result<(), VqError> {
        let names = &self.names;
        builder.conv(names.conv_in, ConvShape::three(self.top, self.first).with_bias(self.first_bias))?;
        let mut channels = self.first;
        for (level, width) in self.widths.iter().enumerate() {
            channels = self.level(builder, level, level, channels, *width)?;
            if level < self.halvings {
                let name = fill(names.resample, level, 0);
                match self.resample {
                    Resample::Conv(padding) | Resample::Adaptive(padding) => {
                        builder.downsample(&name, channels, padding)?;
                    }
                    Resample::Average => builder.ops.push(Op::Pool(Pool::Average)),
                }
            }
        }
        self.middle(builder, channels)?;
        builder.norm(names.norm_out, channels, Activation::Swish)?;
        let last = ConvShape { kernel: self.last_kernel, ..ConvShape::three(channels, self.latent) };
        builder.conv(names.conv_out, last)
    }

    /// From the bottom up.
    pub fn decode(&self, builder: &mut Builder) -> Result<(), VqError> {
        let names = &self.names;
        let mut channels = self.widths.last().copied().unwrap_or(self.first);
        builder.conv(names.conv_in, ConvShape::three(self.latent, channels))?;
        self.middle(builder, channels)?;
        for (place, (level, width)) in self.widths.iter().enumerate().rev().enumerate() {
            if let Resample::Adaptive(_) = self.resample {
                super::open_magvit2::style_norm(builder, level, self.latent, channels)?;
            }
            let number = if names.levels == LevelNames::FromTop { level } else { place };
            channels = self.level(builder, level, number, channels, *width)?;
            if level + self.halvings >= self.widths.len() {
                self.double(builder, &fill(names.resample, number, 0), channels)?;
            }
        }
        builder.norm(names.norm_out, channels, Activation::Swish)?;
        builder.conv(names.conv_out, ConvShape::three(channels, self.top))
    }

    /// The channels behind a level's blocks.
    fn level(
        &self,
        builder: &mut Builder,
        level: usize,
        number: usize,
        mut channels: usize,
        width: usize,
    ) -> Result<usize, VqError> {
        for block in 0..self.blocks {
            builder.residual(&fill(self.names.block, number, block), channels, width)?;
            channels = width;
            if self.attends.get(level) == Some(&true) {
                builder.attention(&fill(self.names.attention, number, block), channels)?;
            }
        }
        Ok(channels)
    }

    fn middle(&self, builder: &mut Builder, channels: usize) -> Result<(), VqError> {
        for block in &self.names.middle {
            match block {
                Middle::Residual(name) => builder.residual(name, channels, channels)?,
                Middle::Attention(name) => builder.attention(name, channels)?,
            }
        }
        Ok(())
    }

    fn double(&self, builder: &mut Builder, name: &str, channels: usize) -> Result<(), VqError> {
        if let Resample::Adaptive(_) = self.resample {
            builder.conv(name, ConvShape::three(channels, channels * 4))?;
            builder.ops.push(Op::DepthToSpace { block: 2 });
            return Ok(());
        }
        builder.ops.push(Op::Upsample);
        builder.conv(name, ConvShape::three(channels, channels))
    }
}

fn fill(name: &str, level: usize, index: usize) -> String {
    name.replace("{level}", &level.to_string()).replace("{index}", &index.to_string())
}
