//! Decodes image files within limits, onto white.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Rgb, RgbImage};

use super::complete::reaches_end_of_image;

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
    /// The bytes are none of JPEG, PNG, GIF, WebP, BMP and TIFF, or a variant that no decoder here reads.
    #[error("the image format isn't supported: {0}")]
    UnsupportedFormat(String),
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
    /// `jpeg`, `png`, `gif`, `webp`, `bmp` or `tiff`, by its first bytes and not by its name.
    pub format: &'static str,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// Reads an image's format and size, and no pixels.
pub fn header(bytes: &[u8]) -> Result<Header, ImageError> {
    let (format, decoder) = decoder(bytes, image::Limits::default())?;
    let (width, height) = decoder.dimensions();
    let format = match format {
        ImageFormat::Jpeg => "jpeg",
        ImageFormat::Png => "png",
        ImageFormat::Gif => "gif",
        ImageFormat::WebP => "webp",
        ImageFormat::Bmp => "bmp",
        ImageFormat::Tiff => "tiff",
        other => return Err(ImageError::UnsupportedFormat(format!("{other:?}"))),
    };
    Ok(Header { format, width, height })
}

/// The image in RGB, its first frame if it has several, what is transparent showing white.
///
/// The orientation that a camera noted beside the pixels and colour profiles are not applied.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    check("bytes", bytes.len() as u64, limits.max_bytes)?;
    let (format, decoder) = decoder(bytes, decoder_limits(limits))?;
    let (width, height) = decoder.dimensions();
    check("pixels", u64::from(width) * u64::from(height), limits.max_pixels)?;
    if width == 0 || height == 0 {
        return Err(ImageError::Empty);
    }
    if format == ImageFormat::Jpeg && !reaches_end_of_image(bytes) {
        return Err(ImageError::Corrupt("the file ends before the image does".to_owned()));
    }
    Ok(onto_white(DynamicImage::from_decoder(decoder)?))
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

fn onto_white(decoded: DynamicImage) -> RgbImage {
    if !decoded.color().has_alpha() {
        return decoded.into_rgb8();
    }
    let rgba = decoded.into_rgba8();
    let mut rgb = RgbImage::new(rgba.width(), rgba.height());
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let [red, green, blue, alpha] = from.0;
        *to = Rgb([red, green, blue].map(|level| blend(level, alpha)));
    }
    rgb
}

fn blend(level: u8, alpha: u8) -> u8 {
    let (level, alpha) = (u32::from(level), u32::from(alpha));
    // At most 255: both weights add up to 255.
    ((level * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
