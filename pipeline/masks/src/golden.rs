//! Holds every strategy against what public code makes of the same draws: `tests/masks/golden.py` writes the files.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::strategies::MaskConfig;
use crate::{Grid, Guide, Image, Masker};

/// The contents of a golden file.
pub(crate) fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    reference: String,
    licence: String,
    config: MaskConfig,
    grid: [u32; 3],
    /// What the strategy goes by, where it needs something.
    scores: Option<String>,
    /// Of the first image, in the order of the reference.
    ids_keep: Option<Vec<u32>>,
    ids_restore: Option<Vec<u32>>,
    /// Of each image in each view: each layer's bits.
    masks: Vec<Vec<Vec<String>>>,
}

fn all() -> Vec<(String, Golden)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden/masks");
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(&format!("masks/{name}")))).collect()
}

// Different numbers for all cells, which `references.attention_of` makes too.
fn attention(cells: usize, image: usize) -> Vec<f32> {
    (0..cells).map(|cell| ((cell * 37 + image * 11) % 997 + 1) as f32).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_reference_gives_our_masks_from_our_draws() {
    let goldens = all();
    assert!(goldens.len() >= 40, "{}", goldens.len());
    for (name, golden) in goldens {
        let [frames, rows, columns] = golden.grid;
        let grid = Grid::video(frames, rows, columns).unwrap();
        let mut masker = Masker::new(&golden.config, grid, 1).unwrap();
        let mut masks = masker.masks();
        for (image, views) in golden.masks.iter().enumerate() {
            let scores = if golden.scores.is_some() { attention(grid.cells(), image) } else { Vec::new() };
            let guide = if golden.scores.is_some() { Guide::Scores(&scores) } else { Guide::None };
            for (view, layers) in views.iter().enumerate() {
                let key = format!("image {image}");
                masker.draw(Image { key: key.as_bytes(), view: view as u32, guide }, &mut masks).unwrap();
                let drawn: Vec<String> = masks.layers.iter().map(|(_, mask)| hex(mask.bits())).collect();
                assert_eq!(&drawn, layers, "{name}: {} ({}), {key}, view {view}", golden.reference, golden.licence);
            }
        }
    }
}

#[test]
fn ids_come_in_the_order_of_the_reference() {
    let with_ids = all()
        .into_iter()
        .filter_map(|(name, golden)| Some((name, golden.ids_keep?, golden.ids_restore?, golden.config, golden.grid)));
    let mut compared = 0;
    for (name, ids_keep, ids_restore, config, [frames, rows, columns]) in with_ids {
        let mut masker = Masker::new(&config, Grid::video(frames, rows, columns).unwrap(), 1).unwrap();
        let mut masks = masker.masks();
        masker.draw(Image { key: b"image 0", view: 0, guide: Guide::None }, &mut masks).unwrap();
        let drawn = masks.masked().reference_ids(masker.scores().unwrap());
        assert_eq!(drawn, (ids_keep, ids_restore), "{name}");
        compared += 1;
    }
    assert!(compared >= 8, "{compared}");
}
