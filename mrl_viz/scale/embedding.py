"""Texts of a file as a Zarr array of their vectors, a shard-file after the other: by one machine or by many.

An array is cut into shard-files of `SHARD_ROWS` rows. Each is written whole, aside and then renamed, with a checksum
for each chunk in it, so that a process killed at any moment leaves whole ones; a torn one is made again. Who makes
which shard-file changes nothing in it: n machines make the files that one makes. An object store takes a file whole or
not at all, so the same array may lie in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mrl_viz.embedding.encoders import Encoder, model_identity
from mrl_viz.errors import CancelledError, InvalidInputError, MrlVizError, StoreError
from mrl_viz.files import disk_errors
from mrl_viz.scale.addresses import Address, refusals, writing, zarr_store
from mrl_viz.scale.texts import TextFile

# 8,192 x 256 float16 are 4 MB, and what a kill can cost: under two minutes of a small transformer.
SHARD_ROWS, CHUNK_ROWS, CHUNK_DIMS = 8192, 1024, 64
DTYPES = ("float32", "float16")
# Texts encoded between two looks at the clock.
BATCH = 1024


@dataclass(frozen=True)
class Embedding:
    """What was done: `n_rows`, `full_dim` of the whole array; rows `start` to `stop` are there now. Of them `n_made`
    were embedded in this run, and `n_empty` of those had no text: their vectors are zero."""

    n_rows: int
    full_dim: int
    start: int
    stop: int
    n_made: int
    n_empty: int


def embed_file(
    source: TextFile,
    encoder: Encoder,
    out: Path | Address,
    *,
    index: int = 1,
    count: int = 1,
    dtype: Literal["float32", "float16"] = "float32",
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Embedding:
    """Embed the texts of slice `index` of `count` into an array on the disk, whichever are not there yet.

    Parameters
    ----------
    out : the array's folder, such as vectors.zarr, on a disk or in a store; made where it is not there
    index, count : slices are of whole shard-files, as equal as that allows
    dtype : of the numbers kept
    progress : called with (rows done, rows of the slice); cancelled : asked between batches

    Raises
    ------
    InvalidInputError : no such slice, or `out` is of other texts, another model or type. StoreError : the disk or
    the store refuses. CancelledError : stopped; finished shard-files are kept. Others : as of `source` and `encoder`.
    """
    if dtype not in DTYPES:
        raise InvalidInputError(f"`dtype` is {dtype!r}; choose one of {', '.join(DTYPES)}.")
    n_rows = source.count()
    about = {"texts": source.fingerprint(), "model": encoder.name, "identity": model_identity(encoder)}
    array = _opened(out, n_rows, encoder.full_dim, dtype, about)
    start, stop = shards_of(n_rows, index, count)
    shards = [(first, min(first + SHARD_ROWS, stop)) for first in range(start, stop, SHARD_ROWS)]
    with _reading(out):
        missing = [shard for shard in shards if not _is_whole(array, *shard)]
    n_missing, n_made, n_empty = sum(last - first for first, last in missing), 0, 0
    texts: Iterator[str] = iter(())
    at = -1
    for first, last in missing:
        if first != at:
            texts = source.texts(first)
        rows = np.zeros((last - first, encoder.full_dim), dtype=np.float32)
        for place in range(0, last - first, BATCH):
            if cancelled is not None and cancelled():
                raise CancelledError(f"Embedding was stopped after {n_made:,} rows, which are kept.")
            wanted = min(BATCH, last - first - place)
            batch = list(islice(texts, wanted))
            if len(batch) < wanted:
                raise InvalidInputError(f"`{source.name}` has fewer texts than a moment ago; let it be meanwhile.")
            filled = [row for row, text in enumerate(batch) if text.strip()]
            n_empty += wanted - len(filled)
            if filled:
                rows[place + np.asarray(filled)] = encoder.encode([batch[row] for row in filled])
            if progress:
                progress(stop - start - n_missing + n_made + place + wanted, stop - start)
        with np.errstate(over="ignore"):
            kept = rows.astype(dtype)
        if not np.isfinite(kept).all():
            raise InvalidInputError(f"`dtype` {dtype} cannot hold this model's numbers; choose float32.")
        with writing(out):
            # A torn one would be read before a part of it is written.
            (out / "c" / str(first // SHARD_ROWS) / "0").unlink(missing_ok=True)
            array[first:last] = kept
        n_made, at = n_made + last - first, last
    return Embedding(n_rows, encoder.full_dim, start, stop, n_made, n_empty)


def _reading(out: Path | Address) -> AbstractContextManager[None]:
    return refusals(out, OSError) if isinstance(out, Address) else disk_errors(out, "make it readable", doing="read")


def shards_of(n_rows: int, index: int, count: int) -> tuple[int, int]:
    """First row and end of slice `index`, from 1, of `count`: whole shard-files.

    Raises
    ------
    InvalidInputError : no such slice, or more of them than there are shard-files.
    """
    n_shards = -(-n_rows // SHARD_ROWS)
    if not 1 <= index <= count:
        raise InvalidInputError(f"`--shard` is {index}/{count}; write 1/{count} to {count}/{count}.")
    if count > n_shards:
        raise InvalidInputError(
            f"`--shard` asks for {count} slices; {n_rows:,} texts make {n_shards} shard-files of {SHARD_ROWS:,}."
        )
    return tuple(min(n_shards * end // count * SHARD_ROWS, n_rows) for end in (index - 1, index))  # type: ignore[return-value]


def _opened(out: Path | Address, n_rows: int, full_dim: int, dtype: str, about: dict[str, str]) -> Any:
    """The array, made where it is not there: several may make it at once, and write the same."""
    import zarr
    from zarr.codecs import Crc32cCodec
    from zarr.errors import ContainsArrayError

    with writing(out):
        if not (out / "zarr.json").exists():
            if out.exists() and any(out.iterdir()):
                raise StoreError(f"`{out}` holds other files; choose a new folder.")
            if isinstance(out, Path):
                out.parent.mkdir(parents=True, exist_ok=True)
            chunk_rows, chunk_dims = min(CHUNK_ROWS, SHARD_ROWS), min(CHUNK_DIMS, full_dim)
            width = -(-full_dim // chunk_dims) * chunk_dims
            with suppress(ContainsArrayError):
                zarr.create_array(
                    zarr_store(out, read_only=False), shape=(n_rows, full_dim),
                    shards=(SHARD_ROWS, width), chunks=(chunk_rows, chunk_dims),
                    dtype=dtype, compressors=Crc32cCodec(), fill_value=np.nan, attributes={**about},
                )  # fmt: skip
        try:
            array = zarr.open_array(store=zarr_store(out, read_only=False), mode="r+")
        except (PermissionError, MrlVizError):  # there may well be one
            raise
        except Exception as error:  # zarr has as many ways to say so as metadata can be wrong
            raise StoreError(f"`{out}` is no array that can be read ({type(error).__name__}); remove it.") from error
    kept = dict(array.attrs)
    for name, words in (("texts", "of other texts"), ("model", "of another model"), ("identity", "of another model")):
        if kept.get(name) != about[name]:
            raise InvalidInputError(f"`{out}` is {words}; choose another folder, or remove it.")
    if array.shape != (n_rows, full_dim) or str(array.dtype) != dtype:
        what = f"`{out}` is {array.dtype} of shape {array.shape}"
        raise InvalidInputError(f"{what}; choose another folder, or remove it.")
    return array


def _is_whole(array: Any, first: int, last: int) -> bool:
    """Whether a shard-file is there, and its checksums hold."""
    try:
        return bool(np.isfinite(array[first:last]).all())
    except (OSError, StoreError):  # a disk that refuses tells nothing of the file, which stays
        raise
    except Exception:  # whatever a torn file makes of the decoder: it is made again
        return False
