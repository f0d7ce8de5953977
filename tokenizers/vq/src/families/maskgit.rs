//! MaskGIT's VQGAN as ported to PyTorch (bytedance/1d-tokenizer, `modeling/modules/maskgit_vqgan.py`, Apache-2.0, and
//! open-muse): no attention, hardly a bias, and shortcuts that lose their input.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Bias, Builder, ShortcutOf, Style, TensorNames};
use super::pyramid::{LevelNames, Middle, Pyramid, PyramidNames, Resample};
use super::{Architecture, Bounded, Family, LARGEST_SIDE, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{Codebook, DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family =
    Family { name: "maskgit", publishes: |config| config["_class_name"] == "MaskGitVQGAN", read };

/// By the ports' names, with what MaskGIT was trained with.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    pub channel_mult: Vec<usize>,
    pub hidden_channels: usize,
    pub num_channels: usize,
    pub num_res_blocks: usize,
    pub resolution: u32,
    pub z_channels: usize,
    pub num_embeddings: u32,
    /// Whose names the tensors have.
    #[serde(skip)]
    pub port: Port,
}

/// The ports differ in names and in the number of blocks at the bottom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Port {
    #[default]
    OneDTokenizer,
    Mage,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            channel_mult: vec![1, 1, 2, 2, 4],
            hidden_channels: 128,
            num_channels: 3,
            num_res_blocks: 2,
            resolution: 256,
            z_channels: 256,
            num_embeddings: 1024,
            port: Port::default(),
        }
    }
}

pub(super) const STYLE: Style = Style { bias: Bias::None, shortcut_of: ShortcutOf::Output, ..Style::TAMING };

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    settings.check()?;
    Ok(Box::new(settings))
}

impl Settings {
    pub fn check(&self) -> Result<(), String> {
        Bounded("the number of `channel_mult`", self.channel_mult.len()).within(1, 8)?;
        Bounded("`num_res_blocks`", self.num_res_blocks).within(0, 64)?;
        Bounded("`z_channels`", self.z_channels).within(1, 1 << 16)?;
        Bounded("`num_embeddings`", self.num_embeddings as usize).within(1, 1 << 20)?;
        Bounded("`resolution`", self.resolution as usize).within(1, LARGEST_SIDE as usize)?;
        Bounded("`num_channels`", self.num_channels).within(3, 3)?;
        Bounded("`hidden_channels`", self.hidden_channels).normalised(32)?;
        self.widths().into_iter().try_for_each(|width| Bounded("a level of `channel_mult`", width).normalised(32))?;
        self.grid(self.native_size()).map(|_| ())
    }

    fn widths(&self) -> Vec<usize> {
        self.channel_mult.iter().map(|multiplier| multiplier.saturating_mul(self.hidden_channels)).collect()
    }

    pub fn factor(&self) -> u32 {
        1 << (self.channel_mult.len() - 1)
    }

    fn middle(&self, part: &str) -> Vec<Middle> {
        match self.port {
            Port::OneDTokenizer => {
                (0..self.num_res_blocks).map(|index| Middle::Residual(format!("{part}.mid.{index}"))).collect()
            }
            Port::Mage => (1..=2).map(|index| Middle::Residual(format!("{part}.mid.block_{index}"))).collect(),
        }
    }

    fn encoder(&self) -> Pyramid {
        let names = PyramidNames {
            conv_in: "encoder.conv_in",
            block: "encoder.down.{level}.block.{index}",
            attention: "",
            resample: "",
            middle: self.middle("encoder"),
            norm_out: "encoder.norm_out",
            conv_out: "encoder.conv_out",
            levels: LevelNames::FromTop,
        };
        Pyramid {
            top: 3,
            first: self.hidden_channels,
            widths: self.widths(),
            blocks: self.num_res_blocks,
            attends: Vec::new(),
            halvings: self.channel_mult.len() - 1,
            latent: self.z_channels,
            resample: Resample::Average,
            first_bias: Bias::None,
            last_kernel: 1,
            names,
        }
    }

    pub fn decoder(&self) -> Pyramid {
        let names = PyramidNames {
            conv_in: "decoder.conv_in",
            block: "decoder.up.{level}.block.{index}",
            attention: "",
            resample: match self.port {
                Port::OneDTokenizer => "decoder.up.{level}.upsample_conv",
                Port::Mage => "decoder.up.{level}.upsample.conv",
            },
            middle: self.middle("decoder"),
            norm_out: "decoder.norm_out",
            conv_out: "decoder.conv_out",
            levels: LevelNames::FromTop,
        };
        Pyramid { names, ..self.encoder() }
    }

    fn codebook(&self, builder: &mut Builder) -> Result<Codebook, VqError> {
        builder.codebook("quantize.embedding.weight", self.num_embeddings as usize, self.z_channels)
    }
}

impl Architecture for Settings {
    fn sides(&self) -> Sides {
        Sides { image: self.resolution, place: self.factor() }
    }

    fn codebook_size(&self) -> u32 {
        self.num_embeddings
    }

    /// As 1d-tokenizer's `scripts/pretokenization.py` and MAGE's `prepare_imgnet_val.py` have it.
    fn preprocessing(&self) -> Preprocessing {
        let like = match self.port {
            Port::OneDTokenizer => Preprocessing::ADM,
            Port::Mage => Preprocessing::TORCHVISION,
        };
        Preprocessing { range: Range::UNIT, ..like }
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), STYLE);
        self.encoder().encode(&mut builder)?;
        let quantiser = Quantiser::Nearest(self.codebook(&mut builder)?);
        let plan = Plan { size, input: Range::UNIT, ops: builder.ops, quantiser };
        Ok(Taken::new(plan, ["encoder.", "quantize."]))
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), STYLE);
        let codes = Meaning::Rows(self.codebook(&mut builder)?);
        self.decoder().decode(&mut builder)?;
        let plan = DecodePlan { grid, codes, ops: builder.ops, output: Range::UNIT };
        Ok(Taken::new(plan, ["decoder."]))
    }
}
