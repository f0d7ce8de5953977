//! Numbers that follow from a name, as `tests/vq/rule.py` makes them too: golden files need none of them.

/// Numbers from -1 to 1: SplitMix64 of FNV-1a of the name, plus the place.
pub(crate) fn numbers(name: &str, count: usize) -> Vec<f64> {
    let seed = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    let number = |place: usize| {
        let mut x = seed.wrapping_add(place as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    (0..count).map(number).collect()
}

/// A tensor of a model: codebooks as they come, the rest so that numbers neither grow nor vanish.
pub(crate) fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let mut x = numbers(name, shape.iter().product());
    if name.contains("embed") || name.contains("codebook") {
    } else if shape.len() == 1 {
        let norm = (name.contains("norm") || name.contains("ln_")) && name.ends_with("weight");
        x.iter_mut().for_each(|x| *x = if norm { 1.0 + 0.2 * *x } else { 0.1 * *x });
    } else {
        let fan_in: usize = shape[1..].iter().product();
        for row in x.chunks_exact_mut(fan_in) {
            row.iter_mut().for_each(|x| *x *= (3.0 / fan_in as f64).sqrt());
            let common = if name.ends_with(".w") { row.iter().sum::<f64>() / fan_in as f64 } else { 0.0 };
            row.iter_mut().for_each(|x| *x -= common);
        }
    }
    x.into_iter().map(|x| x as f32).collect()
}

/// Levels of an image: squares of one colour, of another size in each of five images that follow.
pub(crate) fn image(index: usize, width: usize, height: usize) -> Vec<u8> {
    let side = 1 << (index % 5);
    let levels = numbers(&format!("image {index}"), width * height * 3);
    let level = |place: usize| {
        let (y, x, colour) = (place / 3 / width / side, place / 3 % width / side, place % 3);
        ((levels[(y * width + x) * 3 + colour] + 1.0) * 128.0).floor() as u8
    };
    (0..width * height * 3).map(level).collect()
}
