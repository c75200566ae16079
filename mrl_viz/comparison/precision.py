"""Bits beside width: what a vector keeps at every width, in every code, under every arrangement, per byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.arrangements import Arrangement, check_arrangements, held_out_rows, prefix_arrangement, svd_arrangement
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import EmptyInputError, InvalidInputError
from mrl_viz.measures.estimate import Estimate, bootstrap
from mrl_viz.measures.front import pareto_front
from mrl_viz.measures.lists import Indices, shared_share
from mrl_viz.measures.sample import chosen_rows
from mrl_viz.result import Result
from mrl_viz.retrieval.coded import CodedIndex, coded_index, fewest_rows, has_vectors, stored
from mrl_viz.retrieval.codes import BITS, bytes_per_vector, family
from mrl_viz.sweep import check_k
from mrl_viz.tasks.task import Task, available_tasks, find_task
from mrl_viz.truncation import FloatMatrix, Floats, Ints, Progress, check_dims, default_dims

# What is measured unless other codes are asked for, from fine to coarse; one bit of TurboQuant is binary-rotated.
ARRANGEMENTS = ("prefix", "svd")
PRECISIONS = (
    "float32", "int8", "int4", "int4-rotated", "rabitq4", "turboquant4", "rabitq2", "turboquant2", "rabitq1", "binary",
    "binary-rotated",
)  # fmt: skip
# Overlap of so many lists is known to about a hundredth; every point of the grid is searched anew.
MOST_MEASURED = 1000
# Sizes that plans are compared at: what 16, 32, 64 … bytes a vector can hold.
FEWEST_BYTES = 16


@dataclass(frozen=True)
class CodedPoint(Result):
    """One arrangement at one width in one code.

    `kept` : share of the full-width float32 neighbors found again. `quality` : of the task; None without labels.
    `is_on_front` : no point keeps as much for fewer bytes, or more for as many.
    """

    arrangement: str
    dim: int
    dtype: str
    bytes_per_vector: int
    kept: Estimate
    quality: Estimate | None
    is_on_front: bool

    @property
    def label(self) -> str:
        """A short name, such as "128 dims int4-rotated after svd"."""
        after = "" if self.arrangement == "prefix" else f" after {self.arrangement}"
        return f"{self.dim} dims {self.dtype}{after}"


@dataclass(frozen=True)
class PrecisionComparison(Result):
    """Width times bits on one set of texts: see `compare_precisions`.

    `points` : arrangement by arrangement, code by code, width by width. `values` : float32 of shape (n_points,
    n_measured), each query's share kept. `is_self` : texts search for each other. `task`, `metric`, `n_judged` : of the
    quality; None, None and 0 without labels. `seed` : of the bootstrap.
    """

    model: str
    full_dim: int
    points: tuple[CodedPoint, ...]
    values: npt.NDArray[np.float32]
    k: int
    chance: float
    n_items: int
    n_measured: int
    is_self: bool
    task: str | None
    metric: str | None
    n_judged: int
    seed: int
    notes: tuple[str, ...] = ()

    _without = ("values",)

    @property
    def arrangements(self) -> tuple[str, ...]:
        """Their names, in the order measured."""
        return tuple(dict.fromkeys(point.arrangement for point in self.points))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The codes, in the order measured."""
        return tuple(dict.fromkeys(point.dtype for point in self.points))

    @property
    def dims(self) -> tuple[int, ...]:
        """The widths, ascending."""
        return tuple(sorted({point.dim for point in self.points}))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes per vector to compare at: 16, 32, 64 … below the full float32 vector."""
        return tuple(FEWEST_BYTES << step for step in range(32) if FEWEST_BYTES << step < 4 * self.full_dim)

    def front(self) -> tuple[CodedPoint, ...]:
        """The points on the Pareto front of neighbors kept and bytes, fewest bytes first."""
        return tuple(sorted((p for p in self.points if p.is_on_front), key=lambda point: point.bytes_per_vector))

    def within(self, n_bytes: int) -> tuple[CodedPoint, ...]:
        """What so many bytes a vector can hold: the best width of every arrangement and code, the most kept first."""
        best: dict[tuple[str, str], CodedPoint] = {}
        for point in self.points:
            key = point.arrangement, point.dtype
            if point.bytes_per_vector <= n_bytes and (key not in best or point.kept.value > best[key].kept.value):
                best[key] = point
        return tuple(sorted(best.values(), key=lambda point: -point.kept.value))

    def rows(self, n_bytes: int | None = None) -> list[dict[str, Any]]:
        """One record per point, or of the points `within` so many bytes."""
        return [point.to_dict() for point in (self.points if n_bytes is None else self.within(n_bytes))]

    def difference(self, one: CodedPoint, other: CodedPoint) -> Estimate:
        """How much more of the neighbors one point keeps than another, over the same queries."""
        rows = [self.points.index(point) for point in (one, other)]
        (gap,) = bootstrap((self.values[rows[0]] - self.values[rows[1]]).astype(np.float64)[None], seed=self.seed)
        return gap

    def takeaway(self, n_bytes: int = 64) -> str:
        """Bits or width: what is best in so many bytes, and what fewer dims in float32 or int8 make of them."""
        found = self.within(n_bytes)
        if not found:
            return f"No width and code measured here fits into {n_bytes} bytes a vector."
        best = found[0]
        text = f"{n_bytes} bytes a vector: {best.label} keeps {best.kept.value:.0%} of the neighbors"
        # Of the same arrangement, so that the difference is one of bits and dims alone.
        wide = [p for p in found if p.arrangement == best.arrangement and p.dtype in ("float32", "int8") and p != best]
        text += "".join(f", {point.label} {point.kept.value:.0%}" for point in wide)
        own = next((p for p in found if p.arrangement == "prefix" and p.dtype == "int8"), None)
        if own is not None and best.arrangement != "prefix":
            text += f", {own.label} {own.kept.value:.0%}"
        if not wide:
            return f"{text}."
        gap = self.difference(best, wide[0])
        if gap.low <= 0:
            return f"{text}; the first two cannot be told apart."
        is_coarser = BITS[best.dtype] < BITS[wide[0].dtype]
        cause = "Here fewer bits beat fewer dims" if is_coarser else "Here more bits beat more dims"
        return f"{text}. {cause}, by {100 * gap.value:.0f} points (95 %: {100 * gap.low:.0f} to {100 * gap.high:.0f})."

    def rotation_takeaway(self) -> str | None:
        """RaBitQ against TurboQuant at equal bytes on these vectors; None where not both were measured."""
        won: dict[str, list[tuple[int, float]]] = {"rabitq": [], "turboquant": []}
        n_compared = 0
        for size in self.sizes:
            plain = [point for point in self.within(size) if point.arrangement == "prefix"]
            best = {name: next((p for p in plain if _rotating_family(p.dtype) == name), None) for name in won}
            one, other = best.values()
            if one is None or other is None:
                continue
            n_compared += 1
            gap = self.difference(one, other)
            if gap.low > 0:
                won["rabitq"].append((size, gap.value))
            elif gap.high < 0:
                won["turboquant"].append((size, -gap.value))
        if not n_compared:
            return None
        parts = [
            f"{title} keeps more at {_listed([str(size) for size, _ in sizes])} bytes (by up to "
            f"{100 * max(gap for _, gap in sizes):.0f} points)"
            for title, sizes in (("RaBitQ", won["rabitq"]), ("TurboQuant", won["turboquant"])) if sizes
        ]  # fmt: skip
        n_open = n_compared - sum(map(len, won.values()))
        if n_open:
            parts.append(f"at {n_open} of {n_compared} sizes they cannot be told apart")
        return f"RaBitQ or TurboQuant, in equal bytes on these vectors: {'; '.join(parts)}."


def compare_precisions(
    embedded: Embedded,
    *,
    dims: Iterable[int] | None = None,
    dtypes: Sequence[str] = PRECISIONS,
    arrangements: Iterable[str | Arrangement] = ARRANGEMENTS,
    k: int = 10,
    task: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PrecisionComparison:
    """What the neighbors and the task keep at every width, in every code, under every arrangement.

    The neighbors asked for are those of the original vectors at full width in float32. Queries stay float32. Order:
    arrange, truncate, renormalise, rotate where the code asks for it, code.

    Parameters
    ----------
    embedded : its queries search its texts; texts search for each other where it has none
    dims : widths; trained ones and powers of two when None; the full width is added
    dtypes : names in `codes.BITS`
    arrangements : "prefix", "svd", and learnt maps such as a fitted adaptor's
    k : neighbors per list, 1 to what there is
    task : one of `tasks.task.TASKS`; None takes the first that there are labels for, or none
    seed : of samples, calibration, held-out rows and the bootstrap
    progress : called with (points done, points in all)

    Raises
    ------
    InvalidInputError : an unknown dtype or arrangement, or `k` or `task` out of range. DimensionError : a width too
    large. EmptyInputError : fewer texts than a code learns from.

    Source: own definition; the codes' sources are in `FaissCodes`.
    """
    names, learned = check_arrangements(arrangements)
    if unusable := sorted(set(names) - set(ARRANGEMENTS)):
        raise InvalidInputError(f"`arrangements` has {unusable[0]!r}; choose prefix, svd or a learnt map.")
    if isinstance(dtypes, str) or not dtypes:
        raise InvalidInputError(f"`dtypes` is {dtypes!r}; choose one or more of {list(BITS)}.")
    corpus, queries = embedded.matrix, embedded.queries
    full_dim = embedded.full_dim
    widths = default_dims(full_dim, embedded.matryoshka_dims or ()) if dims is None else (*dims, full_dim)
    widths = check_dims(widths, full_dim)
    notes: list[str] = []
    rows, maps = _maps(corpus, names, learned, queries is None, seed, notes)
    searched = corpus[rows]
    own = None
    if queries is None:
        queries, own = searched, chosen_rows(len(searched), MOST_MEASURED, seed)
    check_k(k, len(searched) - (own is not None))
    asking = queries[chosen_rows(len(queries), MOST_MEASURED, seed) if own is None else own]
    for dtype in dtypes:
        bytes_per_vector(1, dtype)
        if len(searched) < fewest_rows(dtype):
            raise EmptyInputError(
                f"`dtypes` has {dtype}, which learns from {fewest_rows(dtype)} or more texts, and {len(searched)} are "
                "searched; leave it out."
            )
    judge = _judge(embedded, task, seed, notes)
    if judge is not None and judge.kind == "pairs" and not all(map(has_vectors, dtypes)):
        notes.append("RaBitQ scores queries only, so scored pairs are without it.")
    truth = _lists(coded_index(searched, full_dim, "float32"), asking, k, own)
    keys = list(product(maps, dtypes, widths))
    kept, judged = np.empty((len(keys), len(asking)), dtype=np.float32), []
    done = count()
    for arrangement in maps:
        turned, asked = arrangement.apply(searched), arrangement.apply(asking)
        quality = _quality_of(arrangement, embedded, judge, len(searched), seed)
        for dtype, dim in product(dtypes, widths):
            place, index = next(done), coded_index(turned, dim, dtype, seed=seed)
            kept[place] = shared_share(_lists(index, asked, k, own), truth)
            judged.append(quality(index))
            if progress is not None:
                progress(place + 1, len(keys))
    sizes = [bytes_per_vector(dim, dtype) for _, dtype, dim in keys]
    shares = bootstrap(kept.astype(np.float64), seed=seed)
    known = {place: values for place, values in enumerate(judged) if values is not None}
    qualities: dict[int, Estimate] = {}
    if known:
        qualities = dict(zip(known, bootstrap(np.stack(list(known.values())), seed=seed)))
    front = pareto_front(sizes, [share.value for share in shares]).tolist()
    points = tuple(
        CodedPoint(arrangement.name, dim, dtype, size, share, qualities.get(place), is_first)
        for place, ((arrangement, dtype, dim), size, share, is_first) in enumerate(zip(keys, sizes, shares, front))
    )
    return PrecisionComparison(
        model=embedded.model, full_dim=full_dim, points=points, values=kept, k=k,
        chance=k / (len(searched) - (own is not None)), n_items=len(searched), n_measured=len(asking),
        is_self=own is not None, task=judge.kind if judge else None, metric=judge.metric if judge else None,
        n_judged=judge.n_judged if judge else 0, seed=seed, notes=tuple(notes),
    )  # fmt: skip


def _maps(
    corpus: FloatMatrix,
    names: Sequence[str],
    learned: Sequence[Arrangement],
    is_self: bool,
    seed: int,
    notes: list[str],
) -> tuple[Ints, list[Arrangement]]:
    """The texts that are searched, and the arrangements, those to be fitted fitted."""
    n_items, full_dim = corpus.shape
    everything = np.arange(n_items, dtype=np.int64)
    maps = [prefix_arrangement(full_dim)] if "prefix" in names else []
    rows = everything
    if "svd" in names:
        fit = everything
        try:
            if is_self:
                fit, rows = held_out_rows(n_items, full_dim, seed=seed)
            maps.append(svd_arrangement(corpus[fit]))
            notes.append(
                f"SVD is fitted on {len(fit)} texts and what is kept is measured on the other {len(rows)}; labels are "
                "judged on all."
                if is_self
                else "SVD is fitted on the texts that are searched, as it would be deployed; the queries are new to it."
            )
        except EmptyInputError as error:
            if not (maps or learned):
                raise
            rows = everything
            notes.append(f"Without SVD: {error}")
    for arrangement in learned:
        if arrangement.has_seen(corpus[rows]).any():
            notes.append(f"{arrangement.name} has learnt from some of these texts and may look better than it is.")
    return rows, [*maps, *learned]


def _judge(embedded: Embedded, task: str | None, seed: int, notes: list[str]) -> Task | None:
    """What quality is judged by; None without labels that can be used."""
    if task is None and not available_tasks(embedded.corpus):
        return None
    try:
        judge = find_task(embedded, task, most_judged=MOST_MEASURED, seed=seed)
    except (InvalidInputError, EmptyInputError) as error:
        if task is not None:
            raise
        notes.append(f"Not judged: {error}")
        return None
    notes += judge.notes
    return judge


def _quality_of(
    arrangement: Arrangement, embedded: Embedded, judge: Task | None, n_searched: int, seed: int
) -> Callable[[CodedIndex], Floats | None]:
    """The value of everything judged, (n_judged,), in the code and at the width of an index over `n_searched` texts.

    None where it cannot be judged.
    """
    if judge is None:
        return lambda index: None
    rows = arrangement.apply(embedded.matrix)
    if judge.pairs is not None:

        def of_pairs(index: CodedIndex) -> Floats | None:
            if not has_vectors(index.dtype):
                return None
            vectors = stored(rows, index.dim, index.dtype, seed=seed)
            return np.asarray(judge.measure(vectors, vectors, (index.dim,))[0])

        return of_pairs
    searched, asking = judge.searched(rows), arrangement.apply(judge.asking(embedded))[judge.rows]
    length = judge.list_length(len(searched))

    def of_lists(index: CodedIndex) -> Floats | None:
        if not len(searched) == n_searched == len(rows):  # the task searches other texts than those of the index
            index = coded_index(searched, index.dim, index.dtype, seed=seed)
        return np.asarray(judge.score(_lists(index, asking, length, judge.own)[None])[0])

    return of_lists


def _lists(index: CodedIndex, queries: FloatMatrix, k: int, own: Ints | None) -> Indices:
    """The k items that each query finds in the coded prefixes, its own left out, (n_queries, k)."""
    if own is None:
        return np.asarray(index.search(queries, k).indices)
    return np.asarray(index.search(queries, k + 1).without(own).indices)


def _rotating_family(dtype: str) -> str:
    """The family of a code, one bit of TurboQuant being the sign after a rotation."""
    return "turboquant" if dtype == "binary-rotated" else family(dtype)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
