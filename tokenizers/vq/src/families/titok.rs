//! TiTok (bytedance/1d-tokenizer, `modeling/titok.py`, Apache-2.0), and TA-TiTok's encoder, which is the same: a vision
//! transformer whose latent tokens become a row of ids, and another that makes patches of them.

use serde::Deserialize;
use serde_json::Value;

use super::builder::{Builder, ConvShape, Style, TensorNames};
use super::transformer::{Norms, affine, layer_norm, patches, thirds};
use super::{Architecture, Bounded, Family, LARGEST_SIDE, Sides, Taken, maskgit, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{
    Block, Codebook, Conv, DecodePlan, Function, Heads, Hidden, Meaning, Op, Order, Padding, Plan, Quantiser, Sight,
    Transformer,
};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "titok", publishes, read };

fn publishes(config: &Value) -> bool {
    config.pointer("/model/vq_model/vit_enc_model_size").is_some()
}

/// The parts of its configuration that encoder and decoder go by.
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
    /// Only the decoder needs it, and the next.
    vit_dec_model_size: Option<ModelSize>,
    vit_dec_patch_size: Option<usize>,
    num_latent_tokens: usize,
    #[serde(default)]
    quantize_mode: QuantizeMode,
    /// Whether latent tokens are mixed as the first models' were, whose decoders say which codes of a MaskGIT-VQGAN a patch
    /// is likely to have instead of its pixels.
    #[serde(default = "yes")]
    is_legacy: bool,
    /// Whether the file has that VQGAN's decoder, too.
    #[serde(default = "yes")]
    finetune_decoder: bool,
    /// Not 1d-tokenizer's, whose code fixes what that VQGAN is.
    #[serde(default)]
    pixel_decoder: maskgit::Settings,
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
/// Channels between the transformer and the scores of codes, for each of the transformer's.
const SCORE_WIDTHS: usize = 2;

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
    let vq = &settings.model.vq_model;
    if vq.quantize_mode == QuantizeMode::Vae {
        return Err("`quantize_mode` is vae, which has no ids".to_owned());
    }
    Bounded("`codebook_size`", vq.codebook_size as usize).within(1, 1 << 20)?;
    Bounded("`token_size`", vq.token_size).within(1, 1 << 16)?;
    Bounded("`num_latent_tokens`", vq.num_latent_tokens).within(1, 4096)?;
    Bounded("`crop_size`", settings.side()).within(1, LARGEST_SIDE as usize)?;
    settings.encoder_vit().check()?;
    vq.pixel_decoder.check()?;
    if let Ok(decoder) = settings.decoder_vit() {
        decoder.check()?;
    }
    Ok(Box::new(settings))
}

/// A transformer between the patches of an image and its latent tokens.
#[derive(Debug, Clone, Copy)]
struct Vit {
    /// What the names of its tensors begin with.
    part: &'static str,
    size: Size,
    /// Side of a patch.
    patch: usize,
    /// Side of the image.
    side: usize,
    latents: usize,
}

impl Vit {
    fn check(&self) -> Result<(), String> {
        let Self { part, size: Size { width, layers, heads }, patch, side, .. } = *self;
        Bounded("a patch's side", patch).within(1, 32)?;
        Bounded("`width`", width).within(1, 4096)?;
        Bounded("`layers`", layers).within(0, 64)?;
        Bounded("`heads`", heads).within(1, width)?;
        Bounded("the number of patches", (side / patch).pow(2)).within(1, 1 << 14)?;
        if !width.is_multiple_of(heads) || !side.is_multiple_of(patch) {
            return Err(format!(
                "the {part}'s `width` must be a multiple of its `heads`, and `crop_size` of the side of its patches"
            ));
        }
        Ok(())
    }

    fn norms(&self) -> Norms {
        Norms { epsilon: EPSILON, width: self.size.width }
    }

    /// What is added to the class's token and to the patches', `[1 + patches, width]`, to the former's its numbers.
    fn positions(&self, checkpoint: &mut Checkpoint) -> Result<(Vec<f32>, Vec<f32>), VqError> {
        let (part, width, places) = (self.part, self.size.width, (self.side / self.patch).pow(2));
        let class = checkpoint.take(format!("{part}.class_embedding"), &[1, width])?;
        let positions = checkpoint.take(format!("{part}.positional_embedding"), &[places + 1, width])?;
        Ok((sum(&class, &positions), positions.get(width..).unwrap_or_default().to_vec()))
    }

    fn latent_positions(&self, checkpoint: &mut Checkpoint) -> Result<Vec<f32>, VqError> {
        let name = format!("{}.latent_token_positional_embedding", self.part);
        checkpoint.take(name, &[self.latents, self.size.width])
    }

    /// With what is known of its tokens beforehand: those before its places, what is added to these, and the queries.
    fn transformer(&self, checkpoint: &mut Checkpoint, tokens: [Vec<f32>; 3]) -> Result<Transformer, VqError> {
        let (part, norms, [before, positions, queries]) = (self.part, self.norms(), tokens);
        Ok(Transformer {
            width: norms.width,
            place_norm: None,
            before,
            positions,
            queries,
            norm_in: Some(layer_norm(checkpoint, &format!("{part}.ln_pre"), norms)?),
            attention: Heads { count: self.size.heads, sight: Sight::All, rotation: Vec::new() },
            blocks: (0..self.size.layers)
                .map(|layer| block(checkpoint, &format!("{part}.transformer.{layer}"), norms))
                .collect::<Result<_, _>>()?,
            norm_out: layer_norm(checkpoint, &format!("{part}.ln_post"), norms)?,
            order: Order::Tokens,
            rows: 1,
        })
    }
}

impl Settings {
    /// Of the image.
    fn side(&self) -> usize {
        self.dataset.preprocessing.crop_size as usize
    }

    fn encoder_vit(&self) -> Vit {
        let vq = &self.model.vq_model;
        let (size, patch) = (vq.vit_enc_model_size.size(), vq.vit_enc_patch_size);
        Vit { part: "encoder", size, patch, side: self.side(), latents: vq.num_latent_tokens }
    }

    /// Or what keeps it from being built.
    fn decoder_vit(&self) -> Result<Vit, String> {
        let vq = &self.model.vq_model;
        let (Some(size), Some(patch)) = (vq.vit_dec_model_size, vq.vit_dec_patch_size) else {
            return Err("`vit_dec_model_size` and `vit_dec_patch_size` are missing".to_owned());
        };
        if vq.is_legacy != vq.finetune_decoder {
            return Err(format!(
                "`is_legacy` is {} and `finetune_decoder` {}; where one of them alone is true, the file lacks what makes \
                 pixels",
                vq.is_legacy, vq.finetune_decoder
            ));
        }
        let factor = vq.pixel_decoder.factor() as usize;
        if vq.is_legacy && patch != factor {
            return Err(format!("`vit_dec_patch_size` is {patch}, but the VQGAN's codes stand for {factor} pixels"));
        }
        Ok(Vit { part: "decoder", size: size.size(), patch, ..self.encoder_vit() })
    }

    fn encoder_transformer(&self, checkpoint: &mut Checkpoint) -> Result<Transformer, VqError> {
        let vit = self.encoder_vit();
        let latents = checkpoint.take("latent_tokens".to_owned(), &[vit.latents, vit.size.width])?;
        let (class, positions) = vit.positions(checkpoint)?;
        let queries = sum(&latents, &vit.latent_positions(checkpoint)?);
        let order = if self.model.vq_model.is_legacy { Order::Mixed } else { Order::Tokens };
        Ok(Transformer { order, ..vit.transformer(checkpoint, [class, positions, queries])? })
    }

    /// Latent tokens are its places; one token that stands for any patch, with each patch's position, asks.
    fn decoder_transformer(&self, vit: Vit, checkpoint: &mut Checkpoint) -> Result<Transformer, VqError> {
        let mask = checkpoint.take("decoder.mask_token".to_owned(), &[1, 1, vit.size.width])?;
        let (class, positions) = vit.positions(checkpoint)?;
        let queries = positions.iter().zip(mask.iter().cycle()).map(|(position, mask)| position + mask).collect();
        let latent_positions = vit.latent_positions(checkpoint)?;
        let rows = vit.side / vit.patch;
        Ok(Transformer { rows, ..vit.transformer(checkpoint, [class, latent_positions, queries])? })
    }

    fn codebook(&self, checkpoint: &mut Checkpoint) -> Result<Codebook, VqError> {
        let (count, dimension) = (self.model.vq_model.codebook_size as usize, self.model.vq_model.token_size);
        let vectors = checkpoint.take("quantize.embedding.weight".to_owned(), &[count, dimension])?;
        Ok(Codebook { count, dimension, vectors })
    }

    /// The scores of a VQGAN's codes, their rows mixed by those, and its decoder.
    fn decode_codes(&self, builder: &mut Builder, width: usize) -> Result<(), VqError> {
        let pixels = &self.model.vq_model.pixel_decoder;
        let (wide, count, dimension) = (SCORE_WIDTHS * width, pixels.num_embeddings as usize, pixels.z_channels);
        builder.conv("decoder.ffn.0", ConvShape::pointwise(width, wide))?;
        builder.ops.push(Op::Apply(Function::Tanh));
        builder.conv("decoder.ffn.2", ConvShape::pointwise(wide, count))?;
        builder.ops.push(Op::Softmax);
        let rows = builder.tensor("pixel_quantize.embedding.weight", &[count, dimension])?;
        builder.ops.push(Op::Conv(Conv {
            channels_in: count,
            channels_out: dimension,
            kernel: 1,
            stride: 1,
            padding: Padding::NONE,
            weight: transposed(&rows, dimension),
            bias: vec![0.0; dimension],
        }));
        builder.names = TensorNames::Prefixed("pixel_");
        builder.style = maskgit::STYLE;
        pixels.decoder().decode(builder)
    }

    /// The pixels of each patch, and a convolution over all of them.
    fn decode_pixels(&self, builder: &mut Builder, vit: Vit) -> Result<(), VqError> {
        builder.conv("decoder.ffn.0", ConvShape::pointwise(vit.size.width, 3 * vit.patch * vit.patch))?;
        builder.ops.push(Op::DepthToSpace { block: vit.patch });
        builder.conv("decoder.conv_out", ConvShape::three(3, 3))
    }
}

/// `[columns, rows]` of `[rows, columns]`.
fn transposed(numbers: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| numbers.iter().skip(column).step_by(columns)).copied().collect()
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
    fn sides(&self) -> Sides {
        Sides { image: self.dataset.preprocessing.crop_size, place: self.encoder_vit().patch as u32 }
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
        let (vq, width) = (&self.model.vq_model, self.encoder_vit().size.width);
        let embed = patches(checkpoint, "encoder.patch_embed", width, vq.vit_enc_patch_size)?;
        let transformer = self.encoder_transformer(checkpoint)?;
        let out = Conv {
            channels_in: width,
            channels_out: vq.token_size,
            kernel: 1,
            stride: 1,
            padding: Padding::NONE,
            weight: checkpoint.take("encoder.conv_out.weight".to_owned(), &[vq.token_size, width, 1, 1])?,
            bias: checkpoint.take("encoder.conv_out.bias".to_owned(), &[vq.token_size])?,
        };
        let codebook = self.codebook(checkpoint)?;
        let quantiser = if vq.use_l2_norm { Quantiser::Cosine(codebook) } else { Quantiser::Nearest(codebook) };
        let ops = vec![Op::Conv(embed), Op::Transformer(Box::new(transformer)), Op::Conv(out)];
        let plan = Plan { size, input: Range::UNIT, ops, quantiser };
        Ok(Taken::new(plan, ["encoder.", "latent_tokens", "quantize.embedding."]))
    }

    fn decoder(&self, grid: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        if checkpoint.has("decoder.text_guidance_proj.weight") {
            let reason = "TA-TiTok's makes pixels of ids and of CLIP's numbers for a caption, and ids are all there is";
            return Err(VqError::Decoder { reason: reason.to_owned() });
        }
        let vit = self.decoder_vit().map_err(|reason| VqError::Decoder { reason })?;
        let (vq, width) = (&self.model.vq_model, vit.size.width);
        let codebook = self.codebook(checkpoint)?;
        let codes = if vq.use_l2_norm { Meaning::UnitRows(codebook) } else { Meaning::Rows(codebook) };
        let embed = affine(checkpoint, "decoder.decoder_embed", vq.token_size, width)?;
        let transformer = self.decoder_transformer(vit, checkpoint)?;
        let mut builder = Builder::new(checkpoint, TensorNames::Prefixed(""), Style::TAMING);
        builder.ops.push(Op::Conv(Conv {
            channels_in: vq.token_size,
            channels_out: width,
            kernel: 1,
            stride: 1,
            padding: Padding::NONE,
            weight: embed.weight,
            bias: embed.bias,
        }));
        builder.ops.push(Op::Transformer(Box::new(transformer)));
        if vq.is_legacy {
            self.decode_codes(&mut builder, width)?
        } else {
            self.decode_pixels(&mut builder, vit)?
        }
        let plan = DecodePlan { grid, codes, ops: builder.ops, output: Range::UNIT };
        Ok(Taken::new(plan, ["decoder.", "pixel_decoder.", "pixel_quantize."]))
    }
}
