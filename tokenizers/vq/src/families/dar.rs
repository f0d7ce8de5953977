//! D-AR's encoder (showlab/D-AR, `tokenizer/tokenizer_image/vq_model.py`, MIT): queries over patches, each of which sees
//! the queries before it, so that ids go from coarse to fine.

use serde::Deserialize;
use serde_json::Value;

use super::transformer::{Norms, affine, layer_norm, patches};
use super::{Architecture, Bounded, Family, Sides, Taken, convolutional_grid, settings};
use crate::checkpoint::Checkpoint;
use crate::error::VqError;
use crate::plan::{
    Affine, Block, Codebook, Conv, DecodePlan, Heads, Hidden, LayerNorm, Op, Order, Padding, Plan, Quantiser, Sight,
    Transformer,
};
use crate::preprocessing::{Preprocessing, Range};
use crate::tokenizer::{Grid, ImageSize};

pub(super) const FAMILY: Family = Family { name: "dar", publishes: |_| false, read };

/// What its `configs/tokenizer_v1.yaml` has under `model` for the encoder, and the size of the images.
#[derive(Debug, Clone, Deserialize)]
struct Settings {
    #[serde(default = "published_size")]
    image_size: u32,
    encoder_patch_size: usize,
    num_encoder_layers: usize,
    encoder_dim: usize,
    vq_dim: usize,
    vq_codebook_size: u32,
    num_all_queries: usize,
    #[serde(default = "yes")]
    query_low_rank: bool,
    #[serde(default = "yes")]
    vq_enable: bool,
    #[serde(default = "published_base")]
    rope_base_len: u32,
}

const HEAD: usize = 64;
/// Of the numbers of a head, those that rows turn; as many are turned by columns.
const TURNED_BY_ROW: usize = HEAD / 2;
const EPSILON: f32 = 1e-6;
/// Rows of the table that queries are taken from.
const QUERY_ROWS: usize = 1024;
const LOW_RANK: usize = 8;

fn published_size() -> u32 {
    256
}

fn published_base() -> u32 {
    10_000
}

fn yes() -> bool {
    true
}

fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let settings: Settings = settings(config)?;
    if !settings.vq_enable {
        return Err("`vq_enable` is false, which gives no ids".to_owned());
    }
    Bounded("`encoder_patch_size`", settings.encoder_patch_size).within(1, 32)?;
    Bounded("`num_encoder_layers`", settings.num_encoder_layers).within(0, 64)?;
    Bounded("`encoder_dim`", settings.encoder_dim).within(HEAD, 4096)?;
    Bounded("`vq_dim`", settings.vq_dim).within(1, 1 << 16)?;
    Bounded("`vq_codebook_size`", settings.vq_codebook_size as usize).within(1, 1 << 20)?;
    Bounded("`num_all_queries`", settings.num_all_queries).within(1, QUERY_ROWS)?;
    Bounded("`rope_base_len`", settings.rope_base_len as usize).within(1, 1 << 30)?;
    if !settings.encoder_dim.is_multiple_of(HEAD) {
        return Err(format!("`encoder_dim` is {}, but must be a multiple of {HEAD}", settings.encoder_dim));
    }
    settings.grid(settings.native_size())?;
    Ok(Box::new(settings))
}

impl Settings {
    fn queries(&self, checkpoint: &mut Checkpoint) -> Result<Vec<f32>, VqError> {
        let (count, width) = (self.num_all_queries, self.encoder_dim);
        let rank = if self.query_low_rank { LOW_RANK } else { width };
        let table = checkpoint.take("query_embedding.weight".to_owned(), &[QUERY_ROWS, rank])?;
        let rows = table.chunks_exact(rank).take(count);
        if !self.query_low_rank {
            return Ok(rows.flatten().copied().collect());
        }
        let linear = affine(checkpoint, "query_linear", rank, width)?;
        let outputs = || linear.weight.chunks_exact(rank).zip(&linear.bias);
        let product = |row: &[f32], weights: &[f32]| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f32>();
        Ok(rows.flat_map(|row| outputs().map(move |(weights, bias)| product(row, weights) + bias)).collect())
    }

    /// FLUX's rotary positions: half of a head's pairs are turned by the row, half by the column.
    fn rotation(&self, size: ImageSize) -> Vec<(f32, f32)> {
        let side = |pixels: u32| pixels as usize / self.encoder_patch_size;
        let pairs = TURNED_BY_ROW / 2;
        let exponent = |pair: usize| 2.0 * pair as f64 / TURNED_BY_ROW as f64;
        let speeds: Vec<f64> =
            (0..pairs).map(|pair| 1.0 / libm::pow(f64::from(self.rope_base_len), exponent(pair))).collect();
        let turn = |position: usize, speed: &f64| {
            let angle = position as f64 * speed;
            (libm::cos(angle) as f32, libm::sin(angle) as f32)
        };
        let place = |y: usize, x: usize| {
            [y, x]
                .into_iter()
                .flat_map(|position| speeds.iter().map(move |speed| turn(position, speed)))
                .collect::<Vec<_>>()
        };
        (0..side(size.height)).flat_map(|y| (0..side(size.width)).flat_map(move |x| place(y, x))).collect()
    }

    fn transformer(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Transformer, VqError> {
        let width = self.encoder_dim;
        let plain = LayerNorm { epsilon: EPSILON, weight: vec![1.0; width], bias: vec![0.0; width] };
        Ok(Transformer {
            width,
            place_norm: Some(plain.clone()),
            before: Vec::new(),
            positions: Vec::new(),
            queries: self.queries(checkpoint)?,
            norm_in: None,
            attention: Heads { count: width / HEAD, sight: Sight::Causal, rotation: self.rotation(size) },
            blocks: (0..self.num_encoder_layers)
                .map(|layer| block(checkpoint, &format!("encoder_layers.{layer}"), width))
                .collect::<Result<_, _>>()?,
            norm_out: plain,
            order: Order::Tokens,
            rows: 1,
        })
    }
}

fn block(checkpoint: &mut Checkpoint, name: &str, width: usize) -> Result<Block, VqError> {
    let norms = Norms { epsilon: EPSILON, width };
    let of_head = Norms { epsilon: EPSILON, width: HEAD };
    let attention = |part: &str| format!("{name}.attention.{part}");
    let gates = [1, 2].map(|gate| checkpoint.take(format!("{name}.gate{gate}"), &[width]));
    let [gate_1, gate_2] = gates;
    Ok(Block {
        norm_1: layer_norm(checkpoint, &format!("{name}.norm1"), norms)?,
        query: affine(checkpoint, &attention("q"), width, width)?,
        key: affine(checkpoint, &attention("k"), width, width)?,
        value: affine(checkpoint, &attention("v"), width, width)?,
        head_norms: Some([
            layer_norm(checkpoint, &attention("q_norm"), of_head)?,
            layer_norm(checkpoint, &attention("k_norm"), of_head)?,
        ]),
        projection: gated(affine(checkpoint, &attention("proj"), width, width)?, &gate_1?),
        norm_2: layer_norm(checkpoint, &format!("{name}.norm2"), norms)?,
        widen: affine(checkpoint, &format!("{name}.mlp.fc1"), width, 4 * width)?,
        hidden: Hidden::Swish,
        narrow: gated(affine(checkpoint, &format!("{name}.mlp.fc2"), 4 * width, width)?, &gate_2?),
    })
}

/// With each output's factor multiplied into its weights.
fn gated(affine: Affine, gate: &[f32]) -> Affine {
    let Affine { mut weight, mut bias } = affine;
    let inputs = weight.len().checked_div(bias.len()).unwrap_or(0).max(1);
    for (row, factor) in weight.chunks_exact_mut(inputs).zip(gate) {
        row.iter_mut().for_each(|x| *x *= factor);
    }
    bias.iter_mut().zip(gate).for_each(|(x, factor)| *x *= factor);
    Affine { weight, bias }
}

impl Architecture for Settings {
    fn sides(&self) -> Sides {
        Sides { image: self.image_size, place: self.encoder_patch_size as u32 }
    }

    /// As many ids for an image of any size, as one row.
    fn grid(&self, size: ImageSize) -> Result<Grid, String> {
        let patches = convolutional_grid(size, self.sides().place)?;
        let count = usize::from(patches.width) * usize::from(patches.height);
        Bounded("the number of patches", count).within(1, 1 << 14)?;
        Ok(Grid { width: self.num_all_queries as u16, height: 1 })
    }

    fn codebook_size(&self) -> u32 {
        self.vq_codebook_size
    }

    fn preprocessing(&self) -> Preprocessing {
        Preprocessing::ADM
    }

    fn encoder(&self, size: ImageSize, checkpoint: &mut Checkpoint) -> Result<Taken<Plan>, VqError> {
        let (width, dimension) = (self.encoder_dim, self.vq_dim);
        let embed = patches(checkpoint, "patchify", width, self.encoder_patch_size)?;
        let transformer = self.transformer(size, checkpoint)?;
        let out = Conv {
            channels_in: width,
            channels_out: dimension,
            kernel: 1,
            stride: 1,
            padding: Padding::NONE,
            weight: checkpoint.take("quant_in_conv.weight".to_owned(), &[dimension, width, 1, 1])?,
            bias: vec![0.0; dimension],
        };
        let count = self.vq_codebook_size as usize;
        let vectors = checkpoint.take("quantize.embedding.weight".to_owned(), &[count, dimension])?;
        let quantiser = Quantiser::Cosine(Codebook { count, dimension, vectors });
        let ops = vec![Op::Conv(embed), Op::Transformer(Box::new(transformer)), Op::Conv(out)];
        let plan = Plan { size, input: Range::SIGNED, ops, quantiser };
        Ok(Taken::new(plan, ["encoder_layers.", "patchify.", "query_", "quant_in_conv.", "quantize.embedding."]))
    }

    fn decoder(&self, _: Grid, checkpoint: &mut Checkpoint) -> Result<Taken<DecodePlan>, VqError> {
        let reason =
            "D-AR's begins with noise that it draws anew each time, so that ids don't say which image it makes";
        Err(VqError::Decoder { reason: format!("{reason} ({})", checkpoint.path().display()) })
    }
}
