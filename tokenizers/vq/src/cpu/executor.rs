//! Encodes images one after another.

use std::sync::{Mutex, PoisonError};

use pulp::Arch;

use super::activation::{Activation, Buffers};
use super::walk::Walk;
use crate::cost::Cost;
use crate::error::VqError;
use crate::executor::{Arithmetic, Device, Executor, ExecutorId, ExecutorSettings};
use crate::plan::Plan;
use crate::quantise::{self, Quantise};
use crate::tokenizer::ImageSize;

/// What a thread's operations hold beside activations, whatever the image: strips of it and tiles.
const SCRATCH_BYTES: u64 = 4 << 20;
/// Places that are held against all rows of a codebook at once.
const PLACES: u64 = 16;

/// A plan with its weights laid out for this executor.
#[derive(Debug)]
pub(crate) struct CpuExecutor {
    id: ExecutorId,
    arch: Arch,
    size: ImageSize,
    /// The number of each level of an image.
    levels: [f32; 256],
    walk: Walk,
    quantiser: Box<dyn Quantise>,
    /// Bytes that a thread's buffers grow to.
    working_bytes: u64,
    /// At most one set for each thread that encoded at the same time.
    idle: Mutex<Vec<Buffers>>,
}

impl CpuExecutor {
    /// As settings want it: it has one device and one number format, and callers spread images over threads.
    pub fn boxed(plan: Plan, settings: &ExecutorSettings) -> Result<Box<dyn Executor>, VqError> {
        if (settings.device, settings.precision) != (Device::Cpu, Arithmetic::F32) {
            return Err(settings.refused("it computes on the processor, in single precision"));
        }
        let ignored = [
            ("batch", settings.batch.is_some()),
            ("threads", settings.threads.is_some()),
            ("library", settings.library.is_some()),
        ];
        if let Some((name, _)) = ignored.into_iter().find(|(_, is_given)| *is_given) {
            return Err(settings.refused(format!("it takes no `{name}`; leave it out")));
        }
        Ok(Box::new(Self::new(plan)))
    }

    pub fn new(plan: Plan) -> Self {
        Self::with_arch(plan, Arch::new())
    }

    /// With the vectors of `arch`, which change the time it takes and nothing else.
    pub fn with_arch(plan: Plan, arch: Arch) -> Self {
        let scores = 4 * PLACES * plan.quantiser.rows() as u64;
        let working_bytes = 2 * Cost::of(&plan).activation_bytes + SCRATCH_BYTES + scores;
        let Plan { size, input, ops, quantiser } = plan;
        let (walk, quantiser) = (Walk::new(ops), quantise::of(quantiser));
        Self { id: id(), arch, size, levels: input.table(), walk, quantiser, working_bytes, idle: Mutex::default() }
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

    /// Features that aren't finite have no ids: weights do not fit their configuration, or overflow.
    pub(crate) fn ids(&self, image: &[u8], buffers: &mut Buffers) -> Result<Vec<u32>, VqError> {
        let features = self.features(image, buffers);
        if features.numbers.iter().any(|number| !number.is_finite()) {
            buffers.give_back(features.numbers);
            let reason = "an image has features that aren't finite".to_owned();
            return Err(VqError::Failed { executor: self.id.clone(), reason });
        }
        let mut ids = Vec::with_capacity(features.height * features.width);
        let mut scratch = buffers.numbers(0);
        self.quantiser.ids(self.arch, &features.numbers, &mut scratch, &mut ids);
        buffers.give_back(features.numbers);
        buffers.give_back(scratch);
        Ok(ids)
    }
}

/// With the same bits on every machine, this crate's version says it all.
fn id() -> ExecutorId {
    let [name, version, device, precision] =
        ["cpu", env!("CARGO_PKG_VERSION"), Device::Cpu.name(), Arithmetic::F32.name()].map(str::to_owned);
    ExecutorId { name, version, device, precision }
}

impl CpuExecutor {
    /// One image after another, so that its sums never depend on its neighbours.
    fn each<T>(&self, images: &[&[u8]], of: impl Fn(&[u8], &mut Buffers) -> T) -> Vec<T> {
        let mut buffers = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let all = images.iter().map(|image| of(image, &mut buffers)).collect();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(buffers);
        all
    }
}

impl Executor for CpuExecutor {
    fn id(&self) -> &ExecutorId {
        &self.id
    }

    fn encode(&self, images: &[&[u8]]) -> Result<Vec<Vec<u32>>, VqError> {
        self.each(images, |image, buffers| self.ids(image, buffers)).into_iter().collect()
    }

    /// Each thread's buffers stay for its next image.
    fn working_bytes(&self, threads: usize) -> u64 {
        self.working_bytes * threads as u64
    }

    fn features(&self, images: &[&[u8]]) -> Result<Option<Vec<Vec<f32>>>, VqError> {
        Ok(Some(self.each(images, |image, buffers| {
            let features = self.features(image, buffers).numbers;
            let kept = features.clone();
            buffers.give_back(features);
            kept
        })))
    }
}
