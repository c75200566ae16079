"""The corridor from embeddings to their numbers, shared by the command line and the app: sweep, then measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.measures.drift import SimilarityDrift, similarity_drift
from mrl_viz.measures.lists import NeighborOverlap, neighbor_overlap
from mrl_viz.sweep import Sweep, nested_sweep
from mrl_viz.truncation import PrefixEnergy, prefix_energy

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Analysis:
    """Everything the first two pages show, measured at the same widths."""

    embedded: Embedded
    sweep: Sweep
    overlap: NeighborOverlap
    drift: SimilarityDrift
    energy: PrefixEnergy
    seconds: float

    def rows(self) -> list[dict[str, Any]]:
        """One record per width."""
        return [
            {
                "dim": dim,
                "overlap": self.overlap.overlap[level],
                "overlap_low": self.overlap.overlap_low[level],
                "overlap_high": self.overlap.overlap_high[level],
                "top1_agreement": self.overlap.top1_agreement[level],
                "drift_bias": self.drift.bias[level],
                "drift_mae": self.drift.mae[level],
                "spearman_per_text": self.drift.spearman_per_text[level],
                "energy": self.energy.mean[level],
            }
            for level, dim in enumerate(self.sweep.dims)
        ]

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
    return Analysis(
        embedded=embedded,
        sweep=sweep,
        overlap=neighbor_overlap(sweep, seed=seed),
        drift=similarity_drift(embedded.matrix, embedded.queries, dims=sweep.dims, seed=seed),
        energy=prefix_energy(embedded.matrix, sweep.dims),
        seconds=seconds,
    )
