//! The order in which Halton's points first visit cells (Halton-MaskGIT, arXiv 2503.17076).

/// So many points are followed; cells that none of them visits come last, in raster order.
const POINTS: u32 = 10_000;

/// Per cell of a frame, its place in the order.
pub(crate) fn halton(rows: usize, columns: usize) -> Vec<f32> {
    let mut ranks = vec![f32::INFINITY; rows * columns];
    let mut next = 0.0;
    let mut visit = |cell: usize| {
        if ranks[cell] == f32::INFINITY {
            ranks[cell] = next;
            next += 1.0;
        }
    };
    for number in 1..=POINTS {
        let row = (radical_inverse(number, 2) * rows as f64) as usize;
        let column = (radical_inverse(number, 3) * columns as f64) as usize;
        visit(row * columns + column);
    }
    (0..rows * columns).for_each(visit);
    ranks
}

// The number's digits in this base, mirrored behind the point.
fn radical_inverse(mut number: u32, base: u32) -> f64 {
    let (mut mirrored, mut scale) = (0_u64, 1_u64);
    while number > 0 {
        mirrored = mirrored * u64::from(base) + u64::from(number % base);
        scale *= u64::from(base);
        number /= base;
    }
    mirrored as f64 / scale as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_points_are_haltons() {
        // (1/2, 1/3), (1/4, 2/3), (3/4, 1/9), (1/8, 4/9) of 8 rows x 9 columns.
        let ranks = halton(8, 9);
        assert_eq!([4 * 9 + 3, 2 * 9 + 6, 6 * 9 + 1, 9 + 4].map(|cell| ranks[cell]), [0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn every_cell_has_a_place() {
        let mut ranks = halton(32, 32);
        ranks.sort_by(f32::total_cmp);
        assert!(ranks.iter().enumerate().all(|(place, &rank)| rank == place as f32));
    }
}
