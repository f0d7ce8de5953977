//! `pageloom vq`: looks at VQ models, and encodes and decodes files with them.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use pageloom::answer;
use pageloom::error::RunError;
use pageloom_vq::pixels::{Draw, Limits, Size, png, prepare};
use pageloom_vq::{ExecutorSettings, Grid, ImageSize, ImageTokenizer, Precision, load_decoder, load_with};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What can be done with a VQ model.
#[derive(Debug, Subcommand)]
pub enum VqCommand {
    /// Print a model's family, sizes, parameters, and what an image costs.
    Inspect {
        #[command(flatten)]
        encoder: Encoder,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Encode image files, and print one JSON object for each: its file, grid and codes, or its error.
    Encode {
        #[command(flatten)]
        encoder: Encoder,
        /// Image files.
        #[arg(required = true)]
        images: Vec<PathBuf>,
    },
    /// Decode what `encode` printed to PNG files.
    Decode {
        #[command(flatten)]
        model: Model,
        /// A file of JSON lines, as `encode` prints them.
        codes: PathBuf,
        /// Folder of the PNG files; they have the names of the images that were encoded.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write a checkpoint as safetensors: a PyTorch one, none of whose code runs, or one in another precision.
    ///
    /// What belongs to training alone (losses, discriminators, optimizers) is left out, and named.
    Convert {
        /// A .ckpt, .pt, .pth, .bin or .safetensors file.
        checkpoint: PathBuf,
        /// The safetensors file; put the model's config.json beside it.
        #[arg(long)]
        out: PathBuf,
        /// How numbers are stored.
        #[arg(long, value_enum, default_value_t = Stored::F32)]
        precision: Stored,
    },
    /// Measure how many images a model encodes, on one thread and on all.
    ///
    /// A machine that does other work makes the figures smaller: compare CPU seconds.
    Bench {
        #[command(flatten)]
        encoder: Encoder,
        /// Images per thread.
        #[arg(long, default_value_t = 16)]
        images: usize,
    },
    /// Hold an executor against the one that is always there, on built-in images; fails if they differ by more than rounding.
    Selftest {
        #[command(flatten)]
        encoder: Encoder,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// How numbers are stored in a file.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Stored {
    /// 32 bits.
    F32,
    /// 16 bits, of which 10 are the fraction's.
    F16,
    /// 16 bits, of which 7 are the fraction's.
    Bf16,
}

/// A model, and the size of its images.
#[derive(Debug, Args)]
pub struct Model {
    /// Folder of the model: config.json, and model.safetensors or diffusion_pytorch_model.safetensors.
    model: PathBuf,
    /// Columns and rows of the images in pixels, as 512x512; the size it was trained at if it isn't given.
    #[arg(long, value_parser = parse_size)]
    size: Option<ImageSize>,
}

/// A model, and what runs it.
#[derive(Debug, Args)]
pub struct Encoder {
    #[command(flatten)]
    model: Model,
    /// What runs it: cpu, onnxruntime, or that on a device and in a precision, as onnxruntime:cuda:f16.
    #[arg(long, default_value = "cpu")]
    executor: ExecutorSettings,
    /// ONNX Runtime's library; what ORT_DYLIB_PATH names, or what the system finds, if it isn't given.
    #[arg(long)]
    library: Option<PathBuf>,
    /// Images that run together; 1 on the processor and 32 elsewhere if it isn't given.
    #[arg(long)]
    batch: Option<NonZeroU32>,
    /// Threads of ONNX Runtime on the processor; all if it isn't given.
    #[arg(long)]
    threads: Option<NonZeroU32>,
}

fn parse_size(text: &str) -> Result<ImageSize, String> {
    let (width, height) = text.split_once('x').unwrap_or((text, text));
    let side = |side: &str| side.parse().map_err(|_| format!("`{text}` is no size: write it as 512x512"));
    Ok(ImageSize { width: side(width)?, height: side(height)? })
}

/// One image of `encode`'s output. An image that can't be encoded has an error and nothing else.
#[derive(Debug, Serialize, Deserialize)]
struct Encoded {
    file: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grid: Option<Grid>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    codes: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Does it, and prints what comes of it.
pub fn execute(command: VqCommand) -> Result<(), RunError> {
    match command {
        VqCommand::Inspect { encoder, json } => inspect(encoder.load()?.as_ref(), json),
        VqCommand::Encode { encoder, images } => encode(encoder.load()?.as_ref(), &images),
        VqCommand::Decode { model, codes, out } => decode(&model, &codes, &out),
        VqCommand::Convert { checkpoint, out, precision } => convert(&checkpoint, &out, precision),
        VqCommand::Bench { encoder, images } => bench(encoder.load()?.as_ref(), images.max(1)),
        VqCommand::Selftest { encoder, json } => selftest(encoder.load()?.as_ref(), json),
    }
}

impl Encoder {
    fn load(self) -> Result<std::sync::Arc<dyn ImageTokenizer>, RunError> {
        let Self { model, executor, library, batch, threads } = self;
        let executor = ExecutorSettings { library, batch, threads, ..executor };
        load_with(&model.model, model.size, &executor).map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> RunError {
    RunError::Model(error.to_string())
}

fn inspect(model: &dyn ImageTokenizer, json: bool) -> Result<(), RunError> {
    let (provenance, cost, size, grid) = (model.provenance(), model.cost(), model.size(), model.grid());
    if json {
        let all = serde_json::json!({
            "provenance": provenance, "size": size, "grid": grid, "codes_per_cell": model.codes_per_cell(),
            "codebook_size": model.codebook_size(), "preprocessing": model.preprocessing(),
            "recipe": model.recipe(), "fingerprint": model.recipe().fingerprint(), "cost": cost,
        });
        answer!("{}", serde_json::to_string_pretty(&all).map_err(failed)?)?;
        return Ok(());
    }
    answer!("family      {}", provenance.family)?;
    answer!("images      {} x {} pixels", size.width, size.height)?;
    answer!("codes       {} per image: {} x {} places, {} each", model.codes_per_image(), grid.width, grid.height, {
        model.codes_per_cell()
    })?;
    answer!("codebook    {} codes", model.codebook_size())?;
    answer!("parameters  {:.2} million, in the encoder and the codebook", cost.parameters as f64 / 1e6)?;
    answer!("an image    {:.2} GFLOP, {:.1} MB of activations", cost.operations as f64 / 1e9, {
        cost.activation_bytes as f64 / 1e6
    })?;
    answer!("recipe      {}", model.recipe().fingerprint())?;
    answer!("executor    {}", provenance.executor)?;
    answer!("weights     blake3 {}", provenance.model_blake3)?;
    Ok(())
}

fn encode(model: &dyn ImageTokenizer, images: &[PathBuf]) -> Result<(), RunError> {
    let mut wrong = 0;
    for some in images.chunks(64) {
        let encoded: Vec<Encoded> = some.par_iter().map(|file| encode_one(model, file)).collect();
        for image in encoded {
            wrong += usize::from(image.error.is_some());
            answer!("{}", serde_json::to_string(&image).map_err(failed)?)?;
        }
    }
    if wrong > 0 { Err(failed(format!("{wrong} of {} images can't be encoded", images.len()))) } else { Ok(()) }
}

fn encode_one(model: &dyn ImageTokenizer, file: &Path) -> Encoded {
    let codes = || -> Result<Vec<u32>, String> {
        let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
        let prepared = prepare(&bytes, &model.recipe(), Draw { x: 0.5, y: 0.5 }, &Limits::default());
        let crops = prepared.map_err(|error| error.to_string())?.crops;
        let rgb = crops.first().map(|crop| crop.rgb.as_slice()).unwrap_or_default();
        let codes = model.encode(&[rgb]).map_err(|error| error.to_string())?;
        Ok(codes.into_iter().next().unwrap_or_default())
    };
    let file = file.to_owned();
    match codes() {
        Ok(codes) => Encoded { file, grid: Some(model.grid()), codes, error: None },
        Err(error) => Encoded { file, grid: None, codes: Vec::new(), error: Some(error) },
    }
}

fn decode(model: &Model, codes: &Path, out: &Path) -> Result<(), RunError> {
    let decoder = load_decoder(&model.model, model.size).map_err(failed)?;
    let lines = std::fs::File::open(codes).map_err(|error| failed(format!("{}: {error}", codes.display())))?;
    std::fs::create_dir_all(out).map_err(|error| failed(format!("{}: {error}", out.display())))?;
    let mut written = BTreeSet::new();
    for (number, line) in (1..).zip(std::io::BufReader::new(lines).lines()) {
        let at = |error: &dyn std::fmt::Display| failed(format!("{}:{number}: {error}", codes.display()));
        let image: Encoded = serde_json::from_str(&line.map_err(|error| at(&error))?).map_err(|error| at(&error))?;
        if image.error.is_some() {
            continue;
        }
        let pixels = decoder.decode(&[&image.codes]).map_err(|error| at(&error))?;
        let ImageSize { width, height } = decoder.layout().size;
        let file = png(pixels.first().map(Vec::as_slice).unwrap_or_default(), Size { width, height });
        let name = image.file.file_stem().unwrap_or(image.file.as_os_str());
        let path = out.join(name).with_extension("png");
        if !written.insert(path.clone()) {
            return Err(at(&format!("{} is written already, for another line", path.display())));
        }
        std::fs::write(&path, file.map_err(|error| at(&error))?).map_err(|error| at(&error))?;
        answer!("{}", path.display())?;
    }
    Ok(())
}

fn convert(checkpoint: &Path, out: &Path, precision: Stored) -> Result<(), RunError> {
    let precision = match precision {
        Stored::F32 => Precision::F32,
        Stored::F16 => Precision::F16,
        Stored::Bf16 => Precision::Bf16,
    };
    if out.exists() {
        return Err(failed(format!("{}: is there already; name a file that is not", out.display())));
    }
    let converted = pageloom_vq::convert(checkpoint, out, precision).map_err(failed)?;
    answer!("{} tensors: {}", converted.tensors, out.display())?;
    for name in converted.left_out {
        answer!("left out: {name}")?;
    }
    Ok(())
}

fn selftest(model: &dyn ImageTokenizer, json: bool) -> Result<(), RunError> {
    let report = model.selftest().map_err(failed)?;
    match json {
        true => answer!("{}", serde_json::to_string_pretty(&report).map_err(failed)?)?,
        false => answer!("{report}")?,
    }
    Ok(())
}

fn bench(model: &dyn ImageTokenizer, images: usize) -> Result<(), RunError> {
    let ImageSize { width, height } = model.size();
    let noise: Vec<u8> = (0..width * height * 3).map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let gigaflop = model.cost().operations as f64 / 1e9;
    let encode = |images: usize| (0..images).try_for_each(|_| model.encode(&[&noise]).map(|_| ()));
    encode(1).map_err(failed)?;
    answer!("{}", model.provenance().executor)?;
    let threads = rayon::current_num_threads();
    let mut alone = 0.0;
    for on in [1, threads].into_iter().take(if threads > 1 { 2 } else { 1 }) {
        let began = Instant::now();
        (0..on).into_par_iter().try_for_each(|_| encode(images)).map_err(failed)?;
        let rate = (on * images) as f64 / began.elapsed().as_secs_f64();
        alone = if on == 1 { rate } else { alone };
        let scaling = 100.0 * rate / alone / on as f64;
        answer!(
            "{on:>3} threads  {rate:8.2} images/s  {:8.1} GFLOP/s  {scaling:4.0} % of each thread's",
            rate * gigaflop
        )?;
    }
    Ok(())
}
