//! An ONNX graph being built: nodes in order, and the tensors that they read.

use half::f16;

use super::protobuf::Message;
use crate::executor::Arithmetic;

/// The version of ONNX's own operators: the first with all that is needed, so that old libraries will do.
const OPERATORS: i64 = 17;

/// The version of the format that came with them.
const FORMAT: i64 = 8;

/// A value between nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value(String);

/// How numbers of a tensor are stored, by ONNX's numbers for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Float = 1,
    Byte = 2,
    Int32 = 6,
    Int64 = 7,
    Half = 10,
}

impl Element {
    pub fn of(arithmetic: Arithmetic) -> Self {
        match arithmetic {
            Arithmetic::F32 => Self::Float,
            Arithmetic::F16 => Self::Half,
        }
    }
}

/// A setting of a node.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attribute<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
    Float(&'a str, f32),
    Text(&'a str, &'a str),
}

#[derive(Debug)]
pub(super) struct Graph {
    /// How the numbers of new tensors are stored, where nothing else is said.
    pub numbers: Arithmetic,
    message: Message,
    values: usize,
}

impl Graph {
    pub fn new(numbers: Arithmetic) -> Self {
        Self { numbers, message: Message::default().text(2, "encoder"), values: 0 }
    }

    /// What the graph is given.
    pub fn input(&mut self, name: &str, element: Element, shape: &[usize]) -> Value {
        self.add(11, &outlet(name, element, shape));
        Value(name.to_owned())
    }

    /// What the graph gives.
    pub fn output(&mut self, name: &str, value: &Value, element: Element, shape: &[usize]) {
        let node = Message::default().text(1, &value.0).text(2, name).text(4, "Identity");
        self.add(1, &node);
        self.add(12, &outlet(name, element, shape));
    }

    pub fn node(&mut self, operator: &str, inputs: &[&Value], attributes: &[Attribute]) -> Value {
        let out = self.name();
        let node = Message::default()
            .each(inputs, |node, input| node.text(1, &input.0))
            .text(2, &out.0)
            .text(4, operator)
            .each(attributes, |node, attribute| node.message(5, &attribute.message()));
        self.add(1, &node);
        out
    }

    /// A tensor of this graph's numbers.
    pub fn floats(&mut self, shape: &[usize], numbers: &[f32]) -> Value {
        let bytes: Vec<u8> = match self.numbers {
            Arithmetic::F32 => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Arithmetic::F16 => numbers.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
        };
        self.tensor(Element::of(self.numbers), shape, &bytes)
    }

    /// One number, as a tensor that goes with any other.
    pub fn number(&mut self, number: f32) -> Value {
        self.floats(&[], &[number])
    }

    /// A list of whole numbers: shapes, axes.
    pub fn ints(&mut self, numbers: &[i64]) -> Value {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(Element::Int64, &[numbers.len()], &bytes)
    }

    /// A list of 32-bit numbers, which all devices compute with.
    pub fn short_ints(&mut self, numbers: &[i32]) -> Value {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.tensor(Element::Int32, &[numbers.len()], &bytes)
    }

    pub fn cast(&mut self, value: &Value, to: Element) -> Value {
        self.node("Cast", &[value], &[Attribute::Int("to", to as i64)])
    }

    /// The same numbers in another shape, of which -1 is what is left and 0 what it was.
    pub fn reshape(&mut self, value: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.node("Reshape", &[value, &shape], &[])
    }

    pub fn transpose(&mut self, value: &Value, order: &[i64]) -> Value {
        self.node("Transpose", &[value], &[Attribute::Ints("perm", order)])
    }

    /// The whole file.
    pub fn into_model(self) -> Vec<u8> {
        let operators = Message::default().text(1, "").int(2, OPERATORS);
        let model = Message::default().int(1, FORMAT).text(2, "pageloom").message(7, &self.message);
        model.message(8, &operators).into_bytes()
    }

    fn tensor(&mut self, element: Element, shape: &[usize], bytes: &[u8]) -> Value {
        let name = self.name();
        let tensor = Message::default()
            .each(shape, |tensor, side| tensor.int(1, *side as i64))
            .int(2, element as i64)
            .text(8, &name.0)
            .bytes(9, bytes);
        self.add(5, &tensor);
        name
    }

    fn name(&mut self) -> Value {
        self.values += 1;
        Value(format!("v{}", self.values))
    }

    fn add(&mut self, field: u32, part: &Message) {
        self.message = std::mem::take(&mut self.message).message(field, part);
    }
}

impl Attribute<'_> {
    fn message(&self) -> Message {
        let named = |name: &str, kind: i64| Message::default().text(1, name).int(20, kind);
        match *self {
            Self::Float(name, value) => named(name, 1).float(2, value),
            Self::Int(name, value) => named(name, 2).int(3, value),
            Self::Text(name, value) => named(name, 3).text(4, value),
            Self::Ints(name, values) => named(name, 7).each(values, |message, value| message.int(8, *value)),
        }
    }
}

/// The name and the type of an input or an output.
fn outlet(name: &str, element: Element, shape: &[usize]) -> Message {
    let side = |message: Message, side: &usize| message.message(1, &Message::default().int(1, *side as i64));
    let shape = Message::default().each(shape, side);
    let tensor = Message::default().int(1, element as i64).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}
