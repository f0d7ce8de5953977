//! Reads an object, and reads on where its body breaks off.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, GetResultPayload, Result};

use super::connection::Connection;

/// An object or a range of it. The client reads on where a body breaks off, as often as a request is made; here, whoever
/// got some more bytes since then may go on for as long again: an archive is read for hours.
pub async fn get(connection: &Arc<Connection>, location: &Path, options: GetOptions) -> Result<GetResult> {
    let options = match options.range {
        Some(GetRange::Suffix(length)) => from_the_start(connection, location, options, length).await?,
        _ => options,
    };
    let found = ask(connection, location, options.clone()).await?;
    let (range, e_tag) = (found.range.clone(), found.meta.e_tag.clone());
    let GetResult { payload: GetResultPayload::Stream(chunks), meta, attributes, .. } = found else {
        return Ok(found);
    };
    let options = GetOptions { if_match: e_tag, if_none_match: None, ..options };
    let (connection, location) = (connection.clone(), location.clone());
    let body = Body { connection, location, options, rest: range.clone(), chunks, advanced: false };
    let chunks = stream::unfold(Some(body), |body| async move { body?.next().await }).fuse();
    Ok(GetResult { payload: GetResultPayload::Stream(chunks.boxed()), meta, range, attributes })
}

/// Asks the store, which may not heed conditions.
async fn ask(connection: &Connection, location: &Path, options: GetOptions) -> Result<GetResult> {
    let found = connection.call(connection.client.get_opts(location, options.clone())).await?;
    options.check_preconditions(&found.meta)?;
    Ok(found)
}

/// Asks for an object's last bytes by their place: Azure doesn't count from the end.
async fn from_the_start(
    connection: &Connection,
    location: &Path,
    options: GetOptions,
    length: u64,
) -> Result<GetOptions> {
    let head = GetOptions { head: true, range: None, ..options.clone() };
    let meta = ask(connection, location, head).await?.meta;
    let range = Some(GetRange::Offset(meta.size.saturating_sub(length)));
    Ok(GetOptions { range, if_match: options.if_match.clone().or(meta.e_tag), ..options })
}

struct Body {
    connection: Arc<Connection>,
    location: Path,
    /// How the rest of this version is asked for.
    options: GetOptions,
    rest: Range<u64>,
    chunks: BoxStream<'static, Result<Bytes>>,
    /// Whether bytes came since it was last asked for.
    advanced: bool,
}

impl Body {
    async fn next(mut self) -> Option<(Result<Bytes>, Option<Self>)> {
        loop {
            match self.chunks.next().await? {
                Ok(bytes) => {
                    self.connection.limits.pass(bytes.len()).await;
                    self.rest.start += bytes.len() as u64;
                    self.advanced = true;
                    return Some((Ok(bytes), Some(self)));
                }
                Err(error) => {
                    if let Err(error) = self.read_on(error).await {
                        return Some((Err(error), None));
                    }
                }
            }
        }
    }

    async fn read_on(&mut self, error: Error) -> Result<()> {
        if !self.advanced || self.options.if_match.is_none() {
            return Err(self.connection.told(error));
        }
        let options = GetOptions { range: Some(GetRange::Bounded(self.rest.clone())), ..self.options.clone() };
        self.chunks = ask(&self.connection, &self.location, options).await?.into_stream();
        self.advanced = false;
        Ok(())
    }
}
