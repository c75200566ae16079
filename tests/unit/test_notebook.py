"""A notebook as a file: valid, always the same, no texts unless they are wished; what cannot be is one sentence."""

import io
import zipfile
from dataclasses import replace

import nbformat
import numpy as np
import pytest

from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors
from mrl_viz.data.reading import read_upload
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import InvalidInputError
from mrl_viz.export import notebook as module
from mrl_viz.export.findings import Choices
from mrl_viz.export.notebook import notebook, notebook_with_texts, texts_file
from mrl_viz.export.pages import PAGES
from mrl_viz.export.workspace import Source, Workspace

TEXTS = [f"a secret about {thing}" for thing in ("cats", "dogs", "tax", "bread", "rain", "trains", "tea", "clocks")]
EVIL = '<img src=x onerror=alert(1)>`"""\'\\*_[x](http://y)'


def workspace(corpus=None, source=None, **options):
    corpus = corpus or corpus_from_texts(TEXTS, name="Pasted texts")
    vectors = embed(corpus, queries=())
    return Workspace(corpus, vectors, (8, 64, 256), 3, 64, "wordllama", source or Source("mine.txt"), **options)


def code_of(text):
    return [cell.source for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]


def words_of(text):
    return [cell.source for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "markdown"]


@pytest.fixture(scope="module")
def whole():
    """A notebook of every page."""
    return notebook(workspace(), list(PAGES), choices=Choices(models=("other-model",)))


def test_it_is_a_valid_notebook_and_always_the_same(whole):
    """nbformat takes it as it is; ids are not drawn at random, and no time of day is in it."""
    made = nbformat.reads(whole, as_version=4)
    nbformat.validate(made)
    assert [cell.id for cell in made.cells] == [f"cell-{place}" for place in range(len(made.cells))]
    assert notebook(workspace(), list(PAGES), choices=Choices(models=("other-model",))) == whole


def test_no_text_is_in_it_unless_wished(whole):
    """Without asking, only the file's name; with asking, every text."""
    assert "secret" not in whole and "mine.txt" in whole
    inside = notebook(workspace(), with_texts=True)
    assert all(text in inside for text in TEXTS) and "whoever has it can read them" in inside
    assert "read_corpus(" not in "".join(code_of(inside))


def test_data_are_read_and_embedded_once(whole):
    """What a figure's own code would begin with stands at the top once; what another cell has changed is made again."""
    code = code_of(whole)
    assert sum(cell.count("read_corpus(") for cell in code) == 1
    results = [place for place, cell in enumerate(code) if "result = analyse(" in cell]
    embeds = [place for place, cell in enumerate(code) if "vectors = embed(" in cell]
    assert len(embeds) == 2 and len(results) == 1, "queries are embedded for the pages that search, and stay"


def test_a_name_with_another_value_makes_what_depends_on_it_again():
    """After vectors with queries come vectors without, the analysis of them is made again."""
    table = "\n".join(["text,label", *(f"{text},{place % 2}" for place, text in enumerate(TEXTS))]).encode()
    corpus = replace(
        read_upload("mine.csv", table), query_ids=("q",), query_texts=("what about cats",), qrels={"q": {"0": 1}}
    )
    code = code_of(notebook(workspace(corpus, Source("mine.csv")), ["start", "quality", "space"]))
    names = [line.partition(" = ")[0] for cell in code for line in cell.splitlines() if " = " in line]
    assert names == ["corpus", "vectors", "result", "useful", "vectors", "quality", "vectors", "quality", "result"]


def test_seed_widths_and_k_are_as_they_were():
    """Every number that was chosen stands in the code."""
    made = notebook(workspace(seed=7), ["neighbors", "controls", "map", "space"])
    code = "\n".join(code_of(made))
    assert "dims=(8, 64, 256), k=3, seed=7" in code and code.count("seed=7") == 5 and "seed=0" not in code


def test_imported_names_are_not_given_values(whole):
    """No cell hides a function that a later one calls."""
    first, *code = code_of(whole)
    imported = {name for line in first.splitlines() for name in line.partition(" import ")[2].split(", ")}
    given = {line.partition(" = ")[0] for cell in code for line in cell.splitlines() if " = " in line}
    assert imported and given and not imported & given


def test_names_of_a_user_are_neither_markdown_nor_code():
    """A file and a model called like an attack stay text; every cell of code is still Python."""
    corpus = replace(corpus_from_texts(TEXTS), name=EVIL)
    made = notebook(replace(workspace(corpus, Source(EVIL)), model=EVIL), list(PAGES), with_texts=True)
    for cell in code_of(made):
        compile(cell, "cell", "exec")
    title = words_of(made)[0].splitlines()[0]
    assert "<img" not in title and "&lt;img" in title and "\\[x\\]" in title


def test_a_page_that_cannot_be_is_a_sentence():
    """Without labels, and without another model, the notebook says so and goes on."""
    words = words_of(notebook(workspace(), ["quality", "compare", "anatomy"]))
    assert any("Task quality needs labels" in said for said in words)
    assert any("choose another model" in said for said in words)
    assert any("taken apart" in said for said in words)
    one_class = replace(corpus_from_texts(TEXTS), labels={"kind": ("same",) * len(TEXTS)})
    made = notebook(workspace(one_class), ["quality", "anatomy"])
    assert any("class" in said and said.startswith("*") for said in words_of(made))
    assert "evaluate(" not in "".join(code_of(made))


def test_texts_with_line_breaks_go_into_a_table():
    """One text a line cannot hold them; either file is read as the same data, left-out rows included."""
    given = {"texts.txt": [[*TEXTS, "", TEXTS[0]], [" odd ", "", "x"]]}
    given["texts.jsonl"] = [[*TEXTS, "two\nlines", ""], ["a \u2028 b", "c \x85 d", "e"]]
    for expected, kinds in given.items():
        for texts in kinds:
            corpus = corpus_from_texts(texts)
            name, content = texts_file(corpus)
            assert name == expected and read_upload(name, content).fingerprint == corpus.fingerprint


def test_the_archive_holds_the_notebook_and_the_texts():
    """A zip of two files, always the same bytes; the notebook reads the file and does not hold the texts."""
    pasted = workspace(source=Source(is_saved=False))
    made = notebook_with_texts(pasted)
    assert made == notebook_with_texts(pasted)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == ["analysis.ipynb", "texts.txt"]
        text = archive.read("analysis.ipynb").decode()
        assert archive.read("texts.txt").decode().splitlines() == TEXTS
    assert "secret" not in text and "save the texts there" not in text and "texts.txt" in text


def test_what_cannot_be_taken_along_is_refused(monkeypatch):
    """Ready vectors have no texts to embed again; a notebook of many megabytes opens nowhere; a page has to exist."""
    vectors = corpus_from_vectors(np.eye(8, 16, dtype=np.float32))
    ready = replace(workspace(), corpus=vectors, embedded=embed(vectors))
    for make in (lambda: notebook(ready, with_texts=True), lambda: notebook_with_texts(ready)):
        with pytest.raises(InvalidInputError, match="holds ready vectors, which a notebook does not carry"):
            make()
    assert "embed(corpus)" in "".join(code_of(notebook(ready, ["neighbors"])))
    with pytest.raises(InvalidInputError, match=r"`pages` has 'nonsense'; choose among start, neighbors"):
        notebook(workspace(), ["nonsense"])
    monkeypatch.setattr(module, "MOST_TEXT_BYTES", 100)
    with pytest.raises(InvalidInputError, match="let it read their file"):
        notebook(workspace(), with_texts=True)
    assert notebook(workspace(source=Source("sample")), with_texts=True), "the sample is a word"
