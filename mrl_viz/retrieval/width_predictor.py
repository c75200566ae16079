"""A width for each query: predicted from its cheapest search, held against one fixed width of the same mean cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.measures.lists import shared_share
from mrl_viz.result import Result
from mrl_viz.sweep import Sweep, nested_sweep
from mrl_viz.truncation import FloatMatrix, Floats, Ints, check_embeddings, check_share, normalize

# Fewer queries cannot tell a rule from an accident.
MIN_TRAINING_QUERIES = 20


@dataclass(frozen=True)
class WidthPredictor:
    """A rule from a query's search at the smallest width to the width it needs.

    `dims` : widths to choose from; `k`, `target` : a width suffices when overlap@k with full width reaches `target`.
    `confidence` : a width is chosen when the predicted probability that it suffices is at least this.
    `models` : per width below the last, a fitted scikit-learn classifier, or the one answer all training queries gave.
    """

    dims: tuple[int, ...]
    full_dim: int
    k: int
    target: float
    confidence: float
    models: tuple[Any, ...]

    def predict(self, corpus: npt.ArrayLike, queries: npt.ArrayLike) -> Ints:
        """The width for each query, shape (n_queries,); it reads only a search at the smallest width.

        Raises
        ------
        DimensionError, ShapeError, EmptyInputError, InvalidInputError : arrays that do not fit the predictor.
        """
        smallest = check_embeddings(corpus, "corpus")[:, : self.dims[0]]
        rows = check_embeddings(queries, "queries")
        if rows.shape[1] != self.full_dim:
            raise ShapeError(
                f"`queries` have {rows.shape[1]} coordinates and the predictor {self.full_dim}; use one model."
            )
        sweep = nested_sweep(smallest, rows[:, : self.dims[0]], dims=self.dims[:1], k=self.k)
        return self._choose(_features(sweep, rows, self.dims))

    def _choose(self, features: Floats) -> Ints:
        """The first width that is likely enough to suffice, else the last."""
        chosen = np.full(len(features), self.dims[-1])
        for dim, model in reversed(list(zip(self.dims, self.models))):
            enough = model if isinstance(model, float) else model.predict_proba(features)[:, 1]
            chosen = np.where(enough >= self.confidence, dim, chosen)
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
) -> WidthPredictor:
    """A predictor trained on queries whose smallest sufficient width is known from exact searches at every width.

    Parameters
    ----------
    corpus : array_like of shape (n_items, full_dim)
    queries : array_like of shape (n_queries, full_dim), at least 20 and not those it is judged by
    dims : widths to choose from; `full_dim` is always added
    target : overlap@k that suffices, in (0, 1]
    confidence : probability of sufficing at which a width is taken, in (0, 1]; higher is wider and safer

    Raises
    ------
    EmptyInputError : fewer than 20 queries. InvalidInputError : `k`, `target` or `confidence` out of range.
    DimensionError, ShapeError : unusable arrays or widths.

    Source: own definition; one logistic regression per width, as in ordinal classification by Frank & Hall 2001.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    check_share("target", target)
    check_share("confidence", confidence)
    rows = check_embeddings(queries, "queries")
    if len(rows) < MIN_TRAINING_QUERIES:
        raise EmptyInputError(f"`queries` has {len(rows)} rows; give at least {MIN_TRAINING_QUERIES} to learn from.")
    sweep = nested_sweep(corpus, rows, dims=dims, k=k)
    features = _features(sweep, rows, sweep.dims)
    needed = smallest_sufficient_widths(sweep, target)
    models: list[Any] = []
    for dim in sweep.dims[:-1]:
        enough = needed <= dim
        is_open = enough.any() and not enough.all()
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        models.append(model.fit(features, enough) if is_open else float(enough[0]))
    return WidthPredictor(sweep.dims, sweep.full_dim, k, target, confidence, tuple(models))


@dataclass(frozen=True)
class WidthComparison(Result):
    """A predicted width per query beside one fixed width of the same mean cost and the oracle; on held-out queries.

    Widths are mean coordinates per item scored. `predicted_dim`, `predicted_overlap` : of the predictor.
    `fixed_overlap` : of a fixed width of mean `predicted_dim`, or of the mixture of two that costs the same.
    `gain` : predicted minus fixed overlap, paired, with its 95 % bootstrap interval.
    `oracle_dim`, `oracle_overlap` : always the smallest width that suffices, which no predictor can know.
    `share_sufficient` : queries whose predicted width suffices. `chosen` : int64 of shape (n_queries,).
    """

    _also = ("beats_fixed",)
    _without = ("chosen",)

    dims: tuple[int, ...]
    k: int
    target: float
    n_queries: int
    predicted_dim: float
    predicted_overlap: float
    fixed_overlap: float
    gain: Estimate
    oracle_dim: float
    oracle_overlap: float
    share_sufficient: float
    chosen: Ints

    @property
    def beats_fixed(self) -> bool:
        """Whether the whole interval of the gain is above 0."""
        return self.gain.low > 0

    def takeaway(self) -> str:
        found = (
            f"{self.predicted_overlap:.1%} against {self.fixed_overlap:.1%} at a mean of {self.predicted_dim:.0f} dims"
        )
        interval = f"gain {self.gain.value:+.1%}, 95% interval {self.gain.low:+.1%} to {self.gain.high:+.1%}"
        if self.beats_fixed:
            return f"A width per query beats the fixed width of equal cost: {found} ({interval})."
        return f"A width per query does not beat the fixed width of equal cost, which is simpler: {found} ({interval})."


def compare_widths(
    predictor: WidthPredictor, corpus: npt.ArrayLike, queries: npt.ArrayLike, *, seed: int = 0
) -> WidthComparison:
    """The predictor judged on queries that it was not trained on.

    Parameters
    ----------
    corpus, queries : as `predict` takes them, the queries held out
    seed : of the bootstrap

    Raises
    ------
    DimensionError, ShapeError, EmptyInputError, InvalidInputError : arrays that do not fit the predictor.

    Source: own definition.
    """
    rows = check_embeddings(queries, "queries")
    sweep = nested_sweep(corpus, rows, dims=predictor.dims, k=predictor.k)
    if sweep.dims != predictor.dims:
        raise InvalidInputError(
            f"`corpus` has {sweep.full_dim} coordinates and the predictor learned with "
            f"{predictor.full_dim}; use one model."
        )
    chosen = predictor._choose(_features(sweep, rows, sweep.dims))
    overlaps = shared_share(sweep.indices, sweep.indices[-1])
    dims, positions = np.asarray(sweep.dims), np.arange(len(rows))
    predicted = overlaps[np.searchsorted(dims, chosen), positions]
    needed = smallest_sufficient_widths(sweep, predictor.target)
    mean_dim = float(chosen.mean())
    upper = int(np.searchsorted(dims, mean_dim))
    lower = max(upper - 1, 0)
    share = (mean_dim - dims[lower]) / (dims[upper] - dims[lower]) if upper > lower else 0.0
    fixed = (1 - share) * overlaps[lower] + share * overlaps[upper]
    (gain,) = bootstrap(predicted - fixed, seed=seed)
    return WidthComparison(
        sweep.dims,
        predictor.k,
        predictor.target,
        n_queries=len(rows),
        predicted_dim=mean_dim,
        predicted_overlap=float(predicted.mean()),
        fixed_overlap=float(fixed.mean()),
        gain=gain,
        oracle_dim=float(needed.mean()),
        oracle_overlap=float(overlaps[np.searchsorted(dims, needed), positions].mean()),
        share_sufficient=float((predicted >= predictor.target - 1e-9).mean()),
        chosen=chosen,
    )


def _features(sweep: Sweep, rows: FloatMatrix, dims: tuple[int, ...]) -> Floats:
    """What is known after the search at the smallest width, shape (n_queries, n_features).

    The best similarity, the gaps from it to the second and to the last of the list, the gap at the end of the list and
    the spread: a list that stands out needs fewer coordinates. And the share of the query's energy in each prefix.
    """
    similarities = sweep.similarities[0].astype(np.float64)
    first, last = similarities[:, 0], similarities[:, -1]
    second, before = similarities[:, min(1, sweep.k - 1)], similarities[:, max(sweep.k - 2, 0)]
    columns = [first, last, first - second, first - last, before - last, similarities.std(axis=1)]
    squares = normalize(rows).astype(np.float64) ** 2
    return np.column_stack([*columns, *(squares[:, :dim].sum(axis=1) for dim in dims[:-1])])
