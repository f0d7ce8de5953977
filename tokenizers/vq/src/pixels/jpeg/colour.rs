//! Turns rows of components into RGB, in 16-bit fixed point.

#[cfg(target_arch = "x86_64")]
mod avx2;

/// What the components stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Rgb,
    Ycc,
    Cmyk,
    Ycck,
}

const POINT: u32 = 16;
const HALF: i32 = 1 << (POINT - 1);

/// What the machine has beyond what all of its kind have.
#[cfg(target_arch = "x86_64")]
pub(super) type Instructions = Option<pulp::x86::V3>;
#[cfg(not(target_arch = "x86_64"))]
pub(super) type Instructions = ();

/// The machine's.
pub(super) fn instructions() -> Instructions {
    #[cfg(target_arch = "x86_64")]
    return pulp::x86::V3::try_new();
}

/// Levels that are turned at once.
const BLOCK: usize = 32;

/// One row of the image. Rows of components are at least as long.
#[inline(always)]
pub(super) fn to_rgb(colours: Colours, instructions: Instructions, rows: [&[u8]; 4], out: &mut [u8]) {
    let (pixels, _) = out.as_chunks_mut::<3>();
    let [first, second, third, fourth] = rows;
    let width = pixels.len();
    match colours {
        Colours::Grey => {
            for (pixel, &level) in pixels.iter_mut().zip(first) {
                *pixel = [level; 3];
            }
        }
        Colours::Rgb => {
            for (pixel, ((&red, &green), &blue)) in pixels.iter_mut().zip(first.iter().zip(second).zip(third)) {
                *pixel = [red, green, blue];
            }
        }
        Colours::Ycc => ycc(instructions, &first[..width], &second[..width], &third[..width], pixels),
        Colours::Cmyk => {
            for (pixel, ((&c, &m), (&y, &k))) in
                pixels.iter_mut().zip(first.iter().zip(second).zip(third.iter().zip(fourth)))
            {
                *pixel = ink([255 - c, 255 - m, 255 - y], 255 - k);
            }
        }
        Colours::Ycck => {
            ycc(instructions, &first[..width], &second[..width], &third[..width], pixels);
            for (pixel, &k) in pixels.iter_mut().zip(fourth) {
                // The three are stored as what cyan, magenta and yellow leave; Adobe stores inks inverted once more.
                *pixel = ink(*pixel, 255 - k);
            }
        }
    }
}

#[inline(always)]
fn ycc(instructions: Instructions, y: &[u8], cb: &[u8], cr: &[u8], pixels: &mut [[u8; 3]]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = instructions {
        let made = avx2::ycc(simd, y, cb, cr, pixels);
        return plain_ycc(&y[made..], &cb[made..], &cr[made..], &mut pixels[made..]);
    }
    let _: Instructions = instructions;
    plain_ycc(y, cb, cr, pixels);
}

#[inline(always)]
fn plain_ycc(y: &[u8], cb: &[u8], cr: &[u8], pixels: &mut [[u8; 3]]) {
    for (((pixels, y), cb), cr) in
        pixels.chunks_mut(BLOCK).zip(y.chunks(BLOCK)).zip(cb.chunks(BLOCK)).zip(cr.chunks(BLOCK))
    {
        let mut planes = [[0_u8; BLOCK]; 3];
        for at in 0..y.len().min(BLOCK) {
            let (y, cb, cr) = (i32::from(y[at]), i32::from(cb[at]) - 128, i32::from(cr[at]) - 128);
            planes[0][at] = (y + ((91881 * cr + HALF) >> POINT)).clamp(0, 255) as u8;
            planes[1][at] = (y + ((HALF - 22554 * cb - 46802 * cr) >> POINT)).clamp(0, 255) as u8;
            planes[2][at] = (y + ((116_130 * cb + HALF) >> POINT)).clamp(0, 255) as u8;
        }
        for (at, pixel) in pixels.iter_mut().enumerate() {
            *pixel = [planes[0][at], planes[1][at], planes[2][at]];
        }
    }
}

/// Ink on white paper, as Pillow's `cmyk2rgb` has it.
fn ink(cmy: [u8; 3], black: u8) -> [u8; 3] {
    let light = u32::from(255 - black);
    cmy.map(|ink| {
        let product = u32::from(ink) * light + 128;
        (light - ((product + (product >> 8)) >> 8)) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_colours_are_those_of_the_plain_way() {
        let all: Vec<u8> = (0..=255).collect();
        for y in [0, 1, 77, 128, 254, 255] {
            for cb in 0..=255 {
                let (y, cb) = ([y; 256], [cb; 256]);
                let (mut plain, mut fast) = ([[0; 3]; 256], [[0; 3]; 256]);
                plain_ycc(&y, &cb, &all, &mut plain);
                ycc(instructions(), &y, &cb, &all, &mut fast);
                assert_eq!(plain, fast);
            }
        }
    }
}
