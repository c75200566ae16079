"""The verbs that take an analysis along: `report`, one HTML file, and `notebook`, which makes it again."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrl_viz.cli.arguments import DIMS, add_verb, embed_source, read_record, read_source
from mrl_viz.cli.printing import progress, say, write_json
from mrl_viz.errors import InvalidInputError

if TYPE_CHECKING:
    from mrl_viz.data.corpus import Corpus
    from mrl_viz.embedding.embedded import Embedded
    from mrl_viz.export.workspace import Workspace

PAGES = "start, neighbors, controls, similarity, anatomy, quality (these by default), map, space, search, compare"


def add_verbs(verbs: Any) -> None:
    """Add the two verbs to the parser's."""
    report = _add(verbs, "report", _report, "the analysis as one HTML file that any browser opens", "FILE.html", PAGES)
    report.add_argument("--with-texts", action="store_true", help="name texts, not only their numbers")
    report.add_argument("--record", metavar="F", help="a decision record (JSON), to stand at the end")
    notebook = _add(
        verbs, "notebook", _notebook, "the analysis as a notebook that makes it again", "FILE.ipynb", f"{PAGES}, choose"
    )
    notebook.add_argument(
        "--with-texts", action="store_true", help="put the texts into the notebook (default: it reads SOURCE)"
    )


def _add(verbs: Any, name: str, run: Any, summary: str, out: str, pages: str) -> argparse.ArgumentParser:
    parser = add_verb(
        verbs, name, run, summary, dims=DIMS, k="neighbors per list", seed="all that is sampled, and of intervals"
    )
    parser.add_argument("--out", required=True, metavar=out, help="where it goes")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument("--pages", metavar="P", default="", help=f"with commas between: {pages}")
    parser.add_argument("--focus", type=int, metavar="DIM", help="the width looked at (default: the third last)")
    parser.add_argument(
        "--arrangements", metavar="A", default="",
        help="of the page controls, beside prefix, random, suffix and svd: centred, tempered:GAMMA",
    )  # fmt: skip
    parser.add_argument(
        "--compare-with", action="append", default=[], metavar="MODEL", help="of the page compare; once for each"
    )
    return parser


def _report(args: argparse.Namespace) -> int:
    from mrl_viz.export.analysis_report import analysis_report
    from mrl_viz.export.findings import Choices, Findings

    out, pages = _checked(args, ".html"), _pages(args)
    choices = Choices(arrangements=_further(args))
    record = None if args.record is None else read_record(args.record)
    if args.record is not None and record is None:
        raise InvalidInputError(f"`--record` is {args.record!r}; give the JSON file that `recommend --record` wrote.")
    corpus = read_source(args)
    workspace = _workspace(args, corpus, out)
    others = [embed_source(args, corpus, model=name) for name in args.compare_with]

    def searched() -> Embedded:
        return embed_source(args, corpus)

    findings = Findings(workspace, choices, others=others, has_texts=args.with_texts, searched=searched)
    with progress("measuring") as show:
        made = analysis_report(findings, pages, record=record, progress=show)
    return _written(args, out, made, pages)


def _notebook(args: argparse.Namespace) -> int:
    from mrl_viz.export.findings import Choices
    from mrl_viz.export.notebook import notebook

    out, pages = _checked(args, ".ipynb"), _pages(args)
    models = tuple(_named(model, out) for model in args.compare_with)
    choices = Choices(models=models, arrangements=_further(args))
    workspace = _workspace(args, read_source(args), out)
    return _written(args, out, notebook(workspace, pages, choices=choices, with_texts=args.with_texts), pages)


def _checked(args: argparse.Namespace, suffix: str) -> Path:
    """The file to write, before anything is measured.

    Raises
    ------
    InvalidInputError : another kind of file, one that is there, or no such folder.
    """
    out = Path(args.out)
    if out.suffix.lower() != suffix:
        raise InvalidInputError(f"`--out` is {args.out!r}; give a file name that ends in {suffix}.")
    if not out.parent.is_dir():
        raise InvalidInputError(f"`--out` is {args.out!r}, and there is no folder `{out.parent}`; make it first.")
    if out.is_dir() or (out.exists() and not args.overwrite):
        what = "a folder; give a file name" if out.is_dir() else "there already; give another name, or --overwrite"
        raise InvalidInputError(f"`--out` is {args.out!r}, which is {what}.")
    return out


def _pages(args: argparse.Namespace) -> list[str]:
    from mrl_viz.export.pages import pages_named

    names = [name.strip() for name in args.pages.split(",") if name.strip()]
    if "compare" in names and not args.compare_with:
        raise InvalidInputError("`--pages` has compare; name another model by --compare-with.")
    if args.compare_with and "compare" not in names:
        raise InvalidInputError("`--compare-with` is of the page compare; add it to --pages.")
    return [page.name for page in pages_named(names)]


def _further(args: argparse.Namespace) -> tuple[str, ...]:
    """The arrangements beside those that the page has anyway.

    Raises
    ------
    InvalidInputError : an arrangement that has no name of its own here, such as an adaptor's.
    """
    from mrl_viz.arrangements import ARRANGEMENTS, check_arrangements

    if not args.arrangements.strip():
        return ()
    names, _ = check_arrangements(args.arrangements.split(","))
    return tuple(name for name in names if name not in ARRANGEMENTS)


def _workspace(args: argparse.Namespace, corpus: Corpus, out: Path) -> Workspace:
    """The analysis as the app's pages have it: texts among themselves, queries where a page asks them."""
    from mrl_viz.export.workspace import Source, Workspace
    from mrl_viz.truncation import parse_dims

    embedded = embed_source(args, corpus, with_queries=False)
    dims = parse_dims(args.dims, embedded.full_dim, embedded.matryoshka_dims)
    dims = tuple(sorted({*dims, embedded.full_dim}))
    if args.focus is not None and args.focus not in dims:
        raise InvalidInputError(f"`--focus` is {args.focus}; choose one of the widths {', '.join(map(str, dims))}.")
    source = Source(
        _named(args.source, out), args.text_column, args.label_column, args.keep_duplicates,
        queries=args.queries and _named(args.queries, out), qrels=args.qrels and _named(args.qrels, out),
        limit=args.limit,
    )  # fmt: skip
    return Workspace(
        corpus, embedded, dims, args.k, args.focus or dims[max(0, len(dims) - 3)], _named(args.model, out), source,
        args.seed, args.trust_remote_code,
    )  # fmt: skip


def _named(name: str, out: Path) -> str:
    """A file or folder by its path from where `out` lies, from where it is read again; any other name as it is."""
    path = Path(os.path.expanduser(name))
    if not path.exists():
        return name
    try:
        return Path(os.path.relpath(path, out.parent)).as_posix()
    except ValueError:  # on another drive
        return str(path.resolve())


def _written(args: argparse.Namespace, out: Path, made: str, pages: list[str]) -> int:
    from mrl_viz.files import disk_errors, replaced_file

    content = made.encode("utf-8", "backslashreplace")
    with disk_errors(out), replaced_file(out) as aside:
        aside.write_bytes(content)
    say(f"{args.out}: {len(content) / 1e6:.2f} MB, pages {', '.join(pages)}")
    write_json(args.json, {"schema": 1, "file": args.out, "bytes": len(content), "pages": pages})
    return 0
