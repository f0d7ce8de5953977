//! Resizes RGB images to the bytes that OpenCV's `INTER_LINEAR` makes: four neighbours, whatever the scale.

use super::picture::{Area, Picture, Size};

/// Weights have 11 bits behind the point, and a product loses 4 and then 16 of its bits before the last 2 are rounded
/// (`modules/imgproc/src/resize.cpp`).
const ONE: f32 = 2048.0;

/// The `area` of the whole image resized to `size`.
pub(super) fn resize(image: &Picture, size: Size, area: Area) -> Picture {
    let from = image.size;
    if from == size {
        return image.cut(area);
    }
    // Halving is done as a mean of four, which rounds otherwise.
    if from.width == 2 * size.width && from.height == 2 * size.height {
        return halve(image, area);
    }
    let columns: Vec<[(usize, i32); 2]> =
        (area.left..area.left + area.width).map(|x| column_neighbours(x, from.width, size.width)).collect();
    let mut rgb = Vec::with_capacity(columns.len() * 3 * area.height as usize);
    for y in area.top..area.top + area.height {
        let [above, below] = row_neighbours(y, from.height, size.height);
        let (upper, lower) = (image.row(above.0), image.row(below.0));
        for &[left, right] in &columns {
            for channel in 0..3 {
                let sum = |row: &[u8]| {
                    i32::from(row[left.0 * 3 + channel]) * left.1 + i32::from(row[right.0 * 3 + channel]) * right.1
                };
                let level = (((above.1 * (sum(upper) >> 4)) >> 16) + ((below.1 * (sum(lower) >> 4)) >> 16) + 2) >> 2;
                rgb.push(level.clamp(0, 255) as u8);
            }
        }
    }
    Picture { size: Size { width: area.width, height: area.height }, rgb }
}

/// The pixel below `place` and how far behind it `place` lies, in pixels of the original.
fn position(place: u32, from: u32, to: u32) -> (i64, f32) {
    let scale = 1.0 / (f64::from(to) / f64::from(from));
    let exact = ((f64::from(place) + 0.5) * scale - 0.5) as f32;
    let below = exact.floor();
    (below as i64, exact - below)
}

fn fixed(weight: f32) -> i32 {
    (weight * ONE).round_ties_even() as i32
}

/// Beyond the first and the last pixel, that pixel has all of the weight.
fn column_neighbours(place: u32, from: u32, to: u32) -> [(usize, i32); 2] {
    let (below, behind) = position(place, from, to);
    let last = i64::from(from) - 1;
    if below < 0 || below >= last {
        let edge = below.clamp(0, last) as usize;
        return [(edge, ONE as i32), (edge, 0)];
    }
    [(below as usize, fixed(1.0 - behind)), (below as usize + 1, fixed(behind))]
}

/// Beyond the first and the last row, that row is there twice.
fn row_neighbours(place: u32, from: u32, to: u32) -> [(usize, i32); 2] {
    let (below, behind) = position(place, from, to);
    let inside = |row: i64| row.clamp(0, i64::from(from) - 1) as usize;
    [(inside(below), fixed(1.0 - behind)), (inside(below + 1), fixed(behind))]
}

fn halve(image: &Picture, area: Area) -> Picture {
    let mut rgb = Vec::with_capacity(area.width as usize * area.height as usize * 3);
    for y in area.top as usize..(area.top + area.height) as usize {
        let (upper, lower) = (image.row(2 * y), image.row(2 * y + 1));
        for x in area.left as usize..(area.left + area.width) as usize {
            for at in x * 6..x * 6 + 3 {
                let sum = [upper[at], upper[at + 3], lower[at], lower[at + 3]].map(u32::from).iter().sum::<u32>();
                rgb.push(((sum + 2) >> 2) as u8);
            }
        }
    }
    Picture { size: Size { width: area.width, height: area.height }, rgb }
}
