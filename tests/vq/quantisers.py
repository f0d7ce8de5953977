"""Writes what public quantisers make of vectors that follow from their names.

    python tests/vq/quantisers.py CLONES [VECTORS [QUANTISER ...]]

CLONES is as for `golden.py`. Golden files hold 1,000 vectors; with more, the tests of `pageloom-vq` compare more.
"""

import json
import sys
import types
from pathlib import Path
from typing import Callable

import numpy as np
import rule
import torch
from references import gap, module

FOLDER = Path(__file__).parents[2] / "tokenizers/vq/src/quantise/testdata"
CLOSE = 2e-5
TOGETHER = 4096


def book(name: str, rows: int, dimension: int) -> torch.Tensor:
    return torch.from_numpy(rule.weight(f"codebook {name}", (rows, dimension)))


def distances(z: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Squared, in double precision, so that what products round away is far below any margin that counts."""
    z, rows = z.double(), rows.double()
    return z.square().sum(-1, keepdim=True) + rows.square().sum(-1) - 2 * z @ rows.T


def nearest(root: Path) -> tuple[int, int, float, Callable, Callable]:
    quantize = module(root / "taming-transformers", "taming/modules/vqvae/quantize.py", "taming_quantize")
    taming = quantize.VectorQuantizer2(1024, 16, beta=0.25)
    taming.embedding.weight.copy_(book("nearest", 1024, 16))
    return (
        1024, 16, 1.5, lambda z: taming(z[:, :, None, None])[2][2].flatten(),
        lambda z: gap(-distances(z, taming.embedding.weight)),
    )  # fmt: skip


def cosine(root: Path) -> tuple[int, int, float, Callable, Callable]:
    vq = module(root / "LlamaGen", "tokenizer/tokenizer_image/vq_model.py", "llamagen_vq")
    llamagen = vq.VectorQuantizer(16384, 8, 0.25, 0.0, True, False).eval()
    llamagen.embedding.weight.copy_(book("cosine", 16384, 8))
    unit = torch.nn.functional.normalize
    rows = unit(llamagen.embedding.weight.double(), dim=-1)
    return (
        16384, 8, 3.0, lambda z: llamagen(z[:, :, None, None])[2][2],
        lambda z: gap(2 * unit(z.double(), dim=-1) @ rows.T),
    )  # fmt: skip


def product(root: Path) -> tuple[int, int, float, Callable, Callable]:
    sys.modules.setdefault("src.IBQ.util", types.ModuleType("src.IBQ.util"))
    quantizers = module(root / "SEED-Voken/src/IBQ/modules", "vqvae/quantize.py", "ibq_quantize")
    ibq = quantizers.IndexPropagationQuantize(4096, 16)
    ibq.embedding.weight.copy_(book("product", 4096, 16))
    return (
        4096, 16, 2.0, lambda z: ibq(z[:, :, None, None])[2][2],
        lambda z: gap(z.double() @ ibq.embedding.weight.double().T),
    )  # fmt: skip


def signs(root: Path) -> tuple[int, int, float, Callable, Callable]:
    quantizers = module(root / "SEED-Voken/src/Open_MAGVIT2/modules", "vqvae/lookup_free_quantize.py", "magvit2_quantize")
    lfq = quantizers.LFQ(dim=18, codebook_size=2**18).eval()
    return (
        0, 18, 1.0, lambda z: lfq(z[:, :, None, None], return_loss_breakdown=True)[0][2].flatten(),
        lambda z: z.abs().amin(-1),
    )  # fmt: skip


def levels(root: Path) -> tuple[int, int, float, Callable, Callable]:
    sys.path.insert(0, str(root / "Cosmos-Tokenizer"))
    from cosmos_tokenizer.modules.quantizers import FSQuantizer

    sizes = [8, 8, 8, 5, 5, 5]
    fsq = FSQuantizer(levels=sizes, dtype=torch.float32)

    def margins(z: torch.Tensor) -> torch.Tensor:
        size = torch.tensor(sizes)
        half, offset = (size - 1) * (1 + 1e-3) / 2, torch.where(size % 2 == 0, 0.5, 0.0)
        bounded = (z.double() + (offset / half).atanh()).tanh() * half - offset
        return (bounded - bounded.floor() - 0.5).abs().amin(-1)

    return 0, 6, 2.5, lambda z: fsq(z[:, :, None, None])[0].flatten(), margins


def residual(root: Path) -> tuple[int, int, float, Callable, Callable]:
    quantizations = module(root / "rq-vae-transformer", "rqvae/models/rqvae/quantizations.py", "rq_quantize")
    shape = {"latent_shape": [1, 1, 16], "code_shape": [1, 1, 4]}
    rq = quantizations.RQBottleneck(n_embed=1024, shared_codebook=True, restart_unused_codes=False, **shape).eval()
    rows = book("residual", 1024, 16)
    rq.codebooks[0].weight[:-1] = rows

    def margins(z: torch.Tensor) -> torch.Tensor:
        rest, gaps = z.double(), []
        for _ in range(4):
            apart = distances(rest, rows)
            gaps.append(gap(-apart))
            rest = rest - rows.double()[apart.argmin(-1)]
        return torch.stack(gaps).amin(0)

    return 1024, 16, 3.0, lambda z: rq.quantize(z[:, None, None, :])[1].reshape(len(z), 4), margins


def main() -> None:
    clones = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    torch.set_grad_enabled(False)
    FOLDER.mkdir(exist_ok=True)
    for build in [nearest, cosine, product, signs, levels, residual]:
        name = build.__name__
        if len(sys.argv) > 3 and name not in sys.argv[3:]:
            continue
        rows, dimension, scale, ids_of, margins_of = build(clones)
        vectors = rule.numbers(f"vectors {name}", count * dimension).reshape(count, dimension) * scale
        ids, close = [], []
        for first in range(0, count, TOGETHER):
            z = torch.from_numpy(vectors[first : first + TOGETHER].astype(np.float32))
            ids.extend(ids_of(z).flatten().tolist())
            margins = margins_of(z)
            for place in (margins < CLOSE).nonzero().flatten().tolist():
                close.append([first + place, float(f"{float(margins[place]):.3g}")])
        golden = {"vectors": count, "dimension": dimension, "scale": scale, "rows": rows, "ids": ids, "close": close}
        (FOLDER / f"{name}.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
        print(f"{name}: {count} vectors, {len(set(ids))} different ids, {len(close)} close", flush=True)


main()
