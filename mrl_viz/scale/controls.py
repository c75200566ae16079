"""Controls of rows that do not fit into memory: every arrangement is swept from one reading of the blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from mrl_viz.arrangements import (
    ARRANGEMENTS,
    FEWEST_DRAWS,
    FITTED,
    Arrangement,
    check_arrangements,
    fitted_arrangement,
    prefix_arrangement,
    random_arrangements,
    suffix_arrangement,
)
from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.controls import ArrangementOverlap, ControlComparison, nestedness, said_changes, said_fitted
from mrl_viz.measures.estimate import bootstrap
from mrl_viz.measures.lists import Indices, shared_share
from mrl_viz.measures.sample import MAX_COLUMNS, pair_sample
from mrl_viz.measures.similarity import SimilarityDrift, similarity_drift
from mrl_viz.scale.lists import Lists, without
from mrl_viz.scale.rows import Rows
from mrl_viz.scale.stages import picked
from mrl_viz.scale.streaming import MOST_ROWS, Queries
from mrl_viz.sweep import Sweep, check_k
from mrl_viz.sweep.fused import BLOCK, Walk
from mrl_viz.truncation import FloatMatrix, Floats, Ints, Progress, check_count, check_dims

# A rotation from four rows per coordinate is nearly that of all: enough for 5,000 coordinates.
FIT_ROWS = 20_000
# Rows in memory at once, as float32; each arrangement copies them, one after another.
BLOCK_BYTES = 32 * 2**20


@dataclass
class _Path:
    """An arrangement's way down the rows; `is_held_out` : without those that it, or another, was fitted on."""

    name: str
    arrangement: Arrangement
    is_held_out: bool = False
    walk: Walk = field(init=False)
    reached: int = 0

    def begin(self, queries: Queries, dims: tuple[int, ...], k: int, n_items: int) -> None:
        asked = np.ascontiguousarray(self.arrangement.apply(queries.matrix), dtype=np.float32)
        self.walk = Walk(asked, dims, k + (queries.own is not None), n_items, False, is_slice=True)

    def over(self, block: FloatMatrix) -> None:
        arranged = np.ascontiguousarray(self.arrangement.apply(block), dtype=np.float32)
        self.walk.over(arranged, self.reached)
        self.reached += len(block)

    def lists(self, own: Ints | None, k: int) -> Lists:
        items, similarities = self.walk.lists()
        found = Lists(items.astype(np.int64), similarities)
        return found if own is None else without(found, own, k)


def control_rows(
    rows: Rows,
    queries: Queries,
    *,
    dims: Iterable[int],
    k: int = 10,
    arrangements: Iterable[str] = ARRANGEMENTS,
    n_draws: int = FEWEST_DRAWS,
    fit_rows: int = FIT_ROWS,
    seed: int = 0,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> tuple[Sweep, ControlComparison]:
    """Overlap@k with the full width under each arrangement at each width, and the prefix's sweep that it stands beside.

    SVD and the others of FITTED are fitted on a seeded sample of rows, none of them a query, and measured on all other
    rows; the prefix on those is given beside them, as in `compare_arrangements`.

    Parameters
    ----------
    rows, queries : as of `open_rows`, and of `sampled_queries` or `given_queries`
    dims, k : as in `stream_sweep`
    arrangements : names from ARRANGEMENTS, centred, tempered:GAMMA; the prefix is always measured
    n_draws : random permutations, 10 or more
    fit_rows : rows to fit on, at most half of those that are no queries
    seed : of the draws, the rows to fit on, and the bootstrap
    block_bytes : of float32 rows in memory at once
    progress : called with (rows done, rows in all)

    Returns
    -------
    Sweep, ControlComparison : without what is fitted, and with a note, where the rows to fit on are fewer than the
        coordinates.

    Raises
    ------
    InvalidInputError : unknown names, a learnt map, or `n_draws`, `fit_rows` or `k` out of range. DimensionError : a
    width out of range. Others : as `Rows.read`.
    """
    names, learned = check_arrangements(arrangements)
    if learned:
        raise InvalidInputError(f"`arrangements` has {learned[0].name}, a learnt map; rows on a disk take names only.")
    check_count("fit_rows", fit_rows)
    own, full_dim = queries.own, rows.full_dim
    checked = check_dims((*dims, full_dim), full_dim)
    check_k(k, rows.n_rows - (own is not None))
    if rows.n_rows > MOST_ROWS:
        raise InvalidInputError(
            f"`{rows.name}` has {rows.n_rows:,} rows; controls take {MOST_ROWS:,}: give a part of it."
        )
    fitted, notes = [name for name in names if name.partition(":")[0] in FITTED], []
    fit = _fit_items(rows, queries, fit_rows, seed) if fitted else np.empty(0, dtype=np.int64)
    if fitted and (len(fit) < full_dim or rows.n_rows - len(fit) - (own is not None) < k):
        notes.append(f"No SVD line: {len(fit):,} rows are left to fit {full_dim} coordinates on; give more rows.")
        fitted, fit = [], fit[:0]
    paths = [_Path("prefix", prefix_arrangement(full_dim))]
    if "random" in names:
        paths += [_Path("random", one) for one in random_arrangements(full_dim, n_draws=n_draws, seed=seed)]
    if "suffix" in names:
        paths.append(_Path("suffix", suffix_arrangement(full_dim)))
    if fitted:
        sample = picked(rows, fit)
        paths.append(_Path("", prefix_arrangement(full_dim), is_held_out=True))
        paths += [_Path(name, fitted_arrangement(name, sample), is_held_out=True) for name in fitted]
        notes.append(
            f"{said_fitted(fitted)} fitted on {len(fit):,} rows drawn at random (seed {seed}), none of them a query, "
            f"and measured on the other {rows.n_rows - len(fit):,}; the prefix on those is given beside it."
        )
    _walk(rows, queries, paths, fit, checked, k, block_bytes, progress)
    comparison, lists = _compared(paths, queries, fit, rows.n_rows, checked, k, notes, seed)
    return Sweep(checked, full_dim, k, rows.n_rows, own is not None, lists.items, lists.similarities), comparison


def sampled_drift(rows: Rows, queries: Queries, *, dims: Iterable[int], seed: int = 0) -> SimilarityDrift:
    """Drift of cosines between queries and a seeded sample of 1,000 rows, none of them a query.

    Raises
    ------
    As `pair_sample` and `Rows.read`.
    """
    items = _other_items(rows, queries, MAX_COLUMNS, seed)
    return similarity_drift(pair_sample(picked(rows, items), queries.matrix, dims=dims, seed=seed))


def _walk(
    rows: Rows,
    queries: Queries,
    paths: list[_Path],
    fit: Ints,
    dims: tuple[int, ...],
    k: int,
    block_bytes: int,
    progress: Progress | None,
) -> None:
    """All paths from one reading."""
    for path in paths:
        path.begin(queries, dims, k, rows.n_rows - (len(fit) if path.is_held_out else 0))
    height = max(1, block_bytes // (BLOCK * rows.full_dim * 4)) * BLOCK
    for first, block in rows.blocks(0, rows.n_rows, height):
        others = np.ones(len(block), dtype=bool)
        low, high = np.searchsorted(fit, [first, first + len(block)])
        others[fit[low:high] - first] = False
        held_out = block[others] if high > low else block
        for path in paths:
            part = held_out if path.is_held_out else block
            if len(part):
                path.over(part)
        if progress:
            progress(first + len(block), rows.n_rows)


def _compared(
    paths: list[_Path], queries: Queries, fit: Ints, n_rows: int, dims: tuple[int, ...], k: int, notes: list[str],
    seed: int,
) -> tuple[ControlComparison, Lists]:  # fmt: skip
    """The curves of every path, and the lists of the first, the prefix."""
    own, n_queries, n_others = queries.own, len(queries.matrix), n_rows - len(fit)
    # Rows are counted without those of the fit where those are left out.
    own_held_out = None if own is None else own - np.searchsorted(fit, own)
    curves: dict[str, ArrangementOverlap] = {}
    prefix_lists = paths[0].lists(own, k)
    prefix = _shares(prefix_lists.items)
    draws = [_shares(path.lists(own, k).items) for path in paths if path.name == "random"]
    curves["prefix"] = ArrangementOverlap("prefix", dims, n_queries, n_rows, 1, bootstrap(prefix, seed=seed))
    nested = None
    if draws:
        means = np.stack([draw.mean(axis=1) for draw in draws])
        mean = np.mean(draws, axis=0)
        spread = tuple(means.std(axis=0, ddof=1).tolist())
        curves["random"] = ArrangementOverlap(
            "random", dims, n_queries, n_rows, len(draws), bootstrap(mean, seed=seed), spread
        )
        nested = nestedness(prefix, mean, means, dims=dims, seed=seed)
    truth: Indices | None = None
    beside: Floats = prefix
    for path in paths[1:]:
        if path.name == "random":
            continue
        items = path.lists(own_held_out if path.is_held_out else own, k).items
        if not path.name:
            truth, beside = items, _shares(items).mean(axis=1)
        elif not path.is_held_out or truth is None:
            curves[path.name] = ArrangementOverlap(
                path.name, dims, n_queries, n_rows, 1, bootstrap(_shares(items), seed=seed)
            )
        else:
            values = _shares(items)
            if path.name != "svd":  # what finds other neighbors at its full width is measured by the original's
                values = shared_share(items, truth[-1])
                notes.append(said_changes(path.name, dims, values.mean(axis=1), beside))
            curves[path.name] = ArrangementOverlap(
                path.name, dims, n_queries, n_others, 1, bootstrap(values, seed=seed),
                prefix_overlap=tuple(beside.tolist()),
            )  # fmt: skip
    chance = k / (n_rows - (own is not None))
    found = ControlComparison(k, own is not None, chance, curves, nested, tuple(notes))
    return found, prefix_lists


def _shares(items: Indices) -> Floats:
    return shared_share(items, items[-1])


def _fit_items(rows: Rows, queries: Queries, fit_rows: int, seed: int) -> Ints:
    """Rows to fit on, ascending, at most half of those that are no queries."""
    n_own = 0 if queries.own is None else len(queries.own)
    return _other_items(rows, queries, min(fit_rows, (rows.n_rows - n_own) // 2), seed)


def _other_items(rows: Rows, queries: Queries, most: int, seed: int) -> Ints:
    """A seeded sample of so many rows, ascending, none of them a query."""
    own = np.empty(0, dtype=np.int64) if queries.own is None else queries.own
    size = min(rows.n_rows, most + len(own))
    drawn = np.random.default_rng(seed).choice(rows.n_rows, size, replace=False).astype(np.int64)
    return np.sort(drawn[~np.isin(drawn, own)][:most])
