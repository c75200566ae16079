"""Two to four models' vectors of the same texts that do not fit into memory: what each keeps of itself, per byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from mrl_viz.comparison.compare import (
    DTYPES,
    FEWEST_MODELS,
    MOST_MODELS,
    agreements,
    compared_points,
)
from mrl_viz.comparison.results import ComparedModel, ModelComparison
from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.measures.lists import Indices, shared_share
from mrl_viz.scale.rows import Rows
from mrl_viz.scale.stages import BLOCK_BYTES, Asked, all_stages, fit_sample, stage_job
from mrl_viz.scale.streaming import sampled_queries
from mrl_viz.truncation import Floats, Progress, check_dims, default_dims


@dataclass(frozen=True)
class RowsComparison(ModelComparison):
    """A comparison of rows on a disk; there are no texts, so nothing is embedded or judged.

    `sources` : fingerprint of every model's rows.
    """

    sources: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of all rows."""
        return fingerprint(*self.sources)

    def _corpus(self) -> tuple[str, str]:
        return self.models[0].name, self.sources[0]


def compare_rows(
    sources: Sequence[Rows],
    n_queries: int,
    *,
    dims: Iterable[int] | None = None,
    k: int = 10,
    seed: int = 0,
    block_bytes: int = BLOCK_BYTES,
    progress: Progress | None = None,
) -> RowsComparison:
    """Overlap of each model with itself at every width and dtype, and N2O between them: `compare_models` at any size.

    Row n of every source is text n. The same rows search, each left out of its own list. Ranges of codes come from a
    sample of rows; stored codes are searched by cosine with float queries.

    Parameters
    ----------
    sources : two to four, as of `open_rows`
    n_queries : rows that search
    dims, k : as in `compare_models`
    seed : of the rows that search, of those that ranges are from, and of the bootstrap
    block_bytes : of float32 rows in memory at once
    progress : called with (rows done, rows in all), all sources counted

    Raises
    ------
    InvalidInputError : not two to four sources, one of them twice, or `k` or `n_queries` out of range. ShapeError :
    sources of different numbers of rows. DimensionError : a width above every model's. Others : as `stream_stages`.
    """
    names = _names(sources)
    n_rows = sources[0].n_rows
    widths = _widths(sources, dims)
    lists: list[Indices] = []
    kept: list[Floats] = []
    for place, (rows, own) in enumerate(zip(sources, widths)):
        asked = Asked(sampled_queries(rows, n_queries, seed=seed), fit_sample(rows, seed=seed))
        stages = [(dim, dtype) for dtype, dim in product(DTYPES, own)]
        job = stage_job(rows, asked, stages, depth=k, is_cosine=True, block_bytes=block_bytes)

        def show(done: int, total: int, before: int = place * n_rows) -> None:
            if progress:
                progress(before + done, len(sources) * n_rows)

        found = all_stages(rows, asked, job, progress=show).items
        lists.append(found[: len(own)])
        kept.append(shared_share(found, found[len(own) - 1]))
    return RowsComparison(
        models=tuple(ComparedModel(name, rows.full_dim, None, None, None, None) for name, rows in zip(names, sources)),
        points=compared_points(names, widths, kept, (), seed),
        agreement=agreements(lists, widths, seed),
        k=k,
        chance=k / (n_rows - 1),
        n_items=n_rows,
        n_measured=n_queries,
        is_self=True,
        task=None,
        metric=None,
        n_judged=0,
        notes=(
            f"{n_queries:,} rows drawn at random (seed {seed}) search among all {n_rows:,}, exactly; ranges of codes "
            f"are from {len(asked.sample):,} rows.",
        ),
        embedded=(),
        sources=tuple(rows.fingerprint() for rows in sources),
    )  # fmt: skip


def _names(sources: Sequence[Rows]) -> tuple[str, ...]:
    """What the sources are called: by their last part, or in full where that is not enough."""
    if not FEWEST_MODELS <= len(sources) <= MOST_MODELS:
        raise InvalidInputError(f"`--vectors`: {len(sources)} sources; compare {FEWEST_MODELS} to {MOST_MODELS}.")
    for rows in sources[1:]:
        if rows.n_rows != sources[0].n_rows:
            raise ShapeError(
                f"`{rows.name}` has {rows.n_rows:,} rows and `{sources[0].name}` {sources[0].n_rows:,}; give vectors "
                "of the same texts in the same order."
            )
    for names in (tuple(Path(rows.name).name for rows in sources), tuple(rows.name for rows in sources)):
        if len(set(names)) == len(names):
            return names
    raise InvalidInputError(f"`--vectors` has {sources[0].name} or another source twice; give each once.")


def _widths(sources: Sequence[Rows], dims: Iterable[int] | None) -> list[tuple[int, ...]]:
    """Each model's widths, its full one last."""
    if dims is None:
        return [default_dims(rows.full_dim) for rows in sources]
    chosen = check_dims(dims, max(rows.full_dim for rows in sources))
    return [(*(dim for dim in chosen if dim < rows.full_dim), rows.full_dim) for rows in sources]
