"""The choice of hybrid search on Task quality and Choose: with texts, and grey without them."""

import numpy as np
import pytest

from mrl_viz.data.corpus import corpus_from_vectors, with_qrels, with_queries
from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import Candidates
from mrl_viz.embedding.embedded import embed
from mrl_viz.tasks.evaluation import evaluate
from tests.app.steps import again, code_of, data_of, go, open_code, open_part, opened, said, started, tasks_of


@pytest.fixture(scope="module")
def few():
    """Sixty texts of the harder sample, with the queries and judgements that are left."""
    return read_corpus("sample:hard", limit=60)


def test_task_quality_is_measured_as_hybrid_on_request(few):
    """With the toggle fused curves stand beside those of the vectors, at the k chosen; the shown code makes them."""
    app = go(started(few).run(), "explore/quality")
    app.segmented_control(key="task").set_value("retrieval")
    again(app)
    assert "hybrid" not in said(app)
    app.toggle(key="quality_hybrid").set_value(True)
    again(app)
    assert app.number_input(key="quality_hybrid_k").value == 60
    app.number_input(key="quality_hybrid_k").set_value(5)
    again(app)
    assert not app.exception and not app.error and "1 / (5 + rank)" in said(app)
    expected = evaluate(embed(few), dims=[8, 16, 32, 64, 128, 256], task="retrieval", fusion_k=5)
    shown = dict(data_of(app, "quality").groupby("metric")["value"].apply(list))
    for name in ("hybrid ndcg@10", "ndcg@10"):
        np.testing.assert_allclose(shown[name], [one.value for one in expected.curves[name].value], atol=1e-9)
    assert app.multiselect(key="metrics_retrieval_hybrid").value == ["hybrid ndcg@10", "ndcg@10"]
    assert "fusion_k=5" in "".join(code_of(app))


def test_plans_are_chosen_as_hybrid_on_request(few):
    """With the toggle plans are measured by fused lists; what more vectors do, which is not, is left out in words."""
    app = go(started(few).run(), "decide/choose")
    app.selectbox(key="choose_metric").set_value("ndcg@10")
    again(app)
    app.toggle(key="choose_hybrid").set_value(True)
    again(app)
    app.button(key="run_choose").click()
    again(app)
    assert not app.exception and not app.error
    (measured,) = [task.result for task in tasks_of(app) if isinstance(task.result, Candidates)]
    assert (measured.metric, measured.fusion_k) == ("hybrid ndcg@10", 60)
    assert measured.takeaway() in said(app) and "1 / (60 + rank)" in said(app)
    open_part(app, "What more texts do")
    assert "measured of lists of vectors alone" in said(app)
    assert open_code(app)
    assert any("fusion_k=60" in block.value for block in again(app).code)


def test_vectors_without_texts_cannot_be_fused():
    """Where there are no words the toggle is grey and says why; everything else is as without it."""
    rows = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    vectors = with_queries(corpus_from_vectors(rows), corpus_from_vectors(rows[:6], unnamed="query"))
    vectors = with_qrels(vectors, {str(row): {str(row): 1} for row in range(6)})
    app = opened("explore/quality", vectors)
    toggle = app.toggle(key="quality_hybrid")
    assert toggle.disabled and "holds vectors without `texts`" in toggle.help
    assert app.get("plotly_chart")
    assert go(app, "decide/choose").toggle(key="choose_hybrid").disabled
