"""Plans measured, a latency budget met, and a width predicted per query, or not worth predicting."""

import numpy as np
import pytest

from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.retrieval.adaptive import AdaptiveIndex
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.latency import measure_latency, measure_plan
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.retrieval.shortlist import shortlist_search
from mrl_viz.retrieval.width_predictor import compare_widths, fit_width_predictor, smallest_sufficient_widths
from mrl_viz.sweep import nested_sweep


def vectors(n_items=2000, full_dim=32, n_queries=120, seed=0):
    """Variance that falls along the index, and queries near corpus points."""
    rng = np.random.default_rng(seed)
    scale = ((1 + np.arange(full_dim)) ** -0.5).astype(np.float32)
    corpus = rng.standard_normal((n_items, full_dim), dtype=np.float32) * scale
    queries = corpus[:n_queries] + 0.4 * rng.standard_normal((n_queries, full_dim), dtype=np.float32) * scale
    return corpus, queries


@pytest.fixture(scope="module")
def adaptive():
    corpus, queries = vectors()
    return AdaptiveIndex(PrefixIndex(corpus, [4, 16]), queries[:20], n_runs=10), queries


def test_generous_budget_uses_the_best_plan(adaptive):
    """With time enough, the plan of highest recall answers, as its own search would."""
    index, queries = adaptive
    found = index.search(queries[20:24], 10, max_latency_ms=60_000)
    assert found.used.recall.share.value == max(measured.recall.share.value for measured in index.measurements) == 1
    np.testing.assert_array_equal(found.result.indices, index.index.search(queries[20:24], 10).indices)
    assert found.used.plan.label in found.takeaway() and found.to_dict()["used"]["recall"]["share"] == 1
    assert found.result.stages[0].survivors.shape[0] == 4


def test_budget_excludes_slower_plans(adaptive):
    """No plan whose 95th percentile is above the budget is used, and no better one that fits is passed over."""
    index, _ = adaptive
    budgets = sorted(measured.latency.p95_ms for measured in index.measurements)
    for budget in budgets:
        used = index.choose(10, budget)
        assert used.latency.p95_ms <= budget
        fitting = [m.recall.share.value for m in index.measurements if m.latency.p95_ms <= budget]
        assert used.recall.share.value == max(fitting)


def test_impossible_budget_names_the_fastest_plan(adaptive):
    """A budget nothing meets says which plan comes nearest and what it takes."""
    index, queries = adaptive
    fastest = min(index.measurements, key=lambda measured: measured.latency.p95_ms)
    with pytest.raises(InvalidInputError, match=f"fastest plan .{fastest.plan.label}. takes .* allow at least that"):
        index.search(queries, max_latency_ms=1e-9)
    with pytest.raises(InvalidInputError, match="choose a number of milliseconds above 0"):
        index.refine(queries[0], max_latency_ms=0)
    with pytest.raises(InvalidInputError, match="`k` is 2001"):
        index.search(queries, 2001, max_latency_ms=10)
    with pytest.raises(ShapeError, match="coordinates"):
        index.search(queries[:, :8], max_latency_ms=10)


def test_refining_widens_until_the_time_is_up(adaptive):
    """The first answer always comes; each is a reranked shortlist at the next width, the last one exact."""
    index, queries = adaptive
    assert len(list(index.refine(queries[0], max_latency_ms=1e-9))) == 1
    answers = list(index.refine(queries[0], max_latency_ms=60_000))
    assert [answer.stages[0].dim for answer in answers] == [4, 16, 32]
    for answer in answers[:-1]:
        expected = shortlist_search(index.index, queries[0], shortlist_dim=answer.stages[0].dim, shortlist_size=200)
        np.testing.assert_array_equal(answer.indices, expected.indices)
    np.testing.assert_array_equal(answers[-1].indices, index.index.search(queries[0], 10).indices)


def test_adaptive_index_refuses_plans_it_cannot_hold():
    """Only float32 prefixes at laid-out widths."""
    corpus, queries = vectors(200)
    index = PrefixIndex(corpus, [4])
    with pytest.raises(InvalidInputError, match="give exact ones"):
        AdaptiveIndex(index, queries, plans=[Plan(4, "int8")])
    with pytest.raises(DimensionError, match="`dim` is 8"):
        AdaptiveIndex(index, queries, plans=[Plan(8)])
    with pytest.raises(EmptyInputError, match="`plans` is empty"):
        AdaptiveIndex(index, queries, plans=[])


def test_measured_plans_follow_width_and_formula():
    """Over dims x dtype x kind x rerank: recall grows with width, bytes follow the formula, full float32 is exact."""
    corpus, queries = vectors()
    firsts = [("exact", "float32"), ("exact", "binary"), ("ivf", "float32")]
    plans = [Plan(dim, dtype, kind, steps) for dim in (8, 32) for kind, dtype in firsts for steps in ((), ((200, 32),))]
    index = PrefixIndex(corpus, [8, 32])
    full = index.search(queries[:30], 10).indices
    by_plan = {
        plan: measure_plan(build_plan(plan, corpus, prefix_index=index), queries[:30], full, n_runs=3) for plan in plans
    }
    assert len(by_plan) == 12
    assert by_plan[Plan(32)].recall.share.value == 1 and "100.0%" in by_plan[Plan(32)].takeaway()
    assert by_plan[Plan(8)].recall.share.value < by_plan[Plan(8, rerank=((200, 32),))].recall.share.value
    assert by_plan[Plan(8, "binary")].bytes_per_vector == 1
    assert by_plan[Plan(8)].nbytes == 2000 * 9 * 4
    assert all(m.latency.p50_ms <= m.latency.p95_ms and m.latency.n_runs == 3 for m in by_plan.values())


def test_texts_that_calibrate_do_not_find_themselves():
    """Quality is that of finding the others, as a search of a corpus without each text gives it; so are answers."""
    corpus, _ = vectors(300)
    own = np.arange(0, 300, 15)
    index = AdaptiveIndex(PrefixIndex(corpus, [4]), corpus[own], own=own, plans=[Plan(4), Plan(32)], k=5, n_runs=1)
    shares = []
    for item in own:
        others = np.delete(np.arange(300), item)
        left = PrefixIndex(corpus[others], [4])
        small, full = (set(others[left.search(corpus[item], 5, dim=dim).indices[0]]) for dim in (4, 32))
        shares.append(len(small & full) / 5)
    narrow, wide = index.measurements
    assert narrow.recall.share.value == pytest.approx(np.mean(shares)) and wide.recall.share.value == 1
    answer = index.search(corpus[own[:3]], 299, max_latency_ms=60_000, own=own[:3])
    for item, found in zip(own, answer.result.indices):
        assert sorted([*found, item]) == list(range(300))
    with pytest.raises(ShapeError, match="`own` has shape"):
        index.search(corpus[:2], max_latency_ms=60_000, own=[1])


def test_latency_times_one_query_at_a_time():
    """Each call gets one row; warm-up calls are not counted."""
    shapes = []
    latency = measure_latency(lambda row: shapes.append(row.shape), np.ones((4, 3)), n_runs=5)
    assert set(shapes) == {(1, 3)} and len(shapes) == 8 and latency.n_runs == 5


def mixed(n_queries, seed=1):
    """Half the queries live in 4 coordinates and stand out there, half need all 32: a width per query must pay."""
    rng = np.random.default_rng(seed)
    corpus = np.concatenate([np.pad(rng.normal(size=(400, 4)), ((0, 0), (0, 28))), rng.normal(size=(1600, 32))])
    easy = np.pad(rng.normal(size=(n_queries // 2, 4)), ((0, 0), (0, 28)))
    hard = rng.normal(size=(n_queries // 2, 32))
    # Easy queries' neighbors are the 400 items that have nothing beyond the first 4 coordinates.
    corpus[400:, :4] *= 0.05
    order = rng.permutation(n_queries)
    queries = np.concatenate([easy, hard])[order]
    return corpus.astype(np.float32), queries.astype(np.float32)


def test_smallest_sufficient_width_is_the_first_that_reaches_the_target():
    """By hand: overlap with full at each width, first width at or above the target."""
    corpus, queries = vectors(300, 16, 10)
    sweep = nested_sweep(corpus, queries, dims=[2, 4, 8], k=5)
    needed = smallest_sufficient_widths(sweep, 0.6)
    for query, width in enumerate(needed):
        shares = [len(set(lists[query]) & set(sweep.indices[-1, query])) / 5 for lists in sweep.indices]
        assert width == next(dim for dim, share in zip(sweep.dims, shares) if share >= 0.6)


def test_predictor_beats_the_fixed_width_where_queries_differ():
    """With easy and hard queries that can be told apart, a width per query wins clearly."""
    corpus, queries = mixed(400)
    predictor = fit_width_predictor(corpus, queries[:200], dims=[4, 8, 16], k=5, target=0.8)
    result = compare_widths(predictor, corpus, queries[200:])
    np.testing.assert_array_equal(result.chosen, predictor.predict(corpus, queries[200:]))
    assert result.beats_fixed and result.gain.low > 0.05
    assert "beats the fixed width" in result.takeaway()
    assert result.oracle_overlap >= 0.8 and result.n_queries == 200
    assert result.to_dict()["beats_fixed"] is True


def test_predictor_says_when_it_does_not_beat_the_fixed_width():
    """Where all queries are alike there is nothing to predict, and the sentence says so."""
    corpus, queries = vectors(1000, 32, 160)
    noise = np.random.default_rng(3).normal(size=queries.shape).astype(np.float32)
    predictor = fit_width_predictor(corpus, noise[:80], dims=[8, 16], k=5, target=0.8)
    result = compare_widths(predictor, corpus, noise[80:])
    assert not result.beats_fixed
    assert "does not beat the fixed width" in result.takeaway()


def test_equal_cost_between_two_widths_is_a_mixture():
    """A mean width between two widths is compared with the same mixture of both."""
    corpus, queries = mixed(200)
    predictor = fit_width_predictor(corpus, queries[:100], dims=[4], k=5, target=0.8)
    result = compare_widths(predictor, corpus, queries[100:])
    sweep = nested_sweep(corpus, queries[100:], dims=[4], k=5)
    small = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(sweep.indices[0], sweep.indices[1])])
    share = (result.predicted_dim - 4) / 28
    assert result.fixed_overlap == pytest.approx((1 - share) * small + share)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": 0}, InvalidInputError, "`target` is 0"),
        ({"confidence": 1.5}, InvalidInputError, "`confidence` is 1.5"),
        ({"dims": [40]}, DimensionError, "`dim` is 40"),
        ({"k": 5000}, InvalidInputError, "`k` is 5000"),
    ],
)
def test_bad_predictor_input(options, error, message):
    """Out-of-range options are refused in one sentence."""
    corpus, queries = vectors(200)
    with pytest.raises(error, match=message):
        fit_width_predictor(corpus, queries, **({"dims": [8]} | options))


def test_predictor_needs_queries_and_one_model():
    """Too few training queries, or queries of another width, are refused."""
    corpus, queries = vectors(200)
    with pytest.raises(EmptyInputError, match="at least 20"):
        fit_width_predictor(corpus, queries[:5], dims=[8])
    predictor = fit_width_predictor(corpus, queries[:30], dims=[8])
    with pytest.raises(ShapeError, match="use one model"):
        predictor.predict(corpus, queries[:, :16])
