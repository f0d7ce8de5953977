"""Writes the golden files of `pageloom-masks`: what public masking code makes of our draws.

python tests/masks/golden.py CLONES [NAME ...]

CLONES is a folder with a clone of each repository in `references.COMMITS`, named `owner+name`; `bash tests/masks/run` makes it.
`git diff` must show no change afterwards.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch

import formulas
import references

FOLDER = Path(__file__).parents[2] / "pipeline/masks/src/golden"


def packed(cells: list[int]) -> str:
    return np.packbits(np.array(cells, bool), bitorder="little").tobytes().hex()


def golden(case: references.Case) -> dict:
    images, ids = [], []
    for image in range(case.images):
        masks = []
        for view in range(case.views):
            made = case.layers(case, f"image {image}".encode(), view)
            layers, *orders = made if isinstance(made, tuple) else (made,)
            masks.append([packed(layer) for layer in layers])
            if orders and not ids:
                ids = orders
        images.append(masks)
    reference = case.reference
    written = {"reference": reference.source, "licence": reference.licence, "config": case.config, "grid": case.grid}
    if case.scores:
        written["scores"] = case.scores
    if ids:
        written |= {"ids_keep": ids[0], "ids_restore": ids[1]}
    return {**written, "masks": images}


def counts() -> list[int]:
    """Every rule over all grids from 7x7 to 32x32 and ratios from 0.05 to 0.95, folded into one number each."""
    folds = [0] * 5
    for cells in (rows * columns for rows in range(7, 33) for columns in range(7, 33)):
        for ratio in (number / 20 for number in range(1, 20)):
            masked = [
                cells - int(cells * (1 - ratio)),
                cells - round(cells * (1 - ratio)),
                int(ratio * cells),
                math.ceil(cells * ratio),
                max(1, round(cells * ratio)),
            ]
            folds = [(fold * 31 + number) % 2**64 for fold, number in zip(folds, masked)]
    return folds


def write(name: str, contents) -> None:
    (FOLDER / name).write_text(json.dumps(contents, separators=(",", ":")) + "\n")


def main() -> None:
    clones, wanted = Path(sys.argv[1]), sys.argv[2:]
    torch.set_grad_enabled(False)
    (FOLDER / "masks").mkdir(parents=True, exist_ok=True)
    (FOLDER / "counts.txt").write_text("".join(f"{fold}\n" for fold in counts()))
    drawn, laws = references.laws(clones)
    # NumPy's cosines and logarithms differ in their last bit from one processor to the next.
    for law in laws:
        law["shares"] = [round(share, 13) for share in law["shares"]]
    write("laws.json", {"drawn": drawn, "laws": laws})
    write("schedules.json", formulas.lmd_schedules())
    cases = [case for reference in references.ALL for case in reference(clones)] + list(formulas.cases())
    for case in cases:
        if not wanted or case.name in wanted:
            print(f"{case.name}: {case.images} images x {case.views} views", flush=True)
            write(f"masks/{case.name}.json", golden(case))


if __name__ == "__main__":
    main()
