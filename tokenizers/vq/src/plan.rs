//! The list of operations that turns an image into ids, and ids into an image: what every executor runs.

use super::preprocessing::Range;
use super::tokenizer::{Grid, ImageSize};

/// Runs one plan backwards, from ids to RGB.
pub(crate) trait DecodeExecutor: std::fmt::Debug + Send + Sync {
    /// An image, raster order, for each list of ids, all of which are below the codebook's size.
    fn decode(&self, ids: &[&[u32]]) -> Vec<Vec<u8>>;
}

/// Operations on one activation of `height · width · channels` numbers, in order, and what its places become.
///
/// It starts as the image, with levels from 0 to 255 mapped to `input`.
#[derive(Debug)]
pub(crate) struct Plan {
    pub size: ImageSize,
    pub input: Range,
    pub ops: Vec<Op>,
    /// Turns each place of the last activation into ids.
    pub quantiser: Quantiser,
}

/// What ids stand for, and the operations that make an image of it; the last activation maps `output` to levels.
#[derive(Debug)]
pub(crate) struct DecodePlan {
    pub grid: Grid,
    pub codes: Meaning,
    pub ops: Vec<Op>,
    pub output: Range,
}

/// One operation; its weights are as the model file stores them.
#[derive(Debug)]
pub(crate) enum Op {
    /// Replaces the activation by its convolution.
    Conv(Conv),
    /// Normalises each group of channels over the whole image.
    GroupNorm(GroupNorm),
    /// Normalises without weights, then scales and shifts by what the plan's first activation looks like.
    StyleNorm(Box<StyleNorm>),
    /// Applies a function to every number.
    Apply(Function),
    /// Turns the numbers of each place into shares of one: `exp(x) / Σ exp(x)`.
    Softmax,
    /// Lets each place of the image look at every other: `proj(softmax(q kᵀ / √channels) v)`.
    Attention(Box<Attention>),
    /// Keeps a copy of the activation for the next `AddKept`.
    Keep,
    /// Adds the activation kept last, sent through the convolution if there is one.
    AddKept(Option<Conv>),
    /// Halves both sides, an odd last row or column being dropped.
    Pool(Pool),
    /// Doubles both sides: each place becomes four equal ones.
    Upsample,
    /// Replaces the places by what a transformer's queries make of them.
    Transformer(Box<Transformer>),
    /// Turns channels into places: channel `(row · block + column) · out + c` becomes channel `c` of that row and column
    /// of a square of `block` places.
    DepthToSpace {
        /// Side of the square.
        block: usize,
    },
}

/// A square convolution.
#[derive(Debug)]
pub(crate) struct Conv {
    pub channels_in: usize,
    pub channels_out: usize,
    /// Side of the kernel, in pixels.
    pub kernel: usize,
    pub stride: usize,
    pub padding: Padding,
    /// `[out, in, row, column]`.
    pub weight: Vec<f32>,
    /// Zeros where the model has none.
    pub bias: Vec<f32>,
}

/// Rows and columns of zeros around an image before a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Padding {
    /// At the top and on the left.
    pub before: usize,
    /// At the bottom and on the right.
    pub after: usize,
}

impl Padding {
    pub const NONE: Self = Self { before: 0, after: 0 };
}

#[derive(Debug)]
pub(crate) struct GroupNorm {
    pub groups: usize,
    pub epsilon: f32,
    pub activation: Activation,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Open-MAGVIT2's adaptive normalisation: the factor of each channel is an affine function of the deviations of the
/// plan's first activation over all places, its summand one of the means.
#[derive(Debug)]
pub(crate) struct StyleNorm {
    pub groups: usize,
    /// Added to variances, of the normalised activation and of the first one.
    pub epsilon: f32,
    pub factor: Affine,
    pub summand: Affine,
}

/// `weight · x + bias`.
#[derive(Debug)]
pub(crate) struct Affine {
    /// `[out, in]`.
    pub weight: Vec<f32>,
    /// `[out]`.
    pub bias: Vec<f32>,
}

/// What follows a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    None,
    /// `x / (1 + exp(-x))`.
    Swish,
}

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

/// What four places become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pool {
    Average,
    Largest,
}

/// Four 1x1 convolutions of the same width.
#[derive(Debug)]
pub(crate) struct Attention {
    pub query: Conv,
    pub key: Conv,
    pub value: Conv,
    pub projection: Conv,
}

/// How a place's numbers become ids; of several that are equally good, the lowest id.
#[derive(Debug, Clone)]
pub(crate) enum Quantiser {
    /// The row at the smallest squared distance.
    Nearest(Codebook),
    /// The row at the smallest angle: both sides are scaled to length 1 first.
    Cosine(Codebook),
    /// The row with the largest product, lengths and all.
    Product(Codebook),
    /// The numbers are the scores themselves: the place of the largest.
    Largest {
        /// How many there are.
        count: u32,
    },
    /// Bit `i` is whether number `i` is above zero.
    Signs {
        /// How many there are, up to 31.
        bits: u32,
    },
    /// Each number is bounded and rounded to one of so many levels; the first is the fastest digit.
    Levels(Vec<u32>),
    /// Nearest rows one after another, each of what the ones before left.
    Residual(Books),
}

/// Several ids for each place, each with a codebook of its own or all with the same.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    /// One, or as many as there are ids.
    pub books: Vec<Codebook>,
    /// Ids for each place.
    pub depth: usize,
}

/// Vectors that ids stand for.
#[derive(Debug, Clone)]
pub(crate) struct Codebook {
    pub count: usize,
    pub dimension: usize,
    /// `[count, dimension]`.
    pub vectors: Vec<f32>,
}

/// What the ids of one place mean to a decoder.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// The row of that id.
    Rows(Codebook),
    /// The sum of each id's row.
    Sum(Books),
    /// The row of that id, scaled to length 1.
    UnitRows(Codebook),
    /// A 1 for each bit that is set and a -1 for each that isn't.
    Signs {
        /// How many there are, up to 31.
        bits: u32,
    },
    /// Digits, from -1 to below 1 or 1.
    Levels(Vec<u32>),
}

/// A transformer over the places, in raster order, and queries behind them; the queries are what comes out.
#[derive(Debug)]
pub(crate) struct Transformer {
    /// Numbers of a token.
    pub width: usize,
    /// Of the places, before anything is added to them.
    pub place_norm: Option<LayerNorm>,
    /// Tokens before the places, `[tokens, width]`.
    pub before: Vec<f32>,
    /// What is added to each place, `[places, width]`; empty where that is nothing.
    pub positions: Vec<f32>,
    /// `[queries, width]`.
    pub queries: Vec<f32>,
    /// Of all tokens, before the first block.
    pub norm_in: Option<LayerNorm>,
    pub attention: Heads,
    pub blocks: Vec<Block>,
    /// Of the queries.
    pub norm_out: LayerNorm,
    /// How the queries' numbers are read afterwards.
    pub order: Order,
    /// Rows of the places that the queries become, in raster order.
    pub rows: usize,
}

/// What all blocks of a transformer have in common.
#[derive(Debug)]
pub(crate) struct Heads {
    /// How many there are, each with as many numbers of a token.
    pub count: usize,
    pub sight: Sight,
    /// The cosine and the sine of an angle for each place and pair of numbers of a head, `[places, width / count / 2]`, by
    /// which places' queries and keys are turned; empty where they aren't. Needs a transformer without tokens `before`.
    pub rotation: Vec<(f32, f32)>,
}

/// Which tokens a token sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Every one.
    All,
    /// The tokens before the queries, and no query behind itself.
    Causal,
}

/// Attention and two layers, each behind a normalisation and added to what came in.
#[derive(Debug)]
pub(crate) struct Block {
    pub norm_1: LayerNorm,
    pub query: Affine,
    pub key: Affine,
    pub value: Affine,
    /// Of each head's queries and of its keys.
    pub head_norms: Option<[LayerNorm; 2]>,
    pub projection: Affine,
    pub norm_2: LayerNorm,
    /// To the hidden layer.
    pub widen: Affine,
    pub hidden: Hidden,
    pub narrow: Affine,
}

/// The function of a hidden layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// `x · Φ(x)`, by the error function.
    Gelu,
    /// `x / (1 + exp(-x))`.
    Swish,
}

/// Normalises the numbers of each token.
#[derive(Debug, Clone)]
pub(crate) struct LayerNorm {
    pub epsilon: f32,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// The order in which numbers `[queries, width]` are taken for places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As they are: a query is a place.
    Tokens,
    /// As if they were `[width, queries]`, which mixes the queries; early models were trained so.
    Mixed,
}
