//! Decodes coded pictures (AV1) of AVIF files, and puts tiles together.

use oxideav_av1::decoder::{SpecDecodeSession, SpecFrame};
use oxideav_av1::{Error, ObuIter, ObuType, parse_sequence_header};

use super::super::decode::{ImageError, Limits};
use super::super::picture::Size;
use super::boxes::{Reader, broken, unsupported};
use super::items::{Item, Items};

/// No picture takes more: three levels of 12 bits, each in two bytes, and what lies around them.
const MAX_BYTES_OF_A_PIXEL: u64 = 8;

/// Levels of one picture as they are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planes {
    pub size: Size,
    /// Bits of a level: 8, 10 or 12.
    pub depth: u32,
    /// Whether colours have half the columns, and half the rows, rounded up.
    pub halved: (bool, bool),
    /// Luma, then both colours if there are any; each in raster order.
    pub levels: Vec<Vec<u16>>,
    /// Primaries, matrix and whether all levels are used, as the code itself states them (ITU-T H.273).
    pub colours: [u16; 3],
}

impl Planes {
    /// Columns and rows of luma or a colour.
    pub fn extent(&self, plane: usize) -> (usize, usize) {
        let half = |length: u32, halved| (if halved && plane > 0 { length.div_ceil(2) } else { length }) as usize;
        (half(self.size.width, self.halved.0), half(self.size.height, self.halved.1))
    }
}

/// The picture of an item that is coded itself or a grid of such.
pub(super) fn decode(items: &Items, item: &Item, limits: &Limits) -> Result<Planes, ImageError> {
    items.check(item)?;
    let size = items.size(item)?;
    limits.check_pixels(size.pixels())?;
    match &item.kind {
        b"av01" => decode_one(items, item, size, 1, limits),
        b"grid" => decode_grid(items, item, size, limits),
        kind => unsupported(&format!("a picture of kind {}", kind.escape_ascii())),
    }
}

/// One picture of as many of the same size.
fn decode_one(items: &Items, item: &Item, size: Size, of: u64, limits: &Limits) -> Result<Planes, ImageError> {
    let bytes = items.bytes(item)?;
    let (mut frames, mut sequence) = (0, None);
    for unit in ObuIter::new(&bytes) {
        let unit = unit.map_err(refused)?;
        match unit.obu_type {
            ObuType::Frame | ObuType::FrameHeader => frames += 1,
            ObuType::SequenceHeader if sequence.is_none() => {
                sequence = Some(parse_sequence_header(unit.payload).map_err(refused)?);
            }
            _ => {}
        }
    }
    // A few bytes can repeat a frame, hidden or shown.
    limits.check_pixels(size.pixels().saturating_mul(of).saturating_mul(frames))?;
    let sequence = sequence.ok_or_else(|| broken("a picture without a header"))?;
    let largest = Size { width: sequence.max_frame_width_minus_1 + 1, height: sequence.max_frame_height_minus_1 + 1 };
    let allowed = u32::try_from(size.pixels()).unwrap_or(u32::MAX);
    if largest != size {
        return unsupported("a picture of another size than its item's");
    }
    let mut session = SpecDecodeSession::new();
    session.set_max_picture_size(allowed);
    let shown = session.decode_temporal_unit(&bytes).map_err(refused)?;
    let last = shown.into_iter().next_back().ok_or_else(|| broken("no picture is shown"))?;
    let coded = sequence.color_config;
    let halved = (coded.subsampling_x, coded.subsampling_y);
    let range = u16::from(coded.color_range);
    let colours = [u16::from(coded.color_primaries), u16::from(coded.matrix_coefficients), range];
    planes(last, size, halved, colours)
}

fn planes(frame: SpecFrame, size: Size, halved: (bool, bool), colours: [u16; 3]) -> Result<Planes, ImageError> {
    let depth = u32::from(frame.bit_depth);
    let wide = |plane: Vec<u8>| match depth {
        8 => plane.into_iter().map(u16::from).collect::<Vec<u16>>(),
        _ => plane.as_chunks().0.iter().map(|&two| u16::from_le_bytes(two)).collect(),
    };
    let levels = frame.planes.into_iter().map(wide).collect();
    let planes = Planes { size, depth, halved, levels, colours };
    let is_whole = |plane: usize| {
        let (width, height) = planes.extent(plane);
        planes.levels[plane].len() == width * height
    };
    let is_sound = matches!(planes.levels.len(), 1 | 3) && (0..planes.levels.len()).all(is_whole);
    if is_sound { Ok(planes) } else { unsupported("a picture of another size than its item's") }
}

fn refused(error: Error) -> ImageError {
    match error {
        Error::PictureSizeExceedsLimit => ImageError::TooMuchMemory(format!("AVIF: {error}")),
        error => broken(&error.to_string()),
    }
}

/// Tiles from left to right and from top to bottom, cut at the grid's own size.
fn decode_grid(items: &Items, item: &Item, size: Size, limits: &Limits) -> Result<Planes, ImageError> {
    let bytes = items.bytes(item)?;
    let mut content = Reader(&bytes);
    let (_, flags) = (content.byte()?, content.byte()?);
    let (rows, columns) = (u32::from(content.byte()?) + 1, u32::from(content.byte()?) + 1);
    let wide = if flags & 1 == 0 { 2 } else { 4 };
    if (content.number(wide)?, content.number(wide)?) != (u64::from(size.width), u64::from(size.height)) {
        return Err(broken("a grid of another size than its item's"));
    }
    let tiles: Vec<&Item> = item.tiles.iter().map(|&number| items.get(number)).collect::<Result<_, _>>()?;
    let [first, ..] = tiles.as_slice() else { return Err(broken("a grid without tiles")) };
    let tile = items.size(first)?;
    let count = u64::from(rows * columns);
    let covers = |tile: u32, tiles: u32, whole: u32| {
        (u64::from(tile) * u64::from(tiles - 1)..u64::from(tile) * u64::from(tiles)).contains(&(u64::from(whole) - 1))
    };
    if tiles.len() as u64 != count
        || !covers(tile.width, columns, size.width)
        || !covers(tile.height, rows, size.height)
    {
        return Err(broken("a grid whose tiles don't cover it"));
    }
    limits.check_pixels(tile.pixels().saturating_mul(count))?;
    check_lengths(items, &tiles, tile.pixels() * count)?;
    let mut whole: Option<Planes> = None;
    for (at, part) in tiles.into_iter().enumerate() {
        items.check(part)?;
        if &part.kind != b"av01" || items.size(part)? != tile {
            return unsupported("a grid of unequal tiles");
        }
        let part = decode_one(items, part, tile, count, limits)?;
        let whole = whole.get_or_insert_with(|| empty(&part, size));
        let place = (at % columns as usize, at / columns as usize);
        if (part.depth, part.halved, part.levels.len()) != (whole.depth, whole.halved, whole.levels.len())
            || (part.halved.0 && tile.width % 2 == 1 && columns > 1)
            || (part.halved.1 && tile.height % 2 == 1 && rows > 1)
        {
            return unsupported("a grid of unequal tiles");
        }
        copy(&part, place, whole);
    }
    whole.ok_or(ImageError::Empty)
}

/// Equal tiles may share their bytes, but what the file has can't be read over and over for a few pixels each time.
fn check_lengths(items: &Items, tiles: &[&Item], pixels: u64) -> Result<(), ImageError> {
    let length: u64 = tiles.iter().map(|tile| items.length(tile)).sum::<Result<u64, ImageError>>()?;
    let most = items.file_length() as u64 + pixels.saturating_mul(MAX_BYTES_OF_A_PIXEL);
    if length > most { Err(broken("a grid repeats its bytes")) } else { Ok(()) }
}

fn empty(like: &Planes, size: Size) -> Planes {
    let mut whole = Planes { size, levels: Vec::new(), ..like.clone() };
    for plane in 0..like.levels.len() {
        let (width, height) = whole.extent(plane);
        whole.levels.push(vec![0; width * height]);
    }
    whole
}

/// Copies a tile to its column and row, as far as the whole reaches.
fn copy(tile: &Planes, (column, row): (usize, usize), whole: &mut Planes) {
    for plane in 0..tile.levels.len() {
        let (tile_width, tile_height) = tile.extent(plane);
        let (width, height) = whole.extent(plane);
        let (left, top) = (column * tile_width, row * tile_height);
        let columns = tile_width.min(width - left);
        for y in 0..tile_height.min(height - top) {
            let to = (top + y) * width + left;
            let from = &tile.levels[plane][y * tile_width..][..columns];
            whole.levels[plane][to..to + columns].copy_from_slice(from);
        }
    }
}
