//! Holds an executor against the reference on built-in images, so that one that computes nonsense is found before its ids
//! are kept.

use std::fmt;

use pulp::Arch;
use serde::{Deserialize, Serialize};

use super::error::VqError;
use super::executor::{Executor, ExecutorId};
use super::pixels::{self, Draw, Limits, prepare};
use super::quantise::Quantise;
use super::tokenizer::ImageSize;

/// A drawing with flat and shaded parts, as a JPEG.
const PICTURE: &[u8] = include_bytes!("../../../jobs/demo/site/img/plants/daisy.jpg");

/// Every so many places are asked what a margin usually is.
const SAMPLED: usize = 8;

/// What came of an executor's self-test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selftest {
    /// What was tried.
    pub executor: ExecutorId,
    /// What it was held against.
    pub reference: ExecutorId,
    /// Built-in images.
    pub images: usize,
    /// Places of all images.
    pub places: usize,
    /// Places with the reference's ids.
    pub equal: usize,
    /// Of the places with other ids, how much worse those are by the reference's features, at worst: 1 is as far as the
    /// second best usually is from the best. 0 where all are equal; nothing where a user's model gives ids alone.
    pub worst_margin: Option<f64>,
    /// How far features are apart, relative to what they are: root mean squares of both. Nothing where a user's model gives
    /// ids alone.
    pub feature_error: Option<f64>,
    /// Images whose ids were others when they were encoded by themselves.
    pub depend_on_batch: usize,
}

/// How far an executor may be from the reference: ONNX Runtime on a processor is at a hundredth of this or less.
struct Tolerance {
    /// Of all places.
    equal: f64,
    worst_margin: f64,
    feature_error: f64,
}

/// What executors are held against.
pub(crate) struct Reference {
    pub executor: Box<dyn Executor>,
    /// Nothing where a user's model gives ids alone.
    pub judge: Option<Judge>,
}

/// Says by how much ids are worse than others.
pub(crate) struct Judge {
    pub quantise: Box<dyn Quantise>,
    /// Numbers of a place.
    pub dimension: usize,
    /// Ids of a place.
    pub depth: usize,
}

impl Selftest {
    fn tolerance(&self) -> Tolerance {
        match self.executor.precision.as_str() {
            "f16" => Tolerance { equal: 0.95, worst_margin: 0.3, feature_error: 1e-2 },
            _ => Tolerance { equal: 0.995, worst_margin: 0.003, feature_error: 1e-4 },
        }
    }

    /// Whether what differs is no more than rounding.
    pub fn passed(&self) -> bool {
        let Tolerance { equal, worst_margin, feature_error } = self.tolerance();
        // Not a number is not within bounds either.
        let within = |found: Option<f64>, most: f64| found.is_none_or(|found| found <= most);
        self.places > 0
            && self.depend_on_batch == 0
            && self.equal as f64 >= equal * self.places as f64
            && within(self.worst_margin, worst_margin)
            && within(self.feature_error, feature_error)
    }
}

impl fmt::Display for Selftest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executor, reference, images, places, equal, .. } = self;
        let verdict = if self.passed() { "agrees" } else { "doesn't agree" };
        let share = 100.0 * *equal as f64 / (*places).max(1) as f64;
        write!(
            f,
            "{executor} {verdict} with {reference}: {equal} of {places} places ({share:.2} %) of {images} images "
        )?;
        write!(f, "have the same ids")?;
        if let Some(margin) = self.worst_margin {
            write!(f, ", the others are worse by {margin:.5} of a usual margin at most")?;
        }
        if let Some(error) = self.feature_error {
            write!(f, ", features are {error:.1e} apart")?;
        }
        write!(f, ", {} images have other ids by themselves", self.depend_on_batch)
    }
}

/// Tries an executor on the built-in images; it is an error if it doesn't agree with the reference.
pub(crate) fn selftest(
    tried: &dyn Executor,
    reference: &Reference,
    size: ImageSize,
    recipe: &pixels::Preprocessing,
) -> Result<Selftest, VqError> {
    let images = built_in(size, recipe);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let found = tried.encode(&images)?;
    let expected = reference.executor.encode(&images)?;
    let mut depend_on_batch = 0;
    for (image, together) in images.iter().zip(&found) {
        depend_on_batch += usize::from(tried.encode(&[image])?.first() != Some(together));
    }
    let depth = reference.judge.as_ref().map_or(1, |judge| judge.depth);
    let mut report = Selftest {
        executor: tried.id().clone(),
        reference: reference.executor.id().clone(),
        images: images.len(),
        places: expected.iter().map(|ids| ids.len() / depth).sum(),
        equal: places(&found, depth)
            .zip(places(&expected, depth))
            .filter(|(found, expected)| found == expected)
            .count(),
        worst_margin: None,
        feature_error: None,
        depend_on_batch,
    };
    if let (Some(judge), Some(right)) = (&reference.judge, reference.executor.features(&images)?) {
        report.worst_margin = Some(worst_margin(judge, &right.concat(), &found, &expected));
        report.feature_error = tried.features(&images)?.map(|numbers| apart(&numbers.concat(), &right.concat()));
    }
    if report.passed() { Ok(report) } else { Err(VqError::Selftest(Box::new(report))) }
}

fn places(ids: &[Vec<u32>], depth: usize) -> impl Iterator<Item = &[u32]> {
    ids.iter().flat_map(move |ids| ids.chunks(depth))
}

/// How much worse other ids than expected are, at worst, in units of what the second best usually is.
fn worst_margin(judge: &Judge, features: &[f32], found: &[Vec<u32>], expected: &[Vec<u32>]) -> f64 {
    let arch = Arch::new();
    let numbers: Vec<&[f32]> = features.chunks_exact(judge.dimension).collect();
    let sample = numbers.iter().zip(places(expected, judge.depth)).step_by(SAMPLED);
    let mut seconds: Vec<f32> =
        sample.map(|(numbers, ids)| judge.quantise.margins(arch, numbers, ids).second).collect();
    seconds.sort_by(f32::total_cmp);
    let usual = seconds.get(seconds.len() / 2).map_or(f64::NAN, |second| f64::from(*second));
    let pairs = numbers.iter().zip(places(found, judge.depth).zip(places(expected, judge.depth)));
    pairs
        .filter(|(_, (found, expected))| found != expected)
        .map(|(numbers, (found, _))| f64::from(judge.quantise.margins(arch, numbers, found).found) / usual)
        .fold(0.0, |worst, margin| if margin <= worst { worst } else { margin })
}

/// The root mean square of differences, relative to that of what is right.
fn apart(found: &[f32], right: &[f32]) -> f64 {
    let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
    let differences = squares(&mut found.iter().zip(right).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    if found.len() == right.len() {
        (differences / squares(&mut right.iter().map(|x| f64::from(*x)))).sqrt()
    } else {
        f64::NAN
    }
}

/// Shades, noise, edges of every direction, all three, and a picture.
fn built_in(size: ImageSize, recipe: &pixels::Preprocessing) -> Vec<Vec<u8>> {
    let ImageSize { width, height } = size;
    let drawn = |colour: &dyn Fn(u32, u32, u32) -> u32| -> Vec<u8> {
        let pixel = |place: u32| (0..3).map(move |channel| (place % width, place / width, channel));
        (0..width * height).flat_map(pixel).map(|(x, y, channel)| colour(x, y, channel) as u8).collect()
    };
    let shades = |x: u32, y: u32, channel: u32| match channel {
        0 => x * 255 / width,
        1 => y * 255 / height,
        _ => 255 - (x * 255 / width + y * 255 / height) / 2,
    };
    // A whole number spread over all of its bits.
    let noise = |x: u32, y: u32, channel: u32| {
        let mixed = ((y * width + x) * 3 + channel + 1).wrapping_mul(0x9E37_79B1);
        (mixed ^ mixed >> 15).wrapping_mul(0x85EB_CA77) >> 24
    };
    // Rings that get narrower, of other widths for each colour.
    let edges = |x: u32, y: u32, channel: u32| {
        if ((x * x + y * y) / (width * (channel + 2))).is_multiple_of(2) { 30 } else { 220 }
    };
    let mixed = |x: u32, y: u32, channel: u32| match (x * 4 / width + y * 4 / height) % 3 {
        0 => shades(x, y, channel),
        1 => edges(x, y, channel),
        _ => (noise(x / 4, y / 4, channel) + shades(x, y, channel)) / 2,
    };
    let mut images = vec![drawn(&shades), drawn(&noise), drawn(&edges), drawn(&mixed)];
    let picture = prepare(PICTURE, recipe, Draw { x: 0.5, y: 0.5 }, &Limits::default());
    let crop = picture.ok().and_then(|prepared| prepared.crops.into_iter().next());
    // A recipe may refuse it, as too small or of another shape.
    images.extend(crop.map(|crop| crop.rgb).filter(|rgb| rgb.len() == (width * height * 3) as usize));
    images
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::cpu::CpuExecutor;
    use crate::encoder::read_plan;
    use crate::{Preprocessing, quantise};

    /// Number of the image, how many there are, its ids and features.
    type Damage = fn(usize, usize, &mut Vec<u32>, &mut Vec<f32>);
    /// Ids and features of an image.
    type Answer = (Vec<u32>, Vec<f32>);

    /// Wrong in one way.
    #[derive(Debug)]
    struct Broken {
        inner: CpuExecutor,
        id: ExecutorId,
        wrong: Damage,
    }

    impl Broken {
        fn answers(&self, images: &[&[u8]]) -> Result<Vec<Answer>, VqError> {
            let ids = self.inner.encode(images)?;
            let features = Executor::features(&self.inner, images)?.expect("features");
            let mut both: Vec<Answer> = ids.into_iter().zip(features).collect();
            for (index, (ids, features)) in both.iter_mut().enumerate() {
                (self.wrong)(index, images.len(), ids, features);
            }
            Ok(both)
        }
    }

    impl Executor for Broken {
        fn id(&self) -> &ExecutorId {
            &self.id
        }

        fn encode(&self, images: &[&[u8]]) -> Result<Vec<Vec<u32>>, VqError> {
            Ok(self.answers(images)?.into_iter().map(|(ids, _)| ids).collect())
        }

        fn working_bytes(&self, _: usize) -> u64 {
            0
        }

        fn features(&self, images: &[&[u8]]) -> Result<Option<Vec<Vec<f32>>>, VqError> {
            Ok(Some(self.answers(images)?.into_iter().map(|(_, features)| features).collect()))
        }
    }

    fn tried(precision: &str, wrong: fn(usize, usize, &mut Vec<u32>, &mut Vec<f32>)) -> Result<Selftest, VqError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo-vq");
        let config = std::fs::read(folder.join("config.json")).expect("reads");
        let config = Config::parse(&folder, &config).expect("a configuration");
        let bytes = std::fs::read(folder.join("model.safetensors")).expect("reads");
        let size = ImageSize::square(64);
        let plan = || read_plan(&config, size, &folder, &bytes).expect("a plan");
        let quantiser = plan().quantiser;
        let (dimension, depth) = (quantiser.dimension(), quantiser.depth());
        let judge = Some(Judge { quantise: quantise::of(quantiser), dimension, depth });
        let reference = Reference { executor: Box::new(CpuExecutor::new(plan())), judge };
        let id = ExecutorId { precision: precision.to_owned(), ..reference.executor.id().clone() };
        let broken = Broken { inner: CpuExecutor::new(plan()), id, wrong };
        selftest(&broken, &reference, size, &Preprocessing::TAMING.recipe(size))
    }

    fn refused(precision: &str, wrong: fn(usize, usize, &mut Vec<u32>, &mut Vec<f32>)) -> Selftest {
        match tried(precision, wrong) {
            Err(VqError::Selftest(report)) => *report,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_reference_agrees_with_itself() {
        let report = tried("f32", |_, _, _, _| {}).expect("agrees");
        assert_eq!((report.images, report.places, report.equal), (5, 5 * 16, 5 * 16));
        assert_eq!((report.worst_margin, report.feature_error, report.depend_on_batch), (Some(0.0), Some(0.0), 0));
    }

    #[test]
    fn one_id_that_no_rounding_explains_is_enough() {
        let report = refused("f16", |index, _, ids, _| ids[3] = if index == 2 { ids[3] ^ 1 } else { ids[3] });
        assert_eq!((report.places - report.equal, report.depend_on_batch), (1, 1));
        assert!(report.worst_margin > Some(0.3), "{report}");
    }

    #[test]
    fn an_id_that_there_isnt_is_infinitely_far() {
        assert_eq!(refused("f16", |_, _, ids, _| ids[0] = 1 << 20).worst_margin, Some(f64::INFINITY));
    }

    #[test]
    fn features_that_are_off_or_no_numbers_are_refused_even_with_the_same_ids() {
        let report = refused("f32", |_, _, _, features| features.iter_mut().for_each(|x| *x *= 1.001));
        assert!(report.equal == report.places && report.feature_error > Some(0.0009), "{report}");
        let report = refused("f16", |_, _, _, features| features[0] = f32::NAN);
        assert!(report.to_string().contains("features are NaN apart"), "{report}");
    }

    #[test]
    fn ids_that_depend_on_the_batch_are_refused() {
        let report = refused("f32", |_, images, ids, _| ids.rotate_left(usize::from(images == 1)));
        assert_eq!((report.equal, report.places), (80, 80));
        assert!(report.depend_on_batch > 0 && report.to_string().contains("doesn't agree with"), "{report}");
    }
}
