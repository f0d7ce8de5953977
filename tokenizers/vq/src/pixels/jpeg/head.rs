//! What a JPEG file says of its image before its pixels come.

use super::super::decode::ImageError;
use super::super::picture::Size;
use super::scan::corrupt;
use super::segments::{SCAN, next_segment, size};

/// What stands in front of the first scan.
pub(in super::super) struct Head {
    pub size: Size,
    /// What is written of the picture (TIFF tags); of several pieces Pillow makes one.
    pub exif: Vec<u8>,
}

const EXIF: &[u8] = b"Exif\0\0";

pub(in super::super) fn head(jpeg: &[u8]) -> Result<Head, ImageError> {
    let (mut extent, mut exif, mut at) = (None, Vec::new(), 2);
    while let Some((marker, segment)) = next_segment(jpeg, &mut at)? {
        match marker {
            SCAN => break,
            // Of these, C4 and CC bring tables, and C8 is kept for extensions.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => extent = extent.or(Some(size(segment)?)),
            0xE1 => exif.extend_from_slice(segment.strip_prefix(EXIF).unwrap_or_default()),
            _ => {}
        }
    }
    let size = extent.ok_or_else(|| corrupt("there is no frame"))?;
    Ok(Head { size, exif })
}
