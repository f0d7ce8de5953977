"""Numbers that follow from a name: the weights and images that golden files are made with.

`tokenizers/vq/src/families/tests.rs` makes the same ones, so that a golden file needs none of them.
"""

import numpy as np


def numbers(name: str, count: int) -> np.ndarray:
    """Numbers from -1 to 1: SplitMix64 of FNV-1a of the name, plus the place."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        x = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64)
        x = x * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(40)).astype(np.float64) / 2**23 - 1.0


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor of a model: codebooks as they come, the rest so that numbers neither grow nor vanish."""
    x = numbers(name, int(np.prod(shape)))
    if "embed" in name or "codebook" in name:
        pass
    elif len(shape) == 1:
        norm = ("norm" in name or "ln_" in name) and name.endswith("weight")
        x = 1.0 + 0.2 * x if norm else 0.1 * x
    else:
        x = x * np.sqrt(3.0 / np.prod(shape[1:]))
        if name.endswith(".w"):
            # Nothing is normalised behind these, and what all places have in common would drown what they haven't.
            x = x.reshape(shape[0], -1)
            x = x - x.mean(1, keepdims=True)
    return x.reshape(shape).astype(np.float32)


def image(index: int, width: int, height: int) -> np.ndarray:
    """Levels, `[height, width, 3]`: squares of one colour, of another size in each of five images that follow."""
    side = 2 ** (index % 5)
    level = np.floor((numbers(f"image {index}", width * height * 3) + 1.0) * 128.0).astype(np.uint8)
    level = level.reshape(height, width, 3)
    return level[np.arange(height) // side][:, np.arange(width) // side]
