"""The corridor from embeddings to their numbers, shared by the command line and the app: sweep, then measure."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mrl_viz.arrangements import ARRANGEMENTS, FEWEST_DRAWS, Arrangement
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.measures.controls import ControlComparison, compare_arrangements
from mrl_viz.measures.lists import NeighborOverlap, neighbor_overlap
from mrl_viz.measures.sample import PairSample, pair_sample
from mrl_viz.measures.similarity import SimilarityDrift, similarity_drift
from mrl_viz.result import Result
from mrl_viz.sweep import Sweep, nested_sweep
from mrl_viz.truncation import PrefixEnergy, Progress, prefix_energy


@dataclass(frozen=True)
class Analysis(Result):
    """What the first two pages show, measured at the same widths, and the sample of pairs that later ones read."""

    embedded: Embedded
    sweep: Sweep
    overlap: NeighborOverlap
    sample: PairSample
    drift: SimilarityDrift
    energy: PrefixEnergy
    seconds: float

    def rows(self) -> list[dict[str, Any]]:
        """One record per width."""
        overlap, drift = self.overlap, self.drift
        return overlap.records(
            "overlap", "top1_agreement", drift_bias=drift.bias, drift_mae=drift.mae,
            spearman_per_text=drift.spearman_per_text, energy=self.energy.mean,
        )  # fmt: skip

    def takeaway(self) -> str:
        """What survives of the neighbors."""
        return self.overlap.takeaway()

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, schema 1."""
        check = self.embedded.corpus.check
        return {
            "schema": 1,
            "model": self.embedded.model_dict(),
            "corpus": {
                "n_items": check.n_items,
                "n_empty": check.n_empty,
                "n_duplicates": check.n_duplicates,
                "fingerprint": self.embedded.corpus.fingerprint,
            },
            "k": self.sweep.k,
            "chance": self.overlap.chance,
            "arrangements": {"prefix": self.rows()},
            "seconds": {"embed": self.embedded.seconds, "sweep": self.seconds},
        }


def analyse(
    embedded: Embedded,
    *,
    dims: Iterable[int],
    k: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
) -> Analysis:
    """Neighbors, overlap, drift and energy of an embedded corpus at the chosen widths.

    Raises
    ------
    DimensionError, InvalidInputError, ShapeError : as in `nested_sweep`.
    """
    started = time.perf_counter()
    sweep = nested_sweep(embedded.matrix, embedded.queries, dims=dims, k=k, progress=progress)
    seconds = time.perf_counter() - started
    sample = pair_sample(embedded.matrix, embedded.queries, dims=sweep.dims, seed=seed)
    return Analysis(
        embedded=embedded,
        sweep=sweep,
        overlap=neighbor_overlap(sweep, seed=seed),
        sample=sample,
        drift=similarity_drift(sample),
        energy=prefix_energy(embedded.matrix, sweep.dims),
        seconds=seconds,
    )


def controls(
    result: Analysis,
    *,
    arrangements: Iterable[str | Arrangement] = ARRANGEMENTS,
    n_draws: int = FEWEST_DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> ControlComparison:
    """The controls of an analysis at its widths and k: see `compare_arrangements`; the prefix is not swept again.

    Raises
    ------
    EmptyInputError, InvalidInputError : as there.
    """
    return compare_arrangements(
        result.sweep, result.embedded.matrix, result.embedded.queries, arrangements=arrangements, n_draws=n_draws,
        seed=seed, progress=progress,
    )  # fmt: skip
