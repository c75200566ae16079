"""What a vector is written as after the cut: the codes by name, their bits and bytes, and the rotation before some.

Order matters: truncate, renormalise, rotate where the code asks for it, code.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError

# Bits of one coordinate. "-rotated": after a random rotation of the kept prefix, which spreads what unequal variances
# would waste; RaBitQ and TurboQuant are defined with one, OPQ learns its own.
BITS = {
    "float32": 32, "float16": 16, "int8": 8, "int4": 4, "int4-rotated": 4, "binary": 1, "binary-rotated": 1,
    **{f"rabitq{bits}": bits for bits in range(1, 9)},
    **{f"turboquant{bits}": bits for bits in (1, 2, 3, 4, 8)},
    **{f"opq{bits}": bits for bits in (1, 2, 4)},
}  # fmt: skip
# Kept in 4-byte numbers with every vector of RaBitQ: two factors with its first bit, three more with the others.
SIGN_FACTOR_BYTES, FACTOR_BYTES = 8, 20
# A product code is one byte for this many coordinates: an eighth of the bytes of float16.
COORDINATES_PER_CODE = 4


def bits(dtype: str) -> int:
    """Bits of one coordinate; InvalidInputError for an unknown dtype, or bits that a code does not come in."""
    if dtype not in BITS:
        family = str(dtype).rstrip("0123456789")
        offered = [name for name in BITS if name.rstrip("0123456789") == family] or list(BITS)
        raise InvalidInputError(f"`dtype` is {dtype!r}; choose one of {offered}.")
    return BITS[dtype]


def family(dtype: str) -> str:
    """A code's name without its bits where it comes in several: "rabitq", "turboquant", "opq", else the name itself."""
    name = dtype.rstrip("0123456789")
    return name if name in ("rabitq", "turboquant", "opq") else dtype


def is_rotated(dtype: str) -> bool:
    """Whether prefixes are rotated at random before they are coded."""
    return dtype.endswith("-rotated") or family(dtype) in ("rabitq", "turboquant")


def bytes_per_vector(dim: int, dtype: str = "float32") -> int:
    """Bytes of one stored vector, dim·bits/8 rounded up, with its own factors; InvalidInputError for an unknown dtype.

    Rotations, ranges and codebooks are shared by all vectors and not counted.
    """
    each, kind = bits(dtype), family(dtype)
    if kind == "rabitq":
        signs = -(-dim // 8)
        return signs + (SIGN_FACTOR_BYTES if each == 1 else -(-dim * (each - 1) // 8) + FACTOR_BYTES)
    return pq_parts(dim, 8 // each) if kind == "opq" else -(-dim * each // 8)


def pq_parts(dim: int, coordinates: int = COORDINATES_PER_CODE) -> int:
    """How many equal parts a product code cuts a vector into, about one for so many coordinates; one byte each."""
    most = max(1, dim // coordinates)
    return next(parts for parts in range(most, 0, -1) if dim % parts == 0)


@lru_cache(maxsize=32)
def rotation(dim: int) -> npt.NDArray[np.float32]:
    """The random rotation of a width, float32 orthogonal (dim, dim), applied from the right; the same in every run.

    Source: Haar-uniform by QR with the signs of R's diagonal: Mezzadri 2007, "How to generate random matrices from the
    classical compact groups".
    """
    q, r = np.linalg.qr(np.random.default_rng(dim).standard_normal((dim, dim)))
    turned = np.ascontiguousarray(q * np.sign(np.diag(r)), dtype=np.float32)
    turned.flags.writeable = False
    return turned
