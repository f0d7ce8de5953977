"""Plants: L-systems, an iterated fern, phyllotaxis flower heads and leaf outlines, on transparent or soft ground."""

import numpy as np
from PIL import Image, ImageDraw

from .noise import fractal_noise, ramp, to_image

# Axiom, rules, turn in degrees, generations. F draws, + and - turn, [ and ] remember and return.
SYSTEMS = {
    "bush": ("F", {"F": "FF-[-F+F+F]+[+F-F-F]"}, 22.5, 4),
    "weed": ("X", {"X": "F[+X]F[-X]+X", "F": "FF"}, 20.0, 6),
    "tree": ("X", {"X": "F-[[X]+X]+F[+FX]-X", "F": "FF"}, 24.0, 5),
    "reed": ("X", {"X": "F[+X][-X]FX", "F": "FF"}, 14.0, 6),
}


def grow(name):
    """The system's strokes as (x, y, x, y, depth) with y upwards, from the ground at the origin."""
    axiom, rules, turn, generations = SYSTEMS[name]
    sentence = axiom
    for _ in range(generations):
        sentence = "".join(rules.get(letter, letter) for letter in sentence)
    strokes, stack = [], []
    x, y, angle, depth = 0.0, 0.0, 90.0, 0
    for letter in sentence:
        if letter == "F":
            ahead = x + np.cos(np.radians(angle)), y + np.sin(np.radians(angle))
            strokes.append((x, y, *ahead, depth))
            x, y = ahead
        elif letter in "+-":
            angle += turn if letter == "+" else -turn
        elif letter == "[":
            stack.append((x, y, angle, depth))
            depth += 1
        elif letter == "]":
            x, y, angle, depth = stack.pop()
    return strokes


def branching(random, size, name, stem="#5b4630", tip="#6f9b3c", ground=None):
    """An L-system plant; the background is transparent unless a ground colour is given."""
    strokes = grow(name)
    points = np.array([stroke[:4] for stroke in strokes])
    low_x, high_x = points[:, [0, 2]].min(), points[:, [0, 2]].max()
    high_y = points[:, [1, 3]].max()
    scale = 1.86 * size / max(high_x - low_x, high_y)
    image = Image.new("RGBA", (size * 2, size * 2), (0, 0, 0, 0) if ground is None else ground)
    pen = ImageDraw.Draw(image)
    deepest = max(stroke[4] for stroke in strokes) or 1
    middle = size - scale * (low_x + high_x) / 2
    for x1, y1, x2, y2, depth in strokes:
        shade = ramp(np.array(depth / deepest), stem, tip) * random.uniform(0.85, 1.1)
        fill = tuple(int(c) for c in np.clip(shade * 255, 0, 255))
        line = [(middle + scale * x1, size * 1.96 - scale * y1), (middle + scale * x2, size * 1.96 - scale * y2)]
        pen.line(line, fill=fill, width=max(1, 5 - depth))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def fern(random, width, height, points=60_000):
    """Barnsley's fern: four affine maps, chosen at random for every point."""
    maps = np.array([[0, 0, 0, 0.16, 0, 0], [0.85, 0.04, -0.04, 0.85, 0, 1.6], [0.2, -0.26, 0.23, 0.22, 0, 1.6], [-0.15, 0.28, 0.26, 0.24, 0, 0.44]])
    chosen = random.choice(4, size=points, p=[0.01, 0.85, 0.07, 0.07])
    density = np.zeros((height, width))
    x, y = 0.0, 0.0
    for a, b, c, d, e, f in maps[chosen]:
        x, y = a * x + b * y + e, c * x + d * y + f
        column, row = int((x + 2.8) / 5.6 * (width - 1)), int((1 - y / 10.2) * (height - 1))
        density[row, column] += 1
    strength = np.clip(np.log1p(density) / 1.6, 0, 1)
    fronds = np.dstack([ramp(strength, "#9cc26a", "#3f7a33", "#1f5a2a"), strength ** 0.5])
    return to_image(fronds)


def flower(random, size, petals, petal_colours, heart_colours, seeds=220, rows=2):
    """A flower head: rows of petals around seeds set at the golden angle."""
    ground = fractal_noise(random, size * 2, size * 2, cells=3, octaves=3)
    image = to_image(ramp(ground, "#24351f", "#3f5a34", "#6d8653"))
    pen = ImageDraw.Draw(image)
    for row in range(rows, 0, -1):
        reach = size * (0.62 + 0.26 * row / rows)
        for petal in range(petals):
            angle = 2 * np.pi * (petal + 0.5 * row) / petals + random.normal(0, 0.03)
            shade = ramp(np.array(random.random()), *petal_colours) * (0.8 + 0.2 * row / rows)
            pen.polygon(petal_outline(size, angle, reach, np.pi / petals), fill=tuple(int(c * 255) for c in shade))
    for seed in range(seeds):
        radius, angle = size * 0.30 * np.sqrt(seed / seeds), seed * np.radians(137.508)
        x, y = size + radius * np.cos(angle), size + radius * np.sin(angle)
        shade = ramp(np.array(1 - seed / seeds), *heart_colours)
        dot = size * 0.022
        pen.ellipse([x - dot, y - dot, x + dot, y + dot], fill=tuple(int(c * 255) for c in shade))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def petal_outline(size, angle, reach, half_width):
    along = np.linspace(0.15, 1, 16)
    spread = half_width * 1.15 * np.sin(np.pi * along**1.6) ** 0.7
    left = [(size + reach * t * np.cos(angle + s), size + reach * t * np.sin(angle + s)) for t, s in zip(along, spread)]
    right = [(size + reach * t * np.cos(angle - s), size + reach * t * np.sin(angle - s)) for t, s in zip(along, spread)]
    return left + right[::-1]


def leaf(random, size, lobes, depth, slender, colours):
    """A single leaf on a transparent ground: `lobes` waves of `depth` along its edge, veins from the midrib."""
    image = Image.new("RGBA", (size * 2, size * 2), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    along = np.linspace(0, 1, 160)
    width = np.sin(np.pi * along**0.8) ** 0.8 * (1 - depth + depth * np.cos(2 * np.pi * lobes * along) ** 2) / slender
    y = size * (0.14 + 1.56 * along)
    edge = size * 0.72 * width
    outline = [(size + e, v) for e, v in zip(edge, y)] + [(size - e, v) for e, v in zip(edge[::-1], y[::-1])]
    fill = tuple(int(c * 255) for c in ramp(np.array(random.random()), *colours))
    vein = tuple(min(255, int(c * 1.35) + 18) for c in fill)
    pen.polygon(outline, fill=fill)
    pen.line([(size, size * 0.16), (size, size * 1.94)], fill=vein, width=7)
    for t in np.linspace(0.12, 0.86, 9):
        reach = size * 0.62 * np.interp(t, along, width)
        start = size * (0.14 + 1.56 * t)
        for side in (-1, 1):
            pen.line([(size, start), (size + side * reach, start - reach * 0.55)], fill=vein, width=3)
    return image.resize((size, size), Image.Resampling.LANCZOS)
