//! Writes an object at once: over what is there, only if nothing is, or only over a known version.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{Attribute, Error, PutMode, PutOptions, PutPayload, PutResult, Result};

use super::clients::Client;
use super::connection::Connection;
use super::read::look;
use crate::create::{Creation, Owner, create};
use crate::random::unique;

/// Under this name, an object's metadata says which call made it. Azure takes letters, digits and underscores.
pub const TOKEN: Attribute = Attribute::Metadata(Cow::Borrowed("pageloom_token"));

pub async fn put(
    connection: &Connection,
    location: &Path,
    payload: PutPayload,
    mut options: PutOptions,
) -> Result<PutResult> {
    connection.limits.pass(payload.content_length()).await;
    let token = unique();
    let creates = options.mode == PutMode::Create;
    if creates {
        options.attributes.insert(TOKEN, token.clone().into());
    }
    let put = Put { connection, location, payload, options, token };
    match creates {
        true => create(&connection.settings, &put).await,
        false => put.write().await,
    }
}

struct Put<'a> {
    connection: &'a Connection,
    location: &'a Path,
    payload: PutPayload,
    options: PutOptions,
    token: String,
}

#[async_trait]
impl Creation for Put<'_> {
    async fn write(&self) -> Result<PutResult> {
        let put = |client: Arc<dyn Client>| {
            let (location, payload, options) = (self.location.clone(), self.payload.clone(), self.options.clone());
            async move { client.put_opts(&location, payload, options).await }
        };
        self.connection.call(put).await
    }

    async fn owner(&self) -> Owner {
        owner(self.connection, self.location, &self.token).await
    }
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
