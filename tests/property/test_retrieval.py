"""Laws of retrieval: shortlist + rerank is an exact identity, whatever the ties, duplicates and zero prefixes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrl_viz.measures.estimate import columns
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.misses import explain_miss
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.retrieval.quantization import DTYPES, QuantizedIndex
from mrl_viz.retrieval.shortlist import funnel_search, rerank, shortlist_curve, shortlist_search
from mrl_viz.retrieval.topk import best_of_each
from mrl_viz.sweep import nested_sweep

SEEDS = st.integers(0, 10_000)


def tied(seed, n_items=60, full_dim=6, n_queries=4):
    """Coordinates in {-1, 0, 1}: exact ties, duplicates and zero prefixes everywhere."""
    rng = np.random.default_rng(seed)
    corpus = rng.integers(-1, 2, size=(n_items, full_dim)).astype(np.float32)
    return corpus, rng.integers(-1, 2, size=(n_queries, full_dim)).astype(np.float32)


def naive(corpus, query, dim):
    """Every item by cosine at a width in float64, ties to the lower index."""
    left, right = query[:dim].astype(np.float64), corpus[:, :dim].astype(np.float64)
    norms = np.linalg.norm(left) * np.linalg.norm(right, axis=1)
    cosines = (right @ left) / np.where(norms > 0, norms, 1)
    return np.argsort(-np.round(cosines, 6), kind="stable"), cosines


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n_items=st.integers(1, 80), dim=st.sampled_from([1, 2, 4, 6]), k=st.integers(1, 20))
def test_exact_search_is_normalise_and_sort(seed, n_items, dim, k):
    """Search gives the lists of a naive sort, ties to the lower index, one query or many, and writes nothing."""
    corpus, queries = tied(seed, n_items)
    before = corpus.copy(), queries.copy()
    k = min(k, n_items)
    index = PrefixIndex(corpus, [1, 2, 4])
    result = index.search(queries, k, dim=dim)
    for row, found, similarities in zip(queries, result.indices, result.similarities):
        order, cosines = naive(corpus, row, dim)
        np.testing.assert_array_equal(found, order[:k])
        np.testing.assert_allclose(similarities, cosines[order[:k]], atol=1e-6)
        np.testing.assert_array_equal(index.search(row, k, dim=dim).indices[0], found)
    np.testing.assert_array_equal(before[0], corpus)
    np.testing.assert_array_equal(before[1], queries)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, shortlist_dim=st.sampled_from([1, 2, 4]), k=st.integers(1, 10), real=st.booleans())
def test_overlap_is_the_share_of_neighbors_on_the_shortlist(seed, shortlist_dim, k, real):
    """Overlap@k after a full rerank is |full top-k ∩ shortlist|/k exactly, never falls, is 1 at shortlist = N."""
    corpus, queries = tied(seed)
    if real:
        corpus = np.random.default_rng(seed).normal(size=corpus.shape).astype(np.float32)
    index = PrefixIndex(corpus, [1, 2, 4])
    full = index.search(queries, k).indices
    sizes = range(k, len(corpus) + 1, 7)
    curve = shortlist_curve(index, queries, shortlist_dim=shortlist_dim, k=k, sizes=[*sizes, len(corpus)])
    last = np.zeros(len(queries))
    for size, mean in zip(curve.sizes, columns(curve.overlap)[0]):
        result = shortlist_search(index, queries, shortlist_dim=shortlist_dim, shortlist_size=size, k=k)
        shortlist = result.stages[0].survivors
        found = np.array([np.isin(a, b).mean() for a, b in zip(full, result.indices)])
        expected = np.array([np.isin(a, b).mean() for a, b in zip(full, shortlist)])
        np.testing.assert_array_equal(found, expected)
        assert (found >= last).all()
        assert abs(found.mean() - mean) < 1e-12
        last = found
    np.testing.assert_array_equal(last, 1)
    np.testing.assert_array_equal(result.indices, full)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, shortlist_dim=st.sampled_from([1, 2, 4]), k=st.integers(1, 10), real=st.booleans())
def test_items_that_search_do_not_find_themselves(seed, shortlist_dim, k, real):
    """With `own`, every list, rank and curve is that of a corpus without the item, duplicates of it included."""
    corpus, _ = tied(seed)
    if real:
        corpus = np.random.default_rng(seed).normal(size=corpus.shape).astype(np.float32)
    own = np.random.default_rng(seed + 1).permutation(len(corpus))[:5]
    index = PrefixIndex(corpus, [1, 2, 4])
    curve = shortlist_curve(index, corpus[own], shortlist_dim=shortlist_dim, k=k, own=own)
    assert curve.sizes[-1] == len(corpus) - 1 and curve.overlap[-1].value == 1
    shared = np.zeros(len(curve.sizes))
    for position, item in enumerate(own):
        others = np.delete(np.arange(len(corpus)), item)
        small, full = (others[naive(corpus[others], corpus[item], dim)[0]] for dim in (shortlist_dim, 6))
        ranks = [int(np.flatnonzero(small == wanted)[0]) + 1 for wanted in full[:k]]
        np.testing.assert_array_equal(curve.ranks[position], ranks)
        shared += [np.isin(full[:k], small[:size]).mean() for size in curve.sizes]
        size = curve.sizes[len(curve.sizes) // 2]
        stages = ((shortlist_dim, size), (6, k))
        found = funnel_search(index, corpus[item], stages, own=[item]).indices[0]
        kept = [one for one in full if one in small[:size]][:k]
        np.testing.assert_array_equal(found, kept)
        miss = explain_miss(index, corpus[item], int(full[k - 1]), stages, own=int(item))
        assert miss.ranks == (ranks[-1], k) and (miss.dropped_at is None) == (full[k - 1] in found)
    np.testing.assert_allclose(columns(curve.overlap)[0], shared / len(own), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, keeps=st.lists(st.integers(5, 60), min_size=3, max_size=3))
def test_funnel_is_naive_stage_by_stage(seed, keeps):
    """Each stage keeps the best survivors by cosine at its own width; the counts follow the cost formula."""
    corpus, queries = tied(seed)
    stages = tuple(zip([1, 2, 4, 6], [*sorted(keeps, reverse=True), 5]))
    result = funnel_search(PrefixIndex(corpus, [1, 2, 4]), queries, stages)
    for position, row in enumerate(queries):
        left = np.arange(len(corpus))
        for (dim, keep), trace in zip(stages, result.stages):
            order, _ = naive(corpus[left], row, dim)
            left = left[order[:keep]]
            np.testing.assert_array_equal(trace.survivors[position], left)
            left = np.sort(left)
    scored = [len(corpus), *(keep for _, keep in stages[:-1])]
    assert [stage.multiply_adds for stage in result.stages] == [n * dim for n, (dim, _) in zip(scored, stages)]


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_widening_equals_exact_search_at_every_width(seed):
    """Continuing the sums of the width before gives the lists of a fresh search."""
    corpus, queries = tied(seed)
    index = PrefixIndex(corpus, [1, 3, 4])
    for result in index.widen(queries[0], 7):
        np.testing.assert_array_equal(result.indices, index.search(queries[:1], 7, dim=result.dim).indices)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, item=st.integers(0, 59), first=st.integers(5, 40), second=st.integers(5, 40))
def test_miss_is_explained_by_searches(seed, item, first, second):
    """An item is found exactly when no stage drops it, and the widened lists find it with not one place to spare."""
    corpus, queries = tied(seed)
    index = PrefixIndex(corpus, [1, 2, 4])
    stages = ((2, max(first, second)), (4, min(first, second)), (6, 5))
    miss = explain_miss(index, queries[0], item, stages)
    order = [list(naive(corpus, queries[0], dim)[0]).index(item) + 1 for dim, _ in stages]
    assert list(miss.ranks) == order
    assert (miss.dropped_at is None) == (item in funnel_search(index, queries[0], stages).indices)
    if miss.widened:
        assert item in funnel_search(index, queries[0], miss.widened).indices
        smallest = miss.smallest_shortlist
        assert item in funnel_search(index, queries[0], ((2, smallest), *miss.widened[1:])).indices
        if smallest > miss.widened[1][1]:
            assert item not in funnel_search(index, queries[0], ((2, smallest - 1), *miss.widened[1:])).indices


@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    dtype=st.sampled_from(DTYPES),
    query=st.sampled_from(["float", "code"]),
)
def test_quantised_search_is_a_sort_by_decoded_products(seed, dtype, query):
    """Codes are ranked by the dot product of the query with what they decode to, whatever shortcut computes it."""
    rng = np.random.default_rng(seed)
    corpus, queries = rng.normal(size=(70, 19)).astype(np.float32), rng.normal(size=(3, 19)).astype(np.float32)
    index = QuantizedIndex(corpus, 13, dtype)
    result = index.search(queries, 9, query=query)
    rows = queries[:, :13] / np.linalg.norm(queries[:, :13], axis=1, keepdims=True)
    if query == "code":
        rows = index.quantizer.decode(index.quantizer.encode(rows))
    products = rows.astype(np.float64) @ index.quantizer.decode(index.quantizer.encode(corpus)).astype(np.float64).T
    found = np.take_along_axis(products, result.indices.astype(np.int64), axis=1)
    np.testing.assert_allclose(found, -np.sort(-products, axis=1)[:, :9], atol=1e-6)
    np.testing.assert_allclose(result.similarities, found, atol=1e-6)
    ties = np.diff(result.similarities, axis=1) == 0
    assert (np.diff(result.indices, axis=1)[ties] > 0).all()


def test_agrees_with_the_nested_sweep_at_every_width():
    """Two engines, one answer."""
    rng = np.random.default_rng(0)
    corpus, queries = rng.normal(size=(2000, 32)).astype(np.float32), rng.normal(size=(15, 32)).astype(np.float32)
    index = PrefixIndex(corpus, [4, 8, 16])
    sweep = nested_sweep(corpus, queries, dims=index.dims, k=10)
    for level, dim in enumerate(index.dims):
        result = index.search(queries, 10, dim=dim)
        np.testing.assert_allclose(result.similarities, sweep.similarities[level], atol=1e-6)
        assert (result.indices == sweep.indices[level]).mean() > 0.999


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, n_items=st.sampled_from([7, 300, 3000]), size=st.integers(1, 6), n_rows=st.integers(1, 3))
def test_the_best_of_each_row_are_a_stable_sort(seed, n_items, size, n_rows):
    """Equal scores go to the lower index, in rows by themselves and together, and with other numbers."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 40, size=(n_rows, n_items)).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :size]
    indices, found = best_of_each(scores, size, 0.0)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(found, np.take_along_axis(scores, order, axis=1))
    coarse = np.floor(scores / 4)  # nominates all that another score may decide between
    decided, _ = best_of_each(coarse, size, np.full(n_rows, 1.0), lambda rows, items: scores[rows, items])
    np.testing.assert_array_equal(decided, order)
    candidates = np.sort(np.stack([rng.permutation(5 * n_items)[:n_items] for _ in range(n_rows)]), axis=1)
    named, _ = best_of_each(scores, size, 0.0, candidates=candidates)
    np.testing.assert_array_equal(named, np.take_along_axis(candidates, order, axis=1))


@pytest.mark.parametrize("n_items", [40, 2000])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "binary"])
def test_plans_that_share_a_first_pass_find_what_each_finds_alone(n_items, dtype):
    """A rerank of the first part of a longer list is the plan's own search, for one query and for many."""
    corpus, _ = tied(3, n_items, 16)
    own, queries = np.arange(9), corpus[:9]
    first = build_plan(Plan(4, dtype), corpus).search(queries, 30, own=own)
    for size in (12, 30):
        built = build_plan(Plan(4, dtype, rerank=((size, 16),)), corpus)
        alone, shared = built.search(queries, 10, own=own), built.reranked(queries, first, 10)
        np.testing.assert_array_equal(shared.indices, alone.indices)
        np.testing.assert_array_equal(shared.similarities, alone.similarities)
        for row in range(9):
            one = built.search(queries[row], 10, own=own[[row]])
            np.testing.assert_array_equal(one.indices[0], alone.indices[row])
            np.testing.assert_array_equal(one.similarities[0], alone.similarities[row])


def test_a_rerank_leaves_out_what_was_not_found():
    """-1 stays behind all that an approximate index did find."""
    corpus, queries = tied(5, 400, 8, 3)
    index = PrefixIndex(corpus, [8])
    found = index.search(queries, 6)
    found.indices[1, 4:] = -1
    together = rerank(index, queries, found, k=5).indices[1]
    alone = rerank(index, queries[1:2], replace(found, indices=found.indices[1:2]), k=5).indices[0]
    np.testing.assert_array_equal(together, alone)
    assert set(together[:4]) == set(found.indices[1, :4]) and together[4] == -1
