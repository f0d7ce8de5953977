//! Opens ONNX Runtime's library, and makes sessions of models.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{CUDA, ExecutionProviderDispatch, TensorRT};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use crate::error::VqError;
use crate::executor::{Arithmetic, Device, ExecutorId, ExecutorSettings};

/// The library of this process: ONNX Runtime allows one, for as long as the process lives.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// ONNX Runtime's library, opened.
#[derive(Debug, Clone)]
pub(super) struct Runtime {
    environment: Environment,
    path: PathBuf,
    version: String,
}

impl Runtime {
    /// The library that settings mean.
    pub fn open(settings: &ExecutorSettings) -> Result<Self, VqError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let path = library(settings);
        if let Some(runtime) = loaded.as_ref() {
            if runtime.path == path {
                return Ok(runtime.clone());
            }
            let other = format!("{} is open already, and a process can open one", runtime.path.display());
            return Err(settings.refused(other));
        }
        let builder = ort::init_from(&path).map_err(|error| {
            settings.refused(format!("{error}; name ONNX Runtime's library by `library` or ORT_DYLIB_PATH"))
        })?;
        let environment = builder.with_name("pageloom").with_telemetry(false).build();
        let environment = environment.map_err(|error| settings.refused(error))?;
        let version = version(&path);
        Ok(loaded.insert(Self { environment, path, version }).clone())
    }

    /// What is recorded of a session with these settings.
    pub fn id(&self, settings: &ExecutorSettings, precision: &str) -> ExecutorId {
        let [name, device, precision] = [&*settings.name, settings.device.name(), precision].map(str::to_owned);
        ExecutorId { name, version: self.version.clone(), device, precision }
    }

    /// A session of a model's bytes. It is an error if the device isn't there.
    pub fn session(&self, model: &[u8], settings: &ExecutorSettings) -> Result<Session, VqError> {
        let builder = || -> ort::Result<SessionBuilder> {
            let threads = settings.threads.map_or(0, |threads| threads.get() as usize);
            // Threads that spin between images would take the processor from those that decode.
            let builder = Session::builder(&self.environment)?
                .with_log_level(LogLevel::Error)?
                .with_intra_threads(threads)?
                .with_intra_op_spinning(false)?
                .with_deterministic_compute(true)?
                .with_execution_providers(providers(settings))?;
            Ok(builder)
        };
        let session = builder().and_then(|mut builder| builder.commit_from_memory(model));
        session.map_err(|error| settings.refused(error))
    }
}

/// What offers a device, best first. Nothing for the processor, which is always there.
fn providers(settings: &ExecutorSettings) -> Vec<ExecutionProviderDispatch> {
    let half = settings.precision == Arithmetic::F16;
    // Convolutions chosen by rule and not by clock, so that the next process chooses the same; and no 19-bit numbers in
    // what is called single precision.
    let cuda = || CUDA::default().with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic).with_tf32(false).build();
    let providers = match settings.device {
        Device::Cpu => Vec::new(),
        Device::Cuda => vec![cuda()],
        Device::Tensorrt => vec![TensorRT::default().with_fp16(half).build(), cuda()],
    };
    providers.into_iter().map(ExecutionProviderDispatch::error_on_failure).collect()
}

/// What `library` says, what the environment says, or the name by which the system knows it.
fn library(settings: &ExecutorSettings) -> PathBuf {
    let named = || std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let by_name =
        || OsString::from(format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX));
    settings.library.clone().unwrap_or_else(|| named().unwrap_or_else(by_name).into())
}

/// The version that the file's name ends with, if it does, and the commit that the library was built from.
fn version(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number: String =
        name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(|c| *c == '.' || c.is_ascii_digit()).collect();
    let built = ort::info().split([' ', ',']).find_map(|part| part.strip_prefix("git-commit-id=")).unwrap_or("unknown");
    match number.trim_end_matches('.') {
        "" => built.to_owned(),
        number => format!("{number}+{built}"),
    }
}
