use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::engine::exchange_writer::ExchangeWriter;
use crate::engine::session::session;
use crate::engine::table_writer::TableSink;

fn schema() -> SchemaRef {
    let fields = [("bucket", DataType::UInt32), ("text", DataType::Utf8)];
    Arc::new(Schema::new(fields.map(|(name, of)| Field::new(name, of, false)).to_vec()))
}

/// So many rows of each bucket, each with a text of its own that is hard to compress.
fn rows(buckets: &[(u32, usize)], name: &str) -> RecordBatch {
    let rows = || buckets.iter().flat_map(|(bucket, rows)| (0..*rows).map(move |row| (*bucket, row)));
    let text = |(bucket, row): (u32, usize)| blake3::hash(format!("{name}/{bucket}/{row}").as_bytes()).to_string();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(rows().map(|(bucket, _)| bucket))),
        Arc::new(StringArray::from(rows().map(text).collect::<Vec<_>>())),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

async fn written(store: &Store, name: &str, batches: &[RecordBatch]) -> TableFile {
    let mut writer = ExchangeWriter::create(store, format!("{name}.arrow"), schema(), Arc::default()).unwrap();
    for batch in batches {
        writer.write(batch.clone()).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn commit(store: &Store, name: &str, buckets: &[(u32, usize)]) -> Commit {
    let file = written(store, name, &[rows(buckets, name)]).await;
    let json = serde_json::json!({
        "unit": name, "index": 0, "files": {"table": file}, "counts": {}, "rejects": {}, "skipped": {}, "dropped": {},
        "steps": [], "began": 0.0, "seconds": 0.0, "peak_memory_bytes": null,
    });
    serde_json::from_value(json).unwrap()
}

async fn texts(frame: DataFrame) -> Result<Vec<String>> {
    let batch = concat_batches(&schema(), &frame.collect().await?)?;
    Ok(batch.column(1).as_string::<i32>().iter().flatten().map(str::to_owned).collect())
}

fn texts_of(batch: &RecordBatch) -> Vec<String> {
    batch.column(1).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

fn open() -> (tempfile::TempDir, Store, SessionContext) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().into(), &Default::default()).unwrap();
    let context = session(&store, 64 << 20, 100).unwrap();
    (folder, store, context)
}

#[tokio::test]
async fn a_bucket_has_its_rows_of_all_files_in_their_order() {
    let (_folder, store, context) = open();
    // Bucket 7 of the first file takes several batches and more than one request.
    let commits = [
        commit(&store, "a", &[(0, 3), (7, 40_000)]).await,
        commit(&store, "b", &[(1, 5)]).await,
        commit(&store, "c", &[(0, 1), (7, 2)]).await,
    ];
    let of = |index| bucket(&context, &store, &commits, "table", index, &schema()).unwrap();
    let expected = [texts_of(&rows(&[(7, 40_000)], "a")), texts_of(&rows(&[(7, 2)], "c"))].concat();
    assert_eq!(texts(of(7)).await.unwrap(), expected);
    assert_eq!(texts(of(1)).await.unwrap(), texts_of(&rows(&[(1, 5)], "b")));
    assert_eq!(texts(of(2)).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn small_buckets_are_whole_wherever_their_file_is_handed_on() {
    let (_folder, store, context) = open();
    let buckets: Vec<(u32, usize)> = (0..3000).map(|bucket| (bucket, 20)).collect();
    let commits = [commit(&store, "a", &buckets).await];
    for index in [0, 777, 1500, 2999] {
        let found = texts(bucket(&context, &store, &commits, "table", index, &schema()).unwrap()).await.unwrap();
        assert_eq!(found, texts_of(&rows(&[(index, 20)], "a")), "bucket {index}");
    }
}

#[tokio::test]
async fn a_file_is_an_arrow_stream_that_other_tools_read() {
    let (folder, store, context) = open();
    let all = rows(&[(0, 70), (3, 200)], "a");
    let file = written(&store, "a", std::slice::from_ref(&all)).await;
    assert_eq!(texts(whole(&context, &store, &file, &schema()).unwrap()).await.unwrap(), texts_of(&all));
    let bytes = std::fs::File::open(folder.path().join("a.arrow")).unwrap();
    let batches = arrow_ipc::reader::StreamReader::try_new(bytes, None).unwrap().collect::<Result<Vec<_>, _>>();
    assert_eq!(concat_batches(&schema(), &batches.unwrap()).unwrap(), all);
}

#[tokio::test]
async fn its_bytes_do_not_depend_on_how_rows_came_in_batches() {
    let (_folder, store, _) = open();
    let all = rows(&[(0, 70), (3, 200)], "a");
    let one = written(&store, "one", std::slice::from_ref(&all)).await;
    let pieces: Vec<RecordBatch> =
        (0..all.num_rows()).step_by(33).map(|from| all.slice(from, 33.min(270 - from))).collect();
    assert_eq!(written(&store, "many", &pieces).await.sha256, one.sha256);
}

#[tokio::test]
async fn rows_out_of_order_are_a_bug_and_not_lost() {
    let (_folder, store, _) = open();
    let mut writer = ExchangeWriter::create(&store, "a.arrow".into(), schema(), Arc::default()).unwrap();
    let refused = writer.write(rows(&[(3, 1), (0, 1)], "a")).await.unwrap_err();
    assert!(refused.to_string().contains("rows of bucket 0 come after later ones"), "{refused}");
}

#[tokio::test]
async fn a_file_that_was_cut_or_damaged_is_an_error_and_not_fewer_rows() {
    let (folder, store, context) = open();
    let file = written(&store, "a", &[rows(&[(0, 70), (3, 200)], "a")]).await;
    let path = folder.path().join("a.arrow");
    let bytes = std::fs::read(&path).unwrap();
    let first = file.segments.as_ref().unwrap()[0].clone();
    let fewer = TableFile { segments: Some(vec![Segment { rows: 71, ..first }]), ..file.clone() };
    let refused = texts(whole(&context, &store, &fewer, &schema()).unwrap()).await.unwrap_err();
    assert!(refused.to_string().contains("70 rows in bytes"), "{refused}");
    for at in (first.offset..first.offset + first.bytes).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at as usize] ^= 4;
        std::fs::write(&path, damaged).unwrap();
        let refused = texts(whole(&context, &store, &file, &schema()).unwrap()).await.unwrap_err();
        assert!(refused.to_string().contains("damaged in bytes"), "{refused}");
    }
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(texts(whole(&context, &store, &file, &schema()).unwrap()).await.is_err());
}
