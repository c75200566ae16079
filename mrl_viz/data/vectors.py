"""Ready vectors from .npy, .npz and .safetensors, with texts, ids, labels, pictures, queries and judgements beside."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mrl_viz.data.content import DAMAGE, Members, Options, not_used, zip_members
from mrl_viz.data.corpus import Corpus, corpus_from_vectors, with_images, with_notes, with_qrels, with_queries
from mrl_viz.data.images import read_images
from mrl_viz.errors import DataFormatError, ShapeError

SUFFIXES = (".npy", ".npz", ".safetensors")
VECTORS = ("embedding", "embeddings", "vector", "vectors", "corpus", "documents", "passages")
QUERY_VECTORS = ("queries", "query_embeddings", "query_vectors")
LABELS = ("label", "labels", "category", "class", "topic", "domain")

# Pictures, or the names of their files.
IMAGES = ("images", "image", "pictures")

NOT_VECTORS = ("texts", "qrels")


def read_arrays(filename: str, content: bytes) -> dict[str, Any]:
    """The arrays of a .npy (called ""), .npz or .safetensors file by name; object arrays (pickle) are refused."""
    suffix = Path(filename).suffix.lower()
    if suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return load(content)
        except (SafetensorError, KeyError) as error:  # KeyError: a type that numpy lacks
            raise DataFormatError(f"`{filename}` is no safetensors file for numpy ({error}); save float32.") from error
    try:
        if suffix == ".npy":
            return {"": _load_npy(content)}
        members = zip_members(filename, content).items()
        return {name[:-4]: _load_npy(unpack()) for name, unpack in members if name.endswith(".npy")}
    except DAMAGE as error:
        what = f"`{filename}` is no plain {suffix[1:]} of numbers (objects and pickles are refused)"
        raise DataFormatError(f"{what}; save a float matrix, and texts as a unicode array.") from error


def _load_npy(content: bytes) -> Any:
    array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if array.dtype.kind == "U":
        array.tolist()  # raises ValueError or SystemError where the bytes are no characters
    return array


@dataclass
class Parts:
    """What lies beside vectors, as it was read: one entry per row of `vectors`, or of `queries`.

    `images` : the pictures themselves; `image_files` : or the names of their files.
    """

    vectors: Any
    queries: Any = None
    texts: Sequence[str] | None = None
    ids: Sequence[str] | None = None
    labels: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    query_texts: Sequence[str] | None = None
    query_ids: Sequence[str] | None = None
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    images: Any = None
    image_files: Sequence[str] | None = None
    notes: list[str] = field(default_factory=list)

    def corpus(self, name: str, options: Options, read: Members | None = None) -> Corpus:
        """The corpus of these parts; what cannot be used without query vectors, or picture files, is named in a note.

        `read` : what gives the files that lie beside these parts, None where there are none.

        Raises
        ------
        ShapeError, EmptyInputError, InvalidInputError : parts that cannot be used, or do not go together.
        DataFormatError : a file of a picture that cannot be read.
        """
        corpus = corpus_from_vectors(
            self.vectors, texts=self.texts, ids=self.ids, labels=self.labels, name=name, limit=options.limit,
            unnamed=options.unnamed, images=self.images,
        )  # fmt: skip
        if self.images is None and self.image_files is not None:
            if read is None:
                self.notes.append("Pictures are left out: their files are missing; zip them together with this one.")
            else:
                if len(self.image_files) != corpus.check.n_rows:
                    what = f"`{name}` has {corpus.check.n_rows} vectors but names {len(self.image_files)} pictures"
                    raise ShapeError(f"{what}; name one each.")
                corpus = with_images(corpus, *read_images(self.image_files[: options.limit], read, name))
        if self.queries is not None:
            queries = corpus_from_vectors(
                self.queries, texts=self.query_texts, ids=self.query_ids, name=f"{name}: queries", unnamed="query"
            )
            corpus = with_qrels(with_queries(corpus, queries), self.qrels)
        elif self.query_texts or self.query_ids or self.qrels:
            self.notes.append("Queries and judgements are left out: their vectors are missing; add `queries`.")
        return with_notes(corpus, self.notes)


def read_parts(filename: str, arrays: Mapping[str, Any], options: Options) -> Parts:
    """The parts of a file's arrays.

    The vectors are the only matrix beside those of queries and judgements, or the one with a name of VECTORS. Beside
    them may lie `texts`, `ids` and labels (names of LABELS); `images`, pictures of shape (n, h, w) or (n, h, w, 3), or
    the names of their files; `queries`, vectors of the same width, with `query_texts` and `query_ids`; `qrels`, rows of
    query id, text id and grade. Without ids, rows are called by their number, from 0. A note names the rest.

    Raises
    ------
    DataFormatError, ShapeError : arrays that cannot be used.
    """
    left = dict(arrays)
    # A .npy array has no name, and its shape is judged with the other properties of vectors.
    matrices = [key for key, value in left.items() if (value.ndim == 2 and key not in NOT_VECTORS) or key == ""]
    query_key = next((key for key in QUERY_VECTORS if key in matrices and len(matrices) > 1), None)
    candidates = [key for key in matrices if query_key is None or key not in QUERY_VECTORS]
    key = candidates[0] if len(candidates) == 1 else next((key for key in VECTORS if key in candidates), None)
    pictures = next((key for key in IMAGES if key in left and left[key].ndim in (3, 4)), None)
    if not matrices and pictures is not None:
        raise DataFormatError(
            f"`{filename}` holds pictures, which nothing here embeds; add their vectors, `embeddings`."
        )
    if key is None:
        raise DataFormatError(f"`{filename}` holds {len(matrices)} matrices; give one, or call it `embeddings`.")
    parts = Parts(left.pop(key), None if query_key is None else left.pop(query_key))
    parts.images = None if pictures is None else left.pop(pictures)
    named = next((key for key in IMAGES if key in left and left[key].ndim == 1 and left[key].dtype.kind == "U"), None)
    if named is not None and pictures is None and named not in (options.text_column, options.label_column):
        parts.image_files = _strings(filename, left, named)
    for wanted in (options.text_column, options.label_column):
        if wanted is not None and wanted not in left:
            there = ", ".join(left) or "(none)"
            raise DataFormatError(f"`{filename}` has no array {wanted!r} beside its vectors; choose one of {there}.")
    columns = [options.label_column] if options.label_column else [key for key in LABELS if key in left]
    parts.labels = {name: [value.strip() or None for value in _strings(filename, left, name)] for name in columns}
    for name in ("texts", "ids", "query_texts", "query_ids"):
        key = options.text_column if name == "texts" and options.text_column else name
        if key in left:
            setattr(parts, name, _strings(filename, left, key, "U" if "text" in name else "Uiu"))
    if "qrels" in left:
        parts.qrels = _qrels(filename, left.pop("qrels"))
    parts.notes = not_used(
        f"Arrays of {filename}", [f"{name} ({value.dtype}, shape {value.shape})" for name, value in left.items()]
    )
    return parts


def _strings(filename: str, left: dict[str, Any], key: str, kinds: str = "Uiub") -> list[str]:
    """An array of strings, or of whole numbers, which are ids and labels too; taken out of those left."""
    array = left.pop(key)
    if array.ndim != 1 or array.dtype.kind not in kinds:
        raise ShapeError(f"`{key}` in `{filename}` is {array.dtype}, shape {array.shape}; save a 1-D unicode array.")
    return [str(value) for value in array.tolist()]


def _qrels(filename: str, array: Any) -> dict[str, dict[str, int]]:
    qrels: defaultdict[str, dict[str, int]] = defaultdict(dict)
    try:
        if array.ndim != 2 or array.shape[1] != 3:
            raise ValueError
        for query, document, grade in array.tolist():
            qrels[str(query)][str(document)] = int(grade)
    except ValueError as error:
        raise ShapeError(
            f"`qrels` in `{filename}` is {array.dtype}, shape {array.shape}; "
            "save rows of query id, text id, whole-number grade."
        ) from error
    return qrels
