"""Plans measured, a latency budget met, and a width predicted per query, or not worth predicting."""

import math

import numpy as np
import pytest

from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.retrieval.adaptive import AdaptiveIndex
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.latency import measure_latency, measure_plan
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.retrieval.shortlist import shortlist_search
from mrl_viz.retrieval.width_prediction import _best_blend, compare_widths, predict_widths
from mrl_viz.retrieval.width_predictor import fit_width_predictor, read_first_search, smallest_sufficient_widths
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


def test_a_rule_is_held_against_the_best_that_costs_the_same_and_knows_nothing():
    """All pairs of widths, each given to queries at random so that the mean is the rule's: the best of their means."""
    corpus, queries = mixed(200)
    predictor = fit_width_predictor(corpus, queries[:100], dims=[4, 16], k=5, target=0.8, confidence=0.3)
    result = compare_widths(predictor, corpus, queries[100:])
    assert 4 < result.predicted_dim < 32
    sweep = nested_sweep(corpus, queries[100:], dims=range(1, 33), k=5)
    kept = [np.mean([len(set(a) & set(b)) / 5 for a, b in zip(lists, sweep.indices[-1])]) for lists in sweep.indices]
    mean, allowed = result.predicted_dim, {4, 16, 32, math.floor(result.predicted_dim), math.ceil(result.predicted_dim)}
    blends = [
        kept[low - 1] + (mean - low) / (high - low) * (kept[high - 1] - kept[low - 1])
        for low in allowed
        for high in allowed
        if low < high and low <= mean <= high
    ]
    assert result.fixed_overlap == pytest.approx(max(blends))
    assert result.gain.value == pytest.approx(result.predicted_overlap - result.fixed_overlap)


def test_a_width_just_below_full_is_no_match_for_leaving_few_queries_narrow():
    """Full width agrees with itself by definition, so the kept share jumps there: by hand, 8 and 32 beat 31 of 32."""
    assert _best_blend((8, 16, 31, 32), np.array([0.4, 0.6, 0.8, 1.0]), 31.0) == (0, 3, pytest.approx(23 / 24))
    assert _best_blend((8, 16, 32), np.array([0.4, 0.9, 1.0]), 16.0) == (0, 1, 1.0)
    assert _best_blend((8, 16, 32), np.array([0.4, 0.9, 1.0]), 32.0)[1] == 2


def test_every_query_is_predicted_by_rules_of_the_others():
    """Eight rules out of fold: they win where queries can be told apart, and not where there is nothing to tell."""
    corpus, queries = mixed(400)
    found = predict_widths(corpus, queries, dims=[4, 8, 16], k=5, target=0.8)
    assert len(found.comparisons) == 8 and {one.features for one in found.comparisons} == {"list", "qpp"}
    assert any(one.beats_fixed for one in found.comparisons) and "beat one width for all" in found.takeaway()
    assert found.oracle_gain.value >= max(one.gain.value for one in found.comparisons)
    assert all(one.oracle_dim == found.oracle_dim for one in found.comparisons)
    # Intervals of nine differences at once are longer than the one interval of a single rule.
    one = found.comparisons[1]
    alone = fit_width_predictor(corpus, queries[:200], dims=[4, 8, 16], k=5, target=0.8)
    single = compare_widths(alone, corpus, queries[200:])
    assert one.gain.high - one.gain.low > (single.gain.high - single.gain.low) / np.sqrt(2)
    corpus, _ = vectors(1000, 32, 160)
    noise = np.random.default_rng(3).normal(size=(160, 32)).astype(np.float32)
    blind = predict_widths(corpus, noise, dims=[8, 16], k=5, target=0.6)
    assert not any(one.beats_fixed for one in blind.comparisons)
    assert blind.takeaway().startswith(("No rule", "Every rule"))


def test_items_that_search_for_each_other_do_not_find_themselves():
    """Without queries the rules are of the corpus itself, none finding itself."""
    corpus, _ = mixed(10)
    found = predict_widths(corpus[::4], None, dims=[4], k=5, target=0.4)
    sweep = nested_sweep(corpus[::4], None, dims=[4], k=5)
    kept = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(sweep.indices[0], sweep.indices[1])])
    assert found.overlap[found.dims.index(4)].value == pytest.approx(kept) and found.n_queries == len(corpus[::4])


def test_performance_scores_are_what_a_loop_over_all_scores_gives():
    """Standardised by the query's scores over the whole corpus; coherence by all pairs of a list."""
    corpus, queries = vectors(300, 16, 8)
    read = read_first_search(corpus, queries, (8, 16), 5, "qpp")
    narrow = corpus[:, :8] / np.linalg.norm(corpus[:, :8], axis=1, keepdims=True)
    for query, row in zip(queries[:, :8], read[:, -8:]):
        scores = narrow @ (query / np.linalg.norm(query))
        order = np.argsort(-scores)[:100]
        standard = (scores[order] - scores.mean()) / scores.std()
        near = standard[standard >= standard[0] / 2]
        above = np.maximum(standard, 1e-6)
        half = corpus[:, :4] / np.linalg.norm(corpus[:, :4], axis=1, keepdims=True)
        others = np.argsort(-(half @ query[:4]))[:5]
        top, end = (
            np.mean([narrow[a] @ narrow[b] for a in part for b in part if a != b]) for part in (order[:5], order[-5:])
        )
        expected = [
            standard[0], standard[:5].mean(), standard.std(), np.mean(above * np.abs(np.log(above / above.mean()))),
            near.std(), top, top - end, len(set(others) & set(order[:5])) / 5,
        ]  # fmt: skip
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)


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
    with pytest.raises(EmptyInputError, match="24 queries in 5 folds"):
        predict_widths(corpus, queries[:24], dims=[8])
    with pytest.raises(InvalidInputError, match="`folds`"):
        predict_widths(corpus, queries, dims=[8], folds=1)
    predictor = fit_width_predictor(corpus, queries[:30], dims=[8])
    with pytest.raises(ShapeError, match="use one model"):
        predictor.predict(corpus, queries[:, :16])
