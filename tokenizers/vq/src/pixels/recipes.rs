//! The recipes that published tokenizers were trained or are run behind.

use super::picture::Size;
use super::recipe::{Alpha, Crop, Orientation, Preprocessing, Resize, Rounding, Sampling};

/// CompVis/taming-transformers, `taming/data/base.py`; TencentARC/SEED-Voken's IBQ has the same.
pub fn taming(size: u32) -> Preprocessing {
    short_side(size, Rounding::Nearest, Sampling::OpencvBilinear, Rounding::Down)
}

/// FoundationVision/LlamaGen, `dataset/augmentation.py`, and D-AR, which has the same.
pub fn llamagen(size: u32) -> Preprocessing {
    short_side(size, Rounding::Nearest, Sampling::HalvedThenBicubic, Rounding::Down)
}

/// FoundationVision/LlamaGen, `autoregressive/train/extract_codes_c2i.py`: ten crops out of a square of `range_permille`
/// (1050 or 1100 there) thousandths of their side.
pub fn llamagen_ten(size: u32, range_permille: u32) -> Preprocessing {
    let wide = (u64::from(size) * u64::from(range_permille) / 1000) as u32;
    let crop = Crop::Ten { size: Size::square(size) };
    Preprocessing { crop, ..llamagen(wide) }
}

/// facebookresearch/chameleon, `chameleon/inference/image_tokenizer.py`: 512 there. Anole and Liquid have the same.
pub fn chameleon(size: u32) -> Preprocessing {
    let recipe = short_side(size, Rounding::Nearest, Sampling::Lanczos, Rounding::Down);
    Preprocessing { alpha: Alpha::OnWhite, ..recipe }
}

/// huggingface/transformers, `ChameleonImageProcessor`, whose longer side is cut off and not rounded.
pub fn transformers_chameleon(size: u32) -> Preprocessing {
    let recipe = short_side(size, Rounding::Down, Sampling::Lanczos, Rounding::Down);
    Preprocessing { alpha: Alpha::OnWhite, ..recipe }
}

/// torchvision's `Resize` and `CenterCrop` of Pillow images, by default bilinear: TencentARC/SEED-Voken's
/// Open-MAGVIT2 (`src/Open_MAGVIT2/data/base.py`) and kakaobrain/rq-vae-transformer (`rqvae/img_datasets/transforms.py`).
pub fn torchvision(size: u32) -> Preprocessing {
    short_side(size, Rounding::Down, Sampling::Bilinear, Rounding::Nearest)
}

/// huggingface/diffusers, `examples/amused/train_amused.py`, in its middle instead of at a place drawn.
pub fn amused(size: u32) -> Preprocessing {
    Preprocessing { orientation: Orientation::Applied, ..torchvision(size) }
}

/// openai/DALL-E, `notebooks/usage.ipynb`: 256 there.
pub fn dall_e(size: u32) -> Preprocessing {
    short_side(size, Rounding::Nearest, Sampling::Lanczos, Rounding::Nearest)
}

/// baaivision/Emu3, `Emu3VisionVQImageProcessor` with its defaults: sizes differ from image to image.
pub fn emu3() -> Preprocessing {
    let resize = Resize::Multiples { of: 8, min_pixels: 512 * 512, max_pixels: 1024 * 1024, max_aspect: 5 };
    let (orientation, alpha) = (Orientation::Ignored, Alpha::Dropped);
    Preprocessing { orientation, alpha, resize, sampling: Sampling::Bicubic, crop: Crop::Whole }
}

/// Alpha-VLLM/Lumina-mGPT, `var_center_crop`, which draws where it cuts: sizes of at most as many patches of 32 pixels
/// as a square of `size` has, at most 4 times as long as wide.
pub fn lumina(size: u32) -> Preprocessing {
    let sizes = patch_sizes((size / 32).pow(2), 32, 4);
    let (orientation, alpha) = (Orientation::Ignored, Alpha::Dropped);
    let (resize, sampling) = (Resize::BestOf { sizes }, Sampling::HalvedThenBicubic);
    Preprocessing { orientation, alpha, resize, sampling, crop: Crop::Random { size: None } }
}

/// The CM3 paper (2201.07520, 3.2): the short side resized, then a square drawn. What shows through is white.
pub fn cm3(size: u32, crop: Crop) -> Preprocessing {
    let recipe = short_side(size, Rounding::Nearest, Sampling::Bicubic, Rounding::Down);
    Preprocessing { alpha: Alpha::OnWhite, crop, ..recipe }
}

fn short_side(to: u32, rounding: Rounding, sampling: Sampling, crop_rounding: Rounding) -> Preprocessing {
    Preprocessing {
        orientation: Orientation::Ignored,
        alpha: Alpha::Dropped,
        resize: Resize::ShortSide { to, rounding, enlarge: true },
        sampling,
        crop: Crop::Center { size: None, rounding: crop_rounding },
    }
}

/// From the widest to the narrowest.
fn patch_sizes(patches: u32, side: u32, max_aspect: u32) -> Vec<Size> {
    let (mut wide, mut high, mut sizes) = (patches, 1, Vec::new());
    while wide > 0 {
        if wide.max(high) <= max_aspect * wide.min(high) {
            sizes.push(Size { width: wide * side, height: high * side });
        }
        if (high + 1) * wide <= patches { high += 1 } else { wide -= 1 }
    }
    sizes
}
