//! Decodes JPEG files to the bytes that libjpeg-turbo makes, which Pillow uses: accurate integer transform, fancy
//! upsampling, fixed-point colours (ITU-T T.81; libjpeg-turbo's `jidctint.c`, `jdsample.c`, `jdcolor.c`).

mod bits;
mod coefficients;
mod colour;
mod frame;
mod head;
mod paint;
mod refine;
mod scan;
mod segments;
mod standard_tables;
mod transform;
mod upsample;

pub(super) use head::head;
pub(super) use paint::Sink;
pub(super) use segments::decode;
