//! `object_store`'s clients, with the settings of a job and the credentials of the environment.

use std::time::Duration;

use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};

use crate::error::StorageError;
use crate::settings::Settings;

// What is wrong with credentials is not repeated: a parser's words may hold a piece of them.
const UNREADABLE: &str = "a client can't be made of what the environment says";

/// A client for a bucket of Google's.
pub fn google(bucket: &str, settings: &Settings) -> Result<GoogleCloudStorage, StorageError> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retries(settings));
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

/// A client for a container of Azure's.
pub fn azure(container: &str, settings: &Settings) -> Result<MicrosoftAzure, StorageError> {
    let refused = |problem, remedy| StorageError::Address { url: format!("az://{container}"), problem, remedy };
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retries(settings));
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

fn retries(settings: &Settings) -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: settings.pause_after(1), max_backoff: Settings::LONGEST_PAUSE, base: 2.0 };
    let attempts = settings.attempts.get();
    let each = seconds(settings.request_timeout_seconds) + Settings::LONGEST_PAUSE;
    RetryConfig { backoff, max_retries: attempts as usize - 1, retry_timeout: each.saturating_mul(attempts) }
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

fn seconds(seconds: std::num::NonZeroU32) -> Duration {
    Duration::from_secs(seconds.get().into())
}
