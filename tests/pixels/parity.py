"""Holds Pageloom's pixels against Pillow's, image by image and recipe by recipe, and prints a table.

python3 -m venv v && v/bin/pip install -r tests/pixels/requirements.txt
cargo build --release -p pageloom-vq --examples
v/bin/python tests/pixels/parity.py --pictures FOLDER [FOLDER ...]

Exit code 1 where an image of a mode that is to be equal isn't.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

import images
import references

DECODE = {"resize": "keep", "sampling": "box", "crop": "whole"}


def recipe_files(examples, work):
    subprocess.run([examples / "recipes", work], check=True)
    for name, alpha in [("decode", "dropped"), ("decode_on_white", "on_white")]:
        (work / f"{name}.json").write_text(json.dumps({"orientation": "ignored", "alpha": alpha, **DECODE}))


def ours(examples, recipe, paths, work):
    """For each path a list of arrays, or the reason it was refused."""
    (work / "list").write_text("\n".join(map(str, paths)))
    out = work / "out.rgb"
    command = [examples / "prepare", recipe, work / "list", out]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[1:]
    pixels, at, results = np.memmap(out, np.uint8, "r"), 0, []
    for line in lines:
        words = line.split()
        if words[0] != "ok":
            results.append(line)
            continue
        crops = []
        for size in words[3:]:
            width, height = map(int, size.split("x"))
            crops.append(pixels[at : at + width * height * 3].reshape(height, width, 3))
            at += width * height * 3
        results.append(crops)
    return results


def theirs(reference, path):
    try:
        with Image.open(path) as image:
            crops = reference(image)
            return crops and [np.asarray(crop) for crop in crops]
    except (OSError, SyntaxError, ValueError, ZeroDivisionError, Image.DecompressionBombError) as error:
        return f"refused: {error}"


def difference(mine, reference):
    """The largest difference of a level and the part of levels that differ, or what is in the way of comparing."""
    if isinstance(mine, str) or isinstance(reference, str) or reference is None:
        both = isinstance(mine, str) and not isinstance(reference, list)
        return (0, 0.0) if both else f"ours {str(mine)[:90]!r}, theirs {str(reference)[:60]!r}"
    if [crop.shape for crop in mine] != [crop.shape for crop in reference]:
        return f"shapes {[c.shape for c in mine]} and {[c.shape for c in reference]}"
    apart = [np.abs(a.astype(np.int16) - b) for a, b in zip(mine, reference)]
    return max(int(a.max()) for a in apart), float(np.mean([np.mean(a > 0) for a in apart]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", nargs="+", required=True)
    parser.add_argument("--examples", type=Path, default=Path("target/release/examples"))
    parser.add_argument("--photos", type=int, default=10, help="pictures to make every mode of")
    parser.add_argument("--found", type=int, default=400, help="pictures to take as they are")
    parser.add_argument("--recipes", nargs="*")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        listed = images.build(arguments.pictures, work, arguments.photos, arguments.found)
        recipe_files(arguments.examples, work)
        print(f"{len(listed)} images")
        failed = False
        for reference in references.RECIPES:
            if arguments.recipes and reference.__name__ not in arguments.recipes:
                continue
            failed |= compare(reference, listed, arguments, work)
    sys.exit(int(failed))


def compare(reference, listed, arguments, work):
    mine = ours(arguments.examples, work / f"{reference.__name__}.json", [path for _, path in listed], work)
    table, failed = defaultdict(lambda: [0, 0, 0, 0.0, []]), False
    for (mode, path), own in zip(listed, mine, strict=True):
        row = table[mode]
        row[0] += 1
        apart = difference(own, theirs(reference, path))
        if isinstance(apart, str):
            row[4].append(f"{path.name}: {apart}")
            failed = True
            continue
        row[1] += apart[0] == 0
        row[2] = max(row[2], apart[0])
        row[3] = max(row[3], apart[1])
        failed |= apart[0] > 0
        if apart[0] > 0:
            row[4].append(str(path))
    print(f"\n{reference.__name__:24} images  equal  largest  part")
    total = [sum(row[0] for row in table.values()), sum(row[1] for row in table.values())]
    for mode, (count, equal, largest, part, notes) in table.items():
        if equal < count or arguments.verbose:
            print(f"{mode:24} {count:6} {equal:6} {largest:8} {part:6.4f}  {'; '.join(notes[:2])}")
    print(f"{'all':24} {total[0]:6} {total[1]:6}", flush=True)
    return failed


if __name__ == "__main__":
    main()
