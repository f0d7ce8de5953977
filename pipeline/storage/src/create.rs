//! Creates an object where none is, whatever happens to the answer.

use async_trait::async_trait;
use object_store::{Error, PutResult, Result};

use crate::settings::Settings;

/// One call that creates an object.
#[async_trait]
pub trait Creation: Sync {
    /// Writes the object, with the call's token, if nothing is there. `AlreadyExists` or `Precondition` if something is in
    /// the way, be it just coming or going.
    async fn write(&self) -> Result<PutResult>;

    /// Looks whose object stands there.
    async fn owner(&self) -> Owner;
}

/// Whose object stands at a place.
pub enum Owner {
    /// The call with our token made it.
    Us(PutResult),
    /// Another call made it.
    Others,
    /// Nothing is there.
    Nobody,
    /// The store does not say.
    Unknown,
}

/// Creates the object. An answer may get lost after the store did its work, and the attempt after that is refused by our
/// own object; so what stands there is ours if it carries our token.
pub async fn create(settings: &Settings, creation: &dyn Creation) -> Result<PutResult> {
    let mut attempt = 1;
    loop {
        let error = match creation.write().await {
            Ok(created) => return Ok(created),
            Err(error) => error,
        };
        let refused = matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. });
        if !refused && !matches!(error, Error::Generic { .. }) {
            return Err(error);
        }
        match creation.owner().await {
            Owner::Us(created) => return Ok(created),
            Owner::Others if refused => return Err(exists(error)),
            // Whoever was in the way may be gone again.
            Owner::Nobody | Owner::Unknown if refused && settings.pause(attempt).await => attempt += 1,
            _ => return Err(error),
        }
    }
}

/// That somebody else was first.
fn exists(error: Error) -> Error {
    match error {
        Error::Precondition { path, source } => Error::AlreadyExists { path, source },
        error => error,
    }
}
