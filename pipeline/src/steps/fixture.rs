//! Rows for every registered step: the demo's pages and images, and nasty ones, as the steps before it leave them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, ListArray, RecordBatch, StringArray, StructArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat_batches, take};
use pageloom_schemas::passages::passages;
use pageloom_schemas::places::image_places_of;
use pageloom_schemas::{Key, columns, tables};
use pageloom_tokenizers::text::TextTokenizer;
use pageloom_tokenizers::vocabulary::{Vocabulary, VocabularySettings};
use pageloom_vq as vq;

use super::StepConfig;
use crate::engine::reading::page_rows;
use crate::keys::{document_key, image_key};
use crate::sources::memory::{Collected, MemoryInput};
use crate::sources::{ImageLocation, PASSAGES, RawDocument, SourceConfig, SourceSettings, html_files};
use crate::specials::Specials;
use crate::step::{Ids, Kind, Rejects, Resources};

/// Images among the rows: an encoder takes some 40 ms for each.
const IMAGES: usize = 5;

/// A step as its example says, with rows that it can take.
pub struct Prepared {
    pub config: StepConfig,
    pub kind: Kind,
    pub rows: RecordBatch,
}

/// The demo's tokenizers, and its site as the only source.
pub fn resources() -> Resources {
    let models = repository().join("tokenizers/models");
    let text = TextTokenizer::load(&models.join("demo-bpe/tokenizer.json")).unwrap();
    let images = vq::load(&models.join("demo-vq")).unwrap();
    let ids = VocabularySettings { num_sentinels: 256, pad_to_multiple_of: 64 };
    let vocabulary = Vocabulary::new(&text, &ids, Specials::NAMES, images.codebook_size()).unwrap();
    let inputs = vec![Arc::new(site()) as Arc<dyn crate::sources::Input>];
    Resources {
        seed: 2026,
        ids: Some(Ids { text: Arc::new(text), vocabulary: Arc::new(vocabulary) }),
        images,
        makes_image_table: true,
        memory: Arc::default(),
        inputs,
        folder: repository().join("jobs"),
    }
}

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The demo's folder of pages and images, in memory.
fn site() -> MemoryInput {
    let root = repository().join("jobs/demo/site");
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = format!("site/{}", path.strip_prefix(&root).unwrap().to_str().unwrap());
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    MemoryInput::new(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect::<Vec<_>>())
}

fn read_site() -> Collected {
    let source = SourceConfig::html_files(html_files::Settings::example()).build();
    Collected::read(source.as_ref(), &site(), 1 << 30)
}

/// Every registered step with the rows that reach it: each table that a step leaves is offered to those not yet reached.
pub fn every_step(resources: &Resources) -> Vec<Prepared> {
    let found = read_site();
    let mut tables = vec![(Kind::Document, pages(&found.documents)), (Kind::Image, located_images(&found.images))];
    let mut waiting = StepConfig::examples();
    let mut prepared = Vec::new();
    while let Some(next) = waiting.iter().position(|config| table_for(config, &tables).is_some()) {
        let config = waiting.remove(next);
        let (kind, rows) = table_for(&config, &tables).unwrap();
        let mut rejects = Rejects::new(kind, config.name());
        let left = config.build(resources).unwrap().process(rows.clone(), &mut rejects).unwrap();
        tables.push((kind, left));
        prepared.push(Prepared { config, kind, rows });
        let illustrated = illustrated_documents(&tables).map(|rows| (Kind::Document, rows));
        tables.extend(illustrated);
    }
    assert!(waiting.is_empty(), "no step before it leaves what {:?} reads", waiting[0]);
    prepared
}

fn table_for(config: &StepConfig, tables: &[(Kind, RecordBatch)]) -> Option<(Kind, RecordBatch)> {
    tables.iter().find(|(_, rows)| config.columns().apply(&rows.schema()).is_ok()).cloned()
}

/// Pages of the demo, and pages that no one would write.
fn pages(documents: &[RawDocument]) -> RecordBatch {
    let page = |number: usize, content_type: Option<&str>, body: &[u8]| RawDocument {
        locator: format!("nasty/{number}"),
        url: format!("https://nasty.example/{number}"),
        content_type: content_type.map(str::to_owned),
        robots: None,
        body: body.to_vec(),
    };
    let huge_attribute = format!("<p title='{}'>{}", "a".repeat(200_000), "Text that is kept. ".repeat(20));
    let nasty = [
        page(0, None, b""),
        page(1, None, b"<"),
        page(2, Some("text/html; charset=utf-16le"), b"<p>odd"),
        page(3, Some("text/html; charset=no-such-charset"), b"\xff\xfe\x00\xd8 half a surrogate"),
        page(4, Some("not a media type"), huge_attribute.as_bytes()),
        page(5, None, &[0; 4000]),
        page(6, None, "<table><p>".repeat(2000).as_bytes()),
        page(7, Some("text/html"), "<img src=x>".repeat(300).as_bytes()),
        page(8, Some(PASSAGES), br#"{"passages": [{"text": "One.", "gold_step": 0}], "text": "Why?"}"#),
        page(9, Some(PASSAGES), b"{"),
    ];
    let rows = documents.iter().chain(&nasty).map(|page| (document_key(0, &page.locator), page.clone()));
    page_rows(&rows.collect::<Vec<_>>()).unwrap()
}

/// Some images of the demo, good and broken ones, one that no source holds, and `data:` URLs.
fn located_images(images: &[ImageLocation]) -> RecordBatch {
    let broken = images.iter().filter(|image| image.url.contains("/broken/"));
    let good = images.iter().filter(|image| !image.url.contains("/broken/")).take(IMAGES);
    let held: Vec<&ImageLocation> = good.chain(broken).collect();
    let elsewhere = ["https://elsewhere.example/x.png", "data:image/png;base64,AAAA", "data:image/png;base64,*"];
    let none = elsewhere.map(|_| None::<&ImageLocation>);
    let urls = held.iter().map(|image| image.url.as_str()).chain(elsewhere);
    let places: Vec<Option<&ImageLocation>> = held.iter().copied().map(Some).chain(none).collect();
    let place = || places.iter().map(|image| image.map(|image| &image.location));
    let columns: Vec<ArrayRef> = vec![
        Key::column(urls.clone().map(image_key)).unwrap(),
        Arc::new(urls.map(Some).collect::<StringArray>()),
        Arc::new(place().map(|place| place.map(|_| 0)).collect::<UInt32Array>()),
        Arc::new(place().map(|place| place.map(|place| place.container.word())).collect::<StringArray>()),
        Arc::new(place().map(|place| place.map(|place| place.path.as_str())).collect::<StringArray>()),
        Arc::new(place().map(|place| place.map(|place| place.offset)).collect::<UInt64Array>()),
        Arc::new(place().map(|place| place.map(|place| place.length)).collect::<UInt64Array>()),
        Arc::new(place().map(|place| place.and_then(|place| place.container.inline())).collect::<BinaryArray>()),
        new_null_array(columns::known_from().field().data_type(), places.len()),
        new_null_array(columns::known_codes().field().data_type(), places.len()),
    ];
    RecordBatch::try_new(tables::located_images(), columns).unwrap()
}

/// The join that stands before the sequences: once both sides are there, and not yet joined.
fn illustrated_documents(tables: &[(Kind, RecordBatch)]) -> Option<RecordBatch> {
    let with = |column: &str| tables.iter().find(|(_, rows)| rows.column_by_name(column).is_some());
    let (documents, images) = (&with("image_slots")?.1, &with("codes")?.1);
    if with("images").is_some() {
        return None;
    }
    Some(join(documents, images))
}

/// Documents with the codes of those of their images that have some.
pub fn join(documents: &RecordBatch, images: &RecordBatch) -> RecordBatch {
    let (slots, key) = (columns::image_slots(), columns::key());
    let (slots, key) = (slots.of(documents).unwrap(), key.of(images).unwrap());
    let (mut lengths, mut rows) = (Vec::new(), Vec::new());
    for document in 0..documents.num_rows() {
        let shown: Vec<Key> = image_places_of(slots, document).unwrap().into_iter().map(|place| place.key).collect();
        let found = (0..images.num_rows()).filter(|&image| shown.iter().any(|shown| shown.0 == key.value(image)));
        let found: Vec<u32> = found.map(|image| image as u32).collect();
        lengths.push(found.len());
        rows.extend(found);
    }
    let rows = UInt32Array::from(rows);
    let names = ["key", "grid_width", "grid_height", "codes"];
    let parts = names.map(|name| take(images.column_by_name(name).unwrap(), &rows, None).unwrap());
    let values = StructArray::new(columns::image_fields(), parts.to_vec(), None);
    let field = match columns::images().field().data_type() {
        arrow::datatypes::DataType::List(field) => field.clone(),
        other => panic!("{other}"),
    };
    // A document without such images has none, not an empty list: that is what the join's aggregate gives.
    let nulls = lengths.iter().map(|length| *length > 0).collect();
    let list = ListArray::new(field, OffsetBuffer::from_lengths(lengths), Arc::new(values), Some(nulls));
    let mut joined: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from_iter_values(0..documents.num_rows() as u64))];
    let schema = tables::illustrated_documents();
    let named = schema.fields().iter().skip(1).filter_map(|field| documents.column_by_name(field.name()).cloned());
    joined.extend(named);
    joined.push(passages(&vec![Vec::new(); documents.num_rows()]).unwrap());
    joined.push(Arc::new(list));
    RecordBatch::try_new(schema, joined).unwrap()
}

/// Two batches as one, with nothing left of where they were cut.
pub fn together(first: &RecordBatch, second: &RecordBatch) -> RecordBatch {
    concat_batches(&first.schema(), [first, second]).unwrap()
}

/// A table whose list columns start at zero, so that equal rows compare equal.
pub fn fresh(rows: &RecordBatch) -> RecordBatch {
    let all = UInt32Array::from_iter_values(0..rows.num_rows() as u32);
    let columns = rows.columns().iter().map(|column| take(column, &all, None).unwrap()).collect();
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}
