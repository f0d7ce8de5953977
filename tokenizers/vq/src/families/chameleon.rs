//! Chameleon's and Anole's VQGAN as transformers has it (`models/chameleon/modeling_chameleon.py`, Apache-2.0), alone or
//! inside the whole model.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Builder, ConvShape, Style, TensorNames};
use super::ddconfig::DdConfig;
use super::pyramid::{Middle, Pyramid};
use super::{Architecture, Bounded, Family, INSIDE_A_WHOLE_MODEL, Sides, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::pixels::{Alpha, Sampling};
use crate::plan::{Codebook, DecodePlan, Meaning, Plan, Quantiser};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "chameleon", publishes, read };

/// `ChameleonVQVAEConfig`, with its defaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Settings {
    embed_dim: usize,
    num_embeddings: u32,
    double_latent: bool,
    latent_channels: usize,
    resolution: u32,
    in_channels: usize,
    base_channels: usize,
    channel_multiplier: Vec<usize>,
    num_res_blocks: usize,
    attn_resolutions: Option<Vec<u32>>,
    attn_type: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            embed_dim: 256,
            num_embeddings: 8192,
            double_latent: false,
            latent_channels: 256,
            resolution: 512,
            in_channels: 3,
            base_channels: 128,
            channel_multiplier: vec![1, 1, 2, 2, 4],
            num_res_blocks: 2,
            attn_resolutions: None,
            attn_type: Some("vanilla".to_owned()),
        }
    }
}

#[derive(Debug)]
struct Chameleon {
    settings: Settings,
    ddconfig: DdConfig,
}

fn publishes(config: &Value) -> bool {
    config["model_type"] == "chameleon_vqgan" || config["model_type"] == "chameleon"
}

fn read(mut config: Value) -> Result<Box<dyn Architecture>, String> {
    if config["model_type"] == "chameleon" {
        config = match config["vq_config"].take() {
            // A whole model that doesn't tell of its tokenizer has one with all defaults.
            Value::Null => Value::Object(Default::default()),
            told => told,
        };
    }
    let settings: Settings = settings(config)?;
    Bounded("`num_embeddings`", settings.num_embeddings as usize).within(1, 1 << 20)?;
    Bounded("`embed_dim`", settings.embed_dim).within(1, 1 << 16)?;
    let attends = settings.attn_type.as_deref() == Some("vanilla");
    let ddconfig = DdConfig {
        ch: settings.base_channels,
        ch_mult: settings.channel_multiplier.clone(),
        num_res_blocks: settings.num_res_blocks,
        attn_resolutions: if attends { settings.attn_resolutions.clone().unwrap_or_default() } else { Vec::new() },
        resolution: settings.resolution,
        in_channels: settings.in_channels,
        z_channels: settings.latent_channels,
        double_z: settings.double_latent,
    };
    ddconfig.check()?;
    Ok(Box::new(Chameleon { settings, ddconfig }))
}

impl Chameleon {
    fn without_attention(&self, mut pyramid: Pyramid) -> Pyramid {
        if self.settings.attn_type.as_deref() != Some("vanilla") {
            pyramid.names.middle.retain(|block| matches!(block, Middle::Residual(_)));
        }
        pyramid
    }

    fn codebook_of(&self, builder: &mut Builder) -> Result<Codebook, VqError> {
        builder.codebook("quantize.embedding.weight", self.settings.num_embeddings as usize, self.settings.embed_dim)
    }
}

/// Where the whole model's file holds the tokenizer.
const INSIDE: TensorNames = TensorNames::Prefixed(INSIDE_A_WHOLE_MODEL);

fn names_of(checkpoint: &Checkpoint) -> TensorNames {
    let inside = checkpoint.names().any(|name| name.starts_with(INSIDE_A_WHOLE_MODEL));
    if inside { INSIDE } else { TensorNames::Prefixed("") }
}

impl Architecture for Chameleon {
    fn sides(&self) -> Sides {
        self.ddconfig.sides()
    }

    fn codebook_size(&self) -> u32 {
        self.settings.num_embeddings
    }

    /// Meta's own; transformers' processor multiplies by 0.0078 instead of 2/255, which `input_range` can say.
    fn preprocessing(&self) -> Preprocessing {
        Preprocessing { sampling: Sampling::Lanczos, alpha: Alpha::OnWhite, ..Preprocessing::TAMING }
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let names = names_of(checkpoint);
        let prefixes = ["encoder.", "quant_conv.", "quantize."].map(|part| names.of(part)).to_vec();
        let mut builder = Builder::new(checkpoint, names, Style::TAMING);
        self.without_attention(self.ddconfig.encoder()).encode(&mut builder)?;
        builder.conv("quant_conv", ConvShape::pointwise(self.settings.latent_channels, self.settings.embed_dim))?;
        let quantiser = Quantiser::Nearest(self.codebook_of(&mut builder)?);
        Ok(Taken { plan: Plan { size, input: Range::SIGNED, ops: builder.ops, quantiser }, prefixes })
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let names = names_of(checkpoint);
        let prefixes = ["decoder.", "post_quant_conv."].map(|part| names.of(part)).to_vec();
        let mut builder = Builder::new(checkpoint, names, Style::TAMING);
        let codes = Meaning::Rows(self.codebook_of(&mut builder)?);
        builder
            .conv("post_quant_conv", ConvShape::pointwise(self.settings.embed_dim, self.settings.latent_channels))?;
        self.without_attention(self.ddconfig.decoder()).decode(&mut builder)?;
        Ok(Taken { plan: DecodePlan { grid, codes, ops: builder.ops, output: Range::SIGNED }, prefixes })
    }
}
