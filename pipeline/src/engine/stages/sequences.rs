//! Sequences: documents of one bucket meet their images' tokens, become examples in global order, alone or joined into
//! blocks, and are packed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::JoinType;
use datafusion::functions_aggregate::expr_fn::array_agg;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionContext, col};
use futures::TryStreamExt;
use pageloom_schemas::{Key, columns, tables};

use crate::engine::aside::{lay_aside, small_schema};
use crate::engine::clock::{Spent, Stopwatch};
use crate::engine::exchange_reader::bucket;
use crate::engine::nodes::{MapExec, sort};
use crate::engine::plan::Unit;
use crate::engine::session::{session, table_of};
use crate::engine::stages::documents::LARGE;
use crate::engine::stages::{Before, steps_over};
use crate::engine::store::Store;
use crate::engine::table_writer::{TableFile, TableSink};
use crate::engine::unit::{Files, Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::examples::{Examples, PlacedExample};
use crate::image_runs::{ImageRun, image_runs_of};
use crate::job::Sequences;
use crate::packing::{PackedRow, Packer};
use crate::sequence_images::SequenceImages;
use crate::specials::specials;
use crate::step::Kind;
use crate::token_columns::{has_room_for, sequences as table};
use join::joined_parts;
use rows::Others;

mod join;
mod retrieve;
mod rows;

/// Documents of a batch.
const BATCH_ROWS: usize = 128;
/// Rows that are written at once, and those of one document more: a batch of large ones makes many.
const ROWS_AT_ONCE: usize = 512;

/// What the job says about sequences; a job without any has no unit of this stage.
pub fn wanted(run: &Run) -> Result<&Sequences, RunError> {
    run.checked.job.sequences.as_ref().ok_or_else(|| RunError::Bug("the job makes no sequences".into()))
}

/// Runs one unit: one bucket of documents.
pub async fn run(run: &Run, unit: &Unit, log: &Arc<UnitLog>, before: &Before) -> Result<Files, RunError> {
    let sequences = wanted(run)?;
    let names: Vec<String> = (0..sequences.objective.num_phases()).map(table_of_phase).collect();
    let schema = table(&run.checked, sequences);
    let writers: Result<Vec<_>, RunError> =
        names.iter().map(|name| log.table(run, unit, name, schema.clone())).collect();
    let files = run_into(run, unit, log, before, writers?, Ok).await?;
    Ok(names.into_iter().zip(files).collect())
}

/// The table of a unit's rows for one phase of training, empty if there are none: shards take each phase by itself.
pub fn table_of_phase(phase: u32) -> String {
    match phase {
        0 => "sequences".into(),
        later => format!("sequences_of_phase_{later}"),
    }
}

/// Makes the rows of one unit and hands those of each phase of training to its own of the `sinks`. `look` sees the
/// documents, or the blocks that they are joined into, before they become examples.
pub async fn run_into(
    run: &Run,
    unit: &Unit,
    log: &Arc<UnitLog>,
    before: &Before,
    sinks: Vec<impl TableSink>,
    look: impl Fn(RecordBatch) -> Result<RecordBatch, StepError> + Send + Sync + 'static,
) -> Result<Vec<TableFile>, RunError> {
    let context = session(&run.store, run.memory_of_unit(), BATCH_ROWS)?;
    let documents = ordered_documents(&context, &run.store, before, unit.index).await?;
    let sequences = wanted(run)?;
    let [interleave, objective] = sequences.steps();
    let documents = steps_over(run, documents, &[interleave], Kind::Document, log)?;
    let documents = match &sequences.retrieval {
        Some(_) => retrieve::with_neighbours(run, (&context, before, unit.index), documents, log).await?,
        None => documents,
    };
    let (given, kind) = match sequences.objective.takes_blocks() {
        true => (join::blocks(run, sequences, &context, documents, log)?, Kind::Block),
        false => (documents, Kind::Document),
    };
    let schema = given.schema();
    let given = MapExec::plan("look", given, schema, Arc::new(look));
    let examples = steps_over(run, given, &[objective], kind, log)?;
    pack(run, &context, examples, log, sinks).await
}

/// Each document of a bucket, with all of its images that have tokens.
pub async fn illustrated_documents(
    context: &SessionContext,
    store: &Store,
    before: &Before,
    index: u32,
) -> Result<Arc<dyn ExecutionPlan>, RunError> {
    let documents = bucket(context, store, &before.documents, "documents", index, &tables::documents())?;
    illustrated(context, store, before, index, documents, tables::illustrated_documents()).await
}

/// The same in their global order. What is large of them lies aside while they are joined and sorted.
async fn ordered_documents(
    context: &SessionContext,
    store: &Store,
    before: &Before,
    index: u32,
) -> Result<Arc<dyn ExecutionPlan>, RunError> {
    let documents = bucket(context, store, &before.documents, "documents", index, &tables::documents())?;
    let (documents, aside) = lay_aside(documents.create_physical_plan().await?, LARGE)?;
    let documents = table_of(context, documents)?;
    let schema = tables::illustrated_documents();
    let illustrated = illustrated(context, store, before, index, documents, small_schema(&schema, LARGE)).await?;
    Ok(aside.take_back(sort(illustrated, &["order", "key"])?, schema))
}

async fn illustrated(
    context: &SessionContext,
    store: &Store,
    before: &Before,
    index: u32,
    documents: DataFrame,
    schema: SchemaRef,
) -> Result<Arc<dyn ExecutionPlan>, RunError> {
    let images = bucket(context, store, &before.images, "image_tokens", index, &tables::image_tokens())?;
    let images = images.aggregate(vec![col("document_key")], vec![array_agg(col("image")).alias("images")])?;
    // The left side is held: the images, which the aggregate holds anyway, and not the documents.
    let joined = images.join(documents, JoinType::Right, &["document_key"], &["key"], None)?;
    let joined = joined.select(schema.fields().iter().map(|field| col(field.name())).collect::<Vec<_>>())?;
    Ok(MapExec::conform(joined.create_physical_plan().await?, schema))
}

/// Packs the examples into rows, in their order, and writes them.
async fn pack(
    run: &Run,
    context: &SessionContext,
    examples: Arc<dyn ExecutionPlan>,
    log: &UnitLog,
    mut writers: Vec<impl TableSink>,
) -> Result<Vec<TableFile>, RunError> {
    let sequences = wanted(run)?;
    let specials = specials(&run.checked.resources.ids()?.vocabulary);
    let mut packer = sequences.packing.build_for(&sequences.objective, &specials);
    let others = Others {
        of_tokens: sequences.objective.token_columns(),
        phases: sequences.objective.num_phases() > 1,
        images: SequenceImages::of(&run.checked)?,
        schema: table(&run.checked, sequences),
    };
    let shows_images = others.images.is_some();
    let mut batches = execute_stream(examples, context.task_ctx())?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        match sequences.objective.takes_blocks() {
            true => log.count("packed_blocks", batch.num_rows() as u64),
            false => {
                log.count("documents", batch.num_rows() as u64);
                run.progress.worked(batch.num_rows() as u64);
            }
        }
        let given = columns::examples();
        let given = Given { batch: &batch, examples: Examples::of(given.of(&batch)?)?, shows_images };
        let mut next = 0;
        while next < batch.num_rows() {
            next = push_examples(&given, next, packer.as_mut(), &mut rows, log)?;
            write_rows(&rows, &others, &mut writers, log).await?;
            packer.reuse(&mut rows);
        }
    }
    packer.finish(&mut rows);
    log.packed((0, rows.len() as u64), Spent::default());
    let report = packer.report();
    log.count("dropped_tokens", report.dropped_tokens);
    log.count("cut_examples", report.cut_examples);
    log.count("cut_images", report.cut_images);
    write_rows(&rows, &others, &mut writers, log).await?;
    let mut files = Vec::with_capacity(writers.len());
    for writer in writers {
        files.push(writer.finish().await?);
    }
    Ok(files)
}

/// Documents, or blocks, with their examples.
struct Given<'a> {
    batch: &'a RecordBatch,
    examples: Examples<'a>,
    /// Whether rows know which images stand in them.
    shows_images: bool,
}

/// Packs the examples of documents from the one at `from` on, until there are enough rows to write; gives the next one.
fn push_examples(
    Given { batch, examples, shows_images }: &Given<'_>,
    from: usize,
    packer: &mut dyn Packer,
    rows: &mut Vec<PackedRow>,
    log: &UnitLog,
) -> Result<usize, StepError> {
    let (key, images) = (columns::key(), columns::image_runs());
    let (key, images) = (key.of(batch)?, images.of(batch)?);
    let watch = Stopwatch::start();
    let mut row = from;
    while row < batch.num_rows() && rows.len() < ROWS_AT_ONCE {
        let document = Key::of(key, row)?;
        log.at_work().did("packed", &document.to_string());
        let joined = joined_parts(batch, row)?;
        let runs = shows_images.then(|| image_runs_of(images, row)).transpose()?;
        for PlacedExample { mut example, left_out } in examples.document(row) {
            example.joined.clone_from(&joined);
            example.shown = runs.as_deref().map(|runs| ImageRun::of_example(runs, &example).into());
            log.count("examples", 1);
            log.count("example_tokens", example.input_ids.len() as u64);
            log.count("left_out_tokens", left_out.into());
            packer.push(document.0, example, rows);
        }
        row += 1;
    }
    log.packed(((row - from) as u64, rows.len() as u64), watch.spent());
    Ok(row)
}

async fn write_rows(
    rows: &[PackedRow],
    others: &Others,
    writers: &mut [impl TableSink],
    log: &UnitLog,
) -> Result<(), RunError> {
    if rows.is_empty() {
        return Ok(());
    }
    rows.iter().try_for_each(|row| has_room_for(others.of_tokens, row))?;
    log.count("rows", rows.len() as u64);
    let padding = |row: &PackedRow| -> u64 {
        row.segments.iter().filter(|segment| segment.document.is_none()).map(|segment| u64::from(segment.length)).sum()
    };
    log.count("padding_tokens", rows.iter().map(padding).sum());
    log.count("row_tokens", rows.iter().map(|row| row.input_ids.len() as u64).sum());
    let documents = rows.iter().flat_map(|row| &row.segments);
    let begun = documents.filter(|segment| segment.document.is_some() && segment.document_offset == 0).count();
    log.count("examples_begun", begun as u64);
    for (rows, writer) in by_phase(rows, writers.len())?.into_iter().zip(writers) {
        // A large document alone makes thousands, and a table of them is a copy.
        for some in rows.chunks(ROWS_AT_ONCE) {
            writer.write(rows::sequence_rows(some, others)?).await?;
        }
    }
    Ok(())
}

/// The rows for each of so many phases of training, in their order.
fn by_phase(rows: &[PackedRow], num_phases: usize) -> Result<Vec<Vec<&PackedRow>>, StepError> {
    let mut of_phases = vec![Vec::new(); num_phases];
    for row in rows {
        let of_phase = of_phases.get_mut(row.phase as usize);
        of_phase.ok_or_else(|| StepError::Bug(format!("a row is for phase {} of {num_phases}", row.phase)))?.push(row);
    }
    Ok(of_phases)
}
