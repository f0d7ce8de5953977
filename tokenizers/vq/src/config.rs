//! What a model's `config.json` says about its architecture.

use std::path::Path;

use serde::Deserialize;

use super::error::VqError;

/// The settings that a taming-transformers configuration has under `model.params`, and the family beside them.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Config {
    pub family: Family,
    pub n_embed: u32,
    pub embed_dim: usize,
    pub ddconfig: DdConfig,
}

/// The architectures that can be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Family {
    Taming,
}

impl Family {
    /// As `config.json` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Taming => "taming",
        }
    }
}

/// The autoencoder's own settings, by taming's names. What only the decoder or training reads is ignored.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct DdConfig {
    pub ch: usize,
    pub ch_mult: Vec<usize>,
    pub num_res_blocks: usize,
    pub attn_resolutions: Vec<u32>,
    pub resolution: u32,
    pub in_channels: usize,
    pub z_channels: usize,
    #[serde(default)]
    pub double_z: bool,
}

/// Images larger than this would need more memory per image than anyone means to spend.
const LARGEST_SIDE: u32 = 4096;

impl Config {
    /// What the bytes of `path` say, if it can be built.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, VqError> {
        let refuse = |reason: String| VqError::Config { path: path.to_owned(), reason };
        let config: Self = serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    /// How often the encoder halves the image.
    pub fn halvings(&self) -> u32 {
        self.ddconfig.ch_mult.len().saturating_sub(1) as u32
    }

    /// Columns, and rows, of the grid of ids.
    pub fn grid_side(&self) -> u32 {
        self.ddconfig.resolution >> self.halvings()
    }

    fn check(&self) -> Result<(), String> {
        let dd = &self.ddconfig;
        if dd.ch_mult.is_empty() || dd.ch_mult.len() > 8 {
            return Err(format!("`ch_mult` has {} levels; from 1 to 8 can be built", dd.ch_mult.len()));
        }
        let mut widths = dd.ch_mult.iter().map(|multiplier| multiplier.saturating_mul(dd.ch));
        if let Some(width) = widths.find(|width| !valid_width(*width)) {
            return Err(format!("a level has {width} channels; GroupNorm takes multiples of 32, up to 4096"));
        }
        if dd.resolution == 0 || dd.resolution > LARGEST_SIDE || !dd.resolution.is_multiple_of(1 << self.halvings()) {
            return Err(format!(
                "`resolution` is {}, but must be a multiple of {} up to {LARGEST_SIDE}",
                dd.resolution,
                1 << self.halvings()
            ));
        }
        if !valid_width(dd.ch) || dd.num_res_blocks > 64 {
            return Err(format!(
                "`ch` is {} and `num_res_blocks` {}; multiples of 32 up to 4096, and up to 64, can be built",
                dd.ch, dd.num_res_blocks
            ));
        }
        if dd.in_channels != 3 {
            return Err(format!("`in_channels` is {}, but images have 3", dd.in_channels));
        }
        if dd.double_z {
            return Err("`double_z` is true, but a VQ encoder has no variances".to_owned());
        }
        let sizes = [dd.z_channels, self.embed_dim, self.n_embed as usize];
        if sizes.iter().any(|size| *size == 0 || *size > 1 << 20) {
            return Err(format!("`z_channels`, `embed_dim` and `n_embed` are {sizes:?}; each is from 1 to 1048576"));
        }
        Ok(())
    }
}

fn valid_width(width: usize) -> bool {
    width > 0 && width <= 4096 && width.is_multiple_of(super::taming::NORM_GROUPS)
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn config(ddconfig: serde_json::Value) -> Result<Config, String> {
        let mut whole = serde_json::json!({
            "family": "taming", "n_embed": 8, "embed_dim": 4,
            "ddconfig": {"ch": 32, "ch_mult": [1, 2], "num_res_blocks": 1, "attn_resolutions": [], "resolution": 16,
                "in_channels": 3, "z_channels": 4},
        });
        for (name, value) in ddconfig.as_object().into_iter().flatten() {
            whole["ddconfig"][name] = value.clone();
        }
        let config: Config = serde_json::from_value(whole).map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn the_grid_is_halved_between_levels() {
        assert_eq!(config(serde_json::json!({"ch_mult": [1, 1, 2]})).map(|config| config.grid_side()), Ok(4));
    }

    #[test]
    fn what_cant_be_built_is_named() {
        for (setting, named) in [
            (serde_json::json!({"ch": 48}), "48 channels"),
            (serde_json::json!({"ch": 16, "ch_mult": [2]}), "`ch` is 16"),
            (serde_json::json!({"num_res_blocks": 65}), "`num_res_blocks` 65"),
            (serde_json::json!({"resolution": 17}), "`resolution` is 17"),
            (serde_json::json!({"in_channels": 1}), "`in_channels` is 1"),
            (serde_json::json!({"double_z": true}), "`double_z`"),
            (serde_json::json!({"ch_mult": []}), "0 levels"),
            (serde_json::json!({"z_channels": 0}), "`z_channels`"),
        ] {
            let reason = config(setting).map(|_| ()).expect_err("refused");
            assert!(reason.contains(named), "{reason}");
        }
    }
}
