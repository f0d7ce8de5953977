//! The cosine transform of 32 numbers, with the roundings of `scipy.fftpack.dct`.
//!
//! Where an image is of one colour, or symmetrical, many of its frequencies are nothing but what rounding has left, and a
//! hash takes bits from those too. So sums and products stand in the order that SciPy's pocketfft has them in (FFTPACK's
//! passes over factors of 2, 4 and 4, for even numbers as Swarztrauber derives a cosine transform from a real Fourier
//! transform), with its cosines, which are products of rounded ones.

use std::f64::consts::{PI, SQRT_2};

const COUNT: usize = 32;
type Numbers = [f64; COUNT];

/// One pass of the Fourier transform: its factor, the length of a run, and the turns of the runs behind the first.
struct Pass {
    factor: usize,
    length: usize,
    turns: Vec<(f64, f64)>,
}

/// What transforms have in common.
pub(super) struct Cosines {
    passes: [Pass; 3],
    /// The cosines of quarter turns divided by 32.
    quarter: Numbers,
}

impl Cosines {
    pub(super) fn new() -> Self {
        let whole = Turns::new(COUNT);
        let pass = |factor: usize, before: usize| {
            let length = COUNT / (before * factor);
            let pairs = (length - 1) / 2;
            let turns = (1..factor).flat_map(|run| (1..=pairs).map(move |pair| run * before * pair));
            Pass { factor, length, turns: turns.map(|turn| whole.at(turn)).collect() }
        };
        let passes = [pass(2, 1), pass(4, 2), pass(4, 8)];
        let quarter = Turns::new(4 * COUNT);
        Self { passes, quarter: std::array::from_fn(|place| quarter.at(place + 1).0) }
    }

    /// Twice the sums of `x[n] cos(pi k (2 n + 1) / 64)`, for each `k`.
    pub(super) fn transform(&self, mut x: Numbers) -> Numbers {
        x[0] *= 2.0;
        x[COUNT - 1] *= 2.0;
        for pair in x[1..COUNT - 1].as_chunks_mut::<2>().0 {
            *pair = [pair[0] + pair[1], pair[1] - pair[0]];
        }
        for pass in &self.passes {
            x = if pass.factor == 2 { pass.by_two(&x) } else { pass.by_four(&x) };
        }
        for low in 1..COUNT / 2 {
            let high = COUNT - low;
            let (cosine, sine) = (self.quarter[low - 1], self.quarter[high - 1]);
            let sum = cosine * x[high] + sine * x[low];
            let difference = cosine * x[low] - sine * x[high];
            (x[low], x[high]) = (0.5 * (sum + difference), 0.5 * (sum - difference));
        }
        x[COUNT / 2] *= self.quarter[COUNT / 2 - 1];
        x
    }
}

impl Pass {
    // The real and the imaginary part at `pair` of a run, turned.
    fn turned(&self, run: usize, pair: usize, real: f64, imaginary: f64) -> (f64, f64) {
        let (cosine, sine) = self.turns[(run - 1) * ((self.length - 1) / 2) + pair - 1];
        (cosine * real - sine * imaginary, cosine * imaginary + sine * real)
    }

    fn by_two(&self, x: &Numbers) -> Numbers {
        let length = self.length;
        let groups = COUNT / (2 * length);
        let mut out = [0.0; COUNT];
        for group in 0..groups {
            let from = |run: usize, place: usize| x[place + length * (run + 2 * group)];
            let to = |run: usize, place: usize| place + length * (group + groups * run);
            out[to(0, 0)] = from(0, 0) + from(1, length - 1);
            out[to(1, 0)] = from(0, 0) - from(1, length - 1);
            out[to(0, length - 1)] = 2.0 * from(0, length - 1);
            out[to(1, length - 1)] = -2.0 * from(1, 0);
            for pair in 1..length / 2 {
                let (place, mirror) = (2 * pair, length - 2 * pair);
                out[to(0, place - 1)] = from(0, place - 1) + from(1, mirror - 1);
                out[to(0, place)] = from(0, place) - from(1, mirror);
                let real = from(0, place - 1) - from(1, mirror - 1);
                let imaginary = from(0, place) + from(1, mirror);
                (out[to(1, place - 1)], out[to(1, place)]) = self.turned(1, pair, real, imaginary);
            }
        }
        out
    }

    fn by_four(&self, x: &Numbers) -> Numbers {
        let length = self.length;
        let groups = COUNT / (4 * length);
        let mut out = [0.0; COUNT];
        for group in 0..groups {
            let from = |run: usize, place: usize| x[place + length * (run + 4 * group)];
            let to = |run: usize, place: usize| place + length * (group + groups * run);
            let (sum, difference) = (from(0, 0) + from(3, length - 1), from(0, 0) - from(3, length - 1));
            let (second, third) = (2.0 * from(1, length - 1), 2.0 * from(2, 0));
            out[to(0, 0)] = sum + second;
            out[to(2, 0)] = sum - second;
            out[to(3, 0)] = difference + third;
            out[to(1, 0)] = difference - third;
            if length.is_multiple_of(2) {
                let last = length - 1;
                let (imaginary, apart) = (from(3, 0) + from(1, 0), from(3, 0) - from(1, 0));
                let (sum, difference) = (from(0, last) + from(2, last), from(0, last) - from(2, last));
                out[to(0, last)] = sum + sum;
                out[to(1, last)] = SQRT_2 * (difference - imaginary);
                out[to(2, last)] = apart + apart;
                out[to(3, last)] = -SQRT_2 * (difference + imaginary);
            }
            for pair in 1..length.div_ceil(2) {
                let (place, mirror) = (2 * pair, length - 2 * pair);
                let (a, b) = (from(0, place - 1) + from(3, mirror - 1), from(0, place - 1) - from(3, mirror - 1));
                let (c, d) = (from(0, place) + from(3, mirror), from(0, place) - from(3, mirror));
                let (e, f) = (from(2, place) + from(1, mirror), from(2, place) - from(1, mirror));
                let (g, h) = (from(2, place - 1) + from(1, mirror - 1), from(2, place - 1) - from(1, mirror - 1));
                (out[to(0, place - 1)], out[to(0, place)]) = (a + g, d + f);
                for (run, real, imaginary) in [(1, b - e, c + h), (2, a - g, d - f), (3, b + e, c - h)] {
                    (out[to(run, place - 1)], out[to(run, place)]) = self.turned(run, pair, real, imaginary);
                }
            }
        }
        out
    }
}

/// Cosine and sine of parts of a turn, each the product of a coarse and a fine one.
struct Turns {
    parts: usize,
    fine: Vec<(f64, f64)>,
    coarse: Vec<(f64, f64)>,
}

impl Turns {
    fn new(parts: usize) -> Self {
        let half = (parts + 2) / 2;
        let step = (1..).map(|bits| 1 << bits).find(|&step: &usize| step * step >= half).unwrap_or(1);
        let coarse = (0..half.div_ceil(step)).map(|turn| rounded(turn * step, parts)).collect();
        Self { parts, fine: (0..step).map(|turn| rounded(turn, parts)).collect(), coarse }
    }

    // Up to half a turn.
    fn at(&self, turn: usize) -> (f64, f64) {
        debug_assert!(2 * turn <= self.parts);
        let (fine, coarse) = (self.fine[turn % self.fine.len()], self.coarse[turn / self.fine.len()]);
        (fine.0 * coarse.0 - fine.1 * coarse.1, fine.0 * coarse.1 + fine.1 * coarse.0)
    }
}

// Of an angle within half a turn, taken from within its eighth of a turn.
fn rounded(turn: usize, parts: usize) -> (f64, f64) {
    let unit = PI / (4 * parts) as f64;
    let (eighths, quarter) = (8 * turn, 2 * parts);
    let of = |eighths: usize| (libm::cos(eighths as f64 * unit), libm::sin(eighths as f64 * unit));
    let within_quarter = |eighths: usize| {
        if eighths < parts { of(eighths) } else { (of(quarter - eighths).1, of(quarter - eighths).0) }
    };
    if eighths < quarter {
        return within_quarter(eighths);
    }
    let (cosine, sine) = within_quarter((eighths - quarter).min(quarter));
    (-sine, cosine)
}
