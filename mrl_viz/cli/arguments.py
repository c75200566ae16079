"""The arguments that the verbs share, and what they name: a source, embedded by a model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrl_viz.cli.printing import progress
from mrl_viz.errors import DataFormatError, InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.data.corpus import Corpus
    from mrl_viz.embedding.embedded import Embedded

DIMS = "widths such as 8,16,32, or `all` (default: powers of two and trained widths)"


def add_verb(
    verbs: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    *,
    has_model: bool = True,
    has_queries: bool = True,
    is_source_named: bool = False,
    dims: str = "",
    k: str = "",
    is_k_of_record: bool = False,
    seed: str = "",
) -> argparse.ArgumentParser:
    """A verb that reads a source, with the arguments of that; `run` gets what was typed and returns the exit code.

    `is_source_named` : the source is an option, `--source`, as something else comes first. `dims`, `k`, `seed` : what
    the help says of these options; a verb without them has "". `is_k_of_record` : without `--k` it is None, for
    `deployed_aim` to fill in.
    """
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    source = "a file of texts or vectors, a BEIR folder, or `sample`"
    if is_source_named:
        parser.add_argument("--source", metavar="SOURCE", required=True, help=source)
    else:
        parser.add_argument("source", metavar="SOURCE", help=source)
    if has_model:
        parser.add_argument(
            "--model", default="wordllama", help="a catalogue name, a Hub name or a local folder (default wordllama)"
        )
    if has_queries:
        own = "(default: the data's own)"
        parser.add_argument("--queries", metavar="F", help=f"what is searched for: texts, or vectors for vectors {own}")
        parser.add_argument(
            "--qrels", metavar="F", help=f"which texts answer which queries: BEIR's .tsv or TREC's {own}"
        )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N texts of the file")
    parser.add_argument("--text-column", metavar="C", help="the column of texts in a table (default: guessed)")
    parser.add_argument("--label-column", metavar="C", help="the column of labels in a table (default: guessed)")
    parser.add_argument("--keep-duplicates", action="store_true", help="keep exact duplicates (they inflate overlap)")
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="let the model's repository run its own code here"
    )
    parser.add_argument("--json", metavar="OUT", help="also write the result as data")
    parser.add_argument(
        "--price-per-million", type=float, default=0.0, metavar="P",
        help="of tokens, for the estimate printed before an API model is called",
    )  # fmt: skip
    if dims:
        parser.add_argument("--dims", default="", help=dims)
    if k:
        usual = "the record's, else 10" if is_k_of_record else "10"
        parser.add_argument("--k", type=int, default=None if is_k_of_record else 10, help=f"{k} (default {usual})")
    if seed:
        parser.add_argument("--seed", type=int, default=0, help=f"of {seed} (default 0)")
    return parser


def add_hybrid(parser: argparse.ArgumentParser) -> None:
    """Let a verb measure hybrid search, see `fusion_k_of`."""
    parser.add_argument(
        "--hybrid", action="store_true", help="every list fused with that of BM25 by reciprocal rank, 1 / (K + rank)"
    )
    parser.add_argument("--fusion-k", type=int, metavar="K", help="of the fusion, with --hybrid (default 60)")


def fusion_k_of(args: argparse.Namespace) -> int | None:
    """The constant of the fusion, None without `--hybrid`.

    Raises
    ------
    InvalidInputError : a constant without a fusion.
    """
    from mrl_viz.tasks.hybrid import FUSION_K

    if args.hybrid:
        return FUSION_K if args.fusion_k is None else int(args.fusion_k)
    if args.fusion_k is not None:
        raise InvalidInputError("`--fusion-k` is of a fusion; add --hybrid.")
    return None


def read_source(args: argparse.Namespace) -> Corpus:
    """The corpus that the arguments name, with its queries and judgements.

    Raises
    ------
    InvalidInputError : `--limit` below 1. Others : as `read_corpus`.
    """
    from mrl_viz.data.reading import read_corpus

    if args.limit is not None and args.limit < 1:
        raise InvalidInputError(f"`--limit` is {args.limit}; choose 1 or more.")
    return read_corpus(
        args.source,
        queries=getattr(args, "queries", None),
        qrels=getattr(args, "qrels", None),
        text_column=args.text_column,
        label_column=args.label_column,
        limit=args.limit,
        keep_duplicates=args.keep_duplicates,
    )


def embed_source(
    args: argparse.Namespace, corpus: Corpus, *, model: str | None = None, with_queries: bool = True, typed: str = ""
) -> Embedded:
    """The corpus embedded by a model, `--model` by default; an API's texts and price are announced on stderr before.

    `typed` is a query that will be sent as well.

    Raises
    ------
    As `embed`.
    """
    from mrl_viz.embedding.embedded import embed

    model = model or args.model
    announce_price(args, model, (*corpus.texts, *(corpus.query_texts if with_queries else ()), typed))
    with progress(f"embedding with {model}") as show:
        asked = None if with_queries else ()
        return embed(corpus, model, queries=asked, trust_remote_code=args.trust_remote_code, progress=show)


def announce_price(args: argparse.Namespace, model: str, texts: Sequence[str]) -> None:
    """Say on stderr how much will be sent to an API, and its price, before it is; of other models nothing."""
    from mrl_viz.embedding.encoders.api import estimate_cost, is_paid

    if is_paid(model):
        cost = estimate_cost(texts, args.price_per_million)
        price = f", about {cost.cost:.4f} (at most {cost.cost_at_most:.4f})" if args.price_per_million else ""
        print(f"{model}: up to {cost.n_texts} texts, about {cost.tokens:,} tokens{price}", file=sys.stderr)


def read_record(plan: str | None) -> dict[str, Any] | None:
    """The decision record in a JSON file, its own or what `recommend --json` wrote; None where `plan` is no .json name.

    Raises
    ------
    DataFormatError : a file that is no JSON record. OSError : a file that cannot be read.
    """
    if not plan or not plan.lower().endswith(".json"):
        return None
    advice = "give the file that `recommend --record` wrote."
    try:
        data = json.loads(Path(plan).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataFormatError(f"`{plan}` is no JSON; {advice}") from error
    if not isinstance(data, dict):
        raise DataFormatError(f"`{plan}` is no decision record; {advice}")
    record = data.get("record", data)
    return record if isinstance(record, dict) else data
