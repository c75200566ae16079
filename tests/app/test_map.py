"""Drawing UMAP: the button, the map, and the map that is kept."""

import json

from mrl_viz.analysis import analyse
from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from tests.app.steps import again, has, open_part, opened

TEXTS = [f"{subject} number {n}" for n in range(8) for subject in ("a river", "some bread", "the tax")]


def test_umap_is_drawn_once_and_kept():
    """Nothing is drawn before the button; then every width has its points, and a second visit finds the map at once."""
    corpus = corpus_from_texts(TEXTS)
    app = opened("explore/map", corpus)
    app.text_input(key="dims").set_value("8, 32")
    app.segmented_control(key="method").set_value("UMAP")
    again(app)
    assert not app.exception and not app.error
    assert "UMAP draws 6 maps of 24 texts" in app.info[0].value and not app.get("plotly_chart")
    app.button(key="draw_umap").click()
    again(app)
    assert not app.exception and not app.error
    (animation,) = (json.loads(chart.proto.spec) for chart in app.get("plotly_chart"))
    assert [frame["name"] for frame in animation["frames"] if "baseframe" in frame] == ["8", "32", "256"]
    open_part(app, "Side by side")
    panels = json.loads(app.get("plotly_chart")[1].proto.spec)
    assert len(panels["data"]) == 3 and "trustworthiness" in animation["layout"]["title"]["text"]
    again(app)  # the run that waited for it may have begun before the map was kept
    assert not has(app, "draw_umap")
    later = opened("explore/map", corpus)
    later.text_input(key="dims").set_value("8, 32")
    later.segmented_control(key="method").set_value("UMAP")
    again(later)
    assert not has(later, "draw_umap")
    assert json.loads(later.get("plotly_chart")[0].proto.spec)["data"] == animation["data"]


def chart_of(app):
    """The moving map's name for a browser and what it says of its width."""
    chart = app.get("plotly_chart")[0].proto
    return chart.id, json.loads(chart.spec)["layout"]["title"]["text"]


def together(app):
    """What goes to the chart in the browser: the width to show, and the selected texts' frames."""
    return json.loads(app.get("bidi_component")[0].proto.json)


def test_the_map_and_the_focus_width_move_each_other():
    """A moved width, a played one and a selected text go to the chart that is there: no other one is sent."""
    app = opened("explore/map")
    chart, title = chart_of(app)
    assert "64 dims" in title and together(app)["width"] == "64"
    app.select_slider(key="focus").set_value(32)
    again(app)
    assert chart_of(app) == (chart, title) and together(app)["width"] == "32"
    app.session_state["selection"] = (5,)
    again(app)
    assert chart_of(app) == (chart, title)
    near = together(app)["frames"][2]["data"][0]
    sweep = analyse(embed(read_corpus("sample"), queries=()), dims=(32, 256), k=10).sweep
    assert near["customdata"][1::3] == sweep.indices[0, 5].tolist()
    assert len(json.dumps(together(app))) < 50_000


def test_umap_comes_first_where_it_is_at_hand():
    """The sample's map is UMAP while there is one for the widths and k; other data, and another k, have PCA at once."""
    app = opened("explore/map")
    assert app.segmented_control(key="method").value == "UMAP"
    app.slider(key="k").set_value(5)
    again(app)
    assert app.segmented_control(key="method").value == "PCA" and app.get("plotly_chart") and not app.info
    app.slider(key="k").set_value(10)
    again(app)
    assert app.segmented_control(key="method").value == "UMAP"
    assert opened("explore/map", corpus_from_texts(TEXTS)).segmented_control(key="method").value == "PCA"
