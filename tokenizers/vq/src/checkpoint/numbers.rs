//! Stored bytes as numbers, and back.

use half::{bf16, f16};
use safetensors::Dtype;

/// The numbers that the bytes are, in single precision, all of them finite; or what is wrong with them.
pub(super) fn to_f32(dtype: Dtype, data: &[u8]) -> Result<Vec<f32>, String> {
    let numbers: Vec<f32> = match dtype {
        Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        other => return Err(format!("is stored as {other:?}, not as F64, F32, F16 or BF16")),
    };
    let finite = numbers.iter().all(|number| number.is_finite());
    if finite { Ok(numbers) } else { Err("holds a number that isn't finite".to_owned()) }
}

/// The bytes of numbers in another precision, or why they can't be written in it.
pub(super) fn to_bytes(dtype: Dtype, numbers: &[f32]) -> Result<Vec<u8>, String> {
    match dtype {
        Dtype::F32 => Ok(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
        Dtype::BF16 => Ok(numbers.iter().flat_map(|number| bf16::from_f32(*number).to_le_bytes()).collect()),
        Dtype::F16 => {
            if let Some(large) = numbers.iter().find(|number| !f16::from_f32(**number).is_finite()) {
                return Err(format!("holds {large}, which is too large for f16"));
            }
            Ok(numbers.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect())
        }
        other => Err(format!("can't be written as {other:?}")),
    }
}
