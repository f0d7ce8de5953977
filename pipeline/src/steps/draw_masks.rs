//! Draws patch masks for each image, as columns of the table of images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, ListBuilder, RecordBatch};
use arrow::datatypes::{DataType, Field};
use pageloom_masks::strategies::MaskConfig;
use pageloom_masks::{Grid, Guide, MaskError, Masker};
use pageloom_schemas::{Key, columns};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::keys::image_key;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};
use crate::steps::StepConfig;

/// Masks for masked image modelling. They follow from the job's seed and the image's key alone.
///
/// The column is `masks_NAME`: a list of bitmaps, one for each view, or, for strategies that give several, those of the
/// first view, of the second, and so on. What they mean stands in the column's metadata, under `pageloom:masks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Names the column: lower-case letters, digits and `_`.
    pub name: String,
    /// Which cells are masked, such as `{ random = { ratio = 0.75 } }`.
    pub strategy: MaskConfig,
    /// How many times masks are drawn for each image.
    #[serde(default = "one_view")]
    pub views: u32,
    /// Rows and columns of what is masked, such as the patches that a model sees; the image's tokens if it isn't given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// For strategies that look at the image: a file with a line of JSON for each, with its `url` or `key`, and `scores`
    /// (one for each cell), `boxes` (`[left, top, right, bottom]`, in shares of what is masked) or `cells` (0 or 1 for
    /// each). An image that it doesn't name is rejected as `image_without_guide`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guide: Option<PathBuf>,
}

fn one_view() -> u32 {
    1
}

/// Where the metadata of a column says what its masks are.
pub const MASKS: &str = "pageloom:masks";

/// An image's views are in memory together.
const MOST_VIEWS: u32 = 1024;

/// The columns of all such steps, with what their masks are.
pub fn fields(steps: &[StepConfig], tokens: pageloom_vq::Grid, seed: u64) -> Vec<Field> {
    let masks = steps.iter().filter_map(|step| match step {
        StepConfig::draw_masks(settings) => Some(settings),
        _ => None,
    });
    masks.map(|settings| settings.described(tokens, seed)).collect()
}

impl Settings {
    fn field(&self) -> Field {
        columns::masks(&format!("masks_{}", self.name)).field()
    }

    fn grid(&self, tokens: pageloom_vq::Grid) -> Result<Grid, MaskError> {
        self.grid.map_or_else(|| Grid::image(tokens.height.into(), tokens.width.into()), Ok)
    }

    fn masker(&self, tokens: pageloom_vq::Grid, seed: u64) -> Result<Masker, MaskError> {
        // Two sets of masks of one strategy are drawn apart.
        let name = blake3::hash(self.name.as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = *name.as_bytes();
        let seed = seed ^ u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Masker::new(&self.strategy, self.grid(tokens)?, seed)
    }

    /// What is wrong with the strategy on its grid, in the user's words.
    pub fn misfits(&self, tokens: pageloom_vq::Grid) -> Vec<String> {
        match self.masker(tokens, 0) {
            Err(MaskError::Settings(problems)) => problems,
            Err(error) => vec![error.to_string()],
            Ok(mut masker) if self.guide.is_none() => {
                let drawn = masker.views(&[], 0..1, Guide::None).err();
                drawn.map(|error| format!("{error}: name a file of them as `guide`")).into_iter().collect()
            }
            Ok(_) => Vec::new(),
        }
    }

    /// What is wrong with the file of guides, if anything is.
    pub fn wrong_guide(&self, folder: &Path) -> Option<String> {
        let path = folder.join(self.guide.as_ref()?);
        Guides::read(&path).err().map(|error| error.to_string())
    }

    fn described(&self, tokens: pageloom_vq::Grid, seed: u64) -> Field {
        let Ok(masker) = self.masker(tokens, seed) else { return self.field() };
        let about = serde_json::to_value(masker.about()).map(|mut about| {
            about["views"] = self.views.into();
            about.to_string()
        });
        self.field().with_metadata(about.into_iter().map(|about| (MASKS.to_owned(), about)).collect())
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        let strategy = MaskConfig::examples().swap_remove(0);
        Self { name: "mae".into(), strategy, views: 2, grid: None, guide: None }
    }

    fn columns(&self) -> Columns {
        // That an image has tokens says that it stays.
        Columns::reads([columns::key().field(), columns::url().field(), columns::codes().field()]).writes([self.field()])
    }

    fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.name.is_empty() || !self.name.bytes().all(is_fine) {
            problems.push("`name` must be lower-case letters, digits and `_`".to_owned());
        }
        if self.views == 0 {
            problems.push("`views` is 0, so there would be no masks".to_owned());
        } else if self.views > MOST_VIEWS {
            problems.push(format!("`views` is {}; at most {MOST_VIEWS} can be drawn of an image", self.views));
        }
        problems
    }

    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        self.guide.iter().map(|guide| ("guide", guide.clone())).collect()
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        let wrong = |error: MaskError| StepError::Bug(error.to_string());
        let masker = self.masker(resources.images.grid(), resources.seed).map_err(wrong)?;
        let guides = self.guide.as_ref().map(|path| Guides::read(&resources.folder.join(path))).transpose()?;
        Ok(Arc::new(DrawMasks { settings: self.clone(), masker, guides }))
    }
}

#[derive(Debug)]
struct DrawMasks {
    settings: Settings,
    masker: Masker,
    guides: Option<Guides>,
}

impl Step for DrawMasks {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let key = columns::key();
        let mut masker = self.masker.clone();
        let outcomes: Vec<_> =
            key.of(&batch)?.iter().map(|key| self.bitmaps(&mut masker, key.unwrap_or_default())).collect();
        let (batch, masks) = rejects.keep_ok(&batch, outcomes)?;
        let item = Field::new("item", DataType::Binary, false);
        let mut column = ListBuilder::new(BinaryBuilder::new()).with_field(item);
        for bitmaps in masks {
            bitmaps.iter().for_each(|bits| column.values().append_value(bits));
            column.append(true);
        }
        let column: ArrayRef = Arc::new(column.finish());
        self.settings.columns().replace(&batch, vec![column])
    }
}

impl DrawMasks {
    fn bitmaps(&self, masker: &mut Masker, key: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        let guide = match &self.guides {
            Some(guides) => guides.of(key)?,
            None => Guide::None,
        };
        let views = masker.views(key, 0..self.settings.views, guide);
        let views = views.map_err(|error| Refusal::new("image_guide_misfits", error.to_string()))?;
        Ok(views.into_iter().flat_map(|masks| masks.layers).map(|(_, mask)| mask.bits().to_vec()).collect())
    }
}

/// What is known about images, by their keys.
#[derive(Debug)]
struct Guides(BTreeMap<Key, Owned>);

#[derive(Debug)]
enum Owned {
    Scores(Vec<f32>),
    Boxes(Vec<[f32; 4]>),
    Bitmap(Vec<u8>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    url: Option<String>,
    key: Option<String>,
    scores: Option<Vec<f32>>,
    boxes: Option<Vec<[f32; 4]>>,
    cells: Option<Vec<u8>>,
}

impl Guides {
    fn read(path: &Path) -> Result<Self, StepError> {
        let wrong = |number: usize, error: &dyn std::fmt::Display| {
            StepError::File(format!("{}:{number}: {error}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(0, &error))?;
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let guides = lines.map(|(number, line)| {
            let line: Line = serde_json::from_str(line).map_err(|error| wrong(number, &error))?;
            line.guide().map_err(|message| wrong(number, &message))
        });
        guides.collect::<Result<_, _>>().map(Self)
    }

    fn of(&self, key: &[u8]) -> Result<Guide<'_>, Refusal> {
        let guide = Key::from_slice(key).and_then(|key| self.0.get(&key));
        match guide.ok_or_else(|| Refusal::new("image_without_guide", "the file of guides has no line for it"))? {
            Owned::Scores(scores) => Ok(Guide::Scores(scores)),
            Owned::Boxes(boxes) => Ok(Guide::Boxes(boxes)),
            Owned::Bitmap(bits) => Ok(Guide::Bitmap(bits)),
        }
    }
}

impl Line {
    fn guide(self) -> Result<(Key, Owned), String> {
        let key = match (&self.key, &self.url) {
            (Some(key), None) => Key::from_hex(key).ok_or_else(|| format!("`{key}` is no key"))?,
            (None, Some(url)) => {
                image_key(&url::Url::parse(url).map_or_else(|_| url.clone(), crate::sources::canonical))
            }
            _ => return Err("a line has either `url` or `key`".into()),
        };
        let guide = match (self.scores, self.boxes, self.cells) {
            (Some(scores), None, None) => Owned::Scores(scores),
            (None, Some(boxes), None) => Owned::Boxes(boxes),
            (None, None, Some(cells)) => Owned::Bitmap(packed(&cells)),
            _ => return Err("a line has one of `scores`, `boxes` and `cells`".into()),
        };
        Ok((key, guide))
    }
}

/// One bit for each number, the lowest of a byte first: 1 for all but 0.
fn packed(cells: &[u8]) -> Vec<u8> {
    let byte = |cells: &[u8]| (0..).zip(cells).fold(0, |byte, (bit, cell)| byte | u8::from(*cell != 0) << bit);
    cells.chunks(8).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_packed_from_the_lowest_bit_on() {
        assert_eq!(packed(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 9]), [0b1001, 0b10]);
    }

    #[test]
    fn a_line_names_one_image_and_one_thing_about_it() {
        let guide = |line: &str| serde_json::from_str::<Line>(line).unwrap().guide();
        let (key, scores) = guide(r#"{"url": "https://a.example/i.png#x", "scores": [0.5, 1]}"#).unwrap();
        assert_eq!(key, image_key("https://a.example/i.png"));
        assert!(matches!(scores, Owned::Scores(scores) if scores == [0.5, 1.0]));
        assert!(guide(r#"{"url": "u", "key": "k", "scores": []}"#).is_err());
        assert!(guide(r#"{"key": "0", "cells": [1]}"#).unwrap_err().contains("`0` is no key"));
        assert!(guide(r#"{"url": "https://a.example/", "cells": [1], "boxes": []}"#).is_err());
    }

    #[test]
    fn a_strategy_that_looks_at_images_wants_a_guide() {
        let attention = MaskConfig::examples().into_iter().find(|config| config.name() == "attention").unwrap();
        let mut settings = Settings { strategy: attention, ..Settings::example() };
        let grid = pageloom_vq::Grid { width: 16, height: 16 };
        assert!(settings.misfits(grid)[0].contains("`guide`"));
        settings.guide = Some("guides.jsonl".into());
        assert!(settings.misfits(grid).is_empty());
    }
}
