"""Times Pageloom's pixels beside Pillow's and the `image` crate's, on one picture of 1600 x 1200 in several formats.

v/bin/python tests/pixels/bench.py --picture FILE

Milliseconds of CPU time on one thread: medians of rounds in which all of them take turns.
"""

import argparse
import io
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import references

ROUNDS = 7
FORMATS = [
    ("420.jpg", {"quality": 90}),
    ("444.jpg", {"quality": 90, "subsampling": 0}),
    ("progressive-420.jpg", {"quality": 90, "progressive": True}),
    ("progressive-444.jpg", {"quality": 90, "progressive": True, "subsampling": 0}),
    ("rgb.png", {}),
    ("lossy.webp", {"quality": 80}),
]


def pillow(data):
    """Milliseconds to decode, and in all."""
    started = time.thread_time()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    decoded = time.thread_time()
    center_bicubic(image)
    return (decoded - started) * 1e3, (time.thread_time() - started) * 1e3


def crates(examples, path):
    """Milliseconds of Pageloom to decode and in all, then of `image` with `fast_image_resize`."""
    line = subprocess.run([examples / "bench_pixels", path], check=True, capture_output=True, text=True).stdout
    return [float(number) for number in re.findall(r"\d+\.\d+", line.partition(": ours ")[2])]


def center_bicubic(image, size=256):
    image = image.resize(references.scaled(image, size / min(image.size)), Image.BICUBIC)
    return references.center(image, size, size)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--examples", type=Path, default=Path("target/release/examples"))
    arguments = parser.parse_args()
    photo = Image.open(arguments.picture).convert("RGB").resize((1600, 1200), Image.BICUBIC)
    # As much detail as a camera's picture has, which an enlarged one lacks.
    noise = np.random.default_rng(1).normal(0, 4, (1200, 1600, 3))
    photo = Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        for name, options in FORMATS:
            path = Path(folder) / name
            photo.save(path, **options)
            data = path.read_bytes()
            rounds = [[*crates(arguments.examples, path), *pillow(data)] for _ in range(ROUNDS)]
            medians = [statistics.median(column) for column in zip(*rounds)]
            decode, prepared, their_decode, their_all, pillow_decode, pillow_all = medians
            print(
                f"{name:20} {len(data) // 1000:5} kB; decoded, in all: ours {decode:.1f} {prepared:.1f}, "
                f"image + fast_image_resize {their_decode:.1f} {their_all:.1f}, "
                f"Pillow {pillow_decode:.1f} {pillow_all:.1f}, {pillow_all / prepared:.2f} times ours",
                flush=True,
            )


if __name__ == "__main__":
    main()
