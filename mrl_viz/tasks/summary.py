"""What each width keeps, in two lines: the same neighbors, and the same usefulness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.measures.lists import NeighborOverlap
from mrl_viz.result import Result
from mrl_viz.tasks.curves import MetricCurve, mean_curve
from mrl_viz.tasks.task import find_task

# As many as answer at once: of more queries or texts a sample is judged, of more texts a sample searched.
MOST_JUDGED, MOST_ITEMS = 2000, 20_000
# How a metric is said in a sentence, by the beginning of its name.
PLAIN = {
    "ndcg": "of search quality",
    "recall": "of what a search finds",
    "mrr": "of search quality",
    "map": "of search quality",
    "knn_accuracy": "of the accuracy of naming a class",
    "spearman": "of the agreement with people's scores",
}


def task_curve(
    embedded: Embedded, *, dims: Iterable[int], kind: str | None = None, most_judged: int | None = None,
    most_items: int | None = None, seed: int = 0,
) -> MetricCurve:  # fmt: skip
    """The one metric that a corpus has labels for, at every width: nDCG@10, Spearman, or accuracy of neighbors' votes.

    Parameters
    ----------
    embedded : with its queries where relevance is judged
    dims : widths, ascending, the full one last
    kind, most_judged, most_items, seed : as in `find_task`; the seed is the bootstrap's too

    Raises
    ------
    EmptyInputError, InvalidInputError : as in `find_task`.
    """
    task = find_task(embedded, kind, most_judged=most_judged, most_items=most_items, seed=seed)
    widths = tuple(dims)
    return mean_curve(task.metric, widths, task.measure(embedded.matrix, task.asking(embedded), widths), seed=seed)


@dataclass(frozen=True)
class WidthSummary(Result):
    """What each width keeps of the full one.

    `overlap` : of the nearest neighbors, in [0, 1]. `useful` : of what the labels judge, its `retention`; None where
    there are no labels. Both have the same widths.
    """

    overlap: NeighborOverlap
    useful: MetricCurve | None = None

    @property
    def judge(self) -> str:
        """What judges the usefulness, as people write it: such as nDCG@10; "" without labels."""
        name, _, column = ("" if self.useful is None else self.useful.name).partition(":")
        shown = name.replace("ndcg", "nDCG").replace("knn_accuracy", "accuracy by neighbors")
        return f"{shown}, {column}" if column else shown

    @property
    def dims(self) -> tuple[int, ...]:
        """The widths, the full one last."""
        return self.overlap.dims

    def rows(self) -> list[dict[str, Any]]:
        """One record per width: dim, overlap with its interval, and the metric, its interval and its share."""
        rows = self.overlap.records("overlap")
        if self.useful is None:
            return rows
        name = self.useful.name
        return [
            row | {name: judged["value"], f"{name} low": judged["low"], f"{name} high": judged["high"],
                   "share of full width": judged["retention"]}
            for row, judged in zip(rows, self.useful.rows())
        ]  # fmt: skip

    def takeaway_at(self, dim: int) -> str:
        """Both shares at one width, in a sentence."""
        level, full_dim = self.dims.index(dim), self.dims[-1]
        if dim == full_dim:
            return f"At all {full_dim} numbers everything is kept: the full width is what the others are compared with."
        kept = f"At {dim} of {full_dim} numbers {self.overlap.overlap[level].value:.0%} of neighbors stay"
        if self.useful is None:
            return f"{kept}; how useful the others are, labels would tell."
        share = self.useful.retention[level]
        if share is None:
            return f"{kept}; {self.judge} is {self.useful.value[level].value:.2f}, and 0 at full width."
        plain = PLAIN[self.useful.name.partition("@")[0].partition(":")[0]]
        return f"{kept}, and {share.value:.0%} {plain} ({self.judge})."

    def takeaway(self) -> str:
        """The same at about a quarter of the width."""
        return self.takeaway_at(min(self.dims, key=lambda dim: abs(dim - self.dims[-1] / 4)))
