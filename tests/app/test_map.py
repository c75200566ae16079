"""Drawing UMAP: the button, the map, and the map that is kept."""

import json

from mrl_viz.data.corpus import corpus_from_texts
from tests.app.steps import again, has, opened

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
    animation, panels = (json.loads(chart.proto.spec) for chart in app.get("plotly_chart"))
    assert [frame["name"] for frame in animation["frames"]] == ["8", "32", "256"]
    assert len(panels["data"]) == 3 and "trustworthiness" in animation["layout"]["title"]["text"]
    again(app)  # the run that waited for it may have begun before the map was kept
    assert not has(app, "draw_umap")
    later = opened("explore/map", corpus)
    later.text_input(key="dims").set_value("8, 32")
    later.segmented_control(key="method").set_value("UMAP")
    again(later)
    assert not has(later, "draw_umap")
    assert json.loads(later.get("plotly_chart")[0].proto.spec)["data"] == animation["data"]
