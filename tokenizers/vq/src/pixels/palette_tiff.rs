//! Reads TIFF files whose pixels are places in a palette, which the `image` crate refuses, as Pillow does.

use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::decode::{ImageError, Limits};
use super::picture::{Picture, Size};

/// Photometric interpretations: grey from black up, and places in a palette.
const GREY: u16 = 1;
const PALETTE: u16 = 3;
const PHOTOMETRIC_INTERPRETATION: u16 = 262;

/// The file with its places called levels of grey, which decoders read; `None` if it is no such file.
pub(super) fn as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let little = bytes.starts_with(b"II*\0");
    if !little && !bytes.starts_with(b"MM\0*") {
        return None;
    }
    let short = |at: usize| {
        let two = *bytes.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    };
    let four = *bytes.get(4..)?.first_chunk()?;
    let directory = if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) } as usize;
    for entry in 0..usize::from(short(directory)?) {
        let at = directory.checked_add(2 + entry * 12)?;
        if short(at)? != PHOTOMETRIC_INTERPRETATION {
            continue;
        }
        if short(at + 8)? != PALETTE {
            return None;
        }
        let mut grey = bytes.to_vec();
        let level = if little { GREY.to_le_bytes() } else { GREY.to_be_bytes() };
        grey.get_mut(at + 8..at + 10)?.copy_from_slice(&level);
        return Some(grey);
    }
    None
}

/// The size of such a file, already called grey.
pub(super) fn size(grey: &[u8]) -> Result<Size, ImageError> {
    let (width, height) = opened(grey)?.dimensions()?;
    Ok(Size { width, height })
}

/// How the image is turned when it is opened.
pub(super) fn orientation(grey: &[u8]) -> Result<Orientation, ImageError> {
    let noted = opened(grey)?.find_tag_unsigned::<u8>(Tag::Orientation)?;
    Ok(noted.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms))
}

/// The image in RGB, from a file already called grey.
pub(super) fn decode(grey: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let mut decoder = opened(grey)?;
    let (width, height) = decoder.dimensions()?;
    let size = Size { width, height };
    limits.check_pixels(size.pixels())?;
    if size.short() == 0 {
        return Err(ImageError::Empty);
    }
    let bits = match decoder.colortype()? {
        ColorType::Gray(bits @ (1 | 2 | 4 | 8)) => u32::from(bits),
        other => return Err(ImageError::UnsupportedFormat(format!("TIFF with a palette and pixels of {other:?}"))),
    };
    let colours = decoder.get_tag_u16_vec(Tag::ColorMap)?;
    let many = 1 << bits;
    if colours.len() != 3 * many {
        return Err(ImageError::Corrupt(format!("a palette of {} numbers for {bits} bits", colours.len())));
    }
    // All reds come first, then all greens, then all blues; Pillow keeps the upper eight bits of each.
    let palette: Vec<[u8; 3]> =
        (0..many).map(|at| [at, many + at, 2 * many + at].map(|at| (colours[at] >> 8) as u8)).collect();
    let mut decoder = decoder.with_limits(within(limits));
    let DecodingResult::U8(places) = decoder.read_image()? else {
        return Err(ImageError::UnsupportedFormat("TIFF with a palette and signed places".to_owned()));
    };
    let row_bytes = (width as usize * bits as usize).div_ceil(8);
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for row in places.chunks_exact(row_bytes).take(height as usize) {
        let place = |x: usize| {
            let bit = x * bits as usize;
            usize::from(row[bit / 8]) >> (8 - bits as usize - bit % 8) & (many - 1)
        };
        rgb.extend((0..width as usize).flat_map(|x| palette[place(x)]));
    }
    if rgb.len() as u64 != size.pixels() * 3 {
        return Err(ImageError::Corrupt("the file ends before the image does".to_owned()));
    }
    Ok(Picture { size, rgb })
}

fn opened(grey: &[u8]) -> Result<Decoder<Cursor<&[u8]>>, ImageError> {
    Ok(Decoder::new(Cursor::new(grey))?)
}

fn within(limits: &Limits) -> TiffLimits {
    let mut within = TiffLimits::default();
    within.decoding_buffer_size = usize::try_from(limits.max_pixels).unwrap_or(usize::MAX);
    within.intermediate_buffer_size = within.decoding_buffer_size;
    within
}

impl From<TiffError> for ImageError {
    fn from(error: TiffError) -> Self {
        match error {
            TiffError::UnsupportedError(reason) => Self::UnsupportedFormat(reason.to_string()),
            TiffError::LimitsExceeded => Self::TooMuchMemory("TIFF".to_owned()),
            other => Self::Corrupt(other.to_string()),
        }
    }
}
