"""Search with a plan: what was decided, used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from mrl_viz.embedding.embedded import Embedded, embed_texts
from mrl_viz.embedding.encoders import Model
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.retrieval.results import SearchResult


def search(
    embedded: Embedded,
    queries: str | Sequence[str] | npt.ArrayLike,
    *,
    plan: Plan | int | None = None,
    k: int = 10,
    model: Model | None = None,
    trust_remote_code: bool = False,
) -> SearchResult:
    """The k best items of an embedded corpus for each query, found as a plan says.

    Parameters
    ----------
    embedded : the corpus that is searched
    queries : a text, texts, or vectors of shape (n_queries, full_dim)
    plan : a plan, or a width that is searched exactly in float32; None searches at full width
    k : results per query, 1 to n_items
    model : what embeds texts, where it is loaded already; None takes the object that `embedded` came from, or its name
    trust_remote_code : let the model's repository run code

    Raises
    ------
    EmptyInputError : no query, or an empty one. InvalidInputError : texts for ready vectors, or `k` out of range.
    DimensionError, ShapeError : a plan or vectors that do not fit. ModelUnavailableError, StoreError : as in `embed`.

    Source: own definition; shortlist + rerank as in Kusupati et al. 2022, arXiv:2205.13147, section 4.3.
    """
    given = [queries] if isinstance(queries, str) else queries
    if _is_texts(given):
        if not given or not all(text.strip() for text in given):
            raise EmptyInputError("`queries` has an empty text; say what to search for.")
        if embedded.corpus.embeddings is not None:
            raise InvalidInputError("`queries` are texts but the corpus holds ready vectors; give vectors of them.")
        asked, used = [text.strip() for text in given], model or embedded.encoder or embedded.model
        given = embed_texts(asked, used, kind="query", trust_remote_code=trust_remote_code)
    if not isinstance(plan, Plan):
        plan = Plan(embedded.full_dim if plan is None else plan)
    return build_plan(plan, embedded.matrix).search(np.atleast_2d(np.asarray(given)), k)


def _is_texts(queries: object) -> TypeGuard[Sequence[str]]:
    return isinstance(queries, Sequence) and all(isinstance(query, str) for query in queries)
