//! Any bytes as an archive, plain or compressed: reading ends, however it is cut the same records come out, and every
//! image's place can be read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pageloom_pages::sources::memory::{Collected, MemoryInput};
use pageloom_pages::sources::{SourceSettings, fetch, warc};

fuzz_target!(|bytes: &[u8]| {
    let name = match bytes.first() {
        Some(0x1f) => "crawl/a.warc.gz",
        Some(0x28 | 0x5d) => "crawl/a.warc.zst",
        _ => "crawl/a.warc",
    };
    let input = MemoryInput::new(&[(name, bytes)]);
    let source = warc::Settings::example();
    let found = Collected::read(&source, &input, 1 << 20);
    let skipped = found.skipped.values().sum::<u64>() as usize;
    assert!(found.documents.len() + found.images.len() + found.rejects.len() + skipped <= bytes.len());
    for image in &found.images {
        let _ = fetch(&image.location, &input, 1 << 20);
    }
    // Each piece reads what is before it again, so that many pieces would leave time for few inputs.
    let piece = (bytes.len() as u64 / 12).max(64);
    assert_eq!(found, Collected::read(&source, &input, piece));
});
