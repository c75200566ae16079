"""The nested sweep equals the naive per-width computation, whatever the widths, ties, duplicates and tiles."""

import threading
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

import mrl_viz.sweep.fused as fused
import mrl_viz.sweep.tensors as tensors
from mrl_viz.errors import CancelledError, DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.sweep import cosine_matrices, nested_sweep, pair_similarities
from mrl_viz.truncation import truncate_and_normalize

# "cpu" is the compiled kernel; a device with a number goes to PyTorch, as a GPU does.
KERNELS = ["cpu", "cpu:0"]


def naive_neighbors(corpus, queries, dim, k):
    """Normalise, multiply and stable-sort; float64 rounded so that equal cosines are equal."""
    own = queries is None
    left = truncate_and_normalize(np.asarray(corpus if own else queries, dtype=np.float64), dim)
    right = truncate_and_normalize(np.asarray(corpus, dtype=np.float64), dim)
    cosines = np.round(left @ right.T, 6)
    if own:
        np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosines, order, axis=1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_items=st.integers(3, 150),
    full_dim=st.integers(1, 9),
    k=st.integers(1, 12),
    with_queries=st.booleans(),
    device=st.sampled_from(KERNELS),
)
def test_every_width_equals_naive_with_ties_and_duplicates(seed, n_items, full_dim, k, with_queries, device):
    """All widths 1..D at once give the lists of a per-width normalise-and-sort, ties to the lower index."""
    rng = np.random.default_rng(seed)
    # Coordinates in {-1, 0, 1} make exact ties, duplicates and zero prefixes common.
    corpus = rng.integers(-1, 2, size=(n_items, full_dim)).astype(np.float32)
    queries = rng.integers(-1, 2, size=(7, full_dim)).astype(np.float32) if with_queries else None
    k = min(k, n_items - (queries is None))
    result = nested_sweep(corpus, queries, dims=range(1, full_dim + 1), k=k, device=device)
    for level, dim in enumerate(result.dims):
        indices, similarities = naive_neighbors(corpus, queries, dim, k)
        np.testing.assert_allclose(result.similarities[level], similarities, atol=2e-6)
        np.testing.assert_array_equal(result.indices[level], indices)


@pytest.mark.parametrize(("queries", "items"), [(37, 64), (64, 128), (512, 2048)])
@pytest.mark.parametrize("device", KERNELS)
def test_tiles_do_not_change_the_result(monkeypatch, queries, items, device):
    """Any cut into tiles and blocks finds the same neighbors at every width."""
    rng = np.random.default_rng(1)
    corpus = rng.normal(size=(300, 24)).astype(np.float32)
    monkeypatch.setattr(tensors, "QUERY_TILE", queries)
    monkeypatch.setattr(tensors, "CORPUS_TILE", items)
    monkeypatch.setattr(fused, "TILE", items)
    monkeypatch.setattr(fused, "LONGEST_TILE", items)
    monkeypatch.setattr(fused, "TILE_SCORES", queries * items)
    monkeypatch.setattr(fused, "BLOCK", 2 * items)
    result = nested_sweep(corpus, dims=range(1, 25), k=9, device=device)
    for level, dim in enumerate(result.dims):
        indices, similarities = naive_neighbors(corpus, None, dim, 9)
        np.testing.assert_allclose(result.similarities[level], similarities, atol=2e-6)
        unit = truncate_and_normalize(corpus.astype(np.float64), dim)
        found = np.einsum("ijd,id->ij", unit[result.indices[level]], unit)
        np.testing.assert_allclose(found, similarities, atol=2e-6)  # near-ties may swap, nothing else may enter
        assert (result.indices[level] == indices).mean() > 0.99


@pytest.mark.parametrize("device", KERNELS)
def test_agrees_with_faiss(device):
    """The lists are those of an exact inner-product search over normalised prefixes."""
    rng = np.random.default_rng(2)
    corpus, queries = rng.normal(size=(3000, 48)).astype(np.float32), rng.normal(size=(40, 48)).astype(np.float32)
    result = nested_sweep(corpus, queries, dims=[5, 16, 48], k=10, device=device)
    for level, dim in enumerate(result.dims):
        similarities, indices = faiss.knn(
            truncate_and_normalize(queries, dim), truncate_and_normalize(corpus, dim), 10,
            metric=faiss.METRIC_INNER_PRODUCT,
        )  # fmt: skip
        np.testing.assert_allclose(result.similarities[level], similarities, atol=2e-6)
        assert (result.indices[level] == indices).mean() > 0.999


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
@example(seed=675)
def test_row_scaling_and_item_order_change_nothing(seed):
    """Scaling rows leaves the lists alone and permuting items permutes them."""
    rng = np.random.default_rng(seed)
    corpus = rng.normal(size=(60, 12)).astype(np.float32)
    base = nested_sweep(corpus, dims=[2, 6], k=5)
    # Powers of two scale float32 exactly, so even near-ties keep their order.
    scaled = nested_sweep(corpus * 2.0 ** rng.integers(-40, 40, size=(60, 1)), dims=[2, 6], k=5)
    np.testing.assert_array_equal(base.indices, scaled.indices)
    extreme = nested_sweep(corpus.astype(np.float64) * 10.0 ** rng.integers(-200, 200, size=(60, 1)), dims=[2, 6], k=5)
    np.testing.assert_allclose(base.similarities, extreme.similarities, atol=2e-6)
    order = rng.permutation(60)
    permuted = nested_sweep(corpus[order], dims=[2, 6], k=5)
    np.testing.assert_array_equal(permuted.similarities, base.similarities[:, order])
    # Two items of one float32 score change places with their numbers.
    found, expected = order[permuted.indices], base.indices[:, order]
    for level, query, rank in np.argwhere(found != expected):
        one, other = (prefix_cosine(corpus, base.dims[level], order[query], lists[level, query, rank])
                      for lists in (found, expected))  # fmt: skip
        assert abs(one - other) < 1e-6


def prefix_cosine(corpus, dim, one, other):
    """In float64."""
    left, right = corpus[one, :dim].astype(np.float64), corpus[other, :dim].astype(np.float64)
    return left @ right / np.linalg.norm(left) / np.linalg.norm(right)


def test_duplicates_are_each_others_neighbors():
    """Self is excluded by index, so an exact copy stays in the list."""
    corpus = np.random.default_rng(3).normal(size=(20, 8)).astype(np.float32)
    corpus[11] = corpus[4]
    result = nested_sweep(corpus, dims=[4], k=1)
    assert (result.indices[:, 4, 0] == 11).all()
    assert (result.indices[:, 11, 0] == 4).all()


def test_zero_rows_have_similarity_zero():
    """A zero prefix is never NaN: its cosine with everything is 0."""
    corpus = np.zeros((5, 4), dtype=np.float32)
    corpus[:, 3] = [1, 2, 3, 4, 0]
    result = nested_sweep(corpus, dims=[2], k=4)
    np.testing.assert_array_equal(result.similarities[0], 0)
    np.testing.assert_array_equal(result.indices[0, 0], [1, 2, 3, 4])


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.int64])
def test_other_number_types_and_layouts_are_read_and_never_written(dtype):
    """Integers, other floats, read-only and non-contiguous input give what their float32 copy gives."""
    base = np.random.default_rng(4).integers(-9, 9, size=(30, 16)).astype(dtype)
    base.flags.writeable = False
    before = base.copy()
    result = nested_sweep(base[::-1, ::2], dims=[3], k=4)
    expected = nested_sweep(np.ascontiguousarray(base[::-1, ::2]).astype(np.float32), dims=[3], k=4)
    np.testing.assert_array_equal(result.indices, expected.indices)
    np.testing.assert_array_equal(base, before)


def test_two_items_have_one_neighbor():
    """N = 2 works with k = 1, at chance 1."""
    result = nested_sweep(np.eye(2, dtype=np.float32), dims=[1], k=1)
    assert result.indices[:, :, 0].tolist() == [[1, 0], [1, 0]]
    assert result.chance == 1


@pytest.mark.parametrize(
    ("corpus", "dims", "k", "error", "message"),
    [
        (np.eye(4), [2], 4, InvalidInputError, "`k` is 4 but an item here has 3"),
        (np.eye(4), [2], 0, InvalidInputError, "`k` is 0"),
        (np.eye(1), [1], 1, InvalidInputError, "add at least one more text"),
        (np.eye(4), [0], 1, DimensionError, "`dim` is 0 but these embeddings have 4"),
        (np.eye(4), [5], 1, DimensionError, "`dim` is 5"),
        (np.eye(4), ["x"], 1, DimensionError, "not a whole number"),
        (np.float32(3), [1], 1, ShapeError, "shape"),
        (np.array([[1, np.nan], [0, 1]]), [1], 1, ShapeError, "NaN or infinity in row 0"),
        (np.float32([[1, 0], [1, -np.inf], [0, 1]]), [1], 1, ShapeError, "NaN or infinity in row 1"),
        (np.empty((0, 4)), [1], 1, EmptyInputError, "no rows"),
        ([[1, 2], [3]], [1], 1, ShapeError, "different lengths"),
    ],
)
def test_bad_input_is_one_clear_error(corpus, dims, k, error, message):
    """Unusable arrays, widths and k are refused with the value and the allowed range."""
    with pytest.raises(error, match=message):
        nested_sweep(corpus, dims=dims, k=k)


def test_queries_of_another_width_are_refused():
    """Queries and corpus come from one model."""
    with pytest.raises(ShapeError, match="`queries` have 3 coordinates and `corpus` 4"):
        nested_sweep(np.eye(4), np.eye(3), dims=[2], k=1)


def test_pair_and_matrix_cosines_equal_the_naive_ones():
    """Both cumulative forms give u_i . u_j of the renormalised prefixes."""
    rng = np.random.default_rng(5)
    left, right = rng.normal(size=(6, 10)), rng.normal(size=(6, 10))
    pairs, matrix = pair_similarities(left, right, [1, 4, 10]), cosine_matrices(left, right, [1, 4, 10])
    for level, dim in enumerate([1, 4, 10]):
        naive = truncate_and_normalize(left, dim) @ truncate_and_normalize(right, dim).T
        np.testing.assert_allclose(matrix[level], naive, atol=1e-5)
        np.testing.assert_allclose(pairs[level], np.diag(naive), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_items=st.integers(30, 2500),
    full_dim=st.integers(2, 70),
    n_dims=st.integers(1, 6),
    k=st.integers(1, 25),
)
def test_both_kernels_give_the_same_lists(seed, n_items, full_dim, n_dims, k):
    """Whole numbers add up exactly in any order, so both kernels have the same scores, ties and lists."""
    rng = np.random.default_rng(seed)
    corpus = rng.integers(-3, 4, size=(n_items, full_dim)).astype(np.float32)
    queries = rng.integers(-3, 4, size=(11, full_dim)).astype(np.float32)
    dims = rng.integers(1, full_dim + 1, size=n_dims)
    one, other = (nested_sweep(corpus, queries, dims=dims, k=k, device=device) for device in KERNELS)
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_allclose(one.similarities, other.similarities, atol=1e-6)


@pytest.mark.parametrize("n_items", [130, 777, 4099, 9001])
def test_copies_tie_wherever_they_stand(n_items):
    """Equal rows have equal scores in any tile, block and corner of a matrix product: the lower index comes first."""
    rng = np.random.default_rng(n_items)
    corpus = rng.normal(size=(n_items, 96)).astype(np.float32)
    places = np.sort(np.append(rng.choice(n_items - 1, size=24, replace=False), n_items - 1))
    corpus[places] = corpus[places[0]]
    result = nested_sweep(corpus, corpus[places[:1]], dims=[1, 3, 20, 40, 96], k=25)
    for level in range(1, 5):
        np.testing.assert_array_equal(result.indices[level, 0], places)
        assert len(set(result.similarities[level, 0])) == 1


@pytest.mark.parametrize("device", KERNELS)
def test_lists_may_be_longer_than_a_tile(monkeypatch, device):
    """A list that several tiles fill holds what a naive search finds."""
    monkeypatch.setattr(tensors, "CORPUS_TILE", 64)
    monkeypatch.setattr(fused, "TILE", 64)
    monkeypatch.setattr(fused, "LONGEST_TILE", 64)
    monkeypatch.setattr(fused, "BLOCK", 128)
    corpus = np.random.default_rng(8).normal(size=(300, 12)).astype(np.float32)
    result = nested_sweep(corpus, dims=[3, 4, 5, 9], k=100, device=device)
    for level, dim in enumerate(result.dims):
        indices, similarities = naive_neighbors(corpus, None, dim, 100)
        np.testing.assert_allclose(result.similarities[level], similarities, atol=2e-6)
        assert (result.indices[level] == indices).mean() > 0.99  # near-ties may swap


def test_a_thread_that_falls_behind_is_waited_for(monkeypatch):
    """However late another thread is, every group meets the whole corpus."""
    corpus = np.random.default_rng(9).normal(size=(600, 16)).astype(np.float32)
    expected = nested_sweep(corpus, dims=[4], k=5).indices
    main_is_done, walk, work = threading.Event(), fused._walk, fused.Walk.work

    def late(*arguments):
        if threading.current_thread() is not threading.main_thread():
            assert main_is_done.wait(timeout=30)
        walk(*arguments)

    def told(self, progress=None):
        work(self, progress)
        if threading.current_thread() is threading.main_thread():
            main_is_done.set()

    monkeypatch.setattr(fused, "_walk", late)
    monkeypatch.setattr(fused.Walk, "work", told)
    monkeypatch.setattr(fused, "n_processors", lambda: 2)
    monkeypatch.setattr(fused, "BLOCK", 64)
    steps = []
    found = nested_sweep(corpus, dims=[4], k=5, progress=lambda *step: steps.append(step)).indices
    np.testing.assert_array_equal(found, expected)
    assert steps[-1][0] == steps[-1][1]


def test_eight_threads_may_sweep_at_once():
    """Visitors of one server sweep side by side; each gets the lists it gets alone, and BLAS its threads back."""
    rng = np.random.default_rng(5)
    corpora = [rng.normal(size=(1200, 64)).astype(np.float32) for _ in range(8)]
    alone = [nested_sweep(corpus, dims=[4, 32], k=5).indices for corpus in corpora]
    before = blas_threads()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda corpus: nested_sweep(corpus, dims=[4, 32], k=5).indices, corpora))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert blas_threads() == before


def blas_threads():
    """How many threads each BLAS in this process uses."""
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("device", KERNELS)
def test_what_progress_raises_ends_the_sweep(device):
    """A visitor who presses Stop is not made to wait for the rest."""
    corpus = np.random.default_rng(6).normal(size=(9000, 16)).astype(np.float32)

    def stop(done, total):
        assert 0 < done <= total
        raise CancelledError("stopped")

    with pytest.raises(CancelledError, match="stopped"):
        nested_sweep(corpus, dims=[4], k=5, device=device, progress=stop)


def test_progress_ends_with_all_done(monkeypatch):
    """The last call names as many tiles done as there are."""
    monkeypatch.setattr(fused, "BLOCK", 4096)
    calls = []
    corpus = np.random.default_rng(6).normal(size=(9000, 16)).astype(np.float32)
    nested_sweep(corpus, corpus[:1], dims=[4], k=5, progress=lambda *step: calls.append(step))
    assert [done for done, _ in calls] == [1, 2, 3]
    assert {total for _, total in calls} == {3}
