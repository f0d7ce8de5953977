//! Works out sizes and places for one image, from a recipe and the image's size alone.

use super::decode::ImageError;
use super::picture::{Area, Size};
use super::recipe::{Crop, Draw, Preprocessing, Resize, Rounding, Sampling};

/// What one image goes through.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// Sizes that it is brought to by `BOX` first, one after the other.
    pub halves: Vec<Size>,
    /// The size that it is brought to then.
    pub size: Size,
    /// What is cut out of that.
    pub cuts: Vec<Cut>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Cut {
    pub area: Area,
    /// From right to left, after it is cut out.
    pub mirrored: bool,
}

/// Neither side of a resized image may be longer: what is as long as a row of this many pixels is no picture.
const MAX_SIDE: u32 = 1 << 16;

impl Plan {
    pub fn new(recipe: &Preprocessing, image: Size, draw: Draw) -> Result<Self, ImageError> {
        let aim = aim(&recipe.resize, image)?;
        let mut halves = Vec::new();
        let mut current = image;
        if let (Sampling::HalvedThenBicubic, Some(aim)) = (recipe.sampling, aim) {
            while current.width >= 2 * aim.width && current.height >= 2 * aim.height {
                current = Size { width: current.width / 2, height: current.height / 2 };
                halves.push(current);
            }
        }
        let size = resized(&recipe.resize, current, aim);
        if size.short() == 0 || size.width.max(size.height) > MAX_SIDE {
            return Err(ImageError::Shape { width: image.width, height: image.height });
        }
        let cuts = cuts(&recipe.crop, size, aim.unwrap_or(size), draw)
            .ok_or(ImageError::TooSmall { width: image.width, height: image.height })?;
        Ok(Self { halves, size, cuts })
    }

    /// What is needed of the resized image. One part needs only its own pixels; several need nearly all of them, most of
    /// them more than once.
    pub fn part(&self) -> Area {
        match self.cuts.as_slice() {
            [cut] => cut.area,
            _ => self.size.whole(),
        }
    }
}

/// What resizing is to fill or cover, if it is to.
fn aim(resize: &Resize, image: Size) -> Result<Option<Size>, ImageError> {
    let shape = ImageError::Shape { width: image.width, height: image.height };
    match *resize {
        Resize::Keep => Ok(None),
        Resize::ShortSide { to: 0, .. } => Err(ImageError::Empty),
        Resize::ShortSide { to, .. } => Ok(Some(Size::square(to))),
        Resize::Stretch { to } if to.short() == 0 => Err(ImageError::Empty),
        Resize::Stretch { to } => Ok(Some(to)),
        Resize::Multiples { of, min_pixels, max_pixels, max_aspect } => {
            let long = u64::from(image.width.max(image.height));
            let too_long = long > u64::from(max_aspect) * u64::from(image.short());
            if of == 0 || image.short() < of || too_long {
                return Err(shape);
            }
            Ok(Some(multiples(image, f64::from(of), min_pixels as f64, max_pixels as f64)))
        }
        Resize::BestOf { ref sizes } => {
            let sizes = sizes.iter().copied().filter(|size| size.short() > 0);
            let best = sizes.map(|size| (fit(size, image), size)).max_by(|(a, a_size), (b, b_size)| {
                a.total_cmp(b).then((a_size.width, a_size.height).cmp(&(b_size.width, b_size.height)))
            });
            best.map(|(_, size)| Some(size)).ok_or(shape)
        }
    }
}

/// The nearest multiples, or those next to the scale at which the bound for all pixels holds.
fn multiples(image: Size, of: f64, min_pixels: f64, max_pixels: f64) -> Size {
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    let nearest = |side: f64| (side / of).round_ties_even() * of;
    let pixels = nearest(width) * nearest(height);
    let (width, height) = if pixels > max_pixels {
        let scale = (width * height / max_pixels).sqrt();
        ((width / scale / of).floor() * of, (height / scale / of).floor() * of)
    } else if pixels < min_pixels {
        let scale = (min_pixels / (width * height)).sqrt();
        ((width * scale / of).ceil() * of, (height * scale / of).ceil() * of)
    } else {
        (nearest(width), nearest(height))
    };
    Size { width: width as u32, height: height as u32 }
}

/// 1 for a size of the image's own proportions, less for any other.
fn fit(size: Size, image: Size) -> f64 {
    let across = f64::from(size.width) / f64::from(image.width);
    let down = f64::from(size.height) / f64::from(image.height);
    across.min(down) / across.max(down)
}

fn resized(resize: &Resize, image: Size, aim: Option<Size>) -> Size {
    let scaled = |scale: f64| {
        let side = |side: u32| (f64::from(side) * scale).round_ties_even() as u32;
        Size { width: side(image.width), height: side(image.height) }
    };
    match (resize, aim) {
        (Resize::Keep, _) | (_, None) => image,
        (Resize::ShortSide { to, enlarge: false, .. }, _) if image.short() < *to => image,
        (Resize::ShortSide { to, rounding: Rounding::Nearest, .. }, _) => {
            scaled(f64::from(*to) / f64::from(image.short()))
        }
        (Resize::ShortSide { to, rounding: Rounding::Down, .. }, _) => {
            let side = |side: u32| (u64::from(*to) * u64::from(side) / u64::from(image.short().max(1))) as u32;
            Size { width: side(image.width), height: side(image.height) }
        }
        (Resize::Stretch { .. } | Resize::Multiples { .. }, Some(aim)) => aim,
        (Resize::BestOf { .. }, Some(aim)) => {
            let across = f64::from(aim.width) / f64::from(image.width);
            scaled(across.max(f64::from(aim.height) / f64::from(image.height)))
        }
    }
}

/// `None` if the image is too small for them.
fn cuts(crop: &Crop, image: Size, aim: Size, draw: Draw) -> Option<Vec<Cut>> {
    let one = |area| vec![Cut { area, mirrored: false }];
    match *crop {
        Crop::Whole => Some(one(image.whole())),
        Crop::Center { size, rounding } => {
            let size = size.unwrap_or(aim);
            let (right, bottom) = spare(image, size)?;
            Some(one(size.at(middle(right, rounding), middle(bottom, rounding))))
        }
        Crop::Random { size } => {
            let size = size.unwrap_or(aim);
            let (right, bottom) = spare(image, size)?;
            Some(one(size.at(drawn(right, draw.x), drawn(bottom, draw.y))))
        }
        Crop::Ten { size } => ten(image, aim, size),
    }
}

fn ten(image: Size, aim: Size, size: Size) -> Option<Vec<Cut>> {
    let (left, top) = spare(image, aim)?;
    let (left, top) = (middle(left, Rounding::Down), middle(top, Rounding::Down));
    let (right, bottom) = spare(aim, size)?;
    let middle = (middle(right, Rounding::Nearest), middle(bottom, Rounding::Nearest));
    let places = [(0, 0), (right, 0), (0, bottom), (right, bottom), middle];
    let cut = |(x, y), mirrored| {
        // Places are those in the mirrored image, areas those in the image as it is.
        let x = if mirrored { right - x } else { x };
        Cut { area: size.at(left + x, top + y), mirrored }
    };
    Some([false, true].into_iter().flat_map(|mirrored| places.map(|place| cut(place, mirrored))).collect())
}

/// How much wider and higher the image is.
fn spare(image: Size, size: Size) -> Option<(u32, u32)> {
    let fits = size.short() > 0;
    fits.then_some((image.width.checked_sub(size.width)?, image.height.checked_sub(size.height)?))
}

fn middle(spare: u32, rounding: Rounding) -> u32 {
    match rounding {
        Rounding::Down => spare / 2,
        Rounding::Nearest => (f64::from(spare) / 2.0).round_ties_even() as u32,
    }
}

fn drawn(spare: u32, at: f64) -> u32 {
    let places = f64::from(spare) + 1.0;
    ((at.clamp(0.0, 1.0) * places) as u32).min(spare)
}
