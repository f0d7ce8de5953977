//! Gradient noise (Perlin, "Improving noise", 2002) with a lattice that begins anywhere.

use std::f64::consts::PI;

use pageloom_training::random::KeyedRandom;

/// A field whose lattice points are `spacing` cells apart, with fresh gradients and a fresh origin.
pub(crate) fn perlin(columns: usize, spacing: f64, random: &mut KeyedRandom, field: &mut [f32]) {
    let (down, right) = (random.uniform(), random.uniform());
    let lattice_columns = (columns as f64 / spacing + right) as usize + 2;
    let lattice_rows = ((field.len() / columns) as f64 / spacing + down) as usize + 2;
    let gradients: Vec<(f64, f64)> = (0..lattice_rows * lattice_columns)
        .map(|_| {
            let angle = 2.0 * PI * random.uniform();
            (libm::sin(angle), libm::cos(angle))
        })
        .collect();
    for (cell, score) in field.iter_mut().enumerate() {
        let y = (cell / columns) as f64 / spacing + down;
        let x = (cell % columns) as f64 / spacing + right;
        let (row, column) = (y as usize, x as usize);
        let (y, x) = (y - row as f64, x - column as f64);
        let corner = |down: usize, right: usize| {
            let (gradient_y, gradient_x) = gradients[(row + down) * lattice_columns + column + right];
            gradient_y * (y - down as f64) + gradient_x * (x - right as f64)
        };
        let across = |down| mix(corner(down, 0), corner(down, 1), x);
        *score = mix(across(0), across(1), y) as f32;
    }
}

fn mix(from: f64, to: f64, place: f64) -> f64 {
    let smooth = place * place * place * (place * (place * 6.0 - 15.0) + 10.0);
    from + smooth * (to - from)
}
