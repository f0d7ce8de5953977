//! DALL-E's dVAE (openai/DALL-E, `dall_e/encoder.py` and `decoder.py`, modified MIT), whose ids are its largest logits.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Builder, Style, TensorNames};
use super::{Architecture, Bounded, Family, LARGEST_SIDE, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::pixels::{Rounding, Sampling};
use crate::plan::{Codebook, Conv, DecodePlan, Function, Meaning, Op, Padding, Plan, Pool, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "dalle", publishes: |_| false, read };

/// Groups of blocks, of which all but the last halve the image.
const GROUPS: usize = 4;

/// Levels are kept away from 0 and 1, whose logits don't end.
const RANGE: Range = Range { low: 0.1, high: 0.9 };

/// By its code's names, with what DALL-E was trained with.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Settings {
    image_size: u32,
    n_hid: usize,
    n_init: usize,
    n_blk_per_group: usize,
    vocab_size: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { image_size: 256, n_hid: 256, n_init: 128, n_blk_per_group: 2, vocab_size: 8192 }
    }
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    Bounded("`n_hid`", settings.n_hid).within(4, 1024)?;
    Bounded("`n_init`", settings.n_init).within(1, 4096)?;
    Bounded("`n_blk_per_group`", settings.n_blk_per_group).within(1, 64)?;
    Bounded("`vocab_size`", settings.vocab_size as usize).within(1, 1 << 20)?;
    Bounded("`image_size`", settings.image_size as usize).within(1, LARGEST_SIDE as usize)?;
    if !settings.n_hid.is_multiple_of(4) {
        return Err(format!("`n_hid` is {}, no multiple of 4", settings.n_hid));
    }
    settings.grid(settings.native_size())?;
    Ok(Box::new(settings))
}

/// The sides of the kernels of a block.
const ENCODER_KERNELS: [usize; 4] = [3, 3, 3, 1];
const DECODER_KERNELS: [usize; 4] = [1, 3, 3, 3];

impl Settings {
    fn group(
        &self,
        builder: &mut Builder,
        group: usize,
        channels: &mut usize,
        out: usize,
        kernels: [usize; 4],
    ) -> Result<(), VqError> {
        for block in 1..=self.n_blk_per_group {
            self.block(builder, &format!("blocks.group_{group}.block_{block}"), *channels, out, kernels)?;
            *channels = out;
        }
        Ok(())
    }

    fn block(
        &self,
        builder: &mut Builder,
        name: &str,
        input: usize,
        out: usize,
        kernels: [usize; 4],
    ) -> Result<(), VqError> {
        let hidden = out / 4;
        builder.ops.push(Op::Keep);
        let widths = [input, hidden, hidden, hidden, out];
        for (index, kernel) in kernels.into_iter().enumerate() {
            builder.ops.push(Op::Apply(Function::Relu));
            let name = format!("{name}.res_path.conv_{}", index + 1);
            let mut conv = conv(builder, &name, widths[index], widths[index + 1], kernel)?;
            if index + 1 == kernels.len() {
                let layers = (GROUPS * self.n_blk_per_group) as f32;
                conv.weight.iter_mut().chain(&mut conv.bias).for_each(|x| *x /= layers * layers);
            }
            builder.ops.push(Op::Conv(conv));
        }
        let beside = if input == out { None } else { Some(conv(builder, &format!("{name}.id_path"), input, out, 1)?) };
        builder.ops.push(Op::AddKept(beside));
        Ok(())
    }
}

fn conv(builder: &mut Builder, name: &str, input: usize, out: usize, kernel: usize) -> Result<Conv, VqError> {
    Ok(Conv {
        channels_in: input,
        channels_out: out,
        kernel,
        stride: 1,
        padding: Padding { before: kernel / 2, after: kernel / 2 },
        weight: builder.tensor(&format!("{name}.w"), &[out, input, kernel, kernel])?,
        bias: builder.tensor(&format!("{name}.b"), &[out])?,
    })
}

/// Encoder and decoder are published as two files with the same names; in one file each has a prefix.
fn encoder_names(checkpoint: &Checkpoint) -> TensorNames {
    let prefixed = TensorNames::Prefixed("encoder.");
    if checkpoint.has(&prefixed.of("blocks.input.w")) { prefixed } else { TensorNames::Prefixed("") }
}

impl Architecture for Settings {
    fn sides(&self) -> Sides {
        Sides { image: self.image_size, place: 1 << (GROUPS - 1) }
    }

    fn codebook_size(&self) -> u32 {
        self.vocab_size
    }

    fn preprocessing(&self) -> Preprocessing {
        let torchvision = Preprocessing::TORCHVISION;
        Preprocessing { sampling: Sampling::Lanczos, rounding: Rounding::Nearest, range: RANGE, ..torchvision }
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let names = encoder_names(checkpoint);
        let prefixes = vec![names.of("blocks.")];
        let mut builder = Builder::new(checkpoint, names, Style::TAMING);
        let mut channels = self.n_hid;
        let first = conv(&mut builder, "blocks.input", 3, channels, 7)?;
        builder.ops.push(Op::Conv(first));
        for group in 1..=GROUPS {
            self.group(&mut builder, group, &mut channels, self.n_hid << (group - 1), ENCODER_KERNELS)?;
            if group < GROUPS {
                builder.ops.push(Op::Pool(Pool::Largest));
            }
        }
        builder.ops.push(Op::Apply(Function::Relu));
        let last = conv(&mut builder, "blocks.output.conv", channels, self.vocab_size as usize, 1)?;
        builder.ops.push(Op::Conv(last));
        let quantiser = Quantiser::Largest { count: self.vocab_size };
        Ok(Taken { plan: Plan { size, input: RANGE, ops: builder.ops, quantiser }, prefixes })
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed("decoder."), Style::TAMING);
        let codes = Meaning::Rows(self.rows(&mut builder)?);
        let mut channels = self.n_init;
        for group in 1..=GROUPS {
            self.group(&mut builder, group, &mut channels, self.n_hid << (GROUPS - group), DECODER_KERNELS)?;
            if group < GROUPS {
                builder.ops.push(Op::Upsample);
            }
        }
        builder.ops.push(Op::Apply(Function::Relu));
        // The last three channels are deviations, which an image doesn't show.
        let last = conv(&mut builder, "blocks.output.conv", channels, 6, 1)?;
        builder.ops.extend([Op::Conv(last), Op::Apply(Function::Sigmoid)]);
        Ok(Taken::new(DecodePlan { grid, codes, ops: builder.ops, output: RANGE }, ["decoder.blocks."]))
    }
}

impl Settings {
    /// What the decoder's first convolution makes of the one id that is set.
    fn rows(&self, builder: &mut Builder) -> Result<Codebook, VqError> {
        let (count, dimension) = (self.vocab_size as usize, self.n_init);
        let input = conv(builder, "blocks.input", count, dimension, 1)?;
        let whole = input.weight.len() == count * dimension && input.bias.len() == dimension;
        let number = |place: usize| {
            let (id, out) = (place / dimension, place % dimension);
            input.weight[out * count + id] + input.bias[out]
        };
        let vectors = if whole { (0..count * dimension).map(number).collect() } else { Vec::new() };
        Ok(Codebook { count, dimension, vectors })
    }
}
