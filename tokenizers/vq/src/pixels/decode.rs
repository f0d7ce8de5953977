//! Decodes image files within limits, onto white.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::jpeg::{self, Sink};
use super::modes::to_rgb;
use super::picture::{Area, Picture, Size};
use super::recipe::{Alpha, Orientation};
use super::{avif, palette_tiff, png_profile, svg};

/// What a file may cost. Both are checked before anything large is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A file with more bytes than this is refused.
    pub max_bytes: u64,
    /// An image whose header says more pixels than this is refused.
    pub max_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 100_000_000 }
    }
}

impl Limits {
    pub(super) fn check_pixels(&self, pixels: u64) -> Result<(), ImageError> {
        check("pixels", pixels, self.max_pixels)
    }
}

/// Why an image can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// There are no bytes, or no pixels.
    #[error("the image is empty")]
    Empty,
    /// The file or the image is over a limit.
    #[error("the image has {size} {what}, more than {limit}")]
    TooLarge {
        /// How many there are.
        size: u64,
        /// Bytes or pixels.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// Decoding would take more memory than the pixel limit stands for.
    #[error("the image is too large to decode: {0}")]
    TooMuchMemory(String),
    /// The bytes are none of JPEG, PNG, GIF, WebP, AVIF, BMP, TIFF and SVG, or a variant that no decoder here reads.
    #[error("the image format isn't supported: {0}")]
    UnsupportedFormat(String),
    /// The image is smaller than what is to be cut out of it, and the recipe doesn't enlarge it.
    #[error("the image has {width} x {height} pixels, fewer than are to be cut out")]
    TooSmall {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// The image is so narrow that the recipe has no size for it.
    #[error("the image has {width} x {height} pixels, which the recipe has no size for")]
    Shape {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// The file breaks its own format, or ends before its image does.
    #[error("the image is corrupt: {0}")]
    Corrupt(String),
}

impl ImageError {
    /// A stable word for the reject table.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "image_empty",
            Self::TooLarge { .. } | Self::TooMuchMemory(_) => "image_too_large",
            Self::UnsupportedFormat(_) => "image_unsupported_format",
            Self::TooSmall { .. } => "image_too_small",
            Self::Shape { .. } => "image_shape",
            Self::Corrupt(_) => "image_corrupt",
        }
    }
}

impl From<image::ImageError> for ImageError {
    fn from(error: image::ImageError) -> Self {
        match error {
            image::ImageError::Unsupported(reason) => Self::UnsupportedFormat(reason.to_string()),
            image::ImageError::Limits(reason) => Self::TooMuchMemory(reason.to_string()),
            other => Self::Corrupt(other.to_string()),
        }
    }
}

/// What an image's file says of it before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// `jpeg`, `png`, `gif`, `webp`, `avif`, `bmp`, `tiff` or `svg`, by its first bytes and not by its name.
    pub format: &'static str,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Bytes of a pixel as the file's decoder gives it, before all become RGB: at most 16.
    pub bytes_of_a_pixel: u8,
}

/// Reads an image's format and size, and no pixels.
pub fn header(bytes: &[u8]) -> Result<Header, ImageError> {
    if bytes.starts_with(&JPEG) {
        let Size { width, height } = jpeg::head(bytes)?.size;
        return Ok(Header { format: "jpeg", width, height, bytes_of_a_pixel: 3 });
    }
    if avif::is_avif(bytes) {
        let Size { width, height } = avif::size(bytes)?;
        return Ok(Header { format: "avif", width, height, bytes_of_a_pixel: 8 });
    }
    guarded(|| foreign_header(bytes))
}

fn foreign_header(bytes: &[u8]) -> Result<Header, ImageError> {
    if svg::is_svg(bytes) {
        let Size { width, height } = svg::size(bytes)?;
        return Ok(Header { format: "svg", width, height, bytes_of_a_pixel: 4 });
    }
    if let Some(grey) = palette_tiff::as_grey(bytes) {
        let Size { width, height } = palette_tiff::size(&grey)?;
        return Ok(Header { format: "tiff", width, height, bytes_of_a_pixel: 1 });
    }
    let bytes = png_profile::without_profiles(bytes);
    let (format, decoder) = decoder(&bytes, image::Limits::default())?;
    let (width, height) = decoder.dimensions();
    let format = match format {
        ImageFormat::Png => "png",
        ImageFormat::Gif => "gif",
        ImageFormat::WebP => "webp",
        ImageFormat::Bmp => "bmp",
        ImageFormat::Tiff => "tiff",
        other => return Err(ImageError::UnsupportedFormat(format!("{other:?}"))),
    };
    Ok(Header { format, width, height, bytes_of_a_pixel: decoder.color_type().bytes_per_pixel() })
}

/// Where a PNG's header says what its pixels are made of, and what it says if they are colours without alpha.
const PNG_COLOUR_TYPE: usize = 25;
const PNG_RGB: u8 = 2;

/// The image in RGB, its first frame if it has several. Colour profiles are not applied.
pub(super) fn decode(
    bytes: &[u8],
    orientation: Orientation,
    alpha: Alpha,
    limits: &Limits,
) -> Result<Picture, ImageError> {
    check("bytes", bytes.len() as u64, limits.max_bytes)?;
    if bytes.starts_with(&JPEG) {
        return decode_jpeg(bytes, orientation, limits);
    }
    guarded(|| decode_foreign(bytes, orientation, alpha, limits))
}

/// Decoders of others panic on files that nobody tried before; to whoever sent one, it is broken.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    decoded.unwrap_or_else(|_| Err(ImageError::Corrupt("its decoder panicked".to_owned())))
}

fn decode_foreign(
    bytes: &[u8],
    orientation: Orientation,
    alpha: Alpha,
    limits: &Limits,
) -> Result<Picture, ImageError> {
    if svg::is_svg(bytes) {
        return svg::decode(bytes, limits);
    }
    if avif::is_avif(bytes) {
        return avif::decode(bytes, orientation, alpha, limits);
    }
    if let Some(grey) = palette_tiff::as_grey(bytes) {
        return Ok(palette_tiff::decode(&grey, limits)?.turned(palette_tiff::orientation(&grey)?));
    }
    let bytes = png_profile::without_profiles(bytes);
    let (format, mut decoder) = decoder(&bytes, decoder_limits(limits))?;
    let (width, height) = decoder.dimensions();
    limits.check_pixels(u64::from(width) * u64::from(height))?;
    if width == 0 || height == 0 {
        return Err(ImageError::Empty);
    }
    // Pillow turns a TIFF when it opens it.
    let turned = match orientation {
        Orientation::Ignored if format != ImageFormat::Tiff => image::metadata::Orientation::NoTransforms,
        _ => decoder.orientation()?,
    };
    // Pillow takes a colour that a PNG calls transparent for one like any other.
    let keyed = format == ImageFormat::Png && bytes.get(PNG_COLOUR_TYPE) == Some(&PNG_RGB);
    let alpha = if keyed { Alpha::Dropped } else { alpha };
    let mut decoded = DynamicImage::from_decoder(decoder)?;
    decoded.apply_orientation(turned);
    Ok(to_rgb(decoded, alpha))
}

/// What every JPEG begins with.
const JPEG: [u8; 3] = [0xFF, 0xD8, 0xFF];

fn decode_jpeg(bytes: &[u8], orientation: Orientation, limits: &Limits) -> Result<Picture, ImageError> {
    let mut picture = Picture { size: Size::square(0), rgb: Vec::new() };
    jpeg::decode(bytes, limits, &mut picture)?;
    Ok(picture.turned(turn(bytes, orientation)?))
}

/// How a JPEG is held, if that counts.
fn turn(bytes: &[u8], orientation: Orientation) -> Result<image::metadata::Orientation, ImageError> {
    let noted = match orientation {
        Orientation::Applied => image::metadata::Orientation::from_exif_chunk(&jpeg::head(bytes)?.exif),
        Orientation::Ignored => None,
    };
    Ok(noted.unwrap_or(image::metadata::Orientation::NoTransforms))
}

impl Sink for Picture {
    fn begin(&mut self, size: Size) -> Area {
        *self = Self { size, rgb: Vec::with_capacity(size.pixels() as usize * 3) };
        size.whole()
    }

    fn take(&mut self, rgb: &[u8]) {
        self.rgb.extend_from_slice(rgb);
    }
}

/// Decodes a file whose rows come one after the other and aren't to be turned into `sink`; false if it is none of those.
pub(super) fn decode_rows(
    bytes: &[u8],
    orientation: Orientation,
    limits: &Limits,
    sink: &mut dyn Sink,
) -> Result<bool, ImageError> {
    check("bytes", bytes.len() as u64, limits.max_bytes)?;
    let as_it_is = Ok(image::metadata::Orientation::NoTransforms);
    if !bytes.starts_with(&JPEG) || turn(bytes, orientation) != as_it_is {
        return Ok(false);
    }
    jpeg::decode(bytes, limits, sink)?;
    Ok(true)
}

fn decoder(bytes: &[u8], limits: image::Limits) -> Result<(ImageFormat, impl ImageDecoder), ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let format = image::guess_format(bytes).map_err(|error| ImageError::UnsupportedFormat(error.to_string()))?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    Ok((format, reader.into_decoder()?))
}

fn check(what: &'static str, size: u64, limit: u64) -> Result<(), ImageError> {
    if size > limit { Err(ImageError::TooLarge { size, what, limit }) } else { Ok(()) }
}

/// Room for the widest pixel (four 32-bit channels) and a decoder's own copy; the pixel limit is ours to check.
fn decoder_limits(limits: &Limits) -> image::Limits {
    let mut decoder_limits = image::Limits::no_limits();
    decoder_limits.max_alloc = Some(limits.max_pixels.saturating_mul(32).saturating_add(1 << 20));
    decoder_limits
}
