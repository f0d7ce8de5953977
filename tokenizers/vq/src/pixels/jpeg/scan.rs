//! Reads one scan, into coefficients or right into samples.

use pulp::{Arch, Simd, WithSimd};

use super::super::decode::ImageError;
use super::bits::{Bits, Table};
use super::coefficients::{Part, begun, mean, refined, whole};
use super::frame::{Component, Frame};
use super::transform::Blocks;

/// What a scan has and how it is coded.
pub(super) struct Scan<'a> {
    /// Places in the frame, with the tables of each.
    pub components: Vec<(usize, Option<&'a Table>, Option<&'a Table>)>,
    pub part: Part,
    /// A restart marker stands behind each this many units, or none.
    pub restart_interval: usize,
}

/// Bits are shifted by one instruction where it is known what the machine has.
struct Reading<'a, 'b> {
    scan: &'a Scan<'b>,
    data: &'a [u8],
    at: usize,
    frame: &'a mut Frame,
    alone: bool,
}

impl WithSimd for Reading<'_, '_> {
    type Output = Result<usize, ImageError>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        self.scan.read_units(self.data, self.at, self.frame, self.alone)
    }
}

/// What goes on from block to block.
struct Progress {
    predicted: [i32; 4],
    empty: u32,
    units_left: usize,
}

impl Scan<'_> {
    /// Reads the scan that begins at `at`; returns the place behind it.
    ///
    /// The only scan of a file needs no place for coefficients beyond one row of units: `alone`.
    pub fn read(&self, data: &[u8], at: usize, frame: &mut Frame, alone: bool) -> Result<usize, ImageError> {
        Arch::new().dispatch(Reading { scan: self, data, at, frame, alone })
    }

    #[inline(always)]
    fn read_units(&self, data: &[u8], at: usize, frame: &mut Frame, alone: bool) -> Result<usize, ImageError> {
        let mut bits = Bits::new(data, at);
        let mut progress = Progress { predicted: [0; 4], empty: 0, units_left: self.restart_interval };
        let single = match self.components.as_slice() {
            &[(component, ..)] => Some(component),
            _ => None,
        };
        // A scan of one component has only the blocks that its samples need.
        let (across, down) = match single {
            Some(component) => {
                let (width, height) = frame.components[component].extent;
                (width.div_ceil(8), height.div_ceil(8))
            }
            None => frame.units,
        };
        for row in 0..down {
            if alone {
                self.clear(frame);
            }
            let stored_row = if alone { 0 } else { row };
            for column in 0..across {
                if !self.restarted(&mut bits, &mut progress) {
                    return Err(corrupt("a restart marker is missing"));
                }
                for (slot, &(component, dc, ac)) in self.components.iter().enumerate() {
                    let component = &mut frame.components[component];
                    let (wide, high) = if single.is_some() { (1, 1) } else { component.sampling };
                    for block in 0..wide * high {
                        let (x, y) = (column * wide + block % wide, stored_row * high + block / wide);
                        let place = y * component.blocks.0 + x;
                        let Some(block) = component.coefficients.as_chunks_mut::<64>().0.get_mut(place) else {
                            return Err(corrupt("a scan has more blocks than its frame"));
                        };
                        self.block(&mut bits, (dc, ac), slot, &mut progress, block)?;
                    }
                }
            }
            if !bits.sound() {
                return Err(corrupt("the file ends before the image does, or has codes without meaning"));
            }
            if alone {
                for &(component, ..) in &self.components {
                    let component = &mut frame.components[component];
                    let high = component.sampling.1;
                    transform_rows(component, 0, row * high, high);
                }
            }
        }
        Ok(bits.position())
    }

    fn clear(&self, frame: &mut Frame) {
        for &(component, ..) in &self.components {
            frame.components[component].coefficients.fill(0);
        }
    }

    /// Passes a restart marker where one is due; false if there is none.
    #[inline(always)]
    fn restarted(&self, bits: &mut Bits, progress: &mut Progress) -> bool {
        if self.restart_interval == 0 {
            return true;
        }
        if progress.units_left == 0 {
            *progress = Progress { predicted: [0; 4], empty: 0, units_left: self.restart_interval };
            if !bits.sound() || !bits.restart() {
                return false;
            }
        }
        progress.units_left -= 1;
        true
    }

    #[inline(always)]
    fn block(
        &self,
        bits: &mut Bits,
        tables: (Option<&Table>, Option<&Table>),
        slot: usize,
        progress: &mut Progress,
        block: &mut [i16; 64],
    ) -> Result<(), ImageError> {
        let Part { first, last, shift, refines } = self.part;
        match (tables, first, refines) {
            ((Some(dc), Some(ac)), 0, false) if last == 63 => whole(bits, dc, ac, &mut progress.predicted[slot], block),
            ((Some(dc), _), 0, false) => mean(bits, dc, &mut progress.predicted[slot], shift, block),
            (_, 0, true) => block[0] |= i16::from(bits.flag()) << shift,
            ((_, Some(ac)), 1.., false) => begun(bits, ac, self.part, &mut progress.empty, block),
            ((_, Some(ac)), 1.., true) => refined(bits, ac, self.part, &mut progress.empty, block),
            _ => return Err(corrupt("a scan names a Huffman table that there is not")),
        }
        Ok(())
    }
}

/// Makes the samples of some rows of blocks.
pub(super) fn transform_rows(component: &mut Component, stored: usize, row: usize, count: usize) {
    let Some(steps) = component.steps else { return };
    let wide = component.blocks.0;
    let coefficients = component.coefficients.chunks_exact(wide * 64).skip(stored).take(count);
    let samples = component.samples.chunks_exact_mut(wide * 64).skip(row);
    for (coefficients, samples) in coefficients.zip(samples) {
        Blocks { coefficients, steps: &steps, samples }.transform();
    }
}

pub(super) fn corrupt(reason: &str) -> ImageError {
    ImageError::Corrupt(reason.to_owned())
}
