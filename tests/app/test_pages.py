"""The pages run on the sample without exceptions and say what they measured."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mrl_viz.launcher import WARMED
from mrl_viz.ui import results
from mrl_viz.ui.frame import NEXT
from mrl_viz.ui.glossary import TERMS
from mrl_viz.ui.memory import Shelf
from mrl_viz.ui.start import cut_strip
from tests.app.steps import again, choose_part, code_of, each_part, go, has, open_part, opened, parts_of, said

ROOT = Path(__file__).parent.parent.parent
APP = str(ROOT / "app.py")


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=300).run()


def test_start_shows_the_sample_analysed(app):
    """The first visit has the headline numbers of the sample and a chart with alt text."""
    assert not app.exception and not app.error
    (half,) = [metric for metric in app.metric if metric.label == "Kept at 128 dims, 50% of the width"]
    assert half.value.endswith("%")
    (chart,) = app.get("plotly_chart")
    assert chart.proto.alt
    names = [trace.get("name") for trace in json.loads(chart.proto.spec)["data"]]
    assert "same neighbors (overlap@10)" in names and "same usefulness (nDCG@10)" in names


def test_start_cuts_one_text_live(app):
    """The nearest texts, the sentence and the numbers kept follow the focus width; a sentence can be typed."""
    for width in (8, 256):
        app.select_slider(key="focus").set_value(width).run()
        assert f"{width} of 256 numbers" in said(app) and f"**Nearest at {width}**" in said(app)
    assert "everything is kept" in said(app) and "4 of these 4 texts stay" in said(app)
    app.text_input(key="own_sentence").set_value("Why does bread rise?").run()
    assert not app.exception and any(text.value == "Why does bread rise?" for text in app.text)
    assert "bread" in " ".join(text.value for text in app.text[1:]).lower()


def test_the_strip_fades_what_is_cut():
    """A bar a coordinate, red below zero and blue above; behind the cut all are nearly grey."""
    strip = cut_strip(np.array([1.0, -1.0, 1.0, -1.0], dtype=np.float32), 2)
    blue, red, *cut = (strip[0, at] for at in (100, 400, 700, 900))
    assert blue[2] > blue[0] and red[0] > red[2] and all(np.ptp(bar) < 60 for bar in cut)
    assert strip.shape == (1024 // 28, 1024, 3) and (strip == strip[0]).all()
    assert np.ptp(cut_strip(np.zeros(3, dtype=np.float32), 3)) == 0


def test_every_page_leads_on_and_explains_its_words(app):
    """Each page's question has a next page, which is there and another one; the way on and the words are shown."""
    for page in (ROOT / "pages").rglob("*.py"):
        ((question, *words),) = re.findall(r'^title\((".*?")(.*)\)$', page.read_text("utf-8"), re.MULTILINE)
        onward = ROOT / "pages" / f"{NEXT[json.loads(question)][0]}.py"
        assert onward.is_file() and onward != page
        assert set(re.findall(r'"(.*?)"', words[0])) <= set(TERMS)
    (onward,) = [link.proto for link in app.get("page_link")]
    assert onward.label == "Next: one vector, cut"
    (words,) = [html.proto.body for html in app.get("html") if 'class="words"' in html.proto.body]
    assert all(TERMS[term] in words for term in ("embedding", "width", "neighbor"))


def charts_of(app):
    """Every chart of a page by its key: those above the tabs, and those in each of them."""
    charts = {}
    for _ in each_part(app):
        charts |= {chart.proto.id.rsplit("-", 1)[-1]: chart.proto for chart in app.get("plotly_chart")}
    return charts


def curves(charts, *keys):
    """What charts draw."""
    return [json.loads(charts[key].spec)["data"] for key in keys]


def test_neighbors_follow_the_focus_width(app):
    """Moving the focus width changes the cards and the picture of the texts, not the curves' data."""
    app.switch_page("pages/explore/neighbors.py").run()
    assert not app.exception and not app.error
    before = charts_of(app)
    assert list(before) == ["overlap_curve", "controls_curve", "nestedness", "overlap_by_k", "per_item", "bump"]
    app.select_slider(key="focus").set_value(32).run()
    assert not app.exception
    assert any("At 32 dims this text keeps" in caption.value for caption in app.caption)
    after, unmoved = charts_of(app), ("overlap_curve", "controls_curve", "nestedness", "overlap_by_k")
    assert curves(after, *unmoved) == curves(before, *unmoved)
    (texts,) = curves(before, "per_item")
    assert curves(after, "per_item") != [texts] and texts[0]["type"] == "scattergl"
    # By this name a browser knows that it need not draw a chart again.
    for key in ("nestedness", "overlap_by_k"):
        assert after[key].id == before[key].id


def test_the_records_under_a_chart_are_made_when_they_are_opened(app):
    """No table is sent with the charts of the Neighbors page; an opened one has a row for each text."""
    app.switch_page("pages/explore/neighbors.py").run()
    n_charts = 1
    for _ in each_part(app):
        n_charts += len(app.get("plotly_chart")) - 1
        assert not app.dataframe
    assert n_charts == 6
    open_part(app, "Which texts?")
    app.session_state["per_item_data"] = True
    app.run()
    (shown,) = [table.value for table in app.dataframe]
    assert len(shown) == 1280 and "kept at 64" in shown.columns


@pytest.mark.parametrize(
    ("page", "title", "costly"),
    [
        ("neighbors", "Do neighbors survive?", {
            "Is it really Matryoshka?": "mrl_viz.ui.evidence._controls", "Every list length": None,
            "Which texts?": None, "Where they go": "mrl_viz.ui.neighbors.ranks_of",
        }),
        ("similarity", "How do similarities drift with the width?", {
            "Against the full width": "mrl_viz.ui.similarity.density",
            "Full, truncated, difference": "mrl_viz.ui.similarity.matrices",
            "Biggest movers": "mrl_viz.ui.similarity.movers",
            "What a fixed threshold means": "mrl_viz.ui.similarity._threshold",
        }),
    ],
)  # fmt: skip
def test_a_page_measures_and_draws_what_its_open_tab_shows(page, title, costly, monkeypatch):
    """A closed tab costs nothing; the open one stays open at another focus width, and then draws that one only."""
    asked, take = [], Shelf.take

    def counted(shelf, key, *args):
        asked.append(key[0])
        return take(shelf, key, *args)

    app = opened(f"explore/{page}")
    assert app.title[0].value == title and parts_of(app) == list(costly) and len(app.tabs) == len(costly)
    monkeypatch.setattr(Shelf, "take", counted)
    for place, (part, name) in enumerate(costly.items()):
        open_part(app, part)
        for width in (32, 64):
            asked.clear()
            app.select_slider(key="focus").set_value(width)
            again(app)
            assert not app.exception and app.session_state[f"{page}_tab"] == part
            assert [bool(tab.children) for tab in app.tabs] == [other == place for other in range(len(costly))]
            assert set(asked) & {other for other in costly.values() if other} == ({name} if name else set())


def test_what_was_chosen_in_a_tab_is_there_when_it_is_opened_again():
    """Order, threshold and further arrangements outlive the tab they are chosen in."""
    app = opened("explore/similarity")
    open_part(app, "Full, truncated, difference")
    app.segmented_control(key="matrix_order").set_value("domain")
    again(app)
    open_part(app, "What a fixed threshold means")
    assert app.slider(key="threshold").value == 0.3
    app.slider(key="threshold").set_value(0.55)
    again(app)
    open_part(app, "Full, truncated, difference")
    assert app.segmented_control(key="matrix_order").value == "domain"
    open_part(app, "What a fixed threshold means")
    assert app.slider(key="threshold").value == 0.55 and not app.warning
    go(app, "explore/neighbors")
    app.pills(key="further_arrangements").set_value(["centred"])
    again(app)
    open_part(app, "Which texts?")
    open_part(app, "Is it really Matryoshka?")
    assert app.pills(key="further_arrangements").value == ["centred"] and not app.exception


def test_neighbors_kept_lost_and_gained_stand_beside_the_curve():
    """The first few of each with their ranks, the others on request: all of them those of the text, each once."""
    app = opened("explore/neighbors")
    app.session_state["selection"] = (100,)
    again(app)
    workspace = app.session_state["workspace"]
    sweep = results.analysis(workspace).sweep
    full, here = (list(sweep.indices[sweep.at(dim), 100]) for dim in (256, 64))
    expected = [
        f"{full.index(item) + 1 if item in full else 'new'} → {here.index(item) + 1 if item in here else 'out'}  "
        f"{workspace.corpus.texts[item]}"
        for item in [*sorted(full, key=lambda item: item not in here), *(item for item in here if item not in full)]
    ]
    assert len(expected) == 14  # this text keeps 6 of 10
    for opened_too in (False, True):
        for name in ("kept", "lost", "gained"):
            app.session_state[f"more_{name}"] = opened_too
        again(app)
        rows = [each.value for each in app.text if " → " in each.value]
        assert rows == (expected if opened_too else [*expected[:3], *expected[6:14]])


def test_moving_the_focus_width_reads_and_measures_nothing_again(app, monkeypatch):
    """The samples are read and analysed once a server, however many pages and widths are looked at."""
    work = []

    def counted(name):
        done = getattr(results, name)
        return lambda *args, **named: (work.append(name), done(*args, **named))[1]

    for name in ("read_corpus", "analyse"):
        monkeypatch.setattr(results, name, counted(name))
    app.switch_page("pages/explore/neighbors.py").run()
    first = list(work)
    for width in (8, 32, 128, 64):
        app.select_slider(key="focus").set_value(width).run()
    assert not app.exception and work == first


def test_pasted_texts_become_the_data(app):
    """Pasting lines and pressing the button analyses them."""
    app.text_area(key="pasted").set_value("A cat sleeps\nA dog runs\nTax is due\nBread rises\n")
    next(button for button in app.button if button.label == "Use these texts").click()
    app.run()
    assert not app.exception and not app.error
    assert app.selectbox(key="data").value == "mine"
    (code,) = code_of(app)
    assert "read_corpus('texts.txt')" in code and "# texts.txt: save the texts there" in code
    assert "cat" not in code


def test_the_table_to_edit_is_sent_when_its_tab_is_opened(app):
    """The first view has no table; that of an opened tab stays there while another tab is looked at."""
    assert app.file_uploader and not has(app, "use_edited")
    for tab in ("Edit in a table", "Paste texts"):
        app.session_state["own_texts"] = tab
        app.run()
        assert not app.exception and has(app, "use_edited")


def paste(app, text):
    """Paste texts on the Start page and use them."""
    app.text_area(key="pasted").set_value(text)
    next(button for button in app.button if button.label == "Use these texts").click()
    return app.run()


def go_with_own_data(app, path):
    """Another page; AppTest has no URL to carry the choice of data there."""
    app.session_state["next_data"] = "mine"
    return app.switch_page(path).run()


@pytest.mark.parametrize("text", ["", "\n \n", "x" * 1_000_001], ids=["empty", "blank", "a text of 1 MB"])
def test_unusable_pastes_are_one_sentence_and_lose_nothing(app, text):
    """A paste that cannot be used is one error; the text stays in the box and the sample in use."""
    paste(app, text)
    assert not app.exception and len(app.error) == 1
    assert app.text_area(key="pasted").value == text
    assert app.selectbox(key="data").value == "sample"


def test_one_text_is_a_helpful_page(app):
    """One text has no neighbors: both pages say what to do."""
    paste(app, "only one")
    assert not app.exception and not app.error
    assert "Neighbors need at least two" in app.info[0].value
    go_with_own_data(app, "pages/explore/neighbors.py")
    assert not app.exception and "Neighbors need at least two" in app.info[0].value


@pytest.mark.parametrize(
    "text", ["a cat\na dog", "\n".join(["the same"] * 5), "?\n!\n...\n\U0001f408"], ids=["two", "same", "odd"]
)
def test_tiny_and_equal_texts_have_pages_without_exceptions(app, text):
    """Two texts, equal texts and symbols: every page shows charts or says why not; no chart holds a NaN."""
    app.checkbox(key="paste_duplicates").set_value(True)
    paste(app, text)
    assert not app.exception and not app.error
    for path in sorted((ROOT / "pages").rglob("*.py")):
        go_with_own_data(app, str(path.relative_to(ROOT)))
        assert not app.exception, path
        for part in each_part(app):
            assert not app.exception, (path, part)
            # A lesson asks before it shows anything, a report is a file, claims are a table.
            is_without = path.stem in ("workshop", "report", "claims")
            assert app.get("plotly_chart") or app.error or app.info or is_without, (path, part)
            assert not any("NaN" in chart.proto.spec for chart in app.get("plotly_chart")), (path, part)
        for button in [button for button in app.button if button.key in ("run_compare", "run_choose")]:
            button.click()
            again(app)
            assert not app.exception and app.get("plotly_chart"), path
        assert not any("NaN" in chart.proto.spec for chart in app.get("plotly_chart")), path


def test_the_pages_that_a_server_looks_at_first_are_there():
    """Addresses without a page would show an error to nobody."""
    addresses = {path.stem for path in (ROOT / "pages").rglob("*.py")}
    assert set(WARMED) == addresses - {"start", "mrl", "adaptive", "adaptor"}


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in sorted((ROOT / "pages").rglob("*.py"))])
def test_every_page_shows_the_sample(app, path):
    """Every page runs on the sample without an exception or an error, whatever tab of it is open."""
    app.switch_page(path).run()
    for part in each_part(app):
        assert not app.exception and not app.error, part
        assert app.title


@pytest.mark.parametrize(
    ("path", "n_charts"),
    [
        ("explore/quality", 4), ("decide/compare", 5), ("decide/choose", 5), ("train/mrl", 8), ("train/adaptive", 3),
        ("train/adaptor", 3),
    ],
)  # fmt: skip
def test_what_takes_long_has_a_finished_answer_for_the_sample(app, path, n_charts):
    """Charts are there on the first view, with nothing pressed and nothing begun; it can be asked for again."""
    app.switch_page(f"pages/{path}.py").run()
    assert not app.exception and not app.error and len(charts_of(app)) == n_charts
    assert "background_tasks" not in app.session_state or not app.session_state["background_tasks"]
    again = {"run_compare", "run_choose", "train_start", "train_heads", "fit_adaptor"}
    assert path == "explore/quality" or again & {button.key for button in app.button}


def test_umap_of_the_sample_is_there_at_once(app):
    """Its maps come with the sample."""
    app.switch_page("pages/explore/map.py").run()
    assert app.segmented_control(key="method").value == "UMAP"
    assert not app.exception and len(app.get("plotly_chart")) == 1 and not app.info


def test_a_bad_width_is_refused_and_k_and_focus_follow_the_data(app):
    """Widths that are no numbers or out of range are refused; the next good list is used."""
    for text in ("0", "9999", "abc", "8;16"):
        app.text_input(key="dims").set_value(text).run()
        assert not app.exception and "choose 1 to 256" in app.error[0].value
    app.text_input(key="dims").set_value("20, 40").run()
    assert not app.error and app.select_slider(key="focus").options == ["20", "40", "256"]


def test_every_integer_width_is_measured_on_request(app):
    """The toggle draws one point a width."""
    app.switch_page("pages/explore/neighbors.py").run()
    app.toggle(key="every_width").set_value(True).run(timeout=120)
    assert not app.exception and not app.error
    (curve,) = [
        trace
        for trace in json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
        if trace.get("name") == "overlap@10"
    ]
    assert curve["mode"] == "lines" and len(base64.b64decode(curve["x"]["bdata"])) == 256 * 2


def test_a_sample_without_labels_has_every_page(app):
    """The sample in which width binds: no page fails, and Task quality says that no width will do."""
    app.selectbox(key="data").set_value("sample:limit").run()
    assert "1,000 texts, 1,035 queries" in next(one for one in app.selectbox(key="data").options if "limit" in one)
    said_of_quality = []
    for path in sorted((ROOT / "pages").rglob("*.py")):
        app.switch_page(str(path.relative_to(ROOT)))
        again(app)
        for part in each_part(app):
            assert not app.exception and app.title, (path, part)
            if path.stem == "quality":
                said_of_quality += [one.value for one in (*app.caption, *app.markdown, *app.info)]
        # All queries hang together through their texts, so none can be held out from training.
        assert [one.value for one in app.error if "none can be held out" not in one.value] == [], path
    assert any("no width of this model will do" in words for words in said_of_quality)


def test_words_are_left_out_one_at_a_time_and_a_single_word_is_a_sentence(app):
    """A word for each column; a text of one word has its sentence, and what stands below it stays."""
    app.switch_page("pages/explore/anatomy.py").run()
    assert "brings these texts together most" in said(app) and "words" in charts_of(app)
    app.text_input(key="typed_sentence").set_value("Betelgeuse").run()
    assert not app.exception and not app.error and "words" not in charts_of(app)
    assert any("has 1 word between spaces" in info.value for info in app.info)
    assert "simulated here" in said(app)


def test_widths_between_the_trained_ones_have_their_verdict(app):
    """The sample's model was trained at five widths: a tab of Task quality measures between them."""
    app.switch_page("pages/explore/quality.py").run()
    choose_part(app, "Between trained widths")
    app.run()
    assert not app.exception and not app.error and "the largest deviation of ndcg@10" in said(app)
    assert any("between_widths(" in code for code in code_of(app))


def test_a_learnt_order_of_coordinates_is_a_line_beside_the_controls(app):
    """It is learnt beside the page; which coordinates come first is drawn, and the shown code learns it too."""
    app.switch_page("pages/explore/neighbors.py").run()
    app.pills(key="further_arrangements").set_value(["importance"])
    again(app)
    assert "most important coordinates" in said(app)
    assert any("learn_importance(" in code and "coordinate_order(" in code for code in code_of(app))


def test_what_changes_cosine_is_shown_beside_the_controls_on_request(app):
    """PCA, centred, and tempering at the strength chosen are lines of their own; the shown code measures them too."""
    app.switch_page("pages/explore/neighbors.py").run()
    assert "changes cosine" not in said(app)
    app.pills(key="further_arrangements").set_value(["centred", "tempered"]).run(timeout=120)
    app.slider(key="gamma").set_value(0.25).run(timeout=120)
    assert not app.exception and not app.error
    assert "centred changes cosine itself" in said(app) and "tempered:0.25 changes cosine itself" in said(app)
    assert any("'centred', 'tempered:0.25')" in code for code in code_of(app))
