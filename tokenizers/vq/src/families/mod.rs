//! Families: each turns a configuration and a checkpoint into a plan.

pub(crate) mod builder;
mod chameleon;
mod cosmos;
mod dalle;
mod dar;
mod ddconfig;
mod diffusers;
mod ibq;
mod llamagen;
mod mage;
mod maskgit;
mod open_magvit2;
mod pyramid;
mod rq_vae;
mod taming;
#[cfg(test)]
mod tests;
mod titok;
mod transformer;

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{DecodePlan, Plan};
use crate::preprocessing::Preprocessing;
use crate::tokenizer::{Grid, ImageSize};

/// Every family that can be loaded. A new one is a file and a line here.
pub(crate) const FAMILIES: [Family; 13] = [
    taming::FAMILY,
    llamagen::FAMILY,
    chameleon::FAMILY,
    diffusers::FAMILY,
    maskgit::FAMILY,
    mage::FAMILY,
    open_magvit2::FAMILY,
    ibq::FAMILY,
    rq_vae::FAMILY,
    cosmos::FAMILY,
    dalle::FAMILY,
    titok::FAMILY,
    dar::FAMILY,
];

/// A kind of checkpoint.
#[derive(Debug)]
pub(crate) struct Family {
    /// What `family` in `config.json` says, and what is recorded beside the ids.
    pub name: &'static str,
    /// Whether a `config.json` without `family` is one that this family's own code writes.
    pub publishes: fn(&Value) -> bool,
    /// The architecture that a `config.json` describes, or why it can't be built. Whatever it says, what is built stays
    /// within bounds.
    pub read: fn(Value) -> Result<Box<dyn Architecture>, String>,
}

/// A configuration of a family, checked.
pub(crate) trait Architecture: Debug + Send + Sync {
    /// From which the next two follow.
    fn sides(&self) -> Sides;
    /// The size it was trained at.
    fn native_size(&self) -> ImageSize {
        ImageSize::square(self.sides().image)
    }
    /// The grid of an image of this size, or why it can't be encoded.
    fn grid(&self, size: ImageSize) -> Result<Grid, String> {
        convolutional_grid(size, self.sides().place)
    }
    /// Ids for each place of the grid.
    fn codes_per_cell(&self) -> u32 {
        1
    }
    /// Ids are below this.
    fn codebook_size(&self) -> u32;
    /// How its own code makes the input.
    fn preprocessing(&self) -> Preprocessing;
    /// From an image to ids.
    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError>;
    /// From ids to an image.
    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError>;
}

/// Sides of squares, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides {
    /// The images that a model was trained at.
    pub image: u32,
    /// What a place of the grid covers.
    pub place: u32,
}

/// What was made of a checkpoint, and what the names of all tensors begin with that it must have taken.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    pub plan: T,
    pub prefixes: Vec<String>,
}

impl<T> Taken<T> {
    fn new<const N: usize>(plan: T, prefixes: [&str; N]) -> Self {
        Self { plan, prefixes: prefixes.map(str::to_owned).to_vec() }
    }
}

/// What the names of a tokenizer's tensors begin with inside Chameleon's and Anole's whole models.
pub(crate) const INSIDE_A_WHOLE_MODEL: &str = "model.vqmodel.";

/// Images larger than this would need more memory per image than anyone means to spend.
pub(crate) const LARGEST_SIDE: u32 = 4096;

/// The settings of a family, or what is wrong with them.
pub(crate) fn settings<T: DeserializeOwned>(config: Value) -> Result<T, String> {
    serde_json::from_value(config).map_err(|error| error.to_string())
}

/// The grid of a fully convolutional family, of which each place covers a square of `factor` pixels.
pub(crate) fn convolutional_grid(size: ImageSize, factor: u32) -> Result<Grid, String> {
    let fits = |side: u32| side > 0 && side <= LARGEST_SIDE && side.is_multiple_of(factor);
    if !fits(size.width) || !fits(size.height) {
        return Err(format!(
            "images of {} x {} pixels can't be encoded: sides are multiples of {factor} up to {LARGEST_SIDE}",
            size.width, size.height
        ));
    }
    Ok(Grid { width: (size.width / factor) as u16, height: (size.height / factor) as u16 })
}

/// A setting and its value.
pub(crate) struct Bounded(pub &'static str, pub usize);

impl Bounded {
    pub fn within(&self, least: usize, most: usize) -> Result<(), String> {
        let Self(name, value) = self;
        if (least..=most).contains(value) {
            return Ok(());
        }
        Err(format!("{name} is {value}; from {least} to {most} can be built"))
    }

    /// A number of channels that is normalised in groups.
    pub fn normalised(&self, groups: usize) -> Result<(), String> {
        let Self(name, value) = self;
        if *value > 0 && *value <= 4096 && value.is_multiple_of(groups) {
            return Ok(());
        }
        Err(format!("{name} has {value} channels; GroupNorm takes multiples of {groups}, up to 4096"))
    }
}
