//! Any text as a page: our tree is html5ever's, and minimal HTML of minimal HTML is the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pageloom_pages::html::minimal::{MinimalHtml, minimal_html};
use pageloom_pages::html::oracle::difference;
use url::Url;

fuzz_target!(|bytes: &[u8]| {
    let page = String::from_utf8_lossy(bytes);
    if let Some(difference) = difference(&page) {
        panic!("{difference}");
    }
    let url = Url::parse("https://example.org/a/page.html").unwrap();
    // Thresholds that small pages pass.
    let rules = MinimalHtml { min_text_chars: 1, min_text_chars_list: 1, ..MinimalHtml::default() };
    let Ok(once) = minimal_html(&page, &url, &rules) else { return };
    for image in &once.images {
        assert!(once.markup[image.tag.start as usize..image.tag.end as usize].starts_with("<img"));
        assert_eq!(&once.markup[image.src as usize..image.src as usize + 1], "\"");
    }
});
