//! What a family does to an image before its encoder sees it, as plain data.

use serde::{Deserialize, Serialize};

use super::pixels::{self, Alpha, Crop, Orientation, Rounding, Sampling};
use super::tokenizer::ImageSize;

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
    /// What makes images of this size: the short side resized, then the middle cut out; what isn't square is covered.
    pub fn recipe(&self, size: ImageSize) -> pixels::Preprocessing {
        let to = pixels::Size { width: size.width, height: size.height };
        let resize = match size.width == size.height {
            true => pixels::Resize::ShortSide { to: size.width, rounding: self.rounding, enlarge: true },
            false => pixels::Resize::BestOf { sizes: vec![to] },
        };
        pixels::Preprocessing {
            orientation: self.orientation,
            alpha: self.alpha,
            resize,
            sampling: self.sampling,
            crop: Crop::Center { size: None, rounding: self.crop },
        }
    }

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
