//! Walks the operations of a plan.

use pulp::Arch;

use super::activation::{Activation, Buffers};
use super::attention::{PackedAttention, Softmax};
use super::conv::{PackedConv, with_border};
use super::norm::{exp, group_norm};
use super::resample::{depth_to_space, pool, upsample};
use super::style::{Look, style_norm};
use super::transformer::PackedTransformer;
use crate::plan::{Function, GroupNorm, Op, Padding, Pool, StyleNorm};

/// Operations with their weights laid out for this executor.
#[derive(Debug)]
pub(super) struct Walk {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Conv(PackedConv),
    GroupNorm { norm: GroupNorm, next: Padding },
    StyleNorm(Box<StyleNorm>),
    Apply(Function),
    Softmax,
    Attention(Box<PackedAttention>),
    Transformer(Box<PackedTransformer>),
    Keep,
    AddKept(Option<PackedConv>),
    Pool(Pool),
    Upsample,
    DepthToSpace { block: usize },
}

impl Walk {
    pub fn new(ops: Vec<Op>) -> Self {
        let mut steps: Vec<Step> = ops.into_iter().map(Step::new).collect();
        let paddings: Vec<Padding> = steps.iter().skip(1).map(Step::padding).collect();
        for (step, padding) in steps.iter_mut().zip(paddings) {
            if let Step::GroupNorm { next, .. } = step {
                *next = padding;
            }
        }
        Self { steps }
    }

    /// The border that the first operation wants around its input.
    pub fn border(&self) -> Padding {
        self.steps.first().map_or(Padding::NONE, Step::padding)
    }

    /// What becomes of the input.
    pub fn run(&self, arch: Arch, input: Activation, buffers: &mut Buffers) -> Activation {
        let styled = self.steps.iter().any(|step| matches!(step, Step::StyleNorm(_)));
        let look = if styled { Look::of(&input) } else { Look::default() };
        let mut kept: Vec<Activation> = Vec::new();
        let mut current = Some(input);
        for step in &self.steps {
            if let Step::Keep = step {
                kept.extend(current.take());
                continue;
            }
            // Behind a `Keep`, what was kept is the input; it stays where it is.
            let Some(input) = current.as_ref().or(kept.last()) else { break };
            let out = match step {
                Step::Keep => break,
                Step::Conv(conv) => convolve(arch, conv, input, buffers),
                Step::GroupNorm { norm, next } => group_norm(arch, norm, input, *next, buffers),
                Step::StyleNorm(norm) => style_norm(arch, norm, &look, input, buffers),
                Step::Apply(function) => apply(*function, input, buffers),
                Step::Softmax => softmax(arch, input, buffers),
                Step::Attention(attention) => attention.run(arch, input, buffers),
                Step::Transformer(transformer) => transformer.run(arch, input, buffers),
                Step::Pool(kind) => pool(*kind, input, buffers),
                Step::Upsample => upsample(input, buffers),
                Step::DepthToSpace { block } => depth_to_space(*block, input, buffers),
                Step::AddKept(shortcut) => {
                    let (Some(added), Some(base)) = (current.take(), kept.pop()) else { break };
                    add(arch, added, base, shortcut.as_ref(), buffers)
                }
            };
            if let Some(used) = current.replace(out) {
                buffers.give_back(used.numbers);
            }
        }
        current.unwrap_or_else(|| buffers.activation(0, 0, 0, Padding::NONE))
    }
}

impl Step {
    fn new(op: Op) -> Self {
        match op {
            Op::Conv(conv) => Self::Conv(PackedConv::new(&conv)),
            Op::GroupNorm(norm) => Self::GroupNorm { norm, next: Padding::NONE },
            Op::StyleNorm(norm) => Self::StyleNorm(norm),
            Op::Apply(function) => Self::Apply(function),
            Op::Softmax => Self::Softmax,
            Op::Attention(attention) => Self::Attention(Box::new(PackedAttention::new(&attention))),
            Op::Transformer(transformer) => Self::Transformer(Box::new(PackedTransformer::new(*transformer))),
            Op::Keep => Self::Keep,
            Op::AddKept(shortcut) => Self::AddKept(shortcut.as_ref().map(PackedConv::new)),
            Op::Pool(kind) => Self::Pool(kind),
            Op::Upsample => Self::Upsample,
            Op::DepthToSpace { block } => Self::DepthToSpace { block },
        }
    }

    fn padding(&self) -> Padding {
        if let Self::Conv(conv) = self { conv.padding } else { Padding::NONE }
    }
}

fn convolve(arch: Arch, conv: &PackedConv, input: &Activation, buffers: &mut Buffers) -> Activation {
    if input.border == conv.padding {
        return conv.run(arch, input, buffers);
    }
    let bordered = with_border(input, conv.padding, buffers);
    let out = conv.run(arch, &bordered, buffers);
    buffers.give_back(bordered.numbers);
    out
}

fn apply(function: Function, input: &Activation, buffers: &mut Buffers) -> Activation {
    let mut out = buffers.activation(input.height, input.width, input.channels, Padding::NONE);
    for y in 0..input.height {
        let numbers = out.row_mut(y).iter_mut().zip(input.row(y));
        match function {
            Function::Relu => numbers.for_each(|(to, from)| *to = from.max(0.0)),
            Function::Sigmoid => numbers.for_each(|(to, from)| *to = 1.0 / (1.0 + exp(-from))),
            Function::Tanh => numbers.for_each(|(to, from)| *to = libm::tanhf(*from)),
        }
    }
    out
}

fn softmax(arch: Arch, input: &Activation, buffers: &mut Buffers) -> Activation {
    let mut out = buffers.activation(input.height, input.width, input.channels, Padding::NONE);
    for y in 0..input.height {
        out.row_mut(y).copy_from_slice(input.row(y));
    }
    arch.dispatch(Softmax { rows: &mut out.numbers, length: input.channels });
    out
}

fn add(
    arch: Arch,
    mut added: Activation,
    base: Activation,
    shortcut: Option<&PackedConv>,
    buffers: &mut Buffers,
) -> Activation {
    let base = match shortcut {
        None => base,
        Some(shortcut) => {
            let out = convolve(arch, shortcut, &base, buffers);
            buffers.give_back(base.numbers);
            out
        }
    };
    added.numbers.iter_mut().zip(&base.numbers).for_each(|(sum, x)| *sum += x);
    buffers.give_back(base.numbers);
    added
}
