"""Choose a dimension: memory and disk apart, and what "smallest" means."""

from tests.app.steps import again, opened, said

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
    parts = next(frame.value for frame in app.dataframe if "part" in frame.value.columns)
    names = list(parts["part"])
    assert "in memory: what is scanned" in names and "on disk: float32 copy to rerank from" in names
    assert names[-1] == "the plan in all"
    assert "in memory" in said(app)
