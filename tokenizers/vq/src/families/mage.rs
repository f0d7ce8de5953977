//! MAGE's port of MaskGIT's VQGAN (LTH14/mage, `taming/modules/diffusionmodules/model.py`, MIT), by taming's names.

use serde_json::Value;

use super::ddconfig::Vqgan;
use super::maskgit::{self, Port};
use super::{Architecture, Family, settings};

pub(super) const FAMILY: Family = Family { name: "mage", publishes: |_| false, read };

/// Of what `config/vqgan.yaml` has under `model.params`; its `attn_resolutions` build nothing.
fn read(config: Value) -> Result<Box<dyn Architecture>, String> {
    let Vqgan { n_embed, embed_dim, ddconfig } = settings(config)?;
    ddconfig.check()?;
    if embed_dim != ddconfig.z_channels {
        return Err(format!(
            "`embed_dim` is {embed_dim} and `z_channels` {}, but both are the same",
            ddconfig.z_channels
        ));
    }
    let settings = maskgit::Settings {
        channel_mult: ddconfig.ch_mult,
        hidden_channels: ddconfig.ch,
        num_channels: ddconfig.in_channels,
        num_res_blocks: ddconfig.num_res_blocks,
        resolution: ddconfig.resolution,
        z_channels: ddconfig.z_channels,
        num_embeddings: n_embed,
        port: Port::Mage,
    };
    settings.check()?;
    Ok(Box::new(settings))
}
