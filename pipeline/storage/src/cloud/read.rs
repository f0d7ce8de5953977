//! Reads an object, and reads on where its body breaks off.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, GetResultPayload, Result};

use super::clients::Client;
use super::connection::Connection;

/// An object or a range of it. Where its body breaks off it is read on, and whoever got some more bytes since then may go
/// on for as long again: an archive is read for hours.
pub async fn get(connection: &Arc<Connection>, location: &Path, options: GetOptions) -> Result<GetResult> {
    let options = match options.range {
        Some(GetRange::Suffix(length)) => from_the_start(connection, location, options, length).await?,
        _ => options,
    };
    let found = ask(connection, location, options.clone()).await?;
    if options.head {
        return Ok(found);
    }
    let (range, e_tag) = (found.range.clone(), found.meta.e_tag.clone());
    let GetResult { payload: GetResultPayload::Stream(chunks), meta, attributes, .. } = found else {
        return Ok(found);
    };
    let options = GetOptions { if_match: e_tag, if_none_match: None, ..options };
    let (connection, location) = (connection.clone(), location.clone());
    let body = Body { connection, location, options, rest: range.clone(), chunks, attempt: 1 };
    let chunks = stream::unfold(Some(body), |body| async move { body?.next().await }).fuse();
    Ok(GetResult { payload: GetResultPayload::Stream(chunks.boxed()), meta, range, attributes })
}

/// What the store says of an object, without its bytes.
pub async fn look(connection: &Connection, location: &Path) -> Result<GetResult> {
    ask(connection, location, GetOptions { head: true, ..GetOptions::default() }).await
}

/// Asks the store, which may not heed conditions. The client compares the answer's range with the one asked for.
async fn ask(connection: &Connection, location: &Path, options: GetOptions) -> Result<GetResult> {
    let get = |client: Arc<dyn Client>| {
        let (location, options) = (location.clone(), options.clone());
        async move { client.get_opts(&location, options).await }
    };
    let found = connection.call(get).await?;
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
    /// The how-manieth since bytes came last.
    attempt: u32,
}

impl Body {
    async fn next(mut self) -> Option<(Result<Bytes>, Option<Self>)> {
        while !self.rest.is_empty() {
            match self.receive().await {
                Ok(bytes) => {
                    self.connection.limits.pass(bytes.len()).await;
                    self.rest.start += bytes.len() as u64;
                    self.attempt = 1;
                    return Some((Ok(bytes), Some(self)));
                }
                Err(error) => {
                    if let Err(error) = self.read_on(error).await {
                        return Some((Err(error), None));
                    }
                }
            }
        }
        None
    }

    /// The next bytes, of which there are no fewer and no more than announced.
    async fn receive(&mut self) -> Result<Bytes> {
        // A body that nobody waits for takes no turn from others.
        let turn = self.connection.limits.turn().await;
        let received = self.chunks.next().await;
        drop(turn);
        let wrong = |words: &str| Err(Error::Generic { store: "cloud", source: words.into() });
        match received {
            None => wrong("the body is shorter than its server announced"),
            Some(Ok(bytes)) if bytes.len() as u64 > self.rest.end - self.rest.start => {
                wrong("the body is longer than its server announced")
            }
            Some(received) => received,
        }
    }

    async fn read_on(&mut self, error: Error) -> Result<()> {
        if self.options.if_match.is_none() || !self.connection.settings.pause(self.attempt).await {
            return Err(self.connection.told(error));
        }
        self.attempt += 1;
        let options = GetOptions { range: Some(GetRange::Bounded(self.rest.clone())), ..self.options.clone() };
        self.chunks = ask(&self.connection, &self.location, options).await?.into_stream();
        Ok(())
    }
}
