"""What each tokenizer's own code does to an image, written down again with Pillow, NumPy and OpenCV."""

import math

import cv2
import numpy as np
from PIL import Image, ImageOps


def rgb(image):
    return image.convert("RGB")


def on_white(image):
    """facebookresearch/chameleon lays colours on white in 64-bit floats and cuts off."""
    if image.mode == "RGB":
        return image
    pixels = np.array(image.convert("RGBA"))
    if not (pixels[:, :, 3] < 255).any():
        return image.convert("RGB")
    alpha = pixels[:, :, 3:] / 255.0
    return Image.fromarray(((1 - alpha) * 255 + alpha * pixels[:, :, :3]).astype("uint8"))


def scaled(image, scale):
    return tuple(round(side * scale) for side in image.size)


def center(image, width, height, offset=lambda spare: spare // 2):
    left, top = offset(image.width - width), offset(image.height - height)
    return image.crop((left, top, left + width, top + height))


def to_nearest(spare):
    return int(round(spare / 2.0))


def halved(image, width, height):
    while image.width >= 2 * width and image.height >= 2 * height:
        image = image.resize((image.width // 2, image.height // 2), Image.BOX)
    return image


def decode(image):
    return [rgb(image)]


def decode_on_white(image):
    return [on_white(image)]


def taming(image, size=256):
    image = rgb(image)
    width, height = scaled(image, size / min(image.size))
    pixels = np.array(image)
    if (width, height) != image.size:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return [center(Image.fromarray(pixels), size, size)]


def llamagen(image, size=256):
    image = halved(rgb(image), size, size)
    image = image.resize(scaled(image, size / min(image.size)), Image.BICUBIC)
    return [center(image, size, size)]


def llamagen_ten(image, size=256):
    wide = llamagen(image, int(size * 1.1))[0]
    crops = []
    for side in (wide, ImageOps.mirror(wide)):
        right, bottom = side.width - size, side.height - size
        corners = [(0, 0), (right, 0), (0, bottom), (right, bottom)]
        crops += [side.crop((x, y, x + size, y + size)) for x, y in corners]
        crops.append(center(side, size, size, to_nearest))
    return crops


def chameleon(image, size=512):
    image = on_white(image)
    image = image.resize(scaled(image, size / min(image.size)), Image.LANCZOS)
    return [center(image, size, size)]


def truncated(image, size):
    short = min(image.size)
    return tuple(size if side == short else int(size * side / short) for side in image.size)


def transformers_chameleon(image, size=512):
    image = on_white(image)
    return [center(image.resize(truncated(image, size), Image.LANCZOS), size, size)]


def torchvision(image, size=256):
    image = rgb(image)
    return [center(image.resize(truncated(image, size), Image.BILINEAR), size, size, to_nearest)]


def amused(image, size=256):
    return torchvision(ImageOps.exif_transpose(image), size)


def dall_e(image, size=256):
    image = rgb(image)
    image = image.resize(scaled(image, size / min(image.size)), Image.LANCZOS)
    return [center(image, size, size, to_nearest)]


def emu3(image, factor=8, least=512 * 512, most=1024 * 1024):
    image = rgb(image)
    width, height = image.size
    if min(width, height) < factor or max(width, height) / min(width, height) > 5:
        return None
    sides = [round(side / factor) * factor for side in image.size]
    if sides[0] * sides[1] > most:
        beta = math.sqrt(height * width / most)
        sides = [math.floor(side / beta / factor) * factor for side in image.size]
    elif sides[0] * sides[1] < least:
        beta = math.sqrt(least / (height * width))
        sides = [math.ceil(side * beta / factor) * factor for side in image.size]
    return [image.resize(tuple(sides), Image.BICUBIC)]


def sizes_of_patches(patches, patch, ratio=4.0):
    sizes, wide, high = [], patches, 1
    while wide > 0:
        if max(wide, high) / min(wide, high) <= ratio:
            sizes.append((wide * patch, high * patch))
        if (high + 1) * wide <= patches:
            high += 1
        else:
            wide -= 1
    return sizes


def drawn(image, width, height):
    """The place that the draw 0.5, 0.5 stands for."""
    return center(image, width, height, lambda spare: min(int(0.5 * (spare + 1)), spare))


def lumina(image, size=512):
    image = rgb(image)
    w, h = image.size
    sizes = sizes_of_patches((size // 32) ** 2, 32)
    fits = [min(cw / w, ch / h) / max(cw / w, ch / h) for cw, ch in sizes]
    width, height = max(zip(fits, sizes))[1]
    image = halved(image, width, height)
    image = image.resize(scaled(image, max(width / image.width, height / image.height)), Image.BICUBIC)
    return [drawn(image, width, height)]


def cm3(image, size=256):
    image = on_white(image)
    image = image.resize(scaled(image, size / min(image.size)), Image.BICUBIC)
    return [drawn(image, size, size)]


RECIPES = [
    decode,
    decode_on_white,
    taming,
    llamagen,
    llamagen_ten,
    chameleon,
    transformers_chameleon,
    torchvision,
    amused,
    dall_e,
    emu3,
    lumina,
    cm3,
]
