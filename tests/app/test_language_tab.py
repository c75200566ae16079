"""Task quality by language: pairs in several languages have a tab of their own, whose code makes it again."""

import csv
import io
import json
from contextlib import redirect_stdout

import plotly.graph_objects as go
import pytest

from mrl_viz.data.reading import read_corpus, read_upload
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.embedding.embedded import embed
from mrl_viz.tasks.languages import by_language
from tests.app.steps import again, code_of, data_of, open_part, opened, parts_of, said, started
from tests.app.steps import go as go_to


def names_of(chart):
    return list(dict.fromkeys(trace["name"] for trace in chart["data"]))


def test_the_tab_by_language_shows_what_each_width_keeps(monkeypatch):
    """A line per language and per language searched, the two sentences at the focus width, and the records; the code
    that is shown prints the sentences and draws both figures again."""
    app = started().run()
    app.selectbox(key="data").set_value("sample:languages").run()
    assert "1,280 texts, 4 languages" in next(one for one in app.selectbox(key="data").options if "languages" in one)
    go_to(app, "explore/quality")
    assert parts_of(app)[:2] == ["By task", "By language"] and not app.exception and not app.error
    open_part(app, "By language")
    app.selectbox(key="language_source").set_value("German")
    again(app)
    assert not app.exception and not app.error
    charts = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    languages = ["English", "German", "Spanish", "Japanese"]
    assert [names_of(chart) for chart in charts] == [languages, ["English", "Spanish", "Japanese"]]
    expected = by_language(embed(read_corpus("sample:languages")), dims=[8, 16, 32, 64, 128], source="German")
    for sentence in (expected.agreement_at(64), expected.found_at(64)):
        assert sentence in said(app)
    shown = data_of(app, "translations")
    assert shown["value"].tolist() == pytest.approx([row["value"] for row in expected.rows()])
    code, *others = dict.fromkeys(code_of(app))
    assert not others and "read_corpus('sample:languages')" in code
    drawn, printed = [], io.StringIO()
    monkeypatch.setattr(go.Figure, "show", lambda figure: drawn.append(json.loads(figure.to_json())))
    with redirect_stdout(printed):
        exec(compile(code, "shown", "exec"), {})
    assert [one["data"] for one in drawn] == [one["data"] for one in charts]
    assert printed.getvalue().splitlines() == [expected.agreement_at(64), expected.found_at(64)]


def test_pairs_with_missing_ids_say_so_and_leave_the_page_usable():
    """A user's table in which a language lacks ids: one sentence, and both figures of what is there everywhere."""
    with (sample_data_folder() / "languages" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:160]
    table = io.StringIO()
    writer = csv.DictWriter(table, rows[0])
    writer.writeheader()
    writer.writerows(row for row in rows if (row["language"], row["id"]) != ("Spanish", "003"))
    app = opened("explore/quality", read_upload("mine.csv", table.getvalue().encode()))
    open_part(app, "By language")
    assert not app.exception and not app.error and len(app.get("plotly_chart")) == 2
    assert "1 of 40 ids are not there in every language (Spanish has 39) and are left out" in said(app)


def test_pairs_of_one_language_have_no_tab():
    """Nothing is to be told apart there."""
    parts = parts_of(opened("explore/quality", read_corpus(sample_data_folder() / "pairs.csv")))
    assert "By task" in parts and "By language" not in parts
