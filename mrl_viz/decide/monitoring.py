"""Does the deployed plan still answer as the full width? A fresh sample of queries says so, with its interval."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.embedding.embedded import Embedded
from mrl_viz.fingerprint import fingerprint
from mrl_viz.measures.estimate import CONFIDENCE, Estimate, bootstrap
from mrl_viz.measures.lists import shared_share
from mrl_viz.result import Result
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.sweep import check_k
from mrl_viz.tasks.task import sample_rows
from mrl_viz.truncation import check_count, check_dims, check_embeddings, check_share

SCHEMA, KIND = 1, "mrl_viz monitor check"
# Enough for an interval of about ±0.02.
N_QUERIES = 500


@dataclass(frozen=True)
class MonitorResult(Result):
    """Overlap@k of the deployed plan with exact full-width search on a sample of queries.

    `overlap` : mean over the sampled queries, in [0, 1]. `n_queries` : sampled; `n_items` : texts searched; `seed` : of
    the sample. `model`, `fingerprint` : of what was searched and, where they were given apart, of the queries; empty
    for bare vectors. `measured_at` : UTC, ISO 8601. Results are compared without these three.
    """

    plan: Plan
    full_dim: int
    k: int
    target: float
    n_queries: int
    n_items: int
    overlap: Estimate
    seed: int
    model: str = field(default="", compare=False)
    fingerprint: str = field(default="", compare=False)
    measured_at: str = field(default="", compare=False)

    _also = ("is_below_target", "is_certain")
    _without = ("overlap",)

    @property
    def is_below_target(self) -> bool:
        """Whether the overlap measured is below the target: the alarm."""
        return self.overlap.value < self.target

    @property
    def is_certain(self) -> bool:
        """Whether the whole interval lies on one side of the target."""
        return self.overlap.high < self.target or self.overlap.low >= self.target

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, as `read_history` reads them."""
        found = {"overlap": self.overlap.value, "low": self.overlap.low, "high": self.overlap.high}
        return {"schema": SCHEMA, "kind": KIND, **super().to_dict(), **found, "confidence": CONFIDENCE}

    def takeaway(self) -> str:
        verdict = "below" if self.is_below_target else "not below"
        doubt = "" if self.is_certain else "; the interval reaches across it, so sample more queries to be sure"
        return (
            f"{self.plan.label} keeps {self.overlap:.1%} of the {self.k} full-width "
            f"neighbors of {self.n_queries:,} sampled queries: {verdict} the target of {100 * self.target:.4g}%{doubt}."
        )


def check_deployed_plan(
    embedded: Embedded | npt.ArrayLike,
    plan: Plan | int,
    queries: npt.ArrayLike | None = None,
    *,
    target: float,
    k: int = 10,
    n_queries: int = N_QUERIES,
    seed: int | None = None,
    measured_at: str | None = None,
) -> MonitorResult:
    """Overlap@k of a deployed plan with exact full-width search on a fresh sample of queries.

    Parameters
    ----------
    embedded : an embedded corpus, or vectors of shape (n_items, full_dim)
    plan : what is deployed; a whole number is that width as float32, searched exactly
    queries : vectors of shape (n_queries, full_dim) to sample from, such as yesterday's; the embedded corpus' own when
        None, or its texts where it has none, each left out of its own neighbors
    target : overlap to stay above, in (0, 1]
    k : neighbors compared
    n_queries : most to sample
    seed : of the sample; another one every time when None, and then in the result
    measured_at : a date, ISO 8601; now (UTC) when None

    Raises
    ------
    InvalidInputError : a target outside (0, 1], `n_queries` below 1, `k` out of range, or a plan that reranks fewer.
    DimensionError, ShapeError, EmptyInputError : unusable width or vectors.
    OptionalDependencyError : an approximate plan without faiss.

    Source: overlap as in `neighbor_overlap`.
    """
    check_share("target", target)
    check_count("n_queries", n_queries)
    model, data = "", ""
    if isinstance(embedded, Embedded):
        corpus, model, data = embedded.matrix, embedded.model, embedded.fingerprint
        data = data if queries is None else fingerprint(data, np.asarray(queries))
        queries = embedded.queries if queries is None else queries
    else:
        corpus = check_embeddings(embedded, "corpus")
    full_dim = int(corpus.shape[1])
    deployed = plan if isinstance(plan, Plan) else Plan(check_dims([plan], full_dim)[0])
    check_dims([deployed.dim, deployed.widest], full_dim)
    if seed is None:
        seed = int(np.random.default_rng().integers(2**31))
    rows = corpus if queries is None else check_embeddings(queries, "queries")
    check_k(k, len(corpus) - (queries is None))
    sample = sample_rows(len(rows), n_queries, seed)
    own = sample if queries is None else None
    found, full = (
        build_plan(each, corpus, seed=seed).search(rows[sample], k, own=own).indices
        for each in (deployed, Plan(full_dim))
    )
    (overlap,) = bootstrap(shared_share(found, full), seed=seed)
    at = measured_at or datetime.now(UTC).isoformat(timespec="seconds")
    return MonitorResult(
        deployed, full_dim, k, target, len(sample), len(corpus), overlap, seed, model, data, at
    )  # fmt: skip
