use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryViewArray, Int32Array, LargeBinaryArray, LargeStringArray, StringArray,
    StringViewArray,
};

use super::*;
use crate::sources::fetch;
use crate::sources::memory::{Collected, MemoryInput, parquet_of, parquet_of_batch};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn urls(count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(|number| format!("http://a.example/{number}"))))
}

fn input(bytes: &[u8]) -> MemoryInput {
    MemoryInput::new(&[("tables/a.parquet", bytes)])
}

fn read(bytes: &[u8]) -> Collected {
    Collected::read(&Settings::example(), &input(bytes), 1)
}

#[test]
fn text_and_bytes_of_every_width_are_read() {
    let arrays: [(ArrayRef, Option<&str>); 6] = [
        (Arc::new(StringArray::from(vec!["<p>\u{e4}"])), Some("text/html; charset=utf-8")),
        (Arc::new(LargeStringArray::from(vec!["<p>\u{e4}"])), Some("text/html; charset=utf-8")),
        (Arc::new(StringViewArray::from(vec!["<p>\u{e4}"])), Some("text/html; charset=utf-8")),
        (Arc::new(BinaryArray::from(vec!["<p>\u{e4}".as_bytes()])), None),
        (Arc::new(LargeBinaryArray::from(vec!["<p>\u{e4}".as_bytes()])), None),
        (Arc::new(BinaryViewArray::from(vec!["<p>\u{e4}".as_bytes()])), None),
    ];
    for (html, content_type) in arrays {
        let kind = html.data_type().clone();
        let found = read(&parquet_of_batch(&batch(vec![("url", urls(1)), ("html", html)]), 1));
        let page = &found.documents[0];
        assert_eq!((page.url.as_str(), page.locator.as_str()), ("http://a.example/0", "a.parquet#0"), "{kind}");
        assert_eq!(
            (page.body.as_slice(), page.content_type.as_deref()),
            ("<p>\u{e4}".as_bytes(), content_type),
            "{kind}"
        );
    }
}

#[test]
fn rows_that_are_no_pages_are_rejected_alone() {
    let url: ArrayRef =
        Arc::new(StringArray::from(vec![None, Some("http://a.example/"), Some("no url"), Some("http://a.example/")]));
    let html: ArrayRef = Arc::new(StringArray::from(vec![Some("<p>"), None, Some("<p>"), Some("<p>good")]));
    let found = read(&parquet_of_batch(&batch(vec![("url", url), ("html", html)]), 3));
    assert_eq!(found.reasons(), ["parquet_missing_value", "parquet_missing_value", "bad_url"]);
    assert_eq!(
        (found.documents[0].body.as_slice(), found.documents[0].locator.as_str()),
        (&b"<p>good"[..], "a.parquet#3")
    );
}

#[test]
fn plain_text_is_read_instead_of_html() {
    let settings = Settings { text_column: Some("page.text".into()), ..Settings::example() };
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a < b"]));
    let page = arrow::array::StructArray::from(batch(vec![("text", texts)]));
    let bytes = parquet_of_batch(&batch(vec![("url", urls(1)), ("page", Arc::new(page))]), 1);
    let found = Collected::read(&settings, &input(&bytes), 1);
    assert_eq!(found.documents[0].content_type.as_deref(), Some(PLAIN_TEXT));
}

#[test]
fn a_column_that_is_missing_or_of_another_type_is_told_with_what_is_there() {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    let bytes = parquet_of_batch(&batch(vec![("url", urls(1)), ("html", numbers)]), 1);
    let told = |settings: &Settings| {
        let suits = settings.suits(&input(&bytes)).unwrap_err().to_string();
        assert_eq!(settings.splits(&input(&bytes), 1).unwrap_err().to_string(), suits);
        suits
    };
    assert_eq!(told(&Settings::example()), "tables/a.parquet: its column `html` is Int32, not text or bytes");
    let settings = Settings { html_column: "content".into(), ..Settings::example() };
    assert_eq!(
        told(&settings),
        "tables/a.parquet: it has no column `content`; its columns are `url` (Utf8), `html` (Int32)"
    );
    let settings = Settings {
        html_column: "url".into(),
        image_urls_column: Some("url".into()),
        image_bytes_column: Some("url".into()),
        ..Settings::example()
    };
    assert_eq!(told(&settings), "tables/a.parquet: its column `url` is Utf8, not a list of text or bytes");
}

#[test]
fn every_row_group_is_in_exactly_one_split() {
    let pages: Vec<String> = (0..9).map(|number| format!("http://a.example/{number}")).collect();
    let rows: Vec<_> = pages.iter().map(|url| (url.as_str(), "<p>", &[][..])).collect();
    let bytes = parquet_of(&rows);
    let whole = Collected::read(&Settings::example(), &input(&bytes), 1 << 30);
    assert_eq!(whole.documents.len(), 9);
    let mut splits = Vec::new();
    for unit_bytes in [1, 100, 200, 300, 500, 1000, 1 << 20] {
        assert_eq!(Collected::read(&Settings::example(), &input(&bytes), unit_bytes), whole, "{unit_bytes}");
        splits.push(Settings::example().splits(&input(&bytes), unit_bytes).unwrap().len());
    }
    assert!(splits.is_sorted_by(|more, less| more >= less) && splits[0] == 9 && splits[6] == 1, "{splits:?}");
}

#[test]
fn an_images_bytes_are_read_from_their_row_and_place() {
    let first: &[(Option<&str>, &[u8])] =
        &[(Some("x.png"), b"one"), (None, b"no"), (Some("http://b.example/y#z"), b"three")];
    let bytes =
        parquet_of(&[("http://a.example/p/q", "<p>", first), ("http://a.example/r", "<p>", &[(Some("/s"), b"four")])]);
    let settings = Settings {
        image_urls_column: Some("images.url".into()),
        image_bytes_column: Some("images.bytes".into()),
        ..Settings::example()
    };
    let input = input(&bytes);
    let found = Collected::read(&settings, &input, 1);
    let images: Vec<(&str, Vec<u8>)> =
        found.images.iter().map(|image| (image.url.as_str(), fetch(&image.location, &input, 9).unwrap())).collect();
    let expected =
        [("http://a.example/p/x.png", &b"one"[..]), ("http://b.example/y", b"three"), ("http://a.example/s", b"four")];
    assert_eq!(images, expected.map(|(url, bytes)| (url, bytes.to_vec())));
    assert_eq!(found.skipped, [("image_without_url", 1)].into());
}

/// A file of one row group with so many pages of random letters, about four on each page of the file.
fn many(count: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 33) as u8 % 26)
    };
    let html = (0..count).map(|_| (0..1000).map(|_| letter()).collect::<String>());
    let html: ArrayRef = Arc::new(StringArray::from_iter_values(html));
    let batch = batch(vec![("url", urls(count)), ("html", html)]);
    plain(&batch)
}

/// A file of one row group with small pages, without a dictionary.
fn plain(batch: &RecordBatch) -> Vec<u8> {
    let properties = ::parquet::file::properties::WriterProperties::builder()
        .set_data_page_size_limit(4000)
        .set_write_batch_size(1)
        .set_dictionary_enabled(false)
        .build();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_broken_page_loses_its_own_rows_alone_and_counts_them() {
    let good = many(1000);
    let whole = read(&good);
    assert_eq!(whole.documents.len(), 1000);
    let mut broken = good.clone();
    // The head of a page in the middle: what a compressed page says of its own size.
    let middle = broken.len() / 2;
    broken[middle..middle + 6000].fill(0xff);
    let found = read(&broken);
    let lost: Vec<&str> = found.rejects.iter().map(|reject| reject.detail.split(' ').next().unwrap()).collect();
    let lost: usize = lost.iter().map(|rows| rows.parse::<usize>().unwrap()).sum();
    assert!(found.reasons().iter().all(|reason| *reason == "parquet_broken"), "{:?}", found.rejects);
    assert_eq!(found.documents.len() + lost, 1000, "{:?}", found.rejects);
    assert!((1..=20).contains(&lost), "{lost}");
}

#[test]
fn text_that_is_no_unicode_is_a_page_all_the_same() {
    let html: ArrayRef = Arc::new(StringArray::from(vec!["<p>a", "<p>QQ", "<p>c"]));
    let mut bytes = parquet_of_batch(&batch(vec![("url", urls(3)), ("html", html)]), 3);
    let place = bytes.windows(5).position(|window| window == b"<p>QQ").unwrap();
    bytes[place + 4] = 0xff;
    let found = read(&bytes);
    let left: Vec<&[u8]> = found.documents.iter().map(|page| page.body.as_slice()).collect();
    assert_eq!((left, found.rejects.len()), (vec![&b"<p>a"[..], b"<p>Q\xff", b"<p>c"], 0));
}

#[test]
fn a_file_without_a_footer_is_one_reject() {
    let good = many(10);
    let found = read(&good[..good.len() - 9]);
    assert_eq!((found.reasons(), found.documents.len()), (vec!["parquet_broken"], 0));
    Settings::example().suits(&input(b"nothing")).unwrap();
}

#[test]
fn columns_that_no_setting_names_are_not_read() {
    let first: &[(Option<&str>, &[u8])] = &[(Some("x"), &[7; 300_000])];
    let input = input(&parquet_of(&[("http://a.example/", "<p>", first)]));
    let counted = crate::sources::memory::CountingInput::new(input);
    Collected::read(&Settings::example(), &counted, 1);
    assert!(counted.bytes() < 100_000, "{}", counted.bytes());
}

#[test]
fn passages_are_lists_of_texts_with_the_steps_beside_them() {
    use arrow::array::{Int64Builder, ListBuilder, StringBuilder};

    let (mut texts, mut steps) = (ListBuilder::new(StringBuilder::new()), ListBuilder::new(Int64Builder::new()));
    for (row_texts, row_steps) in [(["a", "b"], [None, Some(0)]), (["c", "d"], [Some(-1), None])] {
        row_texts.iter().for_each(|text| texts.values().append_value(text));
        row_steps.iter().for_each(|step| steps.values().append_option(*step));
        texts.append(true);
        steps.append(true);
    }
    let question: ArrayRef = Arc::new(StringArray::from(vec![Some("why?"), None]));
    let (texts, steps): (ArrayRef, ArrayRef) = (Arc::new(texts.finish()), Arc::new(steps.finish()));
    let columns = vec![("url", urls(2)), ("texts", texts), ("steps", steps), ("question", question)];
    let settings = Settings {
        passages_column: Some("texts".into()),
        gold_steps_column: Some("steps".into()),
        text_column: Some("question".into()),
        ..Settings::example()
    };
    let found = Collected::read(&settings, &input(&parquet_of_batch(&batch(columns), 1)), 1);
    let passage = |text: &str, gold_step| PassageText { text: text.into(), gold_step };
    let expected = Passages { passages: vec![passage("a", None), passage("b", Some(0))], text: "why?".into() };
    assert_eq!(found.documents[0].content_type.as_deref(), Some(PASSAGES));
    assert_eq!(Passages::of_body(&found.documents[0].body), Ok(expected));
    assert_eq!((found.documents.len(), found.reasons()), (1, vec!["parquet_bad_passages"]));
}
