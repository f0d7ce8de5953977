"""Runs the Python of `pipeline/masks/README.md` on stored masks, and holds what it gives against what trainers need."""

import json
import re
from pathlib import Path

import numpy as np

CRATE = Path(__file__).parents[2] / "pipeline/masks"


def main() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (CRATE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    names = {}
    for block in blocks:
        exec(block, names)
    golden = json.loads((CRATE / "src/golden/masks/mae_14x14_75.json").read_text())
    bitmaps = [bytes.fromhex(layers[0]) for views in golden["masks"] for layers in views]
    masks = names["unpacked"](bitmaps, 196)
    ids_keep, ids_restore = names["ids"](masks)
    assert masks.shape == (48, 196) and ids_keep.shape == (48, 49) and ids_restore.shape == (48, 196)
    # The reference's own order is that of its noise: the same cells.
    assert sorted(golden["ids_keep"]) == ids_keep[0].tolist()
    for mask, keep, restore in zip(masks, ids_keep, ids_restore):
        patches = np.arange(196) + 1000
        decoder = np.concatenate([patches[keep], np.full(196 - len(keep), -1)])[restore]
        assert (decoder == np.where(mask == 1, -1, patches)).all()
    print(f"{len(blocks)} blocks of README.md give what trainers need of {len(masks)} masks")


if __name__ == "__main__":
    main()
