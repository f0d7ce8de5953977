//! The SDK's client as settings want it, made anew when its credentials are refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use tokio::sync::Mutex;

use crate::settings::Settings;

/// The region of servers that have none.
const ANY_REGION: &str = "us-east-1";

/// Credentials looked up again less than this ago are not looked up again: a refusal is meant then.
const FRESH: Duration = Duration::from_secs(5);

/// The client in use, loaded when it is first needed.
pub struct Clients {
    settings: Settings,
    credentials: Option<SharedCredentialsProvider>,
    http: SharedHttpClient,
    current: Mutex<Option<Arc<Loaded>>>,
}

/// HTTP and HTTPS, through the proxy that the environment names, if it does.
fn http() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let tls = Provider::Rustls(CryptoMode::Ring);
        let mut connector = Connector::builder().tls_provider(tls).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// A client, and when it took the place of one whose credentials were refused.
pub struct Loaded {
    pub client: Client,
    renewed: Option<Instant>,
}

impl Loaded {
    fn is_fresh(&self) -> bool {
        self.renewed.is_some_and(|renewed| renewed.elapsed() < FRESH)
    }
}

impl Clients {
    /// Clients share one pool of connections.
    pub fn new(settings: &Settings, credentials: Option<SharedCredentialsProvider>) -> Self {
        Self { settings: settings.clone(), credentials, http: http(), current: Mutex::new(None) }
    }

    /// The client in use.
    pub async fn current(&self) -> Arc<Loaded> {
        let mut current = self.current.lock().await;
        match current.as_ref() {
            Some(loaded) => loaded.clone(),
            None => current.insert(self.load(None).await).clone(),
        }
    }

    /// A client with credentials looked up after those of `refused`; the same one if they were just looked up.
    pub async fn after(&self, refused: &Arc<Loaded>) -> Arc<Loaded> {
        let mut current = self.current.lock().await;
        match current.as_ref() {
            Some(loaded) if !Arc::ptr_eq(loaded, refused) || loaded.is_fresh() => loaded.clone(),
            _ => current.insert(self.load(Some(Instant::now())).await).clone(),
        }
    }

    async fn load(&self, renewed: Option<Instant>) -> Arc<Loaded> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .retry_config(self.retries())
            .timeout_config(self.timeouts())
            // Bodies have timeouts of our own, which end in reading on instead of an error.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .region(self.region());
        if let Some(profile) = &self.settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        if let Some(endpoint) = &self.settings.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let config = aws_sdk_s3::config::Builder::from(&loader.load().await);
        let path_style = self.settings.path_style.unwrap_or(self.settings.endpoint.is_some());
        // The SDK's bucket of retries would be empty early in a storm of refusals, and units would fail that only had to
        // wait; `attempts` bounds each request anyway.
        let retries = RetryPartition::custom("pageloom").token_bucket(TokenBucket::unlimited()).build();
        let config = config.force_path_style(path_style).retry_partition(retries);
        let client = Client::from_conf(config.build());
        Arc::new(Loaded { client, renewed })
    }

    fn region(&self) -> RegionProviderChain {
        match (&self.settings.region, &self.settings.endpoint) {
            (Some(region), _) => RegionProviderChain::first_try(Region::new(region.clone())),
            // The metadata service is not asked: where there is none, it takes seconds to find out.
            (None, Some(_)) => RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(Region::new(ANY_REGION)),
            (None, None) => RegionProviderChain::default_provider(),
        }
    }

    fn retries(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.settings.attempts.get())
            .with_initial_backoff(Duration::from_millis(self.settings.pause_milliseconds.into()))
            .with_max_backoff(Settings::LONGEST_PAUSE)
    }

    fn timeouts(&self) -> TimeoutConfig {
        let seconds = |seconds: std::num::NonZeroU32| Duration::from_secs(seconds.get().into());
        TimeoutConfig::builder()
            .connect_timeout(seconds(self.settings.connect_timeout_seconds))
            .operation_attempt_timeout(seconds(self.settings.request_timeout_seconds))
            .build()
    }
}
