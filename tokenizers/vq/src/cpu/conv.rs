//! Convolution as matrix products over the image's own rows, without copying patches.

use pulp::Arch;

use super::activation::{Activation, Buffers};
use super::matrix::{Left, Packed, multiply};
use super::winograd::Winograd;
use crate::plan::{Conv, Padding};

/// A convolution whose weights are laid out for the product.
#[derive(Debug)]
pub(super) struct PackedConv {
    kernel: usize,
    stride: usize,
    /// The border that its input must have.
    pub padding: Padding,
    channels_out: usize,
    weight: Weight,
}

#[derive(Debug)]
enum Weight {
    Plain(Packed),
    Transformed(Winograd),
}

impl PackedConv {
    pub fn new(conv: &Conv) -> Self {
        let (kernel, channels_in) = (conv.kernel, conv.channels_in);
        let (stride, channels_out) = (conv.stride, conv.channels_out);
        if let Some(winograd) = Winograd::new(conv) {
            let weight = Weight::Transformed(winograd);
            return Self { kernel, stride, padding: Padding::NONE, channels_out, weight };
        }
        // Rows of the right side are in the order in which an image row holds them: kernel row, column, channel.
        let weight = Packed::new(kernel * kernel * channels_in, conv.channels_out, Some(&conv.bias), |row, out| {
            let (place, channel) = (row / channels_in, row % channels_in);
            conv.weight[(out * channels_in + channel) * kernel * kernel + place]
        });
        Self { kernel, stride, padding: conv.padding, channels_out, weight: Weight::Plain(weight) }
    }

    /// The input must have this convolution's border.
    pub fn run(&self, arch: Arch, input: &Activation, buffers: &mut Buffers) -> Activation {
        debug_assert_eq!(input.border, self.padding);
        let weight = match &self.weight {
            Weight::Plain(weight) => weight,
            Weight::Transformed(winograd) => return winograd.run(arch, input, buffers),
        };
        let around = self.padding.before + self.padding.after;
        let side = |length: usize| (length + around - self.kernel) / self.stride + 1;
        let (height, width) = (side(input.height), side(input.width));
        let mut out = buffers.activation(height, width, self.channels_out, Padding::NONE);
        let row_length = input.padded_width() * input.channels;
        for y in 0..height {
            // The kernel's columns lie side by side in an image row, so each kernel row is one run of numbers.
            let starts: [usize; MAX_KERNEL] = std::array::from_fn(|i| (y * self.stride + i) * row_length);
            let left = Left {
                numbers: &input.numbers,
                starts: &starts[..self.kernel],
                step: self.stride * input.channels,
                segment: self.kernel * input.channels,
                rows: width,
            };
            multiply(arch, left, weight, out.row_mut(y));
        }
        out
    }
}

const MAX_KERNEL: usize = 32;

/// The same image with another border.
pub(super) fn with_border(input: &Activation, border: Padding, buffers: &mut Buffers) -> Activation {
    let mut out = buffers.activation(input.height, input.width, input.channels, border);
    for y in 0..input.height {
        out.row_mut(y).copy_from_slice(input.row(y));
    }
    out
}
