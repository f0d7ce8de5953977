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
