"""Vectors that do not fit into memory: `sweep` of rows on a disk, whole or a slice, and `merge` of the slices."""

from __future__ import annotations

import argparse
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrl_viz.cli.printing import progress, say, table, write_json
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.scale.addresses import Address
    from mrl_viz.scale.embedding import Embedding
    from mrl_viz.scale.lists import Lists
    from mrl_viz.scale.streaming import Job, Queries

N_SAMPLED = 1000


def add_to_sweep(parser: argparse.ArgumentParser) -> None:
    """The options of a sweep that reads block by block."""
    parser.add_argument(
        "--sample-queries", type=int, metavar="N",
        help=f"of vectors on a disk (.npy, .zarr, .parquet, or a folder of them), read block by block: so many of its "
        f"rows search for their neighbors (default {N_SAMPLED} where there are no --queries)",
    )  # fmt: skip
    parser.add_argument("--shard", metavar="I/N", help="sweep slice I of N of the rows only, into a file in --out")
    parser.add_argument("--out", metavar="FOLDER", help="where the part of a --shard goes, for `merge`")
    _add_cluster(parser)


def add_to_embed(parser: argparse.ArgumentParser) -> None:
    """The options of embedding into an array on a disk."""
    parser.add_argument(
        "--shard", metavar="I/N",
        help="with --out vectors.zarr: embed slice I of N of the texts, read one after the other; N machines make the "
        "array that one makes",
    )  # fmt: skip
    parser.add_argument(
        "--dtype", choices=("float32", "float16"), default="float32", help="of a .zarr's numbers (default float32)"
    )
    _add_cluster(parser)


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster", metavar="WHERE",
        help="let a Dask cluster do it: local, local:N for N processes, or tcp://host:8786 (extra `cluster`)",
    )  # fmt: skip


def embed_rows(args: argparse.Namespace) -> int:
    """Embed a file of texts, whole or a slice, into an array on a disk; what is there already is kept."""
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.embedding.encoders.api import is_paid
    from mrl_viz.scale.addresses import place_of
    from mrl_viz.scale.embedding import embed_file
    from mrl_viz.scale.texts import TextFile

    if args.limit is not None or args.dim is not None or args.label_column or args.keep_duplicates:
        raise InvalidInputError("`--out *.zarr` takes every text as it is; leave out --limit, --dim and such.")
    if is_paid(args.model):
        raise InvalidInputError("`--out *.zarr` is for models on this machine; an API's vectors go to a .npy.")
    source, out = TextFile(args.source, args.text_column), place_of(args.out)
    if args.cluster:
        _embed_on_cluster(args, out)
        return 0
    index, count = _shard(args.shard) if args.shard else (1, 1)
    encoder = load_encoder(args.model, trust_remote_code=args.trust_remote_code)
    with progress(f"embedding with {args.model}", "rows") as show:
        made = embed_file(source, encoder, out, index=index, count=count, dtype=args.dtype, progress=show)
    _said_made(out, made, args.json)
    return 0


def _embed_on_cluster(args: argparse.Namespace, out: Path | Address) -> None:
    from mrl_viz.scale.cluster import cluster_at, embed_on

    if args.shard:
        raise InvalidInputError("`--cluster` makes all slices; leave out --shard.")
    with cluster_at(args.cluster) as client, progress(f"embedding with {args.model}") as show:
        made = embed_on(
            client, os.path.abspath(args.source), args.text_column, args.model, seen_everywhere(str(out)),
            dtype=args.dtype, trust_remote_code=args.trust_remote_code, progress=show,
        )  # fmt: skip
    _said_made(out, made, args.json)


def seen_everywhere(source: str) -> str:
    """The same place for a process that runs in another folder."""
    from mrl_viz.scale.addresses import is_address, local_path

    return source if is_address(source) else os.path.abspath(local_path(source))


def _said_made(out: Path | Address, made: Embedding, json: str | None) -> None:
    say(
        f"{out}: {made.n_rows:,} rows of {made.full_dim} coordinates; rows {made.start:,} to {made.stop:,} are there, "
        f"{made.n_made:,} of them made now.",
        notes=[f"{made.n_empty} texts are empty; their vectors are zero."] if made.n_empty else (),
    )
    write_json(json, {"file": str(out)} | asdict(made))


def add_verbs(verbs: Any) -> None:
    """Add the verb to the parser's."""
    summary = "put the parts of `sweep --shard` together: what one sweep over everything gives"
    merge = verbs.add_parser("merge", help=summary, description=summary)
    merge.add_argument("parts", metavar="FOLDER", help="on a disk, with the parts of one sweep")
    merge.add_argument("--json", metavar="OUT", help="also write the result as data")
    merge.add_argument("--seed", type=int, default=0, help="of the bootstrap (default 0)")
    merge.set_defaults(run=_merge)


def is_streamed(args: argparse.Namespace) -> bool:
    """Whether the source is swept block by block: asked for, of a kind that only is, or too large for memory.

    Raises
    ------
    InvalidInputError : options of such a sweep for another source.
    """
    from mrl_viz.data.content import MOST_VECTOR_BYTES
    from mrl_viz.scale.addresses import is_address, local_path
    from mrl_viz.scale.rows import is_rows

    is_asked = bool(args.sample_queries is not None or args.shard or args.out or args.cluster)
    if not is_rows(args.source):
        if is_asked:
            kinds = ".npy, .zarr, .parquet and folders of them"
            options = "--sample-queries, --shard, --cluster and --out"
            raise InvalidInputError(f"`{args.source}` holds no vectors on a disk; {options} are for {kinds}.")
        return False
    if args.shard and args.cluster:
        raise InvalidInputError("`--cluster` makes all slices; leave out --shard.")
    if args.shard and not args.out:
        raise InvalidInputError("`--shard` makes a part; say where it goes by --out.")
    if args.out and not (args.shard or args.cluster):
        raise InvalidInputError("`--out` is for the parts of slices or of a --cluster; leave it out here.")
    if args.out and is_address(args.out):
        raise InvalidInputError("`--out` of parts is a folder on a disk, as they are renamed when whole; give one.")
    # Stores and larger files are read in no other way.
    if not (is_asked or is_address(args.source)):
        path = local_path(args.source)
        if not (path.is_dir() or (path.is_file() and path.stat().st_size > MOST_VECTOR_BYTES)):
            return False
    if args.limit is not None or args.qrels or args.text_column or args.label_column:
        raise InvalidInputError("Rows are swept as they are, without texts; leave out --limit, --qrels and columns.")
    return True


def sweep_rows(args: argparse.Namespace) -> int:
    """Sweep a source block by block, whole or one slice."""
    from mrl_viz.files import cache_folder
    from mrl_viz.scale.parts import is_done, part_file, write_part
    from mrl_viz.scale.rows import open_rows
    from mrl_viz.scale.streaming import given_queries, job_of, sampled_queries, slice_of, stream_slice
    from mrl_viz.truncation import parse_dims

    if args.queries and args.sample_queries is not None:
        raise InvalidInputError("`--queries` and `--sample-queries` both say what is searched for; give one.")
    rows = open_rows(args.source)
    if args.queries:
        asked = open_rows(args.queries)
        queries = given_queries(asked.read(0, asked.n_rows), rows)
    else:
        wanted = min(N_SAMPLED, rows.n_rows) if args.sample_queries is None else args.sample_queries
        queries = sampled_queries(rows, wanted, seed=args.seed)
    job = job_of(rows, queries, dims=parse_dims(args.dims, rows.full_dim), k=args.k)
    if args.cluster:
        lists = _sweep_on_cluster(args, queries, job)
        _said(job, lists, args.json, args.seed, None if args.queries else args.seed)
        return 0
    index, count = _shard(args.shard) if args.shard else (1, 1)
    start, stop = slice_of(rows.n_rows, index, count)
    file = part_file(Path(args.out), index, count) if args.out else None
    if file is not None and args.json:
        raise InvalidInputError("`--json` is of the whole; give it to `merge`, when all slices are there.")
    if file is not None and is_done(file, job, start, stop):
        say(f"{file.name} is there already.")
        return 0
    state = cache_folder() / "sweeps" / f"{job.key}-{start}-{stop}.npz"
    with progress("sweeping", "rows") as show:
        lists = stream_slice(rows, queries, job, start, stop, state=state, progress=show)
    if file is not None:
        write_part(file, job, start, stop, lists)
        left = f"`merge {args.out}` when all {count} are there"
        say(f"{file.name}: rows {start:,} to {stop:,} of {rows.n_rows:,}; {left}.")
    else:
        _said(job, lists, args.json, args.seed, None if args.queries else args.seed)
    state.unlink(missing_ok=True)
    return 0


def _sweep_on_cluster(args: argparse.Namespace, queries: Queries, job: Job) -> Lists:
    from mrl_viz.files import cache_folder
    from mrl_viz.scale.cluster import cluster_at, sweep_on

    is_here = args.cluster.startswith("local")
    if not args.out and not is_here:
        raise InvalidInputError("`--cluster` on other machines needs --out, a folder that all of them see.")
    folder = Path(args.out).absolute() if args.out else cache_folder() / "sweeps" / job.key
    with cluster_at(args.cluster) as client, progress("sweeping slices") as show:
        lists = sweep_on(client, seen_everywhere(args.source), queries, job, folder, progress=show)
    if not args.out:
        shutil.rmtree(folder, ignore_errors=True)
    return lists


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found:
        raise InvalidInputError(f"`--shard` is {text!r}; write it as 3/64.")
    return int(found[1]), int(found[2])


def _merge(args: argparse.Namespace) -> int:
    from mrl_viz.scale.parts import merge_parts

    job, lists = merge_parts(args.parts)
    _said(job, lists, args.json, args.seed, None)
    return 0


def _said(job: Job, lists: Lists, json: str | None, seed: int, sampled_with: int | None) -> None:
    """The overlap at every width, printed and written."""
    from mrl_viz.measures.lists import neighbor_overlap
    from mrl_viz.scale.streaming import sweep_of

    overlap = neighbor_overlap(sweep_of(job, lists), seed=seed)
    drawn = f"drawn from them (seed {sampled_with})" if sampled_with is not None else "drawn from them"
    asked = f"{drawn}, each left out of its own list" if job.own else "of their own"
    say(
        f"{job.n_rows:,} rows, {job.full_dim} dims, k = {job.k}, {job.n_queries:,} queries {asked}; chance "
        f"{overlap.chance:.2g}. Intervals are over queries."
    )
    table(
        {
            "dim": "{dim}",
            "overlap": "{overlap:.4f}",
            "95 % interval": "[{overlap_low:.4f}, {overlap_high:.4f}]",
            "top-1": "{top1_agreement:.3f}",
        },
        overlap.rows(),
    )
    say(overlap.takeaway())
    write_json(json, {"n_rows": job.n_rows, "source": job.source, "queries": job.queries} | overlap.to_dict())
