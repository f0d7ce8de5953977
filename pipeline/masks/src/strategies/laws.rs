//! What must hold for every registered strategy.

use super::*;
use crate::{Frequencies, Guide, Image, Masker, Masks};

const BOXES: Guide<'static> = Guide::Boxes(&[[0.1, 0.2, 0.6, 0.9]]);

// Each registered strategy as its publication has it, and settings that reach further into the same strategies.
fn configs() -> Vec<MaskConfig> {
    let color = |color| MaskConfig::ColorNoise(ColorNoise { color, ..ColorNoise::default() });
    let field = |kind| MaskConfig::Field(Field { kind, ..Field::default() });
    let shared = Some(SharedWindow { patterns: 8, size: 32 });
    let attention = |mode| MaskConfig::Attention(Attention { mode, ..Attention::default() });
    MaskConfig::examples()
        .into_iter()
        .chain([Color::White, Color::Red, Color::Blue, Color::Purple].map(color))
        .chain([field(FieldKind::Halton), field(FieldKind::Perlin { spacing: 4.0 })])
        .chain([attention(AttentionMode::High), attention(AttentionMode::Hint { show_ratio: 0.05, show_max: 0.1 })])
        .chain([
            MaskConfig::ColorNoise(ColorNoise { shared_window: shared, ..ColorNoise::default() }),
            MaskConfig::Disjoint(Disjoint { ratio: 0.35, views: 3, block: 1 }),
            MaskConfig::Grid(Regular { step: 3, random_phase: true }),
            MaskConfig::TokenSchedule(TokenSchedule::mage()),
            MaskConfig::Roi(Roi { ratio: Some(0.4), regions: Regions::Keep, ..Roi::default() }),
        ])
        .collect()
}

fn scores(grid: Grid) -> Vec<f32> {
    (0..grid.cells()).map(|cell| (cell * 37 % 101) as f32).collect()
}

fn guide<'a>(config: &MaskConfig, scores: &'a [f32]) -> Guide<'a> {
    if config.name() == "roi" { BOXES } else { Guide::Scores(scores) }
}

fn draw(config: &MaskConfig, grid: Grid, key: &[u8], view: u32) -> Masks {
    let scores = scores(grid);
    let mut masker = Masker::new(config, grid, 1).unwrap();
    let mut masks = masker.masks();
    masker.draw(Image { key, view, guide: guide(config, &scores) }, &mut masks).unwrap();
    masks
}

fn grids() -> [Grid; 3] {
    [Grid::image(16, 16), Grid::image(8, 12), Grid::video(4, 12, 8)].map(Result::unwrap)
}

#[test]
fn a_mask_depends_on_seed_key_and_view_alone() {
    for (config, grid) in configs().iter().flat_map(|config| grids().map(|grid| (config, grid))) {
        let scores = scores(grid);
        let mut masker = Masker::new(config, grid, 1).unwrap();
        let mut masks = masker.masks();
        for view in (0..6).rev() {
            for key in [&b"one"[..], b"another", b"one"] {
                masker.draw(Image { key, view, guide: guide(config, &scores) }, &mut masks).unwrap();
                assert_eq!(masks, draw(config, grid, key, view), "{config:?} {grid:?}");
            }
        }
    }
}

#[test]
fn bits_behind_the_last_cell_are_never_set() {
    let grid = Grid::image(6, 6).unwrap();
    for config in configs().iter().filter(|config| config.check(grid).is_empty()) {
        for (layer, mask) in draw(config, grid, b"image", 0).layers {
            assert_eq!(mask.bits()[4] & 0xf0, 0, "{config:?} {layer:?}");
        }
    }
}

#[test]
fn the_first_layer_is_what_the_encoder_does_not_see() {
    for config in configs() {
        let masks = draw(&config, grids()[0], b"image", 0);
        assert_eq!(masks.layers[0].0, Layer::Masked, "{config:?}");
        assert!((1..256).contains(&masks.masked().num_masked()), "{config:?}");
    }
}

#[test]
fn views_differ_where_masks_are_drawn() {
    for config in configs() {
        let is_fixed = match &config {
            MaskConfig::Grid(settings) => !settings.random_phase,
            MaskConfig::Checkerboard(settings) => !settings.random_phase,
            MaskConfig::Roi(settings) => settings.ratio.is_none(),
            MaskConfig::Attention(settings) => settings.mode == AttentionMode::High,
            _ => false,
        };
        let first = draw(&config, grids()[0], b"image", 0);
        let is_same = (1..6).all(|view| draw(&config, grids()[0], b"image", view) == first);
        assert_eq!(is_same, is_fixed, "{config:?}");
    }
}

#[test]
fn another_seed_draws_other_masks() {
    let grid = grids()[0];
    let mask = |seed| {
        let mut masker = Masker::new(&MaskConfig::Random(Random::default()), grid, seed).unwrap();
        masker.views(b"image", 0..1, Guide::None).unwrap()
    };
    assert_ne!(mask(1), mask(2));
}

#[test]
fn settings_survive_a_job_file() {
    for config in configs() {
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<MaskConfig>(&text).unwrap(), config, "{text}");
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<MaskConfig>(&json).unwrap(), config, "{json}");
    }
}

#[test]
fn an_unknown_setting_is_refused() {
    for config in MaskConfig::examples() {
        let text = format!("{} = {{ no_such_setting = 1 }}", config.name());
        assert!(toml::from_str::<MaskConfig>(&text).is_err(), "{text}");
    }
}

#[test]
fn counts_are_exact_on_every_grid_at_every_ratio() {
    for (rows, columns) in (7..=32).map(|side| (side, side)).chain([(7, 32), (9, 13), (31, 8)]) {
        let grid = Grid::image(rows, columns).unwrap();
        for ratio in (1..=19).map(|twentieths| f64::from(twentieths) / 20.0) {
            let fixed = crate::Ratio::Fixed(ratio);
            let configs = [
                MaskConfig::Random(Random { ratio: fixed, ..Random::default() }),
                MaskConfig::Tube(Tube { ratio: fixed }),
                MaskConfig::Cells(Cells { ratio: fixed, block: 1 }),
                MaskConfig::ColorNoise(ColorNoise { ratio: fixed, color: Color::Red, ..ColorNoise::default() }),
                MaskConfig::InverseBlock(InverseBlock { ratio, ..InverseBlock::default() }),
                MaskConfig::Hierarchical3d(Hierarchical3d { ratio: fixed, scale: 1 }),
            ];
            for config in configs {
                let masks = draw(&config, grid, b"image", 0);
                let mask = masks.masked();
                assert_eq!(mask.num_masked(), mask.rule().masked(grid.cells(), ratio), "{config:?} {grid:?}");
            }
        }
    }
}

#[test]
fn disjoint_views_mask_every_cell_at_least_once() {
    for (ratio, views, block) in [(0.6, 2, 2), (0.75, 2, 1), (0.9, 4, 1), (0.5, 2, 2), (0.35, 3, 1), (0.3, 4, 2)] {
        let config = MaskConfig::Disjoint(Disjoint { ratio, views, block });
        let grid = Grid::image(14, 14).unwrap();
        let masks: Vec<_> = (0..views).map(|view| draw(&config, grid, b"image", view)).collect();
        assert!((0..196).all(|cell| masks.iter().any(|masks| masks.masked().is_masked(cell))), "{config:?}");
        let blocks = 196 / (block * block) as usize;
        let masked = CountRule::KeepTruncated.masked(blocks, ratio) * (block * block) as usize;
        assert!(masks.iter().all(|masks| masks.masked().num_masked() == masked), "{config:?}");
    }
}

#[test]
fn no_cell_is_favoured_where_none_is_promised_to_be() {
    let mut promised = 0;
    let phased = [
        MaskConfig::Checkerboard(Checkerboard { random_phase: true }),
        MaskConfig::Grid(Regular { step: 2, random_phase: true }),
    ];
    for config in configs().into_iter().chain(phased).filter(MaskConfig::favours_no_cell) {
        let grid = Grid::image(12, 12).unwrap();
        let mut masker = Masker::new(&config, grid, 1).unwrap();
        let mut masks = masker.masks();
        let mut frequencies = Frequencies::new(12, 12);
        for number in 0..20_000_u32 {
            masker.draw(Image { key: &number.to_le_bytes(), view: 0, guide: Guide::None }, &mut masks).unwrap();
            frequencies.add(masks.masked());
        }
        let chi = frequencies.chi_square().unwrap();
        assert!(chi.excess() < 4.5, "{config:?}: {chi:?}");
        promised += 1;
    }
    assert!(promised >= 14, "{promised}");
}

// A field may be the same everywhere, and its ranks within a window are not: cells at the border have less in common
// with the rest of the window, so that the extremes are more often there. The authors' windows do the same.
#[test]
fn colored_noise_favours_borders_no_more_than_ranks_in_a_window_must() {
    let grid = Grid::image(14, 14).unwrap();
    for (color, most) in [(Color::White, 0.01), (Color::Blue, 0.03), (Color::Green, 0.05), (Color::Red, 0.08)] {
        let config = MaskConfig::ColorNoise(ColorNoise { color, ..ColorNoise::default() });
        let mut masker = Masker::new(&config, grid, 1).unwrap();
        let mut masks = masker.masks();
        let mut corners = 0_u32;
        for number in 0..20_000_u32 {
            masker.draw(Image { key: &number.to_le_bytes(), view: 0, guide: Guide::None }, &mut masks).unwrap();
            corners += [0, 13, 182, 195].map(|cell| u32::from(masks.masked().is_masked(cell))).iter().sum::<u32>();
        }
        let bias = f64::from(corners) / 80_000.0 - 0.75;
        assert!(bias.abs() < most, "{color:?}: {bias}");
    }
}
