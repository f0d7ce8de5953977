//! The share of cells that is masked: one number, or a schedule over an image's views.

use std::f64::consts::FRAC_PI_2;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The share of cells that is masked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ratio {
    /// The same share in every view: `ratio = 0.75`.
    Fixed(f64),
    /// A share that changes from view to view: `ratio = { linear = { views = 300, from = 0.15, to = 0.75 } }`.
    Scheduled(Schedule),
}

/// How the share changes over the views of an image, of which each epoch of a training sees the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// `from + (to - from) * view / views`: LMD's helper `mr_schedule`.
    Linear {
        /// After so many views the share stays at `to`.
        views: u32,
        /// The first view's share.
        from: f64,
        /// The last share.
        to: f64,
    },
    /// From `from` to `to` along a squared cosine, with the offset 0.008, over the first two thirds of the views: what
    /// LMD trains with (0.15 to 0.75).
    Cosine {
        /// The share stays at `to` after two thirds of so many views.
        views: u32,
        /// The first view's share.
        from: f64,
        /// The last share.
        to: f64,
    },
    /// LMD's steps: 0.15 rising to 0.4 over a sixth of the views, 0.4 for a sixth, rising to 0.75 over a third, 0.75.
    ///
    /// LMD's code counts the second rise from the first view, so that it would begin at 0.75; here it begins at 0.4.
    LmdPiecewise {
        /// So many views are divided into sixths.
        views: u32,
    },
}

impl Ratio {
    /// The share of a view.
    pub fn at(self, view: u32) -> f64 {
        match self {
            Self::Fixed(share) => share,
            Self::Scheduled(schedule) => schedule.at(view),
        }
    }

    /// What is wrong with it, in the user's words.
    pub fn problems(self, field: &str) -> Vec<String> {
        let shares = match self {
            Self::Fixed(share) => [share, share],
            Self::Scheduled(Schedule::Linear { from, to, .. } | Schedule::Cosine { from, to, .. }) => [from, to],
            Self::Scheduled(Schedule::LmdPiecewise { .. }) => [0.15, 0.75],
        };
        let outside = shares.into_iter().find(|share| !(0.0..=1.0).contains(share));
        let share = outside.map(|share| format!("{field} is {share}, but it must lie between 0 and 1"));
        let no_views = matches!(
            self,
            Self::Scheduled(
                Schedule::Linear { views: 0, .. }
                    | Schedule::Cosine { views: 0, .. }
                    | Schedule::LmdPiecewise { views: 0 }
            )
        );
        let views = no_views.then(|| format!("{field} has a schedule over 0 views, but it needs one at least"));
        share.into_iter().chain(views).collect()
    }
}

impl Schedule {
    /// The share of a view.
    pub fn at(self, view: u32) -> f64 {
        let view = f64::from(view);
        match self {
            Self::Linear { views, from, to } => from + (to - from) * (view / f64::from(views)).min(1.0),
            Self::Cosine { views, from, to } => {
                let end = (2 * u64::from(views) / 3) as f64;
                if view >= end { to } else { from + (to - from) * (1.0 - cosine(view / end) / cosine(0.0)) }
            }
            Self::LmdPiecewise { views } => lmd_piecewise(view, f64::from(views)),
        }
    }
}

fn cosine(progress: f64) -> f64 {
    const OFFSET: f64 = 0.008;
    let root = libm::cos((progress + OFFSET) / (1.0 + OFFSET) * FRAC_PI_2);
    root * root
}

fn lmd_piecewise(view: f64, views: f64) -> f64 {
    let (sixth, third) = (views / 6.0, views / 3.0);
    if view < sixth {
        0.15 + (0.40 - 0.15) * view / sixth
    } else if view < third {
        0.40
    } else if view < 2.0 * third {
        0.40 + (0.75 - 0.40) / third * (view - third)
    } else {
        0.75
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Shares {
        schedule: Schedule,
        shares: Vec<(u32, f64)>,
    }

    #[test]
    fn schedules_have_lmds_values() {
        for Shares { schedule, shares } in crate::golden::read::<Vec<Shares>>("schedules.json") {
            for (view, share) in shares {
                assert!((schedule.at(view) - share).abs() < 1e-12, "{schedule:?} at {view}: {}", schedule.at(view));
            }
        }
    }

    #[test]
    fn a_linear_schedule_stays_where_it_ends() {
        let schedule = Schedule::Linear { views: 10, from: 0.25, to: 0.75 };
        assert_eq!([0, 5, 10, 99].map(|view| schedule.at(view)), [0.25, 0.5, 0.75, 0.75]);
    }

    #[test]
    fn a_share_above_1_is_a_problem() {
        assert_eq!(Ratio::Fixed(1.5).problems("ratio"), ["ratio is 1.5, but it must lie between 0 and 1"]);
        let schedule = Schedule::Linear { views: 0, from: -1.0, to: 0.5 };
        assert_eq!(Ratio::Scheduled(schedule).problems("ratio").len(), 2);
    }
}
