//! Takes an image file through a recipe.

use super::decode::{ImageError, Limits, decode, decode_rows};
use super::jpeg::Sink;
use super::phash::{Hashing, perceptual_hash};
use super::picture::{Area, Picture, Size};
use super::plan::{Cut, Plan};
use super::recipe::{Draw, Preprocessing, Sampling};
use super::resample::{Filter, Resizing};
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

/// Decodes JPEG, PNG, GIF (first frame), WebP, AVIF, BMP, TIFF or SVG and brings it to what `recipe` says.
pub fn prepare(bytes: &[u8], recipe: &Preprocessing, draw: Draw, limits: &Limits) -> Result<Prepared, ImageError> {
    let mut by_rows = ByRows { recipe, draw, limits, begun: None };
    if decode_rows(bytes, recipe.orientation, limits, &mut by_rows)? {
        return by_rows.finish();
    }
    prepared(decode(bytes, recipe.orientation, recipe.alpha, limits)?, recipe, draw, limits)
}

/// The same, and the whole image's [`perceptual_hash`], for which the file isn't decoded again.
pub fn prepare_and_hash(
    bytes: &[u8],
    recipe: &Preprocessing,
    draw: Draw,
    limits: &Limits,
) -> Result<(Prepared, u64), ImageError> {
    let by_rows = ByRows { recipe, draw, limits, begun: None };
    let mut hashed = Hashed { by_rows, hashing: None, needed: Size::square(0).whole(), next: 0 };
    if decode_rows(bytes, recipe.orientation, limits, &mut hashed)? {
        return hashed.finish();
    }
    let image = decode(bytes, recipe.orientation, recipe.alpha, limits)?;
    let hash = perceptual_hash(&image.rgb, image.size.width, image.size.height);
    Ok((prepared(image, recipe, draw, limits)?, hash))
}

fn prepared(image: Picture, recipe: &Preprocessing, draw: Draw, limits: &Limits) -> Result<Prepared, ImageError> {
    let from = image.size;
    let plan = planned(recipe, from, draw, limits)?;
    let image = halved(image, &plan.halves);
    Ok(crops(resize(image, plan.size, recipe.sampling, plan.part()), &plan, from))
}

fn resize(image: Picture, size: Size, sampling: Sampling, area: Area) -> Picture {
    if size == image.size && area == size.whole() {
        return image;
    }
    match pillow_filter(sampling) {
        Some(filter) => resample::resize(&image, size, filter, area),
        None => bilinear::resize(&image, size, area),
    }
}

fn planned(recipe: &Preprocessing, from: Size, draw: Draw, limits: &Limits) -> Result<Plan, ImageError> {
    let plan = Plan::new(recipe, from, draw)?;
    for size in plan.halves.iter().chain([&plan.size]) {
        limits.check_pixels(size.pixels())?;
    }
    Ok(plan)
}

fn halved(image: Picture, halves: &[Size]) -> Picture {
    halves.iter().fold(image, |image, &half| resample::resize(&image, half, Filter::Box, half.whole()))
}

fn pillow_filter(sampling: Sampling) -> Option<Filter> {
    match sampling {
        Sampling::Box => Some(Filter::Box),
        Sampling::Bilinear => Some(Filter::Bilinear),
        Sampling::Bicubic | Sampling::HalvedThenBicubic => Some(Filter::Bicubic),
        Sampling::Lanczos => Some(Filter::Lanczos),
        Sampling::OpencvBilinear => None,
    }
}

/// What is cut out of an image, of which `plan.part()` is there in its new size.
fn crops(resized: Picture, plan: &Plan, from: Size) -> Prepared {
    let crops = match plan.cuts.as_slice() {
        [cut] => vec![cropped(resized, cut, plan, (from.width, from.height))],
        cuts => {
            let cut_out = |cut: &Cut| cropped(resized.cut(cut.area), cut, plan, (from.width, from.height));
            cuts.iter().map(cut_out).collect()
        }
    };
    Prepared { width: from.width, height: from.height, crops }
}

/// An image that is resized while its rows come, so that it is never there as a whole.
struct ByRows<'a> {
    recipe: &'a Preprocessing,
    draw: Draw,
    limits: &'a Limits,
    begun: Option<Result<Begun, ImageError>>,
}

struct Begun {
    from: Size,
    plan: Plan,
    /// What becomes of rows; without it they are kept as they are.
    resizing: Option<Resizing>,
    kept: Picture,
}

impl ByRows<'_> {
    fn begun(&self, from: Size) -> Result<Begun, ImageError> {
        let plan = planned(self.recipe, from, self.draw, self.limits)?;
        let part = plan.part();
        let resizing = match (plan.halves.first(), pillow_filter(self.recipe.sampling)) {
            (Some(&half), _) => Some(Resizing::new(from, half, Filter::Box, half.whole())),
            (None, Some(filter)) if plan.size != from || part != from.whole() => {
                Some(Resizing::new(from, plan.size, filter, part))
            }
            _ => None,
        };
        Ok(Begun { from, plan, resizing, kept: Picture { size: Size::square(0), rgb: Vec::new() } })
    }

    fn finish(self) -> Result<Prepared, ImageError> {
        let begun = self.begun.unwrap_or(Err(ImageError::Empty))?;
        let Begun { from, plan, resizing, kept } = begun;
        let Some(resizing) = resizing else { return prepared(kept, self.recipe, self.draw, self.limits) };
        let image = resizing.finish();
        let Some((_, halves)) = plan.halves.split_first() else { return Ok(crops(image, &plan, from)) };
        let resized = resize(halved(image, halves), plan.size, self.recipe.sampling, plan.part());
        Ok(crops(resized, &plan, from))
    }

    /// The next rows that are needed, with at least such columns as are: `shown` has them.
    fn push(&mut self, rgb: &[u8], shown: Area) {
        match &mut self.begun {
            Some(Ok(Begun { resizing: Some(resizing), .. })) => resizing.push(rgb, shown),
            Some(Ok(Begun { kept, .. })) => kept.take(rgb),
            Some(Err(_)) | None => {}
        }
    }
}

impl Sink for ByRows<'_> {
    fn begin(&mut self, size: Size) -> Area {
        let mut begun = self.begun(size);
        let needed = match &mut begun {
            Ok(Begun { resizing: Some(resizing), .. }) => resizing.needed(),
            Ok(Begun { kept, .. }) => kept.begin(size),
            // A file that is broken, too, is refused for that.
            Err(_) => Size::square(0).whole(),
        };
        self.begun = Some(begun);
        needed
    }

    fn take(&mut self, rgb: &[u8]) {
        let needed = match &self.begun {
            Some(Ok(Begun { resizing: Some(resizing), .. })) => resizing.needed(),
            _ => Size::square(0).whole(),
        };
        self.push(rgb, needed);
    }
}

/// The same, and a hash of the whole image, all of whose rows come therefore.
struct Hashed<'a> {
    by_rows: ByRows<'a>,
    hashing: Option<(Hashing, Size)>,
    /// What is needed of the image but for the hash.
    needed: Area,
    /// The row that comes next.
    next: u32,
}

impl Hashed<'_> {
    fn finish(self) -> Result<(Prepared, u64), ImageError> {
        let hash = self.hashing.map_or(0, |(hashing, _)| hashing.finish());
        Ok((self.by_rows.finish()?, hash))
    }
}

impl Sink for Hashed<'_> {
    fn begin(&mut self, size: Size) -> Area {
        self.needed = self.by_rows.begin(size);
        self.hashing = Some((Hashing::new(size), size));
        size.whole()
    }

    fn take(&mut self, rgb: &[u8]) {
        let Some((hashing, size)) = &mut self.hashing else { return };
        hashing.push(rgb);
        let row_bytes = size.width as usize * 3;
        let (begin, end) = (self.next, self.next + (rgb.len() / row_bytes) as u32);
        self.next = end;
        let rows = self.needed.top.max(begin)..(self.needed.top + self.needed.height).min(end);
        if !rows.is_empty() {
            let bytes = (rows.start - begin) as usize * row_bytes..(rows.end - begin) as usize * row_bytes;
            self.by_rows.push(&rgb[bytes], size.whole());
        }
    }
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
