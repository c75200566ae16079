"""Do widths between the trained ones work as well? Quality there, against what the trained widths on both sides say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.estimate import CONFIDENCE, Estimate, bootstrap
from mrl_viz.result import ByWidth
from mrl_viz.tasks.task import find_task
from mrl_viz.truncation import check_dims

# Widths looked at in each gap between two trained ones.
A_GAP = 3
# Judged, where an answer is wanted at once; of more a seeded sample.
MOST_BETWEEN = 300


@dataclass(frozen=True)
class BetweenWidths(ByWidth):
    """Quality at widths that a model was not trained at, and how far it is from the trained ones' line.

    `metric` : in its unit, higher is better. `trained` : widths, ascending; `trained_value` at each of them.
    One entry per width of `dims`, all between two trained ones: `value`, and `deviation` from the value that the
    trained widths on both sides give by interpolation over the logarithm of the width; `mean_deviation` : over the
    widths. 95 % bootstrap intervals over the `n_items` judged, paired; those of `deviation` hold all together, as the
    worst width is looked for (Bonferroni).
    """

    _columns: ClassVar = ("value", "deviation")

    metric: str
    n_items: int
    trained: tuple[int, ...]
    trained_value: tuple[Estimate, ...]
    dims: tuple[int, ...]
    value: tuple[Estimate, ...]
    deviation: tuple[Estimate, ...]
    mean_deviation: Estimate

    def takeaway(self) -> str:
        """The largest deviation, and whether the data can tell any from 0, in a sentence."""
        level = max(range(len(self.dims)), key=lambda at: abs(self.deviation[at].value))
        most, metric = self.deviation[level], self.metric
        found = f"the largest deviation of {metric} from their line is {most:+.4f} at {self.dims[level]} dims"
        below = [dim for dim, deviation in zip(self.dims, self.deviation) if deviation.high < 0]
        if not below:
            return f"Widths between the trained ones do as well: {found}, and none is surely below."
        return f"Between the trained widths {found}; surely below it: {', '.join(map(str, below))} dims."


def between_widths(
    embedded: Embedded,
    *,
    trained: Iterable[int],
    kind: str | None = None,
    most_judged: int | None = None,
    most_items: int | None = None,
    seed: int = 0,
) -> BetweenWidths:
    """Task quality at three widths in every gap between trained ones, against interpolation.

    Parameters
    ----------
    embedded : with its queries where relevance is judged
    trained : widths that the model was trained at, two or more, in 1..full_dim
    kind, most_judged, most_items, seed : as in `find_task`; the seed is the bootstrap's too

    Raises
    ------
    InvalidInputError : fewer than two trained widths, or no width between them. Others : as `find_task`.

    Source: own definition, after Kusupati et al. 2022, arXiv:2205.13147, figure 5 (interpolated representation sizes).
    """
    known = check_dims(trained, embedded.full_dim)
    between = sorted({
        int(dim)
        for low, high in pairwise(known)
        for dim in np.geomspace(low, high, A_GAP + 2)[1:-1].round()
        if low < dim < high
    })  # fmt: skip
    if not between:
        raise InvalidInputError(f"`trained` is {list(known)}; give two widths or more with others between them.")
    task = find_task(embedded, kind, most_judged=most_judged, most_items=most_items, seed=seed)
    widths = sorted({*known, *between})
    values = dict(zip(widths, task.measure(embedded.matrix, task.asking(embedded), widths)))
    deviations = []
    for dim in between:
        low, high = max(d for d in known if d < dim), min(d for d in known if d > dim)
        share = np.log(dim / low) / np.log(high / low)
        deviations.append(values[dim] - (1 - share) * values[low] - share * values[high])
    found = bootstrap(np.stack([*(values[dim] for dim in (*known, *between)), np.mean(deviations, axis=0)]), seed=seed)
    together = 1 - (1 - CONFIDENCE) / len(between)
    n_known = len(known)
    return BetweenWidths(
        task.metric, task.n_judged, known, found[:n_known], tuple(between), found[n_known:-1],
        bootstrap(np.stack(deviations), seed=seed, confidence=together), found[-1],
    )  # fmt: skip
