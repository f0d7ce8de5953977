//! Images inside a line of JSON, as base64: found where they stand, and left there.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use data_url::forgiving_base64;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use url::Url;

use crate::sources::{Container, FetchError, ImageLocation, Input, Location, Records, RejectedRecord, canonical};

/// One image as it stands in the line; text without escapes is borrowed from it.
#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    bytes: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Tells where the images of a field lie in a line of a file, which begins at a byte of it.
pub fn find(
    line: &[u8],
    field: &str,
    page: &Url,
    (path, start): (&str, u64),
    locator: &str,
    records: &mut dyn Records,
) -> ControlFlow<()> {
    let mut reject = |reason, detail: String| {
        let (locator, url) = (locator.to_owned(), Some(page.to_string()));
        records.reject(RejectedRecord { locator, url, reason, detail })
    };
    let images = match (Field { name: field }).deserialize(&mut serde_json::Deserializer::from_slice(line)) {
        Ok(images) => images,
        Err(error) => return reject("jsonl_bad_images", error.to_string()),
    };
    for image in images {
        match locate(&image, line, page) {
            Ok((url, offset, length)) => {
                let location =
                    Location { container: Container::Base64, path: path.to_owned(), offset: start + offset, length };
                records.image(ImageLocation { url, location })?;
            }
            Err(detail) => {
                let (locator, url) = (locator.to_owned(), image.url.map(|url| url.0.into_owned()));
                records.reject(RejectedRecord { locator, url, reason: "jsonl_bad_images", detail })?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// An image's URL, and where its base64 lies in the line.
fn locate(image: &Image<'_>, line: &[u8], page: &Url) -> Result<(String, u64, u64), String> {
    let url = image.url.as_ref().map(|url| url.0.as_ref()).ok_or("an image has no `url`")?;
    let url = page.join(url).map_err(|error| format!("{error}: {url}"))?;
    match &image.bytes {
        Some(Text(Cow::Borrowed(bytes))) => {
            let offset = bytes.as_ptr() as usize - line.as_ptr() as usize;
            Ok((canonical(url), offset as u64, bytes.len() as u64))
        }
        Some(Text(Cow::Owned(_))) => Err(format!("the base64 of {url} is written with escapes")),
        None => Err(format!("{url} has no `bytes`")),
    }
}

/// The images of one field of an object; none where it is missing or null.
struct Field<'a> {
    name: &'a str,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Vec<Image<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Vec<Image<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut images = Vec::new();
        while let Some(name) = fields.next_key::<Text<'de>>()? {
            if name.0 == self.name {
                images = fields.next_value::<Option<Vec<Image<'de>>>>()?.unwrap_or_default();
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(images)
    }
}

/// The bytes that a range of base64 stands for.
pub fn base64(location: &Location, input: &dyn Input, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
    let too_large = FetchError::TooLarge { limit: max_bytes };
    if location.length / 4 > max_bytes / 3 + 1 {
        return Err(too_large);
    }
    let text = input.read_range(&location.path, location.offset, location.length)?;
    let bytes =
        forgiving_base64::decode_to_vec(&text).map_err(|_| FetchError::Broken("its base64 is invalid".to_owned()))?;
    if bytes.len() as u64 > max_bytes { Err(too_large) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use crate::sources::memory::{Collected, MemoryInput};
    use crate::sources::{SourceSettings, fetch, jsonl::Settings};

    fn read(line: &str) -> (MemoryInput, Collected) {
        let settings = Settings { images_field: Some("images".into()), ..Settings::example() };
        let line = format!("\n{{\"url\":\"http://a.example/p/q\",\"html\":\"<p>\",{line}}}\n");
        let input = MemoryInput::new(&[("pages/a.jsonl", line.as_bytes())]);
        let found = Collected::read(&settings, &input, 1 << 20);
        (input, found)
    }

    #[test]
    fn an_image_is_read_from_the_middle_of_its_line() {
        let (input, found) = read(
            "\"images\":[{\"url\":\"x.png#y\",\"bytes\":\"YWJjZA==\",\"width\":3},{\"url\":\"/y\",\"bytes\":\"\"}]",
        );
        let urls: Vec<&str> = found.images.iter().map(|image| image.url.as_str()).collect();
        assert_eq!((urls, found.documents.len()), (vec!["http://a.example/p/x.png", "http://a.example/y"], 1));
        assert_eq!(fetch(&found.images[0].location, &input, 4).unwrap(), b"abcd");
        assert_eq!(fetch(&found.images[0].location, &input, 3).unwrap_err().reason(), Some("image_too_large"));
        assert_eq!(fetch(&found.images[1].location, &input, 3).unwrap(), b"");
    }

    #[test]
    fn an_image_that_has_no_place_is_rejected_and_its_page_stays() {
        for images in [
            "[{\"url\":\"x\"}]",
            "[{\"bytes\":\"\"}]",
            "[{\"url\":\"x\",\"bytes\":\"a\\/b=\"}]",
            "[{\"url\":\"http://[\",\"bytes\":\"\"}]",
            "3",
        ] {
            let (_, found) = read(&format!("\"images\":{images}"));
            assert_eq!((found.documents.len(), found.reasons()), (1, vec!["jsonl_bad_images"]), "{images}");
        }
        let (_, found) = read("\"images\":null");
        assert_eq!((found.documents.len(), found.rejects.len()), (1, 0));
    }

    #[test]
    fn what_is_no_base64_is_told_when_it_is_read() {
        let (input, found) = read("\"images\":[{\"url\":\"x\",\"bytes\":\"*\"}]");
        assert_eq!(fetch(&found.images[0].location, &input, 9).unwrap_err().reason(), Some("image_record_broken"));
    }
}
