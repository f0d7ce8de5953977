//! Finds nearest rows one after another, each of what the ones before left (arXiv 2203.01941, section 3.1).

use pulp::Arch;

use super::rows::Nearest;
use super::{Margins, Quantise};
use crate::plan::Books;

#[derive(Debug)]
pub(super) struct Residual {
    nearest: Vec<Nearest>,
    books: Books,
}

impl Residual {
    pub fn new(books: Books) -> Self {
        Self { nearest: books.books.iter().map(Nearest::new).collect(), books }
    }
}

impl Quantise for Residual {
    fn ids(&self, arch: Arch, features: &[f32], scratch: &mut Vec<f32>, ids: &mut Vec<u32>) {
        let Books { books, depth } = &self.books;
        let (Some(last), mut rest) = (books.len().checked_sub(1), features.to_vec()) else { return };
        let places = rest.len() / books[last].dimension;
        let first = ids.len();
        ids.resize(first + places * depth, 0);
        let mut found = Vec::with_capacity(places);
        for step in 0..*depth {
            let book = &books[step.min(last)];
            found.clear();
            self.nearest[step.min(last)].ids(arch, &rest, scratch, &mut found);
            for (place, (id, rest)) in found.iter().zip(rest.chunks_exact_mut(book.dimension)).enumerate() {
                ids[first + place * depth + step] = *id;
                let row = &book.vectors[*id as usize * book.dimension..][..book.dimension];
                rest.iter_mut().zip(row).for_each(|(rest, x)| *rest -= x);
            }
        }
    }

    /// Those of the first step that finds another row: all that follow have something else left.
    fn margins(&self, arch: Arch, place: &[f32], ids: &[u32]) -> Margins {
        let (mut rest, mut margins) = (place.to_vec(), Margins { second: f32::INFINITY, found: 0.0 });
        for (step, id) in ids.iter().enumerate() {
            let last = self.books.books.len() - 1;
            let Margins { second, found } = self.nearest[step.min(last)].margins(arch, &rest, &[*id]);
            margins = Margins { second: second.min(margins.second), found };
            if found > 0.0 {
                break;
            }
            let book = &self.books.books[step.min(last)];
            let row = &book.vectors[*id as usize * book.dimension..][..book.dimension];
            rest.iter_mut().zip(row).for_each(|(rest, x)| *rest -= x);
        }
        margins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Codebook;

    fn ids(books: Vec<Codebook>, depth: usize, features: &[f32]) -> Vec<u32> {
        let mut ids = vec![9];
        Residual::new(Books { books, depth }).ids(Arch::new(), features, &mut Vec::new(), &mut ids);
        ids
    }

    #[test]
    fn each_id_is_nearest_to_what_is_left_and_a_places_ids_stand_together() {
        let book = Codebook { count: 4, dimension: 1, vectors: vec![0.0, 1.0, 4.0, 16.0] };
        assert_eq!(ids(vec![book], 3, &[21.0, 2.0]), [9, 3, 2, 1, 1, 1, 0]);
    }

    #[test]
    fn each_step_may_have_its_own_book() {
        let book = |vectors| Codebook { count: 2, dimension: 1, vectors };
        assert_eq!(ids(vec![book(vec![0.0, 10.0]), book(vec![1.0, -1.0])], 2, &[9.0, 1.0]), [9, 1, 1, 0, 0]);
    }
}
