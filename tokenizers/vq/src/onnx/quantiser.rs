//! Writes a quantiser as nodes of an ONNX graph, in single precision.

use super::graph::{Attribute, Element, Graph, Value};
use crate::plan::{Books, Codebook, Quantiser};
use crate::quantise::{SHORTEST, half_squares, level_thresholds, unit_rows};

/// Ids of `[batch, places, numbers]`: `[batch, places]`, or `[batch, places, depth]`.
pub(super) fn ids(graph: &mut Graph, quantiser: &Quantiser, features: &Value) -> Value {
    match quantiser {
        Quantiser::Nearest(book) => Rows::nearest(graph, book).best(graph, features),
        Quantiser::Cosine(book) => {
            let units = unit(graph, features);
            Rows::nearest(graph, &unit_rows(book)).best(graph, &units)
        }
        Quantiser::Product(book) => Rows::new(graph, book, &vec![0.0; book.count]).best(graph, features),
        Quantiser::Largest { .. } => largest(graph, features),
        Quantiser::Signs { bits } => {
            let zero = graph.number(0.0);
            let set = graph.node("Greater", &[features, &zero], &[]);
            let bits: Vec<i32> = (0..*bits).map(|bit| 1 << bit).collect();
            weighted(graph, &set, &bits)
        }
        Quantiser::Levels(levels) => digits(graph, levels, features),
        Quantiser::Residual(books) => residual(graph, books, features),
    }
}

/// The rows of a codebook, laid out for a product.
struct Rows {
    /// `[numbers, rows]`.
    columns: Value,
    /// Added to the score of each row.
    start: Value,
}

impl Rows {
    fn new(graph: &mut Graph, book: &Codebook, start: &[f32]) -> Self {
        let Codebook { count, dimension, vectors } = book;
        let transposed: Vec<f32> = (0..count * dimension).map(|i| vectors[i % count * dimension + i / count]).collect();
        Self { columns: graph.floats(&[*dimension, *count], &transposed), start: graph.floats(&[*count], start) }
    }

    /// The best is the nearest: z · row - |row|² / 2 is largest there.
    fn nearest(graph: &mut Graph, book: &Codebook) -> Self {
        Self::new(graph, book, &half_squares(book))
    }

    fn best(&self, graph: &mut Graph, features: &Value) -> Value {
        let product = graph.node("MatMul", &[features, &self.columns], &[]);
        let scores = graph.node("Add", &[&product, &self.start], &[]);
        largest(graph, &scores)
    }
}

fn largest(graph: &mut Graph, scores: &Value) -> Value {
    let last = [Attribute::Int("axis", -1), Attribute::Int("keepdims", 0), Attribute::Int("select_last_index", 0)];
    graph.node("ArgMax", &[scores], &last)
}

fn unit(graph: &mut Graph, features: &Value) -> Value {
    let length = graph.node("ReduceL2", &[features], &[Attribute::Ints("axes", &[-1]), Attribute::Int("keepdims", 1)]);
    let shortest = graph.number(SHORTEST);
    let length = graph.node("Max", &[&length, &shortest], &[]);
    graph.node("Div", &[features, &length], &[])
}

/// The sum of the factors of what is true, over the last axis.
fn weighted(graph: &mut Graph, set: &Value, factors: &[i32]) -> Value {
    let set = graph.cast(set, Element::Int32);
    let factors = graph.short_ints(factors);
    let terms = graph.node("Mul", &[&set, &factors], &[]);
    let sum = sum_of_last(graph, &terms);
    graph.cast(&sum, Element::Int64)
}

fn sum_of_last(graph: &mut Graph, terms: &Value) -> Value {
    let last = graph.ints(&[-1]);
    graph.node("ReduceSum", &[terms, &last], &[Attribute::Int("keepdims", 0)])
}

/// Each number's digit is how many of its thresholds it is above; the first is the fastest.
fn digits(graph: &mut Graph, levels: &[u32], features: &Value) -> Value {
    let most = levels.iter().copied().max().unwrap_or(1) as usize - 1;
    let rows = levels.iter().flat_map(|levels| {
        let thresholds = level_thresholds(*levels);
        let rest = most - thresholds.len();
        // No number is above these.
        thresholds.into_iter().chain(std::iter::repeat_n(f32::INFINITY, rest))
    });
    let thresholds: Vec<f32> = rows.collect();
    let thresholds = graph.floats(&[levels.len(), most], &thresholds);
    let last = graph.ints(&[-1]);
    let columns = graph.node("Unsqueeze", &[features, &last], &[]);
    let above = graph.node("Greater", &[&columns, &thresholds], &[]);
    let above = graph.cast(&above, Element::Int32);
    let digits = sum_of_last(graph, &above);
    let (mut bases, mut base) = (Vec::with_capacity(levels.len()), 1_i32);
    for levels in levels {
        bases.push(base);
        base = base.wrapping_mul(levels.cast_signed());
    }
    weighted(graph, &digits, &bases)
}

fn residual(graph: &mut Graph, books: &Books, features: &Value) -> Value {
    let scored: Vec<(Rows, Value)> = books
        .books
        .iter()
        .map(|book| (Rows::nearest(graph, book), graph.floats(&[book.count, book.dimension], &book.vectors)))
        .collect();
    let last = graph.ints(&[-1]);
    let (mut rest, mut found) = (features.clone(), Vec::new());
    for (rows, vectors) in scored.iter().cycle().take(books.depth) {
        let ids = rows.best(graph, &rest);
        let taken = graph.node("Gather", &[vectors, &ids], &[]);
        rest = graph.node("Sub", &[&rest, &taken], &[]);
        found.push(graph.node("Unsqueeze", &[&ids, &last], &[]));
    }
    graph.node("Concat", &found.iter().collect::<Vec<_>>(), &[Attribute::Int("axis", -1)])
}
