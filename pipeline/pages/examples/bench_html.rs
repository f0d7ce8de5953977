//! Makes minimal HTML of every file of a folder, once, and prints the bytes of HTML and the CPU seconds that it took.
//!
//! `cargo run --release -p pageloom-pages --example bench_html -- FOLDER [OUT]`; one thread. Files are UTF-8, and are read before
//! the clock starts. From text to markup, images and plain text: what the step `minimal_html` does for a page. The markup
//! is written to files in OUT.

use std::path::Path;

use cpu_time::ThreadTime;
use pageloom_pages::html::forms::minimal_html::Settings;
use url::Url;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder of HTML files")?;
    let mut paths =
        std::fs::read_dir(Path::new(&folder))?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let pages = paths
        .iter()
        .map(|path| Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned()))
        .collect::<std::io::Result<Vec<_>>>()?;
    let bytes: usize = pages.iter().map(String::len).sum();
    let (url, form) = (Url::parse("https://example.org/page.html")?, Settings::default().form());

    let started = ThreadTime::now();
    let kept = pages.iter().filter_map(|page| std::hint::black_box(form.document(page, &url)).ok()).count();
    let seconds = started.elapsed().as_secs_f64();
    println!("{}", serde_json::json!({ "bytes": bytes, "kept": kept, "seconds": seconds }));
    if let Some(out) = std::env::args().nth(2) {
        std::fs::create_dir_all(&out)?;
        for (path, page) in paths.iter().zip(&pages) {
            if let (Some(name), Ok(document)) = (path.file_name(), form.document(page, &url)) {
                std::fs::write(Path::new(&out).join(name), document.markup)?;
            }
        }
    }
    Ok(())
}
