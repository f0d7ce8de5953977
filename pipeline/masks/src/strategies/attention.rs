//! Masks by a teacher's attention, given per cell (MaskAlign, arXiv 2211.08887; AttMask, arXiv 2203.12719).

use std::sync::Arc;

use pageloom_training::random::{KeyedRandom, KeyedStreams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::field::white;
use crate::grid::Grid;
use crate::masker::Guide;
use crate::rank::{argsort, mask_all_but_lowest};
use crate::ratio::Ratio;

/// Settings of `attention`. Every image needs one score per cell, none of them below 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Attention {
    /// This share of cells is masked.
    pub ratio: Ratio,
    /// How attention decides.
    pub mode: AttentionMode,
    /// So likely does it decide; all other images have random masks with as many cells. AttMask has 0.5.
    pub probability: f64,
}

/// How attention decides which cells are masked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AttentionMode {
    /// Visible cells are drawn one after another, each as likely as its share of the attention that is left (MaskAlign).
    Drawn,
    /// The cells with the most attention are masked (AttMask-High).
    High,
    /// The cells with the least attention are masked (AttMask-Low).
    Low,
    /// As `high`, but some of the cells with the most attention stay visible (AttMask-Hint), so that fewer are masked.
    Hint {
        /// This share of all cells stays visible.
        show_ratio: f64,
        /// They are drawn from this share of cells, those with the most attention.
        show_max: f64,
    },
}

impl Default for Attention {
    fn default() -> Self {
        Self { ratio: Ratio::Fixed(0.7), mode: AttentionMode::Drawn, probability: 1.0 }
    }
}

impl StrategySettings for Attention {
    fn kinds() -> Vec<(&'static str, Self)> {
        let hint = AttentionMode::Hint { show_ratio: 0.05, show_max: 0.1 };
        let modes = [AttentionMode::Drawn, AttentionMode::High, AttentionMode::Low, hint];
        let names = ["drawn", "high", "low", "hint"];
        names.into_iter().zip(modes.map(|mode| Self { mode, ..Self::default() })).collect()
    }

    fn check(&self, _: Grid) -> Vec<String> {
        let mut problems = self.ratio.problems("ratio");
        problems.extend(Ratio::Fixed(self.probability).problems("probability"));
        if let AttentionMode::Hint { show_ratio, show_max } = self.mode {
            problems.extend(Ratio::Fixed(show_max).problems("show_max"));
            if !(0.0..=show_max).contains(&show_ratio) {
                problems.push(format!("show_ratio is {show_ratio}, but it must lie between 0 and show_max"));
            }
        }
        problems
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        Arc::new(ByAttention { settings: self.clone(), grid })
    }
}

#[derive(Debug)]
struct ByAttention {
    settings: Attention,
    grid: Grid,
}

impl ByAttention {
    // The lowest scores are visible.
    fn scores(&self, attention: &[f32], random: &mut KeyedRandom, scratch: &mut Scratch) {
        let Scratch { words, scores, .. } = scratch;
        if !random.happens(self.settings.probability) {
            return white(random, words, scores);
        }
        for (score, &attention) in scores.iter_mut().zip(attention) {
            *score = match self.settings.mode {
                // Exponential times over their rates: who comes first is drawn by the rates, and so on without him
                // (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
                AttentionMode::Drawn => (-libm::log(1.0 - random.uniform()) / f64::from(attention)) as f32,
                AttentionMode::High | AttentionMode::Hint { .. } => attention,
                AttentionMode::Low => -attention,
            };
            // No attention at all is a rate of 0: it comes last. The quotient of two zeros is no number.
            if score.is_nan() {
                *score = f32::INFINITY;
            }
        }
    }
}

impl Strategy for ByAttention {
    fn rule(&self) -> CountRule {
        match self.settings.mode {
            AttentionMode::Drawn => CountRule::KeepTruncated,
            AttentionMode::High | AttentionMode::Low => CountRule::MaskTruncated,
            AttentionMode::Hint { .. } => CountRule::AtMost,
        }
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(self.grid.cells(), self.grid.cells(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let cells = self.grid.cells();
        let attention = match draw.image.guide {
            Guide::Scores(scores) if scores.len() == cells && scores.iter().all(|score| *score >= 0.0) => scores,
            other => {
                return Err(MaskError::Guide {
                    needed: "one score per cell, none below 0",
                    got: format!("{} for {cells} cells", other.describe()),
                });
            }
        };
        let mut random = draw.random();
        self.scores(attention, &mut random, draw.scratch);
        let visible = self.rule().visible(cells, self.settings.ratio.at(draw.image.view));
        let mask = &mut layers[0].1;
        mask_all_but_lowest(&draw.scratch.scores, visible, mask.bits_mut());
        if let AttentionMode::Hint { show_ratio, show_max } = self.settings.mode {
            let order = argsort(&draw.scratch.scores);
            let most = (show_max * cells as f64) as u32;
            let shown = random.choose((show_ratio * cells as f64) as u32, most);
            shown.into_iter().for_each(|place| mask.unset(order[cells - 1 - place as usize] as usize));
        }
        draw.scratch.scores_rank_cells = !matches!(self.settings.mode, AttentionMode::Hint { .. });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaskConfig;
    use super::*;
    use crate::{Image, Masker};

    fn masked(settings: Attention, scores: &[f32]) -> Result<Vec<u32>, MaskError> {
        let mut masker = Masker::new(&MaskConfig::Attention(settings), Grid::image(2, 5)?, 1)?;
        let mut masks = masker.masks();
        masker.draw(Image { key: b"image", view: 0, guide: Guide::Scores(scores) }, &mut masks)?;
        Ok(masks.masked().ids_masked())
    }

    const SCORES: [f32; 10] = [0.0, 9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0];

    fn with(mode: AttentionMode) -> Attention {
        Attention { mode, ratio: Ratio::Fixed(0.3), probability: 1.0 }
    }

    #[test]
    fn the_most_or_the_least_attended_cells_are_masked() {
        assert_eq!(masked(with(AttentionMode::High), &SCORES).unwrap(), [1, 3, 5]);
        assert_eq!(masked(with(AttentionMode::Low), &SCORES).unwrap(), [0, 2, 4]);
    }

    #[test]
    fn a_hint_shows_the_most_attended_cell() {
        let mode = AttentionMode::Hint { show_ratio: 0.1, show_max: 0.1 };
        assert_eq!(masked(with(mode), &SCORES).unwrap(), [3, 5]);
    }

    #[test]
    fn cells_without_attention_are_drawn_last() {
        let scores = [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0];
        assert_eq!(masked(with(AttentionMode::Drawn), &scores).unwrap(), [0, 8, 9]);
    }

    #[test]
    fn the_wrong_number_of_scores_is_an_error() {
        let error = masked(with(AttentionMode::High), &SCORES[1..]).unwrap_err().to_string();
        assert_eq!(
            error,
            "this strategy needs one score per cell, none below 0 of each image, but got 9 scores for 10 cells"
        );
        assert!(masked(with(AttentionMode::High), &[f32::NAN; 10]).is_err());
    }

    #[test]
    fn the_first_cell_is_drawn_by_its_share() {
        let settings = Attention { ratio: Ratio::Fixed(0.75), ..Attention::default() };
        let mut masker = Masker::new(&MaskConfig::Attention(settings), Grid::image(2, 2).unwrap(), 1).unwrap();
        let mut masks = masker.masks();
        let mut counts = [0_u32; 4];
        for number in 0..20_000_u32 {
            let guide = Guide::Scores(&[1.0, 2.0, 3.0, 4.0]);
            masker.draw(Image { key: &number.to_le_bytes(), view: 0, guide }, &mut masks).unwrap();
            counts[masks.masked().ids_keep()[0] as usize] += 1;
        }
        // Four standard deviations of a binomial count are at most 277.
        assert!(
            counts.iter().zip([2000, 4000, 6000, 8000]).all(|(count, most)| count.abs_diff(most) < 277),
            "{counts:?}"
        );
    }
}
