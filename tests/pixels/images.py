"""Writes several hundred images of every mode and format into a folder, out of pictures found in other folders."""

import io
import itertools
import random
from pathlib import Path

import numpy as np
from PIL import Image

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".bmp", ".tif", ".tiff"}


def found(folders, limit, seed=1):
    """At most `limit` picture files, drawn evenly from each folder."""
    files = []
    for folder in folders:
        here = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES and p.is_file())
        random.Random(seed).shuffle(here)
        files += here[: limit // len(folders)]
    return files


def photos(files, count):
    """The largest of the pictures that open, in RGB."""
    sized = []
    for file in files:
        try:
            with Image.open(file) as image:
                sized.append((image.width * image.height, file))
        except (OSError, Image.DecompressionBombError):
            continue
    largest = sorted(sized, key=lambda pair: pair[0], reverse=True)[:count]
    return [Image.open(file).convert("RGB") for _, file in largest]


def with_alpha(photo):
    """A ramp of transparency across, with a corner wholly transparent."""
    alpha = np.tile(np.linspace(0, 255, photo.width).astype(np.uint8), (photo.height, 1))
    alpha[: photo.height // 3, : photo.width // 3] = 0
    image = photo.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


def wide_grey(photo):
    """Sixteen bits of grey."""
    levels = np.asarray(photo.convert("L")).astype(np.uint16)
    return Image.fromarray((levels * 257 - (levels > 100) * 37).astype(np.uint16))


def transparent_palette(photo):
    image = photo.quantize(64)
    image.info["transparency"] = 3
    return image


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(photo, orientation, kind="JPEG", **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(photo, kind, exif=exif, **options)


def avif(photo, **options):
    return encoded(photo, "AVIF", **{"speed": 8, **options})


def variants(photo):
    """(mode, suffix, bytes) of one photo."""
    for subsampling, name in enumerate(["444", "422", "420"]):
        yield f"jpeg {name}", "jpg", encoded(photo, "JPEG", quality=75 + 10 * subsampling, subsampling=subsampling)
    yield "jpeg progressive 420", "jpg", encoded(photo, "JPEG", quality=85, progressive=True)
    yield "jpeg progressive 444", "jpg", encoded(photo, "JPEG", quality=92, progressive=True, subsampling=0)
    yield "jpeg low quality", "jpg", encoded(photo, "JPEG", quality=12)
    yield "jpeg restarts", "jpg", encoded(photo, "JPEG", quality=85, restart_marker_blocks=7)
    yield "jpeg rgb", "jpg", encoded(photo, "JPEG", quality=90, keep_rgb=True)
    yield "jpeg grey", "jpg", encoded(photo.convert("L"), "JPEG", quality=88)
    yield "jpeg cmyk", "jpg", encoded(photo.convert("CMYK"), "JPEG", quality=90)
    yield "jpeg exif", "jpg", oriented(photo, 2 + photo.width % 7, quality=90)
    yield "png rgb", "png", encoded(photo, "PNG", compress_level=1)
    yield "png rgba", "png", encoded(with_alpha(photo), "PNG", compress_level=1)
    yield "png grey", "png", encoded(photo.convert("L"), "PNG")
    yield "png grey alpha", "png", encoded(with_alpha(photo).convert("LA"), "PNG", compress_level=1)
    yield "png 1 bit", "png", encoded(photo.convert("1"), "PNG")
    yield "png 16 bit grey", "png", encoded(wide_grey(photo), "PNG", compress_level=1)
    yield "png palette", "png", encoded(photo.quantize(200), "PNG")
    yield "png palette 4 bit", "png", encoded(photo.quantize(13), "PNG")
    yield "png palette tRNS", "png", encoded(transparent_palette(photo), "PNG")
    yield "png rgb tRNS", "png", encoded(photo, "PNG", compress_level=1, transparency=photo.getpixel((0, 0)))
    yield "gif", "gif", encoded(photo.quantize(120), "GIF")
    yield "gif transparent", "gif", encoded(transparent_palette(photo), "GIF", transparency=3)
    yield "gif frames", "gif", encoded(photo.quantize(50), "GIF", save_all=True, append_images=[photo.quantize(9)])
    yield "webp lossy", "webp", encoded(photo, "WEBP", quality=80)
    yield "webp lossy alpha", "webp", encoded(with_alpha(photo), "WEBP", quality=80)
    yield "webp lossless", "webp", encoded(photo, "WEBP", lossless=True)
    yield "webp lossless alpha", "webp", encoded(with_alpha(photo), "WEBP", lossless=True, exact=True)
    for subsampling in ["4:2:0", "4:2:2", "4:4:4", "4:0:0"]:
        for levels in ["full", "limited"]:
            yield f"avif {subsampling} {levels}", "avif", avif(photo, subsampling=subsampling, range=levels)
    yield "avif alpha", "avif", avif(with_alpha(photo))
    yield "avif alpha 4:4:4", "avif", avif(with_alpha(photo), subsampling="4:4:4", quality=100)
    yield "avif low quality", "avif", avif(photo, quality=10)
    yield "avif in tiles", "avif", avif(photo, tile_rows=1, tile_cols=1)
    yield "avif slowly made", "avif", avif(photo, speed=3)
    yield "avif frames", "avif", avif(photo, save_all=True, append_images=[photo.rotate(180)])
    yield "avif exif", "avif", oriented(photo, 2 + photo.width % 7, "AVIF", speed=8)
    yield "bmp rgb", "bmp", encoded(photo, "BMP")
    yield "bmp palette", "bmp", encoded(photo.quantize(200), "BMP")
    yield "bmp grey", "bmp", encoded(photo.convert("L"), "BMP")
    yield "bmp 1 bit", "bmp", encoded(photo.convert("1"), "BMP")
    yield "tiff rgb", "tif", encoded(photo, "TIFF")
    yield "tiff lzw", "tif", encoded(photo, "TIFF", compression="tiff_lzw")
    yield "tiff grey", "tif", encoded(photo.convert("L"), "TIFF", compression="tiff_deflate")
    yield "tiff palette", "tif", encoded(photo.quantize(99), "TIFF")
    yield "tiff 1 bit", "tif", encoded(photo.convert("1"), "TIFF")
    yield "tiff rgba", "tif", encoded(with_alpha(photo), "TIFF")
    yield "tiff cmyk", "tif", encoded(photo.convert("CMYK"), "TIFF")
    yield "tiff 16 bit grey", "tif", encoded(wide_grey(photo), "TIFF")


def build(folders, work, made_from, as_found):
    """Returns [(mode, path)]: `as_found` files as they lie, and every variant of `made_from` photos."""
    files = found(folders, max(as_found, 40 * made_from))
    images = []
    for file in files[:as_found] if len(folders) == 1 else list(itertools.islice(spread(files), as_found)):
        images.append((f"found {file.suffix.lower()[1:].replace('jpeg', 'jpg')}", file))
    for number, photo in enumerate(photos(files, made_from)):
        photo.thumbnail((700 + 61 * number, 700 + 61 * number))
        for at, (mode, suffix, data) in enumerate(variants(photo)):
            path = work / f"{number:02}-{at:02}.{suffix}"
            path.write_bytes(data)
            images.append((mode, path))
    return images


def spread(files):
    """JPEGs first, then the rest: the ones that decoders differ on."""
    return itertools.chain(
        (f for f in files if f.suffix.lower() in {".jpg", ".jpeg"}),
        (f for f in files if f.suffix.lower() not in {".jpg", ".jpeg"}),
    )
