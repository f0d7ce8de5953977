//! ONNX Runtime against the executor `cpu`, where its library is.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::executor::OnnxExecutor;
use super::graph::{Attribute, Element, Graph};
use super::runtime::Runtime;
use crate::cpu::CpuExecutor;
use crate::executor::{Arithmetic, Device, Executor, ExecutorSettings};
use crate::plan::{
    Activation, Affine, Attention, Block, Books, Codebook, Conv, Function, GroupNorm, Heads, Hidden, LayerNorm, Op,
    Order, Padding, Plan, Pool, Quantiser, Sight, StyleNorm, Transformer,
};
use crate::preprocessing::Range;
use crate::rule::{image, weight};
use crate::tokenizer::ImageSize;
use crate::{ImageTokenizer, load_decoder, load_with};

/// Settings with which the library is found; nothing, and a line that says so, where there is none.
pub(crate) fn library_for_tests() -> Option<ExecutorSettings> {
    let settings: ExecutorSettings = "onnxruntime".parse().expect("an executor");
    match Runtime::open(&settings) {
        Ok(_) => Some(settings),
        // Who names a library wants it tried.
        Err(error) if std::env::var_os("ORT_DYLIB_PATH").is_some() => panic!("{error}"),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

const SIDE: usize = 16;

fn conv(name: &str, [channels_in, channels_out, kernel, stride]: [usize; 4], padding: Padding) -> Conv {
    let weight_of = |part: &str, shape: &[usize]| weight(&format!("{name} {part}"), shape);
    let (weight, bias) =
        (weight_of("w", &[channels_out, channels_in, kernel, kernel]), weight_of("b", &[channels_out]));
    Conv { channels_in, channels_out, kernel, stride, padding, weight, bias }
}

fn around(width: usize) -> Padding {
    Padding { before: width, after: width }
}

fn pointwise(name: &str, channels_in: usize, channels_out: usize) -> Conv {
    conv(name, [channels_in, channels_out, 1, 1], Padding::NONE)
}

fn affine(name: &str, inputs: usize, out: usize) -> Affine {
    Affine { weight: weight(&format!("{name} w"), &[out, inputs]), bias: weight(&format!("{name} b"), &[out]) }
}

fn layer_norm(name: &str, width: usize) -> LayerNorm {
    let weight_of = |part: &str| weight(&format!("{name} norm {part}"), &[width]);
    LayerNorm { epsilon: 1e-5, weight: weight_of("weight"), bias: weight_of("bias") }
}

fn group_norm(activation: Activation) -> Op {
    let weight_of = |part: &str| weight(&format!("norm {part}"), &[8]);
    Op::GroupNorm(GroupNorm {
        groups: 4,
        epsilon: 1e-6,
        activation,
        weight: weight_of("weight"),
        bias: weight_of("bias"),
    })
}

fn style_norm() -> Op {
    let (factor, summand) = (affine("factor", 3, 8), affine("summand", 3, 8));
    Op::StyleNorm(Box::new(StyleNorm { groups: 4, epsilon: 1e-6, factor, summand }))
}

fn attention() -> Op {
    let [query, key, value, projection] = ["q", "k", "v", "p"].map(|name| pointwise(name, 8, 8));
    Op::Attention(Box::new(Attention { query, key, value, projection }))
}

/// Over the places of an image that was made smaller, with everything a transformer may have.
fn transformer(sight: Sight, hidden: Hidden, order: Order) -> Op {
    let (width, places, turned) = (8, SIDE * SIDE, sight == Sight::Causal);
    let angle = |i: usize| (i as f32 * 0.1).sin_cos();
    let rotation = (0..if turned { places * 2 } else { 0 }).map(|i| (angle(i).1, angle(i).0)).collect();
    let block = |name: &str| Block {
        norm_1: layer_norm(&format!("{name} 1"), width),
        query: affine(&format!("{name} q"), width, width),
        key: affine(&format!("{name} k"), width, width),
        value: affine(&format!("{name} v"), width, width),
        head_norms: turned.then(|| ["q", "k"].map(|side| layer_norm(&format!("{name} {side}"), width / 2))),
        projection: affine(&format!("{name} p"), width, width),
        norm_2: layer_norm(&format!("{name} 2"), width),
        widen: affine(&format!("{name} wide"), width, 3 * width),
        hidden,
        narrow: affine(&format!("{name} narrow"), 3 * width, width),
    };
    let own = |name: &str, count: usize| weight(&format!("embed {name}"), &[count, width]);
    Op::Transformer(Box::new(Transformer {
        rows: 1,
        width,
        place_norm: turned.then(|| layer_norm("places", width)),
        before: own("before", usize::from(!turned)),
        positions: if turned { Vec::new() } else { own("positions", places) },
        queries: own("queries", 5),
        norm_in: (!turned).then(|| layer_norm("in", width)),
        attention: Heads { count: 2, sight, rotation },
        blocks: vec![block("first"), block("second")],
        norm_out: layer_norm("out", width),
        order,
    }))
}

/// Eight channels of a small image, then these operations, then signs.
fn plan(ops: Vec<Op>) -> Plan {
    let first = Op::Conv(conv("first", [3, 8, 3, 1], around(1)));
    let ops = std::iter::once(first).chain(ops).collect();
    Plan { size: ImageSize::square(SIDE as u32), input: Range::SIGNED, ops, quantiser: Quantiser::Largest { count: 8 } }
}

/// Both executors' features of two images, compared; in batches of three.
fn check_features(name: &str, settings: &ExecutorSettings, most: f32, ops: impl Fn() -> Vec<Op>) {
    let images = [image(0, SIDE, SIDE), image(1, SIDE, SIDE)];
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let settings = ExecutorSettings { batch: NonZeroU32::new(3), ..settings.clone() };
    let onnx = OnnxExecutor::boxed(plan(ops()), &settings).expect("an executor");
    let expected = Executor::features(&CpuExecutor::new(plan(ops())), &images).expect("runs").expect("features");
    let found = onnx.features(&images).expect("runs").expect("features");
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected.len(), found.len(), "{name}");
        let apart = expected.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= most, "{name}: {apart}");
    }
}

#[test]
fn every_operation_gives_the_numbers_of_the_cpu() {
    let Some(settings) = library_for_tests() else { return };
    type Case = (&'static str, fn() -> Vec<Op>);
    let cases: [Case; 15] = [
        ("nothing", Vec::new),
        ("strides", || vec![Op::Conv(conv("down", [8, 8, 3, 2], Padding { before: 0, after: 1 }))]),
        ("group norm", || vec![group_norm(Activation::None)]),
        ("swish", || vec![group_norm(Activation::Swish)]),
        ("style norm", || vec![style_norm()]),
        ("functions", || vec![Op::Apply(Function::Sigmoid), Op::Apply(Function::Relu)]),
        ("attention", || vec![attention()]),
        ("residual", || vec![Op::Keep, Op::Apply(Function::Sigmoid), Op::AddKept(None)]),
        ("shortcut", || {
            let wider = Op::Conv(conv("wide", [8, 12, 3, 1], around(1)));
            let inner = vec![Op::Keep, Op::Pool(Pool::Average), Op::Upsample, Op::AddKept(None)];
            let outer = [Op::Keep, Op::Apply(Function::Sigmoid)].into_iter().chain(inner).chain([wider]);
            outer.chain([Op::AddKept(Some(pointwise("short", 8, 12)))]).collect()
        }),
        ("average", || vec![Op::Pool(Pool::Average)]),
        ("largest", || vec![Op::Pool(Pool::Largest)]),
        ("upsample", || vec![Op::Upsample, Op::Conv(conv("after", [8, 8, 3, 1], around(1)))]),
        ("depth to space", || vec![Op::DepthToSpace { block: 2 }]),
        ("transformer", || vec![transformer(Sight::All, Hidden::Gelu, Order::Mixed)]),
        ("causal transformer", || vec![transformer(Sight::Causal, Hidden::Swish, Order::Tokens)]),
    ];
    for (name, ops) in cases {
        check_features(name, &settings, 2e-5, ops);
        let half = ExecutorSettings { precision: Arithmetic::F16, ..settings.clone() };
        check_features(name, &half, 3e-2, ops);
    }
}

#[test]
fn every_quantiser_gives_the_ids_of_the_cpu() {
    let Some(settings) = library_for_tests() else { return };
    let book =
        |name: &str| Codebook { count: 50, dimension: 8, vectors: weight(&format!("codebook {name}"), &[50, 8]) };
    type Make = fn(&dyn Fn(&str) -> Codebook) -> Quantiser;
    let quantisers: [Make; 9] = [
        |book| Quantiser::Nearest(book("nearest")),
        |book| Quantiser::Cosine(book("cosine")),
        |book| Quantiser::Product(book("product")),
        |_| Quantiser::Largest { count: 8 },
        |_| Quantiser::Signs { bits: 8 },
        |_| Quantiser::Levels(vec![2, 3, 4, 5, 8, 8, 8, 2]),
        // More than fits into a signed number once it is multiplied out.
        |_| Quantiser::Levels(vec![16, 16, 16, 16, 16, 16, 8, 16]),
        |book| Quantiser::Residual(Books { books: vec![book("shared")], depth: 3 }),
        |book| Quantiser::Residual(Books { books: vec![book("one"), book("two")], depth: 2 }),
    ];
    let images: Vec<Vec<u8>> = (0..5).map(|index| image(index, SIDE, SIDE)).collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    for quantiser in quantisers {
        let plan = || Plan { quantiser: quantiser(&book), ..plan(Vec::new()) };
        let name = format!("{:.40?}", plan().quantiser);
        let expected = CpuExecutor::new(plan()).encode(&images).expect("encodes");
        let onnx = OnnxExecutor::boxed(plan(), &settings).expect("an executor");
        assert_eq!(onnx.encode(&images).expect("encodes"), expected, "{name}");
    }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-vq")
}

#[test]
fn the_demo_model_passes_the_selftest_in_both_precisions() {
    let Some(settings) = library_for_tests() else { return };
    for precision in [Arithmetic::F32, Arithmetic::F16] {
        let settings = ExecutorSettings { precision, batch: NonZeroU32::new(2), ..settings.clone() };
        let model = load_with(&demo(), None, &settings).expect("loads");
        let id = &model.provenance().executor;
        assert_eq!(
            (id.name.as_str(), id.device.as_str(), id.precision.as_str()),
            ("onnxruntime", "cpu", precision.name())
        );
        assert!(!id.is_reference() && !id.version.is_empty(), "{id}");
        let report = model.selftest().expect("agrees");
        println!("{report}");
        assert_eq!((report.images, report.places), (5, 5 * 256));
    }
}

#[test]
fn neither_threads_nor_the_batch_change_a_bit() {
    let Some(settings) = library_for_tests() else { return };
    let images: Vec<Vec<u8>> = (0..3).map(|index| image(index, SIDE, SIDE)).collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let features = |threads: u32, batch: u32| -> Vec<Vec<f32>> {
        let (threads, batch) = (NonZeroU32::new(threads), NonZeroU32::new(batch));
        let settings = ExecutorSettings { threads, batch, ..settings.clone() };
        let ops = vec![group_norm(Activation::Swish), attention()];
        let executor = OnnxExecutor::boxed(plan(ops), &settings).expect("an executor");
        executor.features(&images).expect("runs").expect("features")
    };
    let expected = features(1, 1);
    assert!(expected == features(2, 1), "threads");
    assert!(expected == features(1, 2), "batch");
}

#[test]
fn images_of_many_threads_get_their_own_ids() {
    let Some(settings) = library_for_tests() else { return };
    let settings = ExecutorSettings { batch: NonZeroU32::new(4), ..settings };
    let (onnx, cpu) = (OnnxExecutor::boxed(plan(Vec::new()), &settings).expect("an executor"), plan(Vec::new()));
    let cpu = CpuExecutor::new(cpu);
    std::thread::scope(|scope| {
        for index in 0..10 {
            let (onnx, cpu) = (&onnx, &cpu);
            scope.spawn(move || {
                let own = [image(index, SIDE, SIDE), image(index + 10, SIDE, SIDE)];
                let own: Vec<&[u8]> = own.iter().map(Vec::as_slice).collect();
                assert_eq!(onnx.encode(&own).expect("encodes"), cpu.encode(&own).expect("encodes"));
            });
        }
    });
}

#[test]
fn a_device_or_a_library_that_isnt_there_is_an_error_and_not_another_device() {
    let nowhere =
        ExecutorSettings { library: Some("/nowhere/libonnxruntime.so".into()), .."onnxruntime".parse().expect("one") };
    let error = load_with(&demo(), None, &nowhere).expect_err("refused").to_string();
    assert!(error.contains("/nowhere/libonnxruntime.so") || error.contains("is open already"), "{error}");
    let Some(settings) = library_for_tests() else { return };
    for device in [Device::Cuda, Device::Tensorrt] {
        // Whether there is a GPU is another machine's matter: what is loaded is on the device that was asked for.
        match load_with(&demo(), None, &ExecutorSettings { device, ..settings.clone() }) {
            Ok(model) => assert_eq!(model.provenance().executor.device, device.name()),
            Err(error) => assert!(
                error.to_string().contains(&format!("the executor onnxruntime:{} can't be used", device.name()))
            ),
        }
    }
    let error = load_with(&demo(), None, &"cpu:cuda".parse().expect("one")).expect_err("refused").to_string();
    assert!(error.contains("the executor cpu:cuda can't be used: it computes on the processor"), "{error}");
}

/// How a file of a user's is fed and what it gives.
#[derive(Clone, Copy)]
struct Form {
    element: Element,
    channels_last: bool,
    /// Of the output: ids as these, or features.
    ids: Option<Element>,
}

/// A folder with an encoder: one convolution of patches, and for ids the place of the largest number.
fn users_file(form: Form) -> tempfile::TempDir {
    let (folder, conv) = (tempfile::tempdir().expect("a folder"), conv("patches", [3, 8, 4, 4], Padding::NONE));
    let (batch, side) = (2, SIDE / 4);
    let mut graph = Graph::new(Arithmetic::F32);
    let shape = if form.channels_last { [batch, SIDE, SIDE, 3] } else { [batch, 3, SIDE, SIDE] };
    let input = graph.input("pixels", form.element, &shape);
    let mut numbers = graph.cast(&input, Element::Float);
    if form.channels_last {
        numbers = graph.transpose(&numbers, &[0, 3, 1, 2]);
    }
    let (weight, bias) = (graph.floats(&[8, 3, 4, 4], &conv.weight), graph.floats(&[8], &conv.bias));
    let features = graph.node("Conv", &[&numbers, &weight, &bias], &[Attribute::Ints("strides", &[4, 4])]);
    match form.ids {
        Some(element) => {
            let best = graph.node("ArgMax", &[&features], &[Attribute::Int("axis", 1), Attribute::Int("keepdims", 0)]);
            let best = graph.cast(&best, element);
            graph.output("best", &best, element, &[batch, side, side]);
        }
        None => graph.output("numbers", &features, Element::Float, &[batch, 8, side, side]),
    }
    std::fs::write(folder.path().join("model.onnx"), graph.into_model()).expect("writes");
    folder
}

/// What the executor `cpu` makes of the same.
fn expected(input: Range, quantiser: Quantiser, images: &[&[u8]]) -> Vec<Vec<u32>> {
    let ops = vec![Op::Conv(conv("patches", [3, 8, 4, 4], Padding::NONE))];
    let plan = Plan { size: ImageSize::square(SIDE as u32), input, ops, quantiser };
    CpuExecutor::new(plan).encode(images).expect("encodes")
}

fn users_config(folder: &Path, more: serde_json::Value) {
    let mut config =
        serde_json::json!({"family": "onnx", "image_size": [SIDE, SIDE], "grid": [4, 4], "codebook_size": 8});
    let more = more.as_object().expect("an object").clone();
    config.as_object_mut().expect("an object").extend(more);
    std::fs::write(folder.join("config.json"), config.to_string()).expect("writes");
}

fn images() -> Vec<Vec<u8>> {
    (0..3).map(|index| image(index, SIDE, SIDE)).collect()
}

fn encode(model: &dyn ImageTokenizer, images: &[Vec<u8>]) -> Vec<Vec<u32>> {
    model.encode(&images.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("encodes")
}

#[test]
fn a_users_file_gives_its_ids_in_whatever_form() {
    let Some(settings) = library_for_tests() else { return };
    let images = images();
    let rgb: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let levels = Range { low: 0.0, high: 255.0 };
    // The mean and the deviation make of -1 to 1 what 0 to 4 would be.
    let shifted = serde_json::json!({"mean": [-1.0, -1.0, -1.0], "deviation": [0.5, 0.5, 0.5]});
    let last = serde_json::json!({"channels": "last"});
    for (element, channels_last, ids, config, input) in [
        (Element::Float, false, Element::Int64, serde_json::json!({}), Range::SIGNED),
        (Element::Float, false, Element::Int64, shifted, Range { low: 0.0, high: 4.0 }),
        (Element::Half, false, Element::Int32, serde_json::json!({"input_range": [0.0, 255.0]}), levels),
        (Element::Byte, true, Element::Int32, last, levels),
    ] {
        let folder = users_file(Form { element, channels_last, ids: Some(ids) });
        users_config(folder.path(), config);
        let model = load_with(folder.path(), None, &settings).expect("loads");
        assert_eq!(encode(model.as_ref(), &images), expected(input, Quantiser::Largest { count: 8 }, &rgb));
        assert_eq!((model.provenance().family.as_str(), &*model.provenance().executor.precision), ("onnx", "file"));
        assert_eq!(model.selftest().expect("agrees").feature_error, None);
    }
}

#[test]
fn a_users_features_become_ids_by_a_codebook() {
    let Some(settings) = library_for_tests() else { return };
    let images = images();
    let rgb: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let folder = users_file(Form { element: Element::Float, channels_last: false, ids: None });
    let vectors = weight("codebook", &[50, 8]);
    let bytes: Vec<u8> = vectors.iter().flat_map(|x| x.to_le_bytes()).collect();
    let rows = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![50, 8], &bytes).expect("a tensor");
    let book = safetensors::serialize([("rows", rows)], None).expect("serialises");
    std::fs::write(folder.path().join("book.safetensors"), book).expect("writes");
    let book = || Codebook { count: 50, dimension: 8, vectors: vectors.clone() };
    for (choice, quantiser) in [
        ("nearest", Quantiser::Nearest(book())),
        ("cosine", Quantiser::Cosine(book())),
        ("product", Quantiser::Product(book())),
    ] {
        let rows = serde_json::json!({"codebook_size": 50, "quantiser": choice, "codebook": "book.safetensors",
            "codebook_tensor": "rows", "embed_dim": 8, "input_range": [0.0, 1.0]});
        users_config(folder.path(), rows);
        let model = load_with(&folder.path().join("model.onnx"), None, &settings).expect("loads");
        assert_eq!(encode(model.as_ref(), &images), expected(Range::UNIT, quantiser, &rgb), "{choice}");
        assert_eq!(model.selftest().expect("agrees").feature_error, Some(0.0));
    }
}

#[test]
fn what_doesnt_fit_a_users_file_is_named() {
    let Some(settings) = library_for_tests() else { return };
    let folder = users_file(Form { element: Element::Float, channels_last: false, ids: Some(Element::Int64) });
    let refusal = |more: serde_json::Value| {
        users_config(folder.path(), more);
        load_with(folder.path(), None, &settings).expect_err("refused").to_string()
    };
    for (more, said) in [
        (
            serde_json::json!({"image_size": [32, 16]}),
            "input is [2, 3, 16, 16], but `image_size` and `channels` make it",
        ),
        (serde_json::json!({"channels": "last"}), "make it [-1, 16, 16, 3]"),
        (serde_json::json!({"output": "ids"}), "the model has the outputs best, but no `ids`"),
        (serde_json::json!({"quantiser": "largest"}), "`best` is of i64, not of features"),
        (serde_json::json!({"quantiser": "nearest"}), "needs `codebook`, a file, and `embed_dim`"),
        (serde_json::json!({"deviation": [1.0, 0.0, 1.0]}), "`deviation` is above 0"),
        (serde_json::json!({"image_mean": 3}), "unknown field `image_mean`"),
    ] {
        let error = refusal(more);
        assert!(error.contains(said), "{error}");
    }
    users_config(folder.path(), serde_json::json!({"codebook_size": 3}));
    let model = load_with(folder.path(), None, &settings).expect("loads");
    let error = model.encode(&[&images()[0]]).expect_err("refused").to_string();
    assert!(error.contains("failed: `best` has ids that aren't below `codebook_size`"), "{error}");
    users_config(folder.path(), serde_json::json!({"grid": [8, 8]}));
    let model = load_with(folder.path(), None, &settings).expect("loads");
    let error = model.encode(&[&images()[0]]).expect_err("refused").to_string();
    assert!(error.contains("`best` has 32 numbers for 2 images, not 128 as config.json says"), "{error}");
    let error = load_with(folder.path(), None, &ExecutorSettings::default()).expect_err("refused").to_string();
    assert!(error.contains("needs the executor `onnxruntime`"), "{error}");
    let error = load_decoder(folder.path(), None).expect_err("refused").to_string();
    assert!(error.contains("model of the family onnx, which can only be encoded with"), "{error}");
}

#[test]
fn features_that_overflow_are_an_error() {
    let Some(settings) = library_for_tests() else { return };
    let settings = ExecutorSettings { precision: Arithmetic::F16, ..settings };
    let mut loud = pointwise("loud", 3, 8);
    loud.weight.iter_mut().for_each(|x| *x *= 1e6);
    let ops = vec![Op::Conv(loud), Op::Apply(Function::Relu)];
    let executor = OnnxExecutor::boxed(Plan { ops, ..plan(Vec::new()) }, &settings).expect("an executor");
    let error = executor.encode(&[&image(0, SIDE, SIDE)]).expect_err("refused").to_string();
    assert!(error.contains("failed: image 0 of a batch has features that aren't finite"), "{error}");
}
