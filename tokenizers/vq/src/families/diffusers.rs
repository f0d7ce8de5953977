//! diffusers' `VQModel` (`models/autoencoders/vq_model.py`, Apache-2.0) as published: aMUSEd, open-muse, the encoder of
//! Kandinsky's MoVQ.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Bias, Builder, ConvShape, Projections, Style, TensorNames};
use super::pyramid::{LevelNames, Middle, PAD_AFTER, Pyramid, PyramidNames, Resample};
use super::{Architecture, Bounded, Family, LARGEST_SIDE, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::pixels::Orientation;
use crate::plan::{Codebook, DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family =
    Family { name: "diffusers_vq", publishes: |config| config["_class_name"] == "VQModel", read };

/// `VQModel`'s configuration, with its defaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Settings {
    in_channels: usize,
    out_channels: usize,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
    block_out_channels: Vec<usize>,
    layers_per_block: usize,
    act_fn: String,
    latent_channels: usize,
    num_vq_embeddings: u32,
    norm_num_groups: usize,
    vq_embed_dim: Option<usize>,
    norm_type: String,
    mid_block_add_attention: bool,
    /// Only aMUSEd's kind has it.
    lookup_from_codebook: bool,
    /// Not diffusers': `VQModel` doesn't say at which size it was trained, and its `sample_size` is no size of images.
    image_size: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            down_block_types: vec!["DownEncoderBlock2D".to_owned()],
            up_block_types: vec!["UpDecoderBlock2D".to_owned()],
            block_out_channels: vec![64],
            layers_per_block: 1,
            act_fn: "silu".to_owned(),
            latent_channels: 3,
            num_vq_embeddings: 256,
            norm_num_groups: 32,
            vq_embed_dim: None,
            norm_type: "group".to_owned(),
            mid_block_add_attention: true,
            lookup_from_codebook: false,
            image_size: 256,
        }
    }
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    let levels = settings.block_out_channels.len();
    Bounded("the number of `block_out_channels`", levels).within(1, 8)?;
    Bounded("`norm_num_groups`", settings.norm_num_groups).within(1, 4096)?;
    Bounded("`layers_per_block`", settings.layers_per_block).within(0, 64)?;
    Bounded("`latent_channels`", settings.latent_channels).within(1, 1 << 16)?;
    Bounded("`vq_embed_dim`", settings.dimension()).within(1, 1 << 16)?;
    Bounded("`num_vq_embeddings`", settings.num_vq_embeddings as usize).within(1, 1 << 20)?;
    Bounded("`image_size`", settings.image_size as usize).within(1, LARGEST_SIDE as usize)?;
    for width in &settings.block_out_channels {
        Bounded("one of `block_out_channels`", *width).normalised(settings.norm_num_groups)?;
    }
    if (settings.in_channels, settings.out_channels) != (3, 3) {
        return Err("`in_channels` and `out_channels` are 3 for images".to_owned());
    }
    if !["silu", "swish"].contains(&settings.act_fn.as_str()) {
        return Err(format!("`act_fn` is {:?}, but can be silu", settings.act_fn));
    }
    check_blocks("down_block_types", &settings.down_block_types, DOWN_BLOCKS, levels)?;
    check_blocks("up_block_types", &settings.up_block_types, UP_BLOCKS, levels)?;
    settings.grid(settings.native_size())?;
    Ok(Box::new(settings))
}

/// Without attention, and with it.
const DOWN_BLOCKS: [&str; 2] = ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"];
const UP_BLOCKS: [&str; 2] = ["UpDecoderBlock2D", "AttnUpDecoderBlock2D"];

fn check_blocks(setting: &str, found: &[String], known: [&str; 2], levels: usize) -> Result<(), String> {
    if found.len() != levels {
        return Err(format!("`{setting}` has {} blocks, but `block_out_channels` {levels}", found.len()));
    }
    match found.iter().find(|block| !known.contains(&block.as_str())) {
        Some(block) => Err(format!("`{setting}` has {block:?}, but can have {}", known.join(" and "))),
        None => Ok(()),
    }
}

impl Settings {
    fn dimension(&self) -> usize {
        self.vq_embed_dim.unwrap_or(self.latent_channels)
    }

    fn factor(&self) -> u32 {
        1 << (self.block_out_channels.len() - 1)
    }

    fn range(&self) -> Range {
        if self.lookup_from_codebook { Range::UNIT } else { Range::SIGNED }
    }

    fn style(&self) -> Style {
        Style {
            groups: self.norm_num_groups,
            shortcut: "conv_shortcut",
            attention: ["group_norm", "to_q", "to_k", "to_v", "to_out.0"],
            projections: Projections::Matrices,
            ..Style::TAMING
        }
    }

    fn middle(&self, part: &str) -> Vec<Middle> {
        let mut blocks = vec![Middle::Residual(format!("{part}.mid_block.resnets.0"))];
        if self.mid_block_add_attention {
            blocks.push(Middle::Attention(format!("{part}.mid_block.attentions.0")));
        }
        blocks.push(Middle::Residual(format!("{part}.mid_block.resnets.1")));
        blocks
    }

    fn encoder(&self) -> Pyramid {
        let names = PyramidNames {
            conv_in: "encoder.conv_in",
            block: "encoder.down_blocks.{level}.resnets.{index}",
            attention: "encoder.down_blocks.{level}.attentions.{index}",
            resample: "encoder.down_blocks.{level}.downsamplers.0.conv",
            middle: self.middle("encoder"),
            norm_out: "encoder.conv_norm_out",
            conv_out: "encoder.conv_out",
            levels: LevelNames::FromTop,
        };
        Pyramid {
            top: 3,
            first: self.block_out_channels[0],
            widths: self.block_out_channels.clone(),
            blocks: self.layers_per_block,
            attends: self.down_block_types.iter().map(|block| block == DOWN_BLOCKS[1]).collect(),
            halvings: self.block_out_channels.len() - 1,
            latent: self.latent_channels,
            resample: Resample::Conv(PAD_AFTER),
            first_bias: Bias::Stored,
            last_kernel: 3,
            names,
        }
    }

    fn decoder(&self) -> Pyramid {
        let names = PyramidNames {
            conv_in: "decoder.conv_in",
            block: "decoder.up_blocks.{level}.resnets.{index}",
            attention: "decoder.up_blocks.{level}.attentions.{index}",
            resample: "decoder.up_blocks.{level}.upsamplers.0.conv",
            middle: self.middle("decoder"),
            norm_out: "decoder.conv_norm_out",
            conv_out: "decoder.conv_out",
            levels: LevelNames::FromBottom,
        };
        // The blocks are listed in the order in which they run.
        let attends = self.up_block_types.iter().rev().map(|block| block == UP_BLOCKS[1]).collect();
        Pyramid { blocks: self.layers_per_block + 1, attends, names, ..self.encoder() }
    }

    fn codebook(&self, builder: &mut Builder) -> Result<Codebook, VqError> {
        builder.codebook("quantize.embedding.weight", self.num_vq_embeddings as usize, self.dimension())
    }
}

impl Architecture for Settings {
    fn sides(&self) -> Sides {
        Sides { image: self.image_size, place: self.factor() }
    }

    fn codebook_size(&self) -> u32 {
        self.num_vq_embeddings
    }

    /// aMUSEd's training script.
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing { orientation: Orientation::Applied, range: self.range(), ..Preprocessing::TORCHVISION }
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), self.style());
        self.encoder().encode(&mut builder)?;
        builder.conv("quant_conv", ConvShape::pointwise(self.latent_channels, self.dimension()))?;
        let quantiser = Quantiser::Nearest(self.codebook(&mut builder)?);
        let plan = Plan { size, input: self.range(), ops: builder.ops, quantiser };
        Ok(Taken::new(plan, ["encoder.", "quant_conv.", "quantize."]))
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        if self.norm_type != "group" {
            return Err(VqError::Decoder { reason: format!("`norm_type` is {:?}, not \"group\"", self.norm_type) });
        }
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), self.style());
        let codes = Meaning::Rows(self.codebook(&mut builder)?);
        builder.conv("post_quant_conv", ConvShape::pointwise(self.dimension(), self.latent_channels))?;
        self.decoder().decode(&mut builder)?;
        let plan = DecodePlan { grid, codes, ops: builder.ops, output: self.range() };
        Ok(Taken::new(plan, ["decoder.", "post_quant_conv."]))
    }
}
