"""Noise and colour ramps that every other drawing is made of. Arrays are height x width (x 3), values 0 to 1."""

import numpy as np
from PIL import Image


def fractal_noise(random, height, width, cells=4, octaves=5, roughness=0.5, stretch=1.0):
    """Smooth noise between 0 and 1; `cells` features across, `stretch` above 1 draws them out sideways."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        across = cells * 2**octave
        columns = max(2, round(across / stretch) + 1)
        rows = max(2, round(across * height / width) + 1)
        grid = Image.fromarray(random.random((rows, columns)).astype(np.float32))
        total += roughness**octave * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
    return normalised(total)


def normalised(values):
    low, high = values.min(), values.max()
    return (values - low) / max(high - low, 1e-9)


def colour(name):
    """`#rrggbb` as three numbers from 0 to 1."""
    return np.array([int(name[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def ramp(values, *stops):
    """Colours for values between 0 and 1, blended along evenly spaced stops."""
    positions = np.linspace(0, 1, len(stops))
    stops = np.array([colour(stop) for stop in stops])
    return np.stack([np.interp(values, positions, stops[:, channel]) for channel in range(3)], axis=-1)


def blend(below, above, alpha):
    """`above` over `below` with an alpha map of height x width."""
    return below * (1 - alpha[..., None]) + above * alpha[..., None]


def to_image(values):
    return Image.fromarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8))


def to_array(image):
    return np.asarray(image.convert("RGB"), dtype=np.float64) / 255


def grid(height, width):
    """The y and x of every pixel, from 0 to 1."""
    return np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
