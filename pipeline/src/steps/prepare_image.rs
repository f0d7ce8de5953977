//! Decodes, resizes and crops each image to what the encoder takes.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, UInt32Array};
use pageloom_schemas::columns;
use pageloom_vq::pixels::{self, Draw, Limits, Rounding, prepare, recipes};
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::random::KeyedRandom;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// The short side is resized to the encoder's size, keeping the aspect, then a square is cut out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the square is cut out: `center`, or `random` as CM3 does, drawn from the job's seed and the image's key.
    pub crop: Crop,
    /// An image with more pixels than this is rejected as `image_too_large` before it is decoded.
    pub max_pixels: u64,
    /// An image whose short side has fewer pixels than this is rejected as `image_too_small`.
    pub min_side: u32,
}

/// Where the square is cut out of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// In the middle.
    Center,
    /// Anywhere, by the image's own draw.
    Random,
}

impl Default for Settings {
    fn default() -> Self {
        Self { crop: Crop::Random, max_pixels: 100_000_000, min_side: 32 }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        Columns::reads([columns::key().field(), columns::bytes().field()]).drops([columns::bytes().field()]).writes([
            columns::width().field(),
            columns::height().field(),
            columns::pixels().field(),
        ])
    }

    fn check(&self) -> Vec<String> {
        let nothing = self.max_pixels == 0;
        nothing.then(|| "`max_pixels` is 0, so every image would be rejected".to_owned()).into_iter().collect()
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        let (seed, size) = (resources.seed, resources.images.image_size());
        Ok(Arc::new(PrepareImage { settings: self.clone(), seed, size }))
    }
}

#[derive(Debug)]
struct PrepareImage {
    settings: Settings,
    seed: u64,
    size: u32,
}

struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Step for PrepareImage {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (key, bytes) = (columns::key(), columns::bytes());
        let (key, bytes) = (key.of(&batch)?, bytes.of(&batch)?);
        let outcomes: Vec<Result<Picture, Refusal>> = (0..batch.num_rows())
            
            .map(|row| self.picture(key.value(row), bytes.value(row)))
            .collect();
        let (batch, pictures) = rejects.keep_ok(&batch, outcomes)?;
        let new: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(pictures.iter().map(|picture| picture.width))),
            Arc::new(UInt32Array::from_iter_values(pictures.iter().map(|picture| picture.height))),
            Arc::new(BinaryArray::from_iter_values(pictures.iter().map(|picture| &picture.pixels))),
        ];
        self.settings.columns().replace(&batch, new)
    }
}

impl PrepareImage {
    fn picture(&self, key: &[u8], bytes: &[u8]) -> Result<Picture, Refusal> {
        let (crop, draw) = match self.settings.crop {
            Crop::Center => (pixels::Crop::Center { size: None, rounding: Rounding::Down }, Draw { x: 0.5, y: 0.5 }),
            Crop::Random => {
                let mut random = KeyedRandom::new(self.seed, "crop", key, 0);
                (pixels::Crop::Random { size: None }, Draw { x: random.uniform(), y: random.uniform() })
            }
        };
        let limits = Limits { max_pixels: self.settings.max_pixels, ..Limits::default() };
        let prepared = prepare(bytes, &recipes::cm3(self.size, crop), draw, &limits)
            .map_err(|error| Refusal::new(error.reason(), error.to_string()))?;
        let (width, height) = (prepared.width, prepared.height);
        let pixels = prepared.crops.into_iter().next().map(|crop| crop.rgb).unwrap_or_default();
        if width.min(height) < self.settings.min_side {
            return Err(Refusal::new("image_too_small", format!("{width} x {height} pixels")));
        }
        Ok(Picture { width, height, pixels })
    }
}
