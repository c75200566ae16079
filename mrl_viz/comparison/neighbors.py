"""The neighbors of one text by every model, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mrl_viz.comparison.results import ModelComparison
from mrl_viz.measures.lists import NeighborChanges, check_item, neighbor_changes, neighbor_lists
from mrl_viz.result import Result
from mrl_viz.truncation import check_dims


@dataclass(frozen=True)
class ModelNeighbors(Result):
    """One model's neighbors of a text at `dim`, the width asked for or its own full width where that is smaller."""

    model: str
    dim: int
    full_dim: int
    changes: NeighborChanges


@dataclass(frozen=True)
class SideBySide(Result):
    """The neighbors of one text by every model: what each keeps, loses and gains at a width, and what they share.

    `item` : position of the text, or of the query where `is_self` is false. `shared` : items among the neighbors of
    every model at that width, `shared_full` : at full width; both ascending.
    """

    item: int
    k: int
    is_self: bool
    models: tuple[ModelNeighbors, ...]
    shared: tuple[int, ...]
    shared_full: tuple[int, ...]

    def rows(self, texts: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """One record per model and neighbor: item, change, ranks from 1, and how many models have it at this width."""
        here = Counter(item for model in self.models for item, *_ in (*model.changes.kept, *model.changes.gained))
        return [
            {"model": model.model, "dim": model.dim, "change": change}
            | {"rank_full": rank_full, "rank": rank, "item": item}
            | ({} if texts is None else {"text": texts[item]})
            | {"n_models": here[item]}
            for model in self.models
            for change in ("kept", "lost", "gained")
            for item, rank_full, rank in getattr(model.changes, change)
        ]

    def takeaway(self) -> str:
        kept = ", ".join(f"{model.model} keeps {len(model.changes.kept)} at {model.dim} dims" for model in self.models)
        what = "text" if self.is_self else "query"
        return (
            f"Of its own {self.k} neighbors of this {what} {kept}; all {len(self.models)} models have "
            f"{len(self.shared)} in common there and {len(self.shared_full)} in full."
        )


def neighbors_side_by_side(comparison: ModelComparison, item: int, dim: int) -> SideBySide:
    """One text's neighbors by every model at a width, beside those at the model's full width.

    Parameters
    ----------
    comparison : from `compare_models`
    item : position of a text, or of a query where the comparison has queries
    dim : a width; models that are narrower stay at their full width

    Raises
    ------
    InvalidInputError : no such item. DimensionError : a width above every model's.
    """
    embedded = comparison.embedded
    (dim,) = check_dims([dim], max(one.full_dim for one in embedded))
    asked = [one.matrix if comparison.is_self or one.queries is None else one.queries for one in embedded]
    check_item(item, len(asked[0]), "texts" if comparison.is_self else "queries")
    own = np.array([item]) if comparison.is_self else None
    found, ends = [], []
    for model, one, queries in zip(comparison.models, embedded, asked):
        dims = tuple(sorted({min(dim, one.full_dim), one.full_dim}))
        lists = neighbor_lists(one.matrix, queries[item : item + 1], dims, comparison.k, own=own)
        changes = replace(neighbor_changes(lists, dims, 0, dims[0]), item=item)
        found.append(ModelNeighbors(model.name, dims[0], one.full_dim, changes))
        ends.append((set(lists[0, 0].tolist()), set(lists[-1, 0].tolist())))
    shared, shared_full = (tuple(sorted(set.intersection(*of_models))) for of_models in zip(*ends))
    return SideBySide(item, comparison.k, comparison.is_self, tuple(found), shared, shared_full)
