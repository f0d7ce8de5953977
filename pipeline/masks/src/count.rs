//! How many cells are masked: each publication rounds in its own way, and none is like another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a ratio becomes a number of masked cells, in double precision and in the order that is written here.
///
/// The order matters: of 100 cells at a ratio of 0.9, `keep_truncated` keeps 9, because `100 * (1 - 0.9)` is just
/// under 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountRule {
    /// Visible are `int(cells * (1 - ratio))`: MAE, ColorMAE, DMJD, MaskGWM, data2vec 2.
    KeepTruncated,
    /// Visible are `round(cells * (1 - ratio))`, halves to even: MambaMIM.
    KeepRounded,
    /// Masked are `int(ratio * cells)`: VideoMAE, AttMask, UM-MAE.
    MaskTruncated,
    /// Masked are `ceil(cells * ratio)`: SimMIM, MAGE.
    MaskCeil,
    /// Masked are `round(cells * ratio)`, halves to even, but at least one: Muse, aMUSEd.
    MaskRoundedAtLeastOne,
    /// Masked are as many as were asked for or fewer, as rectangles happen to fall: BEiT.
    AtMost,
    /// The pattern itself says which cells are masked.
    Pattern,
}

impl CountRule {
    /// How many of so many cells are masked at this ratio; none for a rule that goes by the pattern alone.
    pub fn masked(self, cells: usize, ratio: f64) -> usize {
        let all = cells as f64;
        // `as` truncates as Python's int() does, and takes what is below 0, or not a number, for 0.
        match self {
            Self::KeepTruncated => cells - ((all * (1.0 - ratio)) as usize).min(cells),
            Self::KeepRounded => cells - (libm::rint(all * (1.0 - ratio)) as usize).min(cells),
            Self::MaskTruncated | Self::AtMost => ((ratio * all) as usize).min(cells),
            Self::MaskCeil => (libm::ceil(all * ratio) as usize).min(cells),
            Self::MaskRoundedAtLeastOne => (libm::rint(all * ratio) as usize).clamp(1, cells.max(1)),
            Self::Pattern => 0,
        }
    }

    /// How many cells are masked, as a Python expression of `cells` and `ratio`; none where no formula says it.
    pub fn formula(self) -> Option<&'static str> {
        match self {
            Self::KeepTruncated => Some("cells - int(cells * (1 - ratio))"),
            Self::KeepRounded => Some("cells - round(cells * (1 - ratio))"),
            Self::MaskTruncated => Some("int(ratio * cells)"),
            Self::MaskCeil => Some("math.ceil(cells * ratio)"),
            Self::MaskRoundedAtLeastOne => Some("max(1, round(cells * ratio))"),
            Self::AtMost | Self::Pattern => None,
        }
    }

    /// How many of so many cells are visible at this ratio.
    pub fn visible(self, cells: usize, ratio: f64) -> usize {
        cells - self.masked(cells, ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_counts_come_out() {
        assert_eq!(CountRule::KeepTruncated.visible(196, 0.75), 49);
        assert_eq!(CountRule::KeepTruncated.visible(256, 0.75), 64);
        assert_eq!(CountRule::KeepTruncated.visible(196, 0.6), 78);
        assert_eq!(CountRule::KeepTruncated.visible(100, 0.9), 9);
        assert_eq!(CountRule::MaskTruncated.masked(196, 0.9), 176);
        assert_eq!(CountRule::MaskCeil.masked(36, 0.6), 22);
        assert_eq!(CountRule::KeepRounded.visible(216, 0.75), 54);
        assert_eq!(CountRule::MaskRoundedAtLeastOne.masked(256, 0.0001), 1);
    }

    #[test]
    fn halves_go_to_the_even_number() {
        assert_eq!(CountRule::KeepRounded.visible(10, 0.75), 2);
        assert_eq!(CountRule::MaskRoundedAtLeastOne.masked(10, 0.25), 2);
        assert_eq!(CountRule::MaskRoundedAtLeastOne.masked(10, 0.35), 4);
    }

    #[test]
    fn every_grid_and_ratio_counts_as_python_does() {
        // tests/masks/golden.py folds the same counts with Python's own int, round and ceil.
        let golden = include_str!("golden/counts.txt");
        let rules = [
            CountRule::KeepTruncated,
            CountRule::KeepRounded,
            CountRule::MaskTruncated,
            CountRule::MaskCeil,
            CountRule::MaskRoundedAtLeastOne,
        ];
        for (rule, line) in rules.into_iter().zip(golden.lines()) {
            let mut folded = 0_u64;
            for rows in 7..=32 {
                for columns in 7..=32 {
                    for twentieths in 1..=19 {
                        let masked = rule.masked(rows * columns, f64::from(twentieths) / 20.0);
                        folded = folded.wrapping_mul(31).wrapping_add(masked as u64);
                    }
                }
            }
            assert_eq!(folded.to_string(), line, "{rule:?}");
        }
    }

    #[test]
    fn a_ratio_outside_its_range_masks_none_or_all() {
        for rule in [CountRule::KeepTruncated, CountRule::MaskTruncated, CountRule::MaskCeil] {
            assert_eq!([rule.masked(9, -1.0), rule.masked(9, 2.0)], [0, 9], "{rule:?}");
        }
    }
}
