"""Makes the small PyTorch checkpoints that `tokenizers/vq/src/checkpoint/tests.rs` reads.

    python tests/vq/make_checkpoints.py

Needs torch and numpy. Each holds the tensors that `tensors` makes, saved the ways that trainers do.
"""

import argparse
import collections
import datetime
import sys
import types
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parents[2] / "tokenizers/vq/src/checkpoint/testdata"


def tensors() -> dict[str, torch.Tensor]:
    """One of each kind: number `i` is `i / 4`, so that every precision holds it."""
    base = torch.arange(24, dtype=torch.float32) / 4
    return {
        "encoder.f32": base.reshape(2, 3, 4).clone(),
        "encoder.f16": base.half().reshape(4, 6),
        "encoder.bf16": base.bfloat16().reshape(4, 6),
        "encoder.f64": base.double(),
        "encoder.transposed": base.reshape(4, 6).t(),
        "encoder.every_other": base[1::2],
        "encoder.shared": base[8:12],
        "encoder.parameter": torch.nn.Parameter(base[:6].reshape(2, 3).clone()),
        "encoder.scalar": torch.tensor(0.5),
        "encoder.empty": torch.zeros(0, 3),
        "encoder.channels_last": base.reshape(1, 2, 3, 4).clone().to(memory_format=torch.channels_last),
        "quantize.count": torch.arange(3),
        "loss.weight": base[:2].clone(),
    }


def foreign_class() -> type:
    """A class of a module that no reader has, as a configuration library's are."""
    module = types.ModuleType("settings_of_a_library")
    container = type("Container", (), {"__module__": module.__name__})
    module.Container = container
    sys.modules[module.__name__] = module
    return container


def lightning() -> dict:
    """What surrounds the weights in a Lightning checkpoint."""
    weights = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(weights.parameters())
    weights(torch.ones(2)).sum().backward()
    optimizer.step()
    settings = foreign_class()()
    settings.__dict__.update({"ch_mult": [1, 2], "_parent": settings})
    return {
        "epoch": 3,
        "global_step": 2**40,
        "pytorch-lightning_version": "1.9.5",
        "state_dict": collections.OrderedDict(tensors()),
        "callbacks": {"ModelCheckpoint": {"best": torch.tensor(1.5), "monitor": None, "seen": {1, 2}}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {
            "config": settings, "arguments": argparse.Namespace(lr=1e-4), "scale": np.float64(0.5),
            "array": np.arange(3), "when": datetime.timedelta(1), "where": Path("runs"), "dtype": torch.float32,
        },
    }  # fmt: skip


def main() -> None:
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    torch.save(tensors(), FOLDER / "plain.pt")
    torch.save(lightning(), FOLDER / "lightning.ckpt")
    averages = {name: value for name, value in tensors().items() if name == "encoder.f32"}
    other = {name: -value for name, value in averages.items()}
    torch.save({"model": other, "ema": averages, "steps": 7}, FOLDER / "averaged.pt")
    parallel = {f"module.{name}": value for name, value in averages.items()}
    torch.save({"model": parallel}, FOLDER / "parallel.pt")
    torch.save(tensors(), FOLDER / "legacy.bin", _use_new_zipfile_serialization=False)


main()
