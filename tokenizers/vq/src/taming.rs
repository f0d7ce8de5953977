//! The encoder of taming-transformers' VQGAN (`taming/modules/diffusionmodules/model.py`, MIT) as a plan.

use super::checkpoint::Checkpoint;
use super::config::Config;
use super::error::VqError;
use super::plan::{Activation, Attention, Codes, Conv, GroupNorm, Op, Padding, Plan};

pub(super) const NORM_GROUPS: usize = 32;
const NORM_EPSILON: f32 = 1e-6;

/// Tensors under these names belong to the encoder; the decoder's and the losses' are not looked at.
pub(super) const PREFIXES: [&str; 3] = ["encoder.", "quant_conv.", "quantize."];

/// The operations that `config` describes, with the checkpoint's weights.
pub(super) fn plan(config: &Config, checkpoint: &mut Checkpoint) -> Result<Plan, VqError> {
    let dd = &config.ddconfig;
    let mut builder = Builder { checkpoint, ops: Vec::new() };
    builder.conv("encoder.conv_in", dd.in_channels, dd.ch)?;
    let mut channels = dd.ch;
    for (level, multiplier) in dd.ch_mult.iter().enumerate() {
        // Which levels attend follows from the size the model was configured for.
        let attends = dd.attn_resolutions.contains(&(dd.resolution >> level));
        for block in 0..dd.num_res_blocks {
            builder.residual(&format!("encoder.down.{level}.block.{block}"), channels, dd.ch * multiplier)?;
            channels = dd.ch * multiplier;
            if attends {
                builder.attention(&format!("encoder.down.{level}.attn.{block}"), channels)?;
            }
        }
        if level + 1 < dd.ch_mult.len() {
            builder.downsample(&format!("encoder.down.{level}.downsample.conv"), channels)?;
        }
    }
    builder.residual("encoder.mid.block_1", channels, channels)?;
    builder.attention("encoder.mid.attn_1", channels)?;
    builder.residual("encoder.mid.block_2", channels, channels)?;
    builder.norm("encoder.norm_out", channels, Activation::Swish)?;
    builder.conv("encoder.conv_out", channels, dd.z_channels)?;
    let quant_conv = builder.pointwise("quant_conv", dd.z_channels, config.embed_dim)?;
    builder.ops.push(Op::Conv(quant_conv));
    let ops = builder.ops;
    let (count, dimension) = (config.n_embed as usize, config.embed_dim);
    let vectors = checkpoint.take("quantize.embedding.weight".to_owned(), &[count, dimension])?;
    Ok(Plan { image_size: dd.resolution, ops, codes: Codes { count, dimension, vectors } })
}

struct Builder<'c, 'a> {
    checkpoint: &'c mut Checkpoint<'a>,
    ops: Vec<Op>,
}

impl Builder<'_, '_> {
    fn weights(&mut self, name: &str, out: usize, input: usize, kernel: usize) -> Result<Conv, VqError> {
        let around = kernel / 2;
        Ok(Conv {
            channels_in: input,
            channels_out: out,
            kernel,
            stride: 1,
            padding: Padding { before: around, after: around },
            weight: self.checkpoint.take(format!("{name}.weight"), &[out, input, kernel, kernel])?,
            bias: self.checkpoint.take(format!("{name}.bias"), &[out])?,
        })
    }

    fn pointwise(&mut self, name: &str, input: usize, out: usize) -> Result<Conv, VqError> {
        self.weights(name, out, input, 1)
    }

    fn conv(&mut self, name: &str, input: usize, out: usize) -> Result<(), VqError> {
        let conv = self.weights(name, out, input, 3)?;
        self.ops.push(Op::Conv(conv));
        Ok(())
    }

    /// Zeros only at the bottom and on the right, which halves an even side exactly.
    fn downsample(&mut self, name: &str, channels: usize) -> Result<(), VqError> {
        let conv = self.weights(name, channels, channels, 3)?;
        self.ops.push(Op::Conv(Conv { stride: 2, padding: Padding { before: 0, after: 1 }, ..conv }));
        Ok(())
    }

    fn norm(&mut self, name: &str, channels: usize, activation: Activation) -> Result<(), VqError> {
        let weight = self.checkpoint.take(format!("{name}.weight"), &[channels])?;
        let bias = self.checkpoint.take(format!("{name}.bias"), &[channels])?;
        let norm = GroupNorm { groups: NORM_GROUPS, epsilon: NORM_EPSILON, activation, weight, bias };
        self.ops.push(Op::GroupNorm(norm));
        Ok(())
    }

    fn residual(&mut self, name: &str, input: usize, out: usize) -> Result<(), VqError> {
        self.ops.push(Op::Keep);
        self.norm(&format!("{name}.norm1"), input, Activation::Swish)?;
        self.conv(&format!("{name}.conv1"), input, out)?;
        self.norm(&format!("{name}.norm2"), out, Activation::Swish)?;
        self.conv(&format!("{name}.conv2"), out, out)?;
        let shortcut =
            if input == out { None } else { Some(self.pointwise(&format!("{name}.nin_shortcut"), input, out)?) };
        self.ops.push(Op::AddKept(shortcut));
        Ok(())
    }

    fn attention(&mut self, name: &str, channels: usize) -> Result<(), VqError> {
        self.ops.push(Op::Keep);
        self.norm(&format!("{name}.norm"), channels, Activation::None)?;
        let attention = Attention {
            query: self.pointwise(&format!("{name}.q"), channels, channels)?,
            key: self.pointwise(&format!("{name}.k"), channels, channels)?,
            value: self.pointwise(&format!("{name}.v"), channels, channels)?,
            projection: self.pointwise(&format!("{name}.proj_out"), channels, channels)?,
        };
        self.ops.push(Op::Attention(Box::new(attention)));
        self.ops.push(Op::AddKept(None));
        Ok(())
    }
}
