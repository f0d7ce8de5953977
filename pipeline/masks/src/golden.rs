//! Reads what `tests/masks/golden.py` wrote, and makes the numbers that it injects.

/// The same uniforms as the script's: a linear congruential generator with Knuth's constants, its highest 53 bits.
pub(crate) fn uniforms(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The lines `name: number number ...` of a golden file.
pub(crate) fn sections(text: &str) -> impl Iterator<Item = (&str, Vec<u32>)> {
    text.lines().filter_map(|line| line.split_once(": ")).map(|(name, numbers)| {
        (name, numbers.split_whitespace().map(|number| number.parse().expect("a number")).collect())
    })
}
