//! An RGB image in memory, and rectangles of it.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use serde::{Deserialize, Serialize};

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Size {
    /// A square.
    pub const fn square(side: u32) -> Self {
        Self { width: side, height: side }
    }

    pub(super) fn short(self) -> u32 {
        self.width.min(self.height)
    }

    pub(super) fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    pub(super) fn whole(self) -> Area {
        self.at(0, 0)
    }

    pub(super) fn at(self, left: u32, top: u32) -> Area {
        Area { left, top, width: self.width, height: self.height }
    }
}

/// A rectangle inside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// Levels of red, green and blue in raster order: `width · height · 3` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub size: Size,
    pub rgb: Vec<u8>,
}

impl Picture {
    /// The levels of one row.
    pub fn row(&self, y: usize) -> &[u8] {
        let bytes = self.size.width as usize * 3;
        &self.rgb[y * bytes..(y + 1) * bytes]
    }

    /// A copy of a part, which must lie inside.
    pub fn cut(&self, area: Area) -> Self {
        let (left, right) = (area.left as usize * 3, (area.left + area.width) as usize * 3);
        let rows = area.top as usize..(area.top + area.height) as usize;
        let rgb = rows.flat_map(|y| &self.row(y)[left..right]).copied().collect();
        Self { size: Size { width: area.width, height: area.height }, rgb }
    }

    /// Turned and mirrored.
    pub fn turned(self, how: Orientation) -> Self {
        if how == Orientation::NoTransforms {
            return self;
        }
        let Size { width, height } = self.size;
        let Some(image) = RgbImage::from_raw(width, height, self.rgb) else {
            return Self { size: Size::square(0), rgb: Vec::new() };
        };
        let mut image = DynamicImage::ImageRgb8(image);
        image.apply_orientation(how);
        let size = Size { width: image.width(), height: image.height() };
        Self { size, rgb: image.into_rgb8().into_raw() }
    }

    /// The same rows, each from right to left.
    pub fn mirrored(&self) -> Self {
        let rows = (0..self.size.height as usize).map(|y| self.row(y));
        let rgb = rows.flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten()).copied().collect();
        Self { size: self.size, rgb }
    }
}
