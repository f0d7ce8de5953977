//! Rejects images by their format, size and shape, before they are decoded.

use std::sync::Arc;

use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use pageloom_vq::pixels::header;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// The defaults are OBELICS' (arXiv 2306.16527, its `config_filter_web_documents.yaml`), which sees an image's original size
/// here; sizes in bytes are limited by nobody. Stands behind `fetch_image`; what becomes of an image's tag is said by
/// `failed_image` of `interleave`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// An image in another format than these is rejected as `image_format`: `jpeg`, `png`, `gif`, `webp`, `avif`, `bmp`,
    /// `tiff`, `svg`. The first bytes tell, not the name.
    pub formats: Vec<String>,
    /// An image with a side of fewer pixels than this is rejected as `image_too_small`.
    pub min_side: u32,
    /// An image with a side of more pixels than this is rejected as `image_too_large`.
    pub max_side: u32,
    /// An image whose long side is more than this many times its short side is rejected as `image_too_long`.
    pub max_aspect_ratio: f64,
    /// An image file with fewer bytes than this is rejected as `image_too_few_bytes`.
    pub min_bytes: u64,
    /// An image file with more bytes than this is rejected as `image_too_many_bytes`; without it, none is.
    pub max_bytes: Option<u64>,
}

const FORMATS: [&str; 8] = ["jpeg", "png", "gif", "webp", "avif", "bmp", "tiff", "svg"];

impl Default for Settings {
    fn default() -> Self {
        let formats = ["jpeg", "png", "webp"].map(str::to_owned).into();
        Self { formats, min_side: 150, max_side: 20_000, max_aspect_ratio: 2.0, min_bytes: 0, max_bytes: None }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self { min_bytes: 100, max_bytes: Some(10 << 20), ..Self::default() }
    }

    fn columns(&self) -> Columns {
        Columns::reads([columns::key().field(), columns::url().field(), columns::bytes().field()])
    }

    fn check(&self) -> Vec<String> {
        let unknown = self.formats.iter().filter(|format| !FORMATS.contains(&format.as_str()));
        let mut wrong: Vec<String> =
            unknown.map(|format| format!("`{format}` is none of the formats {}", FORMATS.join(", "))).collect();
        let none = |why: String| format!("{why}, so every image would be rejected");
        if self.formats.is_empty() {
            wrong.push(none("`formats` is empty".to_owned()));
        }
        if self.min_side > self.max_side {
            wrong.push(none(format!("`min_side` is {}, above `max_side` of {}", self.min_side, self.max_side)));
        }
        if let Some(most) = self.max_bytes.filter(|most| *most < self.min_bytes) {
            wrong.push(none(format!("`min_bytes` is {}, above `max_bytes` of {most}", self.min_bytes)));
        }
        if self.max_aspect_ratio.is_nan() || self.max_aspect_ratio < 1.0 {
            wrong.push(none(format!("`max_aspect_ratio` is {}, below that of a square", self.max_aspect_ratio)));
        }
        wrong
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Step for Settings {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let bytes = columns::bytes();
        let outcomes = bytes.of(&batch)?.iter().flatten().map(|bytes| self.judge(bytes)).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

impl Settings {
    fn judge(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let size = bytes.len() as u64;
        // A file of no bytes is broken rather than small.
        if size > 0 && size < self.min_bytes {
            return Err(Refusal::new("image_too_few_bytes", format!("{size} bytes")));
        }
        if self.max_bytes.is_some_and(|most| size > most) {
            return Err(Refusal::new("image_too_many_bytes", format!("{size} bytes")));
        }
        let header = header(bytes).map_err(|error| Refusal::new(error.reason(), error.to_string()))?;
        if !self.formats.iter().any(|format| format == header.format) {
            return Err(Refusal::new("image_format", header.format));
        }
        let (short, long) = (header.width.min(header.height), header.width.max(header.height));
        let detail = || format!("{} x {} pixels", header.width, header.height);
        if short < self.min_side {
            return Err(Refusal::new("image_too_small", detail()));
        }
        if long > self.max_side {
            return Err(Refusal::new("image_too_large", detail()));
        }
        if f64::from(long) > self.max_aspect_ratio * f64::from(short) {
            return Err(Refusal::new("image_too_long", detail()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bitmap's header: what is read of it.
    fn bitmap(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend([1, 0, 24, 0]);
        bytes.extend([0; 24]);
        bytes
    }

    fn check(settings: &Settings, bytes: &[u8], expected: Option<&str>) {
        assert_eq!(settings.judge(bytes).err().map(|refusal| refusal.reason), expected);
    }

    #[test]
    fn a_limit_is_itself_kept() {
        let settings = Settings { formats: vec!["bmp".to_owned()], ..Settings::default() };
        check(&settings, &bitmap(150, 300), None);
        check(&settings, &bitmap(20_000, 10_000), None);
        check(&settings, &bitmap(149, 200), Some("image_too_small"));
        check(&settings, &bitmap(20_001, 20_000), Some("image_too_large"));
        check(&settings, &bitmap(150, 301), Some("image_too_long"));
    }

    #[test]
    fn a_format_that_is_not_wanted_is_rejected() {
        check(&Settings::default(), &bitmap(200, 200), Some("image_format"));
    }

    #[test]
    fn a_file_is_measured_before_it_is_looked_at() {
        let settings = Settings { min_bytes: 10, max_bytes: Some(20), ..Settings::default() };
        check(&settings, b"nine", Some("image_too_few_bytes"));
        check(&settings, &bitmap(200, 200), Some("image_too_many_bytes"));
    }

    #[test]
    fn what_is_no_image_has_the_reason_that_decoding_gives() {
        check(&Settings::default(), b"", Some("image_empty"));
        check(&Settings::default(), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Some("image_unsupported_format"));
    }

    #[test]
    fn what_no_image_can_fulfil_is_refused() {
        let settings = Settings {
            formats: vec!["jpg".to_owned()],
            min_side: 3,
            max_side: 2,
            max_aspect_ratio: 0.5,
            min_bytes: 3,
            max_bytes: Some(2),
        };
        assert_eq!(settings.check().len(), 4);
    }
}
