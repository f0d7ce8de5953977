//! The numbers between two operations, and the buffers they are kept in.

use crate::plan::Padding;

/// `height · width · channels` numbers, channels innermost, inside a border of zeros.
#[derive(Debug)]
pub(crate) struct Activation {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub border: Padding,
    pub numbers: Vec<f32>,
}

impl Activation {
    /// Where row `y` of the image begins, behind its border.
    pub fn row_start(&self, y: usize) -> usize {
        ((y + self.border.before) * self.padded_width() + self.border.before) * self.channels
    }

    pub fn row(&self, y: usize) -> &[f32] {
        &self.numbers[self.row_start(y)..][..self.width * self.channels]
    }

    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        let (start, length) = (self.row_start(y), self.width * self.channels);
        &mut self.numbers[start..][..length]
    }

    pub fn padded_width(&self) -> usize {
        self.border.before + self.width + self.border.after
    }
}

/// Buffers of one thread, used again and again: an image needs no more than its largest activations at once.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Vec<Vec<f32>>,
}

impl Buffers {
    /// An activation with a zero border; what is inside is left over from earlier and must be written.
    pub fn activation(&mut self, height: usize, width: usize, channels: usize, border: Padding) -> Activation {
        let around = border.before + border.after;
        let numbers = self.numbers((height + around) * (width + around) * channels);
        let mut activation = Activation { height, width, channels, border, numbers };
        if around > 0 {
            clear_border(&mut activation);
        }
        activation
    }

    /// `length` numbers, left over from earlier.
    pub fn numbers(&mut self, length: usize) -> Vec<f32> {
        let fits = self.free.iter().position(|buffer| buffer.capacity() >= length);
        let mut buffer = match fits {
            Some(index) => self.free.swap_remove(index),
            // The largest that is free gives its room, and no more is taken than is needed.
            None => {
                self.free.pop();
                return vec![0.0; length];
            }
        };
        buffer.resize(length, 0.0);
        buffer
    }

    /// What all that lie here hold.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.free.iter().map(|buffer| 4 * buffer.capacity() as u64).sum()
    }

    pub fn give_back(&mut self, numbers: Vec<f32>) {
        self.free.push(numbers);
        // The smallest that is large enough is found first.
        self.free.sort_by_key(Vec::capacity);
    }
}

fn clear_border(activation: &mut Activation) {
    let row_length = activation.padded_width() * activation.channels;
    let top = activation.border.before * row_length;
    let bottom = activation.numbers.len() - activation.border.after * row_length;
    activation.numbers[..top].fill(0.0);
    activation.numbers[bottom..].fill(0.0);
    let left = activation.border.before * activation.channels;
    let right = activation.border.after * activation.channels;
    for row in activation.numbers[top..bottom].chunks_exact_mut(row_length) {
        row[..left].fill(0.0);
        row[row_length - right..].fill(0.0);
    }
}
