"""Results in a notebook: a sentence and a bounded table, every text escaped; and the figure that shows them best."""

import inspect
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from mrl_viz import figures
from mrl_viz.analysis import analyse
from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.embedding.embedded import embed
from mrl_viz.result import MOST_CHARACTERS, MOST_ROWS, Result

EVIL = "<script>alert(1)</script>&\"'"


@dataclass(frozen=True)
class Told(Result):
    name: str
    n_rows: int

    def takeaway(self):
        return f"{self.name} says it"

    def rows(self):
        return [
            {self.name: row, "a_text": self.name * 100, "none": None, "share": 0.123456} for row in range(self.n_rows)
        ]


@dataclass(frozen=True)
class Bare(Result):
    name: str
    value: float
    many: tuple[int, ...] = (1, 2)


class Parsed(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def test_a_result_is_its_sentence_and_a_bounded_table():
    """All texts are escaped, long cells are cut, and rows beyond the bound are counted."""
    parsed = Parsed(Told(EVIL, MOST_ROWS + 7)._repr_html_())
    assert "script" not in parsed.tags and parsed.tags.count("tr") == 1 + MOST_ROWS
    assert parsed.words[0] == f"{EVIL} says it" and EVIL in parsed.words and parsed.words[-1] == "… and 7 more rows."
    assert {"–", "0.1235", "a text"} <= set(parsed.words)
    assert max(map(len, parsed.words)) == MOST_CHARACTERS


def test_without_records_there_are_the_plain_fields():
    """A result without rows or sentence shows its plain fields; one with no rows at all shows its sentence alone."""
    parsed = Parsed(Bare(EVIL, 0.5)._repr_html_())
    assert parsed.words == ["name", "value", EVIL, "0.5000"]
    assert Parsed(Told("it", 0)._repr_html_()).words == ["it says it"]


def test_show_draws_the_obvious_figure(monkeypatch, capsys):
    """An overlap is drawn as the library draws it; what has no figure of its own says its sentence."""
    drawn = []
    monkeypatch.setattr(go.Figure, "show", lambda figure: drawn.append(figure))
    found = analyse(embed(corpus_from_texts([f"text number {row}" for row in range(12)])), dims=[8, 64], k=3)
    found.overlap.show()
    found.show()
    assert [figure.to_json() for figure in drawn] == 2 * [figures.overlap_curve(found.overlap).to_json()]
    assert found.overlap.takeaway() in Parsed(found._repr_html_()).words
    Told("nobody", 1).show()
    Bare("bare", 1.0).show()
    assert capsys.readouterr().out == "nobody says it\nBare(name='bare', value=1.0, many=(1, 2))\n"
    assert len(drawn) == 2


@pytest.mark.parametrize("name", figures._OBVIOUS)
def test_obvious_figures_need_nothing_else(name):
    """Each is of a result that there is, and is drawn from it alone."""
    draw = figures._OBVIOUS[name]
    needed = [part for part in inspect.signature(draw).parameters.values() if part.default is part.empty]
    assert len(needed) == 1
    assert name in {kind.__name__ for kind in every_kind(Result)}


def every_kind(kind):
    import mrl_viz.export.pages  # noqa: F401  # most results are of what it imports
    from mrl_viz.adaptor import report  # noqa: F401
    from mrl_viz.comparison import precision  # noqa: F401
    from mrl_viz.retrieval import early, width_prediction  # noqa: F401
    from mrl_viz.training import twins  # noqa: F401

    return {kind}.union(*(every_kind(below) for below in kind.__subclasses__()))


def test_results_import_nothing_that_draws():
    """Results know of drawing by name only."""
    code = (
        "import sys, mrl_viz.measures.lists; print([m for m in ('plotly', 'nbformat', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
