//! Draws the masks of one image after another, with room that is used again.

use std::sync::Arc;

use pageloom_training::random::{KeyedRandom, KeyedStreams};

use crate::count::CountRule;
use crate::error::MaskError;
use crate::grid::Grid;
use crate::patch_mask::PatchMask;
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
    /// One bit per cell in raster order, the lowest bit of a byte first: the cells of a region.
    Bitmap(&'a [u8]),
}

impl Guide<'_> {
    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::None => "nothing".to_owned(),
            Self::Scores(scores) => format!("{} scores", scores.len()),
            Self::Boxes(boxes) => format!("{} boxes", boxes.len()),
            Self::Bitmap(bits) => format!("a bitmap of {} bytes", bits.len()),
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
        let strategy = config.build(grid, &streams);
        Ok(Self { scratch: strategy.scratch(), strategy, streams, grid })
    }

    /// Masks to draw into, as often as is needed.
    pub fn masks(&self) -> Masks {
        let rule = self.strategy.rule();
        let mask = |layer: Layer| {
            let rule = if layer == Layer::Masked { rule } else { self.strategy.rule_beside() };
            (layer, PatchMask::visible(self.grid, rule))
        };
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
}
