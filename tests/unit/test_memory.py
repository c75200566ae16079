"""What a server of many visitors computes once, and what it leaves to the garbage collector."""

import gc

import numpy as np
import pytest
from streamlit.runtime.caching import cache_resource_api

from mrl_viz import figures
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.measures.lists import neighbor_overlap
from mrl_viz.measures.sample import pair_sample
from mrl_viz.measures.similarity import similarity_density
from mrl_viz.sweep import nested_sweep
from mrl_viz.ui import charts, memory, results


@pytest.fixture
def visitor(monkeypatch):
    """Who is asking: the caches of Streamlit ask for the session."""
    now = ["first"]
    monkeypatch.setattr(cache_resource_api, "get_session_id_or_throw", lambda: now[0])
    return now


def test_the_sample_is_measured_once_for_everybody_and_other_data_once_a_visitor(visitor):
    """Two visitors of the sample share a result; of the same data of their own each has one."""
    made = []

    @results.measured(False)
    def count(vectors, k):
        made.append(k)
        return len(made)

    sample = embed(results.sample("sample"), queries=())
    own = embed(np.eye(4, dtype=np.float32))
    assert [count(sample, 1), count(own, 1), count(own, 1)] == [1, 2, 2]
    visitor[0] = "second"
    assert [count(sample, 1), count(own, 1), count(own, 1)] == [1, 3, 3]
    assert count(sample, 2) == 4


def test_figures_are_kept_with_their_result(monkeypatch):
    """A figure of the same result and options is made once, of other options again, and no more are kept than a few."""
    made = []

    def curve(result, dim, trained):
        made.append(dim)
        return figures.overlap_curve(result, dim, trained)

    rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    overlap = neighbor_overlap(nested_sweep(rows, dims=[2, 4], k=3))
    one = charts.drawn(curve, overlap, (4, (2,)), {})
    assert charts.drawn(curve, overlap, (4, (2,)), {}) is one and made == [4]
    assert one.to_json() == figures.overlap_curve(overlap, 4, (2,)).to_json()
    assert charts.drawn(curve, overlap, (2, (2,)), {}).to_json() != one.to_json()
    charts.drawn(curve, overlap, (4, [2]), {})
    assert made == [4, 2, 4]
    monkeypatch.setattr(charts, "MOST_DRAWN", 2)
    charts.drawn(curve, overlap, (8, ()), {})
    charts.drawn(curve, overlap, (4, (2,)), {})
    assert made == [4, 2, 4, 8, 4]


def test_a_drawn_result_reads_as_one_that_was_not():
    """The figures kept with a result are no part of what it says, in its records or as data."""
    rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    density = similarity_density(pair_sample(rows, dims=[2, 8]), 2)
    before = density.rows(), density.to_dict()
    charts.drawn(figures.density_heatmap, density, (), {})
    assert vars(density)["_drawn"] and (density.rows(), density.to_dict()) == before


def test_the_collector_is_relieved_once_a_page(monkeypatch):
    """The first run of a page freezes what it loaded; later runs do not."""
    monkeypatch.setattr(memory, "_settled", set())
    gc.unfreeze()  # what the test run has frozen
    try:
        kept = read_corpus("sample")
        memory.settle("a page")
        frozen = gc.get_freeze_count()
        assert frozen > 1000 and kept.n_items
        more = [[number] for number in range(1000)]
        memory.settle("a page")
        assert gc.get_freeze_count() <= frozen
        memory.settle("another page")
        assert gc.get_freeze_count() >= frozen + len(more) // 2
    finally:
        gc.unfreeze()
