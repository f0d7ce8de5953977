//! Which images stand in each row of sequences, with their masks, where a job asks for it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, UInt32Type};
use pageloom_schemas::lists::{ListColumn, key_values, list_offset};
use pageloom_schemas::{Column, Key, columns};
use pageloom_vq::ImageTokenizer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::CheckedJob;
use crate::error::StepError;
use crate::image_runs::ImageRun;
use crate::job::Job;
use crate::packing::PackedRow;
use crate::step::{Kind, Rejects, Step};
use crate::steps::{StepConfig, draw_masks};

/// What rows of sequences tell of the images in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whose masks stand beside each image: names of `draw_masks` steps. They are the masks of the table of images, bit by
    /// bit, wherever and however often an image stands.
    pub masks: Vec<String>,
}

impl Settings {
    /// The steps that draw these masks, with how each is named here; none in the place of a name that no step has.
    pub fn steps<'a>(&'a self, images: &'a [StepConfig]) -> impl Iterator<Item = (&'a str, Option<&'a StepConfig>)> {
        let named = move |name: &str| {
            images.iter().find(|step| matches!(step, StepConfig::draw_masks(settings) if settings.name == name))
        };
        self.masks.iter().map(move |name| (name.as_str(), named(name)))
    }
}

/// The columns of a job's images in rows; none where it doesn't ask for them.
pub fn fields(job: &Job, images: &dyn ImageTokenizer) -> Vec<Field> {
    let Some(settings) = job.sequences.as_ref().and_then(|sequences| sequences.images.as_ref()) else {
        return Vec::new();
    };
    let of_runs = [
        columns::run_images(),
        columns::run_starts(),
        columns::run_lengths(),
        columns::run_offsets(),
        columns::run_is_whole(),
        columns::run_grid_widths(),
        columns::run_grid_heights(),
    ];
    let steps: Vec<StepConfig> = settings.steps(&job.images).filter_map(|(_, step)| step.cloned()).collect();
    let masks = draw_masks::fields(&steps, images.grid(), job.seed).into_iter().map(|field| {
        let name = format!("image_{}", field.name());
        field.with_name(name)
    });
    of_runs.iter().map(Column::field).chain(masks).collect()
}

/// Makes those columns.
pub struct SequenceImages {
    images: Arc<dyn ImageTokenizer>,
    /// Each with the column that it writes.
    masks: Vec<(Arc<dyn Step>, String)>,
}

impl SequenceImages {
    /// What a job asks for; none if nothing.
    pub fn of(checked: &CheckedJob) -> Result<Option<Self>, StepError> {
        let sequences = checked.job.sequences.as_ref();
        let Some(settings) = sequences.and_then(|sequences| sequences.images.as_ref()) else { return Ok(None) };
        let masks = settings.steps(&checked.job.images).map(|(name, step)| {
            let step = step.ok_or_else(|| StepError::Bug(format!("masks `{name}` were not checked to be drawn")))?;
            Ok((checked.step(step)?, format!("masks_{name}")))
        });
        let masks = masks.collect::<Result<_, StepError>>()?;
        Ok(Some(Self { images: checked.resources.images.clone(), masks }))
    }

    /// The columns of these rows, in the order of [`fields`].
    pub fn columns(&self, rows: &[&PackedRow]) -> Result<Vec<ArrayRef>, StepError> {
        let of_rows: Vec<Vec<ImageRun>> = rows.iter().map(|row| runs(row)).collect();
        let (grid, whole) = (self.images.grid(), self.images.codes_per_image());
        let numbers = |of: &dyn Fn(&ImageRun) -> u32| -> Result<ArrayRef, StepError> {
            let mut column = ListColumn::<Int32Type>::default();
            for runs in &of_rows {
                // No row is as long as 2^24 tokens, which is checked with its packing.
                column.push(&runs.iter().map(|run| of(run) as i32).collect::<Vec<_>>())?;
            }
            Ok(column.finish()?)
        };
        let all = || of_rows.iter().flatten();
        let keys = StringArray::from(all().map(|run| Key(run.image).to_string()).collect::<Vec<_>>());
        let is_whole = BooleanArray::from_iter(all().map(|run| Some(length(run) == whole)));
        let mut columns = vec![
            list(Arc::new(keys), &of_rows, None)?,
            numbers(&|run| run.tokens.start)?,
            numbers(&length)?,
            numbers(&|run| run.offset)?,
            list(Arc::new(is_whole), &of_rows, None)?,
            numbers(&|_| grid.width.into())?,
            numbers(&|_| grid.height.into())?,
        ];
        for (step, name) in &self.masks {
            columns.push(masks(step.as_ref(), name, &of_rows)?);
        }
        Ok(columns)
    }
}

fn length(run: &ImageRun) -> u32 {
    run.tokens.end - run.tokens.start
}

/// The image runs of a row, where they stand in it.
fn runs(row: &PackedRow) -> Vec<ImageRun> {
    let mut start = 0;
    let of_segment = row.segments.iter().flat_map(|segment| {
        let runs = ImageRun::within(&segment.images, 0..segment.length, start);
        start += segment.length;
        runs
    });
    of_segment.collect()
}

/// The bitmaps of all images of each row, one after another, as the step draws them for the table of images.
fn masks(step: &dyn Step, name: &str, of_rows: &[Vec<ImageRun>]) -> Result<ArrayRef, StepError> {
    let mut rejects = Rejects::new(Kind::Image, name);
    let drawn = step.process(known(of_rows)?, &mut rejects)?;
    if let Some(reject) = rejects.rows().first() {
        return Err(StepError::Bug(format!("image {} has tokens but no {name}: {}", reject.key, reject.detail)));
    }
    let bitmaps = columns::masks(name);
    let bitmaps = bitmaps.of(&drawn)?;
    list(bitmaps.values().clone(), of_rows, Some(bitmaps))
}

/// What masks are drawn of: keys alone, so that there is nothing to say in the other columns that the step reads.
fn known(of_rows: &[Vec<ImageRun>]) -> Result<RecordBatch, StepError> {
    let keys = key_values(of_rows.iter().flatten().map(|run| run.image))?;
    let count = keys.len();
    let mut codes = ListColumn::<UInt32Type>::default();
    (0..count).try_for_each(|_| codes.push(&[]))?;
    let fields = vec![columns::key().field(), columns::url().field(), columns::codes().field()];
    let urls = StringArray::from_iter_values((0..count).map(|_| ""));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![keys, Arc::new(urls), codes.finish()?])?)
}

/// Values of all runs as a list for each row; of several values for each run, `lists` says where they end.
fn list(values: ArrayRef, of_rows: &[Vec<ImageRun>], lists: Option<&ListArray>) -> Result<ArrayRef, StepError> {
    let (mut runs, mut offsets) = (0, vec![0]);
    for row in of_rows {
        runs += row.len();
        offsets.push(match lists {
            Some(lists) => lists.value_offsets()[runs],
            None => list_offset(runs)?,
        });
    }
    let item = Arc::new(Field::new("item", values.data_type().clone(), false));
    Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::new(offsets.into()), values, None)?))
}

/// One run of a row, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownImage {
    /// The image's key.
    pub image: String,
    /// Where the run starts in the row.
    pub start: i32,
    /// Its length in tokens.
    pub length: i32,
    /// How many of the image's tokens come before it.
    pub offset: i32,
    /// Whether it has all of them.
    pub is_whole: bool,
    /// Columns and rows of the image's tokens.
    pub grid: [i32; 2],
    /// For each set of masks how many bits of each bitmap are 1.
    pub masks: Vec<(String, Vec<u32>)>,
}

/// The images of the only row of a batch; none where its table doesn't tell.
pub fn shown(batch: &RecordBatch) -> Result<Vec<ShownImage>, StepError> {
    let keys = columns::run_images();
    if batch.column_by_name(keys.name()).is_none() {
        return Ok(Vec::new());
    }
    let keys = keys.of(batch)?.value(0);
    let number = |column: Column<ListArray>| -> Result<_, StepError> {
        Ok(column.of(batch)?.value(0).as_primitive::<Int32Type>().clone())
    };
    let (starts, lengths) = (number(columns::run_starts())?, number(columns::run_lengths())?);
    let offsets = number(columns::run_offsets())?;
    let (widths, heights) = (number(columns::run_grid_widths())?, number(columns::run_grid_heights())?);
    let is_whole = columns::run_is_whole().of(batch)?.value(0);
    let schema = batch.schema();
    let masks =
        schema.fields().iter().filter_map(|field| Some((field.name(), field.name().strip_prefix("image_masks_")?)));
    let masks: Vec<(&str, ArrayRef)> = masks
        .filter_map(|(column, name)| Some((name, batch.column_by_name(column)?.as_list_opt::<i32>()?.value(0))))
        .filter(|(_, bitmaps)| bitmaps.data_type() == &DataType::Binary)
        .collect();
    let image = |run: usize| ShownImage {
        image: keys.as_string::<i32>().value(run).to_owned(),
        start: starts.value(run),
        length: lengths.value(run),
        offset: offsets.value(run),
        is_whole: is_whole.as_boolean().value(run),
        grid: [widths.value(run), heights.value(run)],
        masks: masks.iter().map(|(name, all)| ((*name).to_owned(), ones(all, run, keys.len()))).collect(),
    };
    Ok((0..keys.len()).map(image).collect())
}

/// How many bits are 1 in each bitmap of one run, where all runs have as many bitmaps.
fn ones(bitmaps: &ArrayRef, run: usize, runs: usize) -> Vec<u32> {
    let each = bitmaps.len() / runs;
    let ones = |index: usize| bitmaps.as_binary::<i32>().value(index).iter().map(|byte| byte.count_ones()).sum();
    (run * each..(run + 1) * each).map(ones).collect()
}

impl std::fmt::Display for ShownImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (start, end) = (self.start, self.start + self.length);
        let [width, height] = self.grid;
        write!(formatter, "tokens {start}..{end}: image {}, {width} x {height}", self.image)?;
        if !self.is_whole {
            write!(formatter, ", its tokens {}..{}", self.offset, self.offset + self.length)?;
        }
        self.masks.iter().try_for_each(|(name, ones)| {
            let ones: Vec<String> = ones.iter().map(u32::to_string).collect();
            write!(formatter, "; {name}: {} bits", ones.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::Segment;
    use crate::step::StepSettings;
    use crate::steps::fixture::resources;

    fn row(segments: &[(u32, &[ImageRun])]) -> PackedRow {
        let segment = |(length, images): &(u32, &[ImageRun])| Segment {
            document: Some([1; 16]),
            length: *length,
            images: images.to_vec(),
            ..Segment::default()
        };
        PackedRow { segments: segments.iter().map(segment).collect(), ..PackedRow::default() }
    }

    fn run(image: u8, tokens: std::ops::Range<u32>, offset: u32) -> ImageRun {
        ImageRun { image: [image; 16], tokens, offset }
    }

    #[test]
    fn runs_stand_where_their_pieces_stand_in_the_row() {
        let row = row(&[(10, &[run(1, 2..6, 0)]), (5, &[]), (8, &[run(2, 0..3, 9), run(1, 4..8, 0)])]);
        assert_eq!(runs(&row), [run(1, 2..6, 0), run(2, 15..18, 9), run(1, 19..23, 0)]);
    }

    #[test]
    fn each_run_has_the_masks_of_its_image_and_a_row_without_images_has_none() {
        let resources = resources();
        let settings = draw_masks::Settings::example();
        let step = settings.build(&resources).unwrap();
        let whole = resources.images.codes_per_image();
        let images = SequenceImages { images: resources.images, masks: vec![(step, "masks_mae".into())] };
        let rows = [
            row(&[(9, &[run(1, 0..3, 4), run(2, 5..6, 0)])]),
            row(&[(9, &[])]),
            row(&[(999, &[run(1, 1..1 + whole, 0)])]),
        ];
        let columns = images.columns(&rows.each_ref()).unwrap();
        let is_whole = columns[4].as_list::<i32>().values().as_boolean().iter().flatten().collect::<Vec<_>>();
        assert_eq!(is_whole, [false, false, true]);
        let bitmaps = columns[7].as_list::<i32>();
        assert_eq!((0..3).map(|row| bitmaps.value(row).len()).collect::<Vec<_>>(), [4, 0, 2]);
        let of = |row: usize, index: usize| bitmaps.value(row).as_binary::<i32>().value(index).to_vec();
        assert_eq!([of(0, 0), of(0, 1)], [of(2, 0), of(2, 1)]);
        assert_ne!(of(0, 0), of(0, 2));
    }
}
