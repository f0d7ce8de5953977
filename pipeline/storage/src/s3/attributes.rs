//! An object's attributes, between the trait's names and the SDK's.

use std::collections::HashMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use object_store::{Attribute, Attributes, Error, Result};

/// Under this name, an object's metadata says which call made it.
pub const TOKEN: &str = "pageloom-token";

/// What a request to write says about an object.
#[derive(Debug, Default, Clone)]
pub struct Headers {
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_type: Option<String>,
    pub metadata: HashMap<String, String>,
}

impl Headers {
    /// The attributes as headers, with the token of the call; one that S3 has no place for here is refused.
    pub fn new(attributes: &Attributes, token: &str) -> Result<Self> {
        let mut headers = Self::default();
        headers.metadata.insert(TOKEN.into(), token.into());
        for (attribute, value) in attributes {
            let value = value.to_string();
            match attribute {
                Attribute::CacheControl => headers.cache_control = Some(value),
                Attribute::ContentDisposition => headers.content_disposition = Some(value),
                Attribute::ContentEncoding => headers.content_encoding = Some(value),
                Attribute::ContentLanguage => headers.content_language = Some(value),
                Attribute::ContentType => headers.content_type = Some(value),
                Attribute::Metadata(name) => {
                    headers.metadata.insert(name.to_string(), value);
                }
                other => return Err(Error::NotSupported { source: format!("attribute {other:?} in S3").into() }),
            }
        }
        Ok(headers)
    }
}

/// The attributes of an answer, without our token.
pub fn of(response: &GetObjectOutput) -> Attributes {
    let mut attributes = Attributes::new();
    let named = [
        (Attribute::CacheControl, response.cache_control()),
        (Attribute::ContentDisposition, response.content_disposition()),
        (Attribute::ContentEncoding, response.content_encoding()),
        (Attribute::ContentLanguage, response.content_language()),
        (Attribute::ContentType, response.content_type()),
    ];
    for (attribute, value) in named {
        if let Some(value) = value {
            attributes.insert(attribute, value.to_owned().into());
        }
    }
    for (name, value) in response.metadata().into_iter().flatten().filter(|(name, _)| *name != TOKEN) {
        attributes.insert(Attribute::Metadata(name.clone().into()), value.clone().into());
    }
    attributes
}
