//! The rows of the public table of images: each image of a bucket with what its documents say of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::TryStreamExt;
use pageloom_schemas::{Key, columns, tables};

use crate::check::CheckedJob;
use crate::engine::nodes::sort;
use crate::engine::plan::Unit;
use crate::engine::table_reader::open_table;
use crate::engine::table_writer::{TableFile, TableSink, hex, table_properties};
use crate::engine::unit::{Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::job::ImageShards;
use crate::steps::draw_masks;

const BATCH_ROWS: usize = 256;

/// The public table of a job's images.
pub fn schema(checked: &CheckedJob) -> SchemaRef {
    // The largest code is one below the size, so that a codebook of 65,536 still fits.
    let small = checked.resources.images.codebook_size() <= 1 << 16;
    let codes = if small { DataType::UInt16 } else { DataType::Int32 };
    tables::image_rows(codes, masks(checked))
}

/// The columns of the job's masks, each with what its bits mean.
pub fn masks(checked: &CheckedJob) -> Vec<Field> {
    draw_masks::fields(&checked.job.images, checked.resources.images.grid(), checked.job.seed)
}

/// Writes the rows of a bucket: `images` is its file of images, sorted by key, and `references` are who shows which.
pub async fn write(
    run: &Run,
    unit: &Unit,
    log: &UnitLog,
    context: &SessionContext,
    references: DataFrame,
    images: &TableFile,
    settings: &ImageShards,
) -> Result<TableFile, RunError> {
    let schema = schema(&run.checked);
    let path = run.file(unit, "image_rows", "parquet");
    let mut writer = log.file(run, path, schema.clone(), table_properties())?;
    let references = sort(references.create_physical_plan().await?, &["key", "document_key"])?;
    let mut shown = References::new(execute_stream(references, context.task_ctx())?, settings);
    let made = Made::of(&run.checked)?;
    let rows = open_table(&run.store, &images.path).await?.with_batch_size(BATCH_ROWS);
    let mut rows = rows.build()?;
    while let Some(batch) = rows.try_next().await? {
        let mut texts = Vec::with_capacity(batch.num_rows());
        for key in columns::key().of(&batch)?.iter().flatten() {
            texts.push(shown.of(key).await?);
        }
        writer.write(rows_of(&batch, &texts, &made, &schema)?).await?;
    }
    writer.finish().await
}

/// What made the tokens of all rows.
struct Made {
    preprocessing: String,
    tokenizer: String,
}

impl Made {
    fn of(checked: &CheckedJob) -> Result<Self, RunError> {
        let provenance = serde_json::to_vec(checked.resources.images.provenance());
        let provenance = provenance.map_err(|error| RunError::Bug(error.to_string()))?;
        let tokenizer = blake3::hash(&provenance).to_hex()[..32].to_owned();
        Ok(Self { preprocessing: checked.preprocessing().unwrap_or_default(), tokenizer })
    }
}

/// What documents say of one image.
#[derive(Debug, Default)]
struct Shown {
    alts: BTreeSet<String>,
    titles: BTreeSet<String>,
    captions: BTreeSet<String>,
    documents: Vec<(Key, String)>,
    count: u32,
}

/// References by image, in the order of the images' keys, of which a batch is in memory at a time.
struct References<'a> {
    batches: SendableRecordBatchStream,
    batch: Option<RecordBatch>,
    row: usize,
    settings: &'a ImageShards,
}

impl<'a> References<'a> {
    fn new(batches: SendableRecordBatchStream, settings: &'a ImageShards) -> Self {
        Self { batches, batch: None, row: 0, settings }
    }

    /// What is said of an image. Images are asked for in the order of their keys; those between are passed over.
    async fn of(&mut self, image: &[u8]) -> Result<Shown, RunError> {
        let mut shown = Shown::default();
        while self.advance().await? {
            let Some(batch) = &self.batch else { break };
            let keys = columns::key();
            let key = keys.of(batch)?.value(self.row);
            if key > image {
                break;
            }
            if key == image {
                shown.add(batch, self.row, self.settings)?;
            }
            self.row += 1;
        }
        Ok(shown)
    }

    /// Whether there is a row to look at.
    async fn advance(&mut self) -> Result<bool, RunError> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.num_rows()) {
            let Some(next) = self.batches.try_next().await? else { return Ok(false) };
            (self.batch, self.row) = (Some(next), 0);
        }
        Ok(true)
    }
}

impl Shown {
    fn add(&mut self, batch: &RecordBatch, row: usize, settings: &ImageShards) -> Result<(), StepError> {
        let texts = [
            (columns::alt(), &mut self.alts),
            (columns::title(), &mut self.titles),
            (columns::caption(), &mut self.captions),
        ];
        for (column, kept) in texts {
            let column = column.of(batch)?;
            if column.is_valid(row) && kept.len() < settings.max_texts as usize {
                kept.insert(column.value(row).to_owned());
            }
        }
        if self.documents.len() < settings.max_documents as usize {
            let (key, url) = (columns::document_key(), columns::document_url());
            self.documents.push((Key::of(key.of(batch)?, row)?, url.of(batch)?.value(row).to_owned()));
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }
}

fn rows_of(batch: &RecordBatch, shown: &[Shown], made: &Made, schema: &SchemaRef) -> Result<RecordBatch, StepError> {
    let (key, sha256, url) = (columns::key(), columns::sha256(), columns::url());
    let keys: Vec<String> = Key::all_of(key.of(batch)?)?.iter().map(Key::to_string).collect();
    let digests = sha256.of(batch)?.iter().flatten().map(hex);
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(shown.iter().map(|_| text))) };
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef, StepError> {
        Ok(match field.name().as_str() {
            "image_key" => Arc::new(StringArray::from_iter_values(&keys)),
            "sha256" => Arc::new(StringArray::from_iter_values(digests.clone())),
            "url" => Arc::new(url.of(batch)?.clone()),
            "tokens" => codes(batch, field)?,
            "alts" => lists(shown.iter().map(|shown| shown.alts.iter().cloned())),
            "titles" => lists(shown.iter().map(|shown| shown.titles.iter().cloned())),
            "captions" => lists(shown.iter().map(|shown| shown.captions.iter().cloned())),
            "document_keys" => lists(shown.iter().map(|shown| shown.documents.iter().map(|(key, _)| key.to_string()))),
            "document_urls" => lists(shown.iter().map(|shown| shown.documents.iter().map(|(_, url)| url.clone()))),
            "page_count" => Arc::new(UInt32Array::from_iter_values(shown.iter().map(|shown| shown.count))),
            "preprocessing" => same(&made.preprocessing),
            "tokenizer" => same(&made.tokenizer),
            name => {
                let lost = || StepError::Bug(format!("the table of images lost column `{name}`"));
                batch.column_by_name(name).cloned().ok_or_else(lost)?
            }
        })
    });
    let columns: Result<Vec<_>, StepError> = columns.collect();
    Ok(RecordBatch::try_new(schema.clone(), columns?)?)
}

/// Codes as the public table has them.
fn codes(batch: &RecordBatch, field: &Field) -> Result<ArrayRef, StepError> {
    let codes = columns::codes();
    let codes: &ListArray = codes.of(batch)?;
    let DataType::List(item) = field.data_type() else {
        return Err(StepError::Bug("tokens are no list".into()));
    };
    // A cast makes null of what doesn't fit, which a column without nulls refuses.
    let values = cast(codes.values(), item.data_type())?;
    Ok(Arc::new(ListArray::try_new(item.clone(), codes.offsets().clone(), values, None)?))
}

fn lists<T: Iterator<Item = String>>(rows: impl Iterator<Item = T>) -> ArrayRef {
    let item = Field::new("item", DataType::Utf8, false);
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(item);
    for row in rows {
        row.for_each(|text| builder.values().append_value(text));
        builder.append(true);
    }
    Arc::new(builder.finish())
}
