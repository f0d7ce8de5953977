//! `object_store`'s clients, with the settings of a job and the credentials of the environment, made anew when these are
//! refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::PaginatedListStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

use super::connection::Cloud;
use crate::error::StorageError;
use crate::settings::Settings;

// What is wrong with credentials is not repeated: a parser's words may hold a piece of them.
const UNREADABLE: &str = "a client can't be made of what the environment says";

/// A client repeats a request with the token that it began with, which lasts five minutes longer at least.
const LONGEST_RETRIES: Duration = Duration::from_secs(200);

/// Clients made less than this ago are not made anew: a refusal is meant then.
const FRESH: Duration = Duration::from_secs(5);

/// What is asked of a bucket's client.
pub trait Client: ObjectStore + PaginatedListStore {}

impl<T: ObjectStore + PaginatedListStore> Client for T {}

/// A bucket's clients, which differ in who repeats what may pass.
pub struct Pair {
    /// Sends a request once, so that its caller repeats it, with credentials as they are by then.
    pub once: Arc<dyn Client>,
    /// Repeats by itself: of an upload a caller can repeat nothing, because each part that is sent gets a number.
    pub patient: Arc<dyn Client>,
    renewed: Option<Instant>,
}

/// The clients in use.
pub struct Clients {
    cloud: Cloud,
    bucket: String,
    settings: Settings,
    current: Mutex<Arc<Pair>>,
}

impl Clients {
    /// Clients with credentials as the environment has them. Asks nobody anything yet.
    pub fn new(cloud: Cloud, bucket: &str, settings: &Settings) -> Result<Self, StorageError> {
        let current = Mutex::new(Arc::new(pair(cloud, bucket, settings, None)?));
        Ok(Self { cloud, bucket: bucket.to_owned(), settings: settings.clone(), current })
    }

    /// The clients in use.
    pub fn current(&self) -> Arc<Pair> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Clients with credentials looked up after those of `refused`; the same ones if they were just looked up, or there are
    /// none any more.
    pub fn after(&self, refused: &Arc<Pair>) -> Arc<Pair> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = current.renewed.is_some_and(|renewed| renewed.elapsed() < FRESH);
        if Arc::ptr_eq(&current, refused)
            && !fresh
            && let Ok(renewed) = pair(self.cloud, &self.bucket, &self.settings, Some(Instant::now()))
        {
            *current = Arc::new(renewed);
        }
        current.clone()
    }
}

fn pair(cloud: Cloud, bucket: &str, settings: &Settings, renewed: Option<Instant>) -> Result<Pair, StorageError> {
    let (once, patient) = (retries(settings, 0), retries(settings, settings.attempts.get() as usize - 1));
    Ok(match cloud {
        Cloud::Google => Pair {
            once: Arc::new(google(bucket, settings, once)?),
            patient: Arc::new(google(bucket, settings, patient)?),
            renewed,
        },
        Cloud::Azure => Pair {
            once: Arc::new(azure(bucket, settings, once)?),
            patient: Arc::new(azure(bucket, settings, patient)?),
            renewed,
        },
    })
}

fn google(bucket: &str, settings: &Settings, retries: RetryConfig) -> Result<GoogleCloudStorage, StorageError> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retries);
    for (key, value) in options(settings) {
        builder = builder.with_config(GoogleConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    builder.build().map_err(|_| StorageError::Address {
        url: format!("gs://{bucket}"),
        problem: UNREADABLE,
        remedy: "have `GOOGLE_SERVICE_ACCOUNT` or `GOOGLE_APPLICATION_CREDENTIALS` name a file of credentials that can be \
                 read, or renew them by `gcloud auth application-default login`",
    })
}

fn azure(container: &str, settings: &Settings, retries: RetryConfig) -> Result<MicrosoftAzure, StorageError> {
    let refused = |problem, remedy| StorageError::Address { url: format!("az://{container}"), problem, remedy };
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retries);
    let emulated = builder.get_config_value(&AzureConfigKey::UseEmulator).is_some_and(|value| value == "true");
    if builder.get_config_value(&AzureConfigKey::AccountName).is_none() && !emulated {
        return Err(refused(
            "no account is named",
            "set `AZURE_STORAGE_ACCOUNT_NAME` to the container's storage account",
        ));
    }
    for (key, value) in options(settings) {
        builder = builder.with_config(AzureConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let remedy = "correct `AZURE_STORAGE_ACCOUNT_KEY` (base64, as Azure shows it), `AZURE_STORAGE_SAS_TOKEN` and other \
                  `AZURE_` variables";
    builder.build().map_err(|_| refused(UNREADABLE, remedy))
}

fn retries(settings: &Settings, max_retries: usize) -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: settings.pause_after(1), max_backoff: Settings::LONGEST_PAUSE, base: 2.0 };
    RetryConfig { backoff, max_retries, retry_timeout: LONGEST_RETRIES }
}

/// Laid over what the environment says of clients, such as a proxy.
fn options(settings: &Settings) -> Vec<(ClientConfigKey, String)> {
    let mut options = vec![
        (ClientConfigKey::ConnectTimeout, format!("{}s", settings.connect_timeout_seconds)),
        (ClientConfigKey::Timeout, format!("{}s", settings.request_timeout_seconds)),
    ];
    if settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")) {
        options.push((ClientConfigKey::AllowHttp, "true".to_owned()));
    }
    options
}
