"""Pictures of texts, where the data have some: beside a text, and all of them on one sheet for the map."""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import streamlit as st

from mrl_viz.data.corpus import Corpus
from mrl_viz.data.images import Images

# Pixels of the longer side: in a list, and of the text that a page is about.
IN_LIST, ALONE = 28, 72
# Of a screen with small pixels: a picture is sent with so many for one.
DENSITY = 2
ALT_CHARACTERS = 90
# Of the sheet that a map's pictures are cut from: it is sent once, and not again when the focus width moves.
MOST_SHEET_BYTES = 150_000
SHEET_SIDES = (48, 40, 32, 24, 16, 12, 8)
JPEG_QUALITY = 80


class Picture(str):
    """A picture as a cell of a table: its address, a PNG in base64."""

    __slots__ = ()


def cells(corpus: Corpus, **items: int) -> dict[str, Picture]:
    """The pictures of some items by the names of their columns, to stand before texts; {} where there are none."""
    if corpus.images is None:
        return {}
    return {f"{name} picture": _cell(corpus.images[item]) for name, item in items.items()}


def _cell(image: Images) -> Picture:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(enlarged(image, IN_LIST)).save(file, "png")
    return Picture(f"data:image/png;base64,{b64encode(file.getvalue()).decode()}")


@contextmanager
def beside(corpus: Corpus, item: int | None, side: int = IN_LIST) -> Iterator[None]:
    """A row that begins with an item's picture; where there is none, nothing is changed."""
    if corpus.images is None or item is None:
        yield
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", wrap=False):
        show(corpus, item, side)
        yield


def gap(corpus: Corpus) -> Literal["xxsmall"] | None:
    """What is between the rows of a list: pictures do not touch."""
    return None if corpus.images is None else "xxsmall"


def show(corpus: Corpus, item: int | None, side: int = ALONE) -> None:
    """An item's picture, where there is one."""
    if corpus.images is not None and item is not None:
        image = corpus.images[item]
        width = max(1, round(side * image.shape[1] / max(image.shape[:2])))
        alt = f"picture: {' '.join(corpus.texts[item].split())[:ALT_CHARACTERS]}"
        st.image(enlarged(image, side), width=width, output_format="PNG", alt=alt)


def enlarged(image: Images, side: int) -> Images:
    """A small picture with every pixel a square, so that a browser that scales it blurs nothing."""
    factor = max(1, -(-DENSITY * side // max(image.shape[:2])))
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)


def sheet(images: Images, items: Sequence[int]) -> dict[str, Any]:
    """Some items' pictures on one sheet, row after row: its address (PNG or JPEG in base64), its columns, and the width
    and height of a picture on it in pixels. As many pixels as 150 kB hold, at most 48 a side."""
    columns = math.ceil(math.sqrt(len(items)))
    for side in SHEET_SIDES:
        kind, content, size = _sheet(images, items, columns, side)
        if len(content) <= MOST_SHEET_BYTES:
            break
    address = f"data:image/{kind};base64,{b64encode(content).decode()}"
    return {"sheet": address, "columns": columns, "width": size[0], "height": size[1]}


def _sheet(images: Images, items: Sequence[int], columns: int, side: int) -> tuple[str, bytes, tuple[int, int]]:
    """The smaller of PNG and JPEG, its bytes, and the width and height of a picture on it."""
    from PIL import Image

    given = images.shape[2], images.shape[1]
    shrunk = min(1.0, side / max(given))
    size = max(1, round(given[0] * shrunk)), max(1, round(given[1] * shrunk))
    mode = "L" if images.ndim == 3 else "RGB"
    whole = Image.new(mode, (columns * size[0], -(-len(items) // columns) * size[1]))
    for place, item in enumerate(items):
        picture = Image.fromarray(images[item])
        corner = place % columns * size[0], place // columns * size[1]
        whole.paste(picture if size == given else picture.resize(size, Image.Resampling.BOX), corner)
    made = {}
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": JPEG_QUALITY})):
        file = io.BytesIO()
        whole.save(file, kind, **options)
        made[kind] = file.getvalue()
    # A few pixels that lossy blocks would mix are no picture any more.
    kind = min(made, key=lambda one: len(made[one])) if min(size) > 16 else "png"
    return kind, made[kind], size
