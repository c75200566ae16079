"""Search lab: what plans are measured with, what they say, the data's own queries, and the latency dial."""

import numpy as np
import plotly.graph_objects as go
import pytest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.retrieval.index import PrefixIndex
from tests.app.steps import again, code_of, data_of, opened, said

PAGE = "explore/search"


def naive_shares(rows, queries, own, dim, k=10):
    """For each query the share of its k full-width neighbors that are among its k at a width, by a full sort."""

    def lists(width):
        left, right = (array[:, :width].astype(np.float64) for array in (queries, rows))
        cosines = (left / np.linalg.norm(left, axis=1)[:, None]) @ (right / np.linalg.norm(right, axis=1)[:, None]).T
        if own is not None:
            cosines[np.arange(len(own)), own] = -np.inf
        return np.argsort(-np.round(cosines, 7), axis=1, kind="stable")[:, :k]

    return [len(set(a) & set(b)) / k for a, b in zip(lists(dim), lists(rows.shape[1]))]


def first_point(app):
    """The curve's overlap at its smallest shortlist, as the page shows it."""
    return float(data_of(app, "shortlist_curve")["overlap"][0])


def test_plans_are_measured_with_the_datas_own_queries():
    """Where there are queries they measure the plan, and the page says so; numbers are those of sorting all cosines."""
    app = opened(PAGE)
    app.select_slider(key="shortlist_dim").set_value(64).run()
    vectors = embed(read_corpus("sample"))
    assert f"Measured with {min(200, len(vectors.queries))} of your data's own queries" in said(app)
    chosen = np.sort(np.random.default_rng(0).permutation(len(vectors.queries))[:200])
    shares = naive_shares(vectors.matrix, vectors.queries[chosen], None, 64)
    assert first_point(app) == pytest.approx(np.mean(shares), abs=1e-6)


def test_without_queries_no_text_finds_itself():
    """Where there are no queries texts measure the plan, each without itself, as a full sort of the others gives."""
    sample = read_corpus("sample")
    corpus = corpus_from_texts(sample.texts[:150], name="texts alone")
    app = opened(PAGE, corpus)
    app.select_slider(key="shortlist_dim").set_value(32)
    again(app)
    assert "no queries: measured with 150 of the texts, none of which finds itself" in said(app)
    rows = embed(corpus).matrix
    shares = naive_shares(rows, rows, np.arange(150), 32)
    assert first_point(app) == pytest.approx(np.mean(shares), abs=1e-6)
    with_itself = np.mean(naive_shares(rows, rows, None, 32))
    assert with_itself > np.mean(shares) + 0.03
    sizes = app.select_slider(key="shortlist_size").options
    assert sizes[-1] == "149"


def test_a_selected_text_is_not_among_its_own_results():
    """Searching with a text of the data returns the others, at every width, in the plan and within the budget."""
    texts = [f"{word} number {n}" for n in range(30) for word in ("river", "bread")]
    app = opened(PAGE, corpus_from_texts(texts))
    results = next(table.value for table in app.dataframe if "rank" in table.value.columns)
    assert len(results) == 10 and list(results.columns)[:2] == ["rank", "256 dims"]
    assert not any(cell.endswith(" river number 0") for cell in results.drop(columns="rank").to_numpy().ravel())
    app.toggle(key="adaptive").set_value(True)
    again(app)
    assert not app.exception and not app.error
    answer = next(table.value for table in app.dataframe if list(table.value.columns) == ["rank", "text"])
    assert len(answer) == 10 and "river number 0" not in set(answer["text"])


def test_the_latency_dial_answers_within_its_budget():
    """Once measured, the slider's ends are the fastest and slowest plans; a smaller budget takes a plan within it."""
    app = opened(PAGE)
    assert "Within " not in said(app)
    app.toggle(key="adaptive").set_value(True).run()
    assert not app.exception and not app.error
    slider = app.slider(key="latency_budget")
    assert slider.min < slider.value <= slider.max
    for budget in (slider.min, slider.max):
        app.slider(key="latency_budget").set_value(budget).run()
        assert not app.exception and not app.error
        sentence = next(block.value for block in app.markdown if block.value.startswith("**Within "))
        taken = float(sentence.split("95% of queries within ")[1].split(" ms")[0])
        assert taken <= budget + 0.005


def test_other_data_move_the_dial_instead_of_breaking_it():
    """A budget chosen for large data is no error with small data, whose plans are all faster."""
    app = opened(PAGE)
    app.toggle(key="adaptive").set_value(True).run()
    app.slider(key="latency_budget").set_value(app.slider(key="latency_budget").max).run()
    app.session_state["own_corpus"] = corpus_from_texts(["a cat", "a dog", "a tax"])
    again(app)
    assert not app.exception and not app.error


def test_the_index_is_laid_out_once(monkeypatch):
    """One index serves results, plans, curve, misses and the dial."""
    made, make = [], PrefixIndex.__init__

    def counted(index, *args, **options):
        made.append(args)
        make(index, *args, **options)

    monkeypatch.setattr(PrefixIndex, "__init__", counted)
    app = opened(PAGE, corpus_from_texts([f"{word} and {n} more" for n in range(30) for word in ("river", "bread")]))
    app.toggle(key="adaptive").set_value(True)
    again(app)
    for plan in app.segmented_control(key="plan").options:
        app.segmented_control(key="plan").set_value(plan)
        again(app)
        assert not app.exception and not app.error
    assert len(made) == 1


@pytest.fixture
def page_whose_code_ran(monkeypatch, tmp_path):
    """The page of the sample, or of texts in a file beside it, after its code with a certain call ran as it stands."""

    def opened_and_run(call, has_queries):
        corpus = None
        if not has_queries:
            corpus = corpus_from_texts(read_corpus("sample").texts[:120], name="texts.txt")
            (tmp_path / "texts.txt").write_text("\n".join(corpus.texts))
        app = opened(PAGE, corpus)
        (code,) = [block for block in code_of(app) if call in block]
        exec(compile(code, "shown", "exec"), {})
        return app

    monkeypatch.setattr(go.Figure, "show", lambda figure: None)
    monkeypatch.chdir(tmp_path)
    return opened_and_run


@pytest.mark.parametrize("has_queries", [True, False], ids=["queries", "texts alone"])
def test_the_shown_code_measures_the_plan_with_the_same_queries(has_queries, page_whose_code_ran, capsys):
    """Run as it stands, the code says which queries were used and the recall that the page shows."""
    app = page_whose_code_ran("shortlist_curve", has_queries)
    asked, recall = capsys.readouterr().out.strip().splitlines()
    assert asked in said(app) and recall in said(app)
    assert ("own queries" in asked) == has_queries


def test_an_early_stop_is_shown_in_every_order():
    """A line an order, from nearly all of the vectors to the k that are found, and a sentence with both."""
    app = opened(PAGE)
    rows = data_of(app, "still_alive")
    vectors = embed(read_corpus("sample"))
    assert list(rows["dim"]) == [8, *range(16, 257, 16)]
    for order in ("prefix", "svd", "scrambled"):
        shares = list(rows[order])
        assert shares == sorted(shares, reverse=True)
        assert shares[-1] == pytest.approx(10 / vectors.corpus.n_items, abs=2e-4)
    half = rows[rows["dim"] == 128].iloc[0]
    assert half["svd_high"] < half["prefix_low"] and half["prefix_high"] < half["scrambled_low"]
    assert "can still be among the 10 best" in said(app) and "order lets it stop early" in said(app)


@pytest.mark.parametrize("has_queries", [True, False], ids=["queries", "texts alone"])
def test_the_shown_code_stops_as_early(has_queries, page_whose_code_ran, capsys):
    """Run as it stands, the code of the early stop says the page's sentence."""
    app = page_whose_code_ran("early_orders", has_queries)
    assert capsys.readouterr().out.strip() in said(app)
