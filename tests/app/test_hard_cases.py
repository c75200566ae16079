"""Task quality's hard cases: few examples with a long tail and a twin, changed texts, labels that cannot judge."""

import csv
import io
import json
from contextlib import redirect_stdout

import numpy as np
import plotly.graph_objects as go
import pytest

from mrl_viz.data.corpus import corpus_from_vectors
from mrl_viz.data.reading import read_corpus, read_upload
from mrl_viz.embedding.embedded import embed
from mrl_viz.tasks.long_tail import long_tail
from mrl_viz.tasks.robustness import robustness
from tests.app.steps import again, code_of, data_of, open_part, opened, parts_of, said, started
from tests.app.steps import go as go_to

WORDS = ("alder", "birch", "cedar", "daisy", "elder", "fern", "ginger", "hazel", "iris")
TEXTS = [" ".join(np.random.default_rng(row).choice(WORDS, 5)) + f" {row}" for row in range(60)]


def table(head, rows):
    """A user's file."""
    file = io.StringIO()
    csv.writer(file).writerows([head, *rows])
    return read_upload("mine.csv", file.getvalue().encode())


def shown(app, key):
    """The figure under that key, as plotly gets it."""
    (chart,) = [chart for chart in app.get("plotly_chart") if chart.proto.id.endswith(f"-{key}")]
    return json.loads(chart.proto.spec)


def drawn_again(app, monkeypatch):
    """What the page's code draws and prints."""
    code, *others = dict.fromkeys(code_of(app))
    assert not others
    figures, printed = [], io.StringIO()
    monkeypatch.setattr(go.Figure, "show", lambda figure: figures.append(json.loads(figure.to_json())))
    with redirect_stdout(printed):
        exec(compile(code, "shown", "exec"), {})
    return figures, printed.getvalue().splitlines()


def test_few_examples_of_pictures_are_told_beside_the_plain_twin(monkeypatch):
    """Digits: head, tail and added classes with what they gain against the twin's vectors of the same pictures; the
    code draws it again, with the other rule too, and says pictures."""
    app = started().run()
    app.selectbox(key="data").set_value("sample:digits").run()
    app.session_state["quality_tab"] = "Few examples"
    go_to(app, "explore/quality")
    assert parts_of(app) == ["By task", "Few examples", "Changed pictures", "Between trained widths"]
    app.segmented_control(key="tail_by").set_value("example")
    again(app)
    assert not app.exception and not app.error
    digits, plain = (embed(read_corpus(f"sample:digits{end}")) for end in ("", "-plain"))
    expected = long_tail(digits, dims=(2, 4, 8, 16, 32), by="example", twin=plain)
    assert expected.takeaway_at(64) in said(app) and "held out from the training of these vectors" in said(app)
    table = data_of(app, "long_tail")
    assert table["minus twin"].tolist() == pytest.approx([row["minus twin"] for row in expected.rows()])
    figure = shown(app, "long_tail")
    names = ["head: 8 to 3 examples", "tail: 1 example", "added later: 3 examples"]
    assert list(dict.fromkeys(trace["name"] for trace in figure["data"])) == names
    figures, printed = drawn_again(app, monkeypatch)
    assert [one["data"] for one in figures] == [figure["data"]] and printed == [expected.takeaway_at(64)]


def test_vectors_without_a_model_say_what_cannot_be_changed():
    """Ready vectors: one sentence in that tab, and every other tab stays; a corpus of pictures says pictures."""
    rows = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    corpus = corpus_from_vectors(rows, labels={"kind": [f"c{row % 8}" for row in range(40)]})
    app = opened("explore/quality", corpus)
    open_part(app, "Changed texts")
    (info,) = app.info
    assert info.value.startswith("These texts came as ready vectors, and no model here can embed a changed one")
    assert not app.exception and not app.error and not app.get("plotly_chart")
    open_part(app, "Few examples")
    assert not app.exception and not app.error and shown(app, "long_tail")["data"]


def test_changed_texts_are_measured_for_every_change():
    """Scored pairs: each way to change them has its figure, sentence and records; a paraphrase is judged by no task."""
    pairs = read_corpus("sample_data/pairs.csv")
    app = opened("explore/quality", pairs)
    open_part(app, "Changed texts")
    vectors = embed(pairs)
    for change in ("typos", "dropped words", "paraphrases", "another domain"):
        app.segmented_control(key="change").set_value(change)
        again(app)
        assert not app.exception and not app.error
        expected = robustness(vectors, change, dims=(8, 16, 32, 64, 128), foreign=read_corpus("sample"))
        assert expected.takeaway_at(64) in said(app)
        assert data_of(app, "robustness")["found"].tolist() == pytest.approx([row["found"] for row in expected.rows()])
        titles = [note["text"] for note in shown(app, "robustness")["layout"]["annotations"]]
        assert titles == {
            "paraphrases": ["own original"], "another domain": ["own texts nearest"],
        }.get(change, ["own original", "spearman kept"])  # fmt: skip


@pytest.mark.parametrize(
    ("head", "rows", "words", "changed_words"),
    [
        (
            ("text", "label"), [(text, "same") for text in TEXTS],
            "`label` has one class only; classification needs two classes with two texts or more.",
            "No task is judged: `label` has one class",
        ),
        (
            ("text", "label"), [(text, f"c{row}") for row, text in enumerate(TEXTS)],
            "`label` has 60 classes, 0 of them with two texts or more", "No task is judged: `label` has 60 classes",
        ),
        (
            ("sentence1", "sentence2"), [*zip(TEXTS[:30], TEXTS[30:])],
            "Task quality needs labels: queries with relevance judgements (a BEIR folder), sentence pairs with scores",
            "find a text's own original first",
        ),
        (
            ("sentence1", "sentence2", "score"), [(*both, 3) for both in zip(TEXTS[:30], TEXTS[30:])],
            "`scores` are all 3; a correlation needs at least two different scores.",
            "No task is judged: `scores` are all 3",
        ),
    ],
    ids=["one class", "classes of one", "no scores", "one score"],
)  # fmt: skip
def test_labels_that_cannot_judge_are_one_sentence(head, rows, words, changed_words):
    """One class, classes of one text, pairs without scores or all of one: a sentence, and changed texts are measured
    all the same; none has a long tail."""
    app = started(table(head, rows)).run()
    go_to(app, "explore/quality")
    assert not app.exception and words in said(app) and "Few examples" not in parts_of(app)
    open_part(app, "Changed texts")
    assert not app.exception and not app.error and shown(app, "robustness")["data"] and changed_words in said(app)


def test_one_class_of_a_single_text_in_the_tail_is_left_out_and_said():
    """The others are drawn from; what is left out is counted."""
    labels = [f"c{row % 6}" for row in range(59)] + ["alone"]
    app = opened("explore/quality", table(("text", "label"), list(zip(TEXTS, labels))))
    open_part(app, "Few examples")
    assert not app.exception and not app.error and shown(app, "long_tail")["data"]
    assert "`label`: 1 texts alone in their class are left out." in said(app)


def test_ten_thousand_classes_leave_the_page_usable():
    """Both tabs measure a seeded sample of the classes and say so."""
    codes = np.repeat(np.arange(10_000), 2)
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((10_000, 4))[codes] + 0.1 * rng.standard_normal((20_000, 4))).astype(np.float32)
    corpus = corpus_from_vectors(rows, labels={"kind": [f"c{code}" for code in codes]})
    app = started(corpus).run()
    go_to(app, "explore/quality")
    assert not app.exception and not app.error
    assert "classifiers and silhouette are measured on a sample of 200 classes, 400 texts; neighbors on all" in said(
        app
    )
    open_part(app, "Few examples")
    assert not app.exception and not app.error and shown(app, "long_tail")["data"]
    assert "a seeded sample of 200 of 10,000 classes is used, 400 texts" in said(app)
