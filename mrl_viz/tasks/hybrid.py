"""Hybrid search: every dense list fused with the list that BM25 makes of the words, by reciprocal rank fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.data.corpus import Corpus
from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.truncation import Ints, check_count

Lists = npt.NDArray[np.integer[Any]]

# What stands before the name of a metric of fused lists.
HYBRID = "hybrid "
# The constant of reciprocal rank fusion: the paper's, and the default of the stores that have it.
FUSION_K = 60
# So many of the best of either list are fused, as Elasticsearch, OpenSearch and others are set up by default or advise.
FUSION_DEPTH = 100


@dataclass(frozen=True, eq=False)
class Hybrid:
    """What dense lists are fused with.

    `words` : int64 of shape (n_queries, depth), the lists of BM25, places of items, best first; -1 is nothing found.
    `fusion_k` : the constant of the fusion.
    """

    words: Ints
    fusion_k: int = FUSION_K

    @property
    def depth(self) -> int:
        """How many of the best of a dense list are fused."""
        return int(self.words.shape[1])

    def fuse(self, dense: Lists, k: int | None = None) -> Ints:
        """Dense lists (…, n_queries, length) fused with those of the words, (…, n_queries, k); see `fused_lists`."""
        return fused_lists(dense[..., : self.depth], self.words, k=k, fusion_k=self.fusion_k)

    def about(self) -> str:
        """How it is made, for a note."""
        return (
            f"Hybrid: the best {self.depth} of the vectors and of BM25 (words in lower case, no stop words, k1 = 1.5, "
            f"b = 0.75) are fused by reciprocal rank, 1 / ({self.fusion_k} + rank)."
        )


def hybrid_of(
    corpus: Corpus,
    rows: Ints,
    *,
    texts_ask: bool = False,
    items: Ints | None = None,
    fusion_k: int = FUSION_K,
    depth: int = FUSION_DEPTH,
) -> Hybrid:
    """What lists of a corpus are fused with.

    Parameters
    ----------
    rows : positions of the queries that search, or of texts, (n_queries,)
    texts_ask : `rows` are texts that search for each other: none finds itself
    items : positions of the texts that are searched; all when None
    fusion_k : the constant of the fusion, 1 or more
    depth : how many of the best of either list are fused

    Raises
    ------
    InvalidInputError : vectors without texts or without their queries' texts; `fusion_k` or `depth` below 1.
    """
    check_count("fusion_k", fusion_k)
    check_has_words(corpus, texts_ask=texts_ask)
    places = np.arange(corpus.n_items, dtype=np.int64) if items is None else items
    source = corpus.texts if texts_ask else corpus.query_texts
    own = np.searchsorted(places, rows) if texts_ask else None
    words = bm25_lists(
        [corpus.texts[item] for item in places], [source[row] for row in rows],
        depth=min(depth, len(places) - texts_ask), own=own,
    )  # fmt: skip
    return Hybrid(words, fusion_k)


def bm25_lists(
    texts: Sequence[str], queries: Sequence[str], *, depth: int = FUSION_DEPTH, own: npt.ArrayLike | None = None
) -> Ints:
    """The texts that share words with each query, best first by BM25, ties to the lower index.

    Parameters
    ----------
    texts, queries : words are runs of two or more letters, digits or _, in lower case; none is left out, because BM25
        weighs common words down in any language
    depth : list length
    own : (n_queries,), the place of a text that a query is, which is not found

    Returns
    -------
    ndarray of shape (n_queries, depth), int64; -1 where no more texts share a word

    Raises
    ------
    InvalidInputError : `depth` below 1.

    Source: Robertson & Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond", as in Lucene, k1 = 1.5,
    b = 0.75, through bm25s: Lù 2024, arXiv:2407.03618.
    """
    # It imports numba and scipy, a second that nobody waits for who asks for no words.
    import bm25s

    check_count("depth", depth)
    found = np.full((len(queries), depth), -1, dtype=np.int64)
    tokens = bm25s.tokenize(list(texts), stopwords=None, return_ids=False, show_progress=False)
    if not any(tokens):
        return found
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(tokens, show_progress=False)
    asked = bm25s.tokenize(list(queries), stopwords=None, return_ids=False, show_progress=False)
    selves = None if own is None else np.asarray(own)
    for row, words in enumerate(asked):
        if not words:
            continue
        scores = index.get_scores(words)
        if selves is not None:
            scores[selves[row]] = 0
        hits = np.flatnonzero(scores > 0)
        # A stable sort leaves ties in the order of the texts.
        best = hits[np.argsort(-scores[hits], kind="stable")[:depth]]
        found[row, : len(best)] = best
    return found


def fused_lists(dense: Lists, words: Lists, *, k: int | None = None, fusion_k: int = FUSION_K) -> Ints:
    """Two rankings made one by reciprocal rank fusion: an item scores Σ 1 / (fusion_k + rank), ranks from 1.

    Parameters
    ----------
    dense : (…, n_queries, length), places of items, best first; -1 stands for nothing found
    words : (n_queries, other_length), likewise
    k : list length; that of `dense` when None
    fusion_k : the larger, the less the first ranks stand out, 1 or more

    Returns
    -------
    ndarray of shape (…, n_queries, k), int64; ties to the lower place, -1 where both lists have no more

    Raises
    ------
    ShapeError : another number of queries. InvalidInputError : `k` or `fusion_k` below 1.

    Source: Cormack, Clarke & Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods".
    """
    check_count("fusion_k", fusion_k)
    if dense.shape[-2:-1] != words.shape[:1]:
        raise ShapeError(f"`dense` has lists of shape {dense.shape} and `words` {words.shape}; give one each a query.")
    k = dense.shape[-1] if k is None else k
    check_count("k", k)
    beside = np.broadcast_to(words, (*dense.shape[:-1], words.shape[-1]))
    items = np.concatenate([dense, beside], axis=-1).astype(np.int64)
    ranks = np.concatenate([np.arange(1, dense.shape[-1] + 1), np.arange(1, words.shape[-1] + 1)])
    scores = np.where(items >= 0, 1 / (fusion_k + ranks), 0.0)
    # In the order of items an item of both lists stands twice in a row.
    order = np.argsort(items, axis=-1, kind="stable")
    items, scores = np.take_along_axis(items, order, -1), np.take_along_axis(scores, order, -1)
    is_twice = (items[..., 1:] == items[..., :-1]) & (items[..., 1:] >= 0)
    scores[..., :-1] += np.where(is_twice, scores[..., 1:], 0)
    scores[..., 1:][is_twice] = 0
    best = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
    fused = np.where(np.take_along_axis(scores, best, -1) > 0, np.take_along_axis(items, best, -1), -1)
    missing = k - fused.shape[-1]
    return np.pad(fused, [(0, 0)] * (fused.ndim - 1) + [(0, missing)], constant_values=-1) if missing > 0 else fused


def check_has_words(corpus: Corpus, *, texts_ask: bool = False) -> None:
    """Raise InvalidInputError for ready vectors whose texts, or those of their queries, are only called by a number.

    `texts_ask` : texts search for each other, so that there are no queries to look at.
    """
    parts = [(corpus.texts, "vector", "texts"), *([] if texts_ask else [(corpus.query_texts, "query", "query_texts")])]
    for texts, unnamed, part in parts:
        if corpus.embeddings is not None and all(text == f"{unnamed} {row}" for row, text in enumerate(texts)):
            raise InvalidInputError(
                f"`{corpus.name}` holds vectors without `{part}`, and hybrid search needs the words of texts and "
                "queries; give them beside the vectors, or leave hybrid out."
            )
