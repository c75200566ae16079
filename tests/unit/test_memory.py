"""What a server of many visitors computes once, and what it leaves to the garbage collector."""

import gc
import threading

import numpy as np
import pytest
from streamlit.runtime.caching import cache_resource_api

from mrl_viz import figures
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import InvalidInputError
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


def test_figures_are_kept_with_their_result():
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
    vars(overlap)["_drawn"].most_bytes = 2 * memory.size_of(one.to_dict())
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
    """The first run of a page freezes what it loaded; later runs do not, until some minutes have passed."""
    monkeypatch.setattr(memory, "_settled", {})
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
        frozen = gc.get_freeze_count()
        more += [[number] for number in range(2000)]
        memory.settle("another page")
        assert gc.get_freeze_count() <= frozen
        monkeypatch.setattr(memory, "SETTLE_EVERY_S", 0)
        memory.settle("another page")
        assert gc.get_freeze_count() >= frozen + 1000
    finally:
        gc.unfreeze()


def test_a_result_is_as_large_as_its_arrays_and_texts():
    """Arrays count once, views as what they look at, texts by their characters, vectors inside elsewhere."""
    rows = np.zeros((100, 8), dtype=np.float32)
    assert memory.size_of(rows) == memory.size_of(rows[:3]) == memory.size_of((rows, rows[5:])) - 16 == 3200
    assert memory.size_of({"a": "x" * 1000}) > 1000
    vectors = embed(rows + 1)
    assert 3200 < memory.size_of(vectors) < 60_000
    assert memory.size_of([vectors, 1]) < 100
    sweep = nested_sweep(rows + np.eye(100, 8, dtype=np.float32), dims=[2, 8], k=3)
    assert memory.size_of(sweep) >= sweep.indices.nbytes + sweep.similarities.nbytes


def test_a_shelf_holds_as_many_bytes_as_it_may():
    """The longest unused values go first; one that is larger than the shelf is kept while it is the newest."""
    shelf, made = memory.Shelf(2500), []

    def take(name, size=1000):
        return shelf.take(name, lambda: (made.append(name), np.zeros(size, dtype=np.uint8))[1])

    for name in "abacab":  # c pushes b out, not a
        take(name)
    assert made == ["a", "b", "c", "b"] and shelf.n_bytes <= 2500
    take("large", 5000)
    take("large", 5000)
    assert made[-1] == "large" and made.count("large") == 1 and shelf.n_bytes == 5000
    take("d")
    assert shelf.n_bytes == 1000
    shelf.clear()
    assert shelf.n_bytes == 0


def test_several_who_ask_at_once_have_it_made_once():
    """Eight threads ask for the same value: one makes it; where making it fails the next one tries."""
    shelf, made, found = memory.Shelf(10**6), [], []
    start = threading.Barrier(8)

    def make():
        made.append(1)
        if len(made) == 1:
            raise ValueError("not yet")
        return "it"

    def ask():
        start.wait()
        try:
            found.append(shelf.take("key", make))
        except ValueError:
            found.append("failed")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2 and sorted(found) == ["failed", *["it"] * 7]


def test_all_visitors_together_have_a_bound(monkeypatch):
    """Above it the visitor who looked longest ago loses all but the newest value, then the next one."""
    shelves = [memory.Shelf(10**6) for _ in range(3)]
    monkeypatch.setattr(memory, "_shelves", set(shelves))
    monkeypatch.setattr(memory, "ALL_BYTES", 5500)
    for place, shelf in enumerate(shelves):
        for name in "ab":
            shelf.take(name, lambda: np.zeros(1000, dtype=np.uint8))
        shelf.used = place
    memory.make_room()
    assert [shelf.n_bytes for shelf in shelves] == [1000, 2000, 2000]
    monkeypatch.setattr(memory, "ALL_BYTES", 100)
    memory.make_room()
    assert [shelf.n_bytes for shelf in shelves] == [1000, 1000, 1000]


class File:
    def __init__(self, name, size):
        self.name, self.size, self.file_id = name, size, name


def test_uploads_are_bounded_for_one_and_for_all(monkeypatch):
    """Too much of one visitor, or of all, is refused in a sentence and not counted; who left is counted no more."""
    monkeypatch.setattr(memory, "_uploaded", {"somebody": {"upload": 900}})
    monkeypatch.setattr(memory, "_is_open", lambda session: session != "gone")
    monkeypatch.setattr(memory, "UPLOADED_BYTES", 500)
    monkeypatch.setattr(memory, "ALL_UPLOADED_BYTES", 1200)
    memory.count_uploads("upload", [File("a.txt", 200)])
    with pytest.raises(
        InvalidInputError, match=r"`b\.txt`, `c\.txt` was not kept: the files you uploaded take more than"
    ):
        memory.count_uploads("compared", [File("b.txt", 200), File("c.txt", 200)])
    with pytest.raises(InvalidInputError, match=r"`d\.txt` was not kept: the files of everybody here"):
        memory.count_uploads("queries", [File("d.txt", 150)])
    memory._uploaded["gone"] = memory._uploaded.pop("somebody")
    memory.count_uploads("queries", [File("d.txt", 150)])
    memory.count_uploads("upload", [])
    assert memory._uploaded == {"": {"upload": 0, "compared": 0, "queries": 150}}
