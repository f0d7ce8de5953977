//! Walks a plan for each image.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;

use super::activation::{Activation, Buffers};
use super::attention::PackedAttention;
use super::conv::{PackedConv, with_border};
use super::matrix::{Left, Packed, multiply};
use super::norm::group_norm;
use crate::plan::{Codes, Executor, GroupNorm, Op, Padding, Plan};

/// Ids are looked up for this many places at once, so that a large codebook needs little memory.
const LOOKUPS: usize = 16;

/// A plan with its weights laid out for this executor.
#[derive(Debug)]
pub(crate) struct CpuExecutor {
    arch: Arch,
    image_size: usize,
    steps: Vec<Step>,
    /// Half of what is to be smallest, negated: `z · code - |code|² / 2`.
    codes: Packed,
    /// At most one set for each thread that encoded at the same time.
    idle: Mutex<Vec<Buffers>>,
}

#[derive(Debug)]
enum Step {
    Conv(PackedConv),
    GroupNorm { norm: GroupNorm, next: Padding },
    Attention(Box<PackedAttention>),
    Keep,
    AddKept(Option<PackedConv>),
}

impl CpuExecutor {
    pub fn new(plan: Plan) -> Self {
        Self::with_arch(plan, Arch::new())
    }

    /// With the vectors of `arch`, which change the time it takes and nothing else.
    pub fn with_arch(plan: Plan, arch: Arch) -> Self {
        let mut steps: Vec<Step> = plan.ops.into_iter().map(Step::new).collect();
        let paddings: Vec<Padding> = steps.iter().skip(1).map(Step::padding).collect();
        for (step, padding) in steps.iter_mut().zip(paddings) {
            if let Step::GroupNorm { next, .. } = step {
                *next = padding;
            }
        }
        let size = plan.image_size as usize;
        let codes = pack_codes(&plan.codes);
        Self { arch, image_size: size, steps, codes, idle: Mutex::default() }
    }

    /// The numbers that are looked up in the codebook, place by place.
    pub(crate) fn features(&self, image: &[u8], buffers: &mut Buffers) -> Activation {
        let mut kept: Vec<Activation> = Vec::new();
        let mut current = Some(self.input(image, buffers));
        for step in &self.steps {
            if let Step::Keep = step {
                kept.extend(current.take());
                continue;
            }
            // Behind a `Keep`, what was kept is the input; it stays where it is.
            let Some(input) = current.as_ref().or(kept.last()) else { break };
            let out = match step {
                Step::Keep => break,
                Step::Conv(conv) => self.conv(conv, input, buffers),
                Step::GroupNorm { norm, next } => group_norm(self.arch, norm, input, *next, buffers),
                Step::Attention(attention) => attention.run(self.arch, input, buffers),
                Step::AddKept(shortcut) => {
                    let Some(added) = current.take() else { break };
                    let Some(base) = kept.pop() else { break };
                    self.add(added, base, shortcut.as_ref(), buffers)
                }
            };
            if let Some(used) = current.replace(out) {
                buffers.give_back(used.numbers);
            }
        }
        current.unwrap_or_else(|| buffers.activation(0, 0, 0, Padding::NONE))
    }

    /// The image's levels from 0 to 255 as -1 to 1.
    fn input(&self, image: &[u8], buffers: &mut Buffers) -> Activation {
        let border = self.steps.first().map_or(Padding::NONE, Step::padding);
        let mut input = buffers.activation(self.image_size, self.image_size, 3, border);
        for (y, levels) in image.chunks_exact(self.image_size * 3).enumerate() {
            for (to, level) in input.row_mut(y).iter_mut().zip(levels) {
                *to = f32::from(*level) / 127.5 - 1.0;
            }
        }
        input
    }

    fn conv(&self, conv: &PackedConv, input: &Activation, buffers: &mut Buffers) -> Activation {
        if input.border == conv.padding {
            return conv.run(self.arch, input, buffers);
        }
        let bordered = with_border(input, conv.padding, buffers);
        let out = conv.run(self.arch, &bordered, buffers);
        buffers.give_back(bordered.numbers);
        out
    }

    fn add(
        &self,
        mut added: Activation,
        base: Activation,
        shortcut: Option<&PackedConv>,
        buffers: &mut Buffers,
    ) -> Activation {
        let base = match shortcut {
            None => base,
            Some(shortcut) => {
                let out = self.conv(shortcut, &base, buffers);
                buffers.give_back(base.numbers);
                out
            }
        };
        added.numbers.iter_mut().zip(&base.numbers).for_each(|(sum, x)| *sum += x);
        buffers.give_back(base.numbers);
        added
    }

    pub(crate) fn ids(&self, image: &[u8], buffers: &mut Buffers) -> Vec<u32> {
        let features = self.features(image, buffers);
        let (places, dimension) = (features.height * features.width, features.channels);
        let mut closeness = buffers.numbers(LOOKUPS * self.codes.columns);
        let mut ids = Vec::with_capacity(places);
        for first in (0..places).step_by(LOOKUPS) {
            let rows = LOOKUPS.min(places - first);
            let numbers = &features.numbers[first * dimension..];
            let left = Left { numbers, starts: &[0], step: dimension, segment: dimension, rows };
            let closeness = &mut closeness[..rows * self.codes.columns];
            multiply(self.arch, left, &self.codes, closeness);
            ids.extend(closeness.chunks_exact(self.codes.columns).map(first_largest));
        }
        buffers.give_back(features.numbers);
        buffers.give_back(closeness);
        ids
    }
}

impl Executor for CpuExecutor {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn precision(&self) -> &'static str {
        "f32"
    }

    fn encode(&self, images: &[&[u8]]) -> Vec<Vec<u32>> {
        // One image after another, so that its sums never depend on its neighbours; callers spread images over threads.
        let mut buffers = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let ids = images.iter().map(|image| self.ids(image, &mut buffers)).collect();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
        ids
    }
}

impl Step {
    fn new(op: Op) -> Self {
        match op {
            Op::Conv(conv) => Self::Conv(PackedConv::new(&conv)),
            Op::GroupNorm(norm) => Self::GroupNorm { norm, next: Padding::NONE },
            Op::Attention(attention) => Self::Attention(Box::new(PackedAttention::new(&attention))),
            Op::Keep => Self::Keep,
            Op::AddKept(shortcut) => Self::AddKept(shortcut.as_ref().map(PackedConv::new)),
        }
    }

    fn padding(&self) -> Padding {
        if let Self::Conv(conv) = self { conv.padding } else { Padding::NONE }
    }
}

fn pack_codes(codes: &Codes) -> Packed {
    let vectors = || codes.vectors.chunks_exact(codes.dimension);
    let start: Vec<f32> = vectors().map(|code| -0.5 * code.iter().map(|x| x * x).sum::<f32>()).collect();
    Packed::new(codes.dimension, codes.count, Some(&start), |row, code| codes.vectors[code * codes.dimension + row])
}

fn first_largest(closeness: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, x) in (0..).zip(closeness) {
        if *x > best.1 {
            best = (id, *x);
        }
    }
    best.0
}
