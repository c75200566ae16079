"""Pictures beside vectors, to be looked at: checked, shrunk to thumbnails, read from files. Nothing embeds them."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mrl_viz.data.content import DAMAGE, MEGABYTE, Members
from mrl_viz.errors import DataFormatError, ShapeError

if TYPE_CHECKING:
    from PIL.Image import Image

Images: TypeAlias = npt.NDArray[np.uint8]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
# Of the formats that Pillow knows: some others run programs, or hold other files.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
# What is kept of a picture: pixels a side, at most. Lists and maps show less.
MOST_SIDE = 64
# What is read of one file. A photo has up to about 50 million pixels; a bomb has as many in a few kilobytes.
MOST_PIXELS = 50_000_000
MOST_PICTURE_BYTES = 32 * MEGABYTE
# What Pillow raises for a damaged picture, beside what archives do.
BROKEN = (*DAMAGE, SyntaxError, struct.error, IndexError, KeyError, TypeError, AttributeError, ZeroDivisionError)


def check_images(images: npt.ArrayLike, name: str = "images") -> Images:
    """Pictures as bytes: uint8 of shape (n_items, h, w) or (n_items, h, w, 3).

    Parameters
    ----------
    images : booleans, whole numbers in 0..255, or other numbers in [0, 1], of that shape; a last axis of 1 goes
    name : of the data, for messages

    Raises
    ------
    ShapeError : another shape or kind, or numbers outside their range.
    """
    array = np.asarray(images)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[:, :, :, 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3) or 0 in array.shape[1:3]:
        raise ShapeError(
            f"`images` of `{name}` has shape {array.shape}; give (n_items, height, width), or with 3 colours last."
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "biuf":
        raise ShapeError(f"`images` of `{name}` holds {array.dtype}; give uint8, or numbers from 0 to 1.")
    most = 255 if array.dtype.kind in "iu" else 1
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not (low >= 0 and high <= most):  # also where there is NaN
        raise ShapeError(
            f"`images` of `{name}` goes from {low:g} to {high:g}; give whole numbers from 0 to 255, or others "
            "from 0 to 1."
        )
    return array.astype(np.uint8) if most == 255 else (array * np.float32(255)).round().astype(np.uint8)


def thumbnails(images: Images) -> tuple[Images, list[str]]:
    """The pictures, shrunk where a side is longer than 64 pixels; and a note that says so."""
    height, width = images.shape[1:3]
    if max(height, width) <= MOST_SIDE:
        return images, []
    from PIL import Image

    size = tuple(max(1, round(side * MOST_SIDE / max(height, width))) for side in (width, height))
    small = [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BOX)) for one in images]
    kept = np.stack(small) if small else np.empty((0, size[1], size[0], *images.shape[3:]), dtype=np.uint8)
    return kept, [f"Pictures of {width} × {height} pixels are kept as {size[0]} × {size[1]}, to be looked at."]


def read_images(files: Sequence[str], read: Members, name: str) -> tuple[Images, list[str]]:
    """The pictures that rows name, one each, and a note on their sizes.

    Pictures of one size of at most 64 pixels a side stay as they are. Others are scaled, whole, into one frame of the
    largest one's shape, with white beside those of another shape.

    Parameters
    ----------
    files : their names, a row each; several may name the same
    read : from a name to bytes, None where there is no such file
    name : of the data, for messages

    Raises
    ------
    DataFormatError : a name that leads outside or to nothing, or a file that is no picture or too large.
    """
    known: dict[str, Image] = {}
    for row, file in enumerate(files, start=1):
        if file not in known:
            known[file] = _decoded(file, _content(row, file, read, name), name)
    given = {image.info["size"] for image in known.values()}
    mode = "RGB" if any(image.mode == "RGB" for image in known.values()) else "L"
    size = tuple(max(image.size[axis] for image in known.values()) for axis in (0, 1))
    arrays = {file: _framed(image, mode, size) for file, image in known.items()}
    notes = []
    if len(given) > 1 or given != {size}:
        first = "{} × {} pixels".format(*given.pop()) if len(given) == 1 else f"{len(given)} different sizes"
        notes.append(f"Pictures of {first} are kept as {size[0]} × {size[1]}, to be looked at.")
    return np.stack([arrays[file] for file in files]), notes


def _content(row: int, file: str, read: Members, name: str) -> bytes:
    if not file.strip():
        raise DataFormatError(f"`{name}` names no picture in row {row}; name one in every row, or leave the row out.")
    path = PurePosixPath(file.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise DataFormatError(f"`{name}` names `{file}` in row {row}, a place outside it; name files inside it.")
    content = read(str(path))
    if content is None:
        raise DataFormatError(f"`{name}` names `{file}` in row {row} and does not hold it; add the file.")
    if len(content) > MOST_PICTURE_BYTES:
        size = f"{len(content) / MEGABYTE:,.0f} MB; the limit is {MOST_PICTURE_BYTES // MEGABYTE} MB"
        raise DataFormatError(f"`{file}` in `{name}` has {size}, so save it smaller.")
    return content


def _decoded(file: str, content: bytes, name: str) -> Image:
    """The picture, grey or in colours, at most 64 pixels a side; its own size is in its `info`."""
    from PIL import Image

    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        size = image.size
        is_too_large = size[0] * size[1] > MOST_PIXELS
        if not is_too_large:
            image.draft("RGB", (2 * MOST_SIDE, 2 * MOST_SIDE))  # of a photo only every second, fourth, eighth pixel
            image = _upright(image, size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        is_too_large = True
    except BROKEN as error:
        raise DataFormatError(f"`{file}` in `{name}` is no readable picture; save it as PNG or JPEG.") from error
    if is_too_large:
        raise DataFormatError(
            f"`{file}` in `{name}` has more than {MOST_PIXELS // 10**6} million pixels; save it smaller."
        )
    return image


def _upright(image: Image, size: tuple[int, int]) -> Image:
    """The picture as it is meant to be seen, shrunk, and what shines through made white."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    if image.mode.startswith("I"):  # 16 bits
        image = Pillow.fromarray((np.asarray(image).astype(np.int64) // 257).clip(0, 255).astype(np.uint8))
    turned = ImageOps.exif_transpose(image)
    size = size if turned.size == image.size else (size[1], size[0])
    if "A" in turned.getbands() or "transparency" in turned.info:
        ground = Pillow.new("RGBA", turned.size, (255, 255, 255, 255))
        turned = Pillow.alpha_composite(ground, turned.convert("RGBA"))
    turned = turned.convert("L" if turned.mode in ("1", "L") else "RGB")
    turned.thumbnail((MOST_SIDE, MOST_SIDE), Pillow.Resampling.BOX)
    turned.info = {"size": size}
    return turned


def _framed(image: Image, mode: str, size: tuple[int, ...]) -> Any:
    from PIL import ImageOps

    image = image.convert(mode)
    if image.size != size:
        image = ImageOps.pad(image, (size[0], size[1]), color="white")
    return np.asarray(image)
