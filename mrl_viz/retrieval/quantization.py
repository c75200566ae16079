"""Smaller numbers: prefixes as float32, float16, int8, int4 or one bit per coordinate, searched with float queries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.result import Result
from mrl_viz.retrieval.codes import bytes_per_vector, is_rotated, rotation
from mrl_viz.retrieval.index import checked_queries
from mrl_viz.retrieval.results import SearchResult
from mrl_viz.retrieval.topk import SCORES_LOOKED_THROUGH, Items, Scores, best_of_each, rounding_margin
from mrl_viz.sweep import check_k
from mrl_viz.truncation import FloatMatrix, Floats, Ints, check_dims, check_embeddings, truncate_and_normalize

Codes = npt.NDArray[Any]
# What this module codes itself; faiss does the others.
DTYPES = ("float32", "float16", "int8", "int4", "int4-rotated", "binary", "binary-rotated")
# Steps between the lowest and the highest code, and the lowest: int8 codes run from -128 to 127, int4 from 0 to 15.
STEPS = {"int8": 255, "int4": 15}
LOWEST = {"int8": -128, "int4": 0}
# Rows drawn to calibrate when no split is given: the ranges of more rows hardly differ.
CALIBRATION_ROWS = 10_000
# Codes widened to float32 at once: 4 MB, so that they are still in cache when they are multiplied.
CODES_AT_ONCE = 1 << 20
# Queries that share what was widened, however many scores that makes: it takes longer than multiplying it.
SHARING_QUERIES = 32
# Binary codes lie in 64-bit words, looked up 16 bits at a time: in two tables of 256 partial sums, or in one of 65,536.
WORD_BITS, LOOKUP_BITS = 64, 16


@dataclass(frozen=True)
class Quantizer(Result):
    """How the renormalised `dim`-prefix becomes codes, fitted on a calibration split.

    `low`, `step` : float32 of shape (dim,), the value of the lowest int8 or int4 code and the distance between codes;
    empty for other dtypes.
    """

    dim: int
    dtype: str
    low: npt.NDArray[np.float32]
    step: npt.NDArray[np.float32]

    @property
    def bytes_per_vector(self) -> int:
        """Bytes of one coded vector."""
        return bytes_per_vector(self.dim, self.dtype)

    @property
    def kind(self) -> str:
        """The dtype without its rotation."""
        return self.dtype.removesuffix("-rotated")

    def turned(self, rows: FloatMatrix) -> FloatMatrix:
        """Rows (n_items, dim) in the space of the codes: rotated, where the dtype asks for it."""
        return rows @ rotation(self.dim) if is_rotated(self.dtype) else rows

    def encode(self, embeddings: npt.ArrayLike) -> Codes:
        """Codes: slice, renormalise, rotate where the dtype says so, quantise.

        Of shape (n_items, dim); packed in uint8, the first coordinate lowest, int4 (n_items, ceil(dim/2)) and binary
        (n_items, ceil(dim/8)). Values outside the calibrated range are clipped to it. A bit is 1 where the coordinate
        is above 0.

        Raises
        ------
        DimensionError : fewer than `dim` coordinates. ShapeError, EmptyInputError : unusable embeddings.
        """
        rows = self.turned(truncate_and_normalize(embeddings, self.dim).astype(np.float32, copy=False))
        if self.kind == "binary":
            return np.packbits(rows > 0, axis=1, bitorder="little")
        if self.kind not in STEPS:
            return rows.astype(self.dtype)
        scaled = (rows - self.low) / np.where(self.step > 0, self.step, 1)
        codes = np.clip(np.rint(scaled), 0, STEPS[self.kind]) + LOWEST[self.kind]
        return codes.astype(np.int8) if self.kind == "int8" else _packed(codes.astype(np.uint8))

    def decode(self, codes: Codes) -> npt.NDArray[np.float32]:
        """The float32 vectors (n_items, dim) that codes stand for, binary ones ±1/sqrt(dim); ShapeError for others."""
        is_packed = self.kind in ("binary", "int4")
        width, kind = (self.bytes_per_vector, "uint8") if is_packed else (self.dim, self.dtype)
        if codes.ndim != 2 or codes.shape[1] != width or codes.dtype != kind:
            raise ShapeError(
                f"`codes` are {codes.dtype} of shape {codes.shape}; give {kind} of shape (n_items, {width})."
            )
        values = self.values(codes)
        return values @ rotation(self.dim).T if is_rotated(self.dtype) else values

    def values(self, codes: Codes) -> npt.NDArray[np.float32]:
        """The same without turning them back: the vectors in the space of the codes."""
        if self.kind == "binary":
            bits = np.unpackbits(codes, axis=1, count=self.dim, bitorder="little")
            return (bits.astype(np.float32) * 2 - 1) / np.float32(np.sqrt(self.dim))
        if self.kind in STEPS:
            return self.low + (_widened(codes, self.kind, self.dim) - LOWEST[self.kind]) * self.step
        return _widened(codes, self.kind, self.dim)


def fit_quantizer(calibration: npt.ArrayLike, dim: int, dtype: str) -> Quantizer:
    """The quantizer of a width and dtype; int8 and int4 ranges are each coordinate's least to largest value.

    Parameters
    ----------
    calibration : array_like of shape (n_items, full_dim), best rows that are not searched
    dim : 1 to full_dim
    dtype : one of DTYPES; only int8 and int4 look at the calibration rows

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable rows or width. InvalidInputError : an unknown dtype.
    """
    if dtype not in DTYPES:
        raise InvalidInputError(f"`dtype` is {dtype!r}; choose one of {list(DTYPES)}.")
    quantizer = Quantizer(dim, dtype, np.empty(0, np.float32), np.empty(0, np.float32))
    rows = truncate_and_normalize(calibration, dim).astype(np.float32, copy=False)
    if quantizer.kind not in STEPS:
        return quantizer
    rows = quantizer.turned(rows)
    low = rows.min(axis=0)
    return replace(quantizer, low=low, step=(rows.max(axis=0) - low) / np.float32(STEPS[quantizer.kind]))


def calibrating(rows: FloatMatrix, given: npt.ArrayLike | None, seed: int = 0) -> FloatMatrix:
    """What ranges and codebooks are learnt from: the rows given, else a seeded sample of at most CALIBRATION_ROWS."""
    if given is not None:
        return check_embeddings(given, "calibration")
    n_drawn = min(CALIBRATION_ROWS, len(rows))
    return np.asarray(rows[np.random.default_rng(seed).choice(len(rows), n_drawn, replace=False)])


class QuantizedIndex:
    """The coded prefixes of a corpus, searched exactly: every code is scored.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    dim, dtype : width and dtype of the codes, one of DTYPES
    calibration : rows for the ranges of int8 and int4; a seeded sample of the corpus when None
    seed : of that sample

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError : unusable arrays or width. InvalidInputError : an unknown dtype.
    """

    def __init__(
        self, corpus: npt.ArrayLike, dim: int, dtype: str, *, calibration: npt.ArrayLike | None = None, seed: int = 0
    ) -> None:
        rows = check_embeddings(corpus, "corpus")
        self.n_items, self.full_dim = rows.shape
        check_dims([dim], self.full_dim)
        self.quantizer = fit_quantizer(calibrating(rows, calibration, seed), dim, dtype)
        self.dim, self.dtype = dim, dtype
        step = max(1, CODES_AT_ONCE * 8 // self.full_dim)
        codes = np.concatenate([self.quantizer.encode(rows[i : i + step]) for i in range(0, self.n_items, step)])
        # Words of 64 bits, one contiguous column each: scoring goes through all items word by word.
        self._codes = _words(codes) if self.quantizer.kind == "binary" else codes

    @property
    def nbytes(self) -> int:
        """Bytes of the codes in memory; binary widths are filled up to whole 64-bit words."""
        return int(self._codes.nbytes)

    def search(self, queries: npt.ArrayLike, k: int = 10, *, query: Literal["float", "code"] = "float") -> SearchResult:
        """The k items whose decoded prefixes have the highest dot product with the renormalised query prefix.

        Parameters
        ----------
        queries : array_like of shape (n_queries, full_dim)
        k : 1 to n_items
        query : "float" keeps the query as it is, which finds more; "code" quantises it too: for binary this is the
            Hamming distance, several times faster

        Raises
        ------
        ShapeError, EmptyInputError : unusable queries. InvalidInputError : `k` or `query` out of range.
        """
        started = perf_counter()
        check_k(k, self.n_items)
        if query not in ("float", "code"):
            raise InvalidInputError(f"`query` is {query!r}; choose 'float' or 'code'.")
        rows = truncate_and_normalize(checked_queries(queries, self.full_dim), self.dim)
        quantizer = self.quantizer
        rows = quantizer.values(quantizer.encode(rows)) if query == "code" else quantizer.turned(rows)
        is_widened = quantizer.kind not in ("binary", "float32")
        step = max(SHARING_QUERIES if is_widened else 1, SCORES_LOOKED_THROUGH // self.n_items)
        found = [self._best(rows[start : start + step], k, query) for start in range(0, len(rows), step)]
        indices, similarities = (np.concatenate(parts) for parts in zip(*found))
        work, n_bytes = self.n_items * self.dim, self.n_items * self.quantizer.bytes_per_vector
        return SearchResult.of_stage(
            started, self.dim, self.n_items, indices, similarities, multiply_adds=work, bytes_read=n_bytes
        )

    def repeat(self, times: int) -> None:
        """Hold the same codes so many times over, one after the other: more to scan without encoding more."""
        self.n_items *= times
        self._codes = np.tile(self._codes, (1, times) if self.quantizer.kind == "binary" else (times, 1))

    def _best(self, rows: FloatMatrix, k: int, query: str) -> tuple[npt.NDArray[np.int32], Scores]:
        """The k best of every query in the space of the codes; equal bits get equal sums, which decide themselves."""
        if self.quantizer.kind == "binary":
            return best_of_each(self._hamming(rows) if query == "code" else self._looked_up(rows), k, 0.0)
        scale: Floats | float = 1.0
        if self.quantizer.kind in STEPS:
            largest = np.abs(self.quantizer.low) + STEPS[self.quantizer.kind] * self.quantizer.step
            scale = np.vecdot(np.abs(rows), largest).astype(np.float64)
        margins = np.broadcast_to(rounding_margin(self.dim, 1.0) * scale, len(rows))
        return best_of_each(self._products(rows), k, margins, partial(self._decoded_products, rows))

    def _products(self, rows: FloatMatrix) -> npt.NDArray[np.float32]:
        """Dot products of shape (n_queries, n_items) with the decoded codes; step and origin go into the query."""
        wide, offset, kind = rows, np.zeros(len(rows), dtype=np.float32), self.quantizer.kind
        if kind in STEPS:
            wide = rows * self.quantizer.step
            offset = rows @ (self.quantizer.low - LOWEST[kind] * self.quantizer.step)
        if self.dtype == "float32":
            return np.asarray((self._codes @ wide[0])[None] if len(rows) == 1 else wide @ self._codes.T)
        scores = np.empty((len(rows), self.n_items), dtype=np.float32)
        step = max(1, CODES_AT_ONCE // self.dim)
        for start in range(0, self.n_items, step):
            codes = _widened(self._codes[start : start + step], kind, self.dim)
            # For one query row by row: a threaded product of so small a piece costs more to start than to do.
            scores[:, start : start + step] = np.vecdot(codes, wide[0]) if len(rows) == 1 else wide @ codes.T
        scores += offset[:, None]
        return scores

    def _decoded_products(self, queries: FloatMatrix, rows: Ints, items: Items) -> Scores:
        """Dot products of some queries with some decoded codes, pair by pair, float64 inside."""
        result = np.empty(len(items), dtype=np.float32)
        step = max(1, CODES_AT_ONCE // self.dim)
        for start in range(0, len(items), step):
            part = slice(start, start + step)
            decoded = self.quantizer.values(self._codes[items[part]]).astype(np.float64)
            result[part] = np.vecdot(decoded, queries[rows[part]].astype(np.float64))
        return result

    def _looked_up(self, rows: FloatMatrix) -> Scores:
        """Float queries x bits: the partial sums of every 16 bits, from tables of the values of either byte."""
        padded = np.zeros((len(rows), len(self._codes) * WORD_BITS), dtype=np.float32)
        padded[:, : self.dim] = rows / np.float32(np.sqrt(self.dim))
        scores = np.zeros((len(rows), self.n_items), dtype=np.float32)
        bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
        low_and_high = padded.reshape(len(rows), -1, 2, 8) @ (bits.astype(np.float32) * 2 - 1).T
        for start in range(0, self.dim, LOOKUP_BITS):
            # Indices of `take` are signed.
            word = self._codes[start // WORD_BITS].view(np.int64) >> start % WORD_BITS & (1 << LOOKUP_BITS) - 1
            low, high = low_and_high[:, start // LOOKUP_BITS].swapaxes(0, 1)
            if self.n_items < 1 << LOOKUP_BITS:
                scores += high.take(word >> 8, axis=1) + low.take(word & 255, axis=1)
                continue
            # The sums of all 16 bits, fewer than there are items.
            for own, low_sums, high_sums in zip(scores, low, high):
                own += (high_sums[:, None] + low_sums).ravel().take(word)
        return scores

    def _hamming(self, rows: FloatMatrix) -> Scores:
        """Bits x bits: 1 - 2·(different bits)/dim, the cosine of the two sign vectors."""
        own = _words(np.packbits(rows > 0, axis=1, bitorder="little"))
        different = np.zeros((len(rows), self.n_items), dtype=np.uint16)
        for word, mine in zip(self._codes, own):
            different += np.bitwise_count(word ^ mine[:, None])
        cosines: Scores = 1 - different.astype(np.float32) * np.float32(2 / self.dim)
        return cosines


def _packed(codes: npt.NDArray[np.uint8]) -> Codes:
    """Two int4 codes in a byte, the first of them lower; (n_items, ceil(dim/2))."""
    padded = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)))
    return np.asarray(padded[:, ::2] | padded[:, 1::2] << 4)


def _widened(codes: Codes, kind: str, dim: int) -> npt.NDArray[np.float32]:
    """Codes as float32 (n_items, dim). Finite float16 by its bits, five times faster than numpy's own conversion.

    Thirteen places to the left its exponent and fraction are those of a float32 2^112 times smaller.
    """
    if kind == "int4":
        wide = np.empty((len(codes), 2 * codes.shape[1]), dtype=np.float32)
        wide[:, ::2], wide[:, 1::2] = codes & 15, codes >> 4
        return wide[:, :dim]
    if codes.dtype != np.float16:
        return codes.astype(np.float32)
    bits = codes.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(~0x70000000)  # the sign was spread over three places too many
    widened: npt.NDArray[np.float32] = bits.view(np.float32)
    widened *= np.float32(2.0**112)
    return widened


def _words(codes: Codes) -> Codes:
    """Packed bits (n_items, n_bytes) as 64-bit words (n_words, n_items), the first bit lowest whatever the machine."""
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % (WORD_BITS // 8))))
    return np.ascontiguousarray(padded.view("<u8").astype(np.uint64).T)
