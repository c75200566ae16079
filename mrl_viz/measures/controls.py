"""Is it really Matryoshka? The prefix beside random subsets, the suffix and a held-out SVD, and the gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.arrangements import (
    ARRANGEMENTS,
    FEWEST_DRAWS,
    FITTED,
    Arrangement,
    check_arrangements,
    fitted_arrangement,
    held_out_rows,
    prefix_arrangement,
    random_arrangements,
    suffix_arrangement,
)
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, bootstrap, columns, holm
from mrl_viz.measures.lists import nearest_level, shared_share
from mrl_viz.result import Result
from mrl_viz.sweep import Sweep, nested_sweep
from mrl_viz.truncation import FloatMatrix, Floats, Ints, Progress, check_embeddings

# The verdict looks at the widths nearest these shares of the full width, whatever else was swept.
DECISIVE_SHARES = (1 / 2, 1 / 4, 1 / 8)
# Chance of calling a model trained that is not, over all decisive widths.
VERDICT_LEVEL = 0.01
# Trained models stand 0.04 and more above random subsets at those widths: an interval of the gap that reaches further
# than this to either side could hide such a gap.
TELLING_GAP = 0.03
TRAINED = "trained Matryoshka"
UNTRAINED = "no sign of Matryoshka training"
UNCLEAR = "not enough texts to tell"
# Fewer unseen texts than this give an interval too long to tell anything.
FEWEST_UNSEEN = 30


@dataclass(frozen=True)
class ArrangementOverlap(Result):
    """Overlap@k with the full width under one arrangement, one entry per width, shares in [0, 1].

    `overlap` : with its 95 % bootstrap interval over queries. `sd` : standard deviation over draws, for `random` only.
    `n_queries`, `n_items` : what was measured; the SVD is measured on the rows it was not fitted on, and
    `prefix_overlap` is then the prefix on those same rows.
    """

    name: str
    dims: tuple[int, ...]
    n_queries: int
    n_items: int
    draws: int
    overlap: tuple[Estimate, ...]
    sd: tuple[float, ...] | None = None
    prefix_overlap: tuple[float, ...] | None = None

    def rows(self) -> list[dict[str, Any]]:
        """One record per width."""
        columns: dict[str, Any] = {}
        if self.sd is not None:
            columns = {"overlap_sd": self.sd, "draws": [self.draws] * len(self.dims)}
        if self.prefix_overlap is not None:
            columns |= {"prefix_overlap": self.prefix_overlap, "n_items": [self.n_items] * len(self.dims)}
        return self.records("overlap", **columns)


@dataclass(frozen=True)
class Nestedness(Result):
    """How far the prefix stands above random subsets of the same width, one entry per width.

    `gap` : overlap(prefix) - mean overlap(random draws), in [-1, 1], with its paired bootstrap interval over texts.
    `z` : gap in standard deviations of the draws; 0 where the gap is 0, None where draws do not vary and it is not.
    `decisive` : the widths that the verdict is from. `verdict` : TRAINED, UNTRAINED or UNCLEAR.
    """

    dims: tuple[int, ...]
    gap: tuple[Estimate, ...]
    z: tuple[float | None, ...]
    decisive: tuple[int, ...]
    verdict: str

    def rows(self) -> list[dict[str, Any]]:
        """One record per width: dim, gap, z."""
        return self.records(gap=[gap.value for gap in self.gap], z=self.z)

    def takeaway(self) -> str:
        """The verdict as one plain sentence with its strongest number."""
        if self.verdict == UNCLEAR:
            return "Not enough texts to tell whether this model's prefix carries more than a random subset; add texts."
        level = max((self.dims.index(dim) for dim in self.decisive), key=lambda at: abs(self.z[at] or 0))
        # With no spread between draws there is no z to print.
        z = "" if self.z[level] is None else f", z = {self.z[level]:+.1f}"
        numbers = f"({self.gap[level].value:+.3f} at {self.dims[level]} dims{z})"
        if self.verdict == TRAINED:
            return (
                f"This model's prefix carries more than a random subset {numbers}: "
                "trained Matryoshka, or sorted by importance."
            )
        return f"This model's prefix carries no more than a random subset {numbers}: no sign of Matryoshka training."


@dataclass(frozen=True)
class ControlComparison(Result):
    """Overlap under every arrangement asked for and possible, and the nestedness where prefix and random are.

    `is_self` : texts search for each other, none in its own list.
    """

    k: int
    is_self: bool
    chance: float
    curves: Mapping[str, ArrangementOverlap]
    nestedness: Nestedness | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """`arrangements` with one record per width, `nestedness` likewise, `verdict` and `notes`."""
        return {
            "k": self.k,
            "chance": self.chance,
            "arrangements": {name: curve.rows() for name, curve in self.curves.items()},
            "nestedness": self.nestedness.rows() if self.nestedness else [],
            "verdict": self.nestedness.verdict if self.nestedness else None,
            "notes": list(self.notes),
        }

    def takeaway(self) -> str:
        """The verdict, or what is missing for one."""
        return self.nestedness.takeaway() if self.nestedness else "A verdict needs the prefix and random arrangements."


def compare_arrangements(
    sweep: Sweep,
    corpus: npt.ArrayLike,
    queries: npt.ArrayLike | None = None,
    *,
    arrangements: Iterable[str | Arrangement] = ARRANGEMENTS,
    n_draws: int = FEWEST_DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> ControlComparison:
    """Overlap@k with the full width under each arrangement at each swept width, all by the same nested sweep.

    Parameters
    ----------
    sweep : of these very rows, which is the prefix arrangement's; it gives the widths and k
    corpus, queries : array_like of shape (n_items, full_dim) and (n_queries, full_dim), as they were swept
    arrangements : names from ARRANGEMENTS, centred, tempered:GAMMA, and learnt maps, such as a fitted adaptor's; those
        are measured on the texts that they have not seen where these are enough for lists of k, else on all texts with
        a warning among the notes
    n_draws : random permutations, 10 or more
    seed : of the random draws, the held-out rows and the bootstrap
    progress : called with (sweeps done, sweeps in all)

    Returns
    -------
    ControlComparison : without `svd` and the others of FITTED, and with a note, when half of the rows are fewer than
        the coordinates or the rest have fewer than k neighbors.

    Raises
    ------
    ShapeError, EmptyInputError, InvalidInputError : unusable arrays, names or `n_draws`, or a `sweep` of other rows.

    Source: random subsets as control: own definition, after Kusupati et al. 2022, arXiv:2205.13147, section 4.
    """
    names, learned = check_arrangements(arrangements)
    corpus = check_embeddings(corpus, "corpus")
    queries = None if queries is None else check_embeddings(queries, "queries")
    (n_items, full_dim), dims, k, is_self = corpus.shape, sweep.dims, sweep.k, queries is None
    n_queries = n_items if queries is None else len(queries)
    if (sweep.full_dim, sweep.n_items, sweep.n_queries, sweep.is_self) != (full_dim, n_items, n_queries, is_self):
        raise InvalidInputError(
            f"`sweep` is of {sweep.n_queries} lists among {sweep.n_items} items of {sweep.full_dim} coordinates, not "
            f"of these {n_queries} among {n_items} of {full_dim}; sweep these rows."
        )
    prefix_map = prefix_arrangement(full_dim)
    draws = random_arrangements(full_dim, n_draws=n_draws, seed=seed)
    notes: list[str] = []
    fitted = [name for name in names if name.partition(":")[0] in FITTED]
    held_out = _held_out(n_items, full_dim, k, is_self, seed, notes) if fitted else None
    if held_out is None:
        names, fitted = tuple(name for name in names if name not in fitted), []
    n_sweeps = sum(n_draws if name == "random" else 1 for name in names) + bool(fitted) + 2 * len(learned)
    done = count(1)

    def measure(arrangement: Arrangement, rows: Ints | None = None) -> tuple[Sweep, Floats]:
        found = sweep
        if arrangement is not prefix_map or rows is not None:
            asked = None if queries is None else arrangement.apply(queries)
            found = nested_sweep(arrangement.apply(corpus if rows is None else corpus[rows]), asked, dims=dims, k=k)
        if progress is not None:
            progress(next(done), n_sweeps)
        return found, shared_share(found.indices, found.indices[-1])

    curves: dict[str, ArrangementOverlap] = {}
    per_query: dict[str, Floats] = {}
    draw_means = np.empty((n_draws, len(dims)))

    def add(name: str, found: Sweep, values: Floats, **spread: Floats) -> None:
        per_query[name] = values
        overlap, n = bootstrap(values, seed=seed), n_draws if name == "random" else 1
        lines = {field: tuple(numbers.tolist()) for field, numbers in spread.items()}
        curves[name] = ArrangementOverlap(name, dims, found.n_queries, found.n_items, n, overlap, **lines)

    for name in names:
        if name == "random":
            total = np.zeros((len(dims), n_queries))
            for draw, arrangement in enumerate(draws):
                found, values = measure(arrangement)
                draw_means[draw] = values.mean(axis=1)
                total += values
            add(name, found, total / n_draws, sd=draw_means.std(axis=0, ddof=1))
        elif name not in fitted:
            add(name, *measure(suffix_arrangement(full_dim) if name == "suffix" else prefix_map))
    if held_out is not None:
        fit, measured = held_out
        truth, values = measure(prefix_map, measured)
        prefix = values.mean(axis=1)
        for name in fitted:
            found, values = measure(fitted_arrangement(name, corpus[fit]), measured)
            if name != "svd":  # what finds other neighbors at its full width is measured by the original's
                values = shared_share(found.indices, truth.indices[-1])
                notes.append(said_changes(name, dims, values.mean(axis=1), prefix))
            add(name, found, values, prefix_overlap=prefix)
        notes.append(
            f"{said_fitted(fitted)} fitted on {len(fit)} texts and measured on the other {len(measured)}; "
            "the prefix on those is given beside it."
        )
    for arrangement in learned:
        rows, note = _unseen_rows(arrangement, corpus, k, is_self)
        # Neighbors are those of the original full vectors: a map may change even what its own full width finds.
        truth, values = measure(prefix_map, rows)
        found, _ = measure(arrangement, rows)
        kept = shared_share(found.indices, truth.indices[-1])
        add(arrangement.name, found, kept, prefix_overlap=values.mean(axis=1))
        notes.append(note)
    nested = None
    if "prefix" in names and "random" in names:
        nested = nestedness(per_query["prefix"], per_query["random"], draw_means, dims=dims, seed=seed)
    return ControlComparison(
        k=k, is_self=is_self, chance=sweep.chance, curves=curves, nestedness=nested, notes=tuple(notes)
    )


def nestedness(prefix: Floats, random: Floats, draw_means: Floats, *, dims: Iterable[int], seed: int = 0) -> Nestedness:
    """The gap between prefix and random subsets at every width, its z, and the verdict.

    The verdict is TRAINED when, at one of the widths nearest D/2, D/4 and D/8, the prefix is an outlier among the draws
    (t-test of one further draw, one-sided, Holm over those widths, level 0.01) and the bootstrap interval of the gap is
    above 0. It is UNCLEAR when that is not so and the gap at some of them is known no better than to ± 0.03; else
    UNTRAINED.

    Parameters
    ----------
    prefix, random : ndarrays of shape (n_dims, n_queries), overlap of each query; `random` is the mean over draws
    draw_means : ndarray of shape (n_draws, n_dims), mean overlap of each draw
    dims : the widths, ascending, the full width last
    seed : of the bootstrap

    Raises
    ------
    ShapeError : the three do not fit together. InvalidInputError : fewer than two draws.

    Source: own definition; prediction interval of one further observation from a normal sample.
    """
    from scipy.special import stdtr

    dims = tuple(dims)
    if prefix.shape != random.shape or draw_means.shape[1:] != (len(dims),) or len(prefix) != len(dims):
        raise ShapeError(
            f"`prefix` has shape {prefix.shape}, `random` {random.shape} and `draw_means` {draw_means.shape} "
            f"for {len(dims)} widths; "
            "give (n_dims, n_queries) twice and (n_draws, n_dims)."
        )
    n_draws = len(draw_means)
    if n_draws < 2:
        raise InvalidInputError(f"`draw_means` has {n_draws} draws; a spread needs two or more.")
    _, low, high = columns(bootstrap(prefix - random, seed=seed))
    gap = prefix.mean(axis=1) - draw_means.mean(axis=0)
    # The two means agree up to rounding, so that equal lists give exactly 0.
    gap = np.where(np.abs(gap) < 1e-12, 0.0, gap)
    sd = draw_means.std(axis=0, ddof=1)
    has_spread = sd > 1e-12
    z = np.where(has_spread, gap / np.where(has_spread, sd, 1), 0.0)
    p_values = np.where(has_spread, stdtr(n_draws - 1, -z / np.sqrt(1 + 1 / n_draws)), 1.0)
    nearest = {nearest_level(dims, dims[-1] * share) for share in DECISIVE_SHARES}
    decisive = sorted(nearest - {len(dims) - 1})
    return Nestedness(
        dims=dims,
        gap=tuple(map(Estimate, gap.tolist(), np.minimum(low, gap).tolist(), np.maximum(high, gap).tolist())),
        z=tuple(None if not spread and g != 0 else float(value) for spread, g, value in zip(has_spread, gap, z)),
        decisive=tuple(dims[level] for level in decisive),
        verdict=_verdict(holm(p_values[decisive]), low[decisive], high[decisive]),
    )


def _verdict(p_values: Floats, low: Floats, high: Floats) -> str:
    if ((p_values < VERDICT_LEVEL) & (low > 0)).any():
        return TRAINED
    if len(p_values) == 0 or ((high - low) / 2 > TELLING_GAP).any():
        return UNCLEAR
    return UNTRAINED


def _held_out(
    n_items: int, full_dim: int, k: int, is_self: bool, seed: int, notes: list[str]
) -> tuple[Ints, Ints] | None:
    """Rows to fit the SVD on and rows to measure; None, and a note, where there are too few."""
    try:
        fit, measured = held_out_rows(n_items, full_dim, seed=seed)
    except EmptyInputError as error:
        notes.append(f"No SVD line: {error}")
        return None
    if len(measured) - is_self < k:
        notes.append(f"No SVD line: of {n_items} texts {len(measured)} are left to measure, too few for k = {k}.")
        return None
    return fit, measured


def said_changes(name: str, dims: tuple[int, ...], kept: Floats, prefix: Floats) -> str:
    """What a map that changes cosine keeps at its full width, and from where it is worse than the prefix."""
    said = f"{name} changes cosine itself: its full width keeps {kept[-1]:.0%} of the neighbors there were"
    is_better = np.flatnonzero(kept >= prefix)
    worse_from = is_better[-1] + 1 if len(is_better) else 0
    if worse_from == len(dims):
        return f"{said}."
    return f"{said}, and from {dims[worse_from]} dims on it keeps fewer than the raw prefix."


def said_fitted(fitted: list[str]) -> str:
    names = ["SVD" if name == "svd" else name for name in fitted]
    return f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"


def _unseen_rows(learned: Arrangement, corpus: FloatMatrix, k: int, is_self: bool) -> tuple[Ints | None, str]:
    """The rows to measure a learnt map on, None for all of them, and what to say about it."""
    name, seen = learned.name, learned.has_seen(corpus)
    n_seen, unseen = int(seen.sum()), np.flatnonzero(~seen)
    if n_seen == 0:
        return None, f"{name} was fitted on none of these {len(corpus)} texts."
    if len(unseen) - is_self < max(k, FEWEST_UNSEEN):
        return None, (
            f"{name} was fitted on {n_seen} of these {len(corpus)} texts, which leaves too few others: its line is "
            "measured on texts it has seen and flatters it."
        )
    return unseen, (
        f"{name} was fitted on {n_seen} of these {len(corpus)} texts and is measured on the other {len(unseen)}; "
        "the prefix on those is given beside it."
    )
