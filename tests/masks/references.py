"""Public masking code, run on the draws that Pageloom makes for the same image.

Nothing of it is copied: classes and functions are taken out of files of pinned commits, by name, and run as they stand there,
without what else those files import. Their random functions answer with the draws that they are given. Only code under
permissive licences is here; for the rest see `formulas.py`.
"""

import ast
import math
import subprocess
import types
from pathlib import Path

import numpy as np
import torch
from einops import rearrange

from draws import Streams, not32

COMMITS = {
    "open-mmlab/mmpretrain": ("ee7f2e88501f61aa95c742dd5f429f039935ee90", "Apache-2.0"),
    "carlosh93/ColorMAE": ("f0ad557d3f37c9298b776da23002c40b9e846470", "Apache-2.0"),
    "mx-mark/DMJD": ("881b21d220a44c8068b9042b46f981aa5254a67a", "MIT"),
    "microsoft/unilm": ("768a3c873f598bb9b4d4dfb9267b099e35f8fe56", "MIT"),
    "facebookresearch/data2vec_vision": ("af9a36349aaed59ae66e69b5dabeef2d62fdc5da", "MIT"),
    "facebookresearch/fairseq": ("3d262bb25690e4eb2e7d3c1309b1e9c406ca4b99", "MIT"),
    "microsoft/SimMIM": ("d3e29bcac950b83edc34ca33fe4404f38309052c", "MIT"),
    "OpenGVLab/VideoMAEv2": ("29eab1e8a588d1b3ec0cdec7b03a86cca491b74b", "MIT"),
    "SenseTime-FVG/OpenDWM": ("b0ecc3d4020612376ea5a87500f98bc76893428f", "MIT"),
    "FengheTan9/MambaMIM": ("471c2f6d49eff5cf9cfce1330dc5124204130de5", "Apache-2.0"),
    "OpenDriveLab/maskalign": ("250d018a0724520a3274a27e4923a011a98c70f0", "Apache-2.0"),
    "gkakogeorgiou/attmask": ("9f62061fb3afd42c09dd4b7cc6b8fa38013df018", "Apache-2.0"),
    "google-research/maskgit": ("1db23594e1bd328ee78eadcd148a19281cd0f5b8", "Apache-2.0"),
    "huggingface/open-muse": ("64e1afe033717d795866ab8204484705cd4dc3f7", "Apache-2.0"),
    "bytedance/1d-tokenizer": ("942a96fbdd873780179d1b78d5462911528bf8c8", "Apache-2.0"),
    "LTH14/mage": ("1becb14475354fc40df35ba7c7c7bf418a137cd3", "MIT"),
    "valeoai/Halton-MaskGIT": ("f61b0a1314717004dc7487531fd16a8bb71e1888", "MIT"),
}


class Reference:
    """Names out of one file of a pinned commit, for which `torch.rand` and the like are what is injected."""

    def __init__(self, clones: Path, repository: str, path: str):
        commit, self.licence = COMMITS[repository]
        self.source = f"{repository}@{commit[:7]} {path}"
        clone = clones / repository.replace("/", "+")
        text = subprocess.run(["git", "-C", clone, "show", f"{commit}:{path}"], check=True, capture_output=True, text=True)
        self.tree = ast.parse(text.stdout)

    def take(self, name: str, **names):
        """The class or function, or `Class.method` as a plain function; `names` are what it finds beside it."""
        self.source += f" {name}" if name not in self.source else ""
        found, body = None, self.tree.body
        for part in name.split("."):
            found = next(node for node in body if getattr(node, "name", None) == part)
            body = getattr(found, "body", [])
        found.decorator_list = []
        scope = {"math": math, "np": np, "torch": torch, "rearrange": rearrange, **names}
        from_typing = "from typing import *"
        exec(compile(ast.Module([*ast.parse(from_typing).body, found], []), self.source, "exec"), scope)
        return scope[found.name]


class Instead:
    """A module in which some names are others."""

    def __init__(self, module, **others):
        self.__dict__.update(others)
        self.module = module

    def __getattr__(self, name):
        return getattr(self.module, name)


def giving(*noises):
    """A `torch.rand` that gives these in turn, in the shape that is asked for."""
    queue = list(noises)
    return lambda *shape, **_: torch.as_tensor(queue.pop(0)).reshape(shape[0] if isinstance(shape[0], tuple) else shape)


def stable(values, dim=-1, descending=False):
    return torch.sort(values, dim=dim, descending=descending, stable=True).indices


def torch_with(**others):
    return Instead(torch, argsort=stable, **others)


class Case:
    """One strategy with its settings on one grid, and what the reference makes of an image."""

    def __init__(self, name, strategy, settings, grid, layers, reference, views=1, scores=None, images=24):
        self.name, self.config, self.grid = name, {strategy: settings}, list(grid)
        self.layers, self.reference, self.views, self.scores = layers, reference, views, scores
        self.images, self.streams = images, Streams(1, f"patch masks: {strategy}")


def flat(array) -> list[int]:
    return [int(cell) for cell in np.asarray(array).reshape(-1)]


def mae(clones):
    reference = Reference(clones, "open-mmlab/mmpretrain", "mmpretrain/models/selfsup/mae.py")

    def layers(case, key, view):
        cells = math.prod(case.grid)
        noise = case.streams.of(key, view).white(cells)
        masking = reference.take("MAEViT.random_masking", torch=torch_with(rand=giving(noise)))
        ratio = case.config["random"]["ratio"]
        # The sequence's own numbers are the cells, so that what is kept are their ids.
        kept, mask, restore = masking(None, torch.arange(cells).reshape(1, cells, 1), ratio)
        return [flat(mask)], flat(kept), flat(restore)

    for grid, ratio in (((1, 14, 14), 0.75), ((1, 16, 16), 0.6), ((8, 14, 14), 0.9), ((1, 7, 10), 0.35)):
        name = f"mae_{'x'.join(map(str, grid[1:] if grid[0] == 1 else grid))}_{round(100 * ratio)}"
        yield Case(name, "random", {"ratio": ratio}, grid, layers, reference, views=2)


def dmjd(clones):
    reference = Reference(clones, "mx-mark/DMJD", "models_dmjd.py")

    def layers(case, key, view):
        settings, cells = case.config["disjoint"], math.prod(case.grid)
        blocks = cells // settings["block"] ** 2
        visible = int(blocks * (1 - settings["ratio"]))
        # The reference leaves the last of a permutation visible: our next ranks, the first ones of what was masked.
        permuted = lambda count, **_: torch.roll(torch.arange(count), -visible)
        names = {"torch": torch_with(rand=giving(case.streams.of(key, 0).white(blocks)), randperm=permuted)}
        method = "random_masking" if settings["block"] == 1 else "block_masking"
        names["expand_patches_indice"] = reference.take("expand_patches_indice")
        masking = reference.take(f"DMJDConViT.{method}", **names)
        model = types.SimpleNamespace(patch_embed3=types.SimpleNamespace(num_patches=cells))
        _, masks, _ = masking(model, torch.zeros(1, cells, 1), settings["ratio"])
        return [flat(masks[view])]

    for ratio, block in ((0.75, 1), (0.6, 1), (0.6, 2), (0.75, 2)):
        settings = {"ratio": ratio, "views": 2, "block": block}
        name = f"dmjd_{'blocks' if block > 1 else 'cells'}_{round(100 * ratio)}"
        yield Case(name, "disjoint", settings, (1, 14, 14), layers, reference, views=2)


def beit(clones):
    def of(repository, ratio, count, name):
        reference = Reference(clones, repository, "beit/masking_generator.py")

        def layers(case, key, view):
            draws = case.streams.of(key, view)
            random = types.SimpleNamespace(
                uniform=lambda low, high: low + (high - low) * draws.uniform(),
                randint=lambda low, high: low + int(draws.uniform() * (high - low + 1)),
            )
            generator = reference.take("MaskingGenerator", random=random, np=Instead(np, int=int))
            return [flat(generator(14, count, min_num_patches=16)())]

        return Case(name, "block", {"ratio": ratio}, (1, 14, 14), layers, reference)

    yield of("microsoft/unilm", 0.3827, 75, "beit")
    yield of("facebookresearch/data2vec_vision", 0.6123, 120, "data2vec")


def data2vec_2(clones):
    reference = Reference(clones, "facebookresearch/fairseq", "fairseq/data/data_utils.py")

    def layers(case, key, view):
        settings, cells = case.config["inverse_block"], math.prod(case.grid)
        draws = case.streams.of(key, view)

        def without_replacement(weights, count, replacement):
            assert not replacement
            chosen = []
            while len(chosen) < count:
                cell = draws.within(0, cells)
                if weights[cell] > 0 and cell not in chosen:
                    chosen.append(cell)
            return torch.tensor(chosen, dtype=torch.long)

        def centres(low, high, size):
            return torch.tensor([draws.within(low, high) for _ in range(size[1])]).reshape(size)

        names = {"torch": torch_with(randint=centres, multinomial=without_replacement)}
        masking = reference.take("compute_block_mask_2d", **names)
        shape, block = (1, cells), settings["block"]
        return [flat(masking(shape, settings["ratio"], block, settings["adjust"], inverse_mask=True))]

    for side, ratio, adjust, block in ((14, 0.8, 0.07, 3), (14, 0.75, 0.1, 3), (16, 0.65, 0.3, 4), (20, 0.65, 0.1, 3)):
        settings = {"ratio": ratio, "adjust": adjust, "block": block}
        name = f"data2vec_2_{side}_{round(100 * ratio)}"
        yield Case(name, "inverse_block", settings, (1, side, side), layers, reference)


def simmim(clones):
    reference = Reference(clones, "microsoft/SimMIM", "data/data_simmim.py")

    def layers(case, key, view):
        def permutation(count):
            # Masked are the first ones of the reference, and the highest ones of ours.
            return stable(torch.tensor(case.streams.of(key, view).white(count))).flip(0).numpy()

        random = types.SimpleNamespace(permutation=permutation)
        generator = reference.take("MaskGenerator", np=Instead(np, random=random))
        settings = case.config["cells"]
        return [flat(generator(192, 32, 32 // settings["block"], settings["ratio"])())]

    for name, block in (("simmim_swin", 8), ("simmim_vit", 2)):
        side = 6 * block
        yield Case(name, "cells", {"ratio": 0.6, "block": block}, (1, side, side), layers, reference)


def video_mae(clones):
    reference = Reference(clones, "OpenGVLab/VideoMAEv2", "dataset/masking_generator.py")

    def tube(case, key, view, ratio):
        def shuffle(items):
            order = stable(torch.tensor(case.streams.of(key, view).white(len(items)))).numpy()
            items[order] = items.copy()

        random = types.SimpleNamespace(shuffle=shuffle)
        generator = reference.take("TubeMaskingGenerator", np=Instead(np, random=random))
        return flat(generator(tuple(case.grid), ratio)())

    def cells(case, key, view, ratio):
        # A stream of its own, because the first numbers of the image's stream have made the tubes.
        random = types.SimpleNamespace(randint=lambda high: case.streams.of(key, not32(view)).within(0, high))
        names = {"np": Instead(np, random=random)}
        names["Cell"] = reference.take("Cell", **names)
        generator = reference.take("RunningCellMaskingGenerator", **names)
        return flat(generator(tuple(case.grid), ratio)())

    for ratio in (0.75, 0.9):
        layers = lambda case, key, view: [tube(case, key, view, case.config["tube"]["ratio"])]
        yield Case(f"tube_{round(100 * ratio)}", "tube", {"ratio": ratio}, (8, 14, 14), layers, reference, images=8)

    def both(case, key, view):
        settings = case.config["running_cell"]
        return [tube(case, key, view, settings["ratio"]), cells(case, key, view, settings["decoder_ratio"])]

    for share in (0.25, 0.5, 0.75):
        settings = {"ratio": 0.9, "decoder_ratio": share}
        name = f"running_cell_{round(100 * share)}"
        yield Case(name, "running_cell", settings, (8, 14, 14), both, reference, images=8)


def mask_gwm(clones):
    reference = Reference(clones, "SenseTime-FVG/OpenDWM", "src/dwm/models/mask_layers.py")

    def layers(case, key, view):
        settings, (frames, rows, columns) = case.config["rows"], case.grid
        draws = case.streams.of(key, view)
        drawn, noise = draws.uniform(), draws.white(math.prod(case.grid))

        def rand(*shape, **_):
            if math.prod(shape) == 1:
                return torch.tensor(drawn, dtype=torch.float64).reshape(shape)
            return torch.tensor(noise[: math.prod(shape)]).reshape(shape)

        model = types.SimpleNamespace(
            mask_ratio=settings["ratio"],
            mae_mask_type="row_t_rc" if settings["constant_by_rows"] else "mix_constant_row_t",
            mae_mask_probs={"constant": settings["constant"]},
            forward_mix_interpolater=True,
            use_origin_mask_token=None,
        )
        masking = reference.take("MaskController.random_masking", torch=torch_with(rand=rand))
        frame = torch.zeros(1, frames, rows * columns, 1)
        _, found, _ = masking(model, frame, H=rows, W=columns)
        return [flat(found["mask"])]

    for by_rows in (False, True):
        settings = {"ratio": 0.25, "constant": 0.5, "constant_by_rows": by_rows}
        name = f"mask_gwm_{'row_t_rc' if by_rows else 'mix_constant_row_t'}"
        yield Case(name, "rows", settings, (3, 8, 16), layers, reference)


def mamba_mim(clones):
    reference = Reference(clones, "FengheTan9/MambaMIM", "models/MambaMIM.py")

    def layers(case, key, view):
        side = case.grid[0] // case.config["hierarchical_3d"]["scale"]
        noise = giving(case.streams.of(key, view).white(side**3))
        mask = reference.take("MambaMIM.mask", torch=torch_with(rand=noise))
        keep = round(side**3 * (1 - case.config["hierarchical_3d"]["ratio"]))
        model = types.SimpleNamespace(fmap_h=side, fmap_w=side, fmap_d=side, len_keep=keep)
        active = mask(model, 1, "cpu").reshape(1, side, side, side)
        for axis in (1, 2, 3):
            active = active.repeat_interleave(case.grid[0] // side, axis)
        return [flat(~active)]

    for side, ratio, scale in ((6, 0.75, 1), (6, 0.6, 1), (12, 0.75, 2)):
        name = f"mamba_mim_{side}_{round(100 * ratio)}"
        settings = {"ratio": ratio, "scale": scale}
        yield Case(name, "hierarchical_3d", settings, (side, side, side), layers, reference, images=8)


def attention_of(cells: int, image: int) -> list[float]:
    """Different numbers for all cells, which `golden.rs` makes too."""
    return [float((cell * 37 + image * 11) % 997 + 1) for cell in range(cells)]


def att_mask(clones):
    reference = Reference(clones, "gkakogeorgiou/attmask", "attmask.py")

    def layers(case, key, view):
        settings, cells = case.config["attention"], math.prod(case.grid)
        attention = torch.tensor([attention_of(cells, int(key.split()[1]))])
        draws = case.streams.of(key, view)
        whether = torch.tensor([draws.uniform()])

        def shown(top, count):
            order = stable(attention[0]).flip(0)[: int(top.sum())]
            assert bool(top[0, order].all())
            return order[draws.choose(count, len(order))].reshape(1, count)

        names = {"torch": torch_with(rand=lambda *_, **__: whether, multinomial=shown)}
        names["attention_masking"] = reference.take("attention_masking", **names)
        names["show_hints"] = reference.take("show_hints", **names)
        names["get_mask"] = reference.take("get_mask", **names)
        mode, hint = settings["mode"], {"show_ratio": 0, "show_max": 0}
        if isinstance(mode, dict):
            mode, hint = "hint", mode["hint"]
        masking = reference.take("AttMask", **names)
        return [flat(masking(attention, 1.0, f"attmask_{mode}", settings["ratio"], **hint))]

    for name, mode in (("high", "high"), ("low", "low"), ("hint", {"hint": {"show_ratio": 0.05, "show_max": 0.1}})):
        settings = {"ratio": 0.35, "mode": mode, "probability": 1.0}
        yield Case(f"att_mask_{name}", "attention", settings, (1, 14, 14), layers, reference, scores="attention")


def mask_align(clones):
    reference = Reference(clones, "OpenDriveLab/maskalign", "models_pretrain.py")

    def layers(case, key, view):
        cells = math.prod(case.grid)
        draws = case.streams.of(key, view)
        draws.uniform()  # whether attention decides

        def drawn(weights, count, replacement):
            # Exponential times over their rates: who comes first is drawn by the rates.
            assert count == cells and not replacement
            times = [np.float32(-math.log(1.0 - draws.uniform()) / float(weight)) for weight in weights[0]]
            return stable(torch.tensor(np.array(times))).reshape(1, cells)

        masking = reference.take("MaskedAutoencoderViT.attention_masking", torch=torch_with(multinomial=drawn))
        attention = torch.tensor([attention_of(cells, int(key.split()[1]))])
        _, kept = masking(None, torch.zeros(1, cells, 1), case.config["attention"]["ratio"], attention)
        mask = np.ones(cells, int)
        mask[flat(kept)] = 0
        return [flat(mask)]

    settings = {"ratio": 0.7, "mode": "drawn", "probability": 1.0}
    yield Case("mask_align", "attention", settings, (1, 14, 14), layers, reference, scores="attention")


def muse(clones):
    reference = Reference(clones, "huggingface/open-muse", "training/train_muse.py")
    schedules = Reference(clones, "huggingface/open-muse", "muse/sampling.py")
    schedule = schedules.take("cosine_schedule")

    def layers(case, key, view):
        cells = math.prod(case.grid)
        draws = case.streams.of(key, view)
        drawn, noise = draws.uniform(), draws.white(cells)
        # Masked are the cells whose number in a permutation is low, and those with the highest noise of ours: the sorted
        # permutation has to give each cell its place from the highest noise on.
        place = np.empty(cells, int)
        place[stable(torch.tensor(noise)).flip(0).numpy()] = np.arange(cells)
        uniforms = np.empty(cells)
        uniforms[place] = np.arange(cells) / cells
        names = {"torch": torch_with(rand=giving(np.float64(drawn), uniforms))}
        masking = reference.take("mask_or_random_replace_tokens", **names)
        training = Settings(min_masking_rate=case.config["token_schedule"]["min_ratio"])
        tokens = torch.zeros(1, cells, dtype=torch.long)
        return [flat(masking(tokens, 7, Settings(training=training), schedule)[0] == 7)]

    for side, least in ((16, 0.0), (32, 0.0), (16, 0.4)):
        settings = {"law": "cosine", "min_ratio": least, "count": "mask_rounded_at_least_one", "order": "random"}
        name = f"muse_{side}_{round(100 * least)}"
        yield Case(name, "token_schedule", settings, (1, side, side), layers, reference, images=12)


class Settings(dict):
    __getattr__ = dict.__getitem__


def mage(clones):
    reference = Reference(clones, "LTH14/mage", "models_mage.py")

    def layers(case, key, view):
        law, cells = case.config["token_schedule"]["law"]["truncated_normal"], math.prod(case.grid)
        draws = case.streams.of(key, view)
        draws.uniform()  # which other laws take the share from
        share = 2.0
        while not law["low"] <= share <= law["high"]:
            share = law["mean"] + law["deviation"] * draws.normal()
        # The reference masks the lowest numbers, and Pageloom the highest.
        noise = np.float32(1 - 2**-24) - draws.white(cells)

        class OnCpu(torch.Tensor):
            def cuda(self, **_):
                return self

        others = {"rand": giving(noise), "zeros": lambda *shape: torch.zeros(*shape).as_subclass(OnCpu)}
        forward = reference.take("MaskedGenerativeEncoderViT.forward_encoder", torch=torch_with(**others))
        indices = torch.zeros(1, cells, dtype=torch.long)
        model = types.SimpleNamespace(
            vqgan=types.SimpleNamespace(encode=lambda _: (torch.zeros(1), None, (None, None, indices))),
            mask_ratio_min=law["low"],
            mask_ratio_generator=types.SimpleNamespace(rvs=lambda _: [share]),
            mask_token_label=1, fake_class_label=0, blocks=[],
            token_emb=lambda ids: torch.zeros(*ids.shape, 1), norm=lambda x: x,
        )  # fmt: skip
        _, _, dropped, masked = forward(model, torch.zeros(1))
        return [flat(masked[:, 1:]), flat(dropped[:, 1:])]

    law = {"truncated_normal": {"low": 0.5, "high": 1.0, "mean": 0.55, "deviation": 0.25}}
    settings = {"law": law, "min_ratio": 0.5, "count": "mask_ceil", "order": "random", "dropped": 0.5}
    yield Case("mage", "token_schedule", settings, (1, 16, 16), layers, reference)


def halton(clones):
    reference = Reference(clones, "valeoai/Halton-MaskGIT", "Sampler/halton_sampler.py")
    build = reference.take("HaltonSampler.build_halton_mask")
    schedule = Reference(clones, "huggingface/open-muse", "muse/sampling.py").take("cosine_schedule")

    def layers(case, key, view):
        side, cells = case.grid[1], math.prod(case.grid)
        order = [row * side + column for row, column in build(side).tolist()]
        assert len(order) == cells
        share = float(schedule(torch.tensor(case.streams.of(key, view).uniform(), dtype=torch.float64)))
        mask = np.zeros(cells, int)
        mask[order[cells - max(1, round(cells * share)) :]] = 1
        return [flat(mask)]

    for side in (8, 14, 16, 24, 32):
        settings = {"law": "cosine", "min_ratio": 0.0, "count": "mask_rounded_at_least_one", "order": "halton"}
        yield Case(f"halton_{side}", "token_schedule", settings, (1, side, side), layers, reference, images=12)


def color_mae(clones):
    from formulas import filtered_noise, stored_window

    reference = Reference(clones, "carlosh93/ColorMAE", "models/utils/masking_generator.py")

    def masked(case, window):
        model = types.SimpleNamespace(mask_ratio=case.config["color_noise"]["ratio"], device="cpu")
        masking = reference.take("ColorMasking.color_noise_mask", torch=torch_with())
        mask, restore, kept = masking(model, torch.as_tensor(window)[None])
        return [flat(mask)], flat(kept), flat(restore)

    def layers(case, key, view):
        color = case.config["color_noise"]["color"]
        return masked(case, filtered_noise(case.streams.of(key, view), case.grid[1:], color))

    for color in ("white", "red", "green", "blue", "purple"):
        settings = {"ratio": 0.75, "color": color}
        yield Case(f"color_mae_{color}", "color_noise", settings, (1, 14, 14), layers, reference, images=12)

    def shared(case, key, view):
        settings = case.config["color_noise"]
        return masked(case, stored_window(case.streams, key, view, case.grid[1:], settings))

    window = {"patterns": 3, "size": 20}
    settings = {"ratio": 0.75, "color": "green", "shared_window": window}
    yield Case("color_mae_shared_window", "color_noise", settings, (1, 14, 14), shared, reference, views=3, images=8)


def laws(clones):
    """The share that each law of MaskGIT and of MaskGen gives for a drawn number."""
    maskgit = Reference(clones, "google-research/maskgit", "maskgit/libml/mask_schedule.py")
    # NumPy in JAX's place, so that it computes in double precision.
    jax = types.SimpleNamespace(lax=types.SimpleNamespace(cos=np.cos))
    schedule = maskgit.take("schedule", jax=jax, jnp=np)
    maskgen = Reference(clones, "bytedance/1d-tokenizer", "modeling/maskgen.py")
    ratio = maskgen.take("get_masking_ratio")
    drawn = [number / 64 for number in range(1, 64)]
    found = []
    for law, method in (
        ("uniform", "uniform"), ({"power": {"exponent": 2.0}}, "pow2"), ({"power": {"exponent": 0.5}}, "pow0.5"),
        ({"power": {"exponent": 3.0}}, "pow3"), ("cosine", "cosine"), ("log", "log"), ("exp", "exp"),
    ):  # fmt: skip
        for tokens in (256, 1024):
            shares = [float(schedule(np.float64(u), tokens, method)) for u in drawn]
            found.append({"reference": maskgit.source, "law": law, "tokens": tokens, "shares": shares})
    for law, mode in (
        ("uniform", "linear"), ({"power": {"exponent": 2.0}}, "square"), ({"power": {"exponent": 0.5}}, "root"),
        ("cosine", "cosine"), ("arccos", "arccos"),
    ):  # fmt: skip
        shares = [float(ratio(torch.tensor(u, dtype=torch.float64), mode)) for u in drawn]
        found.append({"reference": maskgen.source, "law": law, "tokens": 256, "shares": shares})
    return drawn, found


ALL = [
    mae, color_mae, dmjd, beit, data2vec_2, simmim, video_mae, mask_gwm, mamba_mim, att_mask, mask_align, muse, mage, halton,
]  # fmt: skip

if __name__ == "__main__":
    for listed, (pinned, _) in COMMITS.items():
        print(listed, pinned)
