//! Encodes images with a model and prints what that takes: images and GFLOP per second, beside what the processor can do.
//!
//! `cargo run --release -p pageloom-vq --example bench_vq -- MODEL [--count N] [--threads N] [--pixels FILE] [--ids FILE] [--gflop N]`
//!
//! `--pixels` names raw RGB pixels, image after image, which are encoded instead of noise; their ids are written to `--ids`
//! as little-endian 32-bit numbers. Each image is encoded by one thread. `--gflop` is what an image takes when every product
//! of a convolution is taken, from which the rate follows; fewer are taken where that is faster, so it can exceed the peak.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pageloom_vq as vq;
use pulp::{Arch, Simd, WithSimd};

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Arguments {
    model: PathBuf,
    count: usize,
    threads: usize,
    pixels: Option<PathBuf>,
    ids: Option<PathBuf>,
    gflop: Option<f64>,
}

fn main() -> Result<(), Failure> {
    let arguments = parse(std::env::args().skip(1))?;
    let encoder = vq::load(&arguments.model)?;
    let side = encoder.image_size() as usize;
    let pixels = match &arguments.pixels {
        Some(path) => std::fs::read(path)?,
        None => (0..arguments.count * side * side * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect(),
    };
    let images: Vec<&[u8]> = pixels.chunks_exact(side * side * 3).take(arguments.count).collect();
    let first = images.first().ok_or("there is no image")?;
    println!("{:?}", encoder.provenance());
    // The first call lays out its buffers.
    encoder.encode(&[first])?;
    let alone = encode(&*encoder, &images, 1)?;
    alone.print(images.len(), side, 1);
    for threads in (2..=arguments.threads).take_while(|threads| *threads <= images.len()) {
        let together = encode(&*encoder, &images, threads)?;
        together.print(images.len(), side, threads);
        let scaling = alone.seconds / together.seconds / threads as f64;
        println!("{:.1} % of {threads} times one thread by the clock", scaling * 100.0);
        if let (Some(one), Some(all)) = (alone.cpu_seconds, together.cpu_seconds) {
            println!("{:.1} % by CPU seconds, which other programs disturb less", one / all * 100.0);
        }
        if together.ids != alone.ids {
            return Err("the ids depend on the number of threads".into());
        }
    }
    let peak = peak_gflops();
    println!("{peak:.1} GFLOP/s is this processor's peak on one thread");
    if let (Some(gflop), Some(cpu_seconds)) = (arguments.gflop, alone.cpu_seconds) {
        let rate = gflop * images.len() as f64 / cpu_seconds;
        println!("{rate:.1} GFLOP/s of {gflop:.1} GFLOP per image: {:.0} % of the peak", rate / peak * 100.0);
    }
    if let Some(path) = &arguments.ids {
        std::fs::write(path, alone.ids.iter().flatten().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, Failure> {
    let model = arguments.next().ok_or("name a model folder")?;
    let model = Path::new(&model).into();
    let mut parsed = Arguments { model, count: 8, threads: 1, pixels: None, ids: None, gflop: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--count" => parsed.count = value.parse()?,
            "--threads" => parsed.threads = value.parse()?,
            "--pixels" => parsed.pixels = Some(value.into()),
            "--gflop" => parsed.gflop = Some(value.parse()?),
            "--ids" => parsed.ids = Some(value.into()),
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    Ok(parsed)
}

/// What encoding took.
struct Encoded {
    ids: Vec<Vec<u32>>,
    seconds: f64,
    cpu_seconds: Option<f64>,
}

impl Encoded {
    fn print(&self, images: usize, side: usize, threads: usize) {
        let rate = images as f64 / self.seconds;
        println!(
            "{images} images of {side} x {side} on {threads} threads in {:.2} s: {rate:.2} images/s",
            self.seconds
        );
        if let Some(cpu_seconds) = self.cpu_seconds {
            println!("{:.4} CPU seconds per image", cpu_seconds / images as f64);
        }
    }
}

/// Spreads the images over threads, every thread taking a run of them.
fn encode(encoder: &dyn vq::ImageTokenizer, images: &[&[u8]], threads: usize) -> Result<Encoded, Failure> {
    let started = Instant::now();
    let shares = images.chunks(images.len().div_ceil(threads));
    let shares: Vec<Result<Share, Failure>> = std::thread::scope(|scope| {
        let running: Vec<_> = shares.map(|share| scope.spawn(move || encode_share(encoder, share))).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| Failure::from("a thread failed"))?).collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    let (mut ids, mut taken) = (Vec::new(), Some(0.0));
    for share in shares {
        let (share_ids, share_taken) = share?;
        ids.extend(share_ids);
        taken = taken.zip(share_taken).map(|(sum, x)| sum + x);
    }
    Ok(Encoded { ids, seconds, cpu_seconds: taken })
}

/// Ids, and CPU seconds where they're known.
type Share = (Vec<Vec<u32>>, Option<f64>);

fn encode_share(encoder: &dyn vq::ImageTokenizer, images: &[&[u8]]) -> Result<Share, Failure> {
    let before = cpu_seconds();
    let ids = encoder.encode(images)?;
    Ok((ids, cpu_seconds().zip(before).map(|(after, before)| after - before)))
}

/// What this thread has used, where Linux says so.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<u64>().ok()? as f64 / 1e9)
}

/// The most that multiplications with addition reach in single precision, with nothing to load: the best of some tries.
fn peak_gflops() -> f64 {
    const ROUNDS: usize = 1 << 21;
    let arch = Arch::new();
    let mut best = 0.0_f64;
    for _ in 0..16 {
        let started = Instant::now();
        let operations = arch.dispatch(Chains { rounds: std::hint::black_box(ROUNDS) });
        best = best.max(operations as f64 / started.elapsed().as_secs_f64() / 1e9);
    }
    best
}

/// Independent chains of multiplications with addition.
struct Chains {
    rounds: usize,
}

impl WithSimd for Chains {
    /// Floating-point operations done.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        const CHAINS: usize = 12;
        let factor = simd.splat_f32s(std::hint::black_box(0.999));
        let mut sums = [factor; CHAINS];
        for _ in 0..self.rounds {
            // A closure's body isn't always compiled for the vectors it is called with.
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, factor);
            }
        }
        let mut total = sums[0];
        for sum in sums {
            total = simd.add_f32s(total, sum);
        }
        std::hint::black_box(total);
        self.rounds * CHAINS * S::F32_LANES * 2
    }
}
