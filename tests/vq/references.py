"""Each family's public code, given weights by the rule, as functions from images to features and ids, and back.

Nothing of it is copied: it is imported from packages, or from clones below the folder that is named.
"""

import importlib.util
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
from omegaconf import OmegaConf
from torch import nn


@dataclass
class Reference:
    """What a family's code does with a configuration."""

    source: str
    config: dict
    modules: nn.ModuleDict
    """Its modules under the names that their tensors have in a file."""
    to_input: Callable[[torch.Tensor], torch.Tensor]
    """Levels from 0 to 255, `[N, 3, H, W]`, as the encoder takes them."""
    features: Callable[[torch.Tensor], torch.Tensor]
    """`[N, C, H, W]`."""
    ids: Callable[[torch.Tensor], torch.Tensor]
    """Of features; `[N, H, W]` or `[N, H, W, D]`."""
    margins: Callable[[torch.Tensor], torch.Tensor]
    """How much worse the second best is than the best at each place; `[N, H, W]`."""
    decode: Callable[[torch.Tensor], torch.Tensor] | None
    """Numbers before they become levels, `[N, 3, H, W]`."""
    squares: int = 6
    wide: int = 2


def module(root: Path, path: str, name: str) -> types.ModuleType:
    """A file of a clone as a module of its own."""
    spec = importlib.util.spec_from_file_location(name, root / path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def places(features: torch.Tensor) -> torch.Tensor:
    return features.permute(0, 2, 3, 1)


def gap(scores: torch.Tensor) -> torch.Tensor:
    """Between the largest and the second largest."""
    best = scores.topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]


def distance_gap(book: torch.Tensor, unit: bool = False) -> Callable[[torch.Tensor], torch.Tensor]:
    def margins(features: torch.Tensor) -> torch.Tensor:
        z, rows = places(features).double(), book.detach().double()
        if unit:
            z, rows = nn.functional.normalize(z, dim=-1), nn.functional.normalize(rows, dim=-1)
        return gap(-torch.cdist(z.flatten(0, 2), rows).square()).reshape(z.shape[:3])

    return margins


def signed(levels: torch.Tensor) -> torch.Tensor:
    return levels / 127.5 - 1.0


def unit(levels: torch.Tensor) -> torch.Tensor:
    return levels / 255.0


def ddconfig(**changed) -> dict:
    return {
        "double_z": False, "z_channels": 16, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
        "ch_mult": [1, 1, 2], "num_res_blocks": 1, "attn_resolutions": [16], "dropout": 0.0, **changed,
    }  # fmt: skip


def taming_like(model: types.ModuleType, config: dict) -> nn.ModuleDict:
    dd = config["ddconfig"]
    return nn.ModuleDict({
        "encoder": model.Encoder(**dd),
        "decoder": model.Decoder(**dd),
        "quant_conv": nn.Conv2d(dd["z_channels"], config["embed_dim"], 1),
        "post_quant_conv": nn.Conv2d(config["embed_dim"], dd["z_channels"], 1),
    })


def through(modules: nn.ModuleDict, *names: str) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(x: torch.Tensor) -> torch.Tensor:
        for name in names:
            x = modules[name](x)
        return x

    return run


def taming(root: Path) -> Reference:
    model = module(root / "taming-transformers", "taming/modules/diffusionmodules/model.py", "taming_model")
    quantize = module(root / "taming-transformers", "taming/modules/vqvae/quantize.py", "taming_quantize")
    config = {"family": "taming", "n_embed": 256, "embed_dim": 8, "ddconfig": ddconfig()}
    modules = taming_like(model, config)
    modules["quantize"] = quantize.VectorQuantizer2(256, 8, beta=0.25)
    book = modules["quantize"].embedding.weight
    return Reference(
        "CompVis/taming-transformers", config, modules, signed, through(modules, "encoder", "quant_conv"),
        lambda z: modules["quantize"](z)[2][2].reshape(len(z), z.shape[2], z.shape[3]), distance_gap(book),
        lambda ids: through(modules, "post_quant_conv", "decoder")(book[ids].permute(0, 3, 1, 2)),
    )  # fmt: skip


def taming_gumbel(root: Path) -> Reference:
    model = module(root / "taming-transformers", "taming/modules/diffusionmodules/model.py", "taming_model")
    quantize = module(root / "taming-transformers", "taming/modules/vqvae/quantize.py", "taming_quantize")
    config = {"family": "taming", "quantizer": "gumbel", "n_embed": 256, "embed_dim": 16, "ddconfig": ddconfig()}
    modules = taming_like(model, config)
    gumbel = quantize.GumbelQuantize(16, 16, n_embed=256)
    modules["quantize"] = gumbel
    scores = through(modules, "encoder", "quant_conv")
    # Its own forward draws noise even when it only encodes; ids are the logits' largest.
    return Reference(
        "CompVis/taming-transformers", config, modules, signed, lambda x: gumbel.proj(scores(x)),
        lambda logits: logits.argmax(1), lambda logits: gap(places(logits).double()),
        lambda ids: through(modules, "post_quant_conv", "decoder")(gumbel.embed.weight[ids].permute(0, 3, 1, 2)),
    )  # fmt: skip


def llamagen(root: Path) -> Reference:
    vq = module(root / "LlamaGen", "tokenizer/tokenizer_image/vq_model.py", "llamagen_vq")
    config = {
        "family": "llamagen", "image_size": 64, "codebook_size": 256, "codebook_embed_dim": 8,
        "encoder_ch_mult": [1, 1, 2], "decoder_ch_mult": [1, 2, 2], "z_channels": 16, "ch": 32, "num_res_blocks": 1,
    }  # fmt: skip
    common = {"ch": 32, "num_res_blocks": 1, "z_channels": 16}
    modules = nn.ModuleDict({
        "encoder": vq.Encoder(ch_mult=[1, 1, 2], **common),
        "decoder": vq.Decoder(ch_mult=[1, 2, 2], **common),
        "quant_conv": nn.Conv2d(16, 8, 1),
        "post_quant_conv": nn.Conv2d(8, 16, 1),
        "quantize": vq.VectorQuantizer(256, 8, 0.25, 0.0, True, True),
    })
    quantize = modules["quantize"]

    def decode(ids: torch.Tensor) -> torch.Tensor:
        rows = quantize.get_codebook_entry(ids.flatten(), (len(ids), 8, *ids.shape[1:]))
        return through(modules, "post_quant_conv", "decoder")(rows)

    return Reference(
        "FoundationVision/LlamaGen", config, modules, lambda x: (x / 255.0 - 0.5) / 0.5,
        through(modules, "encoder", "quant_conv"),
        lambda z: quantize(z)[2][2].reshape(len(z), z.shape[2], z.shape[3]),
        distance_gap(quantize.embedding.weight, unit=True), decode,
    )  # fmt: skip


def chameleon(_: Path) -> Reference:
    from transformers import ChameleonVQVAE, ChameleonVQVAEConfig

    config = ChameleonVQVAEConfig(
        embed_dim=8, num_embeddings=256, latent_channels=16, resolution=64, base_channels=32,
        channel_multiplier=[1, 1, 2], num_res_blocks=1,
    )  # fmt: skip
    model = ChameleonVQVAE(config)
    modules = nn.ModuleDict({
        name: getattr(model, name) for name in ["encoder", "quant_conv", "post_quant_conv", "quantize"]
    })
    written = {name: value for name, value in config.to_dict().items() if value is not None}
    return Reference(
        "transformers", written, modules, signed, through(modules, "encoder", "quant_conv"),
        lambda z: model.quantize(z)[2].reshape(len(z), z.shape[2], z.shape[3]),
        distance_gap(model.quantize.embedding.weight), None,
    )  # fmt: skip


def diffusers_vq(_: Path) -> Reference:
    from diffusers import VQModel

    model = VQModel(
        down_block_types=["DownEncoderBlock2D", "DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
        block_out_channels=[32, 32, 64], layers_per_block=1, latent_channels=16, num_vq_embeddings=256,
        norm_num_groups=16, vq_embed_dim=8, mid_block_add_attention=True, sample_size=32,
    )  # fmt: skip
    return diffusers_reference(model, signed, {})


def diffusers_amused(_: Path) -> Reference:
    from diffusers import VQModel

    # As aMUSEd's, but narrower.
    model = VQModel(
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[32, 64, 96], layers_per_block=2, latent_channels=8, num_vq_embeddings=256,
        mid_block_add_attention=False, lookup_from_codebook=True, force_upcast=True, sample_size=32,
    )  # fmt: skip
    return diffusers_reference(model, unit, {"image_size": 64})


def diffusers_reference(model: nn.Module, to_input: Callable, added: dict) -> Reference:
    modules = nn.ModuleDict(dict(model.named_children()))
    config = {name: value for name, value in model.config.items() if not name.startswith("_")}
    config = {"_class_name": "VQModel", **config, **added}
    quantize = model.quantize
    return Reference(
        "diffusers", config, modules, to_input, lambda x: model.encode(x).latents,
        lambda z: quantize(z)[2][2].reshape(len(z), z.shape[2], z.shape[3]), distance_gap(quantize.embedding.weight),
        lambda ids: through(modules, "post_quant_conv", "decoder")(quantize.embedding.weight[ids].permute(0, 3, 1, 2)),
    )  # fmt: skip


def maskgit(root: Path) -> Reference:
    vq = module(root / "1d-tokenizer", "modeling/modules/maskgit_vqgan.py", "maskgit_vq")
    config = {
        "_class_name": "MaskGitVQGAN", "channel_mult": [1, 1, 2], "num_resolutions": 3, "dropout": 0.0,
        "hidden_channels": 32, "num_channels": 3, "num_res_blocks": 2, "resolution": 64, "z_channels": 16,
        "num_embeddings": 256,
    }  # fmt: skip
    settings = types.SimpleNamespace(**config)
    modules = nn.ModuleDict({
        "encoder": vq.Encoder(settings),
        "decoder": vq.Decoder(settings),
        "quantize": vq.VectorQuantizer(256, 16, 0.25),
    })
    quantize = modules["quantize"]
    return Reference(
        "bytedance/1d-tokenizer", config, modules, unit, modules["encoder"],
        lambda z: quantize.get_code(z).reshape(len(z), z.shape[2], z.shape[3]),
        distance_gap(quantize.embedding.weight), lambda ids: modules["decoder"](quantize.get_codebook_entry(ids)),
    )  # fmt: skip


def mage(root: Path) -> Reference:
    model = module(root / "mage", "taming/modules/diffusionmodules/model.py", "mage_model")
    quantizers = module(root / "mage", "taming/modules/vqvae/quantize.py", "mage_quantize")
    config = {"family": "mage", "n_embed": 256, "embed_dim": 16, "ddconfig": ddconfig()}
    modules = nn.ModuleDict({
        "encoder": model.Encoder(**config["ddconfig"]),
        "decoder": model.Decoder(**config["ddconfig"]),
        "quantize": quantizers.VectorQuantizer2(256, 16, beta=0.25),
    })
    quantize = modules["quantize"]
    return Reference(
        "LTH14/mage", config, modules, unit, modules["encoder"],
        lambda z: quantize(z)[2][2].reshape(len(z), z.shape[2], z.shape[3]), distance_gap(quantize.embedding.weight),
        lambda ids: modules["decoder"](quantize.embedding.weight[ids].permute(0, 3, 1, 2)),
    )  # fmt: skip


def open_magvit2(root: Path) -> Reference:
    folder = root / "SEED-Voken/src/Open_MAGVIT2/modules"
    model = module(folder, "diffusionmodules/improved_model.py", "magvit2_model")
    quantizers = module(folder, "vqvae/lookup_free_quantize.py", "magvit2_quantize")
    dd = ddconfig(z_channels=10, num_res_blocks=2)
    del dd["attn_resolutions"], dd["dropout"]
    config = {"family": "open_magvit2", "n_embed": 1024, "embed_dim": 10, "ddconfig": dd}
    modules = nn.ModuleDict({"encoder": model.Encoder(**dd), "decoder": model.Decoder(**dd)})
    quantize = quantizers.LFQ(dim=10, codebook_size=1024).eval()

    def ids(z: torch.Tensor) -> torch.Tensor:
        (_, _, found), _ = quantize(z, return_loss_breakdown=True)
        return found.reshape(len(z), z.shape[2], z.shape[3])

    def decode(ids: torch.Tensor) -> torch.Tensor:
        n, height, width = ids.shape
        rows = quantize.get_codebook_entry(ids.flatten(1), (n, height, width, 10), "")
        return modules["decoder"](rows)

    return Reference(
        "TencentARC/SEED-Voken", config, modules, signed, modules["encoder"], ids,
        lambda z: places(z).double().abs().amin(-1), decode,
    )  # fmt: skip


def ibq(root: Path) -> Reference:
    folder = root / "SEED-Voken/src/IBQ/modules"
    model = module(folder, "diffusionmodules/model.py", "ibq_model")
    sys.modules.setdefault("src.IBQ.util", types.ModuleType("src.IBQ.util"))
    quantizers = module(folder, "vqvae/quantize.py", "ibq_quantize")
    config = {"family": "ibq", "n_embed": 256, "embed_dim": 8, "ddconfig": ddconfig()}
    modules = taming_like(model, config)
    quantize = quantizers.IndexPropagationQuantize(256, 8)
    modules["quantize"] = quantize
    return Reference(
        "TencentARC/SEED-Voken", config, modules, signed, through(modules, "encoder", "quant_conv"),
        lambda z: quantize(z)[2][2].reshape(len(z), z.shape[2], z.shape[3]),
        lambda z: gap(places(z).double() @ quantize.embedding.weight.double().T),
        lambda ids: through(modules, "post_quant_conv", "decoder")(quantize.embedding.weight[ids].permute(0, 3, 1, 2)),
    )  # fmt: skip


def rq_vae(root: Path) -> Reference:
    package = types.ModuleType("rqvae_files")
    package.__path__ = [str(root / "rq-vae-transformer/rqvae/models/rqvae")]
    sys.modules["rqvae_files"] = package
    model = importlib.import_module("rqvae_files.modules")
    quantizations = importlib.import_module("rqvae_files.quantizations")
    shapes = {"latent_shape": [16, 16, 8], "code_shape": [16, 16, 4], "shared_codebook": True}
    config = {"family": "rq_vae", "n_embed": 256, "embed_dim": 8, "ddconfig": ddconfig(), **shapes}
    modules = taming_like(model, config)
    quantize = quantizations.RQBottleneck(n_embed=256, restart_unused_codes=False, **shapes)
    modules["quantizer"] = quantize

    def margins(z: torch.Tensor) -> torch.Tensor:
        rest, book = places(z).double(), quantize.codebooks[0].weight[:-1].double()
        gaps = []
        for _ in range(4):
            distances = torch.cdist(rest.flatten(0, 2), book).square()
            gaps.append(gap(-distances).reshape(rest.shape[:3]))
            rest = rest - book[distances.argmin(-1)].reshape(rest.shape)
        return torch.stack(gaps).amin(0)

    def decode(ids: torch.Tensor) -> torch.Tensor:
        # `embed_code` takes no other grid than the one that the model was made for.
        rows = quantize.embed_code_with_depth(ids)[0].sum(-2)
        return through(modules, "post_quant_conv", "decoder")(rows.permute(0, 3, 1, 2))

    return Reference(
        "kakaobrain/rq-vae-transformer", config, modules, signed, through(modules, "encoder", "quant_conv"),
        lambda z: quantize.quantize(places(z).contiguous())[1], margins, decode, squares=1, wide=1,
    )  # fmt: skip


def cosmos(root: Path, method: str = "haar") -> Reference:
    sys.path.insert(0, str(root / "Cosmos-Tokenizer"))
    from cosmos_tokenizer.networks.discrete_image import DiscreteImageTokenizer

    config = {
        "image_size": 64, "attn_resolutions": [8], "channels": 32, "channels_mult": [1, 2, 2],
        "spatial_compression": 8, "num_res_blocks": 1, "resolution": 64, "patch_size": 4, "patch_method": method,
        "z_channels": 16, "embedding_dim": 6, "levels": [8, 8, 8, 5, 5, 5],
    }  # fmt: skip
    model = DiscreteImageTokenizer(
        in_channels=3, out_channels=3, dropout=0.0, quantizer="FSQ", dtype=torch.float32, **config
    )
    modules = nn.ModuleDict({
        name: getattr(model, name) for name in ["encoder", "decoder", "quant_conv", "post_quant_conv"]
    })
    levels = torch.tensor(config["levels"])

    def margins(z: torch.Tensor) -> torch.Tensor:
        half = (levels - 1) * (1 + 1e-3) / 2
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        bounded = (places(z).double() + (offset / half).atanh()).tanh() * half - offset
        return (bounded - bounded.floor() - 0.5).abs().amin(-1)

    return Reference(
        "NVIDIA/Cosmos-Tokenizer", {"family": "cosmos", **config}, modules, signed,
        through(modules, "encoder", "quant_conv"), lambda z: model.quantizer(z)[0].long(), margins,
        model.decode_code, squares=30, wide=4,
    )  # fmt: skip


def cosmos_rearrange(root: Path) -> Reference:
    reference = cosmos(root, "rearrange")
    reference.squares, reference.wide = 2, 1
    return reference


def dalle(root: Path) -> Reference:
    sys.path.insert(0, str(root / "DALL-E"))
    from dall_e.decoder import Decoder
    from dall_e.encoder import Encoder
    from dall_e.utils import map_pixels

    config = {"family": "dalle", "image_size": 64, "n_hid": 64, "n_init": 16, "n_blk_per_group": 1, "vocab_size": 512}
    modules = nn.ModuleDict({
        "encoder": Encoder(n_hid=64, n_blk_per_group=1, vocab_size=512),
        "decoder": Decoder(n_init=16, n_hid=64, n_blk_per_group=1, vocab_size=512),
    })

    def decode(ids: torch.Tensor) -> torch.Tensor:
        one_hot = nn.functional.one_hot(ids, 512).permute(0, 3, 1, 2).float()
        return torch.sigmoid(modules["decoder"](one_hot)[:, :3])

    return Reference(
        "openai/DALL-E", config, modules, lambda x: map_pixels(x / 255.0), modules["encoder"],
        lambda z: z.argmax(1), lambda z: gap(places(z).double()), decode, squares=28, wide=3,
    )  # fmt: skip


def narrow(vit: nn.Module, blocks: types.ModuleType, size: dict) -> None:
    """Makes a transformer of TiTok small: the published sizes are far too slow for a test, and its code knows no others."""
    width = vit.width = size["width"]
    vit.num_layers = size["layers"]
    vit.transformer = nn.ModuleList(blocks.ResidualAttentionBlock(width, size["heads"]) for _ in range(size["layers"]))
    vit.ln_pre, vit.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
    for name in ["class_embedding", "positional_embedding", "latent_token_positional_embedding", "mask_token"]:
        if hasattr(vit, name):
            setattr(vit, name, nn.Parameter(torch.zeros(*getattr(vit, name).shape[:-1], width)))


def titok(root: Path, **changed) -> Reference:
    sys.path.insert(0, str(root / "1d-tokenizer"))
    from modeling.modules import blocks, maskgit_vqgan
    from modeling.titok import TiTok

    size, pixels = {"width": 64, "layers": 2, "heads": 2}, None
    vq_model = {
        "codebook_size": 256, "token_size": 12, "use_l2_norm": True, "commitment_cost": 0.25,
        "vit_enc_model_size": "small", "vit_dec_model_size": "small", "vit_enc_patch_size": 16, "vit_dec_patch_size": 16,
        "num_latent_tokens": 128, "is_legacy": False, "finetune_decoder": False, **changed,
    }  # fmt: skip
    config = {"model": {"vq_model": vq_model}, "dataset": {"preprocessing": {"crop_size": 64}}}
    model = TiTok(OmegaConf.create(config))
    width = size["width"]
    narrow(model.encoder, blocks, size)
    model.encoder.patch_embed = nn.Conv2d(3, width, 16, 16)
    model.encoder.conv_out = nn.Conv2d(width, vq_model["token_size"], 1)
    model.latent_tokens = nn.Parameter(torch.zeros(vq_model["num_latent_tokens"], width))
    narrow(model.decoder, blocks, size)
    model.decoder.decoder_embed = nn.Linear(vq_model["token_size"], width)
    first = model.decoder.ffn[0]
    if vq_model["is_legacy"]:
        model.decoder.ffn[0] = nn.Conv2d(width, 2 * width, 1)
        model.decoder.ffn[2] = nn.Conv2d(2 * width, 128, 1)
        pixels = {"channel_mult": [1, 1, 1, 1, 2], "hidden_channels": 32, "num_res_blocks": 1, "z_channels": 16,
                  "num_embeddings": 128}  # fmt: skip
        vqgan = OmegaConf.create({"num_channels": 3, "num_resolutions": 5, "dropout": 0.0, "resolution": 64, **pixels})
        model.pixel_decoder = maskgit_vqgan.Decoder(vqgan)
        model.pixel_quantize = maskgit_vqgan.VectorQuantizer(128, 16, 0.25)
    else:
        model.decoder.ffn[0] = nn.Conv2d(width, first.out_channels, 1)
    config = {
        **config,
        "model": {"vq_model": {
            **vq_model, "vit_enc_model_size": size, "vit_dec_model_size": size,
            **({"pixel_decoder": pixels} if pixels else {}),
        }},
    }  # fmt: skip
    return Reference(
        "bytedance/1d-tokenizer", config, model, unit, lambda x: model.encoder(x, model.latent_tokens),
        lambda z: model.quantize(z)[1]["min_encoding_indices"],
        distance_gap(model.quantize.embedding.weight, unit=True), model.decode_tokens,
        squares=16, wide=0,
    )  # fmt: skip


def titok_mixed(root: Path) -> Reference:
    reference = titok(root, is_legacy=True, finetune_decoder=True, num_latent_tokens=32)
    reference.squares = 8
    return reference


def dar(root: Path) -> Reference:
    sys.path.insert(0, str(root / "D-AR"))
    from tokenizer.tokenizer_image.vq_model import VQModel

    config = {
        "encoder_patch_size": 8, "num_encoder_layers": 2, "num_decoder_layers": 0, "query_low_rank": True,
        "encoder_dim": 128, "decoder_dim": 64, "vq_dim": 8, "vq_codebook_size": 256, "num_denoising_steps": 8,
        "num_query_groups": 8, "num_all_queries": 256, "queries_per_step": 32, "vq_enable": True,
        "diff_decoder": {"in_dim": 3, "out_dim": 3, "dim": 64, "cond_dim": 64, "patch_size": 8, "depth": 1},
    }  # fmt: skip
    model = VQModel(config).eval()
    modules = nn.ModuleDict({
        name: getattr(model, name)
        for name in ["encoder_layers", "patchify", "quant_in_conv", "query_embedding", "query_linear", "quantize"]
    })
    quantised = []
    model.quantize.register_forward_pre_hook(lambda _, inputs: quantised.append(inputs[0]))

    def features(x: torch.Tensor) -> torch.Tensor:
        model.encode(x, just_code=True)
        return quantised.pop()

    def ids(z: torch.Tensor) -> torch.Tensor:
        found = model.quantize(z)[2][-1].reshape(len(z), 1, -1)
        quantised.clear()
        return found

    return Reference(
        "showlab/D-AR", {"family": "dar", "image_size": 64, **config}, modules, signed, features, ids,
        distance_gap(model.quantize.embedding.weight, unit=True), None,
    )  # fmt: skip


ALL = [
    taming, taming_gumbel, llamagen, chameleon, diffusers_vq, diffusers_amused, maskgit, mage, open_magvit2, ibq,
    rq_vae, cosmos, cosmos_rearrange, dalle, titok, titok_mixed, dar,
]  # fmt: skip
