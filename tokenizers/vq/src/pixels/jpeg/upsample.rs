//! Brings a row of a component to the image's width, as libjpeg's fancy upsampling does: triangles over neighbours.

use super::frame::Component;

/// Row `y` of the image, in `out` or where it lies; `coarser` says how many pixels one sample covers across and down.
#[inline(always)]
pub(super) fn row<'a>(
    component: &'a Component,
    y: usize,
    coarser: (usize, usize),
    sums: &mut Vec<u16>,
    out: &'a mut [u8],
) -> &'a [u8] {
    let (width, height) = component.extent;
    let near_row = (y / coarser.1).min(height - 1);
    let upper = y.is_multiple_of(2);
    let far_row = if upper { near_row.saturating_sub(1) } else { (near_row + 1).min(height - 1) };
    let near = component.samples(near_row);
    match coarser {
        (1, 1) => return near,
        (2, 1) if width > 2 => doubled(near, out),
        (1, 2) => between_rows(near, component.samples(far_row), upper, out),
        (2, 2) if width > 2 => {
            let far = component.samples(far_row);
            sums.clear();
            sums.extend(near.iter().zip(far).map(|(&a, &b)| 3 * u16::from(a) + u16::from(b)));
            doubled_sums(sums, out);
        }
        (across, _) => {
            for (to, &sample) in out.chunks_mut(across).zip(near) {
                to.fill(sample);
            }
        }
    }
    out
}

#[inline(always)]
fn doubled(samples: &[u8], out: &mut [u8]) {
    let last = samples.len() - 1;
    let at = |x: usize| u16::from(samples[x]);
    let out = &mut out[..2 * samples.len()];
    let pairs = out[1..2 * last + 1].as_chunks_mut::<2>().0;
    for (pair, (&left, &right)) in pairs.iter_mut().zip(samples.iter().zip(&samples[1..])) {
        let (left, right) = (u16::from(left), u16::from(right));
        *pair = both((3 * left + right + 2) >> 2, (3 * right + left + 1) >> 2);
    }
    (out[0], out[2 * last + 1]) = (at(0) as u8, at(last) as u8);
}

#[inline(always)]
fn doubled_sums(sums: &[u16], out: &mut [u8]) {
    let last = sums.len() - 1;
    let out = &mut out[..2 * sums.len()];
    let pairs = out[1..2 * last + 1].as_chunks_mut::<2>().0;
    for (pair, (&left, &right)) in pairs.iter_mut().zip(sums.iter().zip(&sums[1..])) {
        *pair = both((3 * left + right + 7) >> 4, (3 * right + left + 8) >> 4);
    }
    (out[0], out[2 * last + 1]) = (((4 * sums[0] + 8) >> 4) as u8, ((4 * sums[last] + 7) >> 4) as u8);
}

/// Two levels as they lie in memory, made as one number so that many are made at once.
#[inline(always)]
fn both(left: u16, right: u16) -> [u8; 2] {
    (left | right << 8).to_le_bytes()
}

#[inline(always)]
fn between_rows(near: &[u8], far: &[u8], upper: bool, out: &mut [u8]) {
    let bias = if upper { 1 } else { 2 };
    for (to, (&near, &far)) in out.iter_mut().zip(near.iter().zip(far)) {
        *to = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
    }
}
