//! Encodes batches of images with a session.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use ort::session::{OutputSelector, RunOptions, Session, SessionOutputs};
use ort::value::{DynTensor, Tensor};

use super::plan::{self, FEATURES, IDS, LEVELS, MAGNITUDE};
use super::queue::Queue;
use super::runtime::Runtime;
use crate::cost::Cost;
use crate::error::VqError;
use crate::executor::{Device, Executor, ExecutorId, ExecutorSettings};
use crate::plan::Plan;
use crate::tokenizer::ImageSize;

/// Images that a GPU encodes together, where nothing else is said.
const BATCH: usize = 32;

/// Scores of places for all rows of a codebook take no more than this, or fewer images are encoded together.
const SCORE_BYTES: usize = 1 << 30;

/// A session of ONNX Runtime, and what goes in and comes out.
///
/// Every run has the same shape, with empty images behind the last: how many others there are decides no rounding.
#[derive(Debug)]
pub(crate) struct OnnxExecutor {
    id: ExecutorId,
    model: Box<dyn Model>,
    batch: usize,
    working_bytes: u64,
    session: Mutex<Session>,
    queue: Queue<Vec<u32>>,
}

/// What a session's model is given and gives.
pub(super) trait Model: Debug + Send + Sync {
    /// The name of its input.
    fn input_name(&self) -> &str;
    /// The images as its input, with as many empty ones behind them as a batch has room for.
    fn input(&self, images: &[&[u8]], batch: usize) -> Result<DynTensor, String>;
    /// The outputs that ids are read from.
    fn id_outputs(&self) -> Vec<&str>;
    /// The ids of each of the first `count` images of a batch.
    fn ids(&self, outputs: &SessionOutputs, count: usize, batch: usize) -> Result<Vec<Vec<u32>>, String>;
    /// The output that features are read from.
    fn feature_output(&self) -> Option<&str>;
    /// The features of each of the first `count` images of a batch.
    fn features(&self, outputs: &SessionOutputs, count: usize, batch: usize) -> Result<Vec<Vec<f32>>, String>;
}

impl OnnxExecutor {
    /// A plan as settings want it.
    pub fn boxed(plan: Plan, settings: &ExecutorSettings) -> Result<Box<dyn Executor>, VqError> {
        let runtime = Runtime::open(settings)?;
        let batch = batch(settings, most_images(&plan));
        let bytes = plan::model(&plan, batch, settings.precision);
        if i32::try_from(bytes.len()).is_err() {
            return Err(settings.refused("the model takes more than the 2 GiB that an ONNX file can have"));
        }
        let session = runtime.session(&bytes, settings)?;
        let id = runtime.id(settings, settings.precision.name());
        let executor = Self::new(id, Box::new(PlanModel { size: plan.size }), batch, session);
        let Cost { activation_bytes, score_bytes, .. } = Cost::of(&plan);
        let of_batch = batch as u64 * (2 * activation_bytes + score_bytes);
        let working_bytes = if settings.device == Device::Cpu { of_batch } else { 0 };
        Ok(Box::new(Self { working_bytes, ..executor }))
    }

    /// Of a model of which nobody knows what it holds.
    pub(super) fn new(id: ExecutorId, model: Box<dyn Model>, batch: usize, session: Session) -> Self {
        Self { id, model, batch, working_bytes: 0, session: Mutex::new(session), queue: Queue::default() }
    }

    fn run<T>(
        &self,
        images: &[&[u8]],
        outputs: &[&str],
        read: impl FnOnce(&SessionOutputs) -> Result<T, String>,
    ) -> Result<T, String> {
        let input = self.model.input(images, self.batch)?;
        let selected = outputs.iter().fold(OutputSelector::no_default(), |selected, name| selected.with(*name));
        let options = RunOptions::new().map_err(said)?.with_outputs(selected);
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run_with_options(ort::inputs![self.model.input_name() => input], &options);
        read(&outputs.map_err(said)?)
    }

    fn failed(&self, reason: String) -> VqError {
        VqError::Failed { executor: self.id.clone(), reason }
    }
}

impl Executor for OnnxExecutor {
    fn id(&self) -> &ExecutorId {
        &self.id
    }

    fn encode(&self, images: &[&[u8]]) -> Result<Vec<Vec<u32>>, VqError> {
        let answer = |some: &[&[u8]]| {
            self.run(some, &self.model.id_outputs(), |outputs| self.model.ids(outputs, some.len(), self.batch))
        };
        self.queue.ask(images, self.batch, answer).map_err(|reason| self.failed(reason))
    }

    /// One batch is under way at a time, whoever asks.
    fn working_bytes(&self, _: usize) -> u64 {
        self.working_bytes
    }

    fn features(&self, images: &[&[u8]]) -> Result<Option<Vec<Vec<f32>>>, VqError> {
        let Some(output) = self.model.feature_output() else { return Ok(None) };
        let mut features = Vec::with_capacity(images.len());
        for some in images.chunks(self.batch) {
            let found = self.run(some, &[output], |outputs| self.model.features(outputs, some.len(), self.batch));
            features.extend(found.map_err(|reason| self.failed(reason))?);
        }
        Ok(Some(features))
    }
}

/// As many images as settings say, or as the device is best at, up to `most`.
pub(super) fn batch(settings: &ExecutorSettings, most: usize) -> usize {
    let usual = if settings.device == Device::Cpu { 1 } else { BATCH.min(most.max(1)) };
    settings.batch.map_or(usual, |batch| batch.get() as usize)
}

/// How many images' scores are worth holding at once.
fn most_images(plan: &Plan) -> usize {
    // A place covers some 8 x 8 pixels or more.
    let places = (plan.size.width as usize * plan.size.height as usize).div_ceil(64);
    SCORE_BYTES / (4 * plan.quantiser.rows() * places).max(1)
}

/// A graph that was written for a plan.
#[derive(Debug)]
struct PlanModel {
    size: ImageSize,
}

impl Model for PlanModel {
    fn input_name(&self) -> &str {
        LEVELS
    }

    fn input(&self, images: &[&[u8]], batch: usize) -> Result<DynTensor, String> {
        let (height, width) = (self.size.height as usize, self.size.width as usize);
        let mut levels = images.concat();
        levels.resize(batch * height * width * 3, 0);
        Ok(Tensor::from_array(([batch, height, width, 3], levels)).map_err(said)?.upcast())
    }

    fn id_outputs(&self) -> Vec<&str> {
        vec![IDS, MAGNITUDE]
    }

    fn ids(&self, outputs: &SessionOutputs, count: usize, batch: usize) -> Result<Vec<Vec<u32>>, String> {
        let magnitudes = numbers::<f32>(outputs, MAGNITUDE)?;
        if let Some(index) = magnitudes.iter().take(count).position(|magnitude| !magnitude.is_finite()) {
            return Err(format!("image {index} of a batch has features that aren't finite"));
        }
        let ids = numbers::<i64>(outputs, IDS)?;
        let ids = ids.chunks_exact(ids.len() / batch).take(count);
        Ok(ids.map(|ids| ids.iter().map(|id| *id as u32).collect()).collect())
    }

    fn feature_output(&self) -> Option<&str> {
        Some(FEATURES)
    }

    fn features(&self, outputs: &SessionOutputs, count: usize, batch: usize) -> Result<Vec<Vec<f32>>, String> {
        let features = numbers::<f32>(outputs, FEATURES)?;
        Ok(features.chunks_exact(features.len() / batch).take(count).map(<[f32]>::to_vec).collect())
    }
}

/// The numbers of an output.
pub(super) fn numbers<'o, T: ort::value::PrimitiveTensorElementType>(
    outputs: &'o SessionOutputs,
    name: &str,
) -> Result<&'o [T], String> {
    let output = outputs.get(name).ok_or_else(|| format!("it gave no `{name}`"))?;
    Ok(output.try_extract_tensor::<T>().map_err(said)?.1)
}

pub(super) fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
