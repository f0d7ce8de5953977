//! Takes tensors out of a checkpoint and makes operations of them.

use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{Activation, Attention, Codebook, Conv, GroupNorm, Op, Padding};

/// A list of operations being made.
pub(crate) struct Builder<'c, 'a> {
    pub checkpoint: &'c mut Checkpoint<'a>,
    pub names: TensorNames,
    pub style: Style,
    pub ops: Vec<Op>,
}

/// How the names of a family's code become those of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TensorNames {
    /// This stands in front of every name.
    Prefixed(&'static str),
    /// This stands in front of every name, whose dots are left out: how Lightning's moving averages are stored.
    Undotted(&'static str),
}

impl TensorNames {
    pub fn of(&self, name: &str) -> String {
        match self {
            Self::Prefixed(prefix) => format!("{prefix}{name}"),
            Self::Undotted(prefix) => format!("{prefix}{}", name.replace('.', "")),
        }
    }
}

/// What the residual and attention blocks of a family have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Groups of channels that are normalised together.
    pub groups: usize,
    pub epsilon: f32,
    /// Whether the convolutions of residual blocks have biases.
    pub bias: Bias,
    /// The name of the convolution beside a block that changes the width.
    pub shortcut: &'static str,
    pub shortcut_of: ShortcutOf,
    /// The names of an attention's normalisation, query, key, value and projection.
    pub attention: [&'static str; 5],
    pub projections: Projections,
}

impl Style {
    pub const TAMING: Self = Self {
        groups: 32,
        epsilon: 1e-6,
        bias: Bias::Stored,
        shortcut: "nin_shortcut",
        shortcut_of: ShortcutOf::Input,
        attention: ["norm", "q", "k", "v", "proj_out"],
        projections: Projections::Convolutions,
    };
}

/// Whether a convolution has a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bias {
    Stored,
    None,
}

/// What the convolution beside a residual block that changes the width is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShortcutOf {
    /// The block's input.
    Input,
    /// The block's own result, so that its input is lost.
    Output,
}

/// How the weights of an attention are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projections {
    /// `[out, in, 1, 1]`.
    Convolutions,
    /// `[out, in]`.
    Matrices,
}

/// Of a convolution with a stride of 1 that keeps an image's size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvShape {
    pub input: usize,
    pub out: usize,
    pub kernel: usize,
    pub bias: Bias,
}

impl ConvShape {
    /// 3x3, with a bias.
    pub const fn three(input: usize, out: usize) -> Self {
        Self { input, out, kernel: 3, bias: Bias::Stored }
    }

    /// 1x1, with a bias.
    pub const fn pointwise(input: usize, out: usize) -> Self {
        Self { input, out, kernel: 1, bias: Bias::Stored }
    }

    pub const fn with_bias(self, bias: Bias) -> Self {
        Self { bias, ..self }
    }
}

impl<'c, 'a> Builder<'c, 'a> {
    pub fn new(checkpoint: &'c mut Checkpoint<'a>, names: TensorNames, style: Style) -> Self {
        Self { checkpoint, names, style, ops: Vec::new() }
    }

    pub fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, VqError> {
        self.checkpoint.take(self.names.of(name), shape)
    }

    pub fn codebook(&mut self, name: &str, count: usize, dimension: usize) -> Result<Codebook, VqError> {
        Ok(Codebook { count, dimension, vectors: self.tensor(name, &[count, dimension])? })
    }

    pub fn conv_weights(&mut self, name: &str, shape: ConvShape) -> Result<Conv, VqError> {
        let ConvShape { input, out, kernel, bias } = shape;
        let around = kernel / 2;
        let weight = self.tensor(&format!("{name}.weight"), &[out, input, kernel, kernel])?;
        let bias = match bias {
            Bias::Stored => self.tensor(&format!("{name}.bias"), &[out])?,
            Bias::None => vec![0.0; out],
        };
        let padding = Padding { before: around, after: around };
        Ok(Conv { channels_in: input, channels_out: out, kernel, stride: 1, padding, weight, bias })
    }

    pub fn conv(&mut self, name: &str, shape: ConvShape) -> Result<(), VqError> {
        let conv = self.conv_weights(name, shape)?;
        self.ops.push(Op::Conv(conv));
        Ok(())
    }

    /// A 3x3 convolution with a stride of 2.
    pub fn downsample(&mut self, name: &str, channels: usize, padding: Padding) -> Result<(), VqError> {
        let conv = self.conv_weights(name, ConvShape::three(channels, channels))?;
        self.ops.push(Op::Conv(Conv { stride: 2, padding, ..conv }));
        Ok(())
    }

    pub fn norm(&mut self, name: &str, channels: usize, activation: Activation) -> Result<(), VqError> {
        let weight = self.tensor(&format!("{name}.weight"), &[channels])?;
        let bias = self.tensor(&format!("{name}.bias"), &[channels])?;
        let Style { groups, epsilon, .. } = self.style;
        self.ops.push(Op::GroupNorm(GroupNorm { groups, epsilon, activation, weight, bias }));
        Ok(())
    }

    pub fn residual(&mut self, name: &str, input: usize, out: usize) -> Result<(), VqError> {
        let Style { bias, shortcut, shortcut_of, .. } = self.style;
        let loses_input = input != out && shortcut_of == ShortcutOf::Output;
        if !loses_input {
            self.ops.push(Op::Keep);
        }
        self.norm(&format!("{name}.norm1"), input, Activation::Swish)?;
        self.conv(&format!("{name}.conv1"), ConvShape::three(input, out).with_bias(bias))?;
        self.norm(&format!("{name}.norm2"), out, Activation::Swish)?;
        self.conv(&format!("{name}.conv2"), ConvShape::three(out, out).with_bias(bias))?;
        let shortcut_name = format!("{name}.{shortcut}");
        if loses_input {
            self.ops.push(Op::Keep);
            self.conv(&shortcut_name, ConvShape::pointwise(out, out).with_bias(bias))?;
        }
        let beside = if input == out || loses_input {
            None
        } else {
            Some(self.conv_weights(&shortcut_name, ConvShape::pointwise(input, out).with_bias(bias))?)
        };
        self.ops.push(Op::AddKept(beside));
        Ok(())
    }

    pub fn attention(&mut self, name: &str, channels: usize) -> Result<(), VqError> {
        self.ops.push(Op::Keep);
        let [norm, query, key, value, projection] = self.style.attention.map(|part| format!("{name}.{part}"));
        self.norm(&norm, channels, Activation::None)?;
        let attention = Attention {
            query: self.projection(&query, channels)?,
            key: self.projection(&key, channels)?,
            value: self.projection(&value, channels)?,
            projection: self.projection(&projection, channels)?,
        };
        self.ops.push(Op::Attention(Box::new(attention)));
        self.ops.push(Op::AddKept(None));
        Ok(())
    }

    fn projection(&mut self, name: &str, channels: usize) -> Result<Conv, VqError> {
        match self.style.projections {
            Projections::Convolutions => self.conv_weights(name, ConvShape::pointwise(channels, channels)),
            Projections::Matrices => Ok(Conv {
                channels_in: channels,
                channels_out: channels,
                kernel: 1,
                stride: 1,
                padding: Padding::NONE,
                weight: self.tensor(&format!("{name}.weight"), &[channels, channels])?,
                bias: self.tensor(&format!("{name}.bias"), &[channels])?,
            }),
        }
    }
}
