"""Search lab: what funnels are measured with, what they say and where they lose, stops, widening, and the dial."""

import numpy as np
import plotly.graph_objects as go
import pytest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.ui import widening
from tests.app import steps
from tests.app.steps import again, code_of, data_of, has, once, open_part, opened, said

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
    app.number_input(key="stage_dim_0").set_value(64).run()
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
    app.number_input(key="stage_dim_0").set_value(32)
    again(app)
    assert "no queries: measured with 150 of the texts, none of which finds itself" in said(app)
    rows = embed(corpus).matrix
    shares = naive_shares(rows, rows, np.arange(150), 32)
    assert first_point(app) == pytest.approx(np.mean(shares), abs=1e-6)
    with_itself = np.mean(naive_shares(rows, rows, None, 32))
    assert with_itself > np.mean(shares) + 0.03
    assert app.number_input(key="stage_keep_0").max == 149


def test_a_selected_text_is_not_among_its_own_results():
    """Searching with a text of the data returns the others, at every width, in the plan and within the budget."""
    texts = [f"{word} number {n}" for n in range(30) for word in ("river", "bread")]
    app = opened(PAGE, corpus_from_texts(texts))
    results = next(table.value for table in app.dataframe if "rank" in table.value.columns)
    assert len(results) == 10 and list(results.columns)[:2] == ["rank", "256 dims"]
    assert not any(cell.endswith(" river number 0") for cell in results.drop(columns="rank").to_numpy().ravel())
    open_part(app, "Within a time")
    app.toggle(key="adaptive").set_value(True)
    again(app)
    assert not app.exception and not app.error
    answer = next(table.value for table in app.dataframe if list(table.value.columns) == ["rank", "text"])
    assert len(answer) == 10 and "river number 0" not in set(answer["text"])


def test_the_latency_dial_answers_within_its_budget():
    """Once measured, the slider's ends are the fastest and slowest plans; a smaller budget takes a plan within it."""
    app = opened(PAGE)
    open_part(app, "Within a time")
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
    open_part(app, "Within a time")
    app.toggle(key="adaptive").set_value(True).run()
    app.slider(key="latency_budget").set_value(app.slider(key="latency_budget").max).run()
    app.session_state["own_corpus"] = corpus_from_texts(["a cat", "a dog", "a tax"])
    again(app)
    assert not app.exception and not app.error


def test_the_index_is_laid_out_once(monkeypatch):
    """One index serves results, funnels, misses, the stop, widening and the dial; another width makes another."""
    made, make = [], PrefixIndex.__init__

    def counted(index, *args, **options):
        made.append(args)
        make(index, *args, **options)

    monkeypatch.setattr(PrefixIndex, "__init__", counted)
    app = opened(PAGE, corpus_from_texts([f"{word} and {n} more" for n in range(30) for word in ("river", "bread")]))
    for plan in app.segmented_control(key="plan").options:
        app.segmented_control(key="plan").set_value(plan)
        again(app)
        assert not app.exception and not app.error
    for part in ("Rerank until sure", "Within a time"):
        open_part(app, part)
        assert not app.exception and not app.error
    app.toggle(key="adaptive").set_value(True)
    again(app)
    assert not app.exception and not app.error and len(made) == 1
    open_part(app, "Funnel")
    app.number_input(key="stage_dim_0").set_value(12)
    again(app)
    assert not app.exception and not app.error and len(made) == 2


@pytest.fixture
def page_whose_code_ran(monkeypatch, tmp_path):
    """The page of the sample, or of texts in a file beside it, after its code with a certain call ran as it stands."""

    def opened_and_run(call, has_queries, part="Funnel"):
        corpus = None
        if not has_queries:
            corpus = corpus_from_texts(read_corpus("sample").texts[:120], name="texts.txt")
            (tmp_path / "texts.txt").write_text("\n".join(corpus.texts))
        app = opened(PAGE, corpus)
        open_part(app, part)
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


@pytest.mark.parametrize("is_typed", [True, False], ids=["a typed question", "a text of the data"])
def test_the_shown_code_follows_the_neighbors_of_what_was_asked(is_typed, monkeypatch, tmp_path, capsys):
    """Run as it stands, beside a file with the question where one was typed, the code says where its neighbors go."""
    monkeypatch.setattr(go.Figure, "show", lambda figure: None)
    monkeypatch.chdir(tmp_path)
    corpus = None if is_typed else corpus_from_texts(read_corpus("sample").texts[:120], name="texts.txt")
    (tmp_path / "texts.txt").write_text("" if corpus is None else "\n".join(corpus.texts))
    app = opened(PAGE, corpus)
    if is_typed:
        (tmp_path / "question.txt").write_text("why does bread rise\n")
        app.text_input(key="query").set_value("why does bread rise")
    else:
        app.session_state["selection"] = (7,)
    app.number_input(key="stage_dim_0").set_value(8)
    again(app)
    (code,) = [block for block in code_of(app) if "neighbor_paths" in block]
    exec(compile(code, "shown", "exec"), {})
    *_, losses, paths = capsys.readouterr().out.strip().splitlines()
    assert losses in said(app) and paths in said(app) and "lost: " in paths and "bread" not in code


def test_an_early_stop_is_shown_in_every_order():
    """A line an order, from nearly all of the vectors to the k that are found, and a sentence with both."""
    app = opened(PAGE)
    open_part(app, "Exact, stopped early")
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
    app = page_whose_code_ran("early_orders", has_queries, "Exact, stopped early")
    assert capsys.readouterr().out.strip() in said(app)


def design(app, *stages):
    """The funnel of these (dim, keep) stages, by the page's own widgets, begun from shortlist + rerank."""
    while len([field for field in app.number_input if field.key.startswith("stage_dim_")]) < len(stages):
        app.button(key="stage_add").click()
        again(app)
    for number, (dim, keep) in enumerate(stages):
        for key, value in ((f"stage_dim_{number}", dim), (f"stage_keep_{number}", keep)):
            if app.number_input(key=key).value != value:
                app.number_input(key=key).set_value(value)
                again(app)


def naive_stages(rows, query, stages):
    """The survivors of every stage by full sorts, best first."""
    left, survivors = np.arange(len(rows)), []
    for dim, keep in stages:
        one, others = query[:dim].astype(np.float64), rows[left, :dim].astype(np.float64)
        cosines = others @ one / np.linalg.norm(others, axis=1) / np.linalg.norm(one)
        order = np.argsort(-np.round(cosines, 7), kind="stable")
        survivors.append(left[order])
        left = np.sort(left[order[:keep]])
    return survivors


def test_a_designed_funnel_says_what_each_stage_loses_and_where_a_neighbor_falls_out():
    """Stages are added and edited; shares lost and the ranks at which this query's neighbors fall out are those of
    full sorts, the names of the start go, and the design is there again on coming back."""
    stages = ((16, 100), (64, 40), (256, 10))
    app = opened(PAGE)
    design(app, *stages)
    assert not app.exception and not app.error and app.segmented_control(key="plan").value is None
    vectors = embed(read_corpus("sample"))
    sorts = [naive_stages(vectors.matrix, query, stages) for query in vectors.queries]
    full = [naive_stages(vectors.matrix, query, ((256, 10),))[0][:10] for query in vectors.queries]
    came = np.array([
        [np.isin(wanted, each[:keep]).mean() for each, (_, keep) in zip(survivors, stages)]
        for survivors, wanted in zip(sorts, full)
    ]).mean(axis=0)  # fmt: skip
    rows = data_of(app, "funnel")
    np.testing.assert_allclose(rows["lost"], -np.diff([1, *came]), atol=1e-9)
    assert list(rows["scored"]) == [1280, 100, 40]
    assert list(rows["multiply_adds"]) == [1280 * 16, 100 * 64, 40 * 256]
    assert f"Finds {came[-1]:.1%} of the 10 full-width neighbors" in said(app)
    # The first query's.
    lost = [place for place, item in enumerate(full[0]) if item not in sorts[0][-1][:10]]
    item = full[0][lost[0]]
    stage = next(n for n, (each, (_, keep)) in enumerate(zip(sorts[0], stages)) if item not in each[:keep])
    rank = int(np.flatnonzero(sorts[0][stage] == item)[0]) + 1
    dim, keep = stages[stage]
    assert f"At {dim} dims it has rank {rank:,} and {keep:,} are kept" in said(app)
    steps.go(app, "explore/map")
    steps.go(app, PAGE)
    assert [app.number_input(key=f"stage_dim_{n}").value for n in range(3)] == [16, 64, 256]
    app.button(key="stage_remove_1").click()
    again(app)
    assert [app.number_input(key=f"stage_dim_{n}").value for n in range(2)] == [16, 256] and not app.error


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("stage_dim_0", 256, "Stage 2 is at 256 dims and stage 1 at 256; widths have to rise from stage to stage."),
        ("stage_keep_0", 5, "Stage 1 keeps 5, fewer than the 10 that are to be returned"),
    ],
)  # fmt: skip
def test_a_design_that_is_no_funnel_is_one_sentence(field, value, words):
    """Widths that do not rise, or a list shorter than what it is to return: one error, and it can be mended there."""
    app = opened(PAGE)
    before = app.number_input(key=field).value
    app.number_input(key=field).set_value(value)
    again(app)
    assert not app.exception and len(app.error) == 1 and words in said(app)
    app.number_input(key=field).set_value(before)
    again(app)
    assert not app.exception and not app.error and app.get("plotly_chart")


def test_a_list_that_grows_is_one_sentence():
    """A second stage that keeps more than comes to it."""
    app = opened(PAGE)
    app.segmented_control(key="plan").set_value("Three steps")
    again(app)
    app.number_input(key="stage_keep_1").set_value(1100)
    again(app)
    assert not app.exception and len(app.error) == 1
    assert "Stage 2 keeps 1,100 but stage 1 keeps 1,000; a list cannot grow." in said(app)


def test_a_stop_says_what_it_is_worth_against_fixed_lists():
    """The tab has a sentence with a verdict, one about the target, both curves; too few queries are one sentence."""
    app = opened(PAGE)
    open_part(app, "Rerank until sure")
    (verdict,) = [block.value for block in app.markdown if "stop by the margin" in block.value]
    assert "fixed lists of equal cost" in verdict and "95% interval" in verdict
    assert "Asked for 95% on half of 160 queries" in said(app)
    rows = data_of(app, "stop_rule")
    assert set(rows["stops"]) == {"fixed length", "margin"} and (rows["recall_low"] <= rows["recall_high"]).all()
    app.session_state["own_corpus"] = corpus_from_texts([f"a {word} thing" for word in ["red", "blue", "green", "big"]])
    app.session_state["search_part"] = "Rerank until sure"
    again(app)
    assert not app.exception and len(app.error) == 1 and "There are 4 queries; a stop needs 40 or more" in said(app)


def test_nothing_is_reranked_where_only_the_full_width_is_measured():
    """One sentence says what to do; a funnel of one stage is exact search."""
    app = opened(PAGE)
    app.session_state["dims"] = "256"
    again(app)
    assert "no stage loses any" in said(app) and not has(app, "stage_dim_1")
    app.session_state["dims"] = "256"
    open_part(app, "Rerank until sure")
    assert not app.exception and not app.error and "add a smaller one under Widths" in said(app)


def test_widening_goes_on_until_all_is_read_or_it_is_stopped(monkeypatch):
    """From 8 dims on, a width a look: the answer says what changed, ends by itself with exact search's, and can be
    stopped before that."""
    monkeypatch.setattr(widening, "PACE_S", 0.0)
    app = opened(PAGE)
    open_part(app, "Within a time")
    app.button(key="widening_start").click()
    once(app)
    assert "stands since" in shown_answer(app).columns and app.button(key="widening_stop").label == "Stop"
    app.button(key="widening_stop").click()
    once(app)
    assert "Stopped at 8 dims." in said(app) and not app.exception
    app.button(key="widening_start").click()
    for _ in range(12):
        once(app)
    assert "All 256 dims are read: this is the answer of exact search. Looking back from 256 dims" in said(app)
    vectors = embed(read_corpus("sample"))
    best = naive_stages(vectors.matrix, vectors.queries[0], ((256, 10),))[0][:10]
    shown = [text.rstrip("…") for text in shown_answer(app)["text"]]
    assert all(vectors.corpus.texts[item].startswith(text) for item, text in zip(best, shown))
    assert "settled at" in shown_answer(app).columns and not [each for each in app.button if each.label == "Stop"]


def test_widening_ends_when_the_time_is_up(monkeypatch):
    """A width that does not fit into the time is not read, and the page says so."""
    monkeypatch.setattr(widening, "PACE_S", 0.0)
    app = opened(PAGE)
    open_part(app, "Within a time")
    app.button(key="widening_start").click()
    once(app)
    under_way = app.session_state[widening.KEY]
    under_way.answers = iter(())  # what `refine` gives when no time is left
    once(app)
    assert "The time was up after 8 dims" in said(app) and app.button(key="widening_start")


def shown_answer(app):
    """The table of the widening."""
    return next(table.value for table in app.dataframe if "change" in table.value.columns)


def test_bytes_read_follow_the_layout():
    """By rows every width reads the whole file, by columns only its share, as the files have it."""
    app = opened(PAGE)
    open_part(app, "Read by columns")
    assert "A search at 64 of 256 dims reads 328 kB of 1,280 vectors stored by columns and 1.3 MB" in said(app)
    rows = data_of(app, "layout_bytes")
    assert list(rows["by_widths"]) == [1280 * dim * 4 for dim in rows["dim"]]
    assert set(rows["by_rows"]) == {1280 * 256 * 4}


def test_a_width_for_each_query_is_judged_or_said_to_need_more_queries():
    """The sample's rules have their figure and verdict; for twelve texts a sentence says what is missing."""
    app = opened(PAGE)
    open_part(app, "A width each?")
    assert "beats one width for all at equal cost" in said(app) and _has_chart(app, "width_gain")
    few = opened(PAGE, corpus_from_texts([f"text number {n} about {'cats' * n}" for n in range(12)]))
    open_part(few, "A width each?")
    assert not _has_chart(few, "width_gain")
    assert any("leave fewer than 20 to learn from" in info.value for info in few.info)


def _has_chart(app, key):
    return any(chart.proto.id.endswith(f"-{key}") for chart in app.get("plotly_chart"))
