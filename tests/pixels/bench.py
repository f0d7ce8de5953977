"""Times Pageloom's pixels beside Pillow's, on one picture of 1600 x 1200 in several formats.

v/bin/python tests/pixels/bench.py --picture FILE
"""

import argparse
import io
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import references

ROUNDS = 15


def milliseconds(work):
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


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
        for name, options in [
            ("420.jpg", {"quality": 90}),
            ("444.jpg", {"quality": 90, "subsampling": 0}),
            ("progressive.jpg", {"quality": 90, "progressive": True}),
            ("rgb.png", {}),
            ("lossy.webp", {"quality": 80}),
        ]:
            path = Path(folder) / name
            photo.save(path, **options)
            data = path.read_bytes()
            decoded = milliseconds(lambda: Image.open(io.BytesIO(data)).load())
            image = Image.open(io.BytesIO(data)).convert("RGB")
            resized = milliseconds(lambda: center_bicubic(image))
            print(f"{len(data) // 1000} kB; Pillow {decoded:.2f} ms decoded, {resized:.2f} ms resized", flush=True)
            subprocess.run([arguments.examples / "bench_pixels", path], check=True)


if __name__ == "__main__":
    main()
