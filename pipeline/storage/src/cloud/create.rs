//! Creates an object where none is.

use std::borrow::Cow;

use object_store::path::Path;
use object_store::{Attribute, Error, GetOptions, PutOptions, PutPayload, PutResult, Result};

use super::connection::Connection;
use crate::s3::unique;

/// Under this name, an object's metadata says which call made it. Azure takes letters, digits and underscores.
const TOKEN: Attribute = Attribute::Metadata(Cow::Borrowed("pageloom_token"));

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
        let put = connection.client.put_opts(location, payload.clone(), options.clone());
        let error = match connection.call(put).await {
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
            // Whoever was in the way is gone again, or our request never got there, and the store answers.
            Owner::Nobody if attempt < connection.settings.attempts.get() => {}
            Owner::Others | Owner::Nobody | Owner::Unknown => return Err(error),
        }
        tokio::time::sleep(connection.settings.pause_after(attempt)).await;
        attempt += 1;
    }
}

/// That somebody else was first.
fn exists(location: &Path, error: Error) -> Error {
    match error {
        Error::Precondition { source, .. } => Error::AlreadyExists { path: location.to_string(), source },
        error => error,
    }
}

/// Whose object stands at a place.
enum Owner {
    /// The call with our token made it.
    Us(PutResult),
    /// Another call made it.
    Others,
    /// Nothing is there.
    Nobody,
    /// The store does not say.
    Unknown,
}

async fn owner(connection: &Connection, location: &Path, token: &str) -> Owner {
    let options = GetOptions { head: true, ..GetOptions::default() };
    match connection.call(connection.client.get_opts(location, options)).await {
        Ok(found) if found.attributes.get(&TOKEN).is_some_and(|theirs| theirs.as_ref() == token) => {
            Owner::Us(PutResult { e_tag: found.meta.e_tag, version: found.meta.version })
        }
        Ok(_) => Owner::Others,
        Err(Error::NotFound { .. }) => Owner::Nobody,
        Err(_) => Owner::Unknown,
    }
}
