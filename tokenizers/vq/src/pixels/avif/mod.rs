//! Reads AVIF files as Pillow does: the picture that the file shows first, by a decoder without unsafe code.

mod boxes;
mod coded;
mod colour;
mod items;
#[cfg(test)]
mod tests;

use image::metadata::Orientation;
use image::{DynamicImage, RgbaImage};

use super::decode::{ImageError, Limits};
use super::modes::to_rgb;
use super::picture::{Picture, Size};
use super::recipe::{self, Alpha};
use boxes::{Reader, broken, unsupported};
use items::Items;

/// Whether a file's first box calls it AVIF, among other things.
pub(super) fn is_avif(bytes: &[u8]) -> bool {
    let Ok(Some((kind, content))) = Reader(bytes.get(..4096).unwrap_or(bytes)).next_box() else { return false };
    let brands = content.0.as_chunks::<4>().0.iter().enumerate();
    // Behind the first brand is a version.
    &kind == b"ftyp" && brands.into_iter().any(|(at, brand)| at != 1 && [b"avif", b"avis"].contains(&brand))
}

/// The size that the file names, before it is turned.
pub(super) fn size(bytes: &[u8]) -> Result<Size, ImageError> {
    let items = Items::read(bytes)?;
    items.size(items.primary()?)
}

pub(super) fn decode(
    bytes: &[u8],
    orientation: recipe::Orientation,
    alpha: Alpha,
    limits: &Limits,
) -> Result<Picture, ImageError> {
    let items = Items::read(bytes)?;
    let item = items.primary()?;
    let planes = coded::decode(&items, item, limits)?;
    let (size, colours) = (planes.size, items.colours(item)?.unwrap_or(planes.colours));
    let transparency = items.alpha();
    let rgb = colour::to_rgb(planes, colours, transparency.is_some())?;
    let picture = match transparency {
        None => Picture { size, rgb },
        Some(_) if item.is_premultiplied => return unsupported("colours that are dimmed by transparency"),
        Some(item) => {
            let planes = coded::decode(&items, item, limits)?;
            if planes.size != size {
                return unsupported("transparency of another size");
            }
            let levels = planes.levels[0].iter().map(|&level| colour::alpha(level, planes.depth, planes.colours[2]));
            let pixels = rgb.as_chunks::<3>().0.iter().zip(levels);
            let rgba = pixels.flat_map(|(&[red, green, blue], alpha)| [red, green, blue, alpha]).collect();
            let image = RgbaImage::from_raw(size.width, size.height, rgba).ok_or_else(|| broken("too few pixels"))?;
            to_rgb(DynamicImage::ImageRgba8(image), alpha)
        }
    };
    Ok(match orientation {
        recipe::Orientation::Applied => picture.turned(turn(&items)?),
        recipe::Orientation::Ignored => picture,
    })
}

/// How the file says that it is held, of which Pillow makes an Exif tag.
fn turn(items: &Items) -> Result<Orientation, ImageError> {
    let item = items.primary()?;
    let angle = items.property(item, b"irot").map(|mut content| content.byte()).transpose()?;
    let mirror = items.property(item, b"imir").map(|mut content| content.byte()).transpose()?;
    let noted = match (angle.unwrap_or(0) & 3, mirror.map(|axis| axis & 1)) {
        (0, None) => 1,
        (0, Some(1)) => 2,
        (2, None) => 3,
        (0, Some(_)) => 4,
        (2, Some(1)) => 4,
        (2, Some(_)) => 2,
        (1, Some(0)) | (3, Some(1)) => 5,
        (3, None) => 6,
        (1, Some(_)) | (3, Some(_)) => 7,
        _ => 8,
    };
    Ok(Orientation::from_exif(noted).unwrap_or(Orientation::NoTransforms))
}
