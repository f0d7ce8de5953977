//! Turns each prepared image into a grid of codes.

mod known;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch, UInt16Array};
use arrow::datatypes::UInt32Type;
use pageloom_schemas::columns;
use pageloom_schemas::lists::ListColumn;
use pageloom_vq::ImageTokenizer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::memory::Memory;
use crate::error::StepError;
use crate::step::{Columns, Rejects, Resources, Step, StepSettings};
use known::{Codes, Known};

/// The encoder is the job's `tokenizers.image`; an image's codes don't depend on what shares its batch.
///
/// Pixels that were encoded before are not encoded again: those of the same image under another URL, and those of the
/// output that `run --reuse` names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        let inputs = || [columns::pixels().field(), columns::known_from().field(), columns::known_codes().field()];
        Columns::reads(inputs()).drops(inputs()).writes([
            columns::grid_width().field(),
            columns::grid_height().field(),
            columns::codes().field(),
            columns::encoded_from().field(),
        ])
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(EncodeImage::with(resources.images.clone(), resources.memory.clone())?))
    }
}

#[derive(Debug)]
struct EncodeImage {
    encoder: Arc<dyn ImageTokenizer>,
    memory: Arc<Memory>,
    /// What all that the encoder's codes follow from, but for the pixels, leaves in a hash.
    identity: blake3::Hasher,
    known: Known,
}

impl EncodeImage {
    fn with(encoder: Arc<dyn ImageTokenizer>, memory: Arc<Memory>) -> Result<Self, StepError> {
        let identity = serde_json::to_vec(encoder.provenance()).map_err(|error| StepError::Bug(error.to_string()))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(blake3::hash(&identity).as_bytes());
        Ok(Self { encoder, memory, identity: hasher, known: Known::default() })
    }

    fn encoded_from(&self, pixels: &[u8]) -> [u8; 32] {
        *self.identity.clone().update(pixels).finalize().as_bytes()
    }

    fn encoded(&self, crops: &[&[u8]]) -> Result<Vec<Vec<u32>>, StepError> {
        if crops.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = self.memory.encoder();
        Ok(self.encoder.encode(crops)?)
    }

    /// The codes of every image: known ones, and new ones of what is left.
    fn codes(&self, images: &[&[u8]], from: &[[u8; 32]], mut codes: Vec<Option<Codes>>) -> Result<Vec<Codes>, StepError> {
        let unknown: Vec<usize> = (0..images.len()).filter(|&image| codes[image].is_none()).collect();
        let size = self.encoder.size();
        let crop_bytes = size.width as usize * size.height as usize * 3;
        let crops: Vec<&[u8]> = unknown.iter().flat_map(|&image| images[image].chunks(crop_bytes)).collect();
        let mut encoded = self.encoded(&crops)?.into_iter();
        for image in unknown {
            let crops = images[image].len().div_ceil(crop_bytes);
            let found: Codes = encoded.by_ref().take(crops).flatten().collect();
            self.known.learn(from[image], &found);
            codes[image] = Some(found);
        }
        let lost = || StepError::Bug("the encoder lost an image".into());
        codes.into_iter().map(|codes| codes.ok_or_else(lost)).collect()
    }
}

impl Step for EncodeImage {
    fn process(&self, batch: RecordBatch, _: &mut Rejects) -> Result<RecordBatch, StepError> {
        let pixels = columns::pixels();
        let images: Vec<&[u8]> = pixels.of(&batch)?.iter().flatten().collect();
        let from: Vec<[u8; 32]> = images.iter().map(|pixels| self.encoded_from(pixels)).collect();
        let earlier = earlier(&batch, &from)?;
        let known = from.iter().zip(earlier).map(|(from, earlier)| earlier.or_else(|| self.known.of(from)));
        let mut codes = ListColumn::<UInt32Type>::default();
        for image in self.codes(&images, &from, known.collect())? {
            codes.push(&image)?;
        }
        let grid = self.encoder.grid();
        let repeat = |side: u16| -> ArrayRef { Arc::new(UInt16Array::from_value(side, batch.num_rows())) };
        let from: ArrayRef = Arc::new(FixedSizeBinaryArray::try_new(32, from.concat().into(), None)?);
        let new = vec![repeat(grid.width), repeat(grid.height), codes.finish()?, from];
        Settings::default().columns().replace(&batch, new)
    }
}

/// What an earlier run found for the same pixels.
fn earlier(batch: &RecordBatch, from: &[[u8; 32]]) -> Result<Vec<Option<Codes>>, StepError> {
    let (known_from, known_codes) = (columns::known_from(), columns::known_codes());
    let (known_from, known_codes) = (known_from.of(batch)?, known_codes.of(batch)?);
    let of = |row: usize| -> Option<Codes> {
        let is_same = known_from.is_valid(row) && known_codes.is_valid(row) && known_from.value(row) == from[row];
        is_same.then(|| known_codes.value(row).as_primitive::<UInt32Type>().values().to_vec().into())
    };
    Ok((0..from.len()).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Kind;
    use crate::steps::StepConfig;
    use crate::steps::fixture::{every_step, resources};

    /// The rows that reach this step, the first of which an earlier run knows: its codes are all 9.
    fn rows(encode: &EncodeImage) -> RecordBatch {
        let prepared = every_step(&resources());
        let is_it = |config: &StepConfig| matches!(config, StepConfig::encode_image(_));
        let rows = prepared.into_iter().find(|prepared| is_it(&prepared.config)).unwrap().rows;
        let from = encode.encoded_from(columns::pixels().of(&rows).unwrap().value(0));
        let known = (0..rows.num_rows()).map(|row| (row == 0).then_some(from));
        let from = FixedSizeBinaryArray::try_from_sparse_iter_with_size(known, 32).unwrap();
        let codes = (0..rows.num_rows()).map(|row| (row == 0).then(|| vec![Some(9); 256]));
        let codes = arrow::array::ListArray::from_iter_primitive::<UInt32Type, _, _>(codes);
        let codes = arrow::compute::cast(&codes, columns::known_codes().field().data_type()).unwrap();
        let replace = |(field, column): (&Arc<arrow::datatypes::Field>, &ArrayRef)| match field.name().as_str() {
            "known_from" => Arc::new(from.clone()) as ArrayRef,
            "known_codes" => codes.clone(),
            _ => column.clone(),
        };
        let columns = rows.schema().fields().iter().zip(rows.columns()).map(replace).collect();
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    }

    fn encode_image() -> EncodeImage {
        EncodeImage::with(resources().images, Arc::default()).unwrap()
    }

    #[test]
    fn codes_of_an_earlier_run_are_taken_for_the_same_pixels_alone() {
        let encode = encode_image();
        let rows = rows(&encode);
        let left = encode.process(rows.clone(), &mut Rejects::new(Kind::Image, "encode_image")).unwrap();
        let codes = columns::codes();
        let codes = codes.of(&left).unwrap();
        let of = |row: usize| codes.value(row).as_primitive::<UInt32Type>().values().to_vec();
        assert_eq!(of(0), [9; 256]);
        assert_ne!(of(1), [9; 256]);
        // The first image's codes again, for what now stand as other pixels.
        let moved = EncodeImage { identity: blake3::Hasher::new(), ..encode_image() };
        let left = moved.process(rows, &mut Rejects::new(Kind::Image, "encode_image")).unwrap();
        assert_ne!(columns::codes().of(&left).unwrap().value(0).as_primitive::<UInt32Type>().values(), &[9; 256]);
    }

    #[test]
    fn pixels_seen_before_are_not_encoded_again() {
        let encode = encode_image();
        let pixels = vec![7; 256 * 256 * 3];
        let from = encode.encoded_from(&pixels);
        encode.known.learn(from, &vec![3; 256].into());
        assert_eq!(*encode.known.of(&from).unwrap(), [3; 256]);
        assert!(encode.known.of(&[0; 32]).is_none());
    }
}
