"""A corpus with its embeddings at full width, from the store where it has them, else from the model."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from mrl_viz.data.corpus import Corpus
    from mrl_viz.embedding.encoders import Encoder

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Embedded:
    """A corpus with its embeddings at full width.

    `corpus` : float32 of shape (n_items, full_dim); `queries` : (n_queries, full_dim) or None, the corpus against itself.
    `seconds` : what embedding took, 0 for vectors that came ready. `fingerprint` : of texts, model and queries.
    `max_tokens` : what the model reads of a text, None for all of it; `n_overlong` : texts with more tokens than that.
    """

    corpus: Corpus
    model: str
    matryoshka_dims: tuple[int, ...] | None
    matrix: FloatMatrix
    queries: FloatMatrix | None
    seconds: float
    fingerprint: str
    max_tokens: int | None = None
    n_overlong: int = 0

    @property
    def full_dim(self) -> int:
        """Coordinates per vector."""
        return int(self.matrix.shape[1])

    def model_dict(self) -> dict[str, Any]:
        """The model as plain data."""
        return {"name": self.model, "full_dim": self.full_dim, "matryoshka_dims": self.matryoshka_dims}


def embed(
    corpus: Corpus,
    model: str = "wordllama",
    *,
    queries: Sequence[str] | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Embedded:
    """The corpus' embeddings, from the store where it has them, else from the model; ready vectors are used as they are.

    Parameters
    ----------
    corpus : texts, or vectors
    model : a catalogue name, a Hub name or a local folder; ignored for vectors
    queries : texts to search with; None takes the corpus' own queries, an empty sequence none
    device : torch device, None for the best there is
    trust_remote_code : let the model's repository run code
    progress, cancelled : called between batches

    Raises
    ------
    ModelUnavailableError, StoreError, CancelledError, EmptyInputError, InvalidInputError
    """
    query_texts = tuple(corpus.query_texts if queries is None else queries)
    if corpus.n_items == 0:
        raise EmptyInputError("`corpus` has no texts; add at least two.")
    if corpus.embeddings is not None:
        if query_texts:
            raise InvalidInputError("`queries` are texts but the corpus holds ready vectors; leave the queries out.")
        return Embedded(corpus, "vectors", None, corpus.embeddings, None, 0.0, corpus.fingerprint)
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.embedding.encoders.precomputed import shipped_encoder
    from mrl_viz.embedding.store import EmbeddingStore

    started = time.perf_counter()
    encoder: Encoder
    if shipped := shipped_encoder(model, (*corpus.texts, *query_texts)):
        encoder = shipped
        rows = shipped.encode(corpus.texts, progress=progress)
        query_rows = shipped.encode(query_texts) if query_texts else None
    else:
        encoder = load_encoder(model, device=device, trust_remote_code=trust_remote_code)
        started = time.perf_counter()
        store = EmbeddingStore()
        rows = store.embed(encoder, corpus.texts, kind="document", progress=progress, cancelled=cancelled)
        query_rows = store.embed(encoder, query_texts, kind="query", cancelled=cancelled) if query_texts else None
    seconds = time.perf_counter() - started
    digest = hashlib.sha256(f"{corpus.fingerprint}\0{encoder.name}\0{encoder.revision}".encode())
    for text in query_texts:
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return Embedded(
        corpus, encoder.name, encoder.matryoshka_dims, rows, query_rows, seconds, digest.hexdigest()[:16],
        encoder.max_tokens, _count_overlong(encoder, corpus.texts),
    )  # fmt: skip


def _count_overlong(encoder: Encoder, texts: Sequence[str]) -> int:
    """How many texts have more tokens than the model reads; a token has at least one character, so short texts are not counted."""
    if encoder.max_tokens is None:
        return 0
    candidates = [text for text in texts if len(text) > encoder.max_tokens]
    return sum(n > encoder.max_tokens for n in encoder.count_tokens(candidates)) if candidates else 0
