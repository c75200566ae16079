"""An analysis as a notebook that makes it again, on the user's own file."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from mrl_viz import __version__
from mrl_viz.data.corpus import Corpus
from mrl_viz.data.samples import SAMPLES
from mrl_viz.errors import InvalidInputError, MrlVizError
from mrl_viz.export.code import Script, import_lines
from mrl_viz.export.findings import Choices
from mrl_viz.export.pages import pages_named
from mrl_viz.export.workspace import PASTED, Workspace

NOTEBOOK = "analysis.ipynb"
# Of texts inside a notebook: what Jupyter still opens at once.
MOST_TEXT_BYTES = 5_000_000
# Earlier than this a zip archive knows no dates; the same notebook gives the same bytes.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
MARKDOWN = "\\`*_[]<>$#~|"


def notebook(
    workspace: Workspace, pages: Sequence[str] = (), *, choices: Choices | None = None, with_texts: bool = False,
    about: str = "",
) -> str:  # fmt: skip
    """The analysis as an .ipynb: one cell for what is read and embedded, then one for each figure.

    The same input gives the same text. It runs from top to bottom wherever mrl_viz is and the data's file lies beside
    it.

    Parameters
    ----------
    workspace : data, model, widths, k, focus width and seed
    pages : names of PAGES; none takes the default ones
    choices : the text that is looked at, models to compare with, the target
    with_texts : put the texts into the notebook instead of reading their file
    about : words under the title, in markdown

    Raises
    ------
    InvalidInputError : no such page; texts that cannot be put into a notebook: ready vectors, or too many.
    """
    import nbformat

    workspace = _with_texts(workspace) if with_texts else workspace
    chosen, choices = pages_named(pages), choices or Choices()
    written = _Cells()
    written.say(_opening(workspace, about))
    setup = Script(workspace)
    scripts = [setup]
    parts: list[tuple[str, Script | None]] = []
    for page in chosen:
        parts.append((f"## {page.title}: {page.question}\n\n{page.about}", None))
        try:
            for title, script in page.scripts(workspace, choices):
                scripts.append(script)
                parts.append((f"### {title}", script))
        except MrlVizError as error:
            parts.append((f"*{_plain(str(error))}*", None))
    imports: dict[str, set[str]] = {}
    for script in scripts:
        for module, names in script.imports.items():
            imports.setdefault(module, set()).update(names)
    written.run("\n".join(import_lines(imports)))
    written.say("## The data, embedded" if not workspace.is_ready else "## The data")
    written.run_script(setup, after=_check(workspace))
    for words, part in parts:
        written.say(words)
        if part is not None:
            written.run_script(part)
    made = nbformat.v4.new_notebook(
        cells=written.cells,
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    nbformat.validate(made)
    text: str = nbformat.writes(made)
    return text + "\n"


def notebook_with_texts(workspace: Workspace, pages: Sequence[str] = (), *, choices: Choices | None = None) -> bytes:
    """A zip of the notebook and, beside it, the file that it reads: for texts that were pasted and have no file.

    Raises
    ------
    InvalidInputError : as `notebook`; ready vectors.
    """
    _refuse_vectors(workspace)
    name, content = texts_file(workspace.corpus)
    beside = replace(workspace, source=replace(workspace.source, file=name, is_saved=True))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file, data in ((NOTEBOOK, notebook(beside, pages, choices=choices).encode()), (name, content)):
            entry = zipfile.ZipInfo(file, ZIP_DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def texts_file(corpus: Corpus) -> tuple[str, bytes]:
    """Name and content of a file that is read as these texts with these ids: one a line where no text has several.

    Texts were called by their rows; rows that were left out stay, empty.
    """
    rows = [""] * (1 + max(map(int, corpus.ids)))
    for identifier, text in zip(corpus.ids, corpus.texts):
        rows[int(identifier)] = text
    if all(len(row.splitlines()) < 2 for row in rows):
        return PASTED, "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogatepass")
    lines = (json.dumps({"text": row}, ensure_ascii=False) for row in rows)
    return "texts.jsonl", "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def _refuse_vectors(workspace: Workspace) -> None:
    if workspace.is_ready:
        raise InvalidInputError(
            f"`{workspace.corpus.name}` holds ready vectors, which a notebook does not carry; let it read their file."
        )


def _with_texts(workspace: Workspace) -> Workspace:
    """The same, its texts written down; the sample comes with the package and stays a word."""
    if workspace.source.file in SAMPLES:
        return workspace
    _refuse_vectors(workspace)
    corpus = workspace.corpus
    n_bytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in (*corpus.texts, *corpus.query_texts))
    if n_bytes > MOST_TEXT_BYTES:
        raise InvalidInputError(
            f"`{corpus.name}` has {n_bytes / 1e6:,.1f} MB of texts and a notebook carries at most "
            f"{MOST_TEXT_BYTES / 1e6:g} MB; let it read their file."
        )
    return replace(workspace, source=replace(workspace.source, holds_texts=True))


def _opening(workspace: Workspace, about: str) -> str:
    source, corpus, vectors = workspace.source, workspace.corpus, workspace.embedded
    if source.file in SAMPLES:
        where = "The data come with mrl_viz."
    elif source.holds_texts:
        where = "The texts are in this notebook: whoever has it can read them."
    else:
        files = [source.file, source.texts_file, source.queries, source.qrels]
        named = " and ".join(f"`{name.replace('`', '')}`" for name in files if name)
        where = f"It reads {named}, by the path from where this notebook lies. No text is in it."
    lines = [
        f"# {_plain(corpus.name)}: what does each embedding width keep?",
        about,
        f"{corpus.n_items:,} texts, {_plain(vectors.model)}, {vectors.full_dim} dims; widths "
        f"{', '.join(map(str, workspace.dims))}; k = {workspace.k}; seed {workspace.seed}. Fingerprint of the data and "
        f"the model: {vectors.fingerprint}.",
        f"{where} Made by mrl_viz {__version__}; it needs nothing else: `pip install mrl_viz`.",
    ]
    return "\n\n".join(filter(None, lines))


def _check(workspace: Workspace) -> list[str]:
    """Statements that say so where the file is not what it was."""
    return [
        f"if corpus.fingerprint != {workspace.corpus.fingerprint!r}:",
        '    print("These are other data than the notebook was made from: its numbers will be others, too.")',
    ]


class _Cells:
    """Cells one after the other; a name is given the same value once."""

    def __init__(self) -> None:
        self.cells: list[Any] = []
        self._named: dict[str, str] = {}
        self._said: set[str] = set()

    def say(self, words: str) -> None:
        import nbformat

        self.cells.append(nbformat.v4.new_markdown_cell(words, id=self._id()))

    def run(self, code: str) -> None:
        import nbformat

        self.cells.append(nbformat.v4.new_code_cell(code, id=self._id()))

    def run_script(self, script: Script, after: Iterable[str] = ()) -> None:
        """What the script says, less what is so already."""
        reads = not self._named  # the first one alone
        lines = []
        for name, line in script.lines if reads else script.lines[script.reading_lines :]:
            if name and self._named.get(name) == line:
                continue
            if line.startswith("#") and line in self._said:
                continue
            self._said.add(line)
            if name:
                self._forget(name)
                self._named[name] = line
            lines.append(line)
        self.run("\n".join([*lines, *after]))

    def _forget(self, name: str) -> None:
        """What was made of a name is no more, once that name has another value."""
        for other in [other for other, line in self._named.items() if re.search(rf"\b{name}\b", line)]:
            if self._named.pop(other, None) is not None and other != name:
                self._forget(other)

    def _id(self) -> str:
        return f"cell-{len(self.cells)}"


def _plain(text: str) -> str:
    """A name of a user's on one line, without markdown and HTML."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in MARKDOWN else character for character in escape(line, quote=False))
