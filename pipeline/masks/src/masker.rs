//! Draws the masks of one image after another, with room that is used again.

use std::sync::Arc;

use pageloom_training::random::{KeyedRandom, KeyedStreams};
use serde::Serialize;

use crate::count::CountRule;
use crate::error::MaskError;
use crate::grid::Grid;
use crate::patch_mask::{PatchMask, Polarity};
use crate::strategies::{MaskConfig, Strategy};

/// The image that masks are drawn for.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// What the draws are keyed by: the same key gives the same masks, whoever draws them and in whatever order.
    pub key: &'a [u8],
    /// How often the image has been seen before.
    pub view: u32,
    /// What strategies that look at the image go by.
    pub guide: Guide<'a>,
}

/// What is known about the image itself.
#[derive(Debug, Clone, Copy)]
pub enum Guide<'a> {
    /// Nothing, which is enough for most strategies.
    None,
    /// One number per cell in raster order, such as a teacher's attention.
    Scores(&'a [f32]),
    /// Rectangles `[left, top, right, bottom]` in shares of the image's width and height.
    Boxes(&'a [[f32; 4]]),
    /// The cells of a region.
    Bitmap {
        /// So many cells there are, inside the region and outside.
        cells: usize,
        /// One bit per cell in raster order, the lowest bit of a byte first, 1 inside; what is behind the last cell says
        /// nothing.
        bits: &'a [u8],
    },
}

impl Guide<'_> {
    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::None => "nothing".to_owned(),
            Self::Scores(scores) => format!("{} scores", scores.len()),
            Self::Boxes(boxes) => format!("{} boxes", boxes.len()),
            Self::Bitmap { cells, bits } => format!("a bitmap of {cells} cells in {} bytes", bits.len()),
        }
    }
}

/// What the ones of a mask mean. Every strategy gives one `Masked`, and some give others beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The encoder doesn't see these cells.
    Masked,
    /// These cells are the target block of this number, which the predictor must predict: I-JEPA.
    Target(u32),
    /// These masked cells are also left out of the encoder's input, where the other masked ones have a mask token: MAGE.
    Dropped,
    /// The decoder doesn't predict these cells: VideoMAE V2.
    DecoderSkipped,
    /// The encoder sees a mask token in place of these visible cells: UM-MAE's secondary masking.
    Replaced,
}

impl Layer {
    /// Its name where masks are stored: `masked`, `target_0`, `dropped`, `decoder_skipped` or `replaced`.
    pub fn name(self) -> String {
        match self {
            Self::Masked => "masked".to_owned(),
            Self::Target(number) => format!("target_{number}"),
            Self::Dropped => "dropped".to_owned(),
            Self::DecoderSkipped => "decoder_skipped".to_owned(),
            Self::Replaced => "replaced".to_owned(),
        }
    }

    /// What a 1 of it means, for who reads stored masks.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Masked => "the encoder doesn't see the cell",
            Self::Target(_) => "the cell belongs to this target block, which is predicted",
            Self::Dropped => "the cell, which is masked, is left out of the encoder's input, without a mask token",
            Self::DecoderSkipped => "the decoder doesn't predict the cell",
            Self::Replaced => "the encoder sees a mask token in place of the cell, which is visible",
        }
    }
}

/// The masks of one image in one view.
#[derive(Debug, Clone, PartialEq)]
pub struct Masks {
    /// The strategy's layers, in its order, of which the first is `Masked`.
    pub layers: Vec<(Layer, PatchMask)>,
}

impl Masks {
    /// The cells that the encoder doesn't see.
    pub fn masked(&self) -> &PatchMask {
        &self.layers[0].1
    }
}

/// Room that draws use, and nothing else is in there but the scores of the last draw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch {
    /// Random bits.
    pub words: Vec<u32>,
    /// Scores of the cells, or of whatever the strategy ranks.
    pub scores: Vec<f32>,
    /// Whether `scores` ranks the grid's cells, lowest visible.
    pub scores_rank_cells: bool,
    /// Whatever else a strategy needs.
    pub partial: Vec<f32>,
    /// A bitmap of cells or blocks that isn't a result.
    pub bits: Vec<u8>,
    /// Another one.
    pub other_bits: Vec<u8>,
}

impl Scratch {
    /// Room for so many words, as many scores, and so many other numbers.
    pub(crate) fn with(words: usize, scores: usize, partial: usize) -> Self {
        Self {
            words: vec![0; words],
            scores: vec![0.0; scores],
            scores_rank_cells: false,
            partial: vec![0.0; partial],
            bits: vec![0; scores.div_ceil(8)],
            other_bits: vec![0; scores.div_ceil(8)],
        }
    }
}

/// One draw: the image, its streams, and room.
pub(crate) struct Draw<'a> {
    pub image: Image<'a>,
    pub streams: &'a KeyedStreams,
    pub scratch: &'a mut Scratch,
}

impl Draw<'_> {
    /// The stream of the image in this view.
    pub(crate) fn random(&self) -> KeyedRandom {
        self.streams.of(self.image.key, self.image.view)
    }
}

/// A strategy with its settings, for one grid and one seed. Each thread has its own: cloning is cheap.
#[derive(Debug, Clone)]
pub struct Masker {
    config: MaskConfig,
    seed: u64,
    strategy: Arc<dyn Strategy>,
    streams: KeyedStreams,
    scratch: Scratch,
    grid: Grid,
}

impl Masker {
    /// The masker of these settings, or all that is wrong with them.
    pub fn new(config: &MaskConfig, grid: Grid, seed: u64) -> Result<Self, MaskError> {
        let problems = config.check(grid);
        if !problems.is_empty() {
            return Err(MaskError::Settings(problems));
        }
        let streams = KeyedStreams::new(seed, &format!("patch masks: {}", config.name()));
        let strategy = config.build(grid);
        Ok(Self { config: config.clone(), seed, scratch: strategy.scratch(), strategy, streams, grid })
    }

    /// Masks to draw into, as often as is needed.
    pub fn masks(&self) -> Masks {
        let mask = |layer| (layer, PatchMask::visible(self.grid, self.rule_of(layer)));
        Masks { layers: self.strategy.layers().into_iter().map(mask).collect() }
    }

    /// Draws the image's masks; an error where the strategy needs a guide that isn't there.
    ///
    /// `masks` must come from [`Masker::masks`] of this masker, or of another with the same settings and grid.
    pub fn draw(&mut self, image: Image<'_>, masks: &mut Masks) -> Result<(), MaskError> {
        self.scratch.scores_rank_cells = false;
        let mut draw = Draw { image, streams: &self.streams, scratch: &mut self.scratch };
        self.strategy.draw(&mut draw, &mut masks.layers)
    }

    /// The masks of several views of an image.
    pub fn views(
        &mut self,
        key: &[u8],
        views: std::ops::Range<u32>,
        guide: Guide<'_>,
    ) -> Result<Vec<Masks>, MaskError> {
        let mut drawn = Vec::with_capacity(views.len());
        for view in views {
            let mut masks = self.masks();
            self.draw(Image { key, view, guide }, &mut masks)?;
            drawn.push(masks);
        }
        Ok(drawn)
    }

    /// The scores of the last draw, lowest visible, where the strategy ranks the grid's cells by scores.
    pub fn scores(&self) -> Option<&[f32]> {
        self.scratch.scores_rank_cells.then(|| &self.scratch.scores[..self.grid.cells()])
    }

    /// How masked cells are counted.
    pub fn rule(&self) -> CountRule {
        self.strategy.rule()
    }

    /// What its masks are, for the metadata of where they are stored: from it, from the images' keys and from the views'
    /// numbers, they can be drawn again.
    pub fn about(&self) -> About {
        let layer = |layer: Layer| {
            let rule = self.rule_of(layer);
            AboutLayer { name: layer.name(), one: layer.meaning(), count_rule: rule, count: rule.formula() }
        };
        About {
            strategy: self.config.clone(),
            seed: self.seed,
            frames: self.grid.frames(),
            rows: self.grid.rows(),
            columns: self.grid.columns(),
            polarity: Polarity::OneIsMasked,
            bits: "cell c, counted frame by frame and row by row, is bit c % 8, from the lowest on, of byte c // 8",
            bytes: self.grid.cells().div_ceil(8),
            favours_no_cell: self.config.favours_no_cell(),
            layers: self.strategy.layers().into_iter().map(layer).collect(),
        }
    }

    fn rule_of(&self, layer: Layer) -> CountRule {
        if layer == Layer::Masked { self.strategy.rule() } else { self.strategy.rule_beside() }
    }
}

/// What masks are, as it stands beside them where they are stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct About {
    /// The strategy with all of its settings, as a job has it.
    pub strategy: MaskConfig,
    /// What the draws are keyed by, beside an image's key and a view's number.
    pub seed: u64,
    /// Frames that a mask covers, 1 for images.
    pub frames: usize,
    /// Rows of cells in a frame.
    pub rows: usize,
    /// Cells in a row.
    pub columns: usize,
    /// What a 1 stands for in the layer `masked`.
    pub polarity: Polarity,
    /// Where a cell's bit is.
    pub bits: &'static str,
    /// Of each bitmap.
    pub bytes: usize,
    /// Whether every cell is promised to be masked as often as any other, over many images.
    pub favours_no_cell: bool,
    /// The bitmaps of one image in one view, in their order.
    pub layers: Vec<AboutLayer>,
}

/// What one bitmap of an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AboutLayer {
    /// `masked` for the first one.
    pub name: String,
    /// What a 1 means.
    pub one: &'static str,
    /// How its ones are counted.
    pub count_rule: CountRule,
    /// The same as a Python expression of `cells` and `ratio`; none where no formula says it.
    pub count: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::{Random, TokenSchedule};

    fn about(config: MaskConfig, grid: Grid) -> About {
        Masker::new(&config, grid, 7).unwrap().about()
    }

    #[test]
    fn masks_can_be_drawn_again_from_what_stands_beside_them() {
        let grid = Grid::image(14, 14).unwrap();
        let mut masker = Masker::new(&MaskConfig::Random(Random::default()), grid, 7).unwrap();
        let drawn = masker.views(b"image", 0..3, Guide::None).unwrap();
        let stored = serde_json::to_value(masker.about()).unwrap();
        let config: MaskConfig = serde_json::from_value(stored["strategy"].clone()).unwrap();
        let side = |name: &str| stored[name].as_u64().unwrap() as u32;
        let grid = Grid::video(side("frames"), side("rows"), side("columns")).unwrap();
        let mut again = Masker::new(&config, grid, stored["seed"].as_u64().unwrap()).unwrap();
        assert_eq!(again.views(b"image", 0..3, Guide::None).unwrap(), drawn);
        assert_eq!(stored["bytes"].as_u64().unwrap() as usize, drawn[0].masked().bits().len());
    }

    #[test]
    fn each_layer_has_its_own_rule() {
        let about = about(MaskConfig::TokenSchedule(TokenSchedule::mage()), Grid::image(16, 16).unwrap());
        let layers: Vec<_> = about.layers.iter().map(|layer| (layer.name.as_str(), layer.count)).collect();
        let ceil = Some("math.ceil(cells * ratio)");
        assert_eq!(layers, [("masked", ceil), ("dropped", ceil)]);
        let about = self::about(MaskConfig::Random(Random::default()), Grid::image(16, 16).unwrap());
        assert_eq!(serde_json::to_value(about.polarity).unwrap(), "one_is_masked");
    }
}
