//! What is done to an image before a tokenizer sees it, as plain data.

use serde::{Deserialize, Serialize};

use super::picture::Size;

/// The whole way from a file's pixels to a model's, but for the range of the numbers.
///
/// `recipes` has those that published tokenizers were trained behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Whether the image is turned as its camera noted.
    pub orientation: Orientation,
    /// What becomes of transparency.
    pub alpha: Alpha,
    /// The size that the whole image is brought to.
    pub resize: Resize,
    /// How pixels of that size are made.
    pub sampling: Sampling,
    /// What is cut out afterwards.
    pub crop: Crop,
}

impl Preprocessing {
    /// Names this recipe: equal for equal recipes alone, and another one once the pixels of a recipe change.
    pub fn fingerprint(&self) -> String {
        // Serializing plain enums and numbers can't fail.
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        format!("pixels-{VERSION}-{}", &blake3::hash(&canonical).to_hex()[..32])
    }
}

/// Goes up whenever any recipe gives other pixels than before.
const VERSION: u32 = 2;

/// What a camera noted about how it was held (Exif tag 0x0112).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// The pixels are taken as they are stored, as `PIL.Image.open` does.
    Ignored,
    /// They are turned and mirrored first, as `PIL.ImageOps.exif_transpose` does.
    Applied,
}

/// What becomes of transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alpha {
    /// Colours show as they are stored, as Pillow's `convert("RGB")` does.
    Dropped,
    /// Colours are laid on white, and fractions cut off (facebookresearch/chameleon,
    /// `chameleon/inference/image_tokenizer.py`).
    OnWhite,
}

/// The size that the whole image is brought to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Its own.
    Keep,
    /// One side is brought to a length, the other in proportion.
    ShortSide {
        /// Of the shorter side, in pixels.
        to: u32,
        /// How the longer side's length becomes whole.
        rounding: Rounding,
        /// Whether smaller images are enlarged. If not, they keep their size.
        enlarge: bool,
    },
    /// Both sides are brought to a length, in whatever proportion.
    Stretch {
        /// In pixels.
        to: Size,
    },
    /// Each side is brought to the next multiple of a length, within bounds for all pixels (baaivision/Emu3,
    /// `smart_resize`).
    Multiples {
        /// In pixels.
        of: u32,
        /// Smaller images are enlarged to at least this many pixels.
        min_pixels: u64,
        /// Larger images are reduced to at most this many pixels.
        max_pixels: u64,
        /// An image more than this many times as long as wide, or wide as long, is refused.
        max_aspect: u32,
    },
    /// The image is brought to cover that one of several sizes which it fits best (Alpha-VLLM/Lumina-mGPT,
    /// `var_center_crop`).
    BestOf {
        /// At least one.
        sizes: Vec<Size>,
    },
}

/// How a length becomes a whole number of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest, and to the even one of two, as Python's `round`.
    Nearest,
    /// Cut off, as Python's `int` and `//`.
    Down,
}

/// How pixels of another size are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Pillow's `BOX`.
    Box,
    /// Pillow's `BILINEAR`, which is torchvision's as well for such images.
    Bilinear,
    /// Pillow's `BICUBIC`.
    Bicubic,
    /// Pillow's `LANCZOS`.
    Lanczos,
    /// Halved by Pillow's `BOX` while both sides stay long enough, then `BICUBIC` (openai/guided-diffusion,
    /// `center_crop_arr`).
    HalvedThenBicubic,
    /// OpenCV's `INTER_LINEAR`, which albumentations uses: when reducing, pixels between are left out.
    OpencvBilinear,
}

/// What is cut out of the resized image. Without a `size` of its own, it is what the resizing aimed at: a square of
/// the short side, the size stretched to, or the best of the sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crop {
    /// Nothing: all of it is kept.
    Whole,
    /// The middle.
    Center {
        /// In pixels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<Size>,
        /// Which half of an odd rest goes left and above.
        rounding: Rounding,
    },
    /// A place that the caller draws.
    Random {
        /// In pixels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<Size>,
    },
    /// Corners (upper ones first, left ones first) and middle of what a `center` crop, rounded down, would be, then
    /// those of its mirror image, as torchvision's `TenCrop`.
    Ten {
        /// In pixels.
        size: Size,
    },
}

/// Where a random crop lies, drawn by the caller for each image. Other crops don't look at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// From 0 (left) to below 1 (right).
    pub x: f64,
    /// From 0 (top) to below 1 (bottom).
    pub y: f64,
}
