//! The cosine transform of 32 numbers, with the roundings of `scipy.fftpack.dct`.
//!
//! Where an image is of one colour, or symmetrical, many of its frequencies are nothing but what rounding has left, and a
//! hash takes bits from those too. So sums and products stand in the order that SciPy's pocketfft has them in (FFTPACK's
//! passes over factors of 2, 4 and 4, for even numbers as Swarztrauber derives a cosine transform from a real Fourier
//! transform), with its cosines, which are products of rounded ones.

use std::f64::consts::SQRT_2;

const COUNT: usize = 32;
type Numbers = [f64; COUNT];

/// Cosine and sine of the first seven of 32 parts of a turn, as pocketfft rounds them: products of rounded ones, which no
/// library's functions give to the last bit.
#[allow(clippy::approx_constant)]
const TURNS: [(f64, f64); 7] = [
    (0.980_785_280_403_230_4, 0.195_090_322_016_128_25),
    (0.923_879_532_511_286_7, 0.382_683_432_365_089_8),
    (0.831_469_612_302_545_2, 0.555_570_233_019_602_2),
    (0.707_106_781_186_547_5, 0.707_106_781_186_547_6),
    (0.555_570_233_019_602_2, 0.831_469_612_302_545_2),
    (0.382_683_432_365_089_8, 0.923_879_532_511_286_7),
    (0.195_090_322_016_128_25, 0.980_785_280_403_230_4),
];

/// The cosines of the first 31 of 128 parts of a turn, rounded in the same way.
const COSINES: [f64; 31] = [
    0.998_795_456_205_172_4,
    0.995_184_726_672_196_9,
    0.989_176_509_964_781,
    0.980_785_280_403_230_4,
    0.970_031_253_194_544,
    0.956_940_335_732_208_8,
    0.941_544_065_183_020_8,
    0.923_879_532_511_286_7,
    0.903_989_293_123_443_3,
    0.881_921_264_348_355,
    0.857_728_610_000_272_1,
    0.831_469_612_302_545_2,
    0.803_207_531_480_644_9,
    0.773_010_453_362_737,
    0.740_951_125_354_959_1,
    0.707_106_781_186_547_5,
    0.671_558_954_847_018_3,
    0.634_393_284_163_645_5,
    0.595_699_304_492_433_2,
    0.555_570_233_019_602_2,
    0.514_102_744_193_221_7,
    0.471_396_736_825_997_53,
    0.427_555_093_430_282_03,
    0.382_683_432_365_089_67,
    0.336_889_853_392_219_94,
    0.290_284_677_254_462_3,
    0.242_980_179_903_263_93,
    0.195_090_322_016_128_25,
    0.146_730_474_455_361_64,
    0.098_017_140_329_560_49,
    0.049_067_674_327_417_99,
];

/// Twice the sums of `x[n] cos(pi k (2 n + 1) / 64)`, for each `k`.
pub(super) fn cosine_transform(mut x: Numbers) -> Numbers {
    x[0] *= 2.0;
    x[COUNT - 1] *= 2.0;
    for pair in x[1..COUNT - 1].as_chunks_mut::<2>().0 {
        *pair = [pair[0] + pair[1], pair[1] - pair[0]];
    }
    x = by_four(&by_four(&by_two(&x), 4), 1);
    for low in 1..COUNT / 2 {
        let high = COUNT - low;
        let (cosine, sine) = (COSINES[low - 1], COSINES[high - 1]);
        let sum = cosine * x[high] + sine * x[low];
        let difference = cosine * x[low] - sine * x[high];
        (x[low], x[high]) = (0.5 * (sum + difference), 0.5 * (sum - difference));
    }
    x[COUNT / 2] *= COSINES[COUNT / 2 - 1];
    x
}

// The first pass of the Fourier transform: two runs out of one of pairs, real and imaginary.
fn by_two(x: &Numbers) -> Numbers {
    const LENGTH: usize = COUNT / 2;
    let from = |run: usize, place: usize| x[place + LENGTH * run];
    let to = |run: usize, place: usize| place + LENGTH * run;
    let mut out = [0.0; COUNT];
    out[to(0, 0)] = from(0, 0) + from(1, LENGTH - 1);
    out[to(1, 0)] = from(0, 0) - from(1, LENGTH - 1);
    out[to(0, LENGTH - 1)] = 2.0 * from(0, LENGTH - 1);
    out[to(1, LENGTH - 1)] = -2.0 * from(1, 0);
    for place in (2..LENGTH).step_by(2) {
        let mirror = LENGTH - place;
        out[to(0, place - 1)] = from(0, place - 1) + from(1, mirror - 1);
        out[to(0, place)] = from(0, place) - from(1, mirror);
        let real = from(0, place - 1) - from(1, mirror - 1);
        let imaginary = from(0, place) + from(1, mirror);
        (out[to(1, place - 1)], out[to(1, place)]) = turned(place / 2, real, imaginary);
    }
    out
}

// A pass that makes four runs of this length, 4 or 1, out of each.
fn by_four(x: &Numbers, length: usize) -> Numbers {
    let groups = COUNT / (4 * length);
    let mut out = [0.0; COUNT];
    for group in 0..groups {
        let from = |run: usize, place: usize| x[place + length * (run + 4 * group)];
        let to = |run: usize, place: usize| place + length * (group + groups * run);
        let last = length - 1;
        let (sum, difference) = (from(0, 0) + from(3, last), from(0, 0) - from(3, last));
        let (second, third) = (2.0 * from(1, last), 2.0 * from(2, 0));
        out[to(0, 0)] = sum + second;
        out[to(2, 0)] = sum - second;
        out[to(3, 0)] = difference + third;
        out[to(1, 0)] = difference - third;
        if last == 0 {
            continue;
        }
        let (imaginary, apart) = (from(3, 0) + from(1, 0), from(3, 0) - from(1, 0));
        let (sum, difference) = (from(0, last) + from(2, last), from(0, last) - from(2, last));
        out[to(0, last)] = sum + sum;
        out[to(1, last)] = SQRT_2 * (difference - imaginary);
        out[to(2, last)] = apart + apart;
        out[to(3, last)] = -SQRT_2 * (difference + imaginary);
        // What is left of a run of four is one pair.
        let (a, b) = (from(0, 1) + from(3, 1), from(0, 1) - from(3, 1));
        let (c, d) = (from(0, 2) + from(3, 2), from(0, 2) - from(3, 2));
        let (e, f) = (from(2, 2) + from(1, 2), from(2, 2) - from(1, 2));
        let (g, h) = (from(2, 1) + from(1, 1), from(2, 1) - from(1, 1));
        (out[to(0, 1)], out[to(0, 2)]) = (a + g, d + f);
        for (run, real, imaginary) in [(1, b - e, c + h), (2, a - g, d - f), (3, b + e, c - h)] {
            (out[to(run, 1)], out[to(run, 2)]) = turned(run * groups, real, imaginary);
        }
    }
    out
}

fn turned(parts: usize, real: f64, imaginary: f64) -> (f64, f64) {
    let (cosine, sine) = TURNS[parts - 1];
    (cosine * real - sine * imaginary, cosine * imaginary + sine * real)
}
