//! Decodes ids, one image after another.

use pulp::Arch;

use super::activation::{Activation, Buffers};
use super::walk::Walk;
use crate::plan::{DecodeExecutor, DecodePlan, Meaning};
use crate::preprocessing::Range;
use crate::tokenizer::Grid;

/// A plan from ids to images with its weights laid out for this executor.
#[derive(Debug)]
pub(crate) struct CpuDecoder {
    arch: Arch,
    grid: Grid,
    codes: Meaning,
    walk: Walk,
    output: Range,
}

impl CpuDecoder {
    pub fn new(plan: DecodePlan) -> Self {
        let DecodePlan { grid, codes, ops, output } = plan;
        Self { arch: Arch::new(), grid, codes: codes.prepared(), walk: Walk::new(ops), output }
    }

    /// The numbers that become levels, pixel by pixel; what is behind the third channel isn't part of the image.
    pub(crate) fn numbers(&self, ids: &[u32], buffers: &mut Buffers) -> Activation {
        let (width, height) = (usize::from(self.grid.width), usize::from(self.grid.height));
        let (dimension, depth) = (self.codes.dimension(), self.codes.depth());
        let mut input = buffers.activation(height, width, dimension, self.walk.border());
        for (y, ids) in ids.chunks_exact(width * depth).enumerate() {
            for (ids, numbers) in ids.chunks_exact(depth).zip(input.row_mut(y).chunks_exact_mut(dimension)) {
                self.codes.write(ids, numbers);
            }
        }
        self.walk.run(self.arch, input, buffers)
    }
}

impl DecodeExecutor for CpuDecoder {
    fn decode(&self, ids: &[&[u32]]) -> Vec<Vec<u8>> {
        let mut buffers = Buffers::default();
        let mut images = Vec::with_capacity(ids.len());
        for ids in ids {
            let out = self.numbers(ids, &mut buffers);
            let pixels = out.numbers.chunks_exact(out.channels);
            images.push(pixels.flat_map(|pixel| pixel.iter().take(3)).map(|x| self.output.level(*x)).collect());
            buffers.give_back(out.numbers);
        }
        images
    }
}
