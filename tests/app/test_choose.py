"""Choose a dimension: memory and disk apart, and what "smallest" means."""

import re
import threading

import pytest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.ui import choose
from tests.app.steps import again, code_of, once, open_part, opened, said, tasks_of

PAGE = "decide/choose"


def row_of(app, name):
    """The plan of a kind in the table of plans."""
    table = next(frame.value for frame in app.dataframe if "bytes in memory" in frame.value.columns)
    return table[table[""] == name].iloc[0]


def set_to(app, kind, key, value):
    getattr(app, kind)(key=key).set_value(value)
    again(app)
    assert not app.exception and not app.error


def test_smallest_is_least_memory_or_fewest_bytes_in_all():
    """The plan of least memory holds no more there than the smallest in all, which takes no more in all."""
    app = opened(PAGE)
    in_memory = row_of(app, "chosen")
    chart = next(part.proto for part in app.get("plotly_chart") if part.proto.id.endswith("-pareto"))
    assert "bytes per vector in memory" in chart.spec
    set_to(app, "segmented_control", "choose_smallest", "total")
    in_all = row_of(app, "chosen")
    assert in_memory["bytes in memory"] <= in_all["bytes in memory"]
    assert (
        in_all["bytes in memory"] + in_all["bytes on disk"] <= in_memory["bytes in memory"] + in_memory["bytes on disk"]
    )
    chart = next(part.proto for part in app.get("plotly_chart") if part.proto.id.endswith("-pareto"))
    assert "bytes per vector, memory and disk" in chart.spec


def test_a_budget_of_disk_leaves_out_what_is_reranked():
    """With next to no disk no chosen or next plan reranks; memory alone does not bind what lies on disk."""
    app = opened(PAGE)
    set_to(app, "select_slider", "choose_disk", 0.001)
    table = next(frame.value for frame in app.dataframe if "bytes in memory" in frame.value.columns)
    fitting = table[table[""].isin(["chosen", "runner-up"])]
    assert len(fitting) and (fitting["bytes on disk"] == 0).all()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Disk"] == "0 kB" and metrics["Memory"]
    set_to(app, "select_slider", "choose_disk", "no limit")
    set_to(app, "select_slider", "choose_memory", 0.001)
    assert "What binds: memory." in said(app)


def test_the_storage_table_tells_memory_from_disk():
    """What is scanned and what is reranked are rows of their own, and together they are the plan."""
    app = opened(PAGE)
    open_part(app, "Storage")
    parts = next(frame.value for frame in app.dataframe if "part" in frame.value.columns)
    names = list(parts["part"])
    assert "in memory: what is scanned" in names and "on disk: float32 copy to rerank from" in names
    assert names[-1] == "the plan in all"
    assert "in memory" in said(app)


@pytest.fixture
def measuring(monkeypatch):
    """Measuring every plan waits until it is let go; the first look does not."""
    go, measure = threading.Event(), choose.measure_candidates

    def held(vectors, *, progress, **options):
        while "kinds" not in options and not go.wait(0.01):
            progress(0, 1)
        return measure(vectors, progress=progress, **options)

    monkeypatch.setattr(choose, "measure_candidates", held)
    return go


def asked_of_own_texts():
    """The page of sixty texts, at its first look."""
    app = opened(PAGE, corpus_from_texts([f"{word} and {n} more" for n in range(30) for word in ("river", "bread")]))
    app.button(key="run_choose").click()
    once(app)
    (task,) = tasks_of(app)
    while task.draft is None:
        task.thread.join(0.01)
    once(app)
    assert not app.exception and not app.error
    return app, task


def test_a_first_answer_is_there_while_the_rest_is_measured(measuring):
    """Exact plans are chosen from at once, and it says so; in the end there are those that rerank as well."""
    app, task = asked_of_own_texts()
    assert task.is_running and choose.FIRST_LOOK in said(app)
    first = row_of(app, "chosen")
    assert first["bytes on disk"] == 0
    app.slider(key="choose_target").set_value(99)
    once(app)
    assert not app.exception and row_of(app, "chosen")["bytes in memory"] >= first["bytes in memory"]
    measuring.set()
    again(app)
    assert choose.FIRST_LOOK not in said(app) and app.slider(key="choose_target").value == 99
    assert len(task.result.plans) > len(task.draft.plans)


def test_the_first_answer_stays_after_a_stop(measuring):
    """Who stops has the answer of the exact plans and may measure again."""
    app, task = asked_of_own_texts()
    app.button(key=next(button.key for button in app.button if button.key.startswith("stop_"))).click()
    again(app)
    assert task.result is None
    assert "Stopped after" in said(app) and choose.FIRST_LOOK in said(app)
    assert row_of(app, "chosen")["bytes on disk"] == 0
    assert app.button(key="run_choose").label == "Measure again"


def verdict(app):
    """What the green box says."""
    (box,) = app.success
    return box.value.replace("\\", "")


def test_what_more_texts_do_stands_in_the_verdict():
    """The green box also says what is known at production size; where there is no more, it says nothing of it."""
    app = opened(PAGE)
    assert "1,000,000 texts: not known, the shortlist holds too much" in verdict(app)
    set_to(app, "toggle", "choose_rerank", False)
    assert re.search(r"With 1,000,000 texts( about \d+%, from \d+% to|: not known, anything from)", verdict(app))
    set_to(app, "select_slider", "choose_vectors", 1280)
    assert "texts about" not in verdict(app) and "not known" not in verdict(app)
    assert {metric.label: metric.value for metric in app.metric}["p95 expected"] == "under 1 ms"


def test_the_score_to_keep_results_from_stands_with_the_plan():
    """One line says the score and what full width's would let through; the record and the code have it too."""
    app = opened(PAGE)
    assert re.search(r"Score: keeping results from 0\.\d+ \[0\.\d+, 0\.\d+\] \(of 256 dims float32, by the", said(app))
    set_to(app, "toggle", "choose_rerank", False)
    set_to(app, "slider", "choose_target", 50)
    assert re.search(r"a query would get \d+ of 1,280 texts wrongly instead of 13", said(app))
    assert any("thresholds=thresholds" in code for code in code_of(app))
