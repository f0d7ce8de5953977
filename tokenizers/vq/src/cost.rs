//! What encoding an image costs, counted from the plan.

use serde::{Deserialize, Serialize};

use super::plan::{Affine, Attention, Block, Codebook, Conv, LayerNorm, Op, Plan, Quantiser, Transformer};

/// What a model holds, and what one image takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Numbers of the encoder and the codebook.
    pub parameters: u64,
    /// Floating-point operations of one image, a multiplication and its addition being two: convolutions, attention and
    /// the lookup in the codebook, which are nearly all of them.
    pub operations: u64,
    /// The most bytes that activations of one image take at once, at four bytes a number; executors may need as much again
    /// for themselves, which [`crate::ImageTokenizer::working_bytes`] counts.
    pub activation_bytes: u64,
    /// Bytes of what an executor that doesn't go by strips holds whole of one image beside its activations: each place's
    /// scores for all rows of a codebook, and the largest matrix of attention, before and after its softmax and as it is laid
    /// out for the next product.
    pub score_bytes: u64,
}

/// Rows, columns and channels of an activation.
#[derive(Clone, Copy)]
struct Shape {
    height: usize,
    width: usize,
    channels: usize,
}

impl Cost {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut cost = Cost::default();
        let mut shape = Shape { height: plan.size.height as usize, width: plan.size.width as usize, channels: 3 };
        let mut kept: Vec<Shape> = Vec::new();
        let mut attention = 0;
        for op in &plan.ops {
            let before = shape;
            attention = attention.max(numbers_of_attention(op, before));
            match op {
                Op::Conv(conv) => shape = cost.conv(conv, shape),
                Op::Attention(attention) => cost.attention(attention, shape),
                Op::Transformer(transformer) => shape = cost.transformer(transformer, shape),
                Op::GroupNorm(norm) => cost.parameters += 2 * norm.weight.len() as u64,
                Op::StyleNorm(norm) => {
                    let affine = [&norm.factor, &norm.summand];
                    cost.parameters +=
                        affine.iter().map(|affine| (affine.weight.len() + affine.bias.len()) as u64).sum::<u64>();
                }
                Op::Apply(_) | Op::Softmax => {}
                Op::Keep => kept.push(shape),
                Op::AddKept(shortcut) => {
                    if let (Some(base), Some(conv)) = (kept.pop(), shortcut) {
                        cost.conv(conv, base);
                    }
                }
                Op::Pool(_) => shape = Shape { height: shape.height / 2, width: shape.width / 2, ..shape },
                Op::Upsample => shape = Shape { height: shape.height * 2, width: shape.width * 2, ..shape },
                Op::DepthToSpace { block } => {
                    let Shape { height, width, channels } = shape;
                    shape =
                        Shape { height: height * block, width: width * block, channels: channels / (block * block) };
                }
            }
            let ends: usize = kept.iter().chain([&before, &shape]).map(Shape::numbers).sum();
            let numbers = ends + inside(op, before);
            cost.activation_bytes = cost.activation_bytes.max(4 * numbers as u64);
        }
        let places = (shape.height * shape.width) as u64;
        cost.quantise(&plan.quantiser, places);
        cost.score_bytes = 4 * (2 * places * plan.quantiser.rows() as u64 + 3 * attention);
        cost
    }

    fn conv(&mut self, conv: &Conv, input: Shape) -> Shape {
        let around = conv.padding.before + conv.padding.after;
        let side = |length: usize| (length + around).saturating_sub(conv.kernel) / conv.stride + 1;
        let out = Shape { height: side(input.height), width: side(input.width), channels: conv.channels_out };
        self.parameters += (conv.weight.len() + conv.bias.len()) as u64;
        self.operations += 2 * (out.height * out.width * conv.weight.len()) as u64;
        out
    }

    fn attention(&mut self, attention: &Attention, shape: Shape) {
        for conv in [&attention.query, &attention.key, &attention.value, &attention.projection] {
            self.conv(conv, shape);
        }
        let places = (shape.height * shape.width) as u64;
        self.operations += 4 * places * places * shape.channels as u64;
    }

    /// Places become tokens beside those of the model's own, and the queries places.
    fn transformer(&mut self, transformer: &Transformer, shape: Shape) -> Shape {
        let width = transformer.width;
        let own = transformer.before.len() + transformer.queries.len();
        let tokens = (shape.height * shape.width + own / width.max(1)) as u64;
        let norms = [transformer.place_norm.as_ref(), transformer.norm_in.as_ref(), Some(&transformer.norm_out)];
        self.parameters += (own + transformer.positions.len()) as u64;
        norms.into_iter().flatten().for_each(|norm| self.layer_norm(norm));
        for block in &transformer.blocks {
            let Block { query, key, value, projection, widen, narrow, norm_1, norm_2, .. } = block;
            for affine in [query, key, value, projection, widen, narrow] {
                self.affine(affine, tokens);
            }
            let heads = block.head_norms.iter().flatten();
            [norm_1, norm_2].into_iter().chain(heads).for_each(|norm| self.layer_norm(norm));
            self.operations += 4 * tokens * tokens * width as u64;
        }
        let places = transformer.queries.len() / width.max(1);
        Shape { height: transformer.rows, width: places / transformer.rows, channels: width }
    }

    fn affine(&mut self, affine: &Affine, tokens: u64) {
        self.parameters += (affine.weight.len() + affine.bias.len()) as u64;
        self.operations += 2 * tokens * affine.weight.len() as u64;
    }

    fn layer_norm(&mut self, norm: &LayerNorm) {
        self.parameters += (norm.weight.len() + norm.bias.len()) as u64;
    }

    fn quantise(&mut self, quantiser: &Quantiser, places: u64) {
        let mut look_up = |book: &Codebook, times: u64| {
            let numbers = (book.count * book.dimension) as u64;
            self.parameters += numbers;
            self.operations += 2 * times * places * numbers;
        };
        match quantiser {
            Quantiser::Nearest(book) | Quantiser::Cosine(book) | Quantiser::Product(book) => look_up(book, 1),
            Quantiser::Residual(books) => {
                let times = (books.depth / books.books.len().max(1)) as u64;
                books.books.iter().for_each(|book| look_up(book, times));
            }
            Quantiser::Largest { .. } | Quantiser::Signs { .. } | Quantiser::Levels(_) => {}
        }
    }
}

/// Scores of all tokens for all others.
fn numbers_of_attention(op: &Op, input: Shape) -> u64 {
    let places = input.height * input.width;
    let (heads, tokens) = match op {
        Op::Attention(_) => (1, places),
        Op::Transformer(transformer) => {
            let own = (transformer.before.len() + transformer.queries.len()) / transformer.width.max(1);
            (transformer.attention.count, places + own)
        }
        _ => (0, 0),
    };
    (heads * tokens * tokens) as u64
}

/// Numbers between the two ends of an operation.
fn inside(op: &Op, input: Shape) -> usize {
    match op {
        // Queries, keys and values.
        Op::Attention(_) => 3 * input.numbers(),
        Op::Transformer(transformer) => {
            let width = transformer.width.max(1);
            let own = (transformer.before.len() + transformer.queries.len()) / width;
            let wide = transformer.blocks.iter().map(|block| block.widen.bias.len()).max().unwrap_or(0);
            // All tokens, as they are and normalised, beside what attention or what the wide layer makes of them.
            (input.height * input.width + own) * (2 * width + (4 * width).max(wide + width))
        }
        _ => 0,
    }
}

impl Shape {
    fn numbers(&self) -> usize {
        self.height * self.width * self.channels
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn parameters_are_the_numbers_of_the_encoder_and_the_codebook() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-vq");
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let of_encoder =
            |name: &str| ["encoder.", "quant_conv.", "quantize."].iter().any(|part| name.starts_with(part));
        let numbers = |(name, tensor): (String, safetensors::tensor::TensorView<'_>)| {
            if of_encoder(&name) { tensor.shape().iter().product::<usize>() as u64 } else { 0 }
        };
        let expected: u64 = tensors.tensors().into_iter().map(numbers).sum();
        assert_eq!(crate::load(&folder).unwrap().cost().parameters, expected);
    }
}
