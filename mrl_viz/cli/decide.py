"""The verbs of a decision: `compare` models, `recommend` a plan, `search` with it, `monitor` it in production."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrl_viz.cli import at_size
from mrl_viz.cli.arguments import (
    DIMS,
    add_hybrid,
    add_verb,
    announce_price,
    embed_source,
    fusion_k_of,
    read_record,
    read_source,
)
from mrl_viz.cli.printing import progress, say, table, write_json
from mrl_viz.errors import EmptyInputError, InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.comparison import ModelComparison
    from mrl_viz.decide.canary import CanaryResult
    from mrl_viz.decide.recommendation import Recommendation
    from mrl_viz.embedding.embedded import Embedded

TEXT_CHARACTERS = 100
# Where neither an option nor a record says it.
DEFAULT_K, DEFAULT_TARGET = 10, 0.95
PLAN_HELP = "a decision record (JSON), or a width with details: 64 or 64,int8,200@768 (200 reranked at 768 dims)"


def add_verbs(verbs: Any) -> None:
    """Add the four verbs to the parser's."""
    compare = add_verb(
        verbs, "compare", _compare,
        "two to four models of the same texts, per byte: every width in float32, float16, int8, int4 and binary",
        has_model=False, dims=DIMS, k="neighbors per list", seed="bootstrap and samples",
    )  # fmt: skip
    compare.add_argument("--model", action="append", default=[], help="a model; once for each")
    compare.add_argument(
        "--vectors", action="append", default=[], metavar="F",
        help="vectors of another model for the same texts, in their order; once for each (SOURCE may be such a file)",
    )  # fmt: skip
    compare.add_argument("--html", metavar="OUT", help="also write a report that any browser opens")
    at_size.add_sampled(compare)

    recommend = add_verb(
        verbs, "recommend", _recommend, "the smallest plan that meets a target, with its record",
        dims=DIMS, seed="samples and bounds",
    )  # fmt: skip
    recommend.add_argument(
        "--target", type=float, default=0.95, help="share to keep, above 0 and up to 1 (default 0.95)"
    )
    recommend.add_argument(
        "--metric", default="overlap@10", help="overlap@K, ndcg@K, recall@K, mrr@K, accuracy[:COLUMN] or spearman"
    )
    add_hybrid(recommend)
    recommend.add_argument(
        "--n-vectors", type=float, metavar="N", help="in production, such as 10e6 (default: as many as here)"
    )
    recommend.add_argument(
        "--memory-gb", type=float, metavar="G", help="budget in memory: codes and graph of all vectors, 1e9 bytes"
    )
    recommend.add_argument(
        "--disk-gb", type=float, metavar="G", help="budget on disk: the float32 copy that a shortlist is reranked from"
    )
    recommend.add_argument(
        "--smallest", default="memory", help="in what: memory, then disk (default), or total, all bytes"
    )
    recommend.add_argument(
        "--latency-ms", type=float, metavar="L", help="budget for one query, 95th percentile on this machine"
    )
    recommend.add_argument(
        "--dtypes", default="float32,float16,int8,int4,rabitq2,binary",
        help="of the searched vectors (default %(default)s); also int4-rotated, binary-rotated, rabitq1 to rabitq8, "
        "turboquant1, 2, 3, 4 or 8, opq1, 2 or 4",
    )  # fmt: skip
    recommend.add_argument(
        "--no-rerank", action="store_true", help="without a float32 copy that a shortlist is reranked from"
    )
    recommend.add_argument("--price-per-gb", type=float, metavar="P", help="your price of a gigabyte for a month")
    recommend.add_argument(
        "--no-corpus-size", action="store_true", help="do not measure how more vectors change the overlap"
    )
    recommend.add_argument(
        "--threshold-rate", type=float, default=0.01, metavar="R",
        help="also the score that lets this share of pairs through that do not belong together (default 0.01)",
    )  # fmt: skip
    recommend.add_argument("--record", metavar="OUT", help="write the decision record, as .json or .md")
    at_size.add_sampled(recommend, has_cluster=True)

    search = add_verb(
        verbs, "search", _search, "the texts that a plan finds for a query", has_queries=False, k="how many"
    )
    search.add_argument("--query", required=True, help="what to search for")
    search.add_argument("--plan", metavar="PLAN", help=f"{PLAN_HELP} (default: exact full width)")

    monitor = add_verb(
        verbs, "monitor", _monitor,
        "does the deployed plan still answer fresh --queries as the full width? code 1 if not",
        k="neighbors compared", is_k_of_record=True,
    )  # fmt: skip
    monitor.add_argument("--plan", metavar="PLAN", required=True, help=f"what is deployed: {PLAN_HELP}")
    monitor.add_argument("--target", type=float, help="overlap to stay above (default: the record's, else 0.95)")
    monitor.add_argument("--sample", type=int, default=500, metavar="N", help="queries sampled from them (default 500)")
    monitor.add_argument("--seed", type=int, help="of the sample (default: another one every time)")
    monitor.add_argument(
        "--canary", metavar="F",
        help="frozen texts with their vectors, as `embed TEXTS --out F.npz` writes them: embedded again, have they "
        "moved? code 1 if so",
    )  # fmt: skip
    at_size.add_sampled(monitor)
    monitor.add_argument(
        "--tolerance", type=float, default=1e-3, metavar="T", help="of a canary's 1 - cosine (default 0.001)"
    )


def _compare(args: argparse.Namespace) -> int:
    from mrl_viz.export import comparison_report

    result = at_size.compare_on_disk(args) if at_size.is_at_size(args) else _comparison(args)
    table(
        {
            "model": "{p.model}",
            "dim": "{p.dim}",
            "dtype": "{p.dtype}",
            "bytes": "{p.bytes_per_vector}",
            "overlap": "{p.overlap.value:.4f}",
            result.metric or "quality": "{quality}",
            "front": "{front}",
        },
        (
            {"p": p, "quality": f"{p.quality.value:.4f}" if p.quality else "-", "front": "*" if p.is_on_front else ""}
            for p in result.points
        ),
    )
    say(result.takeaway(), notes=result.notes)
    write_json(args.json, result.to_dict())
    if args.html:
        Path(args.html).write_text(comparison_report(result), encoding="utf-8")
    return 0


def _comparison(args: argparse.Namespace) -> ModelComparison:
    from mrl_viz.comparison import compare_models, encode_speed
    from mrl_viz.data.corpus import same_items, with_texts
    from mrl_viz.data.reading import read_corpus
    from mrl_viz.embedding.embedded import embed
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.embedding.encoders.api import is_paid
    from mrl_viz.truncation import parse_dims

    corpus = read_source(args)
    files = [read_corpus(file, keep_duplicates=True, limit=args.limit) for file in args.vectors]
    if corpus.embeddings is not None:
        if args.model:
            raise InvalidInputError(f"`--model` is {args.model[0]}, and `SOURCE` holds ready vectors; give texts.")
        files = list(same_items([corpus, *files]))
    else:
        files = [with_texts(file, corpus.texts) for file in files]
    if len(args.model) + len(files) < 2:
        raise InvalidInputError("`compare` has one model to compare; give two to four by --model or --vectors.")
    embedded, speeds = [], {}
    for name in args.model:
        embedded.append(embed_source(args, corpus, model=name))
        if not is_paid(name):  # timing an API would pay it again
            encoder = load_encoder(name, trust_remote_code=args.trust_remote_code)
            speeds[encoder.name] = encode_speed(encoder.encode, corpus.texts)
    embedded += [embed(file) for file in files]
    dims = parse_dims(args.dims, max(vectors.full_dim for vectors in embedded)) if args.dims.strip() else None
    with progress("comparing") as show:
        return compare_models(embedded, dims=dims, k=args.k, seed=args.seed, texts_per_second=speeds, progress=show)


def _recommend(args: argparse.Namespace) -> int:
    from mrl_viz.decide import CorpusSizeEffect, MeasuredThreshold, corpus_size_effect, decision_record, plan_thresholds
    from mrl_viz.decide.choose import check_limits
    from mrl_viz.decide.threshold import check_rate

    if args.record and Path(args.record).suffix not in (".json", ".md"):
        raise InvalidInputError(f"`--record` is {args.record!r}; give a file name that ends in .json or .md.")
    check_limits(
        args.target, args.n_vectors, args.memory_gb, args.latency_ms, disk_gb=args.disk_gb, smallest=args.smallest
    )
    check_rate("--threshold-rate", args.threshold_rate)
    fusion_k = fusion_k_of(args)
    embedded, result = _recommendation(args, fusion_k)
    grown: CorpusSizeEffect | None = None
    # What more vectors do was measured for lists of vectors alone.
    if embedded is not None and result.plan is not None and fusion_k is None and not args.no_corpus_size:
        try:
            with progress("other corpus sizes") as show:
                grown = corpus_size_effect(
                    embedded, result.plan, k=result.k, n_vectors=result.n_vectors, seed=args.seed, progress=show
                )
        except EmptyInputError as error:
            say(notes=[str(error)])
    thresholds: tuple[MeasuredThreshold, ...] = ()
    if embedded is not None:
        try:
            thresholds = plan_thresholds(embedded, result, false_positive_rate=args.threshold_rate, seed=args.seed)
        except EmptyInputError as error:
            say(notes=[str(error)])
    searched = f"{result.n_items:,} rows" if embedded is None else f"{result.n_items:,} texts, {result.model}"
    say(f"{result.metric} of {result.n_queries:,} queries, {searched}, {result.full_dim} dims")
    shown = [("chosen", result.chosen), *(("runner-up", row) for row in result.runners_up)]
    shown += [("nearest", result.nearest), ("in budget", result.best_within)]
    table(
        {
            "": "{name}",
            "plan": "{row.plan.label}",
            "quality": "{row.quality:.1%}",
            "at least": "{row.low:.1%}",
            "bytes": "{row.memory_bytes_per_vector:,d}",
            "on disk": "{row.disk_bytes_per_vector:,d}",
            "GB": "{row.memory_gb:.3g}",
            "GB on disk": "{row.disk_gb:.3g}",
            "p95 ms": "{row.expected_ms:.3g}",
        },
        ({"name": name, "row": row} for name, row in shown if row is not None),
    )
    say(notes=result.notes)
    if result.plan is not None:
        storage = result.storage(price_per_gb=args.price_per_gb)
        say(f"{storage.takeaway()} ({storage.formula})")
    if grown is not None:
        say(grown.takeaway())
    say(*(one.takeaway() for one in thresholds[:1]))
    say(*(one.takeaway() for one in result.trade_offs), result.takeaway())
    record = decision_record(result, corpus_size=grown, thresholds=thresholds, price_per_gb=args.price_per_gb)
    if args.record:
        text = record.to_json() if args.record.endswith(".json") else record.markdown
        Path(args.record).write_text(text, encoding="utf-8")
    write_json(args.json, result.to_dict() | {"record": record.to_dict()})
    return 0


def _recommendation(args: argparse.Namespace, fusion_k: int | None) -> tuple[Embedded | None, Recommendation]:
    """What was embedded and what is recommended for it; None for rows that are read block by block."""
    from mrl_viz.decide import recommend
    from mrl_viz.truncation import parse_dims

    if at_size.is_at_size(args):
        return None, at_size.recommend_on_disk(args)
    embedded = embed_source(args, read_source(args))
    dims = parse_dims(args.dims, embedded.full_dim) if args.dims.strip() else None
    with progress("measuring plans") as show:
        return embedded, recommend(
            embedded, target=args.target, metric=args.metric, n_vectors=args.n_vectors, memory_gb=args.memory_gb,
            disk_gb=args.disk_gb, latency_ms=args.latency_ms, smallest=args.smallest, dims=dims,
            dtypes=tuple(part.strip() for part in args.dtypes.split(",")),
            allow_rerank=not args.no_rerank, fusion_k=fusion_k, seed=args.seed, progress=show,
        )  # fmt: skip


def _search(args: argparse.Namespace) -> int:
    from mrl_viz.decide import changed_since, plan_from_record, plan_from_text
    from mrl_viz.decide.search import search
    from mrl_viz.retrieval.plan import Plan

    if not args.query.strip():
        raise InvalidInputError("`--query` is empty; say what to search for.")
    record = read_record(args.plan)
    plan = plan_from_text(args.plan) if args.plan and record is None else None
    corpus = read_source(args)
    if corpus.embeddings is not None:
        raise InvalidInputError("`SOURCE` holds ready vectors, which no query can be typed for; give texts.")
    query = args.query.strip()
    # A record names the whole evidence, the queries included; without one they are not needed here.
    embedded = embed_source(args, corpus, typed=query, with_queries=record is not None)
    if record is not None:
        plan = plan_from_record(record, fingerprint=embedded.fingerprint)
        say(notes=changed_since(record))
    plan = plan or Plan(embedded.full_dim)
    found = search(embedded, query, plan=plan, k=args.k, trust_remote_code=args.trust_remote_code)
    rows = [
        {"rank": rank, "id": corpus.ids[item], "similarity": float(similarity), "text": corpus.texts[item]}
        for rank, (item, similarity) in enumerate(zip(found.indices[0], found.similarities[0]), start=1)
        if item >= 0
    ]
    table(
        {"rank": "{rank}", "similarity": "{similarity:.4f}", "id": "{id}", "text": "{line}"},
        (row | {"line": _one_line(row["text"])} for row in rows),
    )
    say(f"{plan.label}. {found.takeaway()}")
    write_json(args.json, {"schema": 1, "model": embedded.model_dict(), "plan": plan.to_dict(), "results": rows})
    return 0


def _monitor(args: argparse.Namespace) -> int:
    from mrl_viz.decide import changed_since, plan_from_record, plan_from_text
    from mrl_viz.decide.history import check_record
    from mrl_viz.decide.monitoring import check_deployed_plan

    record = read_record(args.plan)
    # Production data change every day, so the record's fingerprint of the texts is not asked for; its model is.
    plan = plan_from_text(args.plan) if record is None else plan_from_record(record)
    args.k, target, _ = deployed_aim(args, record)
    if at_size.is_at_size(args):
        watched = at_size.monitor_on_disk(args, plan, target, (record or {}).get("model", {}).get("full_dim"))
        say(watched.takeaway(), notes=changed_since(record or {}))
        write_json(args.json, watched.to_dict())
        return 1 if watched.is_below_target else 0
    corpus = read_source(args)
    embedded = embed_source(args, corpus)
    decided_for = record.get("model", {}).get("name") if record else None
    if decided_for not in (None, embedded.model):
        raise InvalidInputError(
            f"`--plan` was decided for the model {decided_for} and this is {embedded.model}; use that model."
        )
    result = check_deployed_plan(embedded, plan, target=target, k=args.k, n_queries=args.sample, seed=args.seed)
    say(result.takeaway(), notes=changed_since(record or {}))
    canary = None if args.canary is None else _canary(args, embedded, plan.dim)
    if canary is not None:
        say(canary.takeaway())
    write_json(args.json, check_record(result, canary))
    return 1 if result.is_below_target or (canary is not None and canary.has_moved) else 0


def _canary(args: argparse.Namespace, embedded: Embedded, dim: int) -> CanaryResult:
    """The frozen texts, embedded again by the model of the corpus."""
    from mrl_viz.data.reading import read_corpus
    from mrl_viz.decide.canary import check_canaries
    from mrl_viz.embedding.encoders import load_encoder

    if embedded.corpus.embeddings is not None:
        raise InvalidInputError("`--canary` embeds its texts again; give SOURCE as texts, with --model.")
    frozen = read_corpus(args.canary, keep_duplicates=True, fewest=1)
    if frozen.embeddings is None or frozen.texts == tuple(f"vector {row}" for row in range(frozen.n_items)):
        made = "`embed TEXTS --out F.npz` writes it"
        raise InvalidInputError(f"`--canary` {args.canary} has no texts with vectors; {made}.")
    announce_price(args, args.model, frozen.texts)
    encoder = load_encoder(args.model, trust_remote_code=args.trust_remote_code)
    again = encoder.encode(frozen.texts)
    return check_canaries(frozen.embeddings, again, embedded.matrix, dim=dim, k=args.k, tolerance=args.tolerance)


def deployed_aim(args: argparse.Namespace, record: dict[str, Any] | None) -> tuple[int, float, float | None]:
    """The neighbors compared, the target, and the overlap that the decision promised, None where it promised none.

    `--k` and `--target` say them, else a record that was decided by overlap.

    Raises
    ------
    InvalidInputError : `--k` is another than the record's target is of, and no `--target` is given.
    """
    aim = (record or {}).get("aim") or {}
    kind, _, number = str(aim.get("metric", "")).partition("@")
    decided = int(number) if kind == "overlap" and number.isdecimal() else None
    target = aim.get("target") if decided else None
    promised = float(target) if isinstance(target, int | float) else None
    if promised is not None and args.k not in (None, decided):
        if args.target is None:
            raise InvalidInputError(
                f"`--k` is {args.k} and the record's target is of overlap@{decided}; give --target for that k, or "
                "leave out --k."
            )
        promised = None
    k = args.k if args.k is not None else decided or DEFAULT_K
    return k, args.target if args.target is not None else promised or DEFAULT_TARGET, promised


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT_CHARACTERS else f"{line[: TEXT_CHARACTERS - 1]}…"
