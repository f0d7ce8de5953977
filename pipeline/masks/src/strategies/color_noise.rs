//! Masks by the rank of filtered noise, the highest values visible (ColorMAE, arXiv 2407.13036).

use std::f64::consts::PI;
use std::sync::Arc;

use pageloom_training::random::KeyedStreams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::field::{Bank, Spectrum, white};
use crate::grid::Grid;
use crate::rank::{mask_all_but_lowest, repeat_frames};
use crate::ratio::Ratio;

/// Settings of `color_noise`. All frames of a video have the same mask.
///
/// The noise is the same everywhere, without a border. Its ranks within a window are not, as in the authors' code:
/// large blobs of `red` leave corners visible more often than the middle (`examples/mask_frequencies.rs` prints it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColorNoise {
    /// This share of cells is masked.
    pub ratio: Ratio,
    /// The noise that is ranked, until `schedule` says another.
    pub color: Color,
    /// The standard deviation of the first blur, in cells; the color's own where there is none.
    pub s1: Option<f64>,
    /// The standard deviation of the second, wider blur of `green` and `purple`; the color's own where there is none.
    pub s2: Option<f64>,
    /// The filter is applied so many times; the color's own number where there is none.
    pub passes: Option<u32>,
    /// From the view on that each entry names, its color is ranked with that color's own filter.
    pub schedule: Vec<ColorFrom>,
    /// All images of a view take the same window of stored noise, as in the authors' code, instead of noise of their own.
    pub shared_window: Option<SharedWindow>,
}

/// A color of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColorFrom {
    /// The first view with this color.
    pub view: u32,
    /// The color.
    pub color: Color,
}

/// Stored noise, of which a view's images share one crop and its flips; each image takes one of the patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SharedWindow {
    /// So many patterns are drawn once for the job.
    pub patterns: u32,
    /// Each pattern has so many rows and columns.
    pub size: u32,
}

/// The filter of white noise W, where G is a Gaussian blur. Its numbers are fitted to the publication's figure of
/// spectra, because neither the paper's text nor its repository states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Color {
    /// W itself: the masks of `random`.
    White,
    /// G(s1) W: few large blobs. Fitted: s1 3, once.
    Red,
    /// (G(s1) - G(s2)) W: clusters. Fitted: s1 0.63, s2 1.75, five times.
    Green,
    /// (1 - G(s1)) W: single cells, evenly spread. Fitted: s1 0.48, four times.
    Blue,
    /// (1 - G(s1) + G(s2)) W: blobs and single cells. The figure's two lobes: s1 0.48, s2 1.5, four times.
    Purple,
}

/// One color's filter with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Filter {
    color: Color,
    s1: f64,
    s2: f64,
    passes: u32,
}

impl Default for ColorNoise {
    fn default() -> Self {
        Self {
            ratio: Ratio::Fixed(0.75),
            color: Color::Green,
            s1: None,
            s2: None,
            passes: None,
            schedule: Vec::new(),
            shared_window: None,
        }
    }
}

impl Default for SharedWindow {
    fn default() -> Self {
        Self { patterns: 3072, size: 64 }
    }
}

impl Color {
    fn filter(self) -> Filter {
        let (s1, s2, passes) = match self {
            Self::White => (0.0, 0.0, 0),
            Self::Red => (3.0, 0.0, 1),
            Self::Green => (0.63, 1.75, 5),
            Self::Blue => (0.48, 0.0, 4),
            Self::Purple => (0.48, 1.5, 4),
        };
        Filter { color: self, s1, s2, passes }
    }
}

impl Filter {
    /// The share of a frequency, in cycles per cell, that is left of white noise.
    fn response(&self, frequency: f64) -> f64 {
        let blur = |s: f64| libm::exp(-2.0 * PI * PI * s * s * frequency * frequency);
        let once = match self.color {
            Color::White => 1.0,
            Color::Red => blur(self.s1),
            Color::Green => blur(self.s1) - blur(self.s2),
            Color::Blue => 1.0 - blur(self.s1),
            Color::Purple => 1.0 - blur(self.s1) + blur(self.s2),
        };
        libm::pow(once, f64::from(self.passes))
    }

    // At six standard deviations of the widest kernel, what opposite borders have in common is under 1/8000.
    fn margin(&self) -> usize {
        libm::ceil(6.0 * self.s1.max(self.s2) * libm::sqrt(f64::from(self.passes))) as usize
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        // The torus grows with the blur, and a draw with the torus.
        let widths = [("s1", self.s1), ("s2", self.s2)];
        for (name, s) in widths.into_iter().filter(|(_, s)| !(0.0..=16.0).contains(s)) {
            problems.push(format!("{name} is {s}, but it must lie between 0 and 16"));
        }
        if matches!(self.color, Color::Green | Color::Purple) && self.s1 >= self.s2 {
            problems.push(format!("s1 is {} and s2 is {}, but s1 must be the smaller one", self.s1, self.s2));
        }
        if self.color != Color::White && !(1..=16).contains(&self.passes) {
            problems.push(format!("passes is {}, but it must lie between 1 and 16", self.passes));
        }
        problems
    }
}

impl ColorNoise {
    fn filter(&self) -> Filter {
        let own = self.color.filter();
        Filter {
            s1: self.s1.unwrap_or(own.s1),
            s2: self.s2.unwrap_or(own.s2),
            passes: self.passes.unwrap_or(own.passes),
            ..own
        }
    }
}

impl StrategySettings for ColorNoise {
    fn kinds() -> Vec<(&'static str, Self)> {
        let colors = [Color::White, Color::Red, Color::Green, Color::Blue, Color::Purple];
        let names = ["white", "red", "green", "blue", "purple"];
        names.into_iter().zip(colors.map(|color| Self { color, ..Self::default() })).collect()
    }

    fn check(&self, grid: Grid) -> Vec<String> {
        let mut problems = self.ratio.problems("ratio");
        problems.extend(self.filter().problems());
        if !self.schedule.is_sorted_by(|earlier, later| earlier.view < later.view) {
            problems.push("schedule must name later and later views".to_owned());
        }
        if let Some(window) = self.shared_window {
            let least = grid.rows().max(grid.columns());
            if !(least..=1024).contains(&(window.size as usize)) {
                problems
                    .push(format!("shared_window.size is {}, but it must lie between {least} and 1024", window.size));
            }
            if !(1..=65_536).contains(&window.patterns) {
                problems.push(format!("shared_window.patterns is {}, not between 1 and 65536", window.patterns));
            }
        }
        problems
    }

    fn favours_no_cell(&self) -> bool {
        let mut colors = std::iter::once(self.color).chain(self.schedule.iter().map(|entry| entry.color));
        // Stored patterns are too few to be even.
        colors.all(|color| color == Color::White) && self.shared_window.is_none()
    }

    fn build(&self, grid: Grid, streams: &KeyedStreams) -> Arc<dyn Strategy> {
        let scheduled = self.schedule.iter().map(|entry| (entry.view, entry.color.filter()));
        let source = |filter: Filter| match self.shared_window {
            Some(window) => {
                let spectrum = |size| Spectrum::new(size, size, filter.margin(), |at| filter.response(at));
                Source::Stored(Bank::new(&spectrum(window.size as usize), window.patterns, streams))
            }
            None if filter.color == Color::White => Source::White,
            None => {
                let response = |at| filter.response(at);
                Source::Filtered(Spectrum::new(grid.rows(), grid.columns(), filter.margin(), response))
            }
        };
        let sources =
            std::iter::once((0, self.filter())).chain(scheduled).map(|(view, filter)| (view, source(filter))).collect();
        Arc::new(ByFilteredNoise { ratio: self.ratio, grid, sources })
    }
}

#[derive(Debug)]
struct ByFilteredNoise {
    ratio: Ratio,
    grid: Grid,
    /// From which view on each is ranked, in order.
    sources: Vec<(u32, Source)>,
}

#[derive(Debug)]
enum Source {
    White,
    Filtered(Spectrum),
    Stored(Bank),
}

impl Strategy for ByFilteredNoise {
    fn rule(&self) -> CountRule {
        CountRule::KeepTruncated
    }

    fn scratch(&self) -> Scratch {
        let spectra = || {
            self.sources.iter().filter_map(|(_, source)| match source {
                Source::Filtered(spectrum) => Some(spectrum),
                Source::White | Source::Stored(_) => None,
            })
        };
        let words = spectra().map(Spectrum::num_words).max().unwrap_or(0).max(self.grid.frame_cells());
        Scratch::with(words, self.grid.frame_cells(), spectra().map(Spectrum::num_partial).max().unwrap_or(0))
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let view = draw.image.view;
        let mut random = draw.random();
        let Scratch { words, scores, partial, bits, .. } = &mut *draw.scratch;
        match self.sources.iter().rev().find(|(first, _)| *first <= view).map(|(_, source)| source) {
            Some(Source::Filtered(spectrum)) => spectrum.draw(&mut random, words, partial, scores),
            // Every image has the key of the view's crop in common, which no image's own key can be: it has no byte.
            Some(Source::Stored(bank)) => {
                bank.window(self.grid, &mut random, &mut draw.streams.of(b"", view), scores);
            }
            Some(Source::White) | None => white(&mut random, words, scores),
        }
        // The highest values are visible, and ranks run upwards.
        for score in scores.iter_mut() {
            *score = -*score;
        }
        let visible = self.rule().visible(self.grid.frame_cells(), self.ratio.at(view));
        mask_all_but_lowest(scores, visible, bits);
        repeat_frames(bits, &mut layers[0].1);
        draw.scratch.scores_rank_cells = self.grid.frames() == 1;
        Ok(())
    }
}

#[cfg(test)]
#[path = "color_noise/tests.rs"]
mod tests;
