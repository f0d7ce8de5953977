//! Writes a plan as an ONNX graph.

use super::graph::{Attribute, Element, Graph, Value};
use super::quantiser;
use super::transformer::transformer;
use crate::executor::Arithmetic;
use crate::plan::{self, Affine, Attention, Conv, Function, GroupNorm, Op, Plan, Pool, StyleNorm};

/// Levels of images, `[batch, height, width, 3]`.
pub(super) const LEVELS: &str = "levels";
/// Ids, `[batch, ids of an image]`.
pub(super) const IDS: &str = "ids";
/// The numbers that become ids, `[batch, places, numbers of a place]`.
pub(super) const FEATURES: &str = "features";
/// The sum of the features' absolute values for each image: finite if they all are.
pub(super) const MAGNITUDE: &str = "magnitude";

/// The file of a model that encodes `batch` images at once.
pub(super) fn model(plan: &Plan, batch: usize, arithmetic: Arithmetic) -> Vec<u8> {
    let (height, width) = (plan.size.height as usize, plan.size.width as usize);
    let mut graph = Graph::new(arithmetic);
    let levels = graph.input(LEVELS, Element::Byte, &[batch, height, width, 3]);
    let levels = graph.cast(&levels, Element::Int32);
    let table = graph.floats(&[256], &plan.input.table());
    let pixels = graph.node("Gather", &[&table, &levels], &[]);
    let input = Activation { value: graph.transpose(&pixels, &[0, 3, 1, 2]), height, width, channels: 3 };
    let out = operations(&mut graph, &plan.ops, input, batch);
    let places = out.height * out.width;
    let features = graph.transpose(&out.value, &[0, 2, 3, 1]);
    let features = graph.reshape(&features, &[batch as i64, places as i64, out.channels as i64]);
    graph.output(FEATURES, &features, Element::Float, &[batch, places, out.channels]);
    let absolute = graph.node("Abs", &[&features], &[]);
    let places_and_numbers = graph.ints(&[1, 2]);
    let magnitude = graph.node("ReduceSum", &[&absolute, &places_and_numbers], &[Attribute::Int("keepdims", 0)]);
    graph.output(MAGNITUDE, &magnitude, Element::Float, &[batch]);
    let ids = quantiser::ids(&mut graph, &plan.quantiser, &features);
    let ids = graph.reshape(&ids, &[batch as i64, -1]);
    let count = places * plan.quantiser.depth();
    graph.output(IDS, &ids, Element::Int64, &[batch, count]);
    graph.into_model()
}

/// Numbers between two operations, `[batch, channels, height, width]`.
#[derive(Debug, Clone)]
pub(super) struct Activation {
    pub value: Value,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// What becomes of the input, in single precision.
fn operations(graph: &mut Graph, ops: &[Op], input: Activation, batch: usize) -> Activation {
    let first = input.clone();
    let (mut current, mut kept) = (input, Vec::new());
    // What is nearest to a choice between ids must not be rounded to it.
    let single_from = match ops.last() {
        Some(Op::Conv(conv)) if conv.kernel == 1 => ops.len() - 1,
        _ => ops.len(),
    };
    for (index, op) in ops.iter().enumerate() {
        if index == single_from {
            current = in_single_precision(graph, current);
        }
        current = match op {
            Op::Conv(conv) => convolve(graph, conv, &current),
            Op::GroupNorm(norm) => group_norm(graph, norm, current, batch),
            Op::StyleNorm(norm) => style_norm(graph, norm, &first, current, batch),
            Op::Apply(Function::Relu) => current.with(|value| graph.node("Relu", &[value], &[])),
            Op::Apply(Function::Sigmoid) => current.with(|value| graph.node("Sigmoid", &[value], &[])),
            Op::Apply(Function::Tanh) => current.with(|value| graph.node("Tanh", &[value], &[])),
            Op::Softmax => current.with(|value| graph.node("Softmax", &[value], &[Attribute::Int("axis", 1)])),
            Op::Attention(attention) => attend(graph, attention, &current, batch),
            Op::Keep => {
                kept.push(current.clone());
                current
            }
            Op::AddKept(shortcut) => match (kept.pop(), shortcut) {
                (Some(base), Some(conv)) => {
                    let base = convolve(graph, conv, &base);
                    current.with(|value| graph.node("Add", &[value, &base.value], &[]))
                }
                (Some(base), None) => current.with(|value| graph.node("Add", &[value, &base.value], &[])),
                (None, _) => current,
            },
            Op::Pool(kind) => pool(graph, *kind, current),
            Op::Upsample => upsample(graph, current),
            Op::Transformer(plan) => transformer(graph, plan, &current, batch),
            Op::DepthToSpace { block } => depth_to_space(graph, *block, current),
        };
    }
    in_single_precision(graph, current)
}

impl Activation {
    /// Other numbers of the same shape.
    pub fn with(self, change: impl FnOnce(&Value) -> Value) -> Self {
        Self { value: change(&self.value), ..self }
    }

    fn shape(&self, batch: usize) -> [i64; 4] {
        [batch, self.channels, self.height, self.width].map(|side| side as i64)
    }
}

fn in_single_precision(graph: &mut Graph, input: Activation) -> Activation {
    if graph.numbers == Arithmetic::F32 {
        return input;
    }
    graph.numbers = Arithmetic::F32;
    input.with(|value| graph.cast(value, Element::Float))
}

fn convolve(graph: &mut Graph, conv: &Conv, input: &Activation) -> Activation {
    let Conv { channels_in, channels_out, kernel, stride, padding, weight, bias } = conv;
    let weight = graph.floats(&[*channels_out, *channels_in, *kernel, *kernel], weight);
    let bias = graph.floats(&[*channels_out], bias);
    let (before, after) = (padding.before as i64, padding.after as i64);
    let value = graph.node(
        "Conv",
        &[&input.value, &weight, &bias],
        &[
            Attribute::Ints("kernel_shape", &[*kernel as i64; 2]),
            Attribute::Ints("strides", &[*stride as i64; 2]),
            Attribute::Ints("pads", &[before, before, after, after]),
        ],
    );
    let side = |length: usize| (length + padding.before + padding.after - kernel) / stride + 1;
    Activation { value, height: side(input.height), width: side(input.width), channels: *channels_out }
}

/// `(x - mean) / √(variance + epsilon)` over groups of channels.
fn normalise(graph: &mut Graph, groups: usize, epsilon: f32, input: &Activation, batch: usize) -> Value {
    let grouped = graph.reshape(&input.value, &[batch as i64, groups as i64, -1]);
    let (ones, zeros) = (graph.floats(&[groups], &vec![1.0; groups]), graph.floats(&[groups], &vec![0.0; groups]));
    let epsilon = [Attribute::Float("epsilon", epsilon)];
    let normed = graph.node("InstanceNormalization", &[&grouped, &ones, &zeros], &epsilon);
    graph.reshape(&normed, &input.shape(batch))
}

fn group_norm(graph: &mut Graph, norm: &GroupNorm, input: Activation, batch: usize) -> Activation {
    let channels = input.channels;
    let normed = normalise(graph, norm.groups, norm.epsilon, &input, batch);
    let weight = graph.floats(&[channels, 1, 1], &norm.weight);
    let bias = graph.floats(&[channels, 1, 1], &norm.bias);
    let scaled = scale_and_shift(graph, &normed, &weight, &bias);
    let value = match norm.activation {
        plan::Activation::None => scaled,
        plan::Activation::Swish => swish(graph, &scaled),
    };
    Activation { value, ..input }
}

fn scale_and_shift(graph: &mut Graph, value: &Value, factor: &Value, summand: &Value) -> Value {
    let scaled = graph.node("Mul", &[value, factor], &[]);
    graph.node("Add", &[&scaled, summand], &[])
}

pub(super) fn swish(graph: &mut Graph, value: &Value) -> Value {
    let sigmoid = graph.node("Sigmoid", &[value], &[]);
    graph.node("Mul", &[value, &sigmoid], &[])
}

fn style_norm(graph: &mut Graph, norm: &StyleNorm, first: &Activation, input: Activation, batch: usize) -> Activation {
    let over_places = |graph: &mut Graph, value: &Value| {
        graph.node("ReduceMean", &[value], &[Attribute::Ints("axes", &[2, 3]), Attribute::Int("keepdims", 1)])
    };
    let mean = over_places(graph, &first.value);
    let apart = graph.node("Sub", &[&first.value, &mean], &[]);
    let squares = graph.node("Mul", &[&apart, &apart], &[]);
    let variance = over_places(graph, &squares);
    let places = (first.height * first.width) as f32;
    let of_sample = graph.number(places / (places - 1.0).max(1.0));
    let epsilon = graph.number(norm.epsilon);
    let variance = scale_and_shift(graph, &variance, &of_sample, &epsilon);
    let deviation = graph.node("Sqrt", &[&variance], &[]);
    let mut of_channels = |of: &Affine, value: &Value| {
        let (out, channels) = (of.bias.len(), first.channels);
        let flat = graph.reshape(value, &[batch as i64, channels as i64]);
        let (weight, bias) = (graph.floats(&[out, channels], &of.weight), graph.floats(&[out], &of.bias));
        let affine = graph.node("Gemm", &[&flat, &weight, &bias], &[Attribute::Int("transB", 1)]);
        graph.reshape(&affine, &[batch as i64, out as i64, 1, 1])
    };
    let (factor, summand) = (of_channels(&norm.factor, &deviation), of_channels(&norm.summand, &mean));
    let normed = normalise(graph, norm.groups, norm.epsilon, &input, batch);
    input.with(|_| scale_and_shift(graph, &normed, &factor, &summand))
}

/// `proj(v softmax(q kᵀ / √channels)ᵀ)`, with places last.
fn attend(graph: &mut Graph, attention: &Attention, input: &Activation, batch: usize) -> Activation {
    let (channels, places) = (input.channels, input.height * input.width);
    let [query, key, value] = [&attention.query, &attention.key, &attention.value].map(|conv| {
        let out = convolve(graph, conv, input);
        graph.reshape(&out.value, &[batch as i64, channels as i64, places as i64])
    });
    let scale = graph.number(1.0 / (channels as f32).sqrt());
    let query = graph.transpose(&query, &[0, 2, 1]);
    let query = graph.node("Mul", &[&query, &scale], &[]);
    let scores = graph.node("MatMul", &[&query, &key], &[]);
    let weights = graph.node("Softmax", &[&scores], &[Attribute::Int("axis", -1)]);
    let weights = graph.transpose(&weights, &[0, 2, 1]);
    let mixed = graph.node("MatMul", &[&value, &weights], &[]);
    let mixed = input.clone().with(|_| graph.reshape(&mixed, &input.shape(batch)));
    convolve(graph, &attention.projection, &mixed)
}

fn pool(graph: &mut Graph, kind: Pool, input: Activation) -> Activation {
    let operator = match kind {
        Pool::Average => "AveragePool",
        Pool::Largest => "MaxPool",
    };
    let halves = [Attribute::Ints("kernel_shape", &[2, 2]), Attribute::Ints("strides", &[2, 2])];
    let value = graph.node(operator, &[&input.value], &halves);
    Activation { value, height: input.height / 2, width: input.width / 2, ..input }
}

fn upsample(graph: &mut Graph, input: Activation) -> Activation {
    // Turning places into channels and back needs no operator that interpolates.
    let copies = graph.node("Concat", &[&input.value; 4], &[Attribute::Int("axis", 1)]);
    depth_to_space(graph, 2, Activation { value: copies, channels: input.channels * 4, ..input })
}

fn depth_to_space(graph: &mut Graph, block: usize, input: Activation) -> Activation {
    let attributes = [Attribute::Int("blocksize", block as i64), Attribute::Text("mode", "DCR")];
    let value = graph.node("DepthToSpace", &[&input.value], &attributes);
    let Activation { height, width, channels, .. } = input;
    Activation { value, height: height * block, width: width * block, channels: channels / (block * block) }
}
