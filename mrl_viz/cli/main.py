"""The same verbs without a browser: `python -m mrl_viz --help` lists them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mrl_viz.cli.adapt import add_adapt, learned_maps, split_arrangements
from mrl_viz.cli.decide import add_verbs
from mrl_viz.errors import InvalidInputError, MrlVizError

BAR_WIDTH = 30


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code is 0, 1 where `monitor` is below its target, 2 for bad input (one line on stderr), 130 when interrupted."""
    args = _parser().parse_args(argv)
    try:
        verb: Callable[[argparse.Namespace], int] = args.verb
        return verb(args)
    except MrlVizError as error:
        print(f"mrl_viz: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"mrl_viz: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mrl_viz: stopped; finished embeddings are kept.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mrl_viz", description="See what every embedding width keeps.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    sweep = verbs.add_parser("sweep", help="neighbor overlap and similarity drift at every width")
    _add_source(sweep)
    sweep.add_argument(
        "--queries", metavar="F", help="texts whose neighbors are looked for (BEIR: queries.jsonl is used anyway)"
    )
    sweep.add_argument(
        "--dims", default="", help="widths such as 8,16,32, or `all` (default: powers of two and trained widths)"
    )
    sweep.add_argument("--k", type=int, default=10, help="neighbors per list (default 10)")
    sweep.add_argument("--seed", type=int, default=0, help="of the bootstrap and the drift sample (default 0)")
    sweep.add_argument(
        "--arrangements",
        default="prefix",
        help="prefix,random,suffix,svd,importance,adaptor:FOLDER: also measure these (default prefix)",
    )
    sweep.set_defaults(verb=_sweep)

    evaluate = verbs.add_parser("evaluate", help="task quality at every width, where the data have labels")
    _add_source(evaluate)
    evaluate.add_argument("--dims", default="", help="widths such as 8,16,32, or `all`")
    evaluate.add_argument(
        "--task", choices=("retrieval", "pairs", "classification"), help="default: the first the data have labels for"
    )
    evaluate.add_argument("--binary-qrels", action="store_true", help="count every positive relevance grade as 1")
    evaluate.add_argument("--seed", type=int, default=0, help="of bootstrap, folds and examples (default 0)")
    evaluate.set_defaults(verb=_evaluate)

    compare = verbs.add_parser("compare", help="two to four models on the same texts, per byte")
    _add_source(compare, with_model=False)
    compare.add_argument("--model", action="append", required=True, help="a model; give this two to four times")
    compare.add_argument(
        "--dims", default="", help="widths such as 8,16,32 (default: powers of two and trained widths)"
    )
    compare.add_argument("--k", type=int, default=10, help="neighbors per list (default 10)")
    compare.add_argument("--seed", type=int, default=0, help="of bootstrap and samples (default 0)")
    compare.add_argument("--html", metavar="OUT", help="also write a report that any browser opens")
    compare.set_defaults(verb=_compare)

    add_verbs(verbs, _add_source)

    embed = verbs.add_parser("embed", help="write the embeddings of a source as .npy")
    _add_source(embed)
    embed.add_argument("--out", required=True, metavar="FILE.npy", help="where the float32 matrix goes")
    embed.add_argument(
        "--dim", type=int, help="keep this many coordinates, renormalised (default: the full width, as encoded)"
    )
    embed.set_defaults(verb=_embed)

    models = verbs.add_parser("models", help="the catalogue of known models")
    models.add_argument("--json", metavar="OUT", help="also write it as data")
    models.set_defaults(verb=_models)

    add_adapt(verbs, _add_source)

    app = verbs.add_parser("app", help="open the app")
    app.add_argument("--port", type=int, default=8501)
    app.add_argument("--headless", action="store_true", help="do not open a browser")
    app.set_defaults(verb=_app)
    return parser


def _add_source(parser: argparse.ArgumentParser, *, with_model: bool = True) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a file of texts or vectors, a BEIR folder, or `sample`")
    if with_model:
        parser.add_argument(
            "--model", default="wordllama", help="a catalogue name, a Hub name or a local folder (default wordllama)"
        )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N texts of the file")
    parser.add_argument("--text-column", metavar="C")
    parser.add_argument("--label-column", metavar="C")
    parser.add_argument("--keep-duplicates", action="store_true", help="keep exact duplicates (they inflate overlap)")
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="let the model's repository run its own code here"
    )
    parser.add_argument("--json", metavar="OUT", help="also write the result as data")
    parser.add_argument(
        "--price-per-million",
        type=float,
        default=0.0,
        metavar="P",
        help="of tokens, for the estimate printed before an API model is called",
    )


def _announce_cost(model: str, texts: Sequence[str], price_per_million: float) -> None:
    """What an API model is about to be sent, on stderr; nothing for models on this machine."""
    from mrl_viz.embedding.encoders.api import estimate_cost, is_paid

    if not is_paid(model):
        return
    estimate = estimate_cost(texts, price_per_million)
    price = f", about {estimate.cost:.4f} (at most {estimate.cost_at_most:.4f})" if price_per_million else ""
    print(f"{model}: up to {estimate.n_texts} texts, about {estimate.tokens:,} tokens{price}", file=sys.stderr)


def progress_bar(label: str) -> Callable[[int, int], None]:
    """A bar on stderr when that is a terminal; nothing elsewhere."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            filled = BAR_WIDTH * done // max(total, 1)
            end = "\n" if done >= total else ""
            print(
                f"\r{label} [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total}",
                end=end,
                file=sys.stderr,
                flush=True,
            )

    return show


def write_json(path: str | None, data: dict[str, Any]) -> None:
    """Write what was printed as data, where a file was asked for."""
    if path:
        Path(path).write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _sweep(args: argparse.Namespace) -> int:
    from mrl_viz.analysis import analyse
    from mrl_viz.arrangements import check_arrangements
    from mrl_viz.data.reading import read_queries
    from mrl_viz.embedding.embedded import embed
    from mrl_viz.tasks.evaluation import analyse_controls
    from mrl_viz.truncation import parse_dims

    plain_names, folders = split_arrangements(args.arrangements)
    names = check_arrangements(plain_names or ["prefix"])
    corpus = read_source(args)
    queries = read_queries(args.queries)[1] if args.queries else None
    embedded = embed(
        corpus,
        args.model,
        queries=queries,
        trust_remote_code=args.trust_remote_code,
        progress=progress_bar("embedding"),
    )
    dims = parse_dims(args.dims, embedded.full_dim, embedded.matryoshka_dims)
    result = analyse(embedded, dims=dims, k=args.k, seed=args.seed, progress=progress_bar("sweeping"))
    check = corpus.check
    print(
        f"{check.n_items} texts ({check.n_empty} empty and {check.n_duplicates} duplicate left out), "
        f"{embedded.model}, {embedded.full_dim} dims, k = {args.k}, chance {result.overlap.chance:.4f}"
    )
    for note in check.notes:
        print(f"note: {note}")
    print(
        f"{'dim':>6} {'overlap':>8} {'95 % interval':>17} {'top-1':>7} {'drift':>8} {'MAE':>7} {'Spearman':>9} {'energy':>7}"
    )
    for row in result.rows():
        print(
            f"{row['dim']:6d} {row['overlap']:8.4f} [{row['overlap_low']:.4f}, {row['overlap_high']:.4f}] "
            f"{row['top1_agreement']:7.3f} {row['drift_bias']:+8.4f} {row['drift_mae']:7.4f} "
            f"{row['spearman_per_text']:9.4f} {row['energy']:7.4f}"
        )
    print(result.overlap.takeaway())
    data = result.to_dict()
    if names != ("prefix",) or folders:
        controls = analyse_controls(
            embedded, dims=dims, k=args.k, seed=args.seed, arrangements=names, learned=learned_maps(folders, embedded, dims, args.k, args.seed),
            progress=progress_bar("controls"),
        )  # fmt: skip
        extra = controls.to_dict()
        data["arrangements"] |= {name: rows for name, rows in extra["arrangements"].items() if name != "prefix"}
        data |= {"nestedness": extra["nestedness"], "verdict": extra["verdict"], "notes": extra["notes"]}
        for name, rows in data["arrangements"].items():
            shown = ", ".join(f"{row['overlap']:.3f} at {row['dim']}" for row in rows)
            print(f"{name}: {shown}")
        for note in extra["notes"]:
            print(f"note: {note}")
        print(controls.takeaway())
    write_json(args.json, data)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from mrl_viz.embedding.embedded import embed
    from mrl_viz.tasks.evaluation import evaluate
    from mrl_viz.truncation import parse_dims

    corpus = read_source(args)
    embedded = embed(corpus, args.model, trust_remote_code=args.trust_remote_code, progress=progress_bar("embedding"))
    dims = parse_dims(args.dims, embedded.full_dim, embedded.matryoshka_dims)
    quality = evaluate(
        embedded,
        dims=dims,
        task=args.task,
        binary_qrels=args.binary_qrels,
        seed=args.seed,
        progress=progress_bar("evaluating"),
    )
    print(f"{quality.task} with {embedded.model}, {corpus.check.n_items} texts")
    print(f"{'metric':28} {'dim':>5} {'value':>8} {'95 % interval':>18} {'retention':>10} {'p (Holm)':>9}")
    for row in quality.rows():
        retention = "-" if row["retention"] is None else f"{row['retention']:.1%}"
        print(
            f"{row['metric']:28} {row['dim']:5d} {row['value']:8.4f} [{row['low']:.4f}, {row['high']:.4f}] "
            f"{retention:>10} {row['p_holm']:9.4f}"
        )
    for note in quality.notes:
        print(f"note: {note}")
    print(quality.takeaway())
    write_json(args.json, quality.to_dict())
    return 0


def _compare(args: argparse.Namespace) -> int:
    from mrl_viz.comparison import compare_models, encode_speed
    from mrl_viz.embedding.embedded import embed
    from mrl_viz.embedding.encoders import load_encoder
    from mrl_viz.export import comparison_report
    from mrl_viz.truncation import parse_dims

    corpus = read_source(args)
    embedded, speeds = [], {}
    for name in args.model:
        embedded.append(
            embed(
                corpus, name, trust_remote_code=args.trust_remote_code, progress=progress_bar(f"embedding with {name}")
            )
        )
        if corpus.embeddings is None:
            encoder = load_encoder(name, trust_remote_code=args.trust_remote_code)
            speeds[encoder.name] = encode_speed(encoder.encode, corpus.texts)
    widest = max(vectors.full_dim for vectors in embedded)
    dims = parse_dims(args.dims, widest) if args.dims.strip() else None
    result = compare_models(
        embedded, dims=dims, k=args.k, seed=args.seed, texts_per_second=speeds, progress=progress_bar("comparing")
    )
    quality = result.metric or "quality"
    print(f"{'model':28} {'dim':>5} {'dtype':8} {'bytes':>6} {'overlap':>8} {quality:>9} {'front':>6}")
    for point in result.points:
        value = "-" if point.quality is None else f"{point.quality:.4f}"
        print(
            f"{point.model:28} {point.dim:5d} {point.dtype:8} {point.bytes_per_vector:6d} {point.overlap:8.4f} {value:>9} "
            f"{'*' if point.is_on_front else '':>6}"
        )
    for note in result.notes:
        print(f"note: {note}")
    print(result.takeaway())
    write_json(args.json, result.to_dict())
    if args.html:
        Path(args.html).write_text(comparison_report(result), encoding="utf-8")
    return 0


def _embed(args: argparse.Namespace) -> int:
    import numpy as np

    from mrl_viz.embedding.embedded import embed
    from mrl_viz.truncation import truncate_and_normalize

    if not args.out.endswith(".npy"):
        raise InvalidInputError(f"`--out` is {args.out!r}; give a file name that ends in .npy.")
    corpus = read_source(args)
    embedded = embed(
        corpus, args.model, queries=(), trust_remote_code=args.trust_remote_code, progress=progress_bar("embedding")
    )
    matrix = embedded.matrix if args.dim is None else truncate_and_normalize(embedded.matrix, args.dim)
    np.save(args.out, matrix.astype(np.float32), allow_pickle=False)
    print(f"{matrix.shape[0]} vectors of {matrix.shape[1]} coordinates in {args.out} ({embedded.seconds:.2f} s)")
    write_json(
        args.json,
        {
            "schema": 1,
            "file": args.out,
            "n_items": matrix.shape[0],
            "dim": matrix.shape[1],
            "model": embedded.model_dict(),
            "corpus": corpus.check.to_dict() | {"fingerprint": corpus.fingerprint},
            "ids": list(corpus.ids),
            "seconds": {"embed": embedded.seconds},
        },
    )
    return 0


def _models(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from mrl_viz.embedding.catalogue import CATALOGUE, is_available

    cards = [asdict(card) | {"available": is_available(card)} for card in CATALOGUE.values()]
    print(f"{'name':32} {'dims':>5}  {'trained widths':34} {'licence':16} {'MB':>6}  here")
    for card in cards:
        trained = ", ".join(map(str, card["matryoshka_dims"] or ())) or "not Matryoshka"
        here = "yes" if card["available"] else "no"
        print(
            f"{card['name']:32} {card['full_dim']:5d}  {trained:34} {card['licence']:16} {card['size_mb']:6.0f}  {here}"
        )
    write_json(args.json, {"schema": 1, "models": cards})
    return 0


def _app(args: argparse.Namespace) -> int:
    from mrl_viz.launcher import launch

    return launch(port=args.port, headless=args.headless)


def read_source(args: argparse.Namespace) -> Any:
    """The corpus that the arguments name; what an API model would be sent is announced."""
    from mrl_viz.data.reading import read_corpus

    if args.limit is not None and args.limit < 1:
        raise InvalidInputError(f"`--limit` is {args.limit}; choose 1 or more.")
    started = time.perf_counter()
    corpus = read_corpus(
        args.source,
        text_column=args.text_column,
        label_column=args.label_column,
        limit=args.limit,
        keep_duplicates=args.keep_duplicates,
    )
    for model in [args.model] if isinstance(args.model, str) else args.model:
        _announce_cost(model, (*corpus.texts, *corpus.query_texts), args.price_per_million)
    if sys.stderr.isatty():
        print(f"read {corpus.n_items} texts in {time.perf_counter() - started:.1f} s", file=sys.stderr)
    return corpus
