//! Encodes noise with a model and prints images per second and CPU seconds per image.
//!
//! `cargo run --release -p pageloom-vq --example bench_vq -- MODEL [IMAGES]`, on one thread.

use std::path::Path;
use std::time::Instant;

use pageloom_vq as vq;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("name a model folder")?;
    let count: usize = arguments.next().map_or(Ok(32), |count| count.parse())?;
    let encoder = vq::load(Path::new(&model))?;
    let side = encoder.image_size() as usize;
    let noise: Vec<u8> = (0..side * side * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let images = vec![noise.as_slice(); count];
    encoder.encode(&images[..2.min(count)])?;
    let (started, cpu) = (Instant::now(), cpu_seconds());
    encoder.encode(&images)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{:?}", encoder.provenance());
    println!("{count} images of {side} x {side} in {seconds:.2} s: {:.2} images/s", count as f64 / seconds);
    if let (Some(before), Some(after)) = (cpu, cpu_seconds()) {
        println!("{:.4} CPU seconds per image", (after - before) / count as f64);
    }
    Ok(())
}

/// What all threads of this process have used, where Linux says so.
fn cpu_seconds() -> Option<f64> {
    let schedule = std::fs::read_dir("/proc/self/task").ok()?;
    let nanoseconds = schedule.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(nanoseconds.sum::<u64>() as f64 / 1e9)
}
