//! Finds the family of a `config.json`.

use std::path::Path;

use serde_json::Value;

use super::error::VqError;
use super::families::{Architecture, FAMILIES, Family};
use super::preprocessing::Range;

/// What a `config.json` says, checked.
#[derive(Debug)]
pub(super) struct Config {
    pub family: &'static str,
    pub architecture: Box<dyn Architecture>,
    /// What `input_range` says, where a model is to be fed otherwise than its family's own code does.
    pub input_range: Option<Range>,
}

impl Config {
    /// What the bytes of `path` say, if it can be built.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, VqError> {
        let refuse = |reason: String| VqError::Config { path: path.to_owned(), reason };
        let value: Value = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        Self::of(value).map_err(refuse)
    }

    pub fn of(value: Value) -> Result<Self, String> {
        let family = family_of(&value)?;
        if value.get("family").is_some() {
            unlike_taming(&value)?;
        }
        let input_range = value.get("input_range").map(range).transpose()?;
        Ok(Self { family: family.name, architecture: (family.read)(value)?, input_range })
    }
}

fn family_of(value: &Value) -> Result<&'static Family, String> {
    let known = || FAMILIES.map(|family| family.name).join(", ");
    match value.get("family") {
        Some(named) => FAMILIES
            .iter()
            .find(|family| named.as_str() == Some(family.name))
            .ok_or_else(|| format!("`family` is {named}, but can be {}", known())),
        None => FAMILIES.iter().find(|family| (family.publishes)(value)).ok_or_else(|| {
            format!("there is no `family`, which can be {}, and no family's own code writes such a file", known())
        }),
    }
}

/// What LDM's code adds to taming's settings, and would make other ids or pixels.
fn unlike_taming(value: &Value) -> Result<(), String> {
    let [remap, tanh, kind] = ["/remap", "/ddconfig/tanh_out", "/ddconfig/attn_type"].map(|path| value.pointer(path));
    if let Some(remap) = remap.filter(|remap| !remap.is_null()) {
        return Err(format!("`remap` is {remap}, but ids are those of the codebook"));
    }
    if tanh.is_some_and(|tanh| tanh == true) {
        return Err("`tanh_out` is true, but decoders end in a convolution".to_owned());
    }
    match kind.and_then(Value::as_str) {
        Some(kind) if !kind.starts_with("vanilla") => Err(format!("`attn_type` is \"{kind}\", not \"vanilla\"")),
        _ => Ok(()),
    }
}

fn range(value: &Value) -> Result<Range, String> {
    let [low, high] = serde_json::from_value(value.clone()).map_err(|error| format!("`input_range`: {error}"))?;
    if low < high { Ok(Range { low, high }) } else { Err(format!("`input_range` is from {low} to {high}")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_family_that_isnt_known_is_named_with_those_that_are() {
        let reason = Config::of(json!({"family": "pixelcnn"})).expect_err("refused");
        assert!(reason.contains("\"pixelcnn\", but can be taming, "), "{reason}");
        let reason = Config::of(json!({"hidden_size": 3})).expect_err("refused");
        assert!(reason.contains("no `family`"), "{reason}");
    }

    #[test]
    fn settings_that_change_what_a_model_does_are_refused_where_nothing_does_them() {
        let ddconfig = json!({"ch": 32, "ch_mult": [1], "num_res_blocks": 1, "resolution": 16, "in_channels": 3,
            "z_channels": 8});
        let config = json!({"family": "taming", "n_embed": 16, "embed_dim": 8, "ddconfig": ddconfig});
        assert!(Config::of(config.clone()).is_ok());
        for (path, value) in [
            ("/remap", json!("ids.npy")),
            ("/ddconfig/tanh_out", json!(true)),
            ("/ddconfig/attn_type", json!("linear")),
        ] {
            let mut changed = config.clone();
            let (parent, name) = path.rsplit_once('/').expect("a path");
            changed.pointer_mut(parent).expect("an object")[name] = value;
            let reason = Config::of(changed).expect_err("refused");
            assert!(reason.contains(&format!("`{name}` is")), "{reason}");
        }
    }
}
