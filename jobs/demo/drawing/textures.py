"""Close-ups that fill the frame: pebbles, bark, lichen, ripples, and what an old plate camera made of a view."""

import numpy as np
from PIL import Image

from .noise import fractal_noise, grid, normalised, ramp, to_array, to_image


def pebbles(random, width, height, stones=160):
    """Each pixel belongs to its nearest stone, darker towards the gap to the next one."""
    centres = random.random((stones, 2)) * [height, width]
    tones = random.random(stones)
    y, x = np.mgrid[0:height, 0:width]
    distances = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1])
    nearest = np.argpartition(distances, 1, axis=-1)[..., :2]
    first, second = np.sort(np.take_along_axis(distances, nearest, axis=-1), axis=-1).transpose(2, 0, 1)
    owner = np.argmin(distances, axis=-1)
    gap = np.clip((second - first) / 9, 0, 1) ** 0.6
    speckle = fractal_noise(random, height, width, cells=40, octaves=3, roughness=0.8)
    stone = ramp(tones[owner], "#5f5a55", "#8f867b", "#b9ab98", "#cfc8bd", "#7a6a66")
    light = 1.08 - 0.35 * normalised(first) + 0.18 * (speckle - 0.5)
    return to_image(stone * (gap * light)[..., None])


def bark(random, width, height, *colours, stretch=0.2):
    """Long furrows: upright with a stretch below 1, lying with one above."""
    furrows = fractal_noise(random, height, width, cells=3, octaves=6, roughness=0.62, stretch=stretch)
    cracks = 1 - np.abs(2 * furrows - 1) ** 0.5
    return to_image(ramp(normalised(furrows * 0.6 + cracks * 0.4), *colours))


def lichen(random, size, steps=900):
    """Gray and Scott's reaction of two substances, which spreads like a crust on stone."""
    cells = size // 2
    food, crust = np.ones((cells, cells)), np.zeros((cells, cells))
    for _ in range(24):
        y, x = random.integers(4, cells - 8, 2)
        crust[y : y + 5, x : x + 5] = 0.5
    for _ in range(steps):
        reaction = food * crust * crust
        food += 0.16 * spread(food) - reaction + 0.035 * (1 - food)
        crust += 0.08 * spread(crust) + reaction - 0.0975 * crust
    image = to_image(ramp(normalised(crust), "#59534d", "#8c8a6a", "#c9b24a", "#e8d77e"))
    return image.resize((size, size), Image.Resampling.BICUBIC)


def spread(values):
    around = sum(np.roll(values, shift, axis) for shift in (-1, 1) for axis in (0, 1))
    return around - 4 * values


def ripples(random, width, height, *colours):
    """Rings that run over each other on still water."""
    y, x = grid(height, width)
    waves = np.zeros((height, width))
    for _ in range(7):
        centre_y, centre_x = random.random(2)
        distance = np.hypot((y - centre_y) * height / width, x - centre_x)
        waves += np.sin(distance * random.uniform(40, 70)) * np.exp(-4 * distance)
    drift = fractal_noise(random, height, width, cells=3, octaves=4)
    return to_image(ramp(normalised(waves + 2 * drift), *colours))


def old_photograph(random, image):
    """The same view in grey, with the soft corners, dust and scratches of a plate from before the first war."""
    grey = to_array(image.convert("L"))[..., 0]
    height, width = grey.shape
    y, x = grid(height, width)
    corners = 1 - 0.9 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    grain = random.normal(0, 0.05, grey.shape)
    faded = (0.18 + 0.68 * grey) * corners + grain
    for _ in range(9):
        column = random.integers(0, width)
        faded[random.integers(0, height // 2) : random.integers(height // 2, height), column] += 0.22
    return to_image(faded)
