//! Takes an image file through a recipe.

use super::decode::{ImageError, Limits, decode};
use super::phash::perceptual_hash;
use super::picture::{Area, Picture, Size};
use super::plan::{Cut, Plan};
use super::recipe::{Draw, Preprocessing, Sampling};
use super::resample::Filter;
use super::{bilinear, resample};

/// What a model is to see of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Of the whole image, in pixels, after it was turned if the recipe says so.
    pub width: u32,
    /// Of the whole image, in pixels, after it was turned if the recipe says so.
    pub height: u32,
    /// What was cut out: one, or ten.
    pub crops: Vec<Cropped>,
}

/// One part of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Cropped {
    /// RGB, raster order, `width · height · 3` bytes.
    pub rgb: Vec<u8>,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Left, top, right and bottom of what it shows, in pixels of the whole image.
    pub shows: [f64; 4],
    /// Whether it shows that from right to left.
    pub mirrored: bool,
}

/// Decodes JPEG, PNG, GIF (first frame), WebP, BMP, TIFF or SVG and brings it to what `recipe` says.
pub fn prepare(bytes: &[u8], recipe: &Preprocessing, draw: Draw, limits: &Limits) -> Result<Prepared, ImageError> {
    prepared(decode(bytes, recipe.orientation, recipe.alpha, limits)?, recipe, draw, limits)
}

/// The same, and the whole image's [`perceptual_hash`], for which the file isn't decoded again.
pub fn prepare_and_hash(
    bytes: &[u8],
    recipe: &Preprocessing,
    draw: Draw,
    limits: &Limits,
) -> Result<(Prepared, u64), ImageError> {
    let image = decode(bytes, recipe.orientation, recipe.alpha, limits)?;
    let hash = perceptual_hash(&image.rgb, image.size.width, image.size.height);
    Ok((prepared(image, recipe, draw, limits)?, hash))
}

fn prepared(image: Picture, recipe: &Preprocessing, draw: Draw, limits: &Limits) -> Result<Prepared, ImageError> {
    let Size { width, height } = image.size;
    let plan = Plan::new(recipe, image.size, draw)?;
    for size in plan.halves.iter().chain([&plan.size]) {
        limits.check_pixels(size.pixels())?;
    }
    let image =
        plan.halves.iter().fold(image, |image, &half| resample::resize(&image, half, Filter::Box, half.whole()));
    // One part needs only its own pixels; several need nearly all of them, most of them more than once.
    let crops = match plan.cuts.as_slice() {
        [cut] => vec![cropped(resize(image, plan.size, recipe.sampling, cut.area), cut, &plan, (width, height))],
        cuts => {
            let resized = resize(image, plan.size, recipe.sampling, plan.size.whole());
            cuts.iter().map(|cut| cropped(resized.cut(cut.area), cut, &plan, (width, height))).collect()
        }
    };
    Ok(Prepared { width, height, crops })
}

fn resize(image: Picture, size: Size, sampling: Sampling, area: Area) -> Picture {
    if size == image.size && area == size.whole() {
        return image;
    }
    let filter = match sampling {
        Sampling::Box => Filter::Box,
        Sampling::Bilinear => Filter::Bilinear,
        Sampling::Bicubic | Sampling::HalvedThenBicubic => Filter::Bicubic,
        Sampling::Lanczos => Filter::Lanczos,
        Sampling::OpencvBilinear => return bilinear::resize(&image, size, area),
    };
    resample::resize(&image, size, filter, area)
}

fn cropped(cut_out: Picture, cut: &Cut, plan: &Plan, (width, height): (u32, u32)) -> Cropped {
    let across = f64::from(width) / f64::from(plan.size.width);
    let down = f64::from(height) / f64::from(plan.size.height);
    let Area { left, top, width, height } = cut.area;
    let picture = if cut.mirrored { cut_out.mirrored() } else { cut_out };
    Cropped {
        rgb: picture.rgb,
        width,
        height,
        shows: [
            f64::from(left) * across,
            f64::from(top) * down,
            f64::from(left + width) * across,
            f64::from(top + height) * down,
        ],
        mirrored: cut.mirrored,
    }
}

#[cfg(test)]
mod tests;
