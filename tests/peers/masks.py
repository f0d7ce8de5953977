"""Masks a second on one core: Pageloom beside NumPy and PyTorch, in turns.

python3 tests/peers/masks.py target/release/examples/bench_masks [ROUNDS]  (needs NumPy and PyTorch)
"""

import subprocess
import sys
import time

import numpy as np
import torch

BATCH, SIDE, CELLS, VISIBLE = 4096, 14, 196, 49


def mae_torch():
    order = torch.argsort(torch.rand(BATCH, CELLS), dim=1)
    mask = torch.ones(BATCH, CELLS)
    mask[:, :VISIBLE] = 0
    return torch.gather(mask, 1, torch.argsort(order, dim=1))


def mae_numpy():
    order = np.argsort(np.random.default_rng().random((BATCH, CELLS), np.float32), axis=1)
    mask = np.ones((BATCH, CELLS), np.float32)
    np.put_along_axis(mask, order[:, :VISIBLE], 0, axis=1)
    return mask


PATTERNS = torch.randn(3072, 64, 64)


def colormae_torch():
    """ColorMAE's masks from stored noise, one crop and its flips for a batch."""
    top, left = torch.randint(0, 64 - SIDE + 1, (2,)).tolist()
    window = PATTERNS[:, top : top + SIDE, left : left + SIDE]
    window = window.flip(2) if torch.rand(1) < 0.5 else window
    window = window.flip(1) if torch.rand(1) < 0.5 else window
    window = window / window.amax((1, 2), keepdim=True)
    order = torch.argsort(window.reshape(len(window), -1), dim=1, descending=True)
    mask = torch.ones(len(window), CELLS)
    mask[:, :VISIBLE] = 0
    return torch.gather(mask, 1, torch.argsort(order, dim=1))


def filtered_numpy():
    """Fresh noise for each image, filtered on a torus by FFT, as Pageloom's color_noise is."""
    side = 38
    frequencies = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side)[None] ** 2
    response = sum(sign * np.exp(-2 * np.pi**2 * s * s * frequencies) for sign, s in ((1, 0.63), (-1, 1.75))) ** 5
    noise = np.random.standard_normal((BATCH // 8, side, side))
    field = np.fft.irfft2(np.fft.rfft2(noise) * response, s=(side, side))[:, :SIDE, :SIDE].reshape(-1, CELLS)
    order = np.argsort(-field, axis=1)
    mask = np.ones((len(field), CELLS), np.float32)
    np.put_along_axis(mask, order[:, :VISIBLE], 0, axis=1)
    return mask


PEERS = (
    ("MAE, PyTorch", mae_torch, "random"),
    ("MAE, NumPy", mae_numpy, "random"),
    ("ColorMAE (stored noise), PyTorch", colormae_torch, "color_noise green"),
    ("filtered per image, NumPy", filtered_numpy, "color_noise green"),
)


def ours(bench, seconds):
    """Masks a second of each strategy, in one short run."""
    found = {}
    output = subprocess.run([bench, str(SIDE), str(seconds)], capture_output=True, text=True, check=True).stdout
    for line in output.splitlines():
        if "masks/s" in line:
            name, number = line.split(" masks/s")[0].rsplit(maxsplit=1)
            found[name.strip()] = float(number)
    return found


def rate(draw):
    start = time.perf_counter()
    masks = len(draw())
    return masks / (time.perf_counter() - start)


def main():
    torch.set_num_threads(1)
    # In turns, and the best of many, because others use the machine too.
    best = {}
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 10):
        for name, number in ours(sys.argv[1], 0.1).items():
            best[name] = max(best.get(name, 0), number)
        for peer, draw, _ in PEERS:
            for _ in range(3):
                best[peer] = max(best.get(peer, 0), rate(draw))
    for peer, _, name in PEERS:
        print(f"{peer:34} {best[peer]:10.0f}/s  {name:18} {best[name]:10.0f}/s  {best[name] / best[peer]:6.1f} times")


if __name__ == "__main__":
    main()
