//! `pageloom masks`: looks at patch masks.

use std::path::PathBuf;

use clap::Subcommand;
use pageloom::error::RunError;
use pageloom::{answer, tell};
use pageloom_masks::strategies::MaskConfig;
use pageloom_masks::{Grid, gallery};
use pageloom_vq::pixels::{Size, png};

/// What can be done with patch masks.
#[derive(Debug, Subcommand)]
pub enum MasksCommand {
    /// Draw every strategy on one sheet: some of its masks, where they lie on average, and their radial spectrum.
    ///
    /// Settings are those of the publications. A strategy that they don't fit on the grid is left out, and named.
    Gallery {
        /// The PNG file.
        #[arg(long)]
        out: PathBuf,
        /// Columns and rows of the grid.
        #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=256))]
        grid: u16,
        /// The seed of the masks.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Pixels of a tile.
        #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u16).range(1..=1024))]
        tile: u16,
    },
}

/// Does it, and prints what comes of it.
pub fn execute(command: MasksCommand) -> Result<(), RunError> {
    let MasksCommand::Gallery { out, grid, seed, tile } = command;
    let failed = |error: &dyn std::fmt::Display| RunError::Model(error.to_string());
    let grid = Grid::image(u32::from(grid), u32::from(grid)).map_err(|error| failed(&error))?;
    let (fitting, others): (Vec<_>, Vec<_>) =
        MaskConfig::kinds().into_iter().partition(|(_, config)| config.check(grid).is_empty());
    for (name, config) in others {
        tell!("{name} is left out: {}", config.check(grid).join("; "));
    }
    let sheet = gallery(&fitting, grid, seed, usize::from(tile)).map_err(|error| failed(&error))?;
    let size = Size { width: sheet.width as u32, height: sheet.height as u32 };
    let file = png(&sheet.rgb, size).map_err(|error| failed(&error))?;
    std::fs::write(&out, file).map_err(|error| failed(&format!("{}: {error}", out.display())))?;
    answer!("{}: from top to bottom {}", out.display(), sheet.names.join(", "))?;
    Ok(())
}
