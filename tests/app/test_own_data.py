"""One's own files: uploading them, what they say, labels that change, vectors that come with queries and judgements."""

import io

import numpy as np
import pytest

from mrl_viz.adaptor.report import AdaptorFit
from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_upload
from mrl_viz.embedding.embedded import embed
from mrl_viz.tasks.evaluation import evaluate
from tests.app.steps import again, data_of, go, has, opened, said, started, tasks_of

N_ITEMS, N_QUERIES, DIM = 240, 24, 32


def arrays():
    """Vectors of six topics, queries of the same topics, and judgements: a query's topic is what is relevant to it."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(6, DIM))
    rows = topics[np.arange(N_ITEMS) % 6] + 0.9 * rng.normal(size=(N_ITEMS, DIM))
    queries = topics[np.arange(N_QUERIES) % 6] + 0.9 * rng.normal(size=(N_QUERIES, DIM))
    return rows.astype(np.float32), queries.astype(np.float32)


QRELS = {str(n): {str(row): 1 for row in range(n % 6, N_ITEMS, 6)} for n in range(N_QUERIES)}


def npz(**named):
    """The content of an .npz file."""
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def qrels_lines():
    """The judgements as BEIR writes them."""
    lines = [f"{query}\t{row}\t{grade}" for query, grades in QRELS.items() for row, grade in grades.items()]
    return "\n".join(["query-id\tcorpus-id\tscore", *lines]).encode()


def upload(app, name, content, key="upload"):
    """Give a file to an uploader of the first page."""
    app.file_uploader(key=key).set_value((name, content, ""))
    app.run()
    assert not app.exception and not app.error
    return app


def used(app):
    """Press the button that makes the upload the session's data."""
    app.button(key="use_upload").click()
    app.run()
    assert not app.exception and not app.error and app.selectbox(key="data").value == "mine"
    return app.session_state["own_corpus"]


def csv(**columns):
    """The content of a table."""
    lines = [",".join(columns), *(",".join(cells) for cells in zip(*columns.values()))]
    return "\n".join(lines).encode()


WORDS = [f"{word} {n}" for n in range(30) for word in ("river", "bread", "tax", "song")]
TABLE = csv(
    text=WORDS,
    subject=[word.split()[0] for word in WORDS],
    parity=["odd" if int(word.split()[1]) % 2 else "even" for word in WORDS],
)


def test_an_uploaded_table_is_read_with_the_chosen_columns():
    """The columns are offered, the choice is read, and what was read is shown and used."""
    app = upload(started().run(), "mine.csv", TABLE)
    assert app.selectbox(key="text_column").value == "text"
    app.selectbox(key="label_column").set_value("subject").run()
    assert "Labels found: subject" in said(app)
    corpus = used(app)
    assert corpus == read_upload("mine.csv", TABLE, text_column="text", label_column="subject")
    assert "mine.csv" in app.selectbox(key="data").options


def quality_values(app):
    """The values of the first metric's curve at every width, as the table under the chart has them."""
    table = data_of(app, "quality")
    return dict(table.groupby("metric")["value"].apply(list))


def test_another_label_column_shows_its_own_curves():
    """The same file with another label column: the curves are the other column's, not those kept from before."""
    app, shown = started().run(), {}
    for column in ("subject", "parity", "subject"):
        go(app, "home/start")
        upload(app, "mine.csv", TABLE)
        app.selectbox(key="label_column").set_value(column).run()
        corpus = used(app)
        go(app, "explore/quality")
        assert not app.exception and not app.error
        found = quality_values(app)
        expected = evaluate(embed(corpus), dims=[8, 16, 32, 64, 128, 256], task="classification")
        assert list(found) and all(name.endswith(f":{column}") for name in found)
        for name, curve in expected.curves.items():
            np.testing.assert_allclose(found[name], [row["value"] for row in curve.rows()], atol=1e-9)
        assert shown.setdefault(column, found) == found
    assert shown["subject"] != shown["parity"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.csv", b"", "is empty"),
        ("notes.txt", b"\xff\xfe\x00", "notes.txt"),
        ("vectors.npy", b"\x80\x04K\x01.", "refused"),
    ],
    ids=["empty", "no text", "a pickle"],
)
def test_a_file_that_cannot_be_read_is_one_sentence(name, content, words):
    """An empty file, bytes that are no text, a pickle: one error, and the sample stays in use."""
    app = started().run()
    app.file_uploader(key="upload").set_value((name, content, "")).run()
    assert not app.exception and len(app.error) == 1 and words in said(app)
    assert app.selectbox(key="data").value == "sample" and not has(app, "use_upload")


def everything():
    """One .npz with vectors, labels and query vectors."""
    rows, queries = arrays()
    return npz(embeddings=rows, queries=queries, labels=np.array([f"topic {n % 6}" for n in range(N_ITEMS)]))


def test_vectors_with_query_vectors_and_judgements_get_what_texts_get():
    """An .npz of vectors and queries, and judgements: search, task quality, choosing, comparing, an adaptor."""
    rows, queries = arrays()
    app = upload(started().run(), "theirs.npz", everything())
    upload(app, "qrels.tsv", qrels_lines(), "upload_qrels")
    assert f"{N_QUERIES} queries, {N_QUERIES} of them judged" in said(app)
    corpus = used(app)
    assert dict(corpus.qrels) == QRELS
    np.testing.assert_array_equal(corpus.query_embeddings, queries)

    go(app, "explore/search")
    assert not app.exception and not app.error
    assert f"Measured with {N_QUERIES} of your data's own queries" in said(app)
    app.selectbox(key="own_query").set_value(5)
    again(app)
    best = int((rows @ queries[5] / np.linalg.norm(rows, axis=1)).argmax())
    results = next(table.value for table in app.dataframe if "rank" in table.value.columns)
    assert results[f"{DIM} dims"][0].endswith(f" vector {best}")

    go(app, "explore/quality")
    assert not app.exception and not app.error
    expected = evaluate(embed(corpus), dims=[8, 16, 32], task="retrieval").curves["ndcg@10"]
    np.testing.assert_allclose(quality_values(app)["ndcg@10"], [row["value"] for row in expected.rows()], atol=1e-9)

    go(app, "decide/choose")
    app.selectbox(key="choose_metric").set_value("ndcg@10")
    again(app)
    app.button(key="run_choose").click()
    again(app)
    assert not app.exception and not app.error
    assert f"ndcg@10 of {N_QUERIES} queries on {N_ITEMS} texts" in said(app)

    go(app, "decide/compare")
    app.file_uploader(key="compared_vectors").set_value(
        ("narrow.npz", npz(embeddings=rows[:, :16].copy(), queries=queries[:, :16].copy()), "")
    )
    again(app)
    app.button(key="run_compare").click()
    again(app)
    assert not app.exception and not app.error and "ndcg@10" in said(app)

    go(app, "train/adaptor")
    app.toggle(key="adaptor_judged").set_value(True)
    again(app)
    app.button(key="fit_adaptor").click()
    again(app)
    fit = next(task for task in tasks_of(app) if isinstance(task.result, AdaptorFit))
    assert fit.error is None and fit.result.n_held_out_queries
    assert not app.exception and not app.error and "Ranking quality" in " ".join(h.value for h in app.subheader)


def test_search_adaptor_says_which_weights_it_kept(monkeypatch):
    """Chosen on the page, Search-Adaptor is fitted on the judgements, and its weights are shown beside how it went."""
    monkeypatch.setattr("mrl_viz.adaptor.fit.RECOVERY_WEIGHTS", (0.1,))  # one network instead of nine
    monkeypatch.setattr("mrl_viz.adaptor.fit.PREDICTION_WEIGHTS", (0.01,))
    app = upload(started().run(), "theirs.npz", everything())
    upload(app, "qrels.tsv", qrels_lines(), "upload_qrels")
    go(app, "train/adaptor")
    app.selectbox(key="adaptor_method").set_value("search")
    again(app)
    assert not [toggle for toggle in app.toggle if toggle.key == "adaptor_judged"]
    app.button(key="fit_adaptor").click()
    again(app)
    fit = next(task for task in tasks_of(app) if isinstance(task.result, AdaptorFit)).result
    assert fit.weights == (0.1, 0.01) and fit.weights_takeaway() in said(app).replace("\\", "")
    assert not app.exception and not app.error


def test_queries_of_a_file_of_their_own_search_the_texts():
    """Texts with a file of queries: they are embedded and searched with, and judged when judgements are given too."""
    app = upload(started().run(), "mine.csv", TABLE)
    upload(app, "asked.txt", b"what about bread\nwhich tax\n", "upload_queries")
    upload(app, "judged.tsv", b"0\t1\t1\n1\t2\t2\n", "upload_qrels")
    corpus = used(app)
    assert corpus.query_texts == ("what about bread", "which tax") and dict(corpus.qrels) == {
        "0": {"1": 1},
        "1": {"2": 2},
    }
    go(app, "explore/search")
    assert not app.exception and "Measured with 2 of your data's own queries" in said(app)


@pytest.mark.parametrize(
    ("key", "name", "content", "words"),
    [
        ("upload_queries", "wide.npy", None, "coordinates"),
        ("upload_qrels", "qrels.tsv", b"nobody\tnothing\t1\n", "none names a query and a text"),
    ],
    ids=["another width", "unknown ids"],
)
def test_queries_and_judgements_that_do_not_fit_are_one_sentence(key, name, content, words):
    """Query vectors of another width, or judgements of other data: one error, and all is well without the file."""
    if content is None:
        file = io.BytesIO()
        np.save(file, np.ones((3, 7), dtype=np.float32))
        content = file.getvalue()
    app = upload(started().run(), "theirs.npz", everything())
    app.file_uploader(key=key).set_value((name, content, "")).run()
    assert not app.exception and len(app.error) == 1 and words in said(app)
    app.file_uploader(key=key).clear().run()
    assert not app.exception and not app.error and has(app, "use_upload")


def test_nothing_can_be_typed_to_search_vectors():
    """Ready vectors come without a model, so nothing can be typed: their own queries and texts are searched with."""
    app = opened("explore/search", read_upload("theirs.npz", everything()))
    assert not any(box.key == "query" for box in app.text_input)
    assert app.selectbox(key="own_query").options[0] == "query 0"


def test_sliders_keep_their_values_on_other_pages_and_fit_other_data():
    """k and the focus width stay when the page changes; with fewer texts k is as large as they allow."""
    app = started().run()
    app.slider(key="k").set_value(20).run()
    app.select_slider(key="focus").set_value(32).run()
    for page in ("explore/neighbors", "explore/search"):
        go(app, page)
        assert (app.slider(key="k").value, app.select_slider(key="focus").value) == (20, 32)
    app.session_state["own_corpus"] = read_upload("mine.txt", "\n".join(WORDS[:12]).encode())
    go(app, "explore/neighbors")
    assert (app.slider(key="k").value, app.select_slider(key="focus").value) == (11, 32)


def test_fits_and_comparisons_are_there_after_a_reload():
    """A new session with the same texts finds what was fitted and compared; with one text more it finds nothing."""
    texts = [f"{word}, number {n}" for n in range(100) for word in ("a river", "some bread")]
    shown = {}

    def looked_at(page, texts):
        app = opened(page, corpus_from_texts(texts))
        if page == "train/adaptor":
            app.selectbox(key="adaptor_method").set_value("svd")
            again(app)
        return app

    for page, button in {"train/adaptor": "fit_adaptor", "decide/compare": "run_compare"}.items():
        app = looked_at(page, texts)
        assert app.button(key=button).label.endswith("on 200 texts")
        app.button(key=button).click()
        again(app)
        (shown[page],) = [task.result.takeaway() for task in tasks_of(app)]
    for page, takeaway in shown.items():
        app = looked_at(page, texts)
        assert takeaway in said(app) and not tasks_of(app)
        other = looked_at(page, [*texts, "one more"])
        assert takeaway not in said(other) and "on 201 texts" in " ".join(button.label for button in other.button)
