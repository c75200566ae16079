"""Choosing: the smallest plan whose bound meets the target within the budgets, and what stands in the way."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import (
    Candidate,
    Candidates,
    candidate_plans,
    candidates,
    choose,
    decision_record,
    measure_candidates,
    recommend,
)
from mrl_viz.decide.candidates import width_paths
from mrl_viz.decide.metrics import parse_metric
from mrl_viz.decide.recommendation import milliseconds
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError
from mrl_viz.figures.decide import pareto, sensitivity_heatmap
from mrl_viz.retrieval.latency import Latency
from mrl_viz.retrieval.plan import Plan
from mrl_viz.sweep import nested_sweep

FULL = 256
K = 10


@pytest.fixture(scope="module")
def embedded():
    """The harder sample with its queries and judgements: short widths lose enough there for plans to differ."""
    return embed(read_corpus("sample:hard"), "wordllama")


@pytest.fixture(scope="module")
def measured(embedded):
    """Two widths and the full one, overlap of 480 texts among themselves."""
    return measure_candidates(
        replace(embedded, queries=None), dims=[32, 128], dtypes=("float32", "int8"), kinds=("exact", "hnsw"), n_runs=2
    )


def made(rows, *, n_queries=200, n_items=1000, ms=1.0, seed=0):
    """Candidates by hand: {plan: share of queries that are right}, and the full width; latency grows with bytes."""
    rng = np.random.default_rng(seed)
    plans = [*rows, Plan(FULL)]
    values = np.stack([np.sort(rng.permutation(n_queries) < round(share * n_queries)) for share in (*rows.values(), 1)])
    timed = [ms * plan.bytes_per_vector / 1000 for plan in plans]
    candidates = tuple(Candidate(plan, Latency(time, time, 1), time / n_items, 0) for plan, time in zip(plans, timed))
    return Candidates(
        f"overlap@{K}",
        K,
        (K,),
        "a model",
        "abc",
        FULL,
        n_items,
        False,
        candidates,
        values[:, None].astype(float),
        None,
        None,
        0,
    )


GOOD = {Plan(32, "int8"): 0.6, Plan(64, "int8"): 0.97, Plan(128, "int8"): 0.99, Plan(128): 0.995}


def test_the_choice_is_the_smallest_plan_whose_bound_meets_the_target():
    """Every smaller plan's bound is below the target, and what it is sure to keep is the bound, not the mean."""
    decision = choose(made(GOOD), target=0.9)
    by_hand = min((row for row in decision.evidence if row.low >= 0.9), key=lambda row: row.bytes_per_vector)
    assert decision.chosen == by_hand and decision.plan == Plan(64, "int8") and decision.status == "met"
    assert 0.9 <= decision.chosen.low < 0.97
    assert [row.plan for row in decision.runners_up] == [Plan(128, "int8"), Plan(128), Plan(FULL)]
    assert (
        "64 dims int8" in decision.takeaway()
        and "97.0%" in decision.takeaway()
        and "94% fewer bytes" in decision.takeaway()
    )
    json.dumps(decision.to_dict(), allow_nan=False)


def test_a_mean_above_the_target_is_not_enough_and_the_missing_queries_settle_it():
    """A plan whose bound is below the target says how many more queries settle it; with as many more it is chosen."""
    few = choose(made({Plan(64, "int8"): 0.95}, n_queries=60), target=0.9)
    assert few.status == "not_enough_texts" and few.plan == Plan(FULL)
    ((row, more),) = few.undecided
    assert row.plan == Plan(64, "int8") and few.more_queries == more
    assert f"about {more:,} more queries would settle it" in few.takeaway()
    assert choose(made({Plan(64, "int8"): 0.95}, n_queries=int(60 + 1.2 * more)), target=0.9).plan == Plan(64, "int8")
    assert choose(made({Plan(64, "int8"): 0.95}, n_queries=int(60 + 0.5 * more)), target=0.9).plan == Plan(FULL)


def test_a_plan_below_the_target_is_not_called_undecided():
    """No number of queries brings a plan to a target that it misses."""
    assert choose(made({Plan(64, "int8"): 0.85}), target=0.9).undecided == ()


def test_a_memory_budget_that_nothing_meets_is_named_with_the_nearest_plan():
    """Where memory alone stands in the way, memory binds, and the nearest plan is the one with the least excess."""
    decision = choose(made(GOOD), target=0.9, n_vectors=10e6, memory_gb=0.5, latency_ms=1e9)
    assert decision.status == "nothing_fits" and decision.plan is None and decision.chosen is None
    assert decision.binding == ("memory_gb",)
    assert decision.nearest.plan == Plan(64, "int8") and decision.nearest.total_gb == pytest.approx(0.64)
    assert decision.best_within.plan == Plan(32, "int8")
    text = decision.takeaway()
    assert (
        "What binds: memory." in text
        and "Nearest: 64 dims int8 exact, with 0.64 GB" in text
        and "32 dims int8 exact" in text
    )
    with pytest.raises(InvalidInputError, match="relax a budget"):
        decision.storage()


def test_a_latency_budget_binds_alone_or_with_memory():
    """The budgets that bind are those without which there would be a plan; both where only dropping both helps."""
    slow = choose(made(GOOD, ms=1000), target=0.9, latency_ms=1, memory_gb=1)
    assert slow.binding == ("latency_ms",) and "What binds: latency." in slow.takeaway()
    both = choose(made(GOOD, ms=1000), target=0.9, n_vectors=10e6, latency_ms=1, memory_gb=0.1)
    assert both.binding == ("memory_gb", "latency_ms") and "memory and latency" in both.takeaway()


def test_a_budget_can_ask_for_a_larger_plan():
    """Within a latency budget a larger, faster plan is chosen, and the budget that costs bytes is named."""
    measured = made(GOOD)
    slow = replace(measured.candidates[1], latency=Latency(50, 50, 1))
    measured = replace(measured, candidates=(measured.candidates[0], slow, *measured.candidates[2:]))
    decision = choose(measured, target=0.9, latency_ms=10)
    assert decision.plan == Plan(128, "int8") and decision.binding == ("latency_ms",) and decision.status == "met"


RERANKED = Plan(64, "binary", rerank=((50, FULL),))


def test_smallest_is_memory_first_or_all_bytes():
    """Eight bytes that are scanned and 1,024 on disk are smaller than 128 in memory, and larger in all."""
    measured = made({Plan(128, "int8"): 0.99, RERANKED: 0.99})
    decision = choose(measured, target=0.9)
    assert decision.plan == RERANKED and decision.smallest == "memory"
    assert [row.plan for row in decision.runners_up] == [Plan(128, "int8"), Plan(FULL)]
    assert "99% fewer bytes in memory than full float32, and 1,024 bytes a vector on disk" in decision.takeaway()
    in_all = choose(measured, target=0.9, smallest="total")
    assert in_all.plan == Plan(128, "int8") and [row.plan for row in in_all.runners_up] == [Plan(FULL), RERANKED]
    assert "88% fewer bytes than full float32)" in in_all.takeaway()
    assert [row["plan"] for row in in_all.rows()] == [row.plan.label for row in (in_all.chosen, *in_all.runners_up)]
    for chosen in (decision, in_all):
        assert chosen.sensitivity.plans[0][chosen.sensitivity.targets.index(0.9)] == chosen.plan


def test_plans_as_small_in_memory_are_told_apart_on_disk():
    """Of plans that scan the same codes the one that reranks shorter vectors is smaller."""
    narrower = Plan(64, "binary", rerank=((50, 128),))
    assert choose(made({RERANKED: 0.99, narrower: 0.99}), target=0.9).plan == narrower


def test_memory_and_disk_have_budgets_of_their_own():
    """A budget of memory leaves out what is only reranked, one of disk only that, and each binds by its name."""
    measured = made({Plan(128, "int8"): 0.99, RERANKED: 0.99})
    small = choose(measured, target=0.9, n_vectors=1e6, memory_gb=0.01)
    assert small.plan == RERANKED and small.chosen.memory_gb == 0.008 and small.chosen.disk_gb == 1.024
    assert small.chosen.total_gb == pytest.approx(1.032) and small.budgets == {"memory_gb": 0.01}
    no_disk = choose(measured, target=0.9, n_vectors=1e6, disk_gb=1)
    assert no_disk.plan == Plan(128, "int8") and no_disk.binding == ("disk_gb",)
    neither = choose(measured, target=0.9, n_vectors=1e6, memory_gb=0.01, disk_gb=1)
    assert neither.plan is None and set(neither.binding) == {"memory_gb", "disk_gb"}
    assert "What binds: memory and disk." in neither.takeaway()
    assert neither.nearest.plan == RERANKED
    assert "with 0.008 GB in memory, 1.02 GB on disk and about" in neither.takeaway()
    fields = {name: small.to_dict()["chosen"][name] for name in ("memory_gb", "disk_gb", "memory_bytes_per_vector")}
    assert fields == {"memory_gb": 0.008, "disk_gb": 1.024, "memory_bytes_per_vector": 8}
    assert any("read from a disk it takes longer" in note for note in small.notes)
    assert not any("from a disk" in note for note in no_disk.notes)


def test_what_is_allowed_leaves_plans_out():
    """Precisions and reranks that are not wanted are never chosen; none left is refused; none good enough says so."""
    measured = made(GOOD | {Plan(8, "binary", rerank=((50, FULL),)): 0.999})
    assert all(row.plan.dtype == "float32" for row in choose(measured, target=0.9, dtypes=("float32",)).evidence)
    assert all(not row.plan.rerank for row in choose(measured, target=0.9, allow_rerank=False).evidence)
    with pytest.raises(InvalidInputError, match="leave no plan"):
        choose(measured, dtypes=("float16",))
    nothing = choose(measured, target=0.99, dtypes=("int8",))
    assert (
        nothing.plan is None
        and nothing.binding == ()
        and nothing.takeaway().startswith("None of 3 plans is sure to keep 99%")
    )


def test_a_target_is_shown_with_its_digits():
    """99.5 % is not called 100 %."""
    assert "99.5% of overlap@10" in choose(made(GOOD), target=0.995).takeaway()


def test_the_front_is_what_no_plan_beats(measured):
    """A plan is on the front when none is as good in quality, memory, disk and time and better in one; else not."""
    rows = choose(measured, target=0.5).evidence
    for row in rows:
        own = (-row.quality, row.memory_bytes_per_vector, row.disk_bytes_per_vector, row.latency.p50_ms)
        others = [
            (-other.quality, other.memory_bytes_per_vector, other.disk_bytes_per_vector, other.latency.p50_ms)
            for other in rows
        ]
        beaten = any(all(a <= b for a, b in zip(other, own)) and other != own for other in others)
        assert row.is_on_front != beaten


def test_sensitivity_is_what_choosing_says(measured):
    """Each cell at k is the plan that is chosen for that target, and the columns hold the target asked for."""
    decision = choose(measured, target=0.85, targets=(0.5, 0.7))
    level = decision.sensitivity.ks.index(K)
    assert decision.sensitivity.targets == (0.5, 0.7, 0.85)
    for target, plan in zip(decision.sensitivity.targets, decision.sensitivity.plans[level]):
        assert plan == choose(measured, target=target).plan
    assert len(decision.sensitivity.rows()) == 3 * len(measured.ks)


def test_latency_is_extrapolated_and_says_so(measured):
    """More vectors cost a scan's measured time each, a graph's logarithm; fewer are not extrapolated; notes say it."""
    for candidate in measured.candidates:
        assert candidate.expected_ms(480, 10) == candidate.latency.p95_ms
        more = candidate.expected_ms(480, 480 + 10**6) - candidate.latency.p95_ms
        if candidate.plan.kind == "hnsw":
            assert 0 < more < 3 * candidate.latency.p95_ms
        else:
            assert more == pytest.approx(candidate.scan_ms * 10**6) and more > 0
    assert any("extrapolated" in note for note in choose(measured, n_vectors=1e6).notes)
    assert not any("extrapolated" in note for note in choose(measured).notes)


def test_a_shortlist_that_holds_half_the_texts_is_warned_of():
    """A bound of a shortlist that is none at production size carries a note; at this size it does not."""
    measured = made({Plan(8, rerank=((600, FULL),)): 0.99})
    fast = replace(measured.candidates[0], latency=Latency(0.1, 0.1, 1), scan_ms=0.0)
    measured = replace(measured, candidates=(fast, *measured.candidates[1:]))
    decision = choose(measured, target=0.9, n_vectors=1e6, latency_ms=0.5)
    assert decision.plan == fast.plan
    assert any("holds 60% of the measured texts and one in 1,667 of 1,000,000" in note for note in decision.notes)
    assert not any("shortlist" in note for note in choose(measured, target=0.9, latency_ms=0.5).notes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 0}, "`target` is 0"),
        ({"target": 1.01}, "`target` is 1.01"),
        ({"target": float("nan")}, "`target` is nan"),
        ({"n_vectors": 0}, "`n_vectors` is 0"),
        ({"n_vectors": 1.5}, "`n_vectors` is 1.5"),
        ({"memory_gb": 0}, "`memory_gb` is 0"),
        ({"latency_ms": -1}, "`latency_ms` is -1"),
        ({"memory_gb": float("inf")}, "`memory_gb` is inf"),
        ({"disk_gb": 0}, "`disk_gb` is 0; to do without"),
        ({"disk_gb": -1}, "`disk_gb` is -1"),
        ({"smallest": "disk"}, "`smallest` is 'disk'; choose one of"),
    ],
)
def test_impossible_limits_are_refused(arguments, message):
    """Targets outside (0, 1], budgets not above 0 and broken counts are refused, before anything is measured."""
    with pytest.raises(InvalidInputError, match=message):
        choose(made(GOOD), **arguments)
    with pytest.raises(InvalidInputError, match=message):
        recommend(None, **arguments)


def test_overlap_is_that_of_the_sweep(embedded, measured):
    """Float32 prefixes have the overlap of `nested_sweep`, query by query, at every list length."""
    sweep = nested_sweep(embedded.matrix, dims=[32, 128], k=2 * K)
    for dim in (32, 128):
        row = measured.plans.index(Plan(dim))
        for level, k in enumerate(measured.ks):
            lists = zip(sweep.indices[sweep.dims.index(dim)], sweep.indices[-1])
            naive = [len(set(short[:k]) & set(full[:k])) / k for short, full in lists]
            assert measured.values[row, level] == pytest.approx(naive)
    assert measured.plans[-1] == Plan(FULL) and (measured.values[-1] == 1).all() and measured.texts_are_queries
    assert (measured.qualities[-1] == 1).all() and (measured.lower_bounds[-1] == 1).all()
    assert any("texts search for their own neighbors" in note for note in measured.notes)


def test_graded_metrics_agree_with_ir_measures(embedded):
    """nDCG@10, recall@20 and the reciprocal rank of each query equal the reference implementation's."""
    import ir_measures

    from mrl_viz.decide.metrics import find_target

    target = find_target(embedded, parse_metric("ndcg@10"), 0)
    found = nested_sweep(target.corpus, target.queries, dims=[64], k=20).indices[0]
    qrels = [
        ir_measures.Qrel(str(q), str(item), grade)
        for q, judged in enumerate(target.task.grades)
        for item, grade in judged.items()
    ]
    run = [
        ir_measures.ScoredDoc(str(q), str(item), -float(rank))
        for q, items in enumerate(found)
        for rank, item in enumerate(items)
    ]
    for kind, k, name in (("ndcg", 10, "nDCG@10"), ("recall", 20, "R@20"), ("mrr", 10, "RR@10")):
        own = replace(target, metric=parse_metric(f"{kind}@{k}")).values(found, found, (k,))[0]
        reference = {
            int(one.query_id): one.value for one in ir_measures.iter_calc([ir_measures.parse_measure(name)], qrels, run)
        }
        assert own == pytest.approx([reference[query] for query in range(len(found))])


@pytest.mark.parametrize("metric", ["ndcg@10", "recall@5", "mrr@10", "accuracy:domain"])
def test_labelled_metrics_are_shares_of_the_full_width(embedded, metric):
    """Quality by labels is the share of the full width's, which is 1 for itself."""
    result = measure_candidates(embedded, metric=metric, dims=[8], dtypes=("float32",), kinds=("exact",), n_runs=1)
    means = result.values[:, result.ks.index(result.k)].mean(axis=1)
    assert result.qualities[:, result.ks.index(result.k)] == pytest.approx(means / means[-1])
    assert 0 < result.qualities[0, 0] < 1


def test_spearman_measures_stored_pairs():
    """Scored pairs: the share of the full width's Spearman, without index or rerank."""
    from scipy.stats import spearmanr

    corpus = read_corpus("sample_data/pairs.csv")
    vectors = embed(corpus, "wordllama")
    result = measure_candidates(vectors, metric="spearman", dims=[16], n_runs=1)
    assert all(plan.kind == "exact" and not plan.rerank for plan in result.plans)
    left, right, scores = zip(*corpus.pairs)
    spearman = []
    for dim in (16, FULL):
        short = vectors.matrix[:, :dim] / np.linalg.norm(vectors.matrix[:, :dim], axis=1, keepdims=True)
        spearman.append(spearmanr((short[list(left)] * short[list(right)]).sum(axis=1), scores).statistic)
    assert result.qualities[result.plans.index(Plan(16)), 0] == pytest.approx(spearman[0] / spearman[1], abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        ("overlap", InvalidInputError, "`metric` is 'overlap'"),
        ("overlap@0", InvalidInputError, "`metric` is 'overlap@0'"),
        ("f1@10", InvalidInputError, "`metric` is 'f1@10'"),
        ("overlap@480", InvalidInputError, "`k` is 480"),
        ("spearman", EmptyInputError, "no scored pairs for spearman"),
        ("accuracy:colour", InvalidInputError, "label column 'colour'"),
    ],
)
def test_metrics_without_their_data_are_refused(embedded, metric, error, message):
    """An unknown metric, too long a list, and labels that are not there are one sentence each."""
    with pytest.raises(error, match=message):
        measure_candidates(replace(embedded, queries=None), metric=metric)


def test_relevance_needs_judgements(embedded):
    """nDCG without relevance judgements points to overlap."""
    with pytest.raises(EmptyInputError, match=r"no relevance judgements for ndcg@10; .* overlap@10"):
        measure_candidates(replace(embedded, queries=None), metric="ndcg@10")


def test_candidate_plans_are_sound():
    """Shortlists are longer than k, shorter than the corpus; graphs stop at 20,000 texts; full width is last."""
    plans = candidate_plans(300, 64, k=10)
    assert plans[-1] == Plan(64) and len(set(plans)) == len(plans)
    assert all(10 < size < 300 for plan in plans for size, _ in plan.rerank)
    assert any(plan.kind == "hnsw" for plan in plans)
    assert not any(plan.kind == "hnsw" for plan in candidate_plans(20_001, 64))
    assert all(not plan.rerank for plan in candidate_plans(300, 64, allow_rerank=False))
    with pytest.raises(DimensionError, match="choose 1 to 64"):
        candidate_plans(300, 64, dims=[65])
    with pytest.raises(InvalidInputError, match="`dtypes` is"):
        candidate_plans(300, 64, dtypes=("int5",))
    with pytest.raises(InvalidInputError, match="opq2, which learns from 624 or more texts, and there are 300"):
        candidate_plans(300, 64, dtypes=("opq2",))


def test_a_path_holds_the_widths_of_a_family():
    """Plans are tested from the widest down, those that differ in anything but width on paths of their own."""
    plans = candidate_plans(300, 64, k=10)
    paths = width_paths(plans)
    assert sorted(row for path in paths for row in path) == list(range(len(plans)))
    for path in paths:
        dims = [plans[row].dim for row in path]
        assert dims == sorted(set(dims), reverse=True)
        assert len({replace(plans[row], dim=1) for row in path}) == 1
    assert len(paths) == len({replace(plan, dim=1) for plan in plans})


def test_the_recommendation_says_where_dims_beat_bits(measured):
    """Of equally large plans the better one is named near the plan chosen, for the plans that are allowed."""
    decision = choose(measured, target=0.9)
    (found,) = decision.trade_offs
    assert found.is_wider_better and found.bytes_per_vector == 128
    assert (found.better, found.worse) == (Plan(128, "int8"), Plan(32))
    level = measured.ks.index(K)
    means = dict(zip(measured.plans, measured.values[:, level].mean(axis=1)))
    assert found.gain == pytest.approx(means[found.better] - means[found.worse]) and 0 < found.gain_low < found.gain
    assert choose(measured, target=0.9, dtypes=("int8",)).trade_offs == ()
    assert found.takeaway() in decision_record(decision).markdown
    assert decision.to_dict()["trade_offs"][0]["better"]["dim"] == 128


def test_the_figures_hold_every_plan(measured):
    """A marker for each plan, a ring around the chosen one; a cell of the heat map for each k and target."""
    decision = choose(measured, target=0.7)
    figure = pareto(decision)
    assert sum(len(trace.x) for trace in figure.data if trace.name in ("float32", "int8")) == len(decision.evidence)
    symbols = [symbol for trace in figure.data if trace.name in ("float32", "int8") for symbol in trace.marker.symbol]
    assert sum(symbol.endswith("-dot") for symbol in symbols) == sum(bool(row.plan.rerank) for row in decision.evidence)
    (ring,) = [trace for trace in figure.data if trace.name == "chosen"]
    assert ring.x[0] == decision.chosen.memory_bytes_per_vector
    assert figure.layout.xaxis.title.text.startswith("bytes per vector in memory")
    in_all = choose(measured, target=0.7, smallest="total")
    (ring,) = [trace for trace in pareto(in_all).data if trace.name == "chosen"]
    assert ring.x[0] == in_all.chosen.bytes_per_vector
    heat = sensitivity_heatmap(decision.sensitivity).data[0]
    assert heat.z.shape == (len(measured.ks), len(decision.sensitivity.targets))
    assert not any(trace.name == "chosen" for trace in pareto(choose(measured, target=0.7, memory_gb=1e-9)).data)


def test_a_short_scan_is_timed_on_copies(monkeypatch):
    """Of a scan that is mostly the call, the time per vector is that of a scan that is mostly scanning."""
    call, rate, seen = 0.05, 2e-6, []

    def timed(built, queries, n_runs):
        seen.append(built.n_items)
        return call + rate * built.n_items

    monkeypatch.setattr(candidates, "_least_ms", timed)
    rows = np.random.default_rng(0).standard_normal((2_000, 16), dtype=np.float32)
    for dtype in ("float32", "binary", "int8"):
        seen.clear()
        found = candidates._scan_ms(Plan(16, dtype), rows, rows[:2], 2, 0)
        assert len(seen) > 1 and seen == sorted(seen) and found == pytest.approx(rate, rel=0.05), dtype
        assert seen[-1] * Plan(16, dtype).bytes_per_vector <= candidates.MOST_SCANNED_BYTES


def test_times_are_said_as_far_as_they_can_be_told():
    """Under a millisecond the call is most of it; above, two digits."""
    said = {
        0.13: "under 1 ms",
        0.999: "under 1 ms",
        1.04: "1 ms",
        39.83: "40 ms",
        777.4: "780 ms",
        12345.0: "12,000 ms",
    }
    assert {value: milliseconds(value) for value in said} == said
