//! What a job or a command line says of an executor.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{EXECUTORS, Registered};
use crate::error::VqError;

/// Which executor encodes, and how.
///
/// Settings have a text, `cpu`, `onnxruntime`, `onnxruntime:cuda` or `onnxruntime:cuda:f16`, or a table of these fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, transform = or_text)]
pub struct ExecutorSettings {
    /// `cpu`, or `onnxruntime`, which needs that library and takes models in ONNX too.
    #[schemars(example = "cpu".to_owned())]
    pub name: String,
    /// What it runs on.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(default)]
    pub device: Device,
    /// The number format of its arithmetic; what becomes ids is always in single precision.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(default)]
    pub precision: Arithmetic,
    /// Images that run together, a last few beside empty ones; 1 on the CPU and 32 elsewhere if it isn't given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<NonZeroU32>,
    /// Threads of the CPU for one call; all of them if it isn't given. The executor `cpu` leaves threads to its callers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<NonZeroU32>,
    /// ONNX Runtime's library; what `ORT_DYLIB_PATH` names, or what the system finds, if it isn't given. A process loads one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<PathBuf>,
}

/// The schema of a table, and of the text that may stand for it.
fn or_text(schema: &mut Schema) {
    let mut table = std::mem::take(schema);
    let about = table.remove("description");
    *schema = json_schema!({
        "description": about,
        "anyOf": [
            { "type": "string", "description": "Its name, with what it runs on and the number format behind colons." },
            table,
        ],
    });
}

/// What does the arithmetic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU, by ONNX Runtime's provider for CUDA; `CUDA_VISIBLE_DEVICES` says which.
    Cuda,
    /// A GPU, by ONNX Runtime's provider for TensorRT, and the one for CUDA where that can't.
    Tensorrt,
}

/// A number format of arithmetic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, of which 10 are the fraction's; the last projection and the quantiser stay in single precision.
    F16,
}

impl Default for ExecutorSettings {
    /// The executor `cpu`.
    fn default() -> Self {
        Self::named("cpu")
    }
}

impl ExecutorSettings {
    fn named(name: &str) -> Self {
        let (device, precision) = (Device::default(), Arithmetic::default());
        Self { name: name.to_owned(), device, precision, batch: None, threads: None, library: None }
    }

    /// The executor that is meant, or which there are.
    pub(crate) fn registered(&self) -> Result<&'static Registered, VqError> {
        EXECUTORS.iter().find(|executor| executor.name == self.name).ok_or_else(|| {
            let known: Vec<&str> = EXECUTORS.iter().map(|executor| executor.name).collect();
            self.refused(format!("this build has no such executor: it can be {}", known.join(", ")))
        })
    }

    pub(crate) fn refused(&self, reason: impl fmt::Display) -> VqError {
        VqError::Executor { executor: self.to_string(), reason: reason.to_string() }
    }
}

impl fmt::Display for ExecutorSettings {
    /// The text that means it, without its numbers and paths.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if !is_default(&self.device) || !is_default(&self.precision) {
            write!(f, ":{}", self.device.name())?;
        }
        if is_default(&self.precision) { Ok(()) } else { write!(f, ":{}", self.precision.name()) }
    }
}

impl FromStr for ExecutorSettings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let mut settings = Self::named(parts.next().unwrap_or_default());
        if let Some(device) = parts.next() {
            settings.device = one_of(device, [Device::Cpu, Device::Cuda, Device::Tensorrt], Device::name)?;
        }
        if let Some(precision) = parts.next() {
            settings.precision = one_of(precision, [Arithmetic::F32, Arithmetic::F16], Arithmetic::name)?;
        }
        let known = EXECUTORS.iter().any(|executor| executor.name == settings.name);
        match parts.next() {
            None if known || settings.name == "onnxruntime" => Ok(settings),
            _ => Err(format!("`{text}` is no executor: write `cpu`, `onnxruntime`, or as `onnxruntime:cuda:f16`")),
        }
    }
}

fn one_of<T: Copy, const N: usize>(text: &str, known: [T; N], name: fn(T) -> &'static str) -> Result<T, String> {
    let names = known.map(name);
    let found = known.into_iter().find(|known| name(*known) == text);
    found.ok_or_else(|| format!("`{text}` can be {}", names.join(", ")))
}

impl Device {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
        }
    }
}

impl Arithmetic {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<'de> Deserialize<'de> for ExecutorSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// A text or a table.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = ExecutorSettings;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an executor, as `cpu`, `onnxruntime:cuda` or `{ name = \"onnxruntime\", threads = 4 }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ExecutorSettings, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExecutorSettings, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            name: String,
            #[serde(default)]
            device: Device,
            #[serde(default)]
            precision: Arithmetic,
            batch: Option<NonZeroU32>,
            threads: Option<NonZeroU32>,
            library: Option<PathBuf>,
        }
        let Table { name, device, precision, batch, threads, library } =
            Table::deserialize(MapAccessDeserializer::new(map))?;
        let named: ExecutorSettings = name.parse().map_err(de::Error::custom)?;
        if named != ExecutorSettings::named(&named.name) {
            return Err(de::Error::custom(
                "`name` of a table is a name alone; `device` and `precision` stand beside it",
            ));
        }
        Ok(ExecutorSettings { device, precision, batch, threads, library, ..named })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ExecutorSettings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_text_and_a_table_mean_the_same() {
        let table = r#"{"name": "onnxruntime", "device": "cuda", "precision": "f16"}"#;
        assert_eq!(read(r#""onnxruntime:cuda:f16""#), read(table));
        assert_eq!(read(r#""cpu""#), Ok(ExecutorSettings::default()));
        let written = serde_json::to_string(&read(table).expect("reads")).expect("writes");
        assert_eq!(written, table.replace(": ", ":").replace(", ", ","));
    }

    #[test]
    fn what_is_no_executor_is_named() {
        for (text, said) in [
            (r#""gpu""#, "`gpu` is no executor"),
            (r#""onnxruntime:rocm""#, "`rocm` can be cpu, cuda, tensorrt"),
            (r#""onnxruntime:cpu:f64""#, "`f64` can be f32, f16"),
            (r#"{"name": "onnxruntime", "treads": 3}"#, "unknown field `treads`"),
            (r#"{"name": "onnxruntime:cuda"}"#, "a name alone"),
            ("3", "an executor, as `cpu`"),
        ] {
            let error = read(text).expect_err("refused");
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
