"""`report` and `notebook` of the command line: files written whole, paths that hold, and one sentence where not."""

import json

import nbformat
import numpy as np
import pytest

from mrl_viz.cli.main import main

TEXTS = [f"text {number} about {'cats' if number % 2 else 'tax'}" for number in range(24)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with texts, where the command runs."""
    (tmp_path / "data").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def code(path):
    return "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")


def test_notebook_reads_the_file_from_where_it_lies(folder, capsys):
    """Source and settings as they were typed, paths from the notebook's folder; the JSON says what was written."""
    made = ["notebook", "data/mine.txt", "--out", "out/mine.ipynb", "--dims", "8,64", "--k", "4", "--seed", "2"]
    assert main([*made, "--limit", "20", "--pages", "anatomy, neighbors", "--json", "said.json"]) == 0
    text = code("out/mine.ipynb")
    assert "read_corpus('../data/mine.txt', limit=20)" in text
    assert "analyse(vectors, dims=(8, 64, 256), k=4, seed=2)" in text and "controls(" not in text
    said = json.loads((folder / "said.json").read_text())
    assert said["pages"] == ["neighbors", "anatomy"] and said["bytes"] == (folder / "out" / "mine.ipynb").stat().st_size
    assert "out/mine.ipynb: 0.0" in capsys.readouterr().out
    assert main([*made, "--overwrite", "--with-texts", "--arrangements", "prefix,svd,tempered:0.5"]) == 0
    assert "arrangements=('prefix', 'random', 'suffix', 'svd', 'tempered:0.5')" in code("out/mine.ipynb")
    assert "read_corpus(" not in code("out/mine.ipynb") and TEXTS[0] in code("out/mine.ipynb")


def test_notebook_takes_queries_models_and_vectors(folder):
    """Queries and judgements of their own, another model to compare with, ready vectors."""
    (folder / "asked.txt").write_text("what about cats\n", encoding="utf-8")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n0\t1\t1\n", encoding="utf-8")
    given = ["--queries", "asked.txt", "--qrels", "qrels.tsv", "--pages", "quality,compare", "--compare-with", "other"]
    assert main(["notebook", "data/mine.txt", "--out", "out/asked.ipynb", *given]) == 0
    text = code("out/asked.ipynb")
    assert "queries='../asked.txt'" in text and "qrels='../qrels.tsv'" in text and "task='retrieval'" in text
    assert "embed(corpus, 'wordllama'), embed(corpus, 'other')" in text
    np.save("rows.npy", np.random.default_rng(0).normal(size=(12, 16)).astype(np.float32))
    assert main(["notebook", "rows.npy", "--out", "rows.ipynb", "--pages", "neighbors"]) == 0
    assert "vectors = embed(corpus)" in code("rows.ipynb")


def test_report_is_one_file(folder, capsys):
    """Pages as chosen, the focus width, and a record at the end."""
    made = ["report", "data/mine.txt", "--out", "out/mine.html", "--dims", "8,64", "--k", "4", "--focus", "8"]
    assert main([*made, "--pages", "neighbors,quality"]) == 0
    text = (folder / "out" / "mine.html").read_text(encoding="utf-8")
    assert "focus 8;" in text and "widths 8, 64, 256" in text and "Task quality needs labels" in text
    assert TEXTS[3] not in text and not list(folder.glob("out/*.partial"))
    assert "pages neighbors, quality" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["notebook", "data/mine.txt", "--out", "out/mine.html"], "ends in .ipynb"),
        (["report", "data/mine.txt", "--out", "out/mine.ipynb"], "ends in .html"),
        (["report", "data/mine.txt", "--out", "nowhere/mine.html"], "no folder `nowhere`; make it first"),
        (["report", "data/mine.txt", "--out", "there.html"], "there already; give another name, or --overwrite"),
        (["report", "data/mine.txt", "--out", "folder.html", "--overwrite"], "a folder; give a file name"),
        (["report", "data/mine.txt", "--out", "a.html", "--pages", "nonsense"], "`pages` has 'nonsense'"),
        (["report", "data/mine.txt", "--out", "a.html", "--pages", "compare"], "another model by --compare-with"),
        (["report", "data/mine.txt", "--out", "a.html", "--compare-with", "x"], "add it to --pages"),
        (["report", "data/mine.txt", "--out", "a.html", "--focus", "7"], "`--focus` is 7; choose one of the widths"),
        (["report", "data/mine.txt", "--out", "a.html", "--record", "plan.md"], "`recommend --record` wrote"),
        (["report", "data/mine.txt", "--out", "a.html", "--record", "list.json"], "no decision record"),
        (["report", "data/mine.txt", "--out", "a.html", "--arrangements", "adaptor:x"], "has 'adaptor:x'"),
        (["report", "missing.txt", "--out", "a.html"], "`missing.txt` is no file here"),
        (["notebook", "rows.npy", "--out", "a.ipynb", "--with-texts"], "ready vectors, which a notebook does"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(folder, capsys, argv, sentence):
    """Bad names, folders, pages and records end with code 2, one line, and no file."""
    (folder / "there.html").write_text("mine")
    (folder / "folder.html").mkdir()
    (folder / "list.json").write_text('{"kind": "list"}')
    np.save(folder / "rows.npy", np.eye(8, 16, dtype=np.float32))
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert (folder / "there.html").read_text() == "mine" and not list(folder.glob("a.*"))
