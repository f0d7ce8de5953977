//! Turns rows of components into RGB, in 16-bit fixed point.

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

/// Levels that are turned at once.
const BLOCK: usize = 32;

/// One row of the image. Rows of components are at least as long.
#[inline(always)]
pub(super) fn to_rgb(colours: Colours, rows: &[Vec<u8>; 4], out: &mut [u8]) {
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
        Colours::Ycc => ycc(&first[..width], &second[..width], &third[..width], pixels),
        Colours::Cmyk => {
            for (pixel, ((&c, &m), (&y, &k))) in
                pixels.iter_mut().zip(first.iter().zip(second).zip(third.iter().zip(fourth)))
            {
                *pixel = ink([255 - c, 255 - m, 255 - y], 255 - k);
            }
        }
        Colours::Ycck => {
            ycc(&first[..width], &second[..width], &third[..width], pixels);
            for (pixel, &k) in pixels.iter_mut().zip(fourth) {
                // The three are stored as what cyan, magenta and yellow leave; Adobe stores inks inverted once more.
                *pixel = ink(*pixel, 255 - k);
            }
        }
    }
}

#[inline(always)]
fn ycc(y: &[u8], cb: &[u8], cr: &[u8], pixels: &mut [[u8; 3]]) {
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
