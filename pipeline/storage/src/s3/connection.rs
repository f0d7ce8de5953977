//! One bucket's client, limits and settings, and how a request is made with them.

use std::error::Error;
use std::future::Future;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use object_store::path::Path;

use super::client::Clients;
use super::failure::{Failure, Request};
use crate::error::StorageError;
use crate::limits::Limits;
use crate::settings::Settings;

/// What all requests to a bucket share.
pub struct Connection {
    pub bucket: String,
    pub settings: Settings,
    pub limits: Limits,
    clients: Clients,
}

impl Connection {
    /// Checks the settings; asks nobody anything.
    pub fn new(
        bucket: &str,
        settings: &Settings,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self, StorageError> {
        settings.check()?;
        Ok(Self {
            bucket: bucket.to_owned(),
            settings: settings.clone(),
            limits: Limits::new(settings),
            clients: Clients::new(settings, credentials),
        })
    }

    /// The words for a request to an object or a folder.
    pub fn request(&self, verb: &'static str, permission: &'static str, location: &Path) -> Request {
        Request { verb, permission, url: format!("s3://{}/{location}", self.bucket) }
    }

    /// Makes a request in its turn. The SDK repeats what may pass; here, refused credentials are looked up again, once,
    /// and what arrived damaged is sent again.
    pub async fn call<T, E, F>(&self, request: &Request, send: impl Fn(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let _turn = self.limits.turn().await;
        let mut loaded = self.clients.current().await;
        let (mut attempt, mut renewed) = (1, false);
        loop {
            let failure = match send(loaded.client.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => Failure::new(request, self.settings.endpoint.as_deref(), &error),
            };
            if failure.is_refusal() && !renewed {
                (loaded, renewed) = (self.clients.after(&loaded).await, true);
            } else if failure.is_damaged() && self.settings.pause(attempt).await {
                attempt += 1;
            } else {
                return Err(failure);
            }
        }
    }
}
