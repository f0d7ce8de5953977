//! Writes a transformer as nodes of an ONNX graph.

use super::graph::{Attribute, Graph, Value};
use super::plan::{Activation, swish};
use crate::plan::{Affine, Block, Heads, Hidden, LayerNorm, Order, Sight, Transformer};

/// The sizes that all of its nodes share.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    /// Those of the model's own among them.
    tokens: usize,
    queries: usize,
    width: usize,
}

pub(super) fn transformer(graph: &mut Graph, plan: &Transformer, input: &Activation, batch: usize) -> Activation {
    let width = plan.width;
    let (before, queries) = (plan.before.len() / width, plan.queries.len() / width);
    let sizes = Sizes { batch, tokens: before + input.height * input.width + queries, queries, width };
    let mut tokens = first_tokens(graph, plan, input, sizes);
    let mask = mask(graph, plan.attention.sight, sizes);
    for block in &plan.blocks {
        tokens = run_block(graph, block, &plan.attention, mask.as_ref(), tokens, sizes);
    }
    let [from, to, axis] = [sizes.tokens - queries, sizes.tokens, 1].map(|place| graph.ints(&[place as i64]));
    let answers = graph.node("Slice", &[&tokens, &from, &to, &axis], &[]);
    let answers = layer_norm(graph, &plan.norm_out, &answers);
    let channels_first = match plan.order {
        Order::Tokens => graph.transpose(&answers, &[0, 2, 1]),
        Order::Mixed => answers,
    };
    let value = graph.reshape(&channels_first, &[batch as i64, width as i64, 1, queries as i64]);
    Activation { value, height: 1, width: queries, channels: width }
}

/// All tokens as the first block sees them, `[batch, tokens, width]`.
fn first_tokens(graph: &mut Graph, plan: &Transformer, input: &Activation, sizes: Sizes) -> Value {
    let (batch, width) = (sizes.batch, sizes.width);
    let flat = graph.reshape(&input.value, &[batch as i64, width as i64, -1]);
    let mut places = graph.transpose(&flat, &[0, 2, 1]);
    if let Some(norm) = &plan.place_norm {
        places = layer_norm(graph, norm, &places);
    }
    if !plan.positions.is_empty() {
        let positions = graph.floats(&[plan.positions.len() / width, width], &plan.positions);
        places = graph.node("Add", &[&places, &positions], &[]);
    }
    let mut own = |numbers: &[f32]| {
        let count = numbers.len() / width;
        let numbers = graph.floats(&[1, count, width], numbers);
        let shape = graph.ints(&[batch, count, width].map(|side| side as i64));
        graph.node("Expand", &[&numbers, &shape], &[])
    };
    let before = (!plan.before.is_empty()).then(|| own(&plan.before));
    let queries = own(&plan.queries);
    let all: Vec<&Value> = before.iter().chain([&places, &queries]).collect();
    let tokens = graph.node("Concat", &all, &[Attribute::Int("axis", 1)]);
    match &plan.norm_in {
        Some(norm) => layer_norm(graph, norm, &tokens),
        None => tokens,
    }
}

/// What is added to the scores of `[tokens, tokens]`: nothing, or what hides a token.
fn mask(graph: &mut Graph, sight: Sight, sizes: Sizes) -> Option<Value> {
    let (tokens, unmasked) = (sizes.tokens, sizes.tokens - sizes.queries);
    let seen = |row: usize| unmasked.max(row + 1);
    let hidden = |place: usize| place % tokens >= seen(place / tokens);
    let numbers = |place: usize| if hidden(place) { f32::NEG_INFINITY } else { 0.0 };
    match sight {
        Sight::All => None,
        Sight::Causal => {
            let numbers: Vec<f32> = (0..tokens * tokens).map(numbers).collect();
            Some(graph.floats(&[tokens, tokens], &numbers))
        }
    }
}

fn run_block(
    graph: &mut Graph,
    block: &Block,
    heads: &Heads,
    mask: Option<&Value>,
    tokens: Value,
    sizes: Sizes,
) -> Value {
    let normed = layer_norm(graph, &block.norm_1, &tokens);
    let mut side = |of: &Affine, norm: Option<&LayerNorm>, turned: bool| {
        let numbers = affine(graph, of, &normed, sizes.width);
        let mut split = graph.reshape(&numbers, &[0, 0, heads.count as i64, -1]);
        if let Some(norm) = norm {
            split = layer_norm(graph, norm, &split);
        }
        let split = graph.transpose(&split, &[0, 2, 1, 3]);
        if turned { turn(graph, heads, &split, sizes) } else { split }
    };
    let norms = block.head_norms.as_ref();
    let query = side(&block.query, norms.map(|norms| &norms[0]), true);
    let key = side(&block.key, norms.map(|norms| &norms[1]), true);
    let value = side(&block.value, None, false);

    let scale = graph.number(1.0 / ((sizes.width / heads.count) as f32).sqrt());
    let query = graph.node("Mul", &[&query, &scale], &[]);
    let key = graph.transpose(&key, &[0, 1, 3, 2]);
    let mut scores = graph.node("MatMul", &[&query, &key], &[]);
    if let Some(mask) = mask {
        scores = graph.node("Add", &[&scores, mask], &[]);
    }
    let weights = graph.node("Softmax", &[&scores], &[Attribute::Int("axis", -1)]);
    let mixed = graph.node("MatMul", &[&weights, &value], &[]);
    let mixed = graph.transpose(&mixed, &[0, 2, 1, 3]);
    let mixed = graph.reshape(&mixed, &[0, 0, sizes.width as i64]);
    let added = affine(graph, &block.projection, &mixed, sizes.width);
    let tokens = graph.node("Add", &[&tokens, &added], &[]);

    let normed = layer_norm(graph, &block.norm_2, &tokens);
    let wide = affine(graph, &block.widen, &normed, sizes.width);
    let bent = match block.hidden {
        Hidden::Gelu => gelu(graph, &wide),
        Hidden::Swish => swish(graph, &wide),
    };
    let added = affine(graph, &block.narrow, &bent, block.widen.bias.len());
    graph.node("Add", &[&tokens, &added], &[])
}

/// Turns each pair of numbers of `[batch, heads, tokens, size]` by its place's angles.
fn turn(graph: &mut Graph, heads: &Heads, numbers: &Value, sizes: Sizes) -> Value {
    if heads.rotation.is_empty() {
        return numbers.clone();
    }
    let size = sizes.width / heads.count;
    // Queries behind the places stay as they are.
    let unturned = std::iter::repeat_n((1.0, 0.0), sizes.tokens * size / 2 - heads.rotation.len());
    let angles: Vec<(f32, f32)> = heads.rotation.iter().copied().chain(unturned).collect();
    let each_twice = |of: fn(&(f32, f32)) -> f32| angles.iter().flat_map(|pair| [of(pair); 2]).collect::<Vec<f32>>();
    let cosines = graph.floats(&[sizes.tokens, size], &each_twice(|pair| pair.0));
    let sines = graph.floats(&[sizes.tokens, size], &each_twice(|pair| pair.1));
    // A product with this makes (-y, x) of each pair (x, y).
    let mut quarter = vec![0.0; size * size];
    for first in (0..size).step_by(2) {
        quarter[(first + 1) * size + first] = -1.0;
        quarter[first * size + first + 1] = 1.0;
    }
    let quarter = graph.floats(&[size, size], &quarter);
    let across = graph.node("MatMul", &[numbers, &quarter], &[]);
    let [along, across] = [(numbers, &cosines), (&across, &sines)].map(|(a, b)| graph.node("Mul", &[a, b], &[]));
    graph.node("Add", &[&along, &across], &[])
}

fn affine(graph: &mut Graph, affine: &Affine, numbers: &Value, inputs: usize) -> Value {
    let out = affine.bias.len();
    // `[in, out]`, which a product takes as it is.
    let transposed: Vec<f32> = (0..inputs * out).map(|i| affine.weight[i % out * inputs + i / out]).collect();
    let (weight, bias) = (graph.floats(&[inputs, out], &transposed), graph.floats(&[out], &affine.bias));
    let product = graph.node("MatMul", &[numbers, &weight], &[]);
    graph.node("Add", &[&product, &bias], &[])
}

fn layer_norm(graph: &mut Graph, norm: &LayerNorm, numbers: &Value) -> Value {
    let width = norm.weight.len();
    let (weight, bias) = (graph.floats(&[width], &norm.weight), graph.floats(&[width], &norm.bias));
    let attributes = [Attribute::Int("axis", -1), Attribute::Float("epsilon", norm.epsilon)];
    graph.node("LayerNormalization", &[numbers, &weight, &bias], &attributes)
}

fn gelu(graph: &mut Graph, numbers: &Value) -> Value {
    let (root, one, half) = (graph.number(std::f32::consts::SQRT_2), graph.number(1.0), graph.number(0.5));
    let scaled = graph.node("Div", &[numbers, &root], &[]);
    let error = graph.node("Erf", &[&scaled], &[]);
    let above = graph.node("Add", &[&error, &one], &[]);
    let product = graph.node("Mul", &[numbers, &above], &[]);
    graph.node("Mul", &[&product, &half], &[])
}
