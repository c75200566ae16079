"""The monitor: the deployed plan against the full width on a fresh sample of queries."""

import json

import numpy as np
import pytest

from mrl_viz.data.reading import read_corpus
from mrl_viz.decide.monitoring import check_deployed_plan
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import DimensionError, InvalidInputError, ShapeError
from mrl_viz.measures.estimate import Estimate, columns
from mrl_viz.measures.lists import neighbor_overlap
from mrl_viz.retrieval.plan import Plan
from mrl_viz.sweep import nested_sweep


@pytest.fixture(scope="module")
def embedded():
    """The sample with its 160 queries."""
    return embed(read_corpus("sample"), "wordllama")


def test_all_texts_give_the_overlap_of_the_sweep(embedded):
    """With every text sampled the estimate is that of the Neighbors page, exact duplicates included."""
    rows = np.vstack([embedded.matrix[:200], embedded.matrix[:5]])
    result = check_deployed_plan(rows, 64, target=0.4, n_queries=1000, seed=3)
    overlap = neighbor_overlap(nested_sweep(rows, dims=[64], k=10), seed=3)
    assert result.n_queries == 205
    (kept, *_) = overlap.overlap
    np.testing.assert_allclose(columns([result.overlap]), columns([kept]), rtol=1e-6)


def test_the_full_width_keeps_everything(embedded):
    """The full width against itself is 1, never below any target, and certain."""
    result = check_deployed_plan(embedded, 256, target=1.0, seed=0)
    assert result.overlap == Estimate(1, 1, 1) and not result.is_below_target and result.is_certain
    assert result.n_queries == 160 and result.n_items == 1280


def test_a_plan_is_monitored_as_deployed(embedded):
    """Precision and rerank count: binary loses, and a rerank of all texts wins everything back."""
    float32, binary = (
        check_deployed_plan(embedded, plan, target=0.9, seed=0).overlap.value for plan in (Plan(64), Plan(64, "binary"))
    )
    assert binary < float32 < 1
    assert check_deployed_plan(embedded, Plan(8, "binary", rerank=((1280, 256),)), target=0.9).overlap.value == 1


def test_a_model_that_changed_rings_the_alarm(embedded):
    """Queries that have nothing in their first coordinates any more fall below a target that was met."""
    target = check_deployed_plan(embedded, 128, target=0.5, seed=0).overlap.value - 0.1
    assert not check_deployed_plan(embedded, 128, target=target, seed=0).is_below_target
    broken = embedded.queries.copy()
    broken[:, :128] *= 0.01
    result = check_deployed_plan(embedded, 128, broken, target=target, seed=0)
    assert result.is_below_target and result.is_certain and "below the target" in result.takeaway()


def test_samples_are_fresh_and_can_be_repeated(embedded):
    """Without a seed every run takes another sample and says which; with that seed it is the same run."""
    first, second = (check_deployed_plan(embedded, 64, target=0.5, n_queries=20) for _ in range(2))
    assert first.seed != second.seed and first.n_queries == 20
    assert check_deployed_plan(embedded, 64, target=0.5, n_queries=20, seed=first.seed) == first


def test_an_interval_across_the_target_says_so(embedded):
    """Few queries near the target: not certain, and the sentence asks for more."""
    overlap = check_deployed_plan(embedded, 64, target=0.5, n_queries=30, seed=1).overlap.value
    result = check_deployed_plan(embedded, 64, target=overlap, n_queries=30, seed=1)
    assert not result.is_below_target and not result.is_certain and "sample more queries" in result.takeaway()
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["schema"] == 1 and data["plan"]["dim"] == 64 and data["is_certain"] is False


@pytest.mark.parametrize(
    ("plan", "options", "error", "message"),
    [
        (64, {"target": 0}, InvalidInputError, "`target` is 0"),
        (64, {"target": 95}, InvalidInputError, "`target` is 95"),
        (64, {"target": 0.9, "n_queries": 0}, InvalidInputError, "`n_queries` is 0"),
        (64, {"target": 0.9, "k": 1281}, InvalidInputError, "`k` is 1281"),
        (512, {"target": 0.9}, DimensionError, "choose 1 to 256"),
        (Plan(64, rerank=((50, 512),)), {"target": 0.9}, DimensionError, "choose 1 to 256"),
        (Plan(64, rerank=((5, 256),)), {"target": 0.9}, InvalidInputError, "`k` is 10 but this plan reranks only 5"),
        (64, {"target": 0.9, "queries": np.ones((3, 128))}, ShapeError, "128"),
    ],
)
def test_what_cannot_be_monitored_is_refused(embedded, plan, options, error, message):
    """Targets, samples, widths, lists and queries that cannot be are one sentence each."""
    with pytest.raises(error, match=message):
        check_deployed_plan(embedded, plan, **options)
