"""Bits or width: the section of Choose a dimension, at hand for the sample and measured for one's own texts."""

from mrl_viz.comparison.precision import compare_precisions
from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.ui.precision import TITLE
from tests.app.steps import again, code_of, go, open_part, opened, said

PAGE = "decide/choose"


def of_the_section(app):
    """The rows of the table of what so many bytes can hold."""
    tables = [part.value for part in app.dataframe]
    (table,) = [rows for rows in tables if {"dims", "code", "arrangement", "kept"} <= set(rows.columns)]
    return table


def asks_for_bytes(app):
    """Whether the section has its slider, which comes with an answer."""
    return any(slider.key == "precision_bytes" for slider in app.select_slider)


def test_the_samples_answer_is_at_hand_and_follows_the_bytes():
    """Nothing is measured: sentence and table are of 64 bytes, then of the size that is chosen."""
    app = opened(PAGE)
    open_part(app, TITLE)
    assert TITLE in [part.value for part in app.subheader]
    assert "background_tasks" not in app.session_state or not app.session_state["background_tasks"]
    sentences = {}
    for size in (64, 16, 256):
        app.select_slider(key="precision_bytes").set_value(size)
        again(app)
        assert not app.exception and not app.error
        (sentences[size],) = [line for line in said(app).split("\n") if line.startswith(f"**{size} bytes a vector:")]
        rows = of_the_section(app)
        assert (rows["bytes"] <= size).all() and rows["kept"].is_monotonic_decreasing
        assert f"{rows['dims'][0]} dims {rows['code'][0]}" in sentences[size]
    assert len(set(sentences.values())) == 3
    assert "RaBitQ or TurboQuant, in equal bytes on these vectors:" in said(app)


def test_compare_has_the_section_of_the_model_in_the_sidebar():
    """The same answer at hand, on the page of models and bytes, with code that measures it."""
    app = opened("decide/compare")
    assert asks_for_bytes(app) and not app.exception
    assert said(app).count("RaBitQ or TurboQuant, in equal bytes") == 1
    (code,) = [block for block in code_of(app) if "compare_precisions" in block]
    assert "figures.kept_per_byte(precisions)" in code and "figures.width_by_bits(precisions)" in code


def test_the_arrangement_changes_the_picture_and_not_the_sentence():
    """The line of a code is the arrangement's; what is best of all stays."""
    app = opened(PAGE)
    open_part(app, TITLE)
    before = said(app)
    specs = [chart.proto.spec for chart in app.get("plotly_chart")]
    app.segmented_control(key="precision_arrangement").set_value("svd")
    again(app)
    assert not app.exception and said(app) == before
    assert [chart.proto.spec for chart in app.get("plotly_chart")] != specs


def test_own_texts_are_measured_when_asked():
    """Before the button the page says what it costs; after it the sentence is `compare_precisions`' own."""
    sample = read_corpus("sample")
    corpus = corpus_from_texts(sample.texts[:60], name="few texts")
    app = opened(PAGE, corpus)
    app.button(key="run_choose").click()
    again(app)
    open_part(app, TITLE)
    assert "Every width is searched in every code" in said(app) and not asks_for_bytes(app)
    app.button(key="run_precision").click()
    again(app)
    assert not app.exception and not app.error and asks_for_bytes(app)
    expected = compare_precisions(embed(corpus))
    assert expected.takeaway(64) in said(app)
    assert all(note in said(app) for note in expected.notes)


def test_an_adaptor_of_the_session_is_measured_when_asked():
    """One that was only looked at takes no answer away; asked for it is an arrangement, in the code too."""
    app = opened("train/adaptor")
    go(app, "decide/compare")
    assert asks_for_bytes(app) and app.segmented_control(key="precision_arrangement").options == ["prefix", "svd"]
    app.session_state["dims"] = "16, 64"
    app.toggle(key="precision_adaptor").set_value(True)
    again(app)
    assert not asks_for_bytes(app)
    app.button(key="run_precision").click()
    again(app)
    assert not app.exception and not app.error
    assert app.segmented_control(key="precision_arrangement").options[2:] == ["adaptor"]
    (code,) = [block for block in code_of(app) if "compare_precisions" in block]
    assert "arrangements=('prefix', 'svd', Adaptor.load(\"adaptor\").arrangement())" in code
    compile(code, "shown", "exec")
