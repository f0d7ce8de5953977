"""Photo-like views: ridges, water and sky from noise, with a lighthouse or a glasshouse set into them."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .noise import blend, colour, fractal_noise, grid, ramp, to_array, to_image

# Sky from the top down to the horizon, haze, near ground, far ground, water.
SEASONS = {
    "dawn": (("#33476b", "#8a7f9c", "#e7a989", "#f9dcae"), "#e3b79c", "#2f3a2b", "#7b7487", "#b98f86"),
    "summer": (("#2d6db5", "#69a3da", "#b8d8ee", "#e4f0f2"), "#c3dae6", "#3f6a2a", "#7fa086", "#5c94ad"),
    "autumn": (("#5f7f9d", "#9fb2bd", "#d8d5c6", "#ecdfc3"), "#d9cfb8", "#8a5a21", "#b08f5c", "#8d9489"),
    "winter": (("#7d90a5", "#a9b7c5", "#d2d9e0", "#eceff2"), "#dfe5ea", "#dfe4e8", "#b4c0cc", "#9fb0be"),
    "night": (("#060a1c", "#0d1733", "#1d2b4d", "#33456b"), "#2a3857", "#0b120f", "#1a2438", "#1a2a4a"),
    "sand": (("#4f93c4", "#8fbfdc", "#cfe4ea", "#f2efe2"), "#e6dfc8", "#c9a869", "#d9c596", "#7fb3bd"),
}


def landscape(random, width, height, season="summer", horizon=0.45, ridges=4, water=0.0):
    """A view as an array; `water` is the share of the height, from the bottom up, that is a calm surface."""
    sky_colours, haze, near, far, water_colour = SEASONS[season]
    y, _ = grid(height, width)
    view = ramp(y / max(horizon, 0.01), *sky_colours)
    clouds = fractal_noise(random, height, width, cells=3, octaves=6, stretch=2.2)
    cover = np.clip((clouds - 0.52) * 2.6, 0, 0.85) * np.clip(1.2 - y / horizon, 0, 1)
    view = blend(view, np.clip(view + 0.28, 0, 1), cover)
    for ridge in range(ridges):
        nearness = (ridge + 1) / ridges
        line = horizon + 0.34 * nearness * (1 - water) - 0.10
        heights = fractal_noise(random, 2, width, cells=2 + 2 * ridge, octaves=7)[0]
        edge = line + (heights - 0.5) * (0.26 - 0.12 * nearness)
        grain = fractal_noise(random, height, width, cells=12 + 18 * ridge, octaves=4, roughness=0.75)
        ground = colour(near) * nearness + colour(far) * (1 - nearness)
        shade = 0.72 + 0.56 * grain[..., None]
        ground = (ground * shade) * (0.35 + 0.65 * nearness) + colour(haze) * (0.65 - 0.65 * nearness)
        view = blend(view, ground, np.clip((y - edge[None, :]) * height / 1.5, 0, 1))
    if water > 0:
        view = flood(random, view, 1 - water, colour(water_colour))
    return np.clip(view + random.normal(0, 0.012, view.shape), 0, 1)


def flood(random, view, shore, water_colour):
    """Covers everything below `shore` with water that mirrors what stands above it."""
    height, width, _ = view.shape
    first = int(shore * height)
    rows = np.arange(first, height)
    depth = (rows - first) / max(height - first, 1)
    waves = fractal_noise(random, height, width, cells=9, octaves=5, roughness=0.6, stretch=5)[first:]
    shift = ((waves - 0.5) * (6 + 40 * depth[:, None])).astype(int)
    mirrored = np.clip(first - (rows - first)[:, None] + shift, 0, first - 1)
    reflection = view[mirrored, np.arange(width)[None, :]]
    tint = 0.35 + 0.25 * depth[:, None, None]
    flooded = view.copy()
    flooded[first:] = reflection * (1 - tint) + water_colour * tint + (waves[..., None] - 0.5) * 0.14
    return flooded


def lighthouse(random, width, height, season="summer", lit=False):
    """A banded tower on a rocky point above the sea."""
    view = landscape(random, width, height, season, horizon=0.62, ridges=2, water=0.26)
    image = to_image(view).resize((width * 2, height * 2), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    centre, base, top, half = width, int(height * 1.55), int(height * 0.42), width * 0.13
    dark = season == "night"
    paint = ((96, 98, 112), (70, 30, 38)) if dark else ((240, 236, 226), (178, 48, 42))
    rock = [(centre + dx * half, base + dy * half) for dx, dy in rock_outline(random)]
    pen.polygon(rock, fill=(34, 33, 36) if dark else (92, 86, 78))
    for band in range(6):
        low, high = base + (top - base) * band / 6, base + (top - base) * (band + 1) / 6
        wide, narrow = half * (1 - 0.075 * band), half * (1 - 0.075 * (band + 1))
        corners = [(centre - wide, low), (centre + wide, low), (centre + narrow, high), (centre - narrow, high)]
        pen.polygon(corners, fill=paint[band % 2])
    lantern = half * 0.42
    pen.rectangle([centre - half * 0.72, top - half * 0.14, centre + half * 0.72, top], fill=(46, 48, 54))
    glass = (255, 240, 170) if lit else (158, 186, 198)
    pen.rectangle([centre - lantern, top - half * 0.85, centre + lantern, top - half * 0.14], fill=glass)
    pen.polygon([(centre - lantern * 1.3, top - half * 0.85), (centre, top - half * 1.5), (centre + lantern * 1.3, top - half * 0.85)], fill=(120, 34, 32))
    shaded = shade_tower(image, centre, half, top, base)
    if lit:
        shaded = cast_beam(shaded, centre, top - half * 0.5)
    return shaded.resize((width, height), Image.Resampling.LANCZOS)


def rock_outline(random):
    steps = np.linspace(-3.6, 3.6, 25)
    top = [(x, -0.25 + 0.11 * x * x * (0.6 + 0.8 * random.random())) for x in steps]
    return top + [(4.2, 2.8), (-4.2, 2.8)]


def shade_tower(image, centre, half, top, base):
    """Darkens the right side of the tower, as a low sun from the left would."""
    values = to_array(image)
    y, x = np.mgrid[0 : values.shape[0], 0 : values.shape[1]]
    reach = half * (0.55 + 0.45 * (y - top) / (base - top))
    inside = (np.abs(x - centre) < reach) & (y >= top) & (y < base)
    shadow = np.clip((x - centre) / half, 0, 1) * inside * 0.45
    return to_image(values * (1 - shadow)[..., None])


def cast_beam(image, x, y):
    beam = Image.new("L", image.size, 0)
    pen = ImageDraw.Draw(beam)
    reach = image.size[0]
    for side in (-1, 1):
        pen.polygon([(x, y - 4), (x + side * reach, y - reach * 0.16), (x + side * reach, y + reach * 0.10), (x, y + 4)], fill=110)
    pen.ellipse([x - 46, y - 46, x + 46, y + 46], fill=230)
    beam = beam.filter(ImageFilter.GaussianBlur(9))
    light = Image.new("RGB", image.size, (255, 240, 178))
    return Image.composite(light, image, beam)


def glasshouse(random, width, height, season="summer"):
    """An iron glasshouse with a round roof on a lawn."""
    view = landscape(random, width, height, season, horizon=0.5, ridges=3)
    image = to_image(view).resize((width * 2, height * 2), Image.Resampling.BICUBIC)
    glass = Image.new("RGBA", image.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(glass)
    left, right, floor, eaves = width * 0.28, width * 1.72, height * 1.62, height * 1.02
    crown = height * 0.42
    pen.pieslice([left, crown, right, eaves * 2 - crown], 180, 360, fill=(206, 228, 226, 165))
    pen.rectangle([left, eaves, right, floor], fill=(196, 220, 214, 150))
    for leaf in range(70):
        x, y = random.uniform(left + 12, right - 12), random.uniform(eaves * 0.95, floor)
        size = random.uniform(width * 0.03, width * 0.09)
        green = (int(random.uniform(30, 80)), int(random.uniform(90, 140)), int(random.uniform(40, 70)), 120)
        pen.ellipse([x - size * 0.4, y - size, x + size * 0.4, y], fill=green)
    iron = (238, 240, 236, 255)
    for bar in range(13):
        x = left + (right - left) * bar / 12
        rise = np.sqrt(max(0.0, 1 - (2 * bar / 12 - 1) ** 2)) * (eaves - crown)
        pen.line([(x, eaves - rise), (x, floor)], fill=iron, width=5)
    pen.arc([left, crown, right, eaves * 2 - crown], 180, 360, fill=iron, width=8)
    for y in (eaves, (eaves + floor) / 2, floor):
        pen.line([(left, y), (right, y)], fill=iron, width=7)
    image.paste(glass, (0, 0), glass)
    return image.resize((width, height), Image.Resampling.LANCZOS)
