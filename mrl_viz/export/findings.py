"""What a report shows of an analysis, each thing measured once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from plotly.graph_objects import Figure

from mrl_viz.analysis import Analysis, analyse, controls
from mrl_viz.arrangements import ARRANGEMENTS
from mrl_viz.comparison import ModelComparison, compare_models
from mrl_viz.decide import Recommendation
from mrl_viz.embedding.embedded import Embedded, with_queries
from mrl_viz.errors import InvalidInputError
from mrl_viz.export.workspace import Workspace
from mrl_viz.measures.controls import ControlComparison
from mrl_viz.tasks.evaluation import Quality, evaluate
from mrl_viz.tasks.summary import MOST_ITEMS, MOST_JUDGED, WidthSummary, task_curve
from mrl_viz.tasks.task import available_tasks

NEAREST = 4


@dataclass(frozen=True)
class Choices:
    """What pages show beside the workspace.

    `item` : the text that is taken apart. `models` : further models to compare with. `target` : share to keep, above 0
    and up to 1. `arrangements` : further ones beside the controls. `measured` : options of `measure_candidates`, of
    which plans there are to choose from.
    """

    item: int = 0
    models: tuple[str, ...] = ()
    target: float = 0.9
    arrangements: tuple[str, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """One part of a page: what it says, a picture, notes, and the numbers as records."""

    title: str
    takeaway: str
    figure: Figure | None = None
    notes: tuple[str, ...] = ()
    rows: Sequence[Mapping[str, Any]] = ()


@dataclass
class Findings:
    """The results behind a report.

    Parameters
    ----------
    workspace, choices : what is reported
    analysis : where it is measured already; `qualities` : those of tasks, by name
    others : texts and queries by further models, to compare with
    decision : the plan that was chosen, if one was
    has_texts : texts stand in figures and tables; else they are called by their number
    searched : gives the vectors with those of the data's queries; None embeds them here
    """

    workspace: Workspace
    choices: Choices
    measured: Analysis | None = None
    qualities: Mapping[str, Quality] | None = None
    others: Sequence[Embedded] = ()
    decision: Recommendation | None = None
    has_texts: bool = False
    searched: Callable[[], Embedded] | None = None

    @cached_property
    def analysis(self) -> Analysis:
        here = self.workspace
        return self.measured or analyse(here.embedded, dims=here.dims, k=here.k, seed=here.seed)

    @cached_property
    def summary(self) -> WidthSummary:
        """What each width keeps; without usefulness where no labels can judge it."""
        here = self.workspace
        try:
            task = next(iter(available_tasks(here.corpus)))
            useful = task_curve(
                self.asked if task == "retrieval" else here.embedded, dims=here.dims, kind=task,
                most_judged=MOST_JUDGED, most_items=MOST_ITEMS, seed=here.seed,
            )  # fmt: skip
        except (StopIteration, InvalidInputError):  # Task quality says why
            return WidthSummary(self.analysis.overlap)
        return WidthSummary(self.analysis.overlap, useful)

    @cached_property
    def controls(self) -> ControlComparison:
        names = (*ARRANGEMENTS, *self.choices.arrangements)
        return controls(self.analysis, arrangements=names, seed=self.workspace.seed)

    @cached_property
    def asked(self) -> Embedded:
        """The vectors with those of the queries, where there are any."""
        return self.searched() if self.searched else with_queries(self.workspace.embedded)

    @cached_property
    def comparison(self) -> ModelComparison:
        if not self.others:
            raise InvalidInputError("Nothing to compare with: choose another model of the same texts.")
        here = self.workspace
        return compare_models([self.asked, *self.others], k=here.k, seed=here.seed)

    @property
    def chosen(self) -> Recommendation:
        if self.decision is None:
            raise InvalidInputError("No plan has been chosen yet: measure the plans on the page Choose a dimension.")
        return self.decision

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The text with its nearest neighbors at full width."""
        item = self.choices.item
        return tuple((item, int(other)) for other in self.analysis.sweep.indices[-1, item, :NEAREST])

    @cached_property
    def _judged(self) -> dict[str, Quality]:
        return dict(self.qualities or {})

    def quality(self, task: str) -> Quality:
        if task not in self._judged:
            vectors = self.asked if task == "retrieval" else self.workspace.embedded
            self._judged[task] = evaluate(vectors, dims=self.workspace.dims, task=task, seed=self.workspace.seed)
        return self._judged[task]

    def text(self, item: int) -> str:
        return self.workspace.corpus.texts[item] if self.has_texts else f"text {item + 1}"
