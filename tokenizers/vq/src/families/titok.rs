//! TiTok's encoder (bytedance/1d-tokenizer, `modeling/titok.py`, Apache-2.0), and TA-TiTok's, which is the same: a vision
//! transformer whose latent tokens become a row of ids.

use serde::Deserialize;
use serde_json::Value;

use super::transformer::{Norms, affine, layer_norm, patches, thirds};
use super::{Architecture, Bounded, Family, LARGEST_SIDE, Taken, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{
    Block, Codebook, Conv, DecodePlan, Heads, Hidden, Op, Order, Padding, Plan, Quantiser, Sight, Transformer,
};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "titok", publishes, read };

fn publishes(config: &Value) -> bool {
    config.pointer("/model/vq_model/vit_enc_model_size").is_some()
}

/// The parts of its configuration that the encoder goes by.
#[derive(Debug, Clone, Deserialize)]
struct Settings {
    model: Model,
    dataset: Dataset,
}

#[derive(Debug, Clone, Deserialize)]
struct Model {
    vq_model: VqModel,
}

#[derive(Debug, Clone, Deserialize)]
struct VqModel {
    codebook_size: u32,
    token_size: usize,
    use_l2_norm: bool,
    vit_enc_model_size: ModelSize,
    vit_enc_patch_size: usize,
    num_latent_tokens: usize,
    #[serde(default)]
    quantize_mode: QuantizeMode,
    /// Whether latent tokens are mixed as the first models' were.
    #[serde(default = "yes")]
    is_legacy: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum QuantizeMode {
    #[default]
    Vq,
    Vae,
}

/// One of the three that are published, or a transformer of another size.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum ModelSize {
    Published(Published),
    Other(Size),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Published {
    Small,
    Base,
    Large,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Size {
    width: usize,
    layers: usize,
    heads: usize,
}

#[derive(Debug, Clone, Deserialize)]
struct Dataset {
    preprocessing: Crop,
}

#[derive(Debug, Clone, Deserialize)]
struct Crop {
    crop_size: u32,
}

const EPSILON: f32 = 1e-5;

fn yes() -> bool {
    true
}

impl ModelSize {
    fn size(self) -> Size {
        match self {
            Self::Published(Published::Small) => Size { width: 512, layers: 8, heads: 8 },
            Self::Published(Published::Base) => Size { width: 768, layers: 12, heads: 12 },
            Self::Published(Published::Large) => Size { width: 1024, layers: 24, heads: 16 },
            Self::Other(size) => size,
        }
    }
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    let (vq, Size { width, layers, heads }) = (&settings.model.vq_model, settings.size());
    if vq.quantize_mode == QuantizeMode::Vae {
        return Err("`quantize_mode` is vae, which has no ids".to_owned());
    }
    Bounded("`codebook_size`", vq.codebook_size as usize).within(1, 1 << 20)?;
    Bounded("`token_size`", vq.token_size).within(1, 1 << 16)?;
    Bounded("`num_latent_tokens`", vq.num_latent_tokens).within(1, 4096)?;
    Bounded("`vit_enc_patch_size`", vq.vit_enc_patch_size).within(1, 32)?;
    Bounded("`width`", width).within(1, 4096)?;
    Bounded("`layers`", layers).within(0, 64)?;
    Bounded("`heads`", heads).within(1, width)?;
    let side = settings.dataset.preprocessing.crop_size as usize;
    Bounded("`crop_size`", side).within(1, LARGEST_SIDE as usize)?;
    Bounded("the number of patches", (side / vq.vit_enc_patch_size).pow(2)).within(1, 1 << 14)?;
    if !width.is_multiple_of(heads) || !side.is_multiple_of(vq.vit_enc_patch_size) {
        return Err("`width` must be a multiple of `heads`, and `crop_size` of `vit_enc_patch_size`".to_owned());
    }
    Ok(Box::new(settings))
}

impl Settings {
    fn size(&self) -> Size {
        self.model.vq_model.vit_enc_model_size.size()
    }

    fn transformer(&self, checkpoint: &mut Checkpoint) -> Result<Transformer, VqError> {
        let (vq, Size { width, layers, heads }) = (&self.model.vq_model, self.size());
        let places = (self.dataset.preprocessing.crop_size as usize / vq.vit_enc_patch_size).pow(2);
        let class = checkpoint.take("encoder.class_embedding".to_owned(), &[1, width])?;
        let positions = checkpoint.take("encoder.positional_embedding".to_owned(), &[places + 1, width])?;
        let latents = checkpoint.take("latent_tokens".to_owned(), &[vq.num_latent_tokens, width])?;
        let latent_positions =
            checkpoint.take("encoder.latent_token_positional_embedding".to_owned(), &[vq.num_latent_tokens, width])?;
        let norms = Norms { epsilon: EPSILON, width };
        Ok(Transformer {
            width,
            place_norm: None,
            before: sum(&class, &positions),
            positions: positions.get(width..).unwrap_or_default().to_vec(),
            queries: sum(&latents, &latent_positions),
            norm_in: Some(layer_norm(checkpoint, "encoder.ln_pre", norms)?),
            attention: Heads { count: heads, sight: Sight::All, rotation: Vec::new() },
            blocks: (0..layers)
                .map(|layer| block(checkpoint, &format!("encoder.transformer.{layer}"), norms))
                .collect::<Result<_, _>>()?,
            norm_out: layer_norm(checkpoint, "encoder.ln_post", norms)?,
            order: if vq.is_legacy { Order::Mixed } else { Order::Tokens },
        })
    }
}

fn sum(left: &[f32], right: &[f32]) -> Vec<f32> {
    left.iter().zip(right).map(|(left, right)| left + right).collect()
}

fn block(checkpoint: &mut Checkpoint, name: &str, norms: Norms) -> Result<Block, VqError> {
    let width = norms.width;
    let weight = checkpoint.take(format!("{name}.attn.in_proj_weight"), &[3 * width, width])?;
    let bias = checkpoint.take(format!("{name}.attn.in_proj_bias"), &[3 * width])?;
    let [query, key, value] = thirds(&weight, &bias);
    Ok(Block {
        norm_1: layer_norm(checkpoint, &format!("{name}.ln_1"), norms)?,
        query,
        key,
        value,
        head_norms: None,
        projection: affine(checkpoint, &format!("{name}.attn.out_proj"), width, width)?,
        norm_2: layer_norm(checkpoint, &format!("{name}.ln_2"), norms)?,
        widen: affine(checkpoint, &format!("{name}.mlp.c_fc"), width, 4 * width)?,
        hidden: Hidden::Gelu,
        narrow: affine(checkpoint, &format!("{name}.mlp.c_proj"), 4 * width, width)?,
    })
}

impl Architecture for Settings {
    fn native_size(&self) -> ImageSize {
        ImageSize::square(self.dataset.preprocessing.crop_size)
    }

    /// Positions are learned, so there is one size.
    fn grid(&self, size: ImageSize) -> Result<Grid, String> {
        let only = self.native_size();
        if size != only {
            return Err(format!(
                "images of {} x {} pixels can't be encoded: this model takes {} x {}",
                size.width, size.height, only.width, only.height
            ));
        }
        Ok(Grid { width: self.model.vq_model.num_latent_tokens as u16, height: 1 })
    }

    fn codebook_size(&self) -> u32 {
        self.model.vq_model.codebook_size
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing { range: Range::UNIT, ..Preprocessing::ADM }
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let (vq, width) = (&self.model.vq_model, self.size().width);
        let embed = patches(checkpoint, "encoder.patch_embed", width, vq.vit_enc_patch_size)?;
        let transformer = self.transformer(checkpoint)?;
        let out = Conv {
            channels_in: width,
            channels_out: vq.token_size,
            kernel: 1,
            stride: 1,
            padding: Padding::NONE,
            weight: checkpoint.take("encoder.conv_out.weight".to_owned(), &[vq.token_size, width, 1, 1])?,
            bias: checkpoint.take("encoder.conv_out.bias".to_owned(), &[vq.token_size])?,
        };
        let (count, dimension) = (vq.codebook_size as usize, vq.token_size);
        let vectors = checkpoint.take("quantize.embedding.weight".to_owned(), &[count, dimension])?;
        let codebook = Codebook { count, dimension, vectors };
        let quantiser = if vq.use_l2_norm { Quantiser::Cosine(codebook) } else { Quantiser::Nearest(codebook) };
        let ops = vec![Op::Conv(embed), Op::Transformer(Box::new(transformer)), Op::Conv(out)];
        let plan = Plan { size, input: Range::UNIT, ops, quantiser };
        Ok(Taken::new(plan, ["encoder.", "latent_tokens", "quantize.embedding."]))
    }

    fn decoder(&self, _: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        Err(VqError::OnlyEncodes { path: checkpoint.path().to_owned(), family: FAMILY.name })
    }
}
