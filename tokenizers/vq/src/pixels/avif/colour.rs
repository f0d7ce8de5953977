//! Turns coded levels into RGB with the bytes of Pillow's AVIF plugin: libavif 1.3.0 by libyuv, as built for x86-64.

use super::super::decode::ImageError;
use super::boxes::unsupported;
use super::coded::Planes;

/// Matrices of ITU-T H.273 that have numbers here.
const IDENTITY: u16 = 0;
const BT_709: u16 = 1;
const UNSPECIFIED: u16 = 2;
const BT_470_BG: u16 = 5;
const BT_601: u16 = 6;
const BT_2020: u16 = 9;
const BY_PRIMARIES: u16 = 12;

/// Factors in 64ths: luma's (in 2^-16 of levels times 257) and what is added, blue's of the first colour, green's of both,
/// red's of the second.
struct Factors {
    luma: u32,
    bias: i32,
    blue: i32,
    green: (i32, i32),
    red: i32,
}

const fn factors(luma: u32, bias: i32, blue: i32, green: (i32, i32), red: i32) -> Factors {
    Factors { luma, bias, blue, green, red }
}

/// libyuv's own, whose blue is cut at 128 for levels that are not all used.
fn factors_of([primaries, matrix, full]: [u16; 3]) -> Option<Factors> {
    let matrix = match (matrix, primaries) {
        (BY_PRIMARIES, BT_709 | UNSPECIFIED) => BT_709,
        (BY_PRIMARIES, BT_470_BG | BT_601) => BT_601,
        (BY_PRIMARIES, BT_2020) => BT_2020,
        (other, _) => other,
    };
    match (matrix, full != 0) {
        (BT_601 | BT_470_BG | UNSPECIFIED, false) => Some(factors(18997, -1160, 128, (25, 52), 102)),
        (BT_601 | BT_470_BG | UNSPECIFIED, true) => Some(factors(16320, 32, 113, (22, 46), 90)),
        (BT_709, false) => Some(factors(18997, -1160, 128, (14, 34), 115)),
        (BT_709, true) => Some(factors(16320, 32, 119, (12, 30), 101)),
        (BT_2020, false) => Some(factors(19003, -1160, 128, (12, 42), 107)),
        (BT_2020, true) => Some(factors(16320, 32, 120, (11, 37), 94)),
        _ => None,
    }
}

/// The picture in RGB. `has_alpha` is whether the file has transparency, for which libavif takes other ways.
pub(super) fn to_rgb(planes: Planes, colours: [u16; 3], has_alpha: bool) -> Result<Vec<u8>, ImageError> {
    let is_grey = planes.levels.len() == 1;
    let colours = if is_grey && colours[1] == IDENTITY { [colours[0], BT_601, colours[2]] } else { colours };
    match factors_of(colours) {
        Some(factors) if is_grey && has_alpha => {
            let planes = in_eight_bits(planes);
            Ok(planes.levels[0].iter().flat_map(|&level| [factors.grey(level)]).flatten().collect())
        }
        Some(factors) if !is_grey => Ok(coloured(planes, &factors, has_alpha)),
        Some(_) => Ok(planes.levels[0].iter().flat_map(|&level| [exact(level, planes.depth, colours[2]); 3]).collect()),
        None if colours[1] == IDENTITY && planes.halved == (false, false) => Ok(identical(&planes, colours[2])),
        None => unsupported(&format!("colours by matrix {}", colours[1])),
    }
}

/// Green, blue and red are coded as they are.
fn identical(planes: &Planes, full: u16) -> Vec<u8> {
    let [green, blue, red] = [0, 1, 2].map(|plane| &planes.levels[plane]);
    let pixels = red.iter().zip(green).zip(blue);
    pixels
        .flat_map(|((&red, &green), &blue)| [red, green, blue].map(|level| exact(level, planes.depth, full)))
        .collect()
}

/// A level in eight bits, by libavif's own arithmetic in 32-bit floats.
fn exact(level: u16, depth: u32, full: u16) -> u8 {
    let (low, span) = if full != 0 { (0, (1 << depth) - 1) } else { (16 << (depth - 8), 219 << (depth - 8)) };
    let share = (f32::from(level) - low as f32) / span as f32;
    (0.5 + share.clamp(0.0, 1.0) * 255.0) as u8
}

/// A level of transparency, of which libavif first makes one of all levels.
pub(super) fn alpha(level: u16, depth: u32, full: u16) -> u8 {
    if full != 0 {
        return exact(level, depth, full);
    }
    let (low, span, top) = (16 << (depth - 8), 219 << (depth - 8), (1 << depth) - 1);
    let stretched = ((i32::from(level) - low) * top + span / 2) / span;
    exact(stretched.clamp(0, top) as u16, depth, 1)
}

fn in_eight_bits(mut planes: Planes) -> Planes {
    let shift = planes.depth - 8;
    planes.levels.iter_mut().flatten().for_each(|level| *level = (*level >> shift).min(255));
    planes.depth = 8;
    planes
}

fn coloured(planes: Planes, factors: &Factors, has_alpha: bool) -> Vec<u8> {
    // Where there is transparency libyuv takes ten bits as they are, and of twelve bits those with a quarter of the colours,
    // which it then doesn't interpolate.
    let quartered = planes.halved == (true, true);
    let as_they_are = has_alpha && (planes.depth == 10 || planes.depth == 12 && quartered);
    let interpolated = !(as_they_are && planes.depth == 12);
    let planes = if as_they_are { planes } else { in_eight_bits(planes) };
    let shift = planes.depth - 8;
    let (width, height) = planes.extent(0);
    let mut rows = [vec![0; width], vec![0; width]];
    let mut between = Vec::new();
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for (colour, row) in rows.iter_mut().enumerate() {
            colour_row(&planes, colour + 1, y, interpolated, &mut between, row);
        }
        let luma = &planes.levels[0][y * width..][..width];
        for ((&luma, &first), &second) in luma.iter().zip(&rows[0]).zip(&rows[1]) {
            let luma = u32::from(luma) << (16 - planes.depth) | u32::from(luma) >> (2 * planes.depth - 16);
            let [first, second] = [first, second].map(|level| i32::from((level >> shift).min(255)) - 128);
            rgb.extend(factors.pixel(luma, first, second));
        }
    }
    rgb
}

/// A row of a colour, as wide as luma's: three parts of the nearest and one of the next, in both directions.
fn colour_row(planes: &Planes, plane: usize, y: usize, interpolated: bool, between: &mut Vec<u16>, row: &mut [u16]) {
    let (width, height) = planes.extent(plane);
    let line = |y: usize| &planes.levels[plane][y * width..][..width];
    let nearest = if planes.halved.1 { y / 2 } else { y };
    if !planes.halved.0 {
        row.copy_from_slice(line(nearest));
        return;
    }
    if !interpolated {
        row.iter_mut().enumerate().for_each(|(x, level)| *level = line(nearest)[x / 2]);
        return;
    }
    let next = if planes.halved.1 { neighbour(y, height) } else { nearest };
    between.clear();
    between.extend(line(nearest).iter().zip(line(next)).map(|(&near, &far)| 3 * near + far));
    let last = row.len() - 1;
    for (x, level) in row.iter_mut().enumerate() {
        let next = if x == last { x / 2 } else { neighbour(x, width) };
        *level = (3 * between[x / 2] + between[next] + 8) >> 4;
    }
}

/// The other one of half as many places that is beside a place; the border's is its own.
fn neighbour(at: usize, places: usize) -> usize {
    if at % 2 == 1 { (at / 2 + 1).min(places - 1) } else { (at / 2).saturating_sub(1) }
}

impl Factors {
    /// `luma` in sixteen bits, both colours from -128 to 127.
    fn pixel(&self, luma: u32, first: i32, second: i32) -> [u8; 3] {
        let luma = self.luma(luma);
        let green = luma - (first * self.green.0 + second * self.green.1);
        [luma + second * self.red, green, luma + first * self.blue].map(|level| (level >> 6).clamp(0, 255) as u8)
    }

    fn grey(&self, level: u16) -> [u8; 3] {
        [(self.luma(u32::from(level) * 257) >> 6).clamp(0, 255) as u8; 3]
    }

    fn luma(&self, level: u32) -> i32 {
        ((level * self.luma) >> 16) as i32 + self.bias
    }
}
