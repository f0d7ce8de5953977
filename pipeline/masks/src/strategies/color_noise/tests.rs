use super::*;

// The largest response, and the lowest and the highest frequency with at least half of it.
fn shape(color: Color) -> (f64, f64, f64) {
    let filter = color.filter();
    let frequencies: Vec<f64> = (0..=707).map(|thousandths| f64::from(thousandths) / 1000.0).collect();
    let highest = frequencies
        .iter()
        .copied()
        .max_by(|&left, &right| filter.response(left).total_cmp(&filter.response(right)))
        .unwrap();
    let half = |frequency: &&f64| filter.response(**frequency) >= filter.response(highest) / 2.0;
    (highest, *frequencies.iter().find(half).unwrap(), *frequencies.iter().rfind(half).unwrap())
}

#[test]
fn red_falls_to_half_at_the_figures_frequency() {
    let (peak, _, last) = shape(Color::Red);
    assert!(peak == 0.0 && (last - 0.07).abs() < 0.01, "{peak} {last}");
    assert!(Color::Red.filter().response(0.15) < 0.02);
}

#[test]
fn green_has_the_figures_band() {
    let (peak, first, last) = shape(Color::Green);
    assert!((peak - 0.20).abs() < 0.01 && (first - 0.15).abs() < 0.02 && (last - 0.26).abs() < 0.02, "{first} {last}");
}

#[test]
fn blue_rises_to_half_at_the_figures_frequency() {
    let (peak, first, _) = shape(Color::Blue);
    assert!(peak > 0.7 && (0.54..0.58).contains(&first), "{peak} {first}");
    assert!(Color::Blue.filter().response(0.25) < 0.05);
}

#[test]
fn purple_has_a_low_and_a_high_lobe() {
    let filter = Color::Purple.filter();
    let most = filter.response(0.0);
    assert!(filter.response(0.055) > most / 2.0 && filter.response(0.60) > most / 3.0);
    assert!((10..45).all(|hundredths| filter.response(f64::from(hundredths) / 100.0) < most / 4.0));
}

#[test]
fn several_passes_are_a_sum_of_wider_blurs() {
    // (G1 - G2)^n is the sum over k of C(n, k) (-1)^k G(sqrt((n - k) s1^2 + k s2^2)).
    let filter = Color::Green.filter();
    let binomials = [1.0, -5.0, 10.0, -10.0, 5.0, -1.0];
    for frequency in [0.0, 0.1, 0.2, 0.35, 0.7] {
        let terms = binomials.iter().enumerate().map(|(k, binomial)| {
            let s = ((5 - k) as f64 * 0.63_f64.powi(2) + k as f64 * 1.75_f64.powi(2)).sqrt();
            binomial * Filter { color: Color::Red, s1: s, s2: 0.0, passes: 1 }.response(frequency)
        });
        assert!((terms.sum::<f64>() - filter.response(frequency)).abs() < 1e-12);
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let settings = ColorNoise {
        ratio: Ratio::Fixed(2.0),
        s1: Some(3.0),
        passes: Some(0),
        shared_window: Some(SharedWindow { patterns: 0, size: 13 }),
        ..ColorNoise::default()
    };
    assert_eq!(settings.check(Grid::image(14, 14).unwrap()).len(), 5);
}

/// Cells of a side in which fields are looked at, so that frequencies are 1/64 cycles per cell apart.
const SIDE: usize = 64;

// Per radial frequency, in hundredths of a cycle per cell, the amplitude of drawn fields. Towards the border a window
// takes them down to nothing, or else what opposite borders don't have in common would be found at all frequencies.
fn amplitudes(color: Color) -> Vec<f64> {
    let config = super::super::MaskConfig::ColorNoise(ColorNoise { color, ..ColorNoise::default() });
    let mut masker = crate::Masker::new(&config, Grid::image(SIDE as u32, SIDE as u32).unwrap(), 1).unwrap();
    let mut masks = masker.masks();
    let waves: Vec<(f64, f64)> = (0..SIDE)
        .map(|place| (2.0 * PI * place as f64 / SIDE as f64).sin_cos())
        .map(|(sine, cosine)| (cosine, sine))
        .collect();
    let window: Vec<f64> = (0..SIDE).map(|place| (PI * (place as f64 + 0.5) / SIDE as f64).sin().powi(2)).collect();
    let mut powers = vec![(0.0, 0.0); 72];
    for number in 0..40_u32 {
        let guide = crate::Guide::None;
        masker.draw(crate::Image { key: &number.to_le_bytes(), view: 0, guide }, &mut masks).unwrap();
        let field: Vec<(f64, f64)> = masker.scores().unwrap().iter().map(|&score| (f64::from(score), 0.0)).collect();
        let windowed =
            |(cell, (value, _)): (usize, &(f64, f64))| (value * window[cell / SIDE] * window[cell % SIDE], 0.0);
        let once = transformed(&field.iter().enumerate().map(windowed).collect::<Vec<_>>(), &waves);
        for (cell, (real, imaginary)) in transformed(&once, &waves).into_iter().enumerate() {
            let at = |frequency: usize| frequency.min(SIDE - frequency) as f64 / SIDE as f64;
            let (sum, count) = &mut powers[(at(cell / SIDE).hypot(at(cell % SIDE)) * 100.0).round() as usize];
            (*sum, *count) = (*sum + real * real + imaginary * imaginary, *count + 1.0);
        }
    }
    powers.into_iter().map(|(sum, count)| if count > 0.0 { (sum / count).sqrt() } else { 0.0 }).collect()
}

// The Fourier transform of each row, with rows and columns exchanged: twice is that of both.
fn transformed(field: &[(f64, f64)], waves: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out = vec![(0.0, 0.0); field.len()];
    for (row, values) in field.chunks_exact(SIDE).enumerate() {
        for frequency in 0..SIDE {
            out[frequency * SIDE + row] = (0..SIDE).fold((0.0, 0.0), |sum, place| {
                let ((cosine, sine), (real, imaginary)) = (waves[frequency * place % SIDE], values[place]);
                (sum.0 + real * cosine + imaginary * sine, sum.1 + imaginary * cosine - real * sine)
            });
        }
    }
    out
}

// The frequency of the highest amplitude, where it first and where it last is half of that, and shares of the highest.
// That of no frequency at all is one number of each field, which says little of how large it is as a rule.
fn measured(color: Color) -> (f64, f64, f64, Vec<f64>) {
    let mut amplitudes = amplitudes(color);
    amplitudes[0] = 0.0;
    let highest = amplitudes.iter().copied().fold(0.0, f64::max);
    let shares: Vec<f64> = amplitudes.into_iter().map(|amplitude| amplitude / highest).collect();
    let half = |share: &f64| *share >= 0.5;
    let [peak, first, last] =
        [shares.iter().position(|&share| share == 1.0), shares.iter().position(half), shares.iter().rposition(half)]
            .map(Option::unwrap);
    // Between a place with more than half and its neighbour with less, on a line.
    let beyond =
        |place: usize, next: Option<&f64>| next.map_or(0.0, |next| (shares[place] - 0.5) / (shares[place] - next));
    let from = first as f64 - beyond(first, shares[..first].last());
    let to = last as f64 + beyond(last, shares.get(last + 1));
    (peak as f64 / 100.0, from / 100.0, to / 100.0, shares)
}

fn most(shares: &[f64], hundredths: std::ops::Range<usize>) -> f64 {
    shares[hundredths].iter().copied().fold(0.0, f64::max)
}

// What was measured in the publication's figure: red has half its amplitude at 0.07 cycles per cell and nothing above
// 0.15; green is highest at 0.20 and has half from 0.15 to 0.26; blue has nothing below 0.25 and half at 0.55 to 0.57;
// purple has a lobe below 0.07 and one above 0.55.
#[test]
fn drawn_red_noise_has_the_figures_spectrum() {
    let (peak, _, last, shares) = measured(Color::Red);
    assert!(peak <= 0.03 && (last - 0.07).abs() <= 0.01 && most(&shares, 16..72) < 0.03, "{peak} {last} {shares:?}");
}

#[test]
fn drawn_green_noise_has_the_figures_spectrum() {
    let (peak, first, last, _) = measured(Color::Green);
    let is_near = |frequency: f64, figure: f64| (frequency - figure).abs() <= 0.02;
    assert!(is_near(peak, 0.20) && is_near(first, 0.15) && is_near(last, 0.26), "{peak} {first} {last}");
}

#[test]
fn drawn_blue_noise_has_the_figures_spectrum() {
    let (peak, first, _, shares) = measured(Color::Blue);
    assert!(peak > 0.65 && (0.54..=0.58).contains(&first) && most(&shares, 0..25) < 0.05, "{peak} {first} {shares:?}");
}

#[test]
fn drawn_purple_noise_has_the_figures_spectrum() {
    let (peak, first, last, shares) = measured(Color::Purple);
    assert!(peak <= 0.03 && first <= 0.02 && last >= 0.55, "{peak} {first} {last}");
    assert!(most(&shares, 12..45) < 0.25 && most(&shares, 58..72) > 0.4, "{shares:?}");
}

#[test]
fn patterns_that_would_fill_memory_are_refused() {
    let grid = Grid::image(14, 14).unwrap();
    let problems = |patterns, schedule: &[ColorFrom]| {
        let shared_window = Some(SharedWindow { patterns, size: 1024 });
        ColorNoise { schedule: schedule.to_vec(), shared_window, ..ColorNoise::default() }.check(grid)
    };
    assert_eq!(problems(256, &[]), [""; 0]);
    assert!(problems(257, &[])[0].contains("257 patterns of 1024 x 1024"));
    let blue = ColorFrom { view: 200, color: Color::Blue };
    assert!(problems(256, &[blue])[0].contains("each of 2 colors, which take 2147483648 bytes"));
}
