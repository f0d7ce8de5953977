//! From ids back to the numbers that a decoder starts with.

use super::rows::unit_rows;
use crate::plan::{Books, Meaning};

impl Meaning {
    /// Makes ready what is needed for every id.
    pub fn prepared(self) -> Self {
        if let Self::UnitRows(codebook) = &self { Self::Rows(unit_rows(codebook)) } else { self }
    }

    /// Numbers of each place.
    pub fn dimension(&self) -> usize {
        match self {
            Self::Rows(codebook) | Self::UnitRows(codebook) => codebook.dimension,
            Self::Sum(books) => books.books.first().map_or(0, |book| book.dimension),
            Self::Signs { bits } => *bits as usize,
            Self::Levels(levels) => levels.len(),
        }
    }

    /// Ids of each place.
    pub fn depth(&self) -> usize {
        if let Self::Sum(books) = self { books.depth } else { 1 }
    }

    /// Writes the numbers of a place; its ids are below the codebook's size.
    pub fn write(&self, ids: &[u32], numbers: &mut [f32]) {
        numbers.fill(0.0);
        let Some(id) = ids.first().copied() else { return };
        match self {
            Self::Rows(codebook) | Self::UnitRows(codebook) => {
                numbers.copy_from_slice(&codebook.vectors[id as usize * codebook.dimension..][..codebook.dimension]);
            }
            Self::Sum(books) => add_rows(books, ids, numbers),
            Self::Signs { .. } => {
                for (bit, number) in numbers.iter_mut().enumerate() {
                    *number = if id >> bit & 1 == 1 { 1.0 } else { -1.0 };
                }
            }
            Self::Levels(levels) => write_levels(levels, id, numbers),
        }
    }
}

fn add_rows(books: &Books, ids: &[u32], numbers: &mut [f32]) {
    let Some(last) = books.books.len().checked_sub(1) else { return };
    for (step, id) in ids.iter().enumerate() {
        let book = &books.books[step.min(last)];
        let row = &book.vectors[*id as usize * book.dimension..][..book.dimension];
        numbers.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

/// `(digit - levels / 2) / (levels / 2)`, with whole halves.
fn write_levels(levels: &[u32], mut id: u32, numbers: &mut [f32]) {
    for (number, levels) in numbers.iter_mut().zip(levels) {
        let half = (levels / 2) as f32;
        *number = ((id % levels) as f32 - half) / half;
        id /= levels;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Codebook;

    fn numbers(meaning: Meaning, ids: &[u32]) -> Vec<f32> {
        let meaning = meaning.prepared();
        let mut numbers = vec![9.0; meaning.dimension()];
        meaning.write(ids, &mut numbers);
        numbers
    }

    fn book() -> Codebook {
        Codebook { count: 2, dimension: 2, vectors: vec![1.0, 2.0, 3.0, 4.0] }
    }

    #[test]
    fn ids_stand_for_rows_unit_rows_and_sums() {
        assert_eq!(numbers(Meaning::Rows(book()), &[1]), [3.0, 4.0]);
        assert_eq!(numbers(Meaning::UnitRows(book()), &[1]), [0.6, 0.8]);
        assert_eq!(numbers(Meaning::Sum(Books { books: vec![book()], depth: 3 }), &[1, 1, 0]), [7.0, 10.0]);
    }

    #[test]
    fn ids_stand_for_signs_and_levels() {
        assert_eq!(numbers(Meaning::Signs { bits: 3 }, &[6]), [-1.0, 1.0, 1.0]);
        assert_eq!(numbers(Meaning::Levels(vec![8, 5]), &[7 + 8 * 4]), [0.75, 1.0]);
        assert_eq!(numbers(Meaning::Levels(vec![8, 5]), &[0]), [-1.0, -1.0]);
    }
}
