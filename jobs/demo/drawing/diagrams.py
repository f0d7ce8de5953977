"""Charts, plans, maps and small signs: flat colours and sharp edges, and the two animations."""

import numpy as np
from PIL import Image, ImageDraw

from .noise import fractal_noise, ramp, to_image

INK = (40, 44, 52)


def bars(values, width, height, fill, rule=(222, 222, 216)):
    image = Image.new("RGB", (width, height), (252, 251, 246))
    pen = ImageDraw.Draw(image)
    left, base, top = 30, height - 22, 14
    for line in range(5):
        y = base - (base - top) * line // 4
        pen.line([(left, y), (width - 10, y)], fill=rule)
    step = (width - 10 - left) / len(values)
    for index, value in enumerate(values):
        x = left + step * index
        pen.rectangle([x + step * 0.18, base - (base - top) * value / max(values), x + step * 0.82, base], fill=fill)
        pen.line([(x + step / 2, base), (x + step / 2, base + 5)], fill=INK)
    pen.line([(left, top), (left, base), (width - 10, base)], fill=INK, width=2)
    return image


def lines(series, width, height, colours):
    """Several curves over one axis, drawn with thick strokes."""
    image = Image.new("RGB", (width * 2, height * 2), (252, 251, 246))
    pen = ImageDraw.Draw(image)
    left, base, top = 60, height * 2 - 44, 28
    low, high = min(map(min, series)), max(map(max, series))
    for line in range(5):
        y = base - (base - top) * line // 4
        pen.line([(left, y), (width * 2 - 20, y)], fill=(222, 222, 216), width=2)
    for values, fill in zip(series, colours):
        xs = np.linspace(left, width * 2 - 24, len(values))
        ys = [base - (base - top) * (value - low) / (high - low) for value in values]
        pen.line(list(zip(xs, ys)), fill=fill, width=7, joint="curve")
    pen.line([(left, top), (left, base), (width * 2 - 20, base)], fill=INK, width=4)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def elevation(random, width, height):
    """Heights above the lowest tide as 16-bit grey."""
    heights = fractal_noise(random, height, width, cells=3, octaves=7)
    return Image.fromarray((heights * 65535).astype(np.uint16))


def garden_map(random, width, height):
    """A map of the grounds: land, sea, paths, beds and buildings."""
    heights = fractal_noise(random, height, width, cells=2, octaves=4)
    slope = np.linspace(-0.25, 0.35, width)[None, :]
    land = heights + slope
    image = to_image(ramp(np.clip(np.round(land * 9) / 9, 0, 1), "#9cc7dd", "#b9d9e2", "#efe6c4", "#d6e3b2", "#bcd596", "#9dc07d"))
    pen = ImageDraw.Draw(image)
    stops = [(0.42, 0.88), (0.52, 0.66), (0.47, 0.45), (0.62, 0.30), (0.80, 0.36), (0.84, 0.62), (0.66, 0.74), (0.52, 0.66)]
    path = [(x * width, y * height) for x, y in stops]
    pen.line(path, fill=(186, 140, 92), width=6, joint="curve")
    pen.line(path, fill=(250, 240, 214), width=3, joint="curve")
    for number, (x, y) in enumerate(path[:-1]):
        pen.ellipse([x - 8, y - 8, x + 8, y + 8], fill=(164, 52, 46), outline=(255, 255, 255))
        pen.text((x - 3, y - 6), str(number + 1), fill=(255, 255, 255))
    pen.rectangle([0.70 * width, 0.46 * height, 0.79 * width, 0.55 * height], fill=(120, 150, 160), outline=INK)
    pen.ellipse([0.56 * width, 0.44 * height, 0.64 * width, 0.54 * height], fill=(120, 176, 204), outline=(80, 120, 150))
    return image


def floor_plan(width, height):
    image = Image.new("RGB", (width, height), (250, 250, 247))
    pen = ImageDraw.Draw(image)
    margin, bay = 18, (width - 36) / 5
    tints = [(214, 232, 200), (246, 228, 190), (205, 226, 236), (240, 210, 206), (226, 214, 236)]
    for index, tint in enumerate(tints):
        left = margin + bay * index
        pen.rectangle([left, margin, left + bay, height - margin], fill=tint, outline=INK, width=3)
        pen.ellipse([left + bay * 0.25, height * 0.32, left + bay * 0.75, height * 0.68], outline=(90, 120, 80), width=2)
        pen.rectangle([left + bay * 0.42, height - margin - 3, left + bay * 0.58, height - margin + 3], fill=(250, 250, 247))
        pen.text((left + bay / 2 - 3, margin + 8), "ABCDE"[index], fill=INK)
    return image


def badge(size, ring, leaf_colour):
    """The garden's sign: a leaf in a ring, transparent outside."""
    image = Image.new("RGBA", (size * 4, size * 4), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    full = size * 4
    pen.ellipse([4, 4, full - 5, full - 5], fill=(252, 251, 244, 255), outline=ring, width=max(4, full // 16))
    turn = np.linspace(0, np.pi, 40)
    along, across = full * 0.32 * np.cos(turn), full * 0.17 * np.sin(turn)
    edge = np.concatenate([np.stack([along, across]), np.stack([-along, -across])], axis=1)
    x, y = full / 2 + (edge[0] + edge[1]) * 0.707, full / 2 + (edge[1] - edge[0]) * 0.707
    pen.polygon(list(zip(x, y)), fill=leaf_colour)
    pen.line([(full * 0.22, full * 0.78), (full * 0.66, full * 0.34)], fill=ring, width=max(3, full // 28))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def butterfly(size, wing, spot):
    image = Image.new("RGB", (size * 8, size * 6), (228, 236, 220))
    pen = ImageDraw.Draw(image)
    for side in (-1, 1):
        angle = np.linspace(0, np.pi, 80)
        reach = np.exp(np.sin(angle)) - 2 * np.cos(4 * angle) + np.sin((2 * angle - np.pi) / 24) ** 5
        x = size * 4 + side * reach * np.sin(angle) * size * 0.85
        y = size * 3.1 - reach * np.cos(angle) * size * 0.72
        pen.polygon(list(zip(x, y)), fill=wing, outline=INK)
        pen.ellipse([size * (4 + side * 1.7) - size * 0.3, size * 1.7, size * (4 + side * 1.7) + size * 0.3, size * 2.3], fill=spot)
    pen.ellipse([size * 3.85, size * 1.6, size * 4.15, size * 4.6], fill=INK)
    return image.resize((size * 2, size * 3 // 2), Image.Resampling.LANCZOS)


def tide_frames(size, frames=8):
    """One tide on a staff: the water rises and falls."""
    pictures = []
    for frame in range(frames):
        level = 0.62 - 0.30 * np.sin(2 * np.pi * frame / frames)
        image = Image.new("RGB", (size, size), (226, 236, 240))
        pen = ImageDraw.Draw(image)
        xs = np.arange(size)
        surface = size * level + np.sin(xs / 9 + frame) * 3
        pen.polygon([(0, size), *zip(xs.tolist(), surface.tolist()), (size, size)], fill=(64, 124, 150))
        for mark in range(1, 10):
            y = size * mark / 10
            pen.rectangle([size * 0.46, y, size * (0.58 if mark % 2 else 0.66), y + 3], fill=INK)
        pen.rectangle([size * 0.44, size * 0.06, size * 0.47, size], fill=(170, 60, 48))
        pictures.append(image.quantize(32))
    return pictures


def lamp_frames(size, frames=6):
    """The lamp turns once."""
    pictures = []
    for frame in range(frames):
        image = Image.new("RGB", (size, size), (10, 16, 36))
        pen = ImageDraw.Draw(image)
        start = 360 * frame / frames
        for beam in (0, 180):
            pen.pieslice([-size * 0.4, -size * 0.4, size * 1.4, size * 1.4], start + beam - 12, start + beam + 12, fill=(226, 208, 134))
        pen.ellipse([size * 0.38, size * 0.38, size * 0.62, size * 0.62], fill=(255, 246, 200), outline=(160, 50, 44), width=3)
        pictures.append(image.quantize(16))
    return pictures
