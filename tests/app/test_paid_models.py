"""A paid model is asked nothing before somebody agreed to pay, and nothing twice."""

import pytest

from mrl_viz.adaptor.report import AdaptorFit
from mrl_viz.data.corpus import corpus_from_texts, with_retrieval
from mrl_viz.embedding.encoders import load_encoder
from tests.app.steps import again, go, has, once, opened, said, started, tasks_of
from tests.embedding_server import make_endpoint, serving

PAID = "openai:wordllama"
TEXTS = [f"note {n} about {topic}" for n in range(80) for topic in ("rivers", "bread", "tax")]
QUERIES = {f"q{n}": f"something on {('rivers', 'bread', 'tax')[n % 3]}, number {n}" for n in range(12)}


@pytest.fixture(scope="module")
def running():
    with serving(load_encoder()) as server:
        yield server


@pytest.fixture
def server(running, monkeypatch, tmp_path):
    """The endpoint of a machine whose owner allows paid models, with an empty store."""
    make_endpoint(running, monkeypatch)
    monkeypatch.setenv("MRL_VIZ_ALLOW_API", "1")
    monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path))
    yield running
    running.released.set()


def judged(name="notes"):
    """240 texts with 12 queries, each judged for the texts of its topic, and a label column."""
    corpus = corpus_from_texts(TEXTS, name=name, labels={"number": [str(n % 8) for n in range(len(TEXTS))]})
    qrels = {query: {str(row): 1 for row in range(n % 3, len(TEXTS), 3)} for n, query in enumerate(QUERIES)}
    return with_retrieval(corpus, QUERIES, qrels, {})


def sent(server):
    """Every text that the server was sent, in order."""
    return [text for body in server.bodies for text in body["input"]]


def agreed(corpus):
    """The app after the press that agrees to pay."""
    app = started(corpus).run()
    go(app, "home/start", PAID)
    app.button(key=f"agree {PAID}").click()
    again(app)
    assert not app.exception and not app.error
    return app


def test_nothing_is_sent_before_the_press_and_the_question_counts_texts_and_queries(server):
    """Every page asks first, with the counts of texts and queries and the price, and stays at that."""
    app = started(judged()).run()
    for page in ("home/start", "explore/quality", "explore/search", "decide/choose", "decide/compare", "train/adaptor"):
        go(app, page, PAID)
        assert not app.exception and not app.error
        assert has(app, f"agree {PAID}") and not app.title
        assert "240 texts" in said(app) and "12 queries" in said(app)
        app.number_input(key=f"price {PAID}").set_value(10.0)
    assert sent(server) == []


def test_the_owner_must_allow_paid_models(server, monkeypatch):
    """Without MRL_VIZ_ALLOW_API nobody is even asked."""
    monkeypatch.delenv("MRL_VIZ_ALLOW_API")
    app = go(started(judged()).run(), "explore/search", PAID)
    assert "MRL_VIZ_ALLOW_API=1" in said(app) and len(app.error) == 1 and not has(app, f"agree {PAID}")
    assert sent(server) == []


def test_no_takes_the_default_model(server):
    """A no sends nothing and shows the page with the model that is free."""
    app = go(started(judged()).run(), "explore/search", PAID)
    app.button(key=f"refuse {PAID}").click()
    again(app)
    assert not app.exception and not app.error and app.title
    assert app.selectbox(key="model").value == "wordllama"
    assert sent(server) == []


def test_yes_sends_each_text_once_and_each_query_when_it_is_needed(server):
    """After the press the texts are sent, queries by the pages that search; nothing twice on reruns and other pages."""
    app = agreed(judged())
    assert sorted(text for text in sent(server) if text != "width") == sorted(TEXTS)
    for page, button in (
        ("explore/neighbors", None), ("explore/quality", None), ("explore/search", None),
        ("decide/choose", "run_choose"), ("train/adaptor", "fit_adaptor"),
    ):  # fmt: skip
        go(app, page, PAID)
        assert not app.exception and not app.error and not has(app, f"agree {PAID}"), page
        if button is not None:
            if button == "run_choose":
                app.selectbox(key="choose_metric").set_value("ndcg@10")
            else:
                app.toggle(key="adaptor_judged").set_value(True)
            again(app)
            app.button(key=button).click()
            once(app)
            for task in tasks_of(app) if button == "fit_adaptor" else ():
                task.watchers.clear()  # as Stop does; the best so far is the fit
            again(app)
            assert not app.exception and not app.error
        expected = TEXTS if page == "explore/neighbors" else [*TEXTS, *QUERIES.values()]
        for _ in range(2):
            again(app)
            assert sorted(text for text in sent(server) if text != "width") == sorted(expected), page
    (fit,) = [task for task in tasks_of(app) if isinstance(task.result, AdaptorFit)]
    assert fit.error is None and fit.result.n_held_out_queries
    assert not any(task.error for task in tasks_of(app))


def test_a_typed_search_is_sent_once(server):
    """A typed query is sent when it is typed, and not again when something else on the page moves."""
    app = agreed(judged())
    go(app, "explore/search", PAID)
    before = len(sent(server))
    for typed in ("a loaf of bread", "", "a loaf of bread"):
        app.text_input(key="query").set_value(typed)
        again(app)
        app.select_slider(key="focus").set_value(32)
        again(app)
        assert not app.exception and sent(server)[before:] == ["a loaf of bread"]


def test_a_yes_holds_for_those_data_and_that_model_only(server):
    """Other data or another width of the model are asked for again, before anything more is sent."""
    app = agreed(judged())
    before = len(server.bodies)
    go(app, "explore/neighbors", f"{PAID}@64")
    assert has(app, f"agree {PAID}@64") and not app.title
    app.session_state["own_corpus"] = corpus_from_texts([*TEXTS, "one more note"])
    go(app, "explore/neighbors", PAID)
    assert has(app, f"agree {PAID}") and "241 texts" in said(app) and "queries" not in said(app)
    assert len(server.bodies) == before


def test_comparing_asks_for_the_model_that_it_would_pay_for(server):
    """A paid model among those compared is asked for; no leaves it out, yes sends texts and queries once, untimed."""
    app = opened("decide/compare", judged())

    for key, left in ((f"refuse {PAID}", ["wordllama"]), (f"agree {PAID}", ["wordllama", PAID])):
        app.multiselect(key="compared_models").set_value(["wordllama", PAID])
        again(app)
        assert has(app, f"agree {PAID}") and not has(app, "run_compare") and sent(server) == []
        app.button(key=key).click()
        again(app)
        assert app.multiselect(key="compared_models").value == left and sent(server) == []
    app.button(key="run_compare").click()
    again(app)
    assert not app.exception and not app.error and len(app.get("plotly_chart")) == 3
    assert sorted(text for text in sent(server) if text != "width") == sorted([*TEXTS, *QUERIES.values()])
