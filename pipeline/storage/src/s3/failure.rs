//! What a server or the way to it refused, in words that name the object and the remedy and hold no secret.

use std::error::Error;
use std::fmt;

use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};

use crate::error::causes;

/// What is asked of the server, for messages.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is done to the object.
    pub verb: &'static str,
    /// Which permission that takes.
    pub permission: &'static str,
    /// The object, as `s3://bucket/key`.
    pub url: String,
}

/// A request that failed for good.
#[derive(Debug)]
pub struct Failure {
    pub request: Request,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The server's name for what went wrong.
    pub code: Option<String>,
    message: String,
}

impl Failure {
    /// What the SDK reports, once it gave up. The endpoint is the server that was tried, where it is another than AWS's.
    pub fn new<E>(request: &Request, endpoint: Option<&str>, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        // The SDK's debug output would show headers; the plain words of each cause don't.
        let message = match (error.message(), error) {
            (Some(message), _) => message.to_owned(),
            (None, SdkError::ServiceError(_)) => "the server gave no reason".into(),
            (None, SdkError::DispatchFailure(failure)) if failure.is_io() || failure.is_timeout() => {
                at(endpoint, failure.as_connector_error().map_or_else(|| causes(error), connection_causes))
            }
            (None, SdkError::TimeoutError(_)) => at(endpoint, causes(error)),
            (None, _) => causes(error),
        };
        Self { request: request.clone(), status, code, message }
    }

    /// What we found ourselves in an answer.
    pub fn found(request: &Request, message: impl Into<String>) -> Self {
        Self { request: request.clone(), status: None, code: None, message: message.into() }
    }

    /// That the object is no longer the one that was begun to be read.
    pub fn changed(request: &Request) -> Self {
        let message = "the object changed while it was read".into();
        Self { request: request.clone(), status: Some(412), code: None, message }
    }

    /// Whether other credentials might help.
    pub fn is_refusal(&self) -> bool {
        matches!(self.status, Some(401 | 403)) || self.is_expired()
    }

    /// Whether the server got other bytes than were sent, which the SDK takes for our mistake.
    pub fn is_damaged(&self) -> bool {
        const CODES: [&str; 3] = ["BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"];
        self.code.as_deref().is_some_and(|code| CODES.contains(&code))
    }

    /// Whether a creation met something: an object, another creation that is under way (409), or what is just being deleted
    /// (404).
    pub fn is_in_the_way(&self) -> bool {
        matches!(self.status, Some(404 | 409 | 412)) && !self.lacks_bucket()
    }

    /// Whether the whole bucket is not there.
    pub fn lacks_bucket(&self) -> bool {
        self.code.as_deref() == Some("NoSuchBucket")
    }

    fn is_expired(&self) -> bool {
        const CODES: [&str; 5] =
            ["ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestExpired", "TokenRefreshRequired"];
        self.code.as_deref().is_some_and(|code| CODES.contains(&code))
    }

    fn is_unknown_identity(&self) -> bool {
        const CODES: [&str; 3] = ["InvalidAccessKeyId", "SignatureDoesNotMatch", "NotSignedUp"];
        self.is_expired() || self.code.as_deref().is_some_and(|code| CODES.contains(&code)) || self.lacks_credentials()
    }

    fn lacks_credentials(&self) -> bool {
        self.status.is_none() && self.message.contains("credential")
    }

    fn remedy(&self) -> String {
        match (self.status, self.code.as_deref()) {
            (_, Some("NoSuchBucket")) => "create the bucket, or correct its name".into(),
            (_, Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"))
            | (Some(301 | 307), _) => "set `region` to the bucket's".into(),
            (_, Some("RequestTimeTooSkewed")) => "set this machine's clock".into(),
            _ if self.is_unknown_identity() => {
                "renew the credentials (such as by `aws sso login`), or name another `profile`".into()
            }
            // Without s3:ListBucket, what is not there looks forbidden.
            (Some(403), _) => format!(
                "allow {} and s3:ListBucket to these credentials, or name another `profile`",
                self.request.permission
            ),
            (Some(501), _) => "the store can't do this: use another, or upgrade it".into(),
            (Some(429 | 500..), _) => {
                "the store is overloaded or ill: lower `max_concurrency`, or raise `attempts`".into()
            }
            (None, _) if self.message.contains("region must be set") => {
                "set `region` in `[storage]` or by --storage, `AWS_REGION`, or a profile that names one".into()
            }
            (None, _) => "check `endpoint`, `region` and the network, or raise the timeouts and `attempts`".into(),
            _ => "look the code up in the store's documentation".into(),
        }
    }

    /// As the error of the trait that readers tell apart.
    pub fn into_error(self) -> object_store::Error {
        let path = self.request.url.clone();
        let (status, missing) = (self.status, self.lacks_bucket());
        let unauthenticated = self.is_unknown_identity() || status == Some(401);
        let source = Box::new(self);
        match status {
            _ if unauthenticated => object_store::Error::Unauthenticated { path, source },
            Some(304) => object_store::Error::NotModified { path, source },
            Some(403) => object_store::Error::PermissionDenied { path, source },
            Some(404) => object_store::Error::NotFound { path, source },
            Some(412) => object_store::Error::Precondition { path, source },
            Some(501) => object_store::Error::NotSupported { source },
            _ if missing => object_store::Error::NotFound { path, source },
            _ => object_store::Error::Generic { store: "S3", source },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "can't {} {}: ", self.request.verb, self.request.url)?;
        if let Some(status) = self.status {
            write!(formatter, "{status} ")?;
        }
        if let Some(code) = &self.code {
            write!(formatter, "{code}: ")?;
        }
        let message = self.message.trim_end_matches('.');
        match self.status {
            Some(304 | 412) => formatter.write_str(message),
            Some(404) if !self.lacks_bucket() => formatter.write_str(message),
            _ => write!(formatter, "{message}; {}", self.remedy()),
        }
    }
}

impl Error for Failure {}

fn at(endpoint: Option<&str>, words: String) -> String {
    match endpoint {
        Some(endpoint) => format!("at {endpoint}: {words}"),
        None => words,
    }
}

/// The words of a connection that failed, without those of the layers that it went through.
fn connection_causes(error: &ConnectorError) -> String {
    let words = causes(error);
    let mut words = words.as_str();
    for layer in ["io error: ", "timeout: ", "client error (Connect): "] {
        words = words.strip_prefix(layer).unwrap_or(words);
    }
    words.to_owned()
}
