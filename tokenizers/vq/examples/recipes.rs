//! Writes every published recipe into a folder, one JSON file each: what `tests/pixels/parity.py` reads.

use std::path::Path;

use pageloom_vq::pixels::{Crop, recipes};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder")?;
    for (name, recipe) in [
        ("taming", recipes::taming(256)),
        ("llamagen", recipes::llamagen(256)),
        ("llamagen_ten", recipes::llamagen_ten(256, 1100)),
        ("chameleon", recipes::chameleon(512)),
        ("transformers_chameleon", recipes::transformers_chameleon(512)),
        ("torchvision", recipes::torchvision(256)),
        ("amused", recipes::amused(256)),
        ("dall_e", recipes::dall_e(256)),
        ("emu3", recipes::emu3()),
        ("lumina", recipes::lumina(512)),
        ("cm3", recipes::cm3(256, Crop::Random { size: None })),
    ] {
        std::fs::write(Path::new(&folder).join(format!("{name}.json")), serde_json::to_vec_pretty(&recipe)?)?;
    }
    Ok(())
}
