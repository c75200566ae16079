"""Multiply-adds, bytes and plans as the definitions say."""

from dataclasses import replace

import faiss
import numpy as np
import pytest

from mrl_viz.errors import DataFormatError, DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.retrieval.ann import HNSW_LINKS, AnnIndex
from mrl_viz.retrieval.cost import (
    bytes_per_vector,
    double_and_halve,
    funnel_cost,
    funnel_presets,
    storage_cost,
)
from mrl_viz.retrieval.early import early_search
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.panorama import BATCH_SIZE, PanoramaIndex
from mrl_viz.retrieval.plan import Plan, build_plan

IMAGENET = 1_281_167


def test_imagenet_example_of_the_paper():
    """16 to 2048 dims with 200 reranked is 125.5x (the paper's 128x leaves the rerank out)."""
    cost = funnel_cost(IMAGENET, ((16, 200), (2048, 200)), 2048)
    assert cost.multiply_adds == IMAGENET * 16 + 200 * 2048
    assert cost.speedup == pytest.approx(125.5, abs=0.05)
    assert "125.5x fewer" in cost.takeaway()
    more = replace(cost, multiply_adds=round(1.2 * cost.exact_multiply_adds))
    assert "1.2x as many as exact search" in more.takeaway()
    funnel = funnel_cost(IMAGENET, funnel_presets(2048, k=10)["paper"], 2048)
    assert funnel.multiply_adds == IMAGENET * 16 + 200 * 32 + 100 * 64 + 50 * 128 + 25 * 256 + 10 * 2048
    assert funnel.formula == "1,281,167 x 16 + 200 x 32 + 100 x 64 + 50 x 128 + 25 x 256 + 10 x 2048"


def test_exact_cost_is_n_times_d():
    """Exact search multiplies every coordinate once and reads its bytes."""
    cost = funnel_cost(1000, ((64, 1000),), 256, dtype="int8")
    assert (cost.multiply_adds, cost.bytes_read, cost.speedup) == (64_000, 64_000, 4.0)


def test_presets_fit_width_list_and_corpus():
    """Presets keep at least k, at most the corpus, leave out widths at or above full, and end with k at full width."""
    presets = funnel_presets(128, k=20, n_items=150)
    assert presets["three_steps"] == ((32, 150), (128, 20))
    assert presets["paper"] == ((16, 150), (32, 100), (64, 50), (128, 20))
    assert double_and_halve(64, start_dim=16, shortlist_size=100, k=10) == ((16, 100), (32, 50), (64, 10))
    for stages in funnel_presets(16, k=3, n_items=5).values():
        assert stages[-1] == (16, 3)


def test_storage_matches_what_faiss_writes():
    """The formula for vectors, graph and rerank copy is within 1 % of the index that faiss writes."""
    assert (bytes_per_vector(100, "binary"), bytes_per_vector(64, "int8"), bytes_per_vector(64)) == (13, 64, 256)
    corpus = np.random.default_rng(0).normal(size=(3000, 48)).astype(np.float32)
    built = AnnIndex(corpus, "hnsw", 16, rerank_dim=48)
    cost = storage_cost(3000, 16, rerank_dim=48, hnsw_links=HNSW_LINKS)
    assert cost.total_bytes == pytest.approx(built.nbytes, rel=0.01)
    assert Plan(16, kind="hnsw", rerank=((100, 48),)).bytes_per_vector * 3000 == pytest.approx(
        cost.total_bytes, rel=0.01
    )
    assert faiss.serialize_index(built._index).nbytes == built.nbytes
    assert cost.memory_bytes == pytest.approx(AnnIndex(corpus, "hnsw", 16).nbytes, rel=0.01)
    assert cost.disk_bytes == corpus.nbytes and cost.total_bytes == cost.memory_bytes + cost.disk_bytes
    assert cost.takeaway() == (
        "3,000 vectors take 0.00 GB, 336 bytes each, in memory and 0.00 GB, 192 bytes each, on disk."
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: funnel_cost(0, ((8, 1),), 8), EmptyInputError, "no items"),
        (lambda: funnel_cost(10, (), 8), EmptyInputError, "`stages` is empty"),
        (lambda: funnel_cost(10, ((8, 5), (4, 2)), 8), DimensionError, "from 8 dims back to 4"),
        (lambda: funnel_cost(10, ((4, 5), (8, 6)), 8), InvalidInputError, "`keep` is 6; .* 1 to 5"),
        (lambda: funnel_cost(10, ((4, 11),), 8), InvalidInputError, "`keep` is 11; .* 1 to 10"),
        (lambda: funnel_cost(10, ((4, 10),), 4, dtype="int5"), InvalidInputError, "`dtype` is 'int5'"),
        (lambda: storage_cost(10, 4, hnsw_links=1), InvalidInputError, "`hnsw_links` is 1"),
        (lambda: double_and_halve(64, shortlist_size=5, k=10), InvalidInputError, "`shortlist_size` is 5"),
        (lambda: Plan(64, rerank=((100, 32),)), DimensionError, "from 64 dims back to 32"),
        (lambda: Plan(64, rerank=((100, 64), (200, 128))), InvalidInputError, "`rerank size` is 200"),
        (lambda: Plan(64, "int8", "hnsw"), InvalidInputError, "works with float32"),
        (lambda: Plan(64, kind="annoy"), InvalidInputError, "`kind` is 'annoy'"),
        (lambda: Plan(8, rerank=((5, 16),)).stages(10), InvalidInputError, "`k` is 10 but this plan reranks only 5"),
        (lambda: Plan(8, kind="ivf").cost(100, 16), InvalidInputError, "depend on the data"),
        (lambda: Plan.from_dict({"dims": 8}), DataFormatError, "A plan is a record with `dim`"),
        (lambda: Plan.from_dict({"dim": 8, "rerank": [[5]]}), DataFormatError, "makes no plan"),
        (lambda: Plan.from_dict({"dim": "8"}), DataFormatError, "`dim` is '8'"),
    ],
)
def test_bad_input_is_one_sentence(call, error, message):
    """What cannot be costed or planned says what was given and what is allowed."""
    with pytest.raises(error, match=message):
        call()


def test_plan_round_trip_and_cost():
    """A plan survives JSON, and costs what its funnel costs."""
    plan = Plan(32, "int8", rerank=((500, 64), (50, 256)))
    assert Plan.from_dict(plan.to_dict()) == plan
    assert plan.stages(10) == ((32, 500), (64, 50), (256, 10))
    assert plan.bytes_per_vector == 32 + 256 * 4
    assert (plan.memory_bytes_per_vector, plan.disk_bytes_per_vector) == (32, 256 * 4)
    whole = Plan(32, rerank=((500, 256),))
    assert (whole.memory_bytes_per_vector, whole.disk_bytes_per_vector) == (32 * 4, 256 * 4)
    assert Plan(256).disk_bytes_per_vector == 0 and Plan(256).memory_bytes_per_vector == 256 * 4
    assert plan.label == "32 dims int8 exact, 500 reranked at 64, 50 reranked at 256"
    cost = plan.cost(10_000, 256, k=10)
    assert cost.multiply_adds == 10_000 * 32 + 500 * 64 + 50 * 256
    assert cost.bytes_read == 10_000 * 32 + (500 * 64 + 50 * 256) * 4


def test_a_plan_written_before_its_bytes_were_is_read():
    """The bytes of a record are computed again: a plan without them, or with others, is the plan of its fields."""
    plan = Plan(64, "int8", rerank=((200, 256),))
    record = plan.to_dict()
    assert (record["memory_bytes_per_vector"], record["disk_bytes_per_vector"]) == (64, 1024)
    before = {name: record[name] for name in ("dim", "dtype", "kind", "rerank")}
    assert Plan.from_dict(before) == Plan.from_dict(record | {"memory_bytes_per_vector": 1}) == plan
    with pytest.raises(DataFormatError, match="A plan is a record"):
        Plan.from_dict(record | {"memory": 64})


def test_an_early_stop_costs_its_norms():
    """The codes and a norm for each level and the whole, as faiss holds them; nothing of it is on disk."""
    corpus = np.random.default_rng(0).normal(size=(2048, 100)).astype(np.float32)
    plan, index = Plan(100, kind="panorama"), PanoramaIndex(corpus, 100)
    held = index._index.codes.size() + 4 * index._index.cum_sums.size()
    assert plan.memory_bytes_per_vector * 2048 == held and plan.disk_bytes_per_vector == 0
    assert index.nbytes == held + PrefixIndex(corpus, [100]).nbytes == build_plan(plan, corpus).nbytes
    assert plan.storage(10).formula == "10 x (100 x 32/8 + (4 + 1) x 4)"
    assert plan.label == "100 dims float32 exact, early stop"
    with pytest.raises(InvalidInputError, match="multiply-adds depend on the data"):
        plan.cost(2048, 100)
    with pytest.raises(InvalidInputError, match="`kind` 'panorama' works with float32"):
        Plan(64, "int8", "panorama")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda rows: early_search(rows, rows, 0), InvalidInputError, "`k` is 0"),
        (lambda rows: early_search(rows, rows, 31), InvalidInputError, "`k` is 31"),
        (lambda rows: early_search(rows, rows, 30, own=np.arange(30)), InvalidInputError, "`k` is 30"),
        (lambda rows: early_search(rows, rows, own=[1]), ShapeError, r"`own` has shape \(1,\) for 30 queries"),
        (lambda rows: early_search(rows, rows[:, :3]), ShapeError, "`queries` have 3 coordinates"),
        (lambda rows: early_search(rows, rows, dims=[9]), DimensionError, "choose 1 to 8"),
        (lambda rows: PanoramaIndex(rows, 9), DimensionError, "choose 1 to 8"),
        (lambda rows: PanoramaIndex(rows, 8).search(rows, 31), InvalidInputError, "`k` is 31"),
        (lambda rows: PanoramaIndex(rows, 8).search(rows[:, :3]), ShapeError, "`queries` have 3 coordinates"),
    ],
)
def test_impossible_early_stops_are_refused(call, error, message):
    """Lists longer than there are items, other widths and broken rows are one sentence each."""
    rows = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    with pytest.raises(error, match=message):
        call(rows)


def test_lists_longer_than_a_batch_of_faiss_are_exact_too():
    """faiss' early stop finds no more than a batch; longer lists come from the plain search."""
    corpus = np.random.default_rng(0).normal(size=(BATCH_SIZE + 200, 8)).astype(np.float32)
    found = PanoramaIndex(corpus, 8).search(corpus[:2], BATCH_SIZE + 50)
    np.testing.assert_array_equal(found.indices, PrefixIndex(corpus).search(corpus[:2], BATCH_SIZE + 50).indices)
