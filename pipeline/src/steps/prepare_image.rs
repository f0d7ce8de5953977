//! Decodes, resizes and crops each image to what the encoder takes.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::datatypes::Float32Type;
use pageloom_schemas::columns;
use pageloom_schemas::lists::ListColumn;
use pageloom_vq::{ImageSize, ImageTokenizer};
use pageloom_vq::pixels::{self, Draw, Limits, Preprocessing, Resize, Rounding, Size, header, prepare, prepare_and_hash, recipes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::memory::{Memory, Room};
use crate::error::StepError;
use crate::random::KeyedRandom;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings, shorten};

/// Each image is brought to the encoder's size as a recipe says, which ends in a crop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `model` does what the encoder's own code does, so that images have its tokens; others do what that project does.
    /// `cm3` resizes the short side by Pillow's bicubic filter onto white, and draws where it cuts.
    pub recipe: Recipe,
    /// Where the image is cut: as the `recipe` says, in the `center`, or `random`, drawn from the job's seed and the
    /// image's key.
    pub crop: Crop,
    /// An image with more pixels than this is rejected as `image_too_large` before it is decoded.
    pub max_pixels: u64,
    /// An image whose short side has fewer pixels than this is rejected as `image_too_small`.
    pub min_side: u32,
    /// Whether the table of images has each image's perceptual hash: 64 bits that are alike for images that look alike, as
    /// the Python package `imagehash` has them. A job without that table works none out.
    pub perceptual_hash: bool,
}

/// Whose way from an image file to pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// That of the encoder's family.
    Model,
    /// The CM3 paper's.
    Cm3,
    /// CompVis/taming-transformers'.
    Taming,
    /// LlamaGen's, which is ADM's.
    Llamagen,
    /// LlamaGen's for training on ImageNet: ten crops of each image, corners and middle of 1.1 times the size and those of
    /// its mirror image. The table of images has the tokens of all, crop by crop; sequences have the first one's.
    LlamagenTen,
    /// facebookresearch/chameleon's.
    Chameleon,
    /// Chameleon's as transformers has it.
    TransformersChameleon,
    /// torchvision's `Resize` and `CenterCrop`.
    Torchvision,
    /// aMUSEd's in diffusers.
    Amused,
    /// DALL-E's.
    DallE,
}

/// Where an image is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// Where the recipe says.
    Recipe,
    /// In the middle.
    Center,
    /// Anywhere, by the image's own draw.
    Random,
}

impl Default for Settings {
    fn default() -> Self {
        Self { recipe: Recipe::Model, crop: Crop::Recipe, max_pixels: 100_000_000, min_side: 32, perceptual_hash: true }
    }
}

impl Settings {
    /// What is done to every image before this encoder.
    pub fn preprocessing(&self, encoder: &dyn ImageTokenizer) -> Preprocessing {
        let (size, middle) = (encoder.image_size(), pixels::Crop::Center { size: None, rounding: Rounding::Down });
        let recipe = match self.recipe {
            Recipe::Model => encoder.recipe(),
            Recipe::Cm3 => recipes::cm3(size, pixels::Crop::Random { size: None }),
            Recipe::Taming => recipes::taming(size),
            Recipe::Llamagen => recipes::llamagen(size),
            Recipe::LlamagenTen => recipes::llamagen_ten(size, 1100),
            Recipe::Chameleon => recipes::chameleon(size),
            Recipe::TransformersChameleon => recipes::transformers_chameleon(size),
            Recipe::Torchvision => recipes::torchvision(size),
            Recipe::Amused => recipes::amused(size),
            Recipe::DallE => recipes::dall_e(size),
        };
        let ImageSize { width, height } = encoder.size();
        let recipe = match width == height {
            true => recipe,
            false => Preprocessing { resize: Resize::BestOf { sizes: vec![Size { width, height }] }, ..recipe },
        };
        match (self.crop, recipe.crop) {
            (Crop::Recipe, _) | (Crop::Center, pixels::Crop::Center { .. }) => recipe,
            (Crop::Center, _) => Preprocessing { crop: middle, ..recipe },
            (Crop::Random, _) => Preprocessing { crop: pixels::Crop::Random { size: None }, ..recipe },
        }
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
            columns::crop_box().field(),
            columns::perceptual_hash().field(),
            columns::pixels().field(),
        ])
    }

    fn check(&self) -> Vec<String> {
        let nothing = self.max_pixels == 0;
        nothing.then(|| "`max_pixels` is 0, so every image would be rejected".to_owned()).into_iter().collect()
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        let recipe = self.preprocessing(resources.images.as_ref());
        let memory = resources.memory.clone();
        let hashes = self.perceptual_hash && resources.makes_image_table;
        Ok(Arc::new(PrepareImage { settings: self.clone(), hashes, seed: resources.seed, recipe, memory }))
    }
}

#[derive(Debug)]
struct PrepareImage {
    settings: Settings,
    /// Whether perceptual hashes are worked out.
    hashes: bool,
    seed: u64,
    recipe: Preprocessing,
    memory: Arc<Memory>,
}

/// What decoding and resizing may hold for a pixel: 16 bits of four channels, and what is made of them.
const BYTES_FOR_A_PIXEL: u64 = 12;
/// The same of AVIF, whose decoder keeps its predictions in wider numbers.
const BYTES_FOR_A_PIXEL_OF_AVIF: u64 = 18;

/// Not a reject: another machine has the memory, and the shards would differ.
fn too_large(batch: &RecordBatch, row: usize, why: &str) -> StepError {
    let url = columns::url();
    let url = url.of(batch).map_or("", |url| url.value(row));
    StepError::Memory(format!("to decode {}, {why}", shorten(url, 300)))
}

struct Picture {
    width: u32,
    height: u32,
    crop_boxes: Vec<f32>,
    perceptual_hash: Option<u64>,
    pixels: Vec<u8>,
}

impl Step for PrepareImage {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (key, bytes) = (columns::key(), columns::bytes());
        let (key, bytes) = (key.of(&batch)?, bytes.of(&batch)?);
        let outcomes: Result<Vec<_>, StepError> = rejects
            .each_row(&batch)
            .map(|row| {
                let _room = self.room(bytes.value(row)).map_err(|why| too_large(&batch, row, &why))?;
                Ok(self.picture(key.value(row), bytes.value(row)))
            })
            .collect();
        let (batch, pictures) = rejects.keep_ok(&batch, outcomes?)?;
        let mut boxes = ListColumn::<Float32Type>::default();
        for picture in &pictures {
            boxes.push(&picture.crop_boxes)?;
        }
        let new: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(pictures.iter().map(|picture| picture.width))),
            Arc::new(UInt32Array::from_iter_values(pictures.iter().map(|picture| picture.height))),
            boxes.finish()?,
            Arc::new(pictures.iter().map(|picture| picture.perceptual_hash).collect::<UInt64Array>()),
            Arc::new(BinaryArray::from_iter_values(pictures.iter().map(|picture| &picture.pixels))),
        ];
        self.settings.columns().replace(&batch, new)
    }
}

impl PrepareImage {
    /// Room to decode an image in, by the pixels that its header says; `picture` refuses those that have too many.
    fn room(&self, bytes: &[u8]) -> Result<Option<Room<'_>>, String> {
        let Ok(header) = header(bytes) else { return Ok(None) };
        let pixels = u64::from(header.width) * u64::from(header.height);
        let each = if header.format == "avif" { BYTES_FOR_A_PIXEL_OF_AVIF } else { BYTES_FOR_A_PIXEL };
        let decoded = pixels <= self.settings.max_pixels;
        decoded.then(|| self.memory.room_for(pixels * each)).transpose()
    }

    fn picture(&self, key: &[u8], bytes: &[u8]) -> Result<Picture, Refusal> {
        let draw = match self.recipe.crop {
            pixels::Crop::Random { .. } => {
                let mut random = KeyedRandom::new(self.seed, "crop", key, 0);
                Draw { x: random.uniform(), y: random.uniform() }
            }
            _ => Draw { x: 0.5, y: 0.5 },
        };
        let limits = Limits { max_pixels: self.settings.max_pixels, ..Limits::default() };
        let prepared = match self.hashes {
            true => prepare_and_hash(bytes, &self.recipe, draw, &limits).map(|(prepared, hash)| (prepared, Some(hash))),
            false => prepare(bytes, &self.recipe, draw, &limits).map(|prepared| (prepared, None)),
        };
        let (prepared, perceptual_hash) =
            prepared.map_err(|error| Refusal::new(error.reason(), error.to_string()))?;
        let (width, height) = (prepared.width, prepared.height);
        let crop_boxes = prepared.crops.iter().flat_map(|crop| crop.shows.map(|side| side as f32)).collect();
        let pixels = match prepared.crops.len() {
            1 => prepared.crops.into_iter().next().map(|crop| crop.rgb).unwrap_or_default(),
            _ => prepared.crops.iter().flat_map(|crop| &crop.rgb).copied().collect(),
        };
        if width.min(height) < self.settings.min_side {
            return Err(Refusal::new("image_too_small", format!("{width} x {height} pixels")));
        }
        Ok(Picture { width, height, crop_boxes, perceptual_hash, pixels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::StepConfig;
    use crate::steps::fixture::{every_step, resources};

    #[test]
    fn hashes_are_worked_out_where_a_table_of_images_has_them() {
        let resources = resources();
        let prepared = every_step(&resources).into_iter().find(|step| step.config.name() == "prepare_image").unwrap();
        let hashes = |perceptual_hash: bool, makes_image_table: bool| {
            let config = StepConfig::prepare_image(Settings { perceptual_hash, ..Settings::default() });
            let step = config.build(&Resources { makes_image_table, ..resources.clone() }).unwrap();
            let kept = step.process(prepared.rows.clone(), &mut Rejects::new(prepared.kind, config.name())).unwrap();
            let hashes = columns::perceptual_hash();
            hashes.of(&kept).unwrap().iter().flatten().count()
        };
        assert!(hashes(true, true) > 0);
        assert_eq!([hashes(true, false), hashes(false, true), hashes(false, false)], [0; 3]);
    }
}
