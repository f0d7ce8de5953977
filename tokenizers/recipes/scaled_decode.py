"""Writes squares of JPEG photos that were decoded at full, half and quarter scale, to compare their ids.

    python train_vq.py fetch --photos photos
    python scaled_decode.py photos squares      # squares/1, squares/2 and squares/4
    cargo run --release -p pageloom-vq --example changed_ids -- MODEL squares/1 squares/2 squares/4

A JPEG decoder can make a smaller picture of the lower frequencies of each 8x8 block, which is faster than to decode all and
resize. Both are resized to 256 pixels on the short side as Pillow does it (bicubic), and the middle is cut out.
"""

import pathlib
import sys

from PIL import Image
from train_vq import listed

SIDE, SCALES = 256, (1, 2, 4)


def square(path: pathlib.Path, scale: int) -> Image.Image:
    picture = Image.open(path)
    full = picture.size
    picture.draft("RGB", (full[0] // scale, full[1] // scale))
    assert picture.size == tuple(-(-side // scale) for side in full), (path, picture.size)
    factor = SIDE / min(picture.size)
    picture = picture.resize([max(SIDE, round(side * factor)) for side in picture.size], Image.BICUBIC)
    left, top = ((side - SIDE) // 2 for side in picture.size)
    return picture.crop((left, top, left + SIDE, top + SIDE))


def main() -> None:
    photos, out = map(pathlib.Path, sys.argv[1:])
    Image.MAX_IMAGE_PIXELS = None
    paths = sorted(path for held_out in (False, True) for path in listed(photos, held_out) if path.suffix == ".jpg")
    used = 0
    for index, path in enumerate(paths):
        with Image.open(path) as picture:
            # Anything smaller would be enlarged at a quarter of its size, which nobody would do.
            if picture.format != "JPEG" or picture.mode != "RGB" or min(picture.size) < SIDE * SCALES[-1]:
                continue
        used += 1
        for scale in SCALES:
            (out / str(scale)).mkdir(parents=True, exist_ok=True)
            square(path, scale).save(out / str(scale) / f"{index:02}.png")
    print(f"{used} photos")


main()
