"""A width for each query: predicted from its cheapest search, held against one fixed width of the same mean cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, ShapeError
from mrl_viz.measures.lists import shared_share
from mrl_viz.sweep import Sweep, nested_sweep
from mrl_viz.truncation import (
    FloatMatrix,
    Floats,
    Ints,
    check_embeddings,
    check_share,
    normalize,
)

# Fewer queries cannot tell a rule from an accident.
MIN_TRAINING_QUERIES = 20
# What a rule reads of the first search: its list's similarities and the query's energy by width, or also the scores
# by which query performance prediction guesses how good a list is.
Features = Literal["list", "qpp"]
FEATURES: tuple[Features, ...] = ("list", "qpp")
# How deep a list those scores are of, as in their papers.
QPP_DEPTH = 100


@dataclass(frozen=True)
class WidthPredictor:
    """A rule from a query's search at the smallest width to the width it needs.

    `dims` : widths to choose from; `k`, `target` : a width suffices when overlap@k with full width reaches `target`.
    `confidence` : a width is chosen when the predicted probability that it suffices is at least this.
    `models` : per width below the last, a fitted scikit-learn classifier, or the one answer all training queries gave.
    `features` : what the rule reads of the first search.
    """

    dims: tuple[int, ...]
    full_dim: int
    k: int
    target: float
    confidence: float
    models: tuple[Any, ...]
    features: Features = "list"

    def predict(self, corpus: npt.ArrayLike, queries: npt.ArrayLike) -> Ints:
        """The width for each query, shape (n_queries,); it reads only a search at the smallest width.

        Raises
        ------
        DimensionError, ShapeError, EmptyInputError, InvalidInputError : arrays that do not fit the predictor.
        """
        items, rows = check_embeddings(corpus, "corpus"), check_embeddings(queries, "queries")
        if rows.shape[1] != self.full_dim:
            raise ShapeError(
                f"`queries` have {rows.shape[1]} coordinates and the predictor {self.full_dim}; use one model."
            )
        read = read_first_search(items, rows, self.dims, self.k, self.features)
        return choose_widths(self.dims, probabilities(self.models, read), self.confidence)


def probabilities(models: Sequence[Any], read: Floats) -> Floats:
    """The predicted probability that each width below the last suffices, shape (n_dims - 1, n_queries)."""
    known = [
        np.full(len(read), model) if isinstance(model, float) else model.predict_proba(read)[:, 1] for model in models
    ]
    return np.array(known).reshape(len(models), len(read))


def choose_widths(dims: tuple[int, ...], enough: Floats, confidence: float) -> Ints:
    """The first width that is likely enough to suffice, else the last, shape (n_queries,)."""
    chosen = np.full(enough.shape[1], dims[-1])
    for dim, probability in reversed(list(zip(dims, enough))):
        chosen = np.where(probability >= confidence, dim, chosen)
    return chosen


def smallest_sufficient_widths(sweep: Sweep, target: float) -> Ints:
    """The smallest swept width whose overlap@k with full width reaches `target`, in (0, 1], for every query."""
    check_share("target", target)
    # A mean of k shares may fall just short of the target it equals.
    enough = shared_share(sweep.indices, sweep.indices[-1]) >= target - 1e-9
    return np.asarray(np.asarray(sweep.dims)[enough.argmax(axis=0)])


def fit_width_predictor(
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike,
    *,
    dims: Iterable[int],
    k: int = 10,
    target: float = 0.9,
    confidence: float = 0.5,
    features: Features = "list",
) -> WidthPredictor:
    """A predictor trained on queries whose smallest sufficient width is known from exact searches at every width.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    queries : array_like of shape (n_queries, full_dim), at least 20 and not those it is judged by
    dims : widths to choose from; `full_dim` is always added
    target : overlap@k that suffices, in (0, 1]
    confidence : probability of sufficing at which a width is taken, in (0, 1]; higher is wider and safer
    features : "list", or "qpp" for the scores of query performance prediction too

    Raises
    ------
    EmptyInputError : fewer than 20 queries. InvalidInputError : `k`, `target` or `confidence` out of range.
    DimensionError, ShapeError : unusable arrays or widths.

    Source: own definition; one logistic regression per width, as in ordinal classification by Frank & Hall 2001.
    """
    check_share("target", target)
    check_share("confidence", confidence)
    items, rows = check_embeddings(corpus, "corpus"), check_embeddings(queries, "queries")
    if len(rows) < MIN_TRAINING_QUERIES:
        raise EmptyInputError(f"`queries` has {len(rows)} rows; give at least {MIN_TRAINING_QUERIES} to learn from.")
    sweep = nested_sweep(items, rows, dims=dims, k=k)
    read = read_first_search(items, rows, sweep.dims, k, features)
    models = fit_each_width(sweep.dims, read, smallest_sufficient_widths(sweep, target))
    return WidthPredictor(sweep.dims, sweep.full_dim, k, target, confidence, models, features)


def fit_each_width(dims: tuple[int, ...], read: Floats, needed: Ints) -> tuple[Any, ...]:
    """A classifier per width below the last: does it suffice?"""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models: list[Any] = []
    for dim in dims[:-1]:
        enough = needed <= dim
        is_open = enough.any() and not enough.all()
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        models.append(model.fit(read, enough) if is_open else float(enough[0]))
    return tuple(models)


def read_first_search(
    items: FloatMatrix, rows: FloatMatrix | None, dims: tuple[int, ...], k: int, features: Features
) -> Floats:
    """What is known after the search at the smallest width, shape (n_queries, n_features); None: items search."""
    n_others, smallest = len(items) - (rows is None), dims[0]
    asked = items if rows is None else rows
    depth = k if features == "list" else min(max(k, QPP_DEPTH), n_others)
    narrow = np.ascontiguousarray(items[:, :smallest])
    # Half of the smallest width is searched too: how far its list agrees is known at no further cost.
    widths = (smallest,) if features == "list" else tuple(sorted({max(smallest // 2, 1), smallest}))
    sweep = nested_sweep(narrow, None if rows is None else rows[:, :smallest], dims=widths, k=depth)
    known = _of_list(sweep.similarities[-1, :, :k].astype(np.float64), asked, dims)
    if features == "list":
        return known
    return np.column_stack([known, _performance_scores(sweep, narrow, asked[:, :smallest], k)])


def _of_list(similarities: Floats, rows: FloatMatrix, dims: tuple[int, ...]) -> Floats:
    """Features of a list's similarities (n_queries, k) and of the query.

    The best similarity, the gaps from it to the second and to the last of the list, the gap at the end of the list and
    the spread: a list that stands out needs fewer coordinates. And the share of the query's energy in each prefix.
    """
    k = similarities.shape[1]
    first, last = similarities[:, 0], similarities[:, -1]
    second, before = similarities[:, min(1, k - 1)], similarities[:, max(k - 2, 0)]
    columns = [first, last, first - second, first - last, before - last, similarities.std(axis=1)]
    squares = normalize(rows).astype(np.float64) ** 2
    return np.column_stack([*columns, *(squares[:, :dim].sum(axis=1) for dim in dims[:-1])])


def _performance_scores(sweep: Sweep, items: FloatMatrix, rows: FloatMatrix, k: int) -> Floats:
    """Scores of query performance prediction, shape (n_queries, 8), of one search at one small width.

    `sweep` : lists at that width last, and at half of it before. `items`, `rows` : vectors cut to that width.
    Scores are put into units of the query's own scores over the whole corpus, whose mean and spread the corpus'
    first two moments give.

    Source: NQC, Shtok et al. 2012 (ACM TOIS 30); WIG, Zhou & Croft 2007 (SIGIR); SMV, Tao & Wu 2014 (CIKM); the spread
    above half of the best score, Cummins et al. 2011 (SIGIR); coherence of the list, Diaz 2007 (SIGIR), and against its
    end's, Vlachou & Macdonald 2023, arXiv:2310.11405; agreement of a perturbed ranking, Zhou & Croft 2006 (CIKM).
    """
    units, asked = normalize(items).astype(np.float64), normalize(rows).astype(np.float64)
    mean = asked @ units.mean(axis=0)
    moments = units.T @ units / len(units)
    spread = np.sqrt(np.maximum(np.einsum("qi,ij,qj->q", asked, moments, asked) - mean**2, 1e-12))
    scores = (sweep.similarities[-1].astype(np.float64) - mean[:, None]) / spread[:, None]
    best = scores[:, 0]
    # Magnitude and variance together: s |ln(s / mean)|, of scores above the corpus' mean.
    above = np.maximum(scores, 1e-6)
    magnitude = (above * np.abs(np.log(above / above.mean(axis=1, keepdims=True)))).mean(axis=1)
    is_near = scores >= 0.5 * best[:, None]
    near_mean = (scores * is_near).sum(axis=1) / is_near.sum(axis=1)
    near_spread = np.sqrt(((scores - near_mean[:, None]) ** 2 * is_near).sum(axis=1) / is_near.sum(axis=1))
    lists = sweep.indices[-1]
    top, bottom = _coherence(units, lists[:, :k]), _coherence(units, lists[:, -k:])
    agrees = shared_share(sweep.indices[0, :, :k], lists[:, :k])
    return np.column_stack(
        [best, scores[:, :k].mean(axis=1), scores.std(axis=1), magnitude, near_spread, top, top - bottom, agrees]
    )


def _coherence(units: Floats, lists: npt.NDArray[Any]) -> Floats:
    """Mean cosine between the items of each list (n_queries, k), 1 for a list of one."""
    k = lists.shape[1]
    sums = np.array([units[items].sum(axis=0) for items in lists])
    return (np.einsum("qi,qi->q", sums, sums) - k) / (k * (k - 1)) if k > 1 else np.ones(len(lists))
