//! What all requests to a bucket share, and its errors in words that name a remedy and hold no secret.

use std::error::Error as _;
use std::future::Future;
use std::sync::Arc;

use object_store::{CopyMode, CopyOptions, Error, Result};

use super::clients::{Client, Clients};
use crate::error::{StorageError, causes, unusable_key};
use crate::limits::Limits;
use crate::settings::Settings;

/// Whose bucket it is.
#[derive(Clone, Copy)]
pub enum Cloud {
    Google,
    Azure,
}

impl Cloud {
    /// `object_store` 0.13 asks Google to create where it should overwrite, and to overwrite where it should create.
    pub fn as_client_takes(self, options: CopyOptions) -> CopyOptions {
        let mode = match (self, options.mode) {
            (Self::Azure, mode) => mode,
            (Self::Google, CopyMode::Overwrite) => CopyMode::Create,
            (Self::Google, CopyMode::Create) => CopyMode::Overwrite,
        };
        CopyOptions { mode, ..options }
    }

    /// What helps where credentials are missing or refused.
    fn credentials(self) -> &'static str {
        match self {
            Self::Google => {
                "renew the credentials (such as by `gcloud auth application-default login`, or in the file that \
                 `GOOGLE_SERVICE_ACCOUNT` names), and give them the role Storage Object User"
            }
            Self::Azure => {
                "correct `AZURE_STORAGE_ACCOUNT_KEY` or `AZURE_STORAGE_SAS_TOKEN`, or give the identity the role Storage \
                 Blob Data Contributor"
            }
        }
    }
}

/// One bucket's clients, limits and settings.
pub struct Connection {
    /// The bucket, as `gs://bucket` or `az://container`.
    pub address: String,
    pub limits: Limits,
    pub settings: Settings,
    pub cloud: Cloud,
    clients: Clients,
}

impl Connection {
    /// Checks the settings; asks nobody anything.
    pub fn google(bucket: &str, settings: &Settings) -> Result<Self, StorageError> {
        Self::new(Cloud::Google, bucket, format!("gs://{bucket}"), settings)
    }

    /// Checks the settings; asks nobody anything.
    pub fn azure(container: &str, settings: &Settings) -> Result<Self, StorageError> {
        Self::new(Cloud::Azure, container, format!("az://{container}"), settings)
    }

    fn new(cloud: Cloud, bucket: &str, address: String, settings: &Settings) -> Result<Self, StorageError> {
        settings.check()?;
        let clients = Clients::new(cloud, bucket, settings)?;
        Ok(Self { address, limits: Limits::new(settings), settings: settings.clone(), cloud, clients })
    }

    /// Makes a request in its turn, and again where that may pass: with a token that is valid by then, and, once, with
    /// credentials looked up after they were refused.
    pub async fn call<T, F>(&self, request: impl Fn(Arc<dyn Client>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let _turn = self.limits.turn().await;
        let mut clients = self.clients.current();
        let (mut attempt, mut renewed) = (1, false);
        loop {
            let error = match request(clients.once.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if is_refusal(&error) && !renewed {
                (clients, renewed) = (self.clients.after(&clients), true);
            } else if may_pass(&error) && self.settings.pause(attempt).await {
                attempt += 1;
            } else {
                return Err(self.told(error));
            }
        }
    }

    /// The client for what a caller can't repeat, which repeats by itself what may pass.
    pub fn patient(&self) -> Arc<dyn Client> {
        self.clients.current().patient.clone()
    }

    /// Makes a request of the patient client in its turn.
    pub async fn turn<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        let _turn = self.limits.turn().await;
        request.await.map_err(|error| self.told(error))
    }

    /// A client's error in plain words.
    pub fn told(&self, error: Error) -> Error {
        let words = plain(&error.source().map_or_else(|| error.to_string(), causes));
        let told = |remedy: &str| format!("{}: {words}{remedy}", self.address).into();
        let forbidden = || told(&format!("; {}", self.cloud.credentials()));
        match error {
            Error::NotFound { path, .. } if words.contains("ContainerNotFound") || words.contains("NoSuchBucket") => {
                Error::NotFound { path, source: told("; create the bucket, or correct its name") }
            }
            Error::NotFound { path, .. } => Error::NotFound { path, source: told("") },
            Error::AlreadyExists { path, .. } => Error::AlreadyExists { path, source: told("") },
            Error::Precondition { path, .. } => Error::Precondition { path, source: told("") },
            Error::NotModified { path, .. } => Error::NotModified { path, source: told("") },
            Error::PermissionDenied { path, .. } => Error::PermissionDenied { path, source: forbidden() },
            Error::Unauthenticated { path, .. } => Error::Unauthenticated { path, source: forbidden() },
            Error::Generic { store, .. } if words.contains("token request") => {
                Error::Generic { store, source: forbidden() }
            }
            Error::Generic { .. } if words.contains("status code: 501") => {
                Error::NotSupported { source: told("; the store can't do this: use another, or upgrade it") }
            }
            Error::Generic { store, .. } => {
                let remedy = "; check `endpoint`, the account and the network, or raise the timeouts and `attempts`";
                Error::Generic { store, source: told(remedy) }
            }
            Error::InvalidPath { source } => unusable_key(&self.address, &source),
            other => other,
        }
    }
}

/// Whether other credentials might help.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. })
}

/// Whether the same request may fare better later: the way to the store broke, or it is ill or busy.
fn may_pass(error: &Error) -> bool {
    let Error::Generic { source, .. } = error else { return false };
    // The client's own errors can't be told apart but by their words.
    let words = causes(source.as_ref());
    let status = words.split_once("status code: ").and_then(|(_, status)| status.get(..3)?.parse().ok());
    match status {
        Some(408 | 429) => true,
        Some(501) => false,
        Some(status) => status >= 500u16,
        None => true,
    }
}

/// Without the queries of addresses, where a SAS token stands, and of a server's answer its code and message alone: Azure
/// says more where it refuses a signature.
fn plain(words: &str) -> String {
    let (words, answer) = match words.find("<?xml") {
        Some(at) => words.split_at(at),
        None => (words, ""),
    };
    let element = |name: &str| {
        let (_, from) = answer.split_once(&format!("<{name}>"))?;
        from.split(['<', '\n']).next()
    };
    let answer = [element("Code"), element("Message")].into_iter().flatten();
    let words = words.split([' ', '\n']).map(|word| match word.contains("://") {
        true => word.split('?').next().unwrap_or_default(),
        false => word,
    });
    let words: Vec<&str> = words.chain(answer).map(|word| word.trim_matches('\u{feff}')).collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_without_queries_and_with_the_code_of_the_answer() {
        let said = "Error performing POST http://h/a/bucket?comp=batch&sig=hunter2 in 1ms - 403 Forbidden: \
                    \u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Signature did not match.\n\
                    RequestId:1</Message><AuthenticationErrorDetail>hunter2</AuthenticationErrorDetail></Error>";
        let told = "Error performing POST http://h/a/bucket in 1ms - 403 Forbidden:  AuthenticationFailed \
                    Signature did not match";
        assert_eq!(plain(said), told);
    }
}
