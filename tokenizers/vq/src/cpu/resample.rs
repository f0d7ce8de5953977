//! Changes the number of places without weights.

use super::activation::{Activation, Buffers};
use crate::plan::{Padding, Pool};

/// Makes one place of four.
pub(super) fn pool(kind: Pool, input: &Activation, buffers: &mut Buffers) -> Activation {
    let channels = input.channels;
    let mut out = buffers.activation(input.height / 2, input.width / 2, channels, Padding::NONE);
    for y in 0..out.height {
        let (above, below) = (input.row(2 * y), input.row(2 * y + 1));
        let pairs = above.chunks_exact(2 * channels).zip(below.chunks_exact(2 * channels));
        for (to, (above, below)) in out.row_mut(y).chunks_exact_mut(channels).zip(pairs) {
            for (channel, to) in to.iter_mut().enumerate() {
                let four = [above[channel], above[channels + channel], below[channel], below[channels + channel]];
                *to = match kind {
                    Pool::Average => four.into_iter().sum::<f32>() / 4.0,
                    Pool::Largest => four.into_iter().fold(f32::NEG_INFINITY, f32::max),
                };
            }
        }
    }
    out
}

/// Makes four equal places of one.
pub(super) fn upsample(input: &Activation, buffers: &mut Buffers) -> Activation {
    let channels = input.channels;
    let mut out = buffers.activation(input.height * 2, input.width * 2, channels, Padding::NONE);
    for y in 0..out.height {
        let places = input.row(y / 2).chunks_exact(channels);
        for (to, place) in out.row_mut(y).chunks_exact_mut(2 * channels).zip(places) {
            let (left, right) = to.split_at_mut(channels);
            left.copy_from_slice(place);
            right.copy_from_slice(place);
        }
    }
    out
}

/// Makes a square of places of the channels of one.
pub(super) fn depth_to_space(block: usize, input: &Activation, buffers: &mut Buffers) -> Activation {
    let channels = input.channels / (block * block);
    let mut out = buffers.activation(input.height * block, input.width * block, channels, Padding::NONE);
    for y in 0..out.height {
        let (row, within) = (input.row(y / block), y % block);
        for (x, to) in out.row_mut(y).chunks_exact_mut(channels).enumerate() {
            let from = x / block * input.channels + (within * block + x % block) * channels;
            to.copy_from_slice(&row[from..from + channels]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activation(height: usize, width: usize, channels: usize, numbers: Vec<f32>) -> Activation {
        Activation { height, width, channels, border: Padding::NONE, numbers }
    }

    #[test]
    fn four_places_become_their_mean_or_their_largest() {
        let numbers = vec![1.0, -1.0, 2.0, -2.0, 9.0, 9.0, 3.0, -3.0, 6.0, -6.0, 9.0, 9.0];
        let input = activation(2, 3, 2, numbers);
        let buffers = &mut Buffers::default();
        assert_eq!(pool(Pool::Average, &input, buffers).numbers, [3.0, -3.0]);
        assert_eq!(pool(Pool::Largest, &input, buffers).numbers, [6.0, -1.0]);
    }

    #[test]
    fn a_place_becomes_four_equal_ones() {
        let out = upsample(&activation(1, 2, 1, vec![1.0, 2.0]), &mut Buffers::default());
        assert_eq!((out.height, out.width), (2, 4));
        assert_eq!(out.numbers, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn channels_become_rows_then_columns_then_channels() {
        let input = activation(1, 1, 8, (0..8).map(|x| x as f32).collect());
        let out = depth_to_space(2, &input, &mut Buffers::default());
        assert_eq!((out.height, out.width, out.channels), (2, 2, 2));
        assert_eq!(out.numbers, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }
}
