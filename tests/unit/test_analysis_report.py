"""The report of an analysis stands alone, says what failed, and is never too large."""

import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.decide import decision_record, plan_thresholds, recommend
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import CancelledError, DataFormatError, InvalidInputError
from mrl_viz.export import analysis_report as module
from mrl_viz.export.analysis_report import MOST_BYTES, analysis_report
from mrl_viz.export.findings import Choices, Findings
from mrl_viz.export.html import figure_part
from mrl_viz.export.pages import DEFAULT, PAGES
from mrl_viz.export.workspace import Source, Workspace
from tests.unit.test_report import EVIL, Tags, without_library

N_ITEMS = 66


def workspace(*, name="corpus", model="first", text="text", column="label", is_labelled=True):
    """Hand-made vectors of a made model."""
    labels = {column: tuple(["a", "b"] * (N_ITEMS // 2))} if is_labelled else {}
    corpus = replace(corpus_from_texts([f"{text} {row}" for row in range(N_ITEMS)], name=name), labels=labels)
    rows = np.random.default_rng(0).normal(size=(N_ITEMS, 32)).astype(np.float32)
    vectors = Embedded(corpus, model, None, rows, None, 2.0, "")
    return Workspace(corpus, vectors, (4, 8, 32), 5, 8, model, Source("mine.txt"))


@pytest.fixture(scope="module")
def decision():
    return recommend(workspace().embedded, target=0.5, dims=[8], dtypes=["float32"], kinds=["exact"], n_runs=2)


@pytest.fixture(scope="module")
def report():
    """The default pages."""
    return analysis_report(Findings(workspace(), Choices()))


def test_it_stands_alone(report):
    """One plotly.js, nothing loaded, nothing uploaded, links within the file only."""
    rest = without_library(report)
    tags = Tags(rest).tags
    assert not any(name in attrs for _, attrs in tags for name in ("src", "srcset", "action"))
    links = [attrs["href"] for _, attrs in tags if "href" in attrs]
    targets = {attrs.get("id") for _, attrs in tags}
    assert len(links) == len(DEFAULT) and all(link[0] == "#" and link[1:] in targets for link in links)
    policy = next(attrs["content"] for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert len(re.findall(r"\* plotly\.js v", report)) == 1
    assert "http" not in rest.replace("http-equiv", "") and "cdn" not in rest
    n_figures = len(re.findall(r'id="figure-\d+"', rest))
    assert n_figures >= 9 and rest.count('"showSendToCloud": false') == n_figures
    assert len(report.encode()) < MOST_BYTES


def test_sentences_and_numbers_are_the_libraries(report):
    """Each part has its sentence; data, model, versions and settings stand at the top."""
    found = Findings(workspace(), Choices())
    text = report.replace("&#x27;", "'")
    for page in DEFAULT:
        for shown in PAGES[page].shows(found):
            assert shown.takeaway in text and shown.title in text
    here = workspace()
    for fact in (
        here.corpus.fingerprint,
        here.embedded.fingerprint,
        "widths 4, 8, 32",
        "k = 5",
        "seed 0",
        "mrl_viz 0.",
    ):
        assert fact in text
    assert analysis_report(found) == report


def test_further_arrangements_stand_beside_the_controls():
    """What is asked for beside prefix, random, suffix and SVD is measured and in the table."""
    here = workspace(is_labelled=False)
    (shown, _) = PAGES["controls"].shows(Findings(here, Choices(arrangements=("centred",))))
    assert {row["arrangement"] for row in shown.rows} == {"prefix", "random", "suffix", "svd", "centred"}


def test_texts_are_in_it_only_where_wished(report):
    """Without asking texts are called by their number."""
    secret = Findings(workspace(text="secret", is_labelled=False), Choices())
    every = [name for name in PAGES if name not in ("compare", "choose")]
    assert "secret" not in analysis_report(secret, every)
    assert "secret" in analysis_report(replace(secret, has_texts=True), ["anatomy"])


def test_user_text_is_escaped_everywhere(decision):
    """A corpus, model, text, label column, title and note called like an attack add no tag, handler or script."""
    reports = []
    for here in (workspace(), workspace(name=EVIL, model=EVIL, text=EVIL, column=EVIL)):
        own = replace(decision, fingerprint=here.embedded.fingerprint)
        record = decision_record(own, note=EVIL, decided_at="2026-01-01").record
        found = Findings(here, Choices(), has_texts=True)
        reports.append(without_library(analysis_report(found, ["similarity", "anatomy", "quality"], record=record)))
    plain, made = reports
    tags = Tags(made).tags
    assert [tag for tag, _ in tags] == [tag for tag, _ in Tags(plain).tags]
    assert not any(name.startswith("on") for _, attrs in tags for name in attrs)
    assert "alert(2)</script>" not in made and "&lt;img src=x" in made


def test_a_page_that_failed_is_one_sentence():
    """No labels, no decision, nothing to compare with, a focus on the full width: each is said, the rest is there."""
    here = replace(workspace(is_labelled=False), focus_dim=32)
    text = analysis_report(Findings(here, Choices()), ["quality", "choose", "compare", "search", "neighbors"])
    said = re.findall(r'<p class="failed">(.*?)</p>', text)
    assert [sentence.split()[0] for sentence in said] == ["Task", "The", "Nothing", "No"]
    assert "nearest neighbors at 32 dims" in text
    alone = analysis_report(Findings(here, Choices()), ["quality"])
    assert len(alone) < 10_000 and "needs labels" in alone


def test_a_record_stands_at_the_end(decision):
    """Its decision, plan, data and caveats; one of other data says so, and no record is refused."""
    given = {"note": "decided by us", "decided_at": "2026-01-01"}
    record = decision_record(decision, thresholds=plan_thresholds(workspace().embedded, decision), **given).record
    text = analysis_report(Findings(workspace(), Choices(), decision=decision), ["choose"], record=record)
    plain = text.replace("&#x27;", "'").replace("&lt;", "<")
    for part in (
        record["decision"],
        record["evidence"]["plan"],
        record["storage"]["formula"],
        record["evidence"]["threshold"]["takeaway"],
        "decided by us",
        record["data"]["fingerprint"],
        *record["caveats"],
    ):
        assert part in plain
    assert "other data or another model" not in text
    # A record from elsewhere may lack what this one has.
    few = {name: record[name] for name in ("schema", "kind", "plan")}
    assert "other data" in analysis_report(Findings(workspace(), Choices(), decision=decision), ["choose"], record=few)
    assert "other data or another model" in analysis_report(
        Findings(workspace(text="another", is_labelled=False), Choices()), ["anatomy"], record=record
    )
    with pytest.raises(DataFormatError, match="no decision record"):
        analysis_report(Findings(workspace(), Choices()), record={"kind": "shopping list"})


def test_a_figure_that_is_too_much_is_left_out(monkeypatch):
    """The file stays below its bound; what is left out is named with its size."""
    monkeypatch.setattr(module, "FRAME_BYTES", MOST_BYTES - 20_000)
    text = analysis_report(Findings(workspace(), Choices()), ["neighbors", "anatomy"])
    assert re.search(r"This figure takes \d+\.\d MB, more than is left of the 8 MB of a report", text)
    assert 'id="figure-0"' in text


def test_a_stop_ends_it():
    """Stop is no failed page."""

    def progress(done, total):
        if done == 1:
            raise CancelledError(f"Stopped after {done} of {total} steps.")

    with pytest.raises(CancelledError, match="after 1 of 2"):
        analysis_report(Findings(workspace(), Choices()), ["neighbors", "anatomy"], progress=progress)
    with pytest.raises(InvalidInputError, match="`pages` has 'nonsense'"):
        analysis_report(Findings(workspace(), Choices()), ["nonsense"])


def test_no_figure_needs_webgl():
    """WebGL compiles code, which the policy forbids: such points are drawn as SVG, the same points."""
    drawn = figure_part(go.Figure(go.Scattergl(x=[1, 2], y=[3, 4], mode="markers")), "said", 0)
    assert '"scattergl"' not in drawn.split('"template"')[0] and '"x":[1,2]' in drawn
