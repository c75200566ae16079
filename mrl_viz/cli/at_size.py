"""The same decisions on vectors that do not fit into memory: controls, `recommend`, `monitor`, `compare`."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mrl_viz.cli.printing import progress, say, table, write_json
from mrl_viz.cli.scale import N_SAMPLED, is_streamed, seen_everywhere
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.decide.monitoring import MonitorResult
    from mrl_viz.decide.recommendation import Recommendation
    from mrl_viz.retrieval.plan import Plan
    from mrl_viz.scale.comparing import RowsComparison
    from mrl_viz.scale.lists import Lists
    from mrl_viz.scale.plans import ListsOf
    from mrl_viz.scale.rows import Rows
    from mrl_viz.scale.streaming import Queries


def add_sampled(parser: argparse.ArgumentParser, *, has_cluster: bool = False) -> None:
    """The options of a verb that also reads rows on a disk, block by block."""
    parser.add_argument(
        "--sample-queries", type=int, metavar="N",
        help="of vectors on a disk (.npy, .zarr, .parquet, or a folder of them), read block by block: so many of its "
        "rows search for their neighbors",
    )  # fmt: skip
    if has_cluster:
        parser.add_argument(
            "--cluster", metavar="WHERE",
            help="let a Dask cluster read those: local, local:N for N processes, or tcp://host:8786 (extra `cluster`)",
        )  # fmt: skip
        parser.add_argument(
            "--out", metavar="FOLDER", help="where the parts of a --cluster go, seen by all its workers"
        )
    parser.set_defaults(shard=None, **({} if has_cluster else {"cluster": None, "out": None}))


def is_at_size(args: argparse.Namespace) -> bool:
    """Whether the source is read block by block; see `is_streamed`.

    Raises
    ------
    InvalidInputError : options of the one kind of source for the other.
    """
    if not is_streamed(args):
        return False
    if args.keep_duplicates:
        raise InvalidInputError("Rows on a disk are taken as they are, duplicates too; leave out --keep-duplicates.")
    return True


def recommend_on_disk(args: argparse.Namespace) -> Recommendation:
    """The recommendation for rows on a disk, by this process or a cluster."""
    from mrl_viz.files import cache_folder
    from mrl_viz.scale.plans import recommend_rows
    from mrl_viz.truncation import parse_dims

    if args.hybrid or args.fusion_k is not None:
        raise InvalidInputError("`--hybrid` searches words, and rows on a disk have none; leave it out.")
    rows = _opened(args)
    queries = _queries(args, rows)
    with progress("reading rows") as show:
        return recommend_rows(
            rows, queries, target=args.target, metric=args.metric, n_vectors=args.n_vectors, memory_gb=args.memory_gb,
            disk_gb=args.disk_gb, latency_ms=args.latency_ms, smallest=args.smallest,
            dims=parse_dims(args.dims, rows.full_dim) if args.dims.strip() else None,
            dtypes=tuple(part.strip() for part in args.dtypes.split(",")), allow_rerank=not args.no_rerank,
            seed=args.seed, lists_of=_by_cluster(args, show) if args.cluster else None,
            keep_in=cache_folder() / "plans", progress=show,
        )  # fmt: skip


def _by_cluster(args: argparse.Namespace, show: Callable[[int, int], None] | None) -> ListsOf:
    from mrl_viz.files import cache_folder
    from mrl_viz.scale.cluster import cluster_at, stages_on
    from mrl_viz.scale.stages import Asked, StageJob

    if not args.out and not args.cluster.startswith("local"):
        raise InvalidInputError("`--cluster` on other machines needs --out, a folder that all of them see.")

    def lists_of(asked: Asked, job: StageJob) -> Lists:
        folder = Path(args.out).absolute() if args.out else cache_folder() / "plans" / job.key
        with cluster_at(args.cluster) as client:
            lists = stages_on(client, seen_everywhere(args.source), asked, job, folder, progress=show)
        if not args.out:
            shutil.rmtree(folder, ignore_errors=True)
        return lists

    return lists_of


def sweep_arrangements(args: argparse.Namespace, names: tuple[str, ...]) -> int:
    """Sweep rows on a disk under several arrangements, from one reading."""
    from mrl_viz.fingerprint import fingerprint
    from mrl_viz.measures.lists import neighbor_overlap
    from mrl_viz.scale.controls import control_rows, sampled_drift
    from mrl_viz.truncation import parse_dims

    if args.shard or args.cluster:
        raise InvalidInputError("`--arrangements` are read by one process; leave out --shard, --cluster and --out.")
    rows = _opened(args)
    queries = _queries(args, rows)
    with progress("sweeping rows") as show:
        sweep, beside = control_rows(
            rows, queries, dims=parse_dims(args.dims, rows.full_dim), k=args.k, arrangements=names, seed=args.seed,
            progress=show,
        )  # fmt: skip
    overlap = neighbor_overlap(sweep, seed=args.seed)
    drift = sampled_drift(rows, queries, dims=sweep.dims, seed=args.seed)
    asked = "of their own" if queries.own is None else f"drawn from them (seed {args.seed}), none in its own list"
    say(
        f"{rows.n_rows:,} rows, {rows.full_dim} dims, k = {args.k}, {sweep.n_queries:,} queries {asked}; chance "
        f"{overlap.chance:.2g}. Intervals are over queries; drift is of {drift.n_rows} queries and {drift.n_columns:,} "
        "rows."
    )
    found = overlap.records(
        "overlap", "top1_agreement", drift_bias=drift.bias, drift_mae=drift.mae,
        spearman_per_text=drift.spearman_per_text,
    )  # fmt: skip
    table(
        {
            "dim": "{dim}",
            "overlap": "{overlap:.4f}",
            "95 % interval": "[{overlap_low:.4f}, {overlap_high:.4f}]",
            "top-1": "{top1_agreement:.3f}",
            "drift": "{drift_bias:+.4f}",
            "MAE": "{drift_mae:.4f}",
            "Spearman": "{spearman_per_text:.4f}",
        },
        found,
    )
    say(overlap.takeaway())
    extra = beside.to_dict()
    table(
        {"overlap": "{name}"} | {f"{dim}": f"{{at_{dim}:.3f}}" for dim in sweep.dims},
        [
            {"name": name} | {f"at_{row['dim']}": row["overlap"] for row in lines}
            for name, lines in extra["arrangements"].items()
        ],
    )
    say(beside.takeaway(), notes=extra["notes"])
    about = {"n_rows": rows.n_rows, "source": rows.fingerprint(), "queries": fingerprint(queries.matrix)}
    write_json(args.json, about | overlap.to_dict() | {"drift": drift.to_dict()} | extra)
    return 0


def monitor_on_disk(args: argparse.Namespace, plan: Plan, target: float, full_dim: int | None) -> MonitorResult:
    """The deployed plan over rows on a disk; `full_dim` : of the model it was decided for, where that is known."""
    import numpy as np

    from mrl_viz.scale.plans import monitor_rows, watched

    if args.canary is not None:
        raise InvalidInputError("`--canary` embeds texts, and rows on a disk have none; give SOURCE as texts.")
    rows = _opened(args)
    if full_dim not in (None, rows.full_dim):
        raise InvalidInputError(
            f"`--plan` was decided for a model of {full_dim} coordinates and `{rows.name}` has {rows.full_dim}; use "
            "vectors of that model."
        )
    # Another sample every time, unless it is said, so that what one misses another finds.
    args.seed = int(np.random.default_rng().integers(2**31)) if args.seed is None else args.seed
    wanted = args.sample if args.sample_queries is None else args.sample_queries
    queries = watched(_queries(args, rows, wanted), wanted, seed=args.seed)
    with progress("reading rows") as show:
        return monitor_rows(rows, plan, queries, target=target, k=args.k, seed=args.seed, progress=show)


def compare_on_disk(args: argparse.Namespace) -> RowsComparison:
    """The models whose rows SOURCE and every --vectors are."""
    from mrl_viz.scale.comparing import compare_rows
    from mrl_viz.scale.rows import open_rows
    from mrl_viz.truncation import parse_dims

    if args.model:
        raise InvalidInputError(f"`--model` is {args.model[0]}, and rows on a disk are vectors already; leave it out.")
    if args.html:
        raise InvalidInputError("`--html` is a report of texts; of rows on a disk write --json.")
    if args.queries:
        raise InvalidInputError("`--queries` are of one model; rows on a disk search themselves, by --sample-queries.")
    sources = [_opened(args), *map(open_rows, args.vectors)]
    wanted = min(N_SAMPLED, sources[0].n_rows) if args.sample_queries is None else args.sample_queries
    dims = parse_dims(args.dims, max(rows.full_dim for rows in sources)) if args.dims.strip() else None
    with progress("reading rows") as show:
        return compare_rows(sources, wanted, dims=dims, k=args.k, seed=args.seed, progress=show)


def _opened(args: argparse.Namespace) -> Rows:
    from mrl_viz.scale.rows import open_rows

    return open_rows(args.source)


def _queries(args: argparse.Namespace, rows: Rows, n_sampled: int = N_SAMPLED) -> Queries:
    """The queries of a file, or rows drawn at random."""
    from mrl_viz.scale.rows import open_rows
    from mrl_viz.scale.streaming import given_queries, sampled_queries

    if args.queries:
        if args.sample_queries is not None:
            raise InvalidInputError("`--queries` and `--sample-queries` both say what is searched for; give one.")
        asked = open_rows(args.queries)
        return given_queries(asked.read(0, asked.n_rows), rows)
    wanted = min(n_sampled, rows.n_rows) if args.sample_queries is None else args.sample_queries
    return sampled_queries(rows, wanted, seed=args.seed)
