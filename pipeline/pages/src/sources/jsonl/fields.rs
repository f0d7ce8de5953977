//! Reads of a line's object what is asked for: whatever else stands in it takes no room.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The fields that are looked for.
pub struct Fields<'a> {
    /// Those that hold texts; another value than a text or `null` is read as `false`.
    pub texts: Vec<&'a str>,
    /// One that is read whole.
    pub whole: Option<&'a str>,
}

impl Fields<'_> {
    /// The fields of an object that are looked for and there. Of one that is there twice, the last.
    pub fn of(&self, line: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let fields = self.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(fields)
    }
}

impl<'de> DeserializeSeed<'de> for &Fields<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &Fields<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = object.next_key::<Cow<'de, str>>()? {
            if self.whole == Some(name.as_ref()) {
                fields.insert(name.into_owned(), object.next_value()?);
            } else if self.texts.contains(&name.as_ref()) {
                fields.insert(name.into_owned(), object.next_value_seed(Text)?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(fields)
    }
}

/// A text or `null`, or `false` for any other value.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

const OTHER: Value = Value::Bool(false);

impl<'de> Visitor<'de> for Text {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(OTHER)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(OTHER)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(OTHER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_not_kept_and_what_is_no_text_is_told_from_one() {
        let fields = Fields { texts: vec!["url", "html", "text", "none"], whole: Some("passages") };
        let line = br#" {"x": [[0], {"url": 1}], "url": "first", "url": "a\u00e4", "html": [1, {}], "text": null, "passages": [{"b": 1}]} "#;
        let found = fields.of(line).unwrap();
        let expected = serde_json::json!({"url": "a\u{e4}", "html": false, "text": null, "passages": [{"b": 1}]});
        assert_eq!(Value::Object(found), expected);
        for broken in [&b"[]"[..], b"{\"url\": \"a\"} {}", b"{\"url\": "] {
            assert!(fields.of(broken).is_err());
        }
    }
}
