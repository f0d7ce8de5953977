"""Draws every picture of the demo site, the broken ones too, into site/.

    python3 -m venv drawing-venv && drawing-venv/bin/pip install numpy==2.4.6 pillow==13.0.0
    drawing-venv/bin/python jobs/demo/draw_images.py

The same versions give the same bytes: every picture draws from its own generator, seeded by its path.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from drawing import diagrams, plants, scenery, textures
from drawing.noise import to_image

SITE = Path(__file__).resolve().parent / "site"

RAIN = [71, 52, 58, 44, 49, 61, 66, 78, 83, 96, 98, 88]
VISITORS = [2.1, 2.4, 3.0, 2.8, 3.6, 4.4, 4.1, 5.2, 6.0, 5.7, 2.2, 3.9, 6.8, 7.4]
MEAN_HIGH = [6, 7, 9, 12, 16, 19, 21, 21, 18, 14, 9, 7]
MEAN_LOW = [1, 1, 2, 4, 7, 10, 12, 12, 10, 7, 4, 2]


def view(season, **options):
    return lambda random, width, height: to_image(scenery.landscape(random, width, height, season, **options))


def plain(drawing, *arguments, **options):
    """A drawing that needs no size of its own."""
    return lambda random, width, height: drawing(random, width, height, *arguments, **options)


def square(drawing, *arguments, **options):
    return lambda random, width, height: drawing(random, width, *arguments, **options)


def steady(drawing, *arguments):
    """A drawing without chance in it."""
    return lambda random, width, height: drawing(*arguments)


def old(season, **options):
    return lambda random, width, height: textures.old_photograph(random, view(season, **options)(random, width, height))


def on(background, drawing):
    """A transparent drawing put on paper, for formats without transparency."""

    def draw(random, width, height):
        sheet = Image.new("RGB", (width, height), background)
        drawn = drawing(random, width, height)
        sheet.paste(drawn, (0, 0), drawn)
        return sheet

    return draw


def in_ink(drawing):
    """For print: cyan, magenta, yellow, black."""
    return lambda random, width, height: drawing(random, width, height).convert("CMYK")


def few_colours(count, drawing):
    return lambda random, width, height: drawing(random, width, height).quantize(count)


def turned(drawing):
    """Stored on its side, as a phone does; the EXIF tag of the same picture says how to turn it back."""
    return lambda random, width, height: drawing(random, height, width).transpose(Image.Transpose.ROTATE_90)


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


JPEG = {"quality": 80}
PROGRESSIVE = {"quality": 80, "progressive": True}

# path: (width, height, drawing, how to save it)
PICTURES = {
    "img/marsh-dawn.jpg": (640, 420, view("dawn", water=0.34), PROGRESSIVE),
    "img/marsh-dawn-320.jpg": (320, 210, view("dawn", water=0.34), JPEG),
    "img/hills-summer.jpg": (512, 340, view("summer"), JPEG),
    "img/wood-autumn.jpg": (480, 320, view("autumn", ridges=5), JPEG),
    "img/snow.jpg": (480, 300, view("winter"), PROGRESSIVE),
    "img/dunes.jpg": (480, 320, view("sand", horizon=0.38), JPEG),
    "img/tidal-meadow.jpg": (560, 350, view("summer", water=0.42), JPEG),
    "img/panorama.jpg": (640, 120, view("autumn", water=0.3), JPEG),
    "img/pond.webp": (480, 360, view("summer", horizon=0.35, water=0.5), {"quality": 75}),
    "img/lighthouse-day.jpg": (400, 560, plain(scenery.lighthouse, "summer"), JPEG),
    "img/lighthouse-dusk.jpg": (320, 440, plain(scenery.lighthouse, "dawn"), PROGRESSIVE),
    "img/lighthouse-night.jpg": (400, 560, plain(scenery.lighthouse, "night", lit=True), JPEG),
    "img/glasshouse.jpg": (560, 380, plain(scenery.glasshouse, "summer"), PROGRESSIVE),
    "img/glasshouse-winter.jpg": (400, 280, plain(scenery.glasshouse, "winter"), JPEG),
    "img/phone-upright.jpg": (300, 400, turned(plain(scenery.lighthouse, "autumn")), {"quality": 80, "exif": orientation(6)}),
    "img/archive-1912.jpg": (420, 300, old("summer", water=0.3), JPEG),
    "img/archive-1926.jpg": (300, 380, lambda random, w, h: textures.old_photograph(random, scenery.lighthouse(random, w, h, "winter")), PROGRESSIVE),
    "img/poster.jpg": (300, 420, in_ink(plain(scenery.lighthouse, "sand")), JPEG),
    "img/pebbles.jpg": (400, 300, plain(textures.pebbles), JPEG),
    "img/bark-pine.jpg": (300, 400, plain(textures.bark, "#2d211a", "#5d4433", "#8d6a4f", "#b08f72"), JPEG),
    "img/bark-birch.webp": (240, 320, plain(textures.bark, "#2b2a28", "#c9c4ba", "#ece8df", "#f6f3ec", stretch=6), {"quality": 70}),
    "img/lichen.jpg": (256, 256, square(textures.lichen), JPEG),
    "img/water.jpg": (400, 260, plain(textures.ripples, "#12303a", "#2d6474", "#79a9ab", "#dfe9dc"), JPEG),
    "img/plants/aster.jpg": (280, 280, square(plants.flower, 21, ("#5b3f99", "#9a84d6"), ("#7a5a16", "#f0c93e")), JPEG),
    "img/plants/sunflower.jpg": (360, 360, square(plants.flower, 26, ("#e09a12", "#ffd84a"), ("#2b1a0e", "#6d431b"), seeds=420), JPEG),
    "img/plants/poppy.jpg": (256, 256, square(plants.flower, 6, ("#a3161a", "#e2402f"), ("#141313", "#3e4a2c"), seeds=120), PROGRESSIVE),
    "img/plants/daisy.jpg": (200, 200, square(plants.flower, 18, ("#e6e6ee", "#ffffff"), ("#b8860b", "#ffd62e")), JPEG),
    "img/plants/gentian.jpg": (240, 240, square(plants.flower, 5, ("#14288c", "#3f63d2"), ("#d6d9a2", "#f4f2c8"), seeds=60, rows=1), JPEG),
    "img/plants/orchid.webp": (256, 256, square(plants.flower, 5, ("#b04a92", "#f0b6d8"), ("#7a1d4b", "#f4d35e"), seeds=90), {"quality": 80}),
    "img/plants/sea-holly.png": (300, 300, square(plants.branching, "weed", "#4b5f6b", "#7fa3c7"), {}),
    "img/plants/broom.png": (280, 280, square(plants.branching, "bush", "#4d3b22", "#8aa23c"), {}),
    "img/plants/willow.png": (320, 320, square(plants.branching, "tree", "#4b3a2b", "#93a86a", ground=(236, 240, 230, 255)), {}),
    "img/plants/reed.png": (220, 220, few_colours(24, on((244, 241, 230), square(plants.branching, "reed", "#6b5a2f", "#b9a65a"))), {}),
    "img/plants/fern.png": (260, 400, plain(plants.fern), {}),
    "img/plants/fern-small.jpg": (96, 148, on((250, 249, 242), plain(plants.fern)), JPEG),
    "img/leaves/oak.png": (200, 200, square(plants.leaf, 5, 0.45, 1.5, ("#5d7f2b", "#86a544")), {}),
    "img/leaves/beech.png": (180, 180, square(plants.leaf, 0, 0.0, 1.7, ("#8a3f24", "#c0693a")), {}),
    "img/leaves/willow leaf.png": (160, 160, square(plants.leaf, 0, 0.0, 4.2, ("#7f9a58", "#a7bd7d")), {}),
    "img/leaves/holly.gif": (180, 180, on((255, 255, 255), square(plants.leaf, 8, 0.3, 1.6, ("#1f4d2a", "#2f6b3a"))), {}),
    "img/charts/rain.png": (420, 260, few_colours(8, steady(diagrams.bars, RAIN, 420, 260, (78, 132, 170))), {}),
    "img/charts/visitors.png": (480, 280, steady(diagrams.bars, VISITORS, 480, 280, (120, 152, 84)), {}),
    "img/charts/temperature.png": (480, 300, steady(diagrams.lines, [MEAN_HIGH, MEAN_LOW], 480, 300, [(190, 72, 52), (60, 108, 160)]), {}),
    "img/charts/elevation.png": (240, 160, plain(diagrams.elevation), {}),
    "img/map.png": (520, 400, few_colours(48, plain(diagrams.garden_map)), {}),
    "img/plan.png": (500, 180, steady(diagrams.floor_plan, 500, 180), {}),
    "img/tide.gif": (160, 160, steady(diagrams.tide_frames, 160), {"duration": 180, "loop": 0}),
    "img/lamp.gif": (128, 128, steady(diagrams.lamp_frames, 128), {"duration": 140, "loop": 0}),
    "img/badge.png": (96, 96, steady(diagrams.badge, 96, (44, 74, 52), (104, 148, 84)), {}),
    "img/icon.png": (48, 48, steady(diagrams.badge, 48, (44, 74, 52), (104, 148, 84)), {}),
    "img/cutout.webp": (200, 200, steady(diagrams.badge, 200, (120, 44, 60), (206, 120, 130)), {"lossless": True}),
    "img/peacock.bmp": (96, 72, steady(diagrams.butterfly, 48, (158, 60, 40), (70, 110, 180)), {}),
    "img/brimstone.bmp": (80, 60, few_colours(16, steady(diagrams.butterfly, 40, (236, 222, 90), (230, 150, 60))), {}),
    "img/Gewächshaus innen.jpg": (400, 300, plain(scenery.glasshouse, "dawn"), JPEG),
    "img/灯台.jpg": (280, 380, plain(scenery.lighthouse, "winter"), JPEG),
    "img/苔.png": (200, 150, few_colours(64, plain(textures.bark, "#1d3018", "#35562a", "#6b8d3f", "#a6bf63", stretch=1)), {}),
    "img/نخلة.png": (240, 240, square(plants.branching, "reed", "#6a4a2a", "#5f8f3f"), {}),
    "img/never-shown.jpg": (200, 140, view("dawn"), JPEG),
    "img/pixel.gif": (1, 1, lambda random, width, height: Image.new("P", (width, height)), {}),
}


def main():
    for path, (width, height, draw, options) in PICTURES.items():
        random = np.random.default_rng(zlib.crc32(path.encode()))
        write(path, save(draw(random, width, height), Path(path).suffix, options))
    # The small one for narrow screens shows the same view, not another roll of the dice.
    large = Image.open(SITE / "img/marsh-dawn.jpg")
    write("img/marsh-dawn-320.jpg", save(large.resize((320, 210), Image.Resampling.LANCZOS), ".jpg", JPEG))
    write("img/badge.svg", BADGE_SVG)
    for name, content in broken().items():
        write(f"broken/{name}", content)


def save(drawn, suffix, options):
    frames = drawn if isinstance(drawn, list) else [drawn]
    kind = {".jpg": "JPEG", ".png": "PNG", ".gif": "GIF", ".webp": "WEBP", ".bmp": "BMP"}[suffix]
    rest = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    packed = {"optimize": True} if kind in ("PNG", "JPEG") else {}
    content = io.BytesIO()
    frames[0].save(content, kind, **packed, **options, **rest)
    return content.getvalue()


BADGE_SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48" width="96" height="96">
<circle cx="24" cy="24" r="22" fill="#fcfbf4" stroke="#2c4a34" stroke-width="3"/>
<path d="M12 36C10 20 22 10 38 10C38 26 28 38 12 36Z" fill="#689454"/>
</svg>
"""


def broken():
    """What a crawl brings home besides pictures."""
    whole = (SITE / "img/hills-summer.jpg").read_bytes()
    sound = (SITE / "img/icon.png").read_bytes()
    first_scan = whole.index(b"\xff\xda")
    return {
        "cut-in-header.jpg": whole[: first_scan // 2],
        "cut-in-picture.jpg": whole[: first_scan + (len(whole) - first_scan) // 3],
        "two-bytes.jpg": b"\xff\xd8",
        "nothing.gif": b"",
        "not-a-picture.png": b"<!doctype html><title>404</title><p>The picture you asked for has moved.</p>\n",
        "fifty-thousand.png": png_that_claims(50_000, 50_000),
        "wrong-checksum.png": sound[:60] + bytes([sound[60] ^ 0xFF]) + sound[61:],
    }


def png_that_claims(width, height):
    """A sound header and one row's worth of nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(200))) + chunk(b"IEND", b"")


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def write(path, content):
    target = SITE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


if __name__ == "__main__":
    main()
