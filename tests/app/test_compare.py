"""Compare models: any model of the sidebar is an option, and files of vectors are compared like models."""

import io

import numpy as np
import pytest

from mrl_viz.comparison import compare_models
from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors, with_retrieval, with_texts
from mrl_viz.embedding.embedded import embed
from tests.app.steps import again, go, has, opened, said, started
from tests.tiny_model import save_tiny_model, tiny_texts

PAGE = "decide/compare"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model as training and adapting leave one: a folder."""
    return str(save_tiny_model(tmp_path_factory.mktemp("model") / "trained"))


def labelled():
    """48 texts of four topics."""
    texts, labels = tiny_texts()
    return corpus_from_texts(texts, name="words", labels={"topic": labels})


def test_a_local_folder_of_the_sidebar_is_compared(folder):
    """With a folder for a model the page offers it, has it chosen, and compares it; later it is still an option."""
    app = opened(PAGE, labelled(), folder)
    assert app.multiselect(key="compared_models").value == [folder, "wordllama"]
    app.button(key="run_compare").click()
    again(app)
    assert not app.exception and not app.error and len(app.get("plotly_chart")) == 3
    go(app, PAGE, "wordllama")
    assert not app.exception and folder in app.multiselect(key="compared_models").options
    assert folder in app.selectbox(key="model").options


@pytest.mark.parametrize("model", ["nobody/such-a-model", "openai:some-model"])
def test_a_name_that_cannot_be_used_is_a_sentence(model, monkeypatch):
    """A Hub name without a Hub, or an API that the owner does not allow: one error, no traceback, and back again."""
    monkeypatch.delenv("MRL_VIZ_ALLOW_API", raising=False)
    app = opened(PAGE, labelled())
    app.multiselect(key="compared_models").set_value(["wordllama", model])
    again(app)
    if has(app, "run_compare"):
        app.button(key="run_compare").click()
        again(app)
    assert not app.exception and len(app.error) == 1 and model in said(app)
    app.multiselect(key="compared_models").set_value(["wordllama", "all-MiniLM-L6-v2"])
    again(app)
    assert not app.exception and not app.error and has(app, "run_compare")


def vectors(full_dim, seed, n_items=60):
    """Vectors around four topics, as .npy content."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(4, full_dim))[np.arange(n_items) % 4] + 0.7 * rng.normal(size=(n_items, full_dim))
    return rows.astype(np.float32)


def saved(array):
    """The content of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_files_of_vectors_are_compared_with_ready_vectors():
    """Ready vectors and two files of other models' vectors for the same texts: what is said is `compare_models`'."""
    texts = [f"text {n}" for n in range(60)]
    topics = {"topic": [f"topic {n % 4}" for n in range(60)]}
    corpus = corpus_from_vectors(vectors(32, 0), texts=texts, labels=topics, name="first.npy")
    app = opened(PAGE, corpus)
    assert "Upload vectors of another model" in said(app) and not has(app, "run_compare")
    others = {"second.npy": vectors(16, 1), "third.npy": vectors(8, 2)}
    app.file_uploader(key="compared_vectors").set_value([(name, saved(rows), "") for name, rows in others.items()])
    again(app)
    app.button(key="run_compare").click()
    again(app)
    assert not app.exception and not app.error and len(app.get("plotly_chart")) == 3
    given = [corpus, *(with_texts(corpus_from_vectors(rows, name=name), texts) for name, rows in others.items())]
    expected = compare_models([embed(one) for one in given], k=10)
    assert expected.takeaway() in said(app)
    shown = next(table.value for table in app.dataframe if "full_dim" in table.value.columns)
    assert list(shown["name"]) == ["first.npy", "second.npy", "third.npy"]


def test_a_file_of_vectors_is_compared_with_models_of_texts():
    """Vectors from elsewhere for the texts at hand stand beside a model that embeds them here."""
    corpus = labelled()
    app = opened(PAGE, corpus)
    app.multiselect(key="compared_models").set_value(["wordllama"])
    app.file_uploader(key="compared_vectors").set_value(("elsewhere.npy", saved(vectors(32, 0, 48)), ""))
    again(app)
    app.button(key="run_compare").click()
    again(app)
    assert not app.exception and not app.error and "elsewhere.npy" in said(app)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("short.npy", saved(np.ones((47, 4), dtype=np.float32)), "48 texts"),
        ("words.parquet", b"PAR1 and nothing more", "parquet"),
    ],
    ids=["another number", "damaged"],
)
def test_vectors_that_do_not_fit_are_a_sentence(name, content, words):
    """Another number of vectors than texts, or a damaged file: one error, and the page is there again without it."""
    app = opened(PAGE, labelled())
    app.file_uploader(key="compared_vectors").set_value((name, content, ""))
    again(app)
    assert not app.exception and len(app.error) == 1 and words in said(app)
    app.file_uploader(key="compared_vectors").clear()
    again(app)
    assert not app.exception and not app.error and has(app, "run_compare")


def test_one_text_or_query_side_by_side():
    """Where queries were compared one chooses a query, else the selected text; both show every model's neighbors."""
    asked = {"a": "moon and sun", "b": "salt in the soup", "c": "a bank loan"}
    for corpus, what in ((with_retrieval(labelled(), asked, {}, {}), "query"), (labelled(), "text")):
        app = opened(PAGE, corpus)
        app.button(key="run_compare").click()
        again(app)
        if what == "query":
            app.selectbox(key="side_query").set_value(2)
            again(app)
        assert not app.exception and not app.error and f"neighbors of this {what}" in said(app)


def test_a_model_made_in_this_session_is_an_option(folder):
    """What training or adapting left in the session is offered beside the catalogue."""
    app = started()
    app.session_state["used_models"] = [folder, folder + "-deleted"]
    go(app.run(), PAGE)
    assert folder in app.multiselect(key="compared_models").options
    assert folder + "-deleted" not in app.multiselect(key="compared_models").options
