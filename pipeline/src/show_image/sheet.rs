//! Pictures of one size, side by side.

use pageloom_vq::ImageSize;

/// An RGB picture, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Columns and rows, in pixels.
    pub size: ImageSize,
    /// Three bytes for each pixel.
    pub rgb: Vec<u8>,
}

/// A picture of pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Three bytes for each pixel, row by row.
    pub rgb: Vec<u8>,
}

/// Pictures in a row.
const ACROSS: usize = 4;
/// Pixels between them.
const GAP: usize = 4;
const MASKED: [u8; 3] = [48, 52, 60];

impl Tile {
    /// Nothing but grey.
    pub fn grey(size: ImageSize) -> Self {
        Self { size, rgb: vec![0xa0; size.width as usize * size.height as usize * 3] }
    }

    /// The same picture with the masked cells of a grid covered; a bitmap is in raster order, the lowest bit of a byte first.
    ///
    /// Of several frames, the first is shown.
    pub fn under(&self, rows: usize, columns: usize, bits: &[u8]) -> Self {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let mut covered = self.clone();
        for (place, pixel) in covered.rgb.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let cell = place / width * rows / height * columns + place % width * columns / width;
            if bits.get(cell / 8).is_some_and(|byte| byte >> (cell % 8) & 1 == 1) {
                *pixel = MASKED;
            }
        }
        covered
    }
}

impl Sheet {
    /// The pictures in rows, from the left and the top, on white.
    pub fn of(tiles: &[Tile]) -> Self {
        let side = |of: fn(&ImageSize) -> u32| tiles.iter().map(|tile| of(&tile.size) as usize).max().unwrap_or(1);
        let (tile_width, tile_height) = (side(|size| size.width), side(|size| size.height));
        let (across, down) = (tiles.len().clamp(1, ACROSS), tiles.len().div_ceil(ACROSS).max(1));
        let (width, height) = (across * (tile_width + GAP) + GAP, down * (tile_height + GAP) + GAP);
        let mut rgb = vec![0xff; width * height * 3];
        for (number, tile) in tiles.iter().enumerate() {
            let left = GAP + number % ACROSS * (tile_width + GAP);
            let top = GAP + number / ACROSS * (tile_height + GAP);
            let row_bytes = tile.size.width as usize * 3;
            for (row, pixels) in tile.rgb.chunks_exact(row_bytes.max(1)).enumerate() {
                let start = ((top + row) * width + left) * 3;
                rgb[start..start + row_bytes].copy_from_slice(pixels);
            }
        }
        Self { width: width as u32, height: height as u32, rgb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(width: u32, height: u32, value: u8) -> Tile {
        Tile { size: ImageSize { width, height }, rgb: vec![value; (width * height * 3) as usize] }
    }

    #[test]
    fn a_mask_covers_its_cells_and_no_others() {
        let covered = tile(4, 4, 7).under(2, 2, &[0b0110]);
        let pixel = |x: usize, y: usize| &covered.rgb[(y * 4 + x) * 3..][..3];
        assert_eq!([pixel(0, 0), pixel(3, 3)], [&[7; 3]; 2]);
        assert_eq!([pixel(2, 0), pixel(3, 1), pixel(0, 2), pixel(1, 3)], [&MASKED; 4]);
    }

    #[test]
    fn a_fifth_picture_begins_a_new_row() {
        let sheet = Sheet::of(&[1, 2, 3, 4, 5].map(|value| tile(2, 3, value)));
        assert_eq!((sheet.width as usize, sheet.height as usize), (4 * 6 + GAP, 2 * 7 + GAP));
        let first = |x: usize, y: usize| sheet.rgb[(y * sheet.width as usize + x) * 3];
        assert_eq!([first(0, 0), first(GAP, GAP), first(GAP + 6, GAP), first(GAP, GAP + 7)], [0xff, 1, 2, 5]);
    }
}
