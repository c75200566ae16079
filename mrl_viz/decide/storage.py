"""What a plan takes for a number of vectors, in memory and on disk: bytes by part, formula and monthly price."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from mrl_viz.errors import InvalidInputError
from mrl_viz.result import Result
from mrl_viz.retrieval.plan import Plan
from mrl_viz.truncation import check_count

GB = 1e9


@dataclass(frozen=True)
class DeploymentStorage(Result):
    """Bytes for `n_vectors` vectors, in GB of 1e9 bytes.

    `raw_gb` : as float32 at full width, what the plan is compared with. `code_gb`, `graph_gb`, `rerank_gb` : the parts
    of `StorageCost`; `memory_gb` : the first two, which are scanned; `disk_gb` : the last, which is only reranked;
    `total_gb` : both. `formula` : of `total_gb`, in bytes. `monthly_price` : total times the price given, None without
    one.
    """

    n_vectors: int
    raw_gb: float
    code_gb: float
    graph_gb: float
    rerank_gb: float
    memory_gb: float
    disk_gb: float
    total_gb: float
    formula: str
    price_per_gb: float | None
    monthly_price: float | None

    def takeaway(self) -> str:
        price = "" if self.monthly_price is None else f" and cost {self.monthly_price:,.2f} a month"
        disk = f" and {_gigabytes(self.disk_gb)} on disk" if self.disk_gb else ""
        return (
            f"{self.n_vectors:,} vectors take {_gigabytes(self.memory_gb)} in memory{disk}{price}; float32 at full "
            f"width takes {_gigabytes(self.raw_gb)}."
        )


def deployment_storage(
    plan: Plan, n_vectors: int, full_dim: int, *, price_per_gb: float | None = None
) -> DeploymentStorage:
    """Memory and disk of a plan for a number of vectors, its parts and its monthly price.

    Parameters
    ----------
    n_vectors : 1 or more
    full_dim : width of the model
    price_per_gb : your own price of a gigabyte (1e9 bytes) for a month, wherever it lies, in any currency, 0 or more

    Raises
    ------
    InvalidInputError : a count below 1, a price below 0, or a plan wider than `full_dim`.

    Source: sizes as in `storage_cost`; ids, payload and what an engine adds are not counted.
    """
    check_count("n_vectors", n_vectors)
    check_count("full_dim", full_dim, plan.widest)
    if price_per_gb is not None and not (isfinite(price_per_gb) and price_per_gb >= 0):
        raise InvalidInputError(f"`price_per_gb` is {price_per_gb}; give a price of 0 or more.")
    parts = plan.storage(n_vectors)
    total = parts.total_bytes / GB
    return DeploymentStorage(
        n_vectors=n_vectors,
        raw_gb=n_vectors * full_dim * 4 / GB,
        code_gb=parts.code_bytes / GB,
        graph_gb=parts.graph_bytes / GB,
        rerank_gb=parts.rerank_bytes / GB,
        memory_gb=parts.memory_bytes / GB,
        disk_gb=parts.disk_bytes / GB,
        total_gb=total,
        formula=f"{parts.formula} bytes",
        price_per_gb=price_per_gb,
        monthly_price=None if price_per_gb is None else total * price_per_gb,
    )


def whole_count(name: str, value: float) -> int:
    """A count as a whole number, 1 or more, also written as 10e6; InvalidInputError where it is none."""
    count = int(value) if isinstance(value, float) and value.is_integer() else value
    check_count(name, count)
    return int(count)


def _gigabytes(value: float) -> str:
    return f"{value:,.2f} GB" if value >= 1 else f"{value * 1e3:,.1f} MB"
