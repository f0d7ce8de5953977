//! Times executors side by side on the same images, round after round, and counts the ids in which they differ.
//!
//! `cargo run --release -p pageloom-vq --example bench_executors -- MODEL ROUNDS IMAGES THREADS EXECUTOR...`, where executors
//! are as settings name them: `cpu`, `onnxruntime`, `onnxruntime:cuda:f16`. The first is what the others are held against.
//! Images are given by so many threads; ONNX Runtime is given as many.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pageloom_vq as vq;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Tried {
    encoder: Arc<dyn vq::ImageTokenizer>,
    seconds: Vec<f64>,
    cpu_seconds: Vec<f64>,
    ids: Vec<Vec<u32>>,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rounds, images, threads, executors @ ..] = arguments.as_slice() else {
        return Err("name a model, rounds, images, threads and executors".into());
    };
    let (rounds, count, threads): (usize, usize, usize) = (rounds.parse()?, images.parse()?, threads.parse()?);
    let mut all = Vec::new();
    for executor in executors {
        let executor: vq::ExecutorSettings = executor.parse()?;
        let settings = vq::ExecutorSettings { threads: NonZeroU32::new(u32::try_from(threads)?), ..executor };
        let encoder = vq::load_with(Path::new(model), None, &settings)?;
        if !encoder.provenance().executor.is_reference() {
            println!("{}", encoder.selftest()?);
        }
        all.push(Tried { encoder, seconds: Vec::new(), cpu_seconds: Vec::new(), ids: Vec::new() });
    }
    let size = all.first().ok_or("name executors")?.encoder.size();
    let length = (size.width * size.height * 3) as usize;
    // Waves of several lengths: neither flat nor noise.
    let level =
        |i: usize| ((i / 3 % size.width as usize * (i / length + 3)) ^ (i / (3 * size.width as usize) * 2)) as u8;
    let pixels: Vec<u8> = (0..count * length).map(level).collect();
    let images: Vec<&[u8]> = pixels.chunks_exact(length).collect();
    for _ in 0..rounds {
        for tried in &mut all {
            let (started, before) = (Instant::now(), cpu_seconds()?);
            tried.ids = encode(tried.encoder.as_ref(), &images, threads)?;
            tried.cpu_seconds.push((cpu_seconds()? - before) / count as f64);
            tried.seconds.push(started.elapsed().as_secs_f64() / count as f64);
        }
    }
    println!(
        "| executor | CPU seconds an image | least | seconds an image | ids that differ |\n| --- | --- | --- | --- | --- |"
    );
    for tried in &all {
        let pairs = all[0].ids.iter().flatten().zip(tried.ids.iter().flatten());
        let (differ, total) = (pairs.filter(|(a, b)| a != b).count(), tried.ids.iter().map(Vec::len).sum::<usize>());
        let (cpu, wall) = (sorted(&tried.cpu_seconds), sorted(&tried.seconds));
        let id = &tried.encoder.provenance().executor;
        println!("| {id} | {:.4} | {:.4} | {:.4} | {differ} of {total} |", cpu[rounds / 2], cpu[0], wall[rounds / 2]);
    }
    Ok(())
}

fn encode(encoder: &dyn vq::ImageTokenizer, images: &[&[u8]], threads: usize) -> Result<Vec<Vec<u32>>, Failure> {
    let shares: Vec<Result<Vec<Vec<u32>>, Failure>> = std::thread::scope(|scope| {
        let share = |share| scope.spawn(move || Ok(encoder.encode(share)?));
        let running: Vec<_> = images.chunks(images.len().div_ceil(threads)).map(share).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| Failure::from("a thread failed"))?).collect()
    });
    Ok(shares.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

/// What all threads of this process have used, in steps of a hundredth.
fn cpu_seconds() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<u64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}

fn sorted(numbers: &[f64]) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
