//! What a JPEG's frame header says, and each component's samples.

use std::ops::Range;

use super::super::picture::Size;

/// The image and its components.
pub(super) struct Frame {
    pub size: Size,
    pub progressive: bool,
    pub components: Vec<Component>,
    /// The finest sampling of any component, across and down.
    pub finest: (usize, usize),
    /// Units of interleaved scans, across and down.
    pub units: (usize, usize),
}

/// One component.
pub(super) struct Component {
    pub id: u8,
    /// Blocks of a unit, across and down.
    pub sampling: (usize, usize),
    pub quantization: usize,
    /// Taken where its first scan begins; rows of frequencies.
    pub steps: Option<[i16; 64]>,
    /// Samples that count, across and down.
    pub extent: (usize, usize),
    /// Blocks with those that fill units up, across and down.
    pub blocks: (usize, usize),
    /// Of blocks, row by row. They are apart from what else a block has, which takes 63 times as much room, because scans
    /// of progressive files tell of them alone.
    pub means: Vec<i16>,
    /// Whole blocks, row by row: 64 numbers each, rows of frequencies. The first one is the mean where it is transformed.
    pub coefficients: Vec<i16>,
    /// For each block of a progressive file, which coefficients are there: bit n for the n-th one of a scan.
    pub known: Vec<u64>,
    /// A byte a sample, `blocks.0 * 8` in a row: those of the last two rows of units, each in the other one's place.
    pub samples: Vec<u8>,
}

impl Component {
    /// Rows of units whose samples are kept.
    pub const ROWS_OF_UNITS: usize = 2;

    /// What was read of some blocks: means, which other coefficients are there, and those.
    #[inline(always)]
    pub fn read_blocks(&mut self, range: Range<usize>) -> impl Iterator<Item = (&mut i16, &mut u64, &mut [i16; 64])> {
        let (blocks, _) = self.coefficients.as_chunks_mut::<64>();
        let (means, known) = (&mut self.means[range.clone()], &mut self.known[range.clone()]);
        means.iter_mut().zip(known).zip(&mut blocks[range]).map(|((mean, known), levels)| (mean, known, levels))
    }

    /// A row of samples, of those that are kept.
    #[inline(always)]
    pub fn samples(&self, row: usize) -> &[u8] {
        let begin = row % (Self::ROWS_OF_UNITS * self.sampling.1 * 8) * self.blocks.0 * 8;
        &self.samples[begin..begin + self.extent.0]
    }
}

impl Frame {
    pub fn new(size: Size, progressive: bool, headers: &[[u8; 3]]) -> Option<Self> {
        let nibbles = |byte: u8| (usize::from(byte >> 4), usize::from(byte & 15));
        let samplings: Vec<(usize, usize)> = match headers {
            // With one component there is nothing that its sampling could be finer than.
            [_] => vec![(1, 1)],
            _ => headers.iter().map(|header| nibbles(header[1])).collect(),
        };
        if samplings.iter().any(|&(across, down)| !(1..=4).contains(&across) || !(1..=4).contains(&down)) {
            return None;
        }
        let across = samplings.iter().map(|sampling| sampling.0).max()?;
        let down = samplings.iter().map(|sampling| sampling.1).max()?;
        let (width, height) = (size.width as usize, size.height as usize);
        let units = (width.div_ceil(8 * across), height.div_ceil(8 * down));
        let components = headers.iter().zip(&samplings).map(|(header, &sampling)| Component {
            id: header[0],
            sampling,
            quantization: usize::from(header[2]),
            steps: None,
            extent: ((width * sampling.0).div_ceil(across), (height * sampling.1).div_ceil(down)),
            blocks: (units.0 * sampling.0, units.1 * sampling.1),
            means: Vec::new(),
            coefficients: Vec::new(),
            known: Vec::new(),
            samples: Vec::new(),
        });
        Some(Self { size, progressive, components: components.collect(), finest: (across, down), units })
    }
}
