//! Encodes images one after another.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;

use super::activation::{Activation, Buffers};
use super::walk::Walk;
use crate::plan::{Executor, Plan};
use crate::quantise::{self, Quantise};
use crate::tokenizer::ImageSize;

/// A plan with its weights laid out for this executor.
#[derive(Debug)]
pub(crate) struct CpuExecutor {
    arch: Arch,
    size: ImageSize,
    /// The number of each level of an image.
    levels: [f32; 256],
    walk: Walk,
    quantiser: Box<dyn Quantise>,
    /// At most one set for each thread that encoded at the same time.
    idle: Mutex<Vec<Buffers>>,
}

impl CpuExecutor {
    pub fn new(plan: Plan) -> Self {
        Self::with_arch(plan, Arch::new())
    }

    /// With the vectors of `arch`, which change the time it takes and nothing else.
    pub fn with_arch(plan: Plan, arch: Arch) -> Self {
        let Plan { size, input, ops, quantiser } = plan;
        let (walk, quantiser) = (Walk::new(ops), quantise::of(quantiser));
        Self { arch, size, levels: input.table(), walk, quantiser, idle: Mutex::default() }
    }

    /// The numbers that become ids, place by place.
    pub(crate) fn features(&self, image: &[u8], buffers: &mut Buffers) -> Activation {
        let input = self.input(image, buffers);
        self.walk.run(self.arch, input, buffers)
    }

    fn input(&self, image: &[u8], buffers: &mut Buffers) -> Activation {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let mut input = buffers.activation(height, width, 3, self.walk.border());
        for (y, levels) in image.chunks_exact(width * 3).enumerate() {
            for (to, level) in input.row_mut(y).iter_mut().zip(levels) {
                *to = self.levels[usize::from(*level)];
            }
        }
        input
    }

    pub(crate) fn ids(&self, image: &[u8], buffers: &mut Buffers) -> Vec<u32> {
        let features = self.features(image, buffers);
        let mut ids = Vec::with_capacity(features.height * features.width);
        let mut scratch = buffers.numbers(0);
        self.quantiser.ids(self.arch, &features.numbers, &mut scratch, &mut ids);
        buffers.give_back(features.numbers);
        buffers.give_back(scratch);
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
