//! Reads one split on a thread of its own and hands its pages and image locations to the unit's plans, in batches.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, FixedSizeBinaryBuilder, RecordBatch, StringBuilder, UInt32Builder, UInt64Builder,
};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use pageloom_schemas::{Key, tables};
use tokio::sync::mpsc;

use crate::engine::clock::{Spent, Stopwatch};
use crate::engine::exchange::image_bucket;
use crate::engine::input::Beyond;
use crate::engine::input::heard::{Heard, Overheard};
use crate::engine::nodes::external;
use crate::engine::plan::{PlannedSplit, whole_content};
use crate::engine::unit::{Run, UnitLog};
use crate::error::{RunError, StepError};
use crate::keys::{document_key, image_key};
use crate::sources::{ImageLocation, Location, RawDocument, Records, RejectedRecord};
use crate::step::{Kind, Reject, shorten};

/// Pages of a batch: few enough that a batch of large ones stays small.
const PAGES_PER_BATCH: usize = 128;
/// Bytes after which a batch of pages, or of images beside their places, is handed on, however few.
const BYTES_PER_BATCH: usize = 8 << 20;
const LOCATIONS_PER_BATCH: usize = 4096;
/// Batches that wait between the reader and the plans.
pub const BATCHES_WAITING: usize = 2;

type Batches = mpsc::Sender<Result<RecordBatch, datafusion::error::DataFusionError>>;

/// A split being read: two streams, and the thread that fills them.
pub struct Reading {
    /// Rows of `tables::pages`.
    pub pages: SendableRecordBatchStream,
    /// Rows of `tables::image_locations`.
    pub locations: SendableRecordBatchStream,
    /// Ends when the split is read.
    pub thread: tokio::task::JoinHandle<Result<(), RunError>>,
}

/// Starts reading a split.
pub fn read(run: &Run, split: &PlannedSplit, log: Arc<UnitLog>) -> Reading {
    let (page_sender, pages) = mpsc::channel(BATCHES_WAITING);
    let (location_sender, locations) = mpsc::channel(BATCHES_WAITING);
    let source = run.checked.sources[split.source as usize].clone();
    let input = run.checked.resources.inputs[split.source as usize].clone();
    let (buckets, progress, split) = (run.plan.buckets, run.progress.clone(), split.clone());
    let job = &run.checked.job;
    let (reads_pages, names_images) = (!job.documents.is_empty(), job.wants_all_images());
    // Named before any step, so that it is listed first.
    log.charge("read", (0, 0), Spent::default());
    let thread = tokio::task::spawn_blocking(move || {
        let watch = Stopwatch::start();
        let part = Arc::new(progress.part(split.split.pieces.iter().map(|piece| piece.length).sum()));
        let beyond = Arc::new(Beyond::of(&split.split));
        let (to_part, to_beyond) = (part.clone(), beyond.clone());
        let told = move |heard: &Heard<'_>| {
            to_part.read(heard.bytes);
            // Whoever reads a file from its beginning has it whole in the split.
            heard.range.iter().for_each(|range| to_beyond.note(heard.path, range.clone()));
        };
        let overheard = Overheard::new(input.clone(), Arc::new(told));
        let mut collector = Collector {
            source: split.source,
            buckets,
            reads_pages,
            pages: Pages::new(),
            locations: Locations::new(names_images),
            page_sender,
            location_sender,
            beyond: beyond.clone(),
            log: log.clone(),
            failed: None,
        };
        source.read(&split.split, &overheard, &mut collector)?;
        collector.finish()?;
        part.done();
        let beyond = beyond.pieces();
        log.input(whole_content(&split.split, &beyond, input.as_ref())?, beyond);
        let rows = (log.counted("records"), log.counted("pages") + log.counted("image_locations"));
        log.charge("read", rows, watch.spent());
        Ok(())
    });
    Reading { pages: receive(tables::pages(), pages), locations: receive(tables::image_locations(), locations), thread }
}

/// The batches that a thread sends, as a stream.
pub fn receive(
    schema: arrow::datatypes::SchemaRef,
    receiver: mpsc::Receiver<Result<RecordBatch, datafusion::error::DataFusionError>>,
) -> SendableRecordBatchStream {
    let batches =
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|batch| (batch, receiver)) });
    Box::pin(RecordBatchStreamAdapter::new(schema, Box::pin(batches)))
}

struct Collector {
    source: u32,
    buckets: u32,
    /// Whether the job has steps for pages.
    reads_pages: bool,
    pages: Pages,
    locations: Locations,
    page_sender: Batches,
    location_sender: Batches,
    beyond: Arc<Beyond>,
    log: Arc<UnitLog>,
    /// Why the source was told to stop.
    failed: Option<RunError>,
}

impl Collector {
    fn send_pages(&mut self) -> ControlFlow<()> {
        send(&self.page_sender, std::mem::replace(&mut self.pages, Pages::new()).finish())
    }

    fn send_locations(&mut self) -> ControlFlow<()> {
        let next = Locations::new(self.locations.names_images);
        send(&self.location_sender, std::mem::replace(&mut self.locations, next).finish())
    }

    fn finish(mut self) -> Result<(), RunError> {
        // Nobody listens any more where the unit has failed; its own error is the one to report.
        let _ = (self.send_pages(), self.send_locations());
        self.failed.map_or(Ok(()), Err)
    }
}

fn send(sender: &Batches, batch: Result<RecordBatch, StepError>) -> ControlFlow<()> {
    match batch {
        Ok(batch) if batch.num_rows() == 0 => ControlFlow::Continue(()),
        batch => match sender.blocking_send(batch.map_err(external)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        },
    }
}

impl Records for Collector {
    fn document(&mut self, document: RawDocument) -> ControlFlow<()> {
        if !self.reads_pages {
            self.skip("page");
            return ControlFlow::Continue(());
        }
        self.log.count("records", 1);
        self.log.count("pages", 1);
        self.log.count("page_bytes", document.body.len() as u64);
        self.log.at_work().did("read", &document.url);
        self.pages.push(document_key(self.source, &document.locator), &document);
        if self.pages.full() { self.send_pages() } else { ControlFlow::Continue(()) }
    }

    fn image(&mut self, image: ImageLocation) -> ControlFlow<()> {
        let Location { path, offset, length, .. } = &image.location;
        self.beyond.note(path, *offset..offset.saturating_add(*length));
        self.log.count("records", 1);
        self.log.count("image_locations", 1);
        self.log.at_work().did("read", &image.url);
        self.locations.push(self.source, self.buckets, &image);
        if self.locations.full() { self.send_locations() } else { ControlFlow::Continue(()) }
    }

    fn reject(&mut self, reject: RejectedRecord) -> ControlFlow<()> {
        self.log.count("records", 1);
        self.log.at_work().did("rejected", &reject.locator);
        let booked = self.log.reject(Reject {
            kind: Kind::Record,
            key: shorten(&reject.locator, 2048),
            url: shorten(&reject.url.unwrap_or_default(), 2048),
            step: "read".into(),
            reason: reject.reason,
            detail: shorten(&reject.detail, 512),
        });
        self.failed = booked.err();
        if self.failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn skip(&mut self, kind: &'static str) {
        self.log.count("records", 1);
        self.log.skip(kind);
    }
}

/// Rows of `tables::pages`.
pub fn page_rows(pages: &[(Key, RawDocument)]) -> Result<RecordBatch, StepError> {
    let mut rows = Pages::new();
    for (key, document) in pages {
        rows.push(*key, document);
    }
    rows.finish()
}

struct Pages {
    key: FixedSizeBinaryBuilder,
    url: StringBuilder,
    content_type: StringBuilder,
    robots: StringBuilder,
    body: BinaryBuilder,
    rows: usize,
    bytes: usize,
    mistake: Option<arrow::error::ArrowError>,
}

impl Pages {
    fn new() -> Self {
        Self {
            key: FixedSizeBinaryBuilder::new(Key::BYTES as i32),
            url: StringBuilder::new(),
            content_type: StringBuilder::new(),
            robots: StringBuilder::new(),
            body: BinaryBuilder::new(),
            rows: 0,
            bytes: 0,
            mistake: None,
        }
    }

    fn push(&mut self, key: Key, document: &RawDocument) {
        self.mistake = self.mistake.take().or(self.key.append_value(key.0).err());
        self.url.append_value(&document.url);
        self.content_type.append_option(document.content_type.as_ref());
        self.robots.append_option(document.robots.as_ref());
        self.body.append_value(&document.body);
        self.rows += 1;
        self.bytes += document.body.len();
    }

    fn full(&self) -> bool {
        self.rows >= PAGES_PER_BATCH || self.bytes >= BYTES_PER_BATCH
    }

    fn finish(mut self) -> Result<RecordBatch, StepError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake.into());
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.key.finish()),
            Arc::new(self.url.finish()),
            Arc::new(self.content_type.finish()),
            Arc::new(self.robots.finish()),
            Arc::new(self.body.finish()),
        ];
        Ok(RecordBatch::try_new(tables::pages(), columns)?)
    }
}

struct Locations {
    bucket: UInt32Builder,
    key: FixedSizeBinaryBuilder,
    source: UInt32Builder,
    container: StringBuilder,
    path: StringBuilder,
    offset: UInt64Builder,
    length: UInt64Builder,
    inline: BinaryBuilder,
    image_url: StringBuilder,
    /// Whether images are wanted that no document shows, so that they must be named here.
    names_images: bool,
    rows: usize,
    bytes: usize,
    mistake: Option<arrow::error::ArrowError>,
}

impl Locations {
    fn new(names_images: bool) -> Self {
        Self {
            bucket: UInt32Builder::new(),
            key: FixedSizeBinaryBuilder::new(Key::BYTES as i32),
            source: UInt32Builder::new(),
            container: StringBuilder::new(),
            path: StringBuilder::new(),
            offset: UInt64Builder::new(),
            length: UInt64Builder::new(),
            inline: BinaryBuilder::new(),
            image_url: StringBuilder::new(),
            names_images,
            rows: 0,
            bytes: 0,
            mistake: None,
        }
    }

    fn push(&mut self, source: u32, buckets: u32, image: &ImageLocation) {
        let key = image_key(&image.url);
        self.bucket.append_value(image_bucket(&key, buckets));
        self.mistake = self.mistake.take().or(self.key.append_value(key.0).err());
        self.source.append_value(source);
        self.container.append_value(image.location.container.word());
        self.path.append_value(&image.location.path);
        self.offset.append_value(image.location.offset);
        self.length.append_value(image.location.length);
        let inline = image.location.container.inline();
        self.inline.append_option(inline);
        self.image_url.append_option(self.names_images.then_some(&image.url));
        self.rows += 1;
        self.bytes += inline.map_or(0, <[u8]>::len) + if self.names_images { image.url.len() } else { 0 };
    }

    fn full(&self) -> bool {
        self.rows >= LOCATIONS_PER_BATCH || self.bytes >= BYTES_PER_BATCH
    }

    fn finish(mut self) -> Result<RecordBatch, StepError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake.into());
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.bucket.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.container.finish()),
            Arc::new(self.path.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.length.finish()),
            Arc::new(self.inline.finish()),
            Arc::new(self.image_url.finish()),
        ];
        Ok(RecordBatch::try_new(tables::image_locations(), columns)?)
    }
}
