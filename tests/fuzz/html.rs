//! Any text as a page: our tree is html5ever's, and images stand in the markup of every form where it says.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pageloom_pages::html::form::Form;
use pageloom_pages::html::forms;
use pageloom_pages::html::oracle::difference;
use url::Url;

static URL: LazyLock<Url> = LazyLock::new(|| Url::parse("https://example.org/a/page.html").unwrap());

/// Every form, with thresholds that small pages pass.
static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let mut forms: Vec<Form> = forms::all().into_iter().map(|(_, form)| form).collect();
    for form in &mut forms {
        (form.languages, form.min_text_ratio) = (Vec::new(), 0.0);
        if let Some(thresholds) = &mut form.thresholds {
            (thresholds.standard, thresholds.list_like) = (1, 1);
        }
    }
    forms
});

fuzz_target!(|bytes: &[u8]| {
    let page = String::from_utf8_lossy(bytes);
    if let Some(difference) = difference(&page) {
        panic!("{difference}");
    }
    for form in FORMS.iter() {
        let Ok(document) = form.document(&page, &URL) else { continue };
        let mut end = 0;
        for image in &document.images {
            assert!(end <= image.tag.start && image.tag.start <= image.src && image.src <= image.tag.end);
            end = image.tag.end;
            assert!(document.markup.is_char_boundary(image.src as usize));
        }
        assert!(end as usize <= document.markup.len());
    }
});
