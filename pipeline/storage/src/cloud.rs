//! Google Cloud Storage and Azure Blob Storage, through `object_store`'s own clients.

use std::sync::Arc;
use std::time::Duration;

use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::limit::LimitStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use crate::error::StorageError;
use crate::open::address;
use crate::settings::Settings;

/// The bucket of `gs://bucket/prefix`. Credentials come from where Google's tools find them: `GOOGLE_SERVICE_ACCOUNT`,
/// application default credentials, the machine's metadata.
pub fn google(url: &Url, settings: &Settings) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let bucket = named(url, settings, "write `gs://bucket/prefix`")?;
    let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    let builder = builder.with_retry(retries(settings)).with_client_options(client(settings));
    let builder = match &settings.endpoint {
        Some(endpoint) => builder.with_base_url(endpoint),
        None => builder,
    };
    Ok(limited(builder.build()?, settings))
}

/// The container of `az://container/prefix`, of the account that `AZURE_STORAGE_ACCOUNT_NAME` names. Credentials come from
/// the variables of Azure's tools: `AZURE_STORAGE_ACCOUNT_KEY`, those of a client or of a workload's identity, or the
/// machine's metadata.
pub fn azure(url: &Url, settings: &Settings) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let container = named(url, settings, "write `az://container/prefix`")?;
    let builder = MicrosoftAzureBuilder::from_env().with_container_name(container);
    let builder = builder.with_retry(retries(settings)).with_client_options(client(settings));
    let builder = match &settings.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.clone()),
        None => builder,
    };
    Ok(limited(builder.build()?, settings))
}

fn named<'a>(url: &'a Url, settings: &Settings, remedy: &'static str) -> Result<&'a str, StorageError> {
    settings.check()?;
    if settings.bandwidth_bytes_per_second.is_some() {
        let remedy = "take it out, or lower `max_concurrency`";
        return Err(address(url, "`bandwidth_bytes_per_second` is kept to by S3 alone", remedy));
    }
    url.host_str().filter(|name| !name.is_empty()).ok_or_else(|| address(url, "it names no bucket", remedy))
}

fn limited(store: impl ObjectStore, settings: &Settings) -> Arc<dyn ObjectStore> {
    Arc::new(LimitStore::new(store, settings.max_concurrency.get()))
}

fn retries(settings: &Settings) -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: settings.pause_after(1),
        max_backoff: Settings::LONGEST_PAUSE,
        base: 2.0,
    };
    let attempts = settings.attempts.get();
    let each = Duration::from_secs(settings.request_timeout_seconds.get().into()) + Settings::LONGEST_PAUSE;
    RetryConfig { backoff, max_retries: attempts as usize - 1, retry_timeout: each.saturating_mul(attempts) }
}

fn client(settings: &Settings) -> ClientOptions {
    let seconds = |seconds: std::num::NonZeroU32| Duration::from_secs(seconds.get().into());
    let plain = settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(seconds(settings.connect_timeout_seconds))
        .with_timeout(seconds(settings.request_timeout_seconds))
}
