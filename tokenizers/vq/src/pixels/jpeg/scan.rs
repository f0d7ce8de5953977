//! Reads one scan, into coefficients or right into pixels.

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};

use super::super::decode::ImageError;
use super::bits::{Bits, Table};
use super::coefficients::{self, Part, begun, others};
use super::frame::{Component, Frame};
use super::paint::Painter;
use super::refine::refined;

/// What a scan has and how it is coded.
pub(super) struct Scan<'a> {
    /// Places in the frame, with the tables of each.
    pub components: Vec<(usize, Tables<'a>)>,
    pub part: Part,
    /// A restart marker stands behind each this many units, or none.
    pub restart_interval: usize,
}

/// The tables of a component's means, and of its other coefficients.
pub(super) type Tables<'a> = (Option<&'a Table>, Option<&'a Table>);

impl Scan<'_> {
    /// Reads the scan that begins at `at`; returns the place behind it.
    ///
    /// The only scan of a file needs no place for coefficients beyond one row of units: it is painted at once.
    pub fn read(
        &self,
        data: &[u8],
        at: usize,
        frame: &mut Frame,
        painter: Option<&mut Painter>,
    ) -> Result<usize, ImageError> {
        match self.part {
            Part { first: 0, last: 63, refines: false, .. } => self.read_as::<Whole>(data, at, frame, painter),
            Part { first: 0, refines: false, .. } => self.read_as::<Means>(data, at, frame, painter),
            Part { first: 0, refines: true, .. } => self.read_as::<MeanBits>(data, at, frame, painter),
            Part { refines: false, .. } => self.read_as::<Begun>(data, at, frame, painter),
            Part { refines: true, .. } => self.read_as::<Refined>(data, at, frame, painter),
        }
    }

    fn read_as<C: Coding>(
        &self,
        data: &[u8],
        at: usize,
        frame: &mut Frame,
        painter: Option<&mut Painter>,
    ) -> Result<usize, ImageError> {
        Arch::new().dispatch(Reading { scan: self, data, at, frame, painter, coding: PhantomData::<C> })
    }
}

/// How a scan codes blocks. Each way has a loop of its own, with what it needs in registers.
trait Coding {
    /// Reads a block; `None` if a table is missing.
    fn read(bits: &mut Bits, block: Block) -> Option<()>;
}

/// A block, and what goes on from the ones before it.
struct Block<'a> {
    tables: Tables<'a>,
    part: Part,
    predicted: &'a mut i32,
    empty: &'a mut u32,
    mean: &'a mut i16,
    known: &'a mut u64,
    levels: &'a mut [i16; 64],
}

struct Whole;
struct Means;
struct MeanBits;
struct Begun;
struct Refined;

impl Coding for Whole {
    #[inline(always)]
    fn read(bits: &mut Bits, Block { tables: (dc, ac), predicted, mean, levels, .. }: Block) -> Option<()> {
        *mean = coefficients::mean(bits, dc?, predicted, 0);
        others(bits, ac?, levels);
        Some(())
    }
}

impl Coding for Means {
    #[inline(always)]
    fn read(bits: &mut Bits, Block { tables: (dc, _), part, predicted, mean, .. }: Block) -> Option<()> {
        *mean = coefficients::mean(bits, dc?, predicted, part.shift);
        Some(())
    }
}

impl Coding for MeanBits {
    #[inline(always)]
    fn read(bits: &mut Bits, Block { part, mean, .. }: Block) -> Option<()> {
        *mean |= i16::from(bits.flag()) << part.shift;
        Some(())
    }
}

impl Coding for Begun {
    #[inline(always)]
    fn read(bits: &mut Bits, Block { tables: (_, ac), part, empty, known, levels, .. }: Block) -> Option<()> {
        begun(bits, ac?, part, empty, known, levels);
        Some(())
    }
}

impl Coding for Refined {
    #[inline(always)]
    fn read(bits: &mut Bits, Block { tables: (_, ac), part, empty, known, levels, .. }: Block) -> Option<()> {
        refined(bits, ac?, part, empty, known, levels);
        Some(())
    }
}

/// Bits are shifted by one instruction where it is known what the machine has.
struct Reading<'a, 'b, 'c, C> {
    scan: &'a Scan<'b>,
    data: &'a [u8],
    at: usize,
    frame: &'a mut Frame,
    painter: Option<&'a mut Painter<'c>>,
    coding: PhantomData<C>,
}

impl<C: Coding> WithSimd for Reading<'_, '_, '_, C> {
    type Output = Result<usize, ImageError>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { scan, data, at, frame, mut painter, .. } = self;
        let mut progress = Progress::new(scan.restart_interval);
        let mut bits = Bits::new(data, at);
        let rows = match scan.components.as_slice() {
            // A scan of one component has only the blocks that its samples need.
            &[(component, _)] => frame.components[component].extent.1.div_ceil(8),
            _ => frame.units.1,
        };
        for row in 0..rows {
            let stored = if painter.is_some() { 0 } else { row };
            match scan.components.as_slice() {
                &[(component, tables)] => {
                    let component = &mut frame.components[component];
                    scan.blocks::<C>(&mut bits, &mut progress, component, tables, stored)?;
                }
                _ => scan.units::<C>(&mut bits, &mut progress, frame, stored)?,
            }
            if !bits.sound() {
                return Err(corrupt("the file ends before the image does, or has codes without meaning"));
            }
            if let Some(painter) = &mut painter {
                painter.paint(frame, row, 0);
                for component in &mut frame.components {
                    component.coefficients.fill(0);
                }
            }
        }
        Ok(bits.position())
    }
}

/// What goes on from block to block.
struct Progress {
    predicted: [i32; 4],
    empty: u32,
    units_left: usize,
}

impl Progress {
    fn new(restart_interval: usize) -> Self {
        Self { predicted: [0; 4], empty: 0, units_left: restart_interval }
    }
}

impl Scan<'_> {
    /// A row of blocks of the scan's only component.
    #[inline(always)]
    fn blocks<C: Coding>(
        &self,
        bits: &mut Bits,
        progress: &mut Progress,
        component: &mut Component,
        tables: Tables,
        row: usize,
    ) -> Result<(), ImageError> {
        let begin = row * component.blocks.0;
        for (mean, known, levels) in component.read_blocks(begin..begin + component.extent.0.div_ceil(8)) {
            self.restart(bits, progress)?;
            let [predicted, ..] = &mut progress.predicted;
            let block = Block { tables, part: self.part, predicted, empty: &mut progress.empty, mean, known, levels };
            C::read(bits, block).ok_or_else(missing_table)?;
        }
        Ok(())
    }

    /// A row of units of blocks of several components.
    #[inline(always)]
    fn units<C: Coding>(
        &self,
        bits: &mut Bits,
        progress: &mut Progress,
        frame: &mut Frame,
        row: usize,
    ) -> Result<(), ImageError> {
        for column in 0..frame.units.0 {
            self.restart(bits, progress)?;
            for (&(component, tables), predicted) in self.components.iter().zip(&mut progress.predicted) {
                let component = &mut frame.components[component];
                let (wide, high) = component.sampling;
                for y in row * high..(row + 1) * high {
                    let begin = y * component.blocks.0 + column * wide;
                    for (mean, known, levels) in component.read_blocks(begin..begin + wide) {
                        let empty = &mut progress.empty;
                        let block = Block { tables, part: self.part, predicted, empty, mean, known, levels };
                        C::read(bits, block).ok_or_else(missing_table)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Passes a restart marker where one is due.
    #[inline(always)]
    fn restart(&self, bits: &mut Bits, progress: &mut Progress) -> Result<(), ImageError> {
        if self.restart_interval == 0 {
            return Ok(());
        }
        if progress.units_left == 0 {
            let behind = bits.restarted().filter(|_| bits.sound());
            *bits = behind.ok_or_else(|| corrupt("a restart marker is missing"))?;
            *progress = Progress::new(self.restart_interval);
        }
        progress.units_left -= 1;
        Ok(())
    }
}

#[cold]
fn missing_table() -> ImageError {
    corrupt("a scan names a Huffman table that there is not")
}

pub(super) fn corrupt(reason: &str) -> ImageError {
    ImageError::Corrupt(reason.to_owned())
}
