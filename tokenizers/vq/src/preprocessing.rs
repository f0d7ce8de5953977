//! What a family does to an image before its encoder sees it, as plain data.

use serde::{Deserialize, Serialize};

/// How a model's own code makes its input from an image file.
///
/// Nothing here resizes or decodes: it is what the code that does is driven by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// How pixels of another size are made; the short side is brought to the model's.
    pub sampling: Sampling,
    /// How the long side's length is rounded.
    pub rounding: Rounding,
    /// How the place of the crop in the middle is rounded.
    pub crop: Rounding,
    /// What transparent pixels become.
    pub alpha: Alpha,
    /// Whether the camera's orientation is applied first.
    pub orientation: Orientation,
    /// What levels become.
    pub range: Range,
}

/// How pixels of another size are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Linear between neighbours, without regard to the scale: OpenCV's `INTER_LINEAR`.
    OpencvBilinear,
    /// Pillow's `BILINEAR`, which widens with the scale.
    Bilinear,
    /// Pillow's `BICUBIC`, which widens with the scale.
    Bicubic,
    /// Pillow's `LANCZOS`, which widens with the scale.
    Lanczos,
    /// Halved with a box filter while the short side is at least twice as long as asked for, then `Bicubic`.
    HalvedThenBicubic,
}

/// How a length or a place that isn't whole is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Down.
    Down,
    /// To the nearest whole number, halves to the even one.
    Nearest,
}

/// What is done about transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alpha {
    /// Colours are shown in front of white.
    OnWhite,
    /// Colours are taken as stored, as if nothing were transparent.
    Dropped,
}

/// Whether an EXIF orientation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Pixels stay as stored.
    Ignored,
    /// The image is turned as it asks.
    Applied,
}

/// The numbers that levels 0 and 255 become; those between lie evenly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Of level 0.
    pub low: f64,
    /// Of level 255.
    pub high: f64,
}

impl Range {
    /// From -1 to 1.
    pub const SIGNED: Self = Self { low: -1.0, high: 1.0 };
    /// From 0 to 1.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };

    /// The number of each level.
    pub fn table(self) -> [f32; 256] {
        std::array::from_fn(|level| (self.low + (self.high - self.low) * level as f64 / 255.0) as f32)
    }

    /// The level nearest to a number.
    pub fn level(self, number: f32) -> u8 {
        ((f64::from(number) - self.low) / (self.high - self.low) * 255.0).round_ties_even() as u8
    }
}

impl Preprocessing {
    /// taming-transformers and what grew out of it: albumentations' `SmallestMaxSize` and a crop in the middle.
    pub const TAMING: Self = Self {
        sampling: Sampling::OpencvBilinear,
        rounding: Rounding::Nearest,
        crop: Rounding::Down,
        alpha: Alpha::Dropped,
        orientation: Orientation::Ignored,
        range: Range::SIGNED,
    };
    /// ADM's `center_crop_arr`, which LlamaGen and 1d-tokenizer took over.
    pub const ADM: Self = Self { sampling: Sampling::HalvedThenBicubic, ..Self::TAMING };
    /// torchvision's `Resize` and `CenterCrop` of a Pillow image.
    pub const TORCHVISION: Self =
        Self { sampling: Sampling::Bilinear, rounding: Rounding::Down, crop: Rounding::Nearest, ..Self::TAMING };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_lie_evenly_between_the_ends() {
        assert_eq!(Range::SIGNED.table()[0], -1.0);
        assert_eq!(Range::SIGNED.table()[255], 1.0);
        assert_eq!(Range::UNIT.table()[51], 0.2);
        assert!((Range { low: 0.1, high: 0.9 }.table()[255] - 0.9).abs() < 1e-7);
    }

    #[test]
    fn every_level_is_found_again() {
        for range in [Range::SIGNED, Range::UNIT, Range { low: 0.1, high: 0.9 }] {
            let levels = range.table().map(|number| range.level(number));
            assert_eq!(levels, std::array::from_fn(|level| level as u8));
            assert_eq!((range.level(-9.0), range.level(9.0)), (0, 255));
        }
    }
}
