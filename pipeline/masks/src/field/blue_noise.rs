//! Blue noise by void and cluster on a torus (Ulichney, "The void-and-cluster method for dither array generation", 1993).

use pageloom_training::random::KeyedRandom;

/// The standard deviation of the density filter, in cells, as Ulichney has it.
const SIGMA: f64 = 1.5;

/// Per cell of a square torus, its place in an order whose every prefix is spread evenly.
pub(crate) fn blue_noise(side: usize, random: &mut KeyedRandom) -> Vec<f32> {
    let cells = side * side;
    let mut pattern = Pattern::new(side);
    let start = (cells / 10).max(1);
    random.choose(start as u32, cells as u32).into_iter().for_each(|cell| pattern.flip(cell as usize));
    // The tightest cluster moves into the largest void until it is the one that has just left.
    for _ in 0..cells {
        let cluster = pattern.tightest_cluster();
        pattern.flip(cluster);
        let void = pattern.largest_void();
        pattern.flip(void);
        if void == cluster {
            break;
        }
    }
    let mut ranks = vec![0.0; cells];
    let mut removed = pattern.clone();
    for rank in (0..start).rev() {
        let cluster = removed.tightest_cluster();
        ranks[cluster] = rank as f32;
        removed.flip(cluster);
    }
    for rank in start..cells {
        let void = pattern.largest_void();
        ranks[void] = rank as f32;
        pattern.flip(void);
    }
    ranks
}

/// Points on a torus, and how dense they are around each cell.
#[derive(Debug, Clone)]
struct Pattern {
    side: usize,
    is_point: Vec<bool>,
    density: Vec<f64>,
    /// What a point adds to the density at a distance in rows and columns.
    kernel: Vec<f64>,
}

impl Pattern {
    fn new(side: usize) -> Self {
        let around = |offset: usize| {
            let distance = offset.min(side - offset) as f64;
            distance * distance
        };
        let kernel = (0..side * side)
            .map(|offset| libm::exp(-(around(offset / side) + around(offset % side)) / (2.0 * SIGMA * SIGMA)))
            .collect();
        Self { side, is_point: vec![false; side * side], density: vec![0.0; side * side], kernel }
    }

    fn flip(&mut self, point: usize) {
        let side = self.side;
        let sign = if self.is_point[point] { -1.0 } else { 1.0 };
        self.is_point[point] = !self.is_point[point];
        for (cell, density) in self.density.iter_mut().enumerate() {
            let row = (cell / side + side - point / side) % side;
            let column = (cell % side + side - point % side) % side;
            *density += sign * self.kernel[row * side + column];
        }
    }

    fn tightest_cluster(&self) -> usize {
        self.extreme(true, |density, most| density > most)
    }

    fn largest_void(&self) -> usize {
        self.extreme(false, |density, least| density < least)
    }

    fn extreme(&self, points: bool, beats: fn(f64, f64) -> bool) -> usize {
        let among = (0..self.is_point.len()).filter(|&cell| self.is_point[cell] == points);
        among.reduce(|best, cell| if beats(self.density[cell], self.density[best]) { cell } else { best }).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_taken_once_and_no_early_points_touch() {
        let ranks = blue_noise(16, &mut KeyedRandom::new(1, "blue noise", b"", 0));
        let mut sorted = ranks.clone();
        sorted.sort_by(f32::total_cmp);
        assert!(sorted.iter().enumerate().all(|(place, &rank)| rank == place as f32));
        let early: Vec<usize> = (0..256).filter(|&cell| ranks[cell] < 26.0).collect();
        let around = |offset: usize| (offset % 16).min(16 - offset % 16);
        for (number, &cell) in early.iter().enumerate() {
            for &other in &early[..number] {
                let rows = around(cell / 16 + 16 - other / 16);
                let columns = around(cell % 16 + 16 - other % 16);
                assert!(rows * rows + columns * columns > 2, "{cell} {other}");
            }
        }
    }
}
