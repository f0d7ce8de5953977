//! Open-MAGVIT2's image tokenizer (TencentARC/SEED-Voken, `src/Open_MAGVIT2/modules/diffusionmodules/improved_model.py`,
//! Apache-2.0), whose ids are signs.

use serde_json::Value;

use super::builder::{Bias, Builder, Style, TensorNames};
use super::ddconfig::Vqgan;
use super::pyramid::{LevelNames, Middle, Pyramid, PyramidNames, Resample};
use super::{Architecture, Family, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{Affine, DecodePlan, Meaning, Op, Padding, Plan, Quantiser, StyleNorm};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "open_magvit2", publishes: |_| false, read };

/// The style of all residual blocks here.
const STYLE: Style = Style { bias: Bias::None, ..Style::TAMING };

/// Zeros on all sides, unlike taming.
const AROUND: Padding = Padding { before: 1, after: 1 };

/// What its configurations have under `model.init_args`.
#[derive(Debug)]
struct OpenMagvit2(Vqgan);

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let vqgan: Vqgan = settings(config)?;
    vqgan.ddconfig.check()?;
    let Vqgan { n_embed, embed_dim: bits, ddconfig } = &vqgan;
    if *bits == 0 || *bits > 31 || *n_embed != 1 << bits || ddconfig.z_channels != *bits {
        return Err(format!(
            "`embed_dim` is {bits}, `z_channels` {} and `n_embed` {n_embed}; the first two are equal, up to 31, and the last \
             is 2 to their power",
            ddconfig.z_channels
        ));
    }
    Ok(Box::new(OpenMagvit2(vqgan)))
}

/// Signs of numbers near zero differ between a model and its moving average, and its own code takes the average.
pub(super) fn names_of(checkpoint: &Checkpoint, probe: &str) -> TensorNames {
    let averages = TensorNames::Undotted("model_ema.");
    if checkpoint.has(&averages.of(probe)) { averages } else { TensorNames::Prefixed("") }
}

impl OpenMagvit2 {
    fn bits(&self) -> u32 {
        self.0.embed_dim as u32
    }

    fn middle(&self, part: &str) -> Vec<Middle> {
        let name = |index| Middle::Residual(format!("{part}.mid_block.{index}"));
        (0..self.0.ddconfig.num_res_blocks).map(name).collect()
    }

    fn pyramid(&self) -> Pyramid {
        let names = PyramidNames {
            conv_in: "encoder.conv_in",
            block: "encoder.down.{level}.block.{index}",
            attention: "",
            resample: "encoder.down.{level}.downsample",
            middle: self.middle("encoder"),
            norm_out: "encoder.norm_out",
            conv_out: "encoder.conv_out",
            levels: LevelNames::FromTop,
        };
        let (resample, attends) = (Resample::Adaptive(AROUND), Vec::new());
        let like = self.0.ddconfig.encoder();
        Pyramid { resample, attends, first_bias: Bias::None, last_kernel: 1, names, ..like }
    }
}

impl Architecture for OpenMagvit2 {
    fn sides(&self) -> Sides {
        self.0.ddconfig.sides()
    }

    fn codebook_size(&self) -> u32 {
        self.0.n_embed
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::TORCHVISION
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let names = names_of(checkpoint, "encoder.conv_in.weight");
        let prefixes = vec![names.of("encoder")];
        let mut builder = Builder::new(checkpoint, names, STYLE);
        self.pyramid().encode(&mut builder)?;
        let quantiser = Quantiser::Signs { bits: self.bits() };
        Ok(Taken { plan: Plan { size, input: Range::SIGNED, ops: builder.ops, quantiser }, prefixes })
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let names = names_of(checkpoint, "decoder.conv_in.weight");
        let prefixes = vec![names.of("decoder")];
        let mut builder = Builder::new(checkpoint, names, STYLE);
        let names = PyramidNames {
            conv_in: "decoder.conv_in",
            block: "decoder.up.{level}.block.{index}",
            resample: "decoder.up.{level}.upsample.conv1",
            middle: self.middle("decoder"),
            norm_out: "decoder.norm_out",
            conv_out: "decoder.conv_out",
            ..self.pyramid().names
        };
        Pyramid { names, ..self.pyramid() }.decode(&mut builder)?;
        let codes = Meaning::Signs { bits: self.bits() };
        Ok(Taken { plan: DecodePlan { grid, codes, ops: builder.ops, output: Range::SIGNED }, prefixes })
    }
}

/// The normalisation before a level of the decoder.
pub(super) fn style_norm(builder: &mut Builder, level: usize, latent: usize, channels: usize) -> Result<(), VqError> {
    let mut affine = |name: &str| -> Result<Affine, VqError> {
        Ok(Affine {
            weight: builder.tensor(&format!("decoder.adaptive.{level}.{name}.weight"), &[channels, latent])?,
            bias: builder.tensor(&format!("decoder.adaptive.{level}.{name}.bias"), &[channels])?,
        })
    };
    let (factor, summand) = (affine("gamma")?, affine("beta")?);
    let Style { groups, epsilon, .. } = builder.style;
    builder.ops.push(Op::StyleNorm(Box::new(StyleNorm { groups, epsilon, factor, summand })));
    Ok(())
}
