"""Writes what each family's public code makes of models and images that follow from their names.

    python tests/vq/golden.py CLONES [FAMILY ...]

CLONES is a folder with clones of CompVis/taming-transformers, FoundationVision/LlamaGen, bytedance/1d-tokenizer,
LTH14/mage, TencentARC/SEED-Voken, kakaobrain/rq-vae-transformer, NVIDIA/Cosmos-Tokenizer, openai/DALL-E and showlab/D-AR;
diffusers and transformers come from pip, as do torch, torchvision, timm, einops, accelerate, omegaconf, loguru, attrs and
requests. The tests of `pageloom-vq` read the files.
"""

import json
import sys
from pathlib import Path

import numpy as np
import references
import rule
import torch

FOLDER = Path(__file__).parents[2] / "tokenizers/vq/src/families/testdata"
SQUARE, WIDE = (64, 64), (96, 64)
CLOSE = 1e-3


def give_weights(modules: torch.nn.ModuleDict) -> dict[str, list[int]]:
    """Every tensor by its name; the shapes that a file has."""
    shapes = {}
    for name, tensor in modules.state_dict().items():
        if name.endswith(("codebook_used", "embed_ema", "cluster_size_ema")):
            continue
        tensor.copy_(torch.from_numpy(rule.weight(name, tuple(tensor.shape))))
        shapes[name] = list(tensor.shape)
    # Tensors that are one under several names got the last name's numbers; a file is asked for the first.
    for name, tensor in modules.state_dict().items():
        if name in shapes and name.startswith("quantizer.codebooks.0."):
            tensor.copy_(torch.from_numpy(rule.weight(name, tuple(tensor.shape))))
    return shapes


def some(numbers: torch.Tensor, count: int) -> list[list[float]]:
    """Places and their numbers, evenly spread over an image's `[C, H, W]` in the order place by place."""
    flat = numbers.permute(1, 2, 0).flatten()
    spread = np.linspace(0, len(flat) - 1, count).astype(int)
    return [[int(place), round(float(flat[place]), 7)] for place in spread]


def golden(reference: references.Reference) -> dict:
    shapes = give_weights(reference.modules)
    reference.modules.eval()
    images, decoded, distinct = [], [], set()
    for index in range(reference.squares + reference.wide):
        width, height = SQUARE if index < reference.squares else WIDE
        levels = torch.from_numpy(rule.image(index, width, height)).float().permute(2, 0, 1)[None]
        features = reference.features(reference.to_input(levels))
        ids, margins = reference.ids(features)[0], reference.margins(features)[0].flatten()
        close = [[place, round(float(margin), 7)] for place, margin in enumerate(margins) if margin < CLOSE]
        images.append({
            "width": width, "height": height, "ids": ids.flatten().tolist(), "close": close,
            "features": some(features[0], 12),
        })  # fmt: skip
        distinct.update(ids.flatten().tolist())
        if reference.decode and index in (0, reference.squares):
            decoded.append({"image": index, "numbers": some(reference.decode(ids[None])[0], 60)})
    count = sum(len(image["ids"]) for image in images)
    print(f"{count} ids, {len(distinct)} different, {sum(len(image['close']) for image in images)} close", flush=True)
    return {
        "reference": reference.source, "config": reference.config, "shapes": shapes, "images": images,
        "decoded": decoded,
    }  # fmt: skip


def main() -> None:
    clones, wanted = Path(sys.argv[1]), sys.argv[2:]
    FOLDER.mkdir(exist_ok=True)
    torch.set_grad_enabled(False)
    for build in references.ALL:
        if wanted and build.__name__ not in wanted:
            continue
        print(build.__name__, end=": ", flush=True)
        file = FOLDER / f"{build.__name__}.json"
        file.write_text(json.dumps(golden(build(clones)), separators=(",", ":")) + "\n")


main()
