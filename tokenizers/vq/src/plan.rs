//! The list of operations that turns an image into ids: what every executor runs.

/// Runs one plan, fixed when the executor was made.
pub(super) trait Executor: std::fmt::Debug + Send + Sync {
    /// A stable name, recorded beside the ids.
    fn name(&self) -> &'static str;
    /// The number format of its arithmetic, recorded beside the ids.
    fn precision(&self) -> &'static str;
    /// The ids of each image, in raster order, whatever else is in the call. Each has `image_size² · 3` bytes.
    fn encode(&self, images: &[&[u8]]) -> Vec<Vec<u32>>;
}

/// Operations on one activation of `height · width · channels` numbers, in order.
///
/// It starts as the image, with levels from 0 to 255 mapped to -1 to 1.
#[derive(Debug)]
pub(super) struct Plan {
    /// Side of the square image, in pixels.
    pub image_size: u32,
    pub ops: Vec<Op>,
    /// What the last activation is looked up in.
    pub codes: Codes,
}

/// One operation; its weights are as the model file stores them.
#[derive(Debug)]
pub(super) enum Op {
    /// Replaces the activation by its convolution.
    Conv(Conv),
    /// Normalises each group of channels over the whole image.
    GroupNorm(GroupNorm),
    /// Lets each place of the image look at every other: `proj(softmax(q kᵀ / √channels) v)`.
    Attention(Box<Attention>),
    /// Keeps a copy of the activation for the next `AddKept`.
    Keep,
    /// Adds the activation kept last, sent through the convolution if there is one.
    AddKept(Option<Conv>),
}

/// A square convolution with a bias.
#[derive(Debug)]
pub(super) struct Conv {
    pub channels_in: usize,
    pub channels_out: usize,
    /// Side of the kernel, in pixels.
    pub kernel: usize,
    pub stride: usize,
    pub padding: Padding,
    /// `[out, in, row, column]`.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Rows and columns of zeros around an image before a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Padding {
    /// At the top and on the left.
    pub before: usize,
    /// At the bottom and on the right.
    pub after: usize,
}

impl Padding {
    pub const NONE: Self = Self { before: 0, after: 0 };
}

#[derive(Debug)]
pub(super) struct GroupNorm {
    pub groups: usize,
    pub epsilon: f32,
    pub activation: Activation,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// What follows a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    /// `x / (1 + exp(-x))`.
    Swish,
}

/// Four 1x1 convolutions of the same width.
#[derive(Debug)]
pub(super) struct Attention {
    pub query: Conv,
    pub key: Conv,
    pub value: Conv,
    pub projection: Conv,
}

/// The codebook: an id is the row nearest by squared distance, the lowest of several.
#[derive(Debug)]
pub(super) struct Codes {
    pub count: usize,
    pub dimension: usize,
    /// `[count, dimension]`.
    pub vectors: Vec<f32>,
}
