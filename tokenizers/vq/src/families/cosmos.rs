//! Cosmos' discrete image tokenizers (NVIDIA/Cosmos-Tokenizer, `cosmos_tokenizer/networks/discrete_image.py`,
//! Apache-2.0): patches, taming's encoder, and rounded numbers for ids.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Builder, ConvShape, Style, TensorNames};
use super::ddconfig::DdConfig;
use super::pyramid::Pyramid;
use super::{Architecture, Bounded, Family, LARGEST_SIDE, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{Conv, DecodePlan, Meaning, Op, Padding, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "cosmos", publishes: |_| false, read };

/// What `networks/configs.py` has in `discrete_image`, with its values, and the size of the images.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Settings {
    image_size: u32,
    attn_resolutions: Vec<u32>,
    channels: usize,
    channels_mult: Vec<usize>,
    spatial_compression: usize,
    num_res_blocks: usize,
    resolution: u32,
    patch_size: usize,
    patch_method: PatchMethod,
    z_channels: usize,
    embedding_dim: usize,
    levels: Vec<u32>,
}

/// How a square of pixels becomes the channels of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PatchMethod {
    /// Haar wavelets, as often as the side can be halved.
    Haar,
    /// As they are.
    Rearrange,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image_size: 256,
            attn_resolutions: vec![32],
            channels: 128,
            channels_mult: vec![2, 4, 4],
            spatial_compression: 16,
            num_res_blocks: 2,
            resolution: 1024,
            patch_size: 4,
            patch_method: PatchMethod::Haar,
            z_channels: 256,
            embedding_dim: 6,
            levels: vec![8, 8, 8, 5, 5, 5],
        }
    }
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    let (patch, compression) = (settings.patch_size, settings.spatial_compression);
    Bounded("`patch_size`", patch).within(1, 8)?;
    Bounded("`spatial_compression`", compression).within(patch, 256)?;
    if !patch.is_power_of_two() || !compression.is_power_of_two() || settings.halvings() > settings.channels_mult.len()
    {
        return Err(format!(
            "`patch_size` is {patch} and `spatial_compression` {compression}; both are powers of 2, and the second is \
             reached by at most {} halvings",
            settings.channels_mult.len()
        ));
    }
    settings.ddconfig().check()?;
    let dimensions = settings.levels.len();
    let sizes = settings.levels.iter().map(|levels| u64::from(*levels));
    let codes = sizes.fold(1_u64, u64::saturating_mul);
    if settings.embedding_dim != dimensions || !(1..=16).contains(&dimensions) || codes > 1 << 31 {
        return Err(format!(
            "`levels` are {:?}; `embedding_dim` says how many, and their product is an id",
            settings.levels
        ));
    }
    for levels in &settings.levels {
        Bounded("one of `levels`", *levels as usize).within(2, 1 << 16)?;
    }
    Bounded("`image_size`", settings.image_size as usize).within(1, LARGEST_SIDE as usize)?;
    settings.grid(settings.native_size())?;
    Ok(Box::new(settings))
}

impl Settings {
    fn halvings(&self) -> usize {
        (self.spatial_compression / self.patch_size).ilog2() as usize
    }

    /// Its encoder works on patches, so `resolution` is counted in them.
    fn ddconfig(&self) -> DdConfig {
        DdConfig {
            ch: self.channels,
            ch_mult: self.channels_mult.clone(),
            num_res_blocks: self.num_res_blocks,
            attn_resolutions: self.attn_resolutions.clone(),
            resolution: self.resolution / self.patch_size as u32,
            in_channels: 3,
            z_channels: self.z_channels,
            double_z: false,
        }
    }

    fn channels_of_patch(&self) -> usize {
        3 * self.patch_size * self.patch_size
    }

    /// A level below those that are halved has the side of the last that is.
    fn encoder(&self) -> Pyramid {
        let top = self.resolution / self.patch_size as u32;
        let side = |level: usize| top >> level.min(self.halvings());
        let attends = (0..self.channels_mult.len()).map(|level| self.attn_resolutions.contains(&side(level)));
        let like = self.ddconfig().encoder();
        Pyramid { top: self.channels_of_patch(), halvings: self.halvings(), attends: attends.collect(), ..like }
    }

    /// Its decoder counts from the bottom, and takes every level but the first for halved there.
    fn decoder(&self) -> Pyramid {
        let levels = self.channels_mult.len();
        let bottom = (self.resolution / self.patch_size as u32) >> (levels - 1);
        let side = |level: usize| bottom << (levels - 1 - level).min(self.halvings());
        let attends = (0..levels).map(|level| self.attn_resolutions.contains(&side(level)));
        let like = self.ddconfig().decoder();
        Pyramid { top: self.channels_of_patch(), halvings: self.halvings(), attends: attends.collect(), ..like }
    }

    /// The factor between a pixel and a channel of its patch, and back.
    ///
    /// Each step of Haar's makes four bands of a square of four: sums or differences across, and down.
    fn factors(&self, row: usize, column: usize, channel: usize) -> (f32, f32) {
        let patch = self.patch_size;
        if self.patch_method == PatchMethod::Rearrange {
            let same = channel % (patch * patch) == row * patch + column;
            let factor = if same { 1.0 } else { 0.0 };
            return (factor, factor);
        }
        let mut sign = 1.0;
        let mut band = channel / 3;
        for step in 0..patch.ilog2() {
            let (down, across) = (row >> step & 1, column >> step & 1);
            // Bands are low or high across, and within those low or high down.
            let odd = (band >> 1 & 1 & across) ^ (band & 1 & down);
            sign *= if odd == 1 { -1.0 } else { 1.0 };
            band >>= 2;
        }
        (sign / (patch * patch) as f32, sign)
    }

    /// The colour that a channel of a patch is of.
    fn colour(&self, channel: usize) -> usize {
        match self.patch_method {
            PatchMethod::Haar => channel % 3,
            PatchMethod::Rearrange => channel / (self.patch_size * self.patch_size),
        }
    }

    fn cut(&self) -> Op {
        let (patch, out) = (self.patch_size, self.channels_of_patch());
        let mut weight = vec![0.0; out * out];
        for (place, weight) in weight.iter_mut().enumerate() {
            let (channel, colour) = (place / out, place % out / (patch * patch));
            let (row, column) = (place % (patch * patch) / patch, place % patch);
            if self.colour(channel) == colour {
                *weight = self.factors(row, column, channel).0;
            }
        }
        Op::Conv(Conv {
            channels_in: 3,
            channels_out: out,
            kernel: patch,
            stride: patch,
            padding: Padding::NONE,
            weight,
            bias: vec![0.0; out],
        })
    }

    fn join(&self) -> [Op; 2] {
        let (patch, channels) = (self.patch_size, self.channels_of_patch());
        let mut weight = vec![0.0; channels * channels];
        for (place, weight) in weight.iter_mut().enumerate() {
            let (pixel, channel) = (place / channels, place % channels);
            let (row, column, colour) = (pixel / 3 / patch, pixel / 3 % patch, pixel % 3);
            if self.colour(channel) == colour {
                *weight = self.factors(row, column, channel).1;
            }
        }
        let conv = Conv {
            channels_in: channels,
            channels_out: channels,
            kernel: 1,
            stride: 1,
            padding: Padding::NONE,
            weight,
            bias: vec![0.0; channels],
        };
        [Op::Conv(conv), Op::DepthToSpace { block: patch }]
    }
}

impl Architecture for Settings {
    fn sides(&self) -> Sides {
        Sides { image: self.image_size, place: self.spatial_compression as u32 }
    }

    fn codebook_size(&self) -> u32 {
        self.levels.iter().product()
    }

    /// Its code leaves the size to the caller.
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::TORCHVISION
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        builder.ops.push(self.cut());
        self.encoder().encode(&mut builder)?;
        builder.conv("quant_conv", ConvShape::pointwise(self.z_channels, self.embedding_dim))?;
        let quantiser = Quantiser::Levels(self.levels.clone());
        let plan = Plan { size, input: Range::SIGNED, ops: builder.ops, quantiser };
        Ok(Taken::new(plan, ["encoder.", "quant_conv."]))
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        builder.conv("post_quant_conv", ConvShape::pointwise(self.embedding_dim, self.z_channels))?;
        self.decoder().decode(&mut builder)?;
        builder.ops.extend(self.join());
        let codes = Meaning::Levels(self.levels.clone());
        let plan = DecodePlan { grid, codes, ops: builder.ops, output: Range::SIGNED };
        Ok(Taken::new(plan, ["decoder.", "post_quant_conv."]))
    }
}
