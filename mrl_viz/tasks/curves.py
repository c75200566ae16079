"""One metric at every width: its interval, what is kept of the full width's value, and the test against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mrl_viz.measures.estimate import Estimate, PairedEstimate, paired_bootstrap, paired_tests
from mrl_viz.measures.lists import nearest_level
from mrl_viz.result import Result
from mrl_viz.truncation import Floats

# Below a quarter of the best there can be, what was looked for is mostly missing or far down.
POOR = 0.25
# Their best is 1 whatever the labels; recall of many answers in ten places, or accuracy of many classes, may not be.
OF_ONE = ("ndcg", "mrr")


def poor_full_width(metric: str, value: float) -> str:
    """A sentence, with a space before it, where the full width's own value is so low that no width will do; else "".

    Parameters
    ----------
    metric : its name, HYBRID or not, such as ndcg@10. value : at full width
    """
    if not metric.split()[-1].startswith(OF_ONE) or value >= POOR:
        return ""
    return (
        f" The full width's own {metric} is {value:.3f} of at most 1: no width of this model will do here, because a "
        "share of that is a share of little. Try another model, or words beside vectors (hybrid)."
    )


@dataclass(frozen=True)
class MetricCurve(Result):
    """One metric at every width, the full one last.

    `value` : in the metric's unit. `retention` : value / value at full width, None where that is not above 0.
    `p_holm` : paired two-sided test against full width, Holm-adjusted over widths; 1 at full width. `n_items` :
    queries, pairs or texts. Intervals are 95 % bootstrap intervals over them, paired between widths.
    """

    name: str
    dims: tuple[int, ...]
    n_items: int
    value: tuple[Estimate, ...]
    retention: tuple[Estimate | None, ...]
    p_holm: tuple[float, ...]

    @property
    def is_too_wide(self) -> bool:
        """Whether the interval at full width is too long to choose a width by."""
        return self.value[-1].is_too_wide

    def rows(self) -> list[dict[str, Any]]:
        """One record per width: dim, value, low, high, retention, p_holm."""
        return [
            {"dim": dim, **value.to_dict(), "retention": None if kept is None else kept.value, "p_holm": p}
            for dim, value, kept, p in zip(self.dims, self.value, self.retention, self.p_holm)
        ]

    def takeaway(self) -> str:
        return self.takeaway_at(self.dims[nearest_level(self.dims, self.dims[-1] / 4)])

    def takeaway_at(self, dim: int) -> str:
        """The metric at one width beside the full one's, in a sentence."""
        full_dim, level = self.dims[-1], self.dims.index(dim)
        kept = self.retention[level]
        sentence = f"{self.name} is {self.value[-1]:.3f} at {full_dim} dims"
        if self.dims[level] != full_dim:
            share = "" if kept is None else f", {kept:.0%} of it"
            sentence += f" and {self.value[level].value:.3f} at {self.dims[level]}{share}"
        if self.is_too_wide:
            sentence += f"; with {self.n_items} judged the intervals are too wide to choose a width by"
        return f"{sentence}.{poor_full_width(self.name, self.value[-1].value)}"


def mean_curve(name: str, dims: tuple[int, ...], values: Floats, *, seed: int = 0) -> MetricCurve:
    """The curve of a metric that is a mean over items, from their values (n_dims, n_items)."""
    estimates = paired_bootstrap(values, seed=seed)
    return curve_of(name, dims, values.shape[1], estimates, paired_tests(values))


def curve_of(
    name: str, dims: tuple[int, ...], n_items: int, estimates: tuple[PairedEstimate, ...], p_values: Floats
) -> MetricCurve:
    """The curve of any statistic, from its estimates at every width and their p-values against the last one."""
    means = tuple(estimate.mean for estimate in estimates)
    retention = tuple(estimate.retention for estimate in estimates)
    return MetricCurve(name, dims, n_items, means, retention, tuple(p_values.tolist()))
