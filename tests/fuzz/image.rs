//! Any bytes as an image: decoding ends, no image is larger than its limit, its header says how large it is, and its
//! pixels are the same whether they are needed by rows or all at once. A decoder of others may panic, for then the file is
//! refused; ours may not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pageloom_vq::pixels::{Draw, Limits, header, prepare, prepare_and_hash, recipes};

fuzz_target!(init: hear_our_panics, |bytes: &[u8]| {
    let limits = Limits { max_pixels: 1 << 16, ..Limits::default() };
    let (recipe, draw) = (recipes::taming(64), Draw { x: 0.5, y: 0.5 });
    let prepared = prepare(bytes, &recipe, draw, &limits);
    let whole = prepare_and_hash(bytes, &recipe, draw, &limits).map(|(whole, _)| whole);
    assert_eq!(prepared, whole);
    let Ok(prepared) = prepared else { return };
    let header = header(bytes).expect("what can be decoded has a header");
    let sides = |width: u32, height: u32| (width.min(height), width.max(height));
    // A TIFF is turned whatever the recipe says, as Pillow turns it.
    assert_eq!(sides(prepared.width, prepared.height), sides(header.width, header.height));
    assert!(u64::from(header.width) * u64::from(header.height) <= limits.max_pixels);
});

/// libFuzzer takes any panic for a failure; those in crates of a registry are caught.
fn hear_our_panics() {
    let fails = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.location().is_none_or(|place| !place.file().contains("/registry/")) {
            fails(panic);
        }
    }));
}
