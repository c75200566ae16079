"""Laws of retrieval: shortlist + rerank is an exact identity, whatever the ties, duplicates and zero prefixes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrl_viz.measures.estimate import columns
from mrl_viz.retrieval.early import early_orders, early_search
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.misses import explain_miss
from mrl_viz.retrieval.panorama import PanoramaIndex
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


def real(seed, n_items, full_dim, n_queries=4):
    """Vectors whose variance falls along the index, some of them twice or all zero, and queries near some of them."""
    rng = np.random.default_rng(seed)
    scale = (1 + np.arange(full_dim)) ** -rng.uniform(0, 1)
    corpus = (rng.normal(size=(n_items, full_dim)) * scale).astype(np.float32)
    corpus[rng.integers(n_items, size=n_items // 5)] = corpus[0]
    corpus[-1] = 0
    near = corpus[rng.integers(n_items, size=n_queries)]
    return corpus, (near + 0.3 * scale * rng.normal(size=near.shape)).astype(np.float32)


def drawn(seed, n_items, full_dim, has_ties):
    return tied(seed, n_items, full_dim) if has_ties else real(seed, n_items, full_dim)


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS, n_items=st.integers(2, 90), full_dim=st.integers(1, 12), k=st.integers(1, 30), ties=st.booleans(),
    is_own=st.booleans(), levels=st.lists(st.integers(1, 12), max_size=4),
)  # fmt: skip
def test_stopping_early_loses_nothing(seed, n_items, full_dim, k, ties, is_own, levels):
    """The lists and similarities of exact search, whatever the levels, ties, duplicates and zero vectors."""
    corpus, queries = drawn(seed, n_items, full_dim, ties)
    own = np.random.default_rng(seed).permutation(n_items)[:3] if is_own else None
    queries = queries if own is None else corpus[own]
    k = min(k, n_items - is_own)
    dims = [dim for dim in levels if dim <= full_dim] or None
    found = early_search(corpus, queries, k, dims=dims, own=own)
    exact = PrefixIndex(corpus).search(queries, k, own=own)
    np.testing.assert_array_equal(found.indices, exact.indices)
    np.testing.assert_array_equal(found.similarities, exact.similarities)
    assert found.dims[-1] == full_dim and 0 < found.read.value <= 1
    shares = [alive.value for alive in found.alive]
    assert shares == sorted(shares, reverse=True) and shares[-1] * found.n_items >= k - 1e-9


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, k=st.integers(1, 10))
def test_what_stays_alive_is_what_the_bound_leaves(seed, k):
    """No fewer than a bound against the true k-th best leaves, and at the end exactly those that are as good as it."""
    corpus, queries = real(seed, 60, 16, n_queries=1)
    found = early_search(corpus, queries, k, dims=[2, 5, 9])
    (query,) = queries.astype(np.float64) / np.linalg.norm(queries.astype(np.float64), axis=1, keepdims=True)
    norms = np.linalg.norm(corpus.astype(np.float64), axis=1, keepdims=True)
    rows = corpus / np.where(norms > 0, norms, 1)
    cosines = rows @ query
    best = np.sort(cosines)[-k]
    for dim, alive in zip(found.dims, found.alive):
        bounds = rows[:, :dim] @ query[:dim] + np.linalg.norm(rows[:, dim:], axis=1) * np.linalg.norm(query[dim:])
        assert (bounds >= cosines - 1e-12).all()
        assert alive.value * 60 >= (bounds >= best).sum() - 1e-9
    assert found.alive[-1].value * 60 == pytest.approx((cosines >= best - 1e-7).sum())


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, n_items=st.integers(2, 300), full_dim=st.integers(2, 40), k=st.integers(1, 300), ties=st.booleans())
def test_panorama_gives_the_lists_of_exact_search(seed, n_items, full_dim, k, ties):
    """faiss' early stop after a rotation: the same lists and similarities at a width, also among duplicates."""
    corpus, queries = drawn(seed, n_items, full_dim, ties)
    dim, k = max(1, full_dim // 2), min(k, n_items)
    exact = PrefixIndex(corpus, [dim]).search(queries, k, dim=dim)
    found = PanoramaIndex(corpus, dim).search(queries, k)
    np.testing.assert_array_equal(found.indices, exact.indices)
    np.testing.assert_array_equal(found.similarities, exact.similarities)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, own=st.booleans(), reranked=st.booleans())
def test_a_panorama_plan_is_the_exact_plan(seed, own, reranked):
    """With or without a rerank, and where items search for each other, it finds what the exact plan finds."""
    corpus, queries = real(seed, 120, 24)
    rows = np.random.default_rng(seed).permutation(120)[:5] if own else None
    asked = queries if rows is None else corpus[rows]
    rerank = ((30, 24),) if reranked else ()
    found, exact = (
        build_plan(Plan(8, kind=kind, rerank=rerank), corpus).search(asked, 7, own=rows).indices
        for kind in ("panorama", "exact")
    )
    np.testing.assert_array_equal(found, exact)


def test_orders_find_the_same_and_scrambling_costs():
    """Every order finds the same items; where variances fall, order lets fewer vectors live than a scrambled one."""
    rng = np.random.default_rng(0)
    scale = (1.0 + np.arange(64)) ** -1
    corpus = (rng.normal(size=(800, 64)) * scale).astype(np.float32)
    queries = (corpus[:20] + 0.2 * scale * rng.normal(size=(20, 64))).astype(np.float32)
    found = early_orders(corpus, queries, 10)
    own, svd, scrambled = found.searches
    assert found.orders == ("prefix", "svd", "scrambled") and found.dims == (8, 16, 32, 48, 64)
    for one in (svd, scrambled):
        shared = [len(set(a) & set(b)) for a, b in zip(own.indices, one.indices)]
        assert min(shared) == 10
    for level in range(4):
        assert own.alive[level].high < scrambled.alive[level].low
    assert max(own.read.high, svd.read.high) < scrambled.read.low
    assert f"{scrambled.alive[2].value:.0%} scrambled" in found.takeaway()
    assert f"{svd.read.value:.0%} after SVD" in found.takeaway()
    row = found.rows()[0]
    assert row["dim"] == 8 and row["svd"] == svd.alive[0].value and row["scrambled_low"] == scrambled.alive[0].low
