"""The arguments that the verbs share, and what they name: a source, embedded by a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mrl_viz.cli.printing import progress
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.data.corpus import Corpus
    from mrl_viz.embedding.embedded import Embedded

DIMS_HELP = "widths such as 8,16,32, or `all` (default: powers of two and trained widths)"


def add_verb(
    verbs: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    *,
    has_model: bool = True,
    has_queries: bool = True,
) -> argparse.ArgumentParser:
    """A verb that reads a source, with the arguments of that; `run` gets what was typed and returns the exit code."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="SOURCE", help="a file of texts or vectors, a BEIR folder, or `sample`")
    if has_model:
        parser.add_argument(
            "--model", default="wordllama", help="a catalogue name, a Hub name or a local folder (default wordllama)"
        )
    if has_queries:
        parser.add_argument(
            "--queries",
            metavar="F",
            help="what is searched for: texts, or vectors for vectors (default: the data's own)",
        )
        parser.add_argument(
            "--qrels",
            metavar="F",
            help="which texts answer which queries: BEIR's .tsv or TREC's (default: the data's own)",
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
    return parser


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
    queries = corpus.query_texts if with_queries else ()
    _announce_cost(model, (*corpus.texts, *queries, typed), args.price_per_million)
    with progress(f"embedding with {model}") as show:
        return embed(
            corpus,
            model,
            queries=None if with_queries else (),
            trust_remote_code=args.trust_remote_code,
            progress=show,
        )


def _announce_cost(model: str, texts: Sequence[str], price_per_million: float) -> None:
    from mrl_viz.embedding.encoders.api import estimate_cost, is_paid

    if not is_paid(model):
        return
    estimate = estimate_cost(texts, price_per_million)
    price = f", about {estimate.cost:.4f} (at most {estimate.cost_at_most:.4f})" if price_per_million else ""
    print(f"{model}: up to {estimate.n_texts} texts, about {estimate.tokens:,} tokens{price}", file=sys.stderr)
