//! Folders, and buckets of S3, Google Cloud Storage and Azure, behind the one storage trait that DataFusion reads through.

mod blocking;
mod cloud;
mod create;
mod error;
mod limits;
mod open;
mod pages;
mod probe;
mod random;
mod s3;
mod settings;

pub use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
pub use blocking::{ObjectReader, open_object, read_range};
pub use cloud::CloudStore;
pub use error::StorageError;
pub use open::open;
pub use probe::{PROBE, probe};
pub use s3::S3Store;
pub use settings::Settings;
