"""What a comparison of models holds: the models, their points per byte, and their agreement."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.measures.estimate import Estimate
from mrl_viz.result import Result, flat

# The share of its own neighbors at which `self_takeaway` asks for the bytes.
MOST_KEPT = 0.9


class _Judged(Result):
    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, with every key, also both ends of estimates that are not known."""
        filled: dict[str, Any] = {}
        for name, value in super().to_dict().items():
            filled[name] = value
            if name in ("quality", "behind") and value is None:
                filled |= {f"{name}_low": None, f"{name}_high": None}
        return filled


@dataclass(frozen=True)
class ComparedModel(_Judged):
    """One of the models, in full; what is not known is None.

    `size_mb` : weights in megabytes, from the catalogue. `embed_seconds` : what getting the vectors took, from the
    store where it had them. `texts_per_second` : measured encode speed. `quality` : at full width in float32.
    `behind` : the same less the best model's, from common resamples.
    """

    name: str
    full_dim: int
    matryoshka_dims: tuple[int, ...] | None
    size_mb: float | None
    embed_seconds: float | None
    texts_per_second: float | None
    quality: Estimate | None = None
    behind: Estimate | None = None


@dataclass(frozen=True)
class ComparedPoint(_Judged):
    """One model at one width and dtype.

    `overlap` : share of its own full-width float32 neighbors kept; says nothing of other models. `quality` : of the
    task, None without labels. `is_on_front` : no point of any model has as much quality for fewer bytes, or more for as
    many; None without labels.
    """

    model: str
    dim: int
    dtype: str
    bytes_per_vector: int
    overlap: Estimate
    quality: Estimate | None = None
    is_on_front: bool | None = None


@dataclass(frozen=True)
class ModelAgreement(Result):
    """N2O: the share of its neighbors that a model has in common with each other one, float32.

    `dim` : the width of all of them, None for each at its own full width. `overlap` : symmetric, in the models' order.
    """

    dim: int | None
    overlap: tuple[tuple[Estimate, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Three matrices: overlap, and both ends of its intervals."""
        names = {"overlap": "value", "low": "low", "high": "high"}
        return {"dim": self.dim} | {
            name: tuple(tuple(getattr(estimate, part) for estimate in row) for row in self.overlap)
            for name, part in names.items()
        }


@dataclass(frozen=True)
class ModelComparison(Result):
    """Models on the same texts: see `compare_models`.

    `points` : every model, dtype and width. `agreement` : N2O at each common width, then at full width. `chance` : of
    overlap and N2O. `n_measured` : lists that overlap is a mean over; `is_self` : they are of texts, not of queries.
    `task`, `metric`, `n_judged` : of the quality; None, None and 0 without labels. `embedded` : what was compared.
    """

    models: tuple[ComparedModel, ...]
    points: tuple[ComparedPoint, ...]
    agreement: tuple[ModelAgreement, ...]
    k: int
    chance: float
    n_items: int
    n_measured: int
    is_self: bool
    task: str | None
    metric: str | None
    n_judged: int
    notes: tuple[str, ...]
    embedded: tuple[Embedded, ...] = field(repr=False, compare=False)

    _without = ("embedded",)
    _also = ("fingerprint",)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits: of the data's evidence and of every model's vectors."""
        return fingerprint(*(one.fingerprint for one in self.embedded))

    def _corpus(self) -> tuple[str, str]:
        """Name and fingerprint of the texts."""
        corpus = self.embedded[0].corpus
        return corpus.name, corpus.fingerprint

    def front(self) -> tuple[ComparedPoint, ...]:
        """The points on the Pareto front of quality and bytes, fewest bytes first; none without labels."""
        return tuple(sorted((p for p in self.points if p.is_on_front), key=lambda point: point.bytes_per_vector))

    def agreement_at(self, dim: int | None = None) -> ModelAgreement:
        """N2O at a common width, or at full width for None.

        Raises
        ------
        InvalidInputError : that width was not measured for all models.
        """
        found = next((agreement for agreement in self.agreement if agreement.dim == dim), None)
        if found is None:
            common = [agreement.dim for agreement in self.agreement if agreement.dim is not None]
            raise InvalidInputError(
                f"`dim` is {dim}, which was not measured for all models; choose one of {common} or None."
            )
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One record per model, dtype and width."""
        return [point.to_dict() for point in self.points]

    def model_rows(self) -> list[dict[str, Any]]:
        """One record per model."""
        return [model.to_dict() for model in self.models]

    def agreement_rows(self) -> list[dict[str, Any]]:
        """One record per pair of models and width; dim None is each model's full width."""
        return [
            flat({"model": self.models[a].name, "other": self.models[b].name, "dim": at.dim, "n2o": at.overlap[a][b]})
            for at in self.agreement
            for a, b in combinations(range(len(self.models)), 2)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, schema 1."""
        name, source = self._corpus()
        data = super().to_dict()
        data["n2o"] = data.pop("agreement")
        return {
            "schema": 1,
            "corpus": {"name": name, "n_items": data.pop("n_items"), "fingerprint": source},
            "neighbors_of": "texts" if data.pop("is_self") else "queries",
            **data,
            "takeaway": self.takeaway(),
        }

    def self_takeaway(self) -> str:
        """The fewest bytes at which each model keeps most of its own neighbors, by the lower end of the interval."""
        needs = []
        for model in self.models:
            enough = [p for p in self.points if p.model == model.name and p.overlap.low >= MOST_KEPT]
            least = min(enough, key=lambda point: point.bytes_per_vector, default=None)
            size = f"{least.bytes_per_vector:,} ({least.dim} x {least.dtype})" if least else "more than measured"
            needs.append(f"{model.name} {size}")
        return (
            f"Bytes per vector to keep {MOST_KEPT:.0%} of one's own {self.k} nearest neighbors, by the lower bound: "
            f"{', '.join(needs)}."
        )

    def agreement_takeaway(self) -> str:
        """The pair of models that share the fewest neighbors in full."""
        full = self.agreement_at()
        a, b = min(combinations(range(len(self.models)), 2), key=lambda pair: full.overlap[pair[0]][pair[1]].value)
        return (
            f"In full, {self.models[a].name} and {self.models[b].name} share {full.overlap[a][b]:.0%} of their "
            f"{self.k} nearest neighbors (chance {self.chance:.1%})."
        )

    def takeaway(self) -> str:
        """Which model is better in full and per byte, and whether the data can tell; or that nothing ranks them."""
        if self.metric is None:
            return (
                "Nothing here ranks these models: there is no task quality to compare, and what a model keeps of "
                f"itself is not how good it is. {self.agreement_takeaway()}"
            )
        judged = [(model.name, model.quality, model.behind) for model in self.models if model.quality and model.behind]
        (best, quality, _), (second, _, behind) = sorted(judged, key=lambda model: -model[1].value)[:2]
        front = self.front()
        lead = f"In full, {best} has the highest {self.metric}, {quality:.3f}; {second} differs by {behind:+.3f}"
        if behind.high >= 0:
            lead += f", which {self.n_judged} judged cannot tell from no difference"
        elif quality.is_too_wide:
            lead += f"; with {self.n_judged} judged the intervals are wide"
        counts = {model.name: sum(point.model == model.name for point in front) for model in self.models}
        held = ", ".join(f"{name} holds {n}" for name, n in counts.items())
        top = front[-1]
        return (
            f"{lead}. Per byte, of the {len(front)} points on the Pareto front {held}; its highest is {top.model} at "
            f"{top.dim} x {top.dtype}: {top.bytes_per_vector:,} bytes, {top.quality:.3f}."
        )
