"""The lines of library code that make what is shown, written from the workspace and whatever else was chosen."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from plotly.graph_objects import Figure

from mrl_viz.analysis import analyse
from mrl_viz.data.corpus import corpus_from_texts, with_retrieval, with_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.export.workspace import Workspace
from mrl_viz.scale.folders import sample_of

LINE_CHARACTERS = 100


class Code(str):
    """An expression, written as it stands, as are its attributes; other values are written as Python would."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Code:
        if name.startswith("_"):
            raise AttributeError(name)
        return Code(f"{self}.{name}")

    def __repr__(self) -> str:
        return str(self)


class Script:
    """Statements that can be pasted and run elsewhere, with the imports that they need. No text of a user is in them,
    save where the source says so.

    It begins by reading and, unless `embeds` is False, embedding the workspace's texts; `queries` as in `embed`.
    `reading_lines` : how many statements read.
    """

    def __init__(self, workspace: Workspace, queries: object = (), embeds: bool = True) -> None:
        self._imports: dict[str, set[str]] = {}
        self._lines: list[tuple[str, str]] = []
        self.workspace = workspace
        self.corpus = self._read()
        self.reading_lines = len(self._lines)
        self.vectors = Code("vectors")
        self.matrix = self.vectors.matrix
        if embeds:
            model: dict[str, object] = {} if workspace.is_ready else {"model": workspace.model, "queries": queries}
            if workspace.trust_remote_code:
                model["trust_remote_code"] = True
            self.let(self.vectors, embed, self.corpus, **model)

    def _read(self) -> Code:
        source = self.workspace.source
        if source.holds_texts:
            return self._written()
        if not source.is_saved:
            self.add(f"# {source.file}: save the texts there, one a line")
        corpus = self.assign("corpus", self.reading())
        if source.texts_file is None:
            return corpus
        texts = self.call(read_corpus, source.texts_file, keep_duplicates=True, fewest=1)
        return self.let("corpus", with_texts, corpus, texts.texts)

    def _written(self) -> Code:
        """The texts and all that came with them, as they are."""
        given = self.workspace.corpus
        labels = {name: list(values) for name, values in given.labels.items()}
        corpus = self.let(
            "corpus", corpus_from_texts, Code(_listed(given.texts)), name=given.name, ids=list(given.ids),
            labels=labels or None, keep_duplicates=True,
        )  # fmt: skip
        if given.query_ids:
            asked = dict(zip(given.query_ids, given.query_texts))
            graded = {query: dict(grades) for query, grades in given.qrels.items()}
            corpus = self.let("corpus", with_retrieval, corpus, asked, graded, {})
        if not given.pairs:
            return corpus
        ids = {"pair_ids": given.pair_ids} if given.pair_ids else {}
        return self.let("corpus", replace, corpus, pairs=given.pairs, **ids)

    def reading(self) -> Code:
        """The call that reads the texts."""
        source = self.workspace.source
        if source.n_sampled is not None:
            return self.call(sample_of, source.file, source.n_sampled)
        names = ("queries", "qrels", "text_column", "label_column", "limit", "keep_duplicates")
        options = {name: getattr(source, name) for name in names}
        return self.call(read_corpus, source.file, **options)

    def name(self, function: Callable[..., Any]) -> str:
        """What to call it by, imported from where it is defined."""
        self._imports.setdefault(function.__module__, set()).add(function.__name__)
        return function.__name__

    def call(self, function: Callable[..., Any], *args: object, **options: object) -> Code:
        """A call of a function or a class, on one line."""
        return Code(f"{self.name(function)}({', '.join(_arguments(function, args, options))})")

    def let(self, name: str, function: Callable[..., Any], /, *args: object, **options: object) -> Code:
        """Name the result of a call; returns the name."""
        self._lines.append(
            (name, _broken(f"{name} = {self.name(function)}(", _arguments(function, args, options), ")"))
        )
        return Code(name)

    def assign(self, name: str, expression: str) -> Code:
        """Name the value of an expression; returns the name."""
        self._lines.append((name, f"{name} = {expression}"))
        return Code(name)

    def analysis(self) -> Code:
        """The measures of the first pages at the widths and k of the sidebar; returns their name."""
        here = self.workspace
        return self.let("result", analyse, self.vectors, dims=here.dims, k=here.k, seed=here.seed)

    def show(self, figure: Callable[..., Figure], *args: object, **options: object) -> Script:
        self._imports.setdefault("mrl_viz", set()).add("figures")
        self.add(_broken(f"figures.{figure.__name__}(", _arguments(figure, args, options), ").show()"))
        return self

    def say(self, *results: object, at: int | None = None) -> Script:
        """Print what results say; `at` : of that width."""
        for result in results:
            self.add(f"print({result}.takeaway())" if at is None else f"print({result}.takeaway_at({at}))")
        return self

    def add(self, line: str) -> None:
        """A statement or a comment as it stands."""
        self._lines.append(("", line))

    @property
    def imports(self) -> dict[str, set[str]]:
        """The names that it imports, by module."""
        return self._imports

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Its statements, each with the name that it gives a value to, "" for none."""
        return self._lines

    def __str__(self) -> str:
        return "\n".join([*import_lines(self._imports), "", *(line for _, line in self._lines)])


def import_lines(imports: Mapping[str, Iterable[str]]) -> list[str]:
    """One statement a module."""
    return [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(imports.items())]


def _arguments(function: Callable[..., Any], args: tuple[object, ...], options: dict[str, object]) -> list[str]:
    defaults = inspect.signature(function).parameters
    named = [
        f"{name}={value!r}"
        for name, value in options.items()
        # Numbers are always written; what was not chosen is left out where that is the default anyway.
        if not ((value is None or value is False or value == ()) and value == defaults[name].default)
    ]
    return [*map(repr, args), *named]


def _listed(texts: Iterable[str]) -> str:
    """A list, one text a line."""
    return "\n".join(["[", *(f"        {text!r}," for text in texts), "    ]"])


def _broken(start: str, arguments: list[str], end: str) -> str:
    line = f"{start}{', '.join(arguments)}{end}"
    return line if len(line) <= LINE_CHARACTERS else "\n".join([start, *(f"    {each}," for each in arguments), end])
