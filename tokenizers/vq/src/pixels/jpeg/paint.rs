//! Makes pixels of coefficients, a row of units after the other, so that what is between them stays in the cache.

use pulp::{Arch, Simd, WithSimd};

use super::super::picture::{Area, Size};
use super::colour::{Colours, Instructions, instructions, to_rgb};
use super::frame::{Component, Frame};
use super::transform::Blocks;
use super::upsample;

/// What an image's pixels go to.
pub(in super::super) trait Sink {
    /// Which part of an image of this size is needed. Asked once.
    fn begin(&mut self, size: Size) -> Area;
    /// The next rows of that part: `BAND` of them, or those that are left.
    fn take(&mut self, rgb: &[u8]);
}

/// Rows that are handed on together.
const BAND: usize = 8;

/// The image as far as it is painted.
pub(super) struct Painter<'a> {
    sink: &'a mut dyn Sink,
    colours: Colours,
    instructions: Instructions,
    part: Area,
    /// The row that comes next.
    next: usize,
    /// One of each component, as wide as the image.
    rows: [Vec<u8>; 4],
    sums: Vec<u16>,
    band: Vec<u8>,
    /// Bytes of the band that are filled.
    filled: usize,
}

impl<'a> Painter<'a> {
    pub fn new(frame: &mut Frame, colours: Colours, sink: &'a mut dyn Sink) -> Self {
        let part = sink.begin(frame.size);
        let mut rows: [Vec<u8>; 4] = Default::default();
        for (row, component) in rows.iter_mut().zip(&mut frame.components) {
            row.resize(component.blocks.0 * 8 * frame.finest.0 / component.sampling.0, 0);
            component.samples = vec![0; component.blocks.0 * 64 * component.sampling.1 * Component::ROWS_OF_UNITS];
        }
        let band = vec![0; part.width as usize * 3 * BAND];
        let (instructions, next) = (instructions(), part.top as usize);
        Self { sink, colours, instructions, part, next, rows, sums: Vec::new(), band, filled: 0 }
    }

    /// Paints what can be with one more row of units, whose coefficients begin at a row of `stored` units.
    pub fn paint(&mut self, frame: &mut Frame, units: usize, stored: usize) {
        let high = 8 * frame.finest.1;
        let (begin, end) = (units * high, (units + 1) * high);
        let (top, bottom) = (self.part.top as usize, (self.part.top + self.part.height) as usize);
        // The rows above and below these take from their samples, too.
        if end < top || begin > bottom || top == bottom {
            return;
        }
        for component in &mut frame.components {
            transform(component, frame.finest.0, self.part, units, stored);
        }
        let last = units + 1 == frame.units.1;
        let until = if last { bottom } else { bottom.min(end - 1) };
        Arch::new().dispatch(Rows { painter: self, frame, until });
    }
}

/// Makes the samples of a row of units, or of what is needed of it.
fn transform(component: &mut Component, across: usize, part: Area, units: usize, stored: usize) {
    let Some(steps) = component.steps else { return };
    let (wide, high) = (component.blocks.0, component.sampling.1);
    // Pixels take from the samples beside them.
    let coarser = across / component.sampling.0;
    let left = (part.left as usize / coarser).saturating_sub(1) / 8;
    let right = (((part.left + part.width) as usize / coarser + 1) / 8 + 1).min(wide);
    let rows = component.coefficients.chunks_exact_mut(wide * 64).zip(component.means.chunks_exact(wide));
    let samples = component.samples.chunks_exact_mut(wide * 64).skip(units % Component::ROWS_OF_UNITS * high);
    for ((coefficients, means), samples) in rows.skip(stored * high).zip(samples).take(high) {
        let coefficients = &mut coefficients[left * 64..right * 64];
        for (block, mean) in coefficients.chunks_exact_mut(64).zip(&means[left..right]) {
            block[0] = *mean;
        }
        Blocks { coefficients, steps: &steps, samples, left: left * 8 }.transform();
    }
}

/// Rows whose samples are there.
struct Rows<'a, 'b> {
    painter: &'a mut Painter<'b>,
    frame: &'a Frame,
    until: usize,
}

impl WithSimd for Rows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { painter, frame: Frame { finest: (across, down), components, .. }, until } = self;
        let row_bytes = painter.part.width as usize * 3;
        let (left, right) = (painter.part.left as usize, (painter.part.left + painter.part.width) as usize);
        while painter.next < until {
            let mut rows: [&[u8]; 4] = [&[]; 4];
            for ((row, buffer), component) in rows.iter_mut().zip(&mut painter.rows).zip(components) {
                let coarser = (across / component.sampling.0, down / component.sampling.1);
                *row = &upsample::row(component, painter.next, coarser, &mut painter.sums, buffer)[left..right];
            }
            let out = &mut painter.band[painter.filled..painter.filled + row_bytes];
            to_rgb(painter.colours, painter.instructions, rows, out);
            painter.next += 1;
            painter.filled += row_bytes;
            if painter.filled == painter.band.len() || painter.next == (painter.part.top + painter.part.height) as usize
            {
                painter.sink.take(&painter.band[..painter.filled]);
                painter.filled = 0;
            }
        }
    }
}
