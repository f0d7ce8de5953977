"""Writes the golden files of pipeline/masks: published masking rules on injected numbers, with Python's own arithmetic.

python3 tests/masks/golden.py  (needs NumPy; `git diff` must show no change afterwards)
"""

import math
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parents[2] / "pipeline/masks/src/golden"


def uniforms(seed):
    """A linear congruential generator with Knuth's constants: the highest 53 bits as numbers in [0, 1)."""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (seed >> 11) / 2**53


def white(seed, count):
    """`count` uniforms in single precision, as torch.rand has them: multiples of 2^-24."""
    source = uniforms(seed)
    return np.array([math.floor(next(source) * 2**24) / 2**24 for _ in range(count)], np.float32)


def counts():
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
    return "".join(f"{fold}\n" for fold in folds)


def block(wanted, source, side=14, least=16, aspects=(0.3, 1 / 0.3)):
    """BEiT's rule: rectangles until `wanted` cells are masked, or ten in a row don't fit."""
    mask = np.zeros((side, side), int)
    while mask.sum() < wanted:
        most, before = wanted - mask.sum(), mask.sum()
        for _ in range(10):
            area = least + (most - least) * next(source)
            low, high = map(math.log, aspects)
            aspect = math.exp(low + (high - low) * next(source))
            rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if rows < side and columns < side:
                top = int(next(source) * (side - rows + 1))
                left = int(next(source) * (side - columns + 1))
                window = mask[top : top + rows, left : left + columns]
                if 0 < rows * columns - window.sum() <= most:
                    window[:] = 1
                    break
        if mask.sum() == before:
            break
    return np.flatnonzero(mask)


def multi_block(sizes, places, side=16, min_keep=10):
    """I-JEPA's context and four targets: the targets' and the context's size, then places, top and left."""

    def size(scale, aspect):
        drawn = next(sizes)
        area = int(side * side * (scale[0] + drawn * (scale[1] - scale[0])))
        aspect = aspect[0] + drawn * (aspect[1] - aspect[0])
        return [min(round(math.sqrt(area * aspect)), side - 1), min(round(math.sqrt(area / aspect)), side - 1)]

    def place(rows, columns):
        mask = np.zeros((side, side), bool)
        top, left = int(next(places) * (side - rows)), int(next(places) * (side - columns))
        mask[top : top + rows, left : left + columns] = True
        return mask

    target, context = size((0.15, 0.2), (0.75, 1.5)), size((0.85, 1.0), (1.0, 1.0))
    targets = [place(*target) for _ in range(4)]
    tries, avoided = 0, list(targets)
    while True:
        mask = place(*context) & ~np.any(avoided or [np.zeros((side, side), bool)], axis=0)
        if mask.sum() > min_keep:
            break
        tries += 1
        if tries % 20 == 0:
            avoided = avoided[:-1]
    return [("context", np.flatnonzero(mask))] + [("target", np.flatnonzero(target)) for target in targets]


def lines(sections):
    return "".join(f"{name}: {' '.join(map(str, numbers))}\n" for name, numbers in sections)


def main():
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "counts.txt").write_text(counts())
    sections = [("beit", block(75, uniforms(7))), ("data2vec", block(120, uniforms(7)))]
    (FOLDER / "block.txt").write_text(lines(sections))
    (FOLDER / "multi_block.txt").write_text(lines(multi_block(uniforms(3), uniforms(4))))


if __name__ == "__main__":
    main()
