"""Holds Pageloom's perceptual hashes against imagehash's.

    python tests/pixels/phash.py golden
    python tests/pixels/phash.py compare --pictures FOLDER [FOLDER ...]

`golden` writes the file that the tests of `pageloom-vq` read, from images that follow from their number. `compare` takes
pictures from folders, and every kind of file that can be made of some, as `parity.py` does; it needs
`cargo build --release -p pageloom-vq --examples`. Exit code 1 where a hash differs. Needs the packages of requirements.txt
(Pillow 13 resizes some images rows first, and gives them other pixels), and ImageHash 4.3.2 with SciPy 1.17.1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

import images

sys.path.append(str(Path(__file__).parents[1] / "vq"))
import rule  # noqa: E402

GOLDEN = Path(__file__).parents[2] / "tokenizers/vq/src/pixels/testdata/phash.json"


def mirrored(levels):
    places = np.arange(levels.shape[1])
    return levels[:, np.minimum(places, places[::-1])]


CHANGES = {
    "": lambda levels: levels,
    "mirrored": mirrored,
    "twice mirrored": lambda levels: mirrored(mirrored(levels).swapaxes(0, 1)).swapaxes(0, 1),
    "stripes": lambda levels: np.broadcast_to(levels[:1], levels.shape),
    "one colour": lambda levels: np.broadcast_to(levels[:1, :1], levels.shape),
}


def golden():
    rows = []
    for index in range(520):
        # From one pixel to some more than what the image is made small to, in every relation of the sides.
        width, height = 1 + index * 37 % 101, 1 + index * 53 % 89
        change = list(CHANGES)[index % 8 if index % 8 < len(CHANGES) else 0]
        levels = np.ascontiguousarray(CHANGES[change](rule.image(index, width, height)))
        found = str(imagehash.phash(Image.fromarray(levels)))
        rows.append({"index": index, "width": width, "height": height, "change": change, "hash": found})
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    GOLDEN.write_text(f"[\n{lines}\n]\n")


def theirs(path):
    try:
        with Image.open(path) as image:
            return str(imagehash.phash(image.convert("RGB")))
    except (OSError, SyntaxError, ValueError, ZeroDivisionError, Image.DecompressionBombError):
        return None


def compare(arguments):
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        listed = images.build(arguments.pictures, work, arguments.photos, arguments.found)
        (work / "list").write_text("\n".join(str(path) for _, path in listed))
        command = [arguments.examples / "perceptual_hash", work / "list"]
        ours = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        kinds, different = defaultdict(lambda: [0, 0, 0]), 0
        for (kind, path), mine in zip(listed, ours, strict=True):
            reference = theirs(path)
            row = kinds[kind]
            row[0] += 1
            if mine.startswith("image_") or reference is None:
                row[2] += 1
            elif mine == reference:
                row[1] += 1
            else:
                different += 1
                print(f"{kind}: {path.name}: {mine} for {reference}")
    print(f"{'':24} images  equal  refused")
    for kind, (count, equal, refused) in kinds.items():
        print(f"{kind:24} {count:6} {equal:6} {refused:8}")
    equal, refused = (sum(row[column] for row in kinds.values()) for column in (1, 2))
    print(f"{'all':24} {len(listed):6} {equal:6} {refused:8}")
    return different


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["golden", "compare"])
    parser.add_argument("--pictures", nargs="+", default=[])
    parser.add_argument("--examples", type=Path, default=Path("target/release/examples"))
    parser.add_argument("--photos", type=int, default=6, help="pictures to make every mode of")
    parser.add_argument("--found", type=int, default=1000, help="pictures to take as they are")
    arguments = parser.parse_args()
    if arguments.what == "golden":
        golden()
    else:
        sys.exit(int(compare(arguments) > 0))


if __name__ == "__main__":
    main()
