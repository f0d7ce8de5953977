//! Masks a drawn share of an image's tokens (MaskGIT, arXiv 2202.04200; Muse, aMUSEd, MAGE, Halton-MaskGIT).

use std::f64::consts::FRAC_PI_2;
use std::sync::Arc;

use pageloom_training::random::{KeyedRandom, KeyedStreams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Draw, Layer, MaskError, PatchMask, Scratch, Strategy, StrategySettings};
use crate::count::CountRule;
use crate::field::{halton, white};
use crate::grid::Grid;
use crate::rank::mask_all_but_lowest;
use crate::ratio::Ratio;

/// Settings of `token_schedule`, with Muse's and aMUSEd's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenSchedule {
    /// How the masked share is drawn for each image.
    pub law: RatioLaw,
    /// The share is never below this.
    pub min_ratio: f64,
    /// How the share becomes a number of tokens: MAGE has `mask_ceil`.
    pub count: CountRule,
    /// Which tokens are masked.
    pub order: TokenOrder,
    /// This share of tokens, rounded up, is also left out of the encoder's input, all of them masked: 0.5 for MAGE.
    pub dropped: Option<f64>,
}

/// The masked share as a function of a number `u` that is drawn evenly from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RatioLaw {
    /// `1 - u`.
    Uniform,
    /// `1 - u^exponent`: square, cubic, and root with 0.5.
    Power {
        /// The exponent.
        exponent: f64,
    },
    /// `cos(pi u / 2)`: MaskGIT, Muse, aMUSEd.
    Cosine,
    /// `acos(u) / (pi / 2)`: MaskGen.
    Arccos,
    /// `-log2(u) / log2(tokens)`.
    Log,
    /// `1 - 2^(-log2(tokens) (1 - u))`.
    Exp,
    /// A normal number, drawn again until it lies between two bounds: MAGE. One per image, where MAGE has one per batch.
    TruncatedNormal {
        /// The lowest share, 0.5 for MAGE.
        low: f64,
        /// The highest share, 1 for MAGE.
        high: f64,
        /// The mean before numbers outside the bounds are left out, 0.55 for MAGE.
        mean: f64,
        /// The standard deviation before that, 0.25 for MAGE.
        deviation: f64,
    },
}

/// Which tokens are masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenOrder {
    /// Each as likely as any other.
    Random,
    /// The last ones in Halton's order, the same for all images.
    Halton,
}

impl Default for TokenSchedule {
    fn default() -> Self {
        Self {
            law: RatioLaw::Cosine,
            min_ratio: 0.0,
            count: CountRule::MaskRoundedAtLeastOne,
            order: TokenOrder::Random,
            dropped: None,
        }
    }
}

impl TokenSchedule {
    /// MAGE's settings (arXiv 2211.09117).
    pub fn mage() -> Self {
        let law = RatioLaw::TruncatedNormal { low: 0.5, high: 1.0, mean: 0.55, deviation: 0.25 };
        Self { law, min_ratio: 0.5, count: CountRule::MaskCeil, order: TokenOrder::Random, dropped: Some(0.5) }
    }
}

impl RatioLaw {
    /// The share at `u`, between a millionth and 1 as MaskGIT clips it.
    fn at(self, drawn: f64, cells: usize, random: &mut KeyedRandom) -> f64 {
        let bits = libm::log2(cells as f64);
        let share = match self {
            Self::Uniform => 1.0 - drawn,
            Self::Power { exponent } => 1.0 - libm::pow(drawn, exponent),
            Self::Cosine => libm::cos(FRAC_PI_2 * drawn),
            Self::Arccos => libm::acos(drawn) / FRAC_PI_2,
            Self::Log => -libm::log2(drawn) / bits.max(1.0),
            Self::Exp => 1.0 - libm::exp2(-bits * (1.0 - drawn)),
            Self::TruncatedNormal { low, high, mean, deviation } => loop {
                let share = mean + deviation * random.normal();
                if (low..=high).contains(&share) {
                    break share;
                }
            },
        };
        share.clamp(1e-6, 1.0)
    }

    fn problem(self) -> Option<String> {
        match self {
            Self::Power { exponent } if !(exponent > 0.0 && exponent.is_finite()) => {
                Some(format!("exponent is {exponent}, but it must be above 0"))
            }
            // Within three deviations of the mean, one draw in a few hundred is good: no image waits for long.
            Self::TruncatedNormal { low, high, mean, deviation }
                if !(0.0 <= low
                    && high <= 1.0
                    && deviation > 0.0
                    && high - low >= deviation / 4.0
                    && low - mean <= 2.0 * deviation
                    && mean - high <= 2.0 * deviation) =>
            {
                Some(format!("truncated_normal has the bounds {low} and {high}, too far from {mean} +- {deviation}"))
            }
            _ => None,
        }
    }
}

impl StrategySettings for TokenSchedule {
    fn kinds() -> Vec<(&'static str, Self)> {
        let halton = Self { order: TokenOrder::Halton, ..Self::default() };
        vec![("muse", Self::default()), ("mage", Self::mage()), ("halton", halton)]
    }

    fn check(&self, _: Grid) -> Vec<String> {
        let mut problems = Ratio::Fixed(self.min_ratio).problems("min_ratio");
        problems.extend(self.law.problem());
        if matches!(self.count, CountRule::Pattern | CountRule::AtMost) {
            problems.push("count is a rule of patterns, but tokens need one that gives a number".to_owned());
        }
        if let Some(dropped) = self.dropped
            && !(0.0..=self.min_ratio).contains(&dropped)
        {
            problems.push(format!("dropped is {dropped}, but it must lie between 0 and min_ratio"));
        }
        problems
    }

    fn favours_no_cell(&self) -> bool {
        self.order == TokenOrder::Random
    }

    fn build(&self, grid: Grid, _: &KeyedStreams) -> Arc<dyn Strategy> {
        let fixed = (self.order == TokenOrder::Halton).then(|| {
            let frame = halton(grid.rows(), grid.columns());
            frame.iter().copied().cycle().take(grid.cells()).collect()
        });
        Arc::new(DrawnShare { settings: self.clone(), grid, fixed })
    }
}

#[derive(Debug)]
struct DrawnShare {
    settings: TokenSchedule,
    grid: Grid,
    /// The scores of every image, where they aren't drawn.
    fixed: Option<Vec<f32>>,
}

impl Strategy for DrawnShare {
    fn layers(&self) -> Vec<Layer> {
        std::iter::once(Layer::Masked).chain(self.settings.dropped.map(|_| Layer::Dropped)).collect()
    }

    fn rule(&self) -> CountRule {
        self.settings.count
    }

    fn rule_beside(&self) -> CountRule {
        CountRule::MaskCeil
    }

    fn scratch(&self) -> Scratch {
        Scratch::with(self.grid.cells(), self.grid.cells(), 0)
    }

    fn draw(&self, draw: &mut Draw<'_>, layers: &mut [(Layer, PatchMask)]) -> Result<(), MaskError> {
        let mut random = draw.random();
        let cells = self.grid.cells();
        let drawn = random.uniform();
        let share = self.settings.law.at(drawn, cells, &mut random).max(self.settings.min_ratio);
        let Scratch { words, scores, .. } = &mut *draw.scratch;
        match &self.fixed {
            Some(fixed) => scores.copy_from_slice(fixed),
            None => white(&mut random, words, scores),
        }
        mask_all_but_lowest(scores, self.rule().visible(cells, share), layers[0].1.bits_mut());
        if let (Some(dropped), Some((_, mask))) = (self.settings.dropped, layers.get_mut(1)) {
            mask_all_but_lowest(scores, CountRule::MaskCeil.visible(cells, dropped), mask.bits_mut());
        }
        draw.scratch.scores_rank_cells = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::MaskConfig;
    use super::*;
    use crate::{Guide, Masker, Masks};

    fn draws(settings: TokenSchedule, views: u32) -> Vec<Masks> {
        let grid = Grid::image(16, 16).unwrap();
        Masker::new(&MaskConfig::TokenSchedule(settings), grid, 1)
            .unwrap()
            .views(b"image", 0..views, Guide::None)
            .unwrap()
    }

    #[derive(Deserialize)]
    struct Law {
        reference: String,
        law: RatioLaw,
        tokens: usize,
        shares: Vec<f64>,
    }

    #[derive(Deserialize)]
    struct Laws {
        drawn: Vec<f64>,
        laws: Vec<Law>,
    }

    #[test]
    fn laws_have_the_shares_of_maskgit_and_maskgen() {
        let mut random = KeyedRandom::new(1, "law", b"", 0);
        let golden: Laws = crate::golden::read("laws.json");
        for Law { reference, law, tokens, shares } in golden.laws {
            for (&drawn, expected) in golden.drawn.iter().zip(shares) {
                let share = law.at(drawn, tokens, &mut random);
                assert!((share - expected).abs() < 1e-12, "{reference} {law:?} at {drawn}: {share} for {expected}");
            }
        }
    }

    #[test]
    fn a_share_is_clipped_as_maskgit_clips_it() {
        let mut random = KeyedRandom::new(1, "law", b"", 0);
        let mut at = |law: RatioLaw, drawn| law.at(drawn, 256, &mut random);
        assert_eq!([at(RatioLaw::Log, 0.0), at(RatioLaw::Uniform, 1.0)], [1.0, 0.000001]);
    }

    #[test]
    fn muses_mean_share_comes_out() {
        let masks = draws(TokenSchedule::default(), 4000);
        let mean = masks.iter().map(|masks| masks.masked().num_masked()).sum::<usize>() as f64 / 4000.0 / 256.0;
        // The mean of cos(pi u / 2) is 2 / pi, its standard deviation 0.308: four of the mean are 0.0195.
        assert!((mean - 2.0 / std::f64::consts::PI).abs() < 0.0195, "{mean}");
    }

    #[test]
    fn dropped_tokens_are_half_of_all_and_masked() {
        for masks in draws(TokenSchedule::mage(), 50) {
            let (masked, dropped) = (&masks.layers[0].1, &masks.layers[1].1);
            assert_eq!(dropped.num_masked(), 128);
            assert!(dropped.ids_masked().into_iter().all(|cell| masked.is_masked(cell as usize)));
        }
    }

    #[test]
    fn a_larger_share_in_haltons_order_hides_more_of_the_same_tokens() {
        let mut masks = draws(TokenSchedule { order: TokenOrder::Halton, ..TokenSchedule::default() }, 20);
        masks.sort_by_key(|masks| masks.masked().num_masked());
        for pair in masks.windows(2) {
            let larger = pair[1].masked();
            assert!(pair[0].masked().ids_masked().into_iter().all(|cell| larger.is_masked(cell as usize)));
        }
    }
}
