"""Notebooks are programs: run by Jupyter's own client, they make the library's numbers of the user's own file."""

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import nbformat
import pytest
from nbclient import NotebookClient

from docs.make_notebooks import FOLDER, USES, made
from mrl_viz.analysis import analyse
from mrl_viz.cli.main import main
from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.export.notebook import notebook, notebook_with_texts
from mrl_viz.export.workspace import Source, Workspace
from mrl_viz.tasks.evaluation import evaluate

ROOT = Path(__file__).parent.parent.parent
WIDTHS, K, SEED = (8, 64, 256), 5, 3
# What a notebook of this test says of its numbers at its end.
PROBE = "import json; print('numbers:', json.dumps(result.overlap.to_dict()))"
TEXTS = [f"the {color} {thing} of my {owner}" for color in ("red", "blue") for thing in ("hat", "car", "house")
         for owner in ("aunt", "boss", "cat", "dog", "uncle")]  # fmt: skip


def own_table(folder):
    """A user's table below a folder, with labels in a column of its own."""
    (folder / "data").mkdir()
    rows = [f"{text},{text.split()[2]}" for text in TEXTS]
    path = folder / "data" / "own.csv"
    path.write_text("\n".join(["utterance,thing", *rows]) + "\n", encoding="utf-8")
    return path


def workspace_of(corpus, source, **options):
    vectors = embed(corpus, queries=())
    return Workspace(corpus, vectors, WIDTHS, K, 64, "wordllama", source, SEED, **options)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Notebooks by name as they are after they ran from top to bottom, each with names of its own.

    They share a kernel, which takes as long to begin as all of them to run, and nothing in it: names are cleared, and
    each runs where it lies.
    """
    folder = tmp_path_factory.mktemp("notebooks")
    own_table(folder)
    (folder / "notes").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = [
            "--k",
            str(K),
            "--seed",
            str(SEED),
            "--dims",
            "8,64",
            "--label-column",
            "thing",
            "--json",
            "said.json",
        ]
        assert main(["notebook", "data/own.csv", "--out", "notes/own.ipynb", *options]) == 0
    own = read_corpus(folder / "data" / "own.csv", label_column="thing")
    sample = read_corpus("sample", limit=150)
    (folder / "alone").mkdir()
    pasted = workspace_of(corpus_from_texts(TEXTS, name="Pasted texts"), Source(is_saved=False))
    inside = workspace_of(own, Source("elsewhere.csv", label_column="thing"))
    written = {
        "own": ((folder / "notes" / "own.ipynb").read_text(encoding="utf-8"), folder / "notes"),
        "sample": (notebook(workspace_of(sample, Source("sample", limit=150)), ["neighbors"]), folder / "alone"),
        "inside": (notebook(inside, ["neighbors"], with_texts=True), folder / "alone"),
    }
    with ZipFile(BytesIO(notebook_with_texts(pasted, ["neighbors"]))) as archive:
        archive.extractall(folder / "beside")
    written["pasted"] = ((folder / "beside" / "analysis.ipynb").read_text(encoding="utf-8"), folder / "beside")
    written |= {name: ((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"), folder / "alone") for name in USES}
    cells, places = [], {}
    for name, (text, home) in written.items():
        book = nbformat.reads(text, as_version=4)
        given = [nbformat.v4.new_code_cell(f"%reset -f\nimport os; os.chdir({str(home)!r})"), *book.cells]
        if name not in USES:
            given.append(nbformat.v4.new_code_cell(PROBE))
        for place, cell in enumerate(given):
            cell["id"] = f"{name}-{place}"
        places[name] = range(len(cells), len(cells) + len(given))
        cells += given
    all_of_them = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        NotebookClient(all_of_them, timeout=300, kernel_name="python3").execute()
    return {name: [all_of_them.cells[place] for place in span] for name, span in places.items()}


def outputs(cells, kind):
    """Everything of a kind that cells gave."""
    return [
        output["data"][kind] for cell in cells for output in cell.get("outputs", ()) if kind in output.get("data", {})
    ]


def printed(cells):
    """All that was printed."""
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))


def numbers(cells):
    (line,) = [line for line in printed(cells).splitlines() if line.startswith("numbers:")]
    return json.loads(line.removeprefix("numbers:"))


def expected(corpus):
    found = analyse(embed(corpus, queries=()), dims=WIDTHS, k=K, seed=SEED)
    return json.loads(json.dumps(found.overlap.to_dict())), found


def test_a_notebook_of_an_own_file_makes_the_librarys_numbers(executed):
    """With the file where it was, and widths, k and seed as chosen, overlap and task quality are the library's."""
    corpus = read_corpus_of_own(executed)
    wanted, found = expected(corpus)
    cells = executed["own"]
    assert numbers(cells) == wanted
    tables = "".join(outputs(cells, "text/html"))
    assert found.overlap.takeaway() in tables
    quality = evaluate(embed(corpus, queries=()), dims=WIDTHS, task="classification", seed=SEED)
    assert quality.takeaway().replace("'", "&#x27;") in tables
    assert "other data" not in printed(cells)
    # Each figure is drawn, and is what the library draws.
    drawn = outputs(cells, "application/vnd.plotly.v1+json")
    assert len(drawn) == sum(cell.source.count(".show()") for cell in cells if cell.cell_type == "code") >= 12


def read_corpus_of_own(executed):
    (home,) = {cell.source.split("chdir('")[1].split("'")[0] for cell in executed["own"] if "os.chdir" in cell.source}
    return read_corpus(Path(home).parent / "data" / "own.csv", label_column="thing")


def test_a_notebook_of_the_sample_makes_the_librarys_numbers(executed):
    """The sample needs no file, and its numbers are the library's."""
    assert numbers(executed["sample"]) == expected(read_corpus("sample", limit=150))[0]


def test_texts_inside_a_notebook_need_no_file(executed):
    """Where there is no file, the texts in the notebook give the same data, labels too, and the same numbers."""
    assert numbers(executed["inside"]) == expected(read_corpus_of_own(executed))[0]
    assert "other data" not in printed(executed["inside"])


def test_pasted_texts_beside_the_notebook_are_the_same_data(executed):
    """The file in the archive is read as the texts that were pasted."""
    assert numbers(executed["pasted"]) == expected(corpus_from_texts(TEXTS))[0]
    assert "other data" not in printed(executed["pasted"])


@pytest.mark.parametrize("name", USES)
def test_documented_notebooks_run(executed, name):
    """The notebooks of docs/ run from top to bottom, draw every figure, and are what their script makes, no outputs."""
    cells = executed[name]
    drawn = outputs(cells, "application/vnd.plotly.v1+json")
    assert len(drawn) == sum(cell.source.count(".show()") for cell in cells if cell.cell_type == "code") > 1
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == made(USES[name]), "make them again: python -m docs.make_notebooks"
    assert not any(cell.get("outputs") for cell in nbformat.reads(text, as_version=4).cells)
