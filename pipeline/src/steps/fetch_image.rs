//! Reads each image's bytes from where they lie.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, RecordBatch, StringArray};
use data_url::DataUrl;
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::StepError;
use crate::sources::{Container, Fetched, Input, Location, fetch_response};
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// Images come from the job's sources or from `data:` URLs; nothing is fetched from a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// An image file with more bytes than this is rejected as `image_too_large`.
    pub max_bytes: u64,
    /// An image whose response names one of these words for everybody in an `X-Robots-Tag` is rejected as
    /// `image_refused_by_robots`. The words that speak of training are refused from the start; img2dataset refuses
    /// `noindex` and `noimageindex`, too, which speak of search engines. With `[]` nothing is refused.
    pub refuse_robots: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_bytes: 32 << 20, refuse_robots: vec!["noai".into(), "noimageai".into()] }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self::default()
    }

    fn columns(&self) -> Columns {
        let location = [
            columns::source().field(),
            columns::container().field(),
            columns::path().field(),
            columns::offset().field(),
            columns::length().field(),
            columns::inline().field(),
            columns::url().field(),
        ];
        Columns::reads(location.clone()).drops(location).writes([
            columns::url().field(),
            columns::bytes().field(),
            columns::sha256().field(),
        ])
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(FetchImage { settings: self.clone(), inputs: resources.inputs.clone() }))
    }
}

struct FetchImage {
    settings: Settings,
    inputs: Vec<Arc<dyn Input>>,
}

impl std::fmt::Debug for FetchImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FetchImage({:?}, {} sources)", self.settings, self.inputs.len())
    }
}

impl Step for FetchImage {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let url = columns::url();
        let url = url.of(&batch)?;
        let locations = locations(&batch)?;
        let fetch = |row: usize| self.bytes(url.value(row), locations[row].as_ref());
        let outcomes = match self.at_once(&locations) {
            1 => rejects.each_row(&batch).map(fetch).collect(),
            threads => by_threads(threads, rejects.each_row(&batch), fetch),
        };
        let (batch, images) = rejects.keep_ok(&batch, outcomes)?;
        let digests: Vec<[u8; 32]> = images.iter().map(|image| Sha256::digest(image).into()).collect();
        let url = columns::url();
        let named = url.of(&batch)?.iter().flatten().zip(&digests);
        let urls: Vec<String> = named.map(|(url, digest)| public_url(url, digest)).collect();
        let new: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(urls)),
            Arc::new(BinaryArray::from_iter_values(&images)),
            Arc::new(FixedSizeBinaryArray::try_new(32, digests.concat().into(), None)?),
        ];
        self.settings.columns().replace(&batch, new)
    }
}

impl FetchImage {
    /// So many images of a batch are best asked for at once.
    fn at_once(&self, locations: &[Option<(usize, Location)>]) -> usize {
        let of = |(source, location): &(usize, Location)| Some(self.inputs.get(*source)?.at_once(&location.path));
        locations.iter().flatten().filter_map(of).max().unwrap_or(1)
    }

    fn bytes(&self, url: &str, location: Option<&(usize, Location)>) -> Result<Vec<u8>, Refusal> {
        if url.starts_with("data:") {
            return data_url_bytes(url, self.settings.max_bytes);
        }
        let Some((source, location)) = location else {
            return Err(Refusal::new("image_not_found", "no source of this job holds this URL"));
        };
        let input = self.inputs.get(*source).ok_or_else(|| Refusal::new("image_not_found", "its source is gone"))?;
        let fetched = fetch_response(location, input.as_ref(), self.settings.max_bytes)
            .map_err(|error| Refusal::new(error.reason(), error.to_string()))?;
        self.allowed(fetched)
    }

    fn allowed(&self, fetched: Fetched) -> Result<Vec<u8>, Refusal> {
        match fetched.robots.iter().find(|tag| refuses(tag, &self.settings.refuse_robots)) {
            Some(tag) => Err(Refusal::new("image_refused_by_robots", format!("X-Robots-Tag: {tag}"))),
            None => Ok(fetched.bytes),
        }
    }
}

/// What is fetched for each row, in their order, by threads that mostly wait.
fn by_threads<T: Send>(
    threads: usize,
    rows: impl Iterator<Item = usize> + Send,
    fetch: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let (rows, fetched) = (Mutex::new(rows), Mutex::new(BTreeMap::new()));
    let next = || rows.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(row) = next() {
                    let one = fetch(row);
                    fetched.lock().unwrap_or_else(PoisonError::into_inner).insert(row, one);
                }
            });
        }
    });
    fetched.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// Whether a tag names one of the words for everybody: what follows a robot's name speaks to that robot alone.
fn refuses(tag: &str, words: &[String]) -> bool {
    let named = |directive: &str| words.iter().any(|word| word.eq_ignore_ascii_case(directive.trim()));
    tag.split(',').take_while(|directive| !names_a_robot(directive)).any(named)
}

/// Whether a directive begins with a robot's name and a colon. Some directives have values, and a time has colons.
fn names_a_robot(directive: &str) -> bool {
    const WITH_VALUES: [&str; 4] = ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"];
    directive.split_once(':').is_some_and(|(name, _)| {
        let name = name.trim().to_ascii_lowercase();
        !WITH_VALUES.contains(&name.as_str()) && !name.contains(char::is_whitespace)
    })
}

/// Each row's source and place; `None` where no source holds the image.
fn locations(batch: &RecordBatch) -> Result<Vec<Option<(usize, Location)>>, StepError> {
    let (source, container, path) = (columns::source(), columns::container(), columns::path());
    let (source, container, path) = (source.of(batch)?, container.of(batch)?, path.of(batch)?);
    let (offset, length, inline) = (columns::offset(), columns::length(), columns::inline());
    let (offset, length, inline) = (offset.of(batch)?, length.of(batch)?, inline.of(batch)?);
    let location = |row: usize| {
        if path.is_null(row) {
            return None;
        }
        let inline = inline.is_valid(row).then(|| inline.value(row));
        let container = Container::from_word(container.value(row), inline)?;
        let (path, offset, length) = (path.value(row).to_owned(), offset.value(row), length.value(row));
        Some((source.value(row) as usize, Location { container, path, offset, length }))
    };
    Ok((0..batch.num_rows()).map(location).collect())
}

fn data_url_bytes(url: &str, max_bytes: u64) -> Result<Vec<u8>, Refusal> {
    let refusal = |what: &str| Refusal::new("image_bad_data_url", what);
    // Base64 makes four characters of three bytes, so this bounds what decoding may allocate.
    if url.len() as u64 / 4 * 3 > max_bytes {
        return Err(Refusal::new("image_too_large", format!("a data: URL of {} characters", url.len())));
    }
    let parsed = DataUrl::process(url).map_err(|_| refusal("it has no comma"))?;
    let (body, _) = parsed.decode_to_vec().map_err(|_| refusal("its base64 is invalid"))?;
    Ok(body)
}

/// The URL that stands in the image table: a `data:` URL is named by its content, for it may be megabytes long.
fn public_url(url: &str, digest: &[u8; 32]) -> String {
    if !url.starts_with("data:") {
        return url.to_owned();
    }
    let head = url.split([',', ';']).next().unwrap_or("data:");
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{head};sha256={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_gives_its_bytes() {
        assert_eq!(data_url_bytes("data:image/gif;base64,R0lG", 100).unwrap(), b"GIF");
        assert_eq!(data_url_bytes("data:image/gif;base64,*", 100).unwrap_err().reason, "image_bad_data_url");
        assert_eq!(data_url_bytes("data:;base64,AAAAAAAA", 3).unwrap_err().reason, "image_too_large");
    }

    #[test]
    fn threads_that_wait_for_each_other_fetch_every_row_once_and_in_order() {
        let together = std::sync::Barrier::new(4);
        let fetched = by_threads(4, 0..40, |row| (together.wait(), row).1);
        assert!(fetched.into_iter().eq(0..40));
    }

    #[test]
    fn an_image_is_refused_where_a_tag_says_so_to_everybody() {
        let words = Settings::default().refuse_robots;
        let refused = ["noai", "noindex, NoImageAI", "max-snippet: 5, noai"].map(|tag| refuses(tag, &words));
        assert_eq!(refused, [true, true, true]);
        let kept = ["", "noindex", "all", "somebot: noai", "noairplanes"].map(|tag| refuses(tag, &words));
        assert_eq!(kept, [false; 5]);
    }

    #[test]
    fn a_data_url_is_named_by_its_content() {
        assert!(public_url("data:image/gif;base64,R0lG", &[1; 32]).starts_with("data:image/gif;sha256=0101"));
        assert_eq!(public_url("http://a/b", &[1; 32]), "http://a/b");
    }
}
