//! Creates an object where none is.

use std::borrow::Cow;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{Attribute, Error, PutOptions, PutPayload, PutResult, Result};

use super::clients::Client;
use super::connection::Connection;
use super::read::look;
use crate::s3::unique;

/// Under this name, an object's metadata says which call made it. Azure takes letters, digits and underscores.
pub const TOKEN: Attribute = Attribute::Metadata(Cow::Borrowed("pageloom_token"));

/// Creates the object. An answer may get lost after the store did its work, and the attempt after that is refused by our
/// own object; so what stands there is ours if it carries our token.
pub async fn create(
    connection: &Connection,
    location: &Path,
    payload: PutPayload,
    mut options: PutOptions,
) -> Result<PutResult> {
    let token = unique();
    options.attributes.insert(TOKEN, token.clone().into());
    let mut attempt = 1;
    loop {
        let error = match put(connection, location, &payload, &options).await {
            Ok(created) => return Ok(created),
            Err(error) => error,
        };
        let refused = matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. });
        if !refused && !matches!(error, Error::Generic { .. }) {
            return Err(error);
        }
        match owner(connection, location, &token).await {
            Owner::Us(created) => return Ok(created),
            Owner::Others if refused => return Err(exists(location, error)),
            // Whoever was in the way is gone again.
            Owner::Nobody if refused && connection.settings.pause(attempt).await => attempt += 1,
            Owner::Others | Owner::Nobody | Owner::Unknown => return Err(error),
        }
    }
}

/// Writes the object as the options say.
pub async fn put(
    connection: &Connection,
    location: &Path,
    payload: &PutPayload,
    options: &PutOptions,
) -> Result<PutResult> {
    let put = |client: Arc<dyn Client>| {
        let (location, payload, options) = (location.clone(), payload.clone(), options.clone());
        async move { client.put_opts(&location, payload, options).await }
    };
    connection.call(put).await
}

/// That somebody else was first.
fn exists(location: &Path, error: Error) -> Error {
    match error {
        Error::Precondition { source, .. } => Error::AlreadyExists { path: location.to_string(), source },
        error => error,
    }
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

/// Looks whose object stands at a place.
pub async fn owner(connection: &Connection, location: &Path, token: &str) -> Owner {
    match look(connection, location).await {
        Ok(found) if found.attributes.get(&TOKEN).is_some_and(|theirs| theirs.as_ref() == token) => {
            Owner::Us(PutResult { e_tag: found.meta.e_tag, version: found.meta.version })
        }
        Ok(_) => Owner::Others,
        Err(Error::NotFound { .. }) => Owner::Nobody,
        Err(_) => Owner::Unknown,
    }
}
