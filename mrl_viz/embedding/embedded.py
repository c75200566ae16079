"""A corpus with its embeddings at full width, from the store where it has them, else from the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mrl_viz.arrangements import Arrangement
from mrl_viz.data.corpus import Corpus, Data, as_corpus
from mrl_viz.data.corpus import with_queries as searched_with
from mrl_viz.embedding.encoder import model_identity
from mrl_viz.embedding.encoders import Model, as_encoder
from mrl_viz.embedding.encoders.precomputed import PrecomputedEncoder, shipped_encoder
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from mrl_viz.embedding.encoder import Encoder, Kind

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Embedded:
    """A corpus with its embeddings at full width.

    `matrix` : float32 of shape (n_items, full_dim). `queries` : (n_queries, full_dim), None where there are none or
    they were left out. `seconds` : what embedding took, 0 for ready vectors. `identity` : see `model_identity`.
    `max_tokens` : what the model reads of a text, None for all of it; `n_overlong` : texts with more tokens than that.
    `encoder` : the model, where it was given as an object and not by its name.
    """

    corpus: Corpus
    model: str
    matryoshka_dims: tuple[int, ...] | None
    matrix: FloatMatrix
    queries: FloatMatrix | None
    seconds: float
    identity: str
    max_tokens: int | None = None
    n_overlong: int = 0
    encoder: Encoder | None = field(default=None, repr=False, compare=False)

    @property
    def full_dim(self) -> int:
        """Coordinates per vector."""
        return int(self.matrix.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits: of the data's evidence, of the model, and of whether its queries have vectors.

        The vectors themselves count where the model's identity is not known.
        """
        vectors = None if self.identity else (self.matrix, self.queries)
        return fingerprint(self.corpus.fingerprint, self.model, self.identity, self.queries is not None, vectors)

    def arranged(self, arrangement: Arrangement) -> Embedded:
        """The same in an arrangement, texts and queries alike, which every measure, Choose too, then takes as a model.

        Its full width is the arrangement's: what a rotation or a permutation leaves as it was, and a network may not.

        Raises
        ------
        ShapeError : an arrangement of another width.
        """
        queries = None if self.queries is None else arrangement.apply(self.queries)
        name, matrix = f"{self.model} ({arrangement.name})", arrangement.apply(self.matrix)
        return replace(self, model=name, matryoshka_dims=None, matrix=matrix, queries=queries, identity="")

    def model_dict(self) -> dict[str, Any]:
        """The model as plain data."""
        return {"name": self.model, "full_dim": self.full_dim, "matryoshka_dims": self.matryoshka_dims}


def embed(
    data: Data,
    model: Model = "wordllama",
    *,
    queries: Data | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Embedded:
    """The data's embeddings, from the store where it has them, else from the model; ready vectors are used as they are.

    Parameters
    ----------
    data : a corpus; or a list of texts, a pandas column, or an array of ready vectors, every row of which is kept
    model : a name (of the catalogue, the Hub or an API, or a local folder), a SentenceTransformer, or any function from
        a list of texts to an array, see `as_encoder`; ignored for vectors
    queries : what to search with, texts in texts or vectors in vectors, instead of the corpus' own queries and their
        judgements; None takes its own; an empty sequence leaves them out, and `with_queries` adds them later
    device : torch device, None for the best there is
    trust_remote_code : let the model's repository run code
    progress, cancelled : called between batches

    Raises
    ------
    ModelUnavailableError, StoreError, CancelledError, EmptyInputError, InvalidInputError
    """
    corpus = as_corpus(data)
    if corpus.n_items == 0:
        raise EmptyInputError("`corpus` has no texts; add at least two.")
    is_left_out = isinstance(queries, (tuple, list)) and not queries
    if queries is not None and not is_left_out:
        own = as_corpus(queries, unnamed="query")
        corpus = corpus if own.texts == corpus.query_texts and own.embeddings is None else searched_with(corpus, own)
    asked = bool(corpus.query_texts) and not is_left_out
    if corpus.embeddings is not None:
        found = corpus.query_embeddings if asked else None
        return Embedded(corpus, "vectors", corpus.matryoshka_dims, corpus.embeddings, found, 0.0, "ready vectors")
    encoder = _encoder(model, (*corpus.texts, *(corpus.query_texts if asked else ())), device, trust_remote_code)
    started = time.perf_counter()
    rows = embed_texts(corpus.texts, encoder, progress=progress, cancelled=cancelled)
    query_rows = embed_texts(corpus.query_texts, encoder, kind="query", cancelled=cancelled) if asked else None
    seconds = time.perf_counter() - started
    return Embedded(
        corpus, encoder.name, encoder.matryoshka_dims, rows, query_rows, seconds, model_identity(encoder),
        encoder.max_tokens, _count_overlong(encoder, corpus.texts), None if isinstance(model, str) else encoder,
    )  # fmt: skip


def with_queries(
    embedded: Embedded,
    model: Model | None = None,
) -> Embedded:
    """The same with vectors of the corpus' own queries, from the store where it has them.

    Parameters
    ----------
    model : the one that embedded the texts, where it is loaded already; None takes the object given then, or its name

    Raises
    ------
    InvalidInputError : another model. ModelUnavailableError, StoreError : as in `embed`.
    """
    corpus = embedded.corpus
    if embedded.queries is not None or not corpus.query_texts:
        return embedded
    if corpus.embeddings is not None:
        return replace(embedded, queries=corpus.query_embeddings)
    encoder = _encoder(model or embedded.encoder or embedded.model, corpus.query_texts)
    if embedded.identity and model_identity(encoder) != embedded.identity:
        raise InvalidInputError(
            f"`model` is {encoder.name} but the texts were embedded by {embedded.model}, or by another revision of it; "
            "embed the texts again."
        )
    return replace(embedded, queries=embed_texts(corpus.query_texts, encoder, kind="query"))


def embed_texts(
    texts: Sequence[str],
    model: Model = "wordllama",
    *,
    kind: Kind = "document",
    trust_remote_code: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FloatMatrix:
    """Vectors of any texts, such as a typed query, float32 of shape (n_texts, full_dim), from the store or the model.

    What is new is stored: the vector and a hash of the text, never the text. A function without a revision is asked
    every time.

    Parameters
    ----------
    texts : any number
    model : as in `embed`
    kind : which of the model's prompts
    trust_remote_code, progress, cancelled : as in `embed`

    Raises
    ------
    ModelUnavailableError, StoreError, CancelledError : as in `embed`.
    """
    encoder = _encoder(model, texts, trust_remote_code=trust_remote_code)
    if isinstance(encoder, PrecomputedEncoder) or not encoder.revision:
        return encoder.encode(texts, kind=kind, progress=progress, cancelled=cancelled)
    from mrl_viz.embedding.store import EmbeddingStore

    return EmbeddingStore().embed(encoder, texts, kind=kind, progress=progress, cancelled=cancelled)


def _encoder(model: Model, texts: Sequence[str], device: str | None = None, trust_remote_code: bool = False) -> Encoder:
    """The loaded model; for texts of the sample, its shipped vectors do as well."""
    shipped = shipped_encoder(model, texts) if isinstance(model, str) else None
    return shipped or as_encoder(model, device=device, trust_remote_code=trust_remote_code)


def _count_overlong(encoder: Encoder, texts: Sequence[str]) -> int:
    """Texts with more tokens than the model reads; a token has a character or more, so short texts are not counted."""
    if encoder.max_tokens is None:
        return 0
    candidates = [text for text in texts if len(text) > encoder.max_tokens]
    return sum(n > encoder.max_tokens for n in encoder.count_tokens(candidates)) if candidates else 0
