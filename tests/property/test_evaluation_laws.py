"""Laws of arrangements, controls, intervals and quality, for any input."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from mrl_viz.arrangements import random_arrangements, suffix_arrangement, svd_arrangement
from mrl_viz.measures.controls import compare_arrangements
from mrl_viz.measures.correlation import correlations
from mrl_viz.measures.estimate import Estimate, bootstrap, columns, holm, paired_bootstrap, resample_counts
from mrl_viz.measures.space import linear_cka, space_agreement
from mrl_viz.sweep import cosine_matrices, nested_sweep
from mrl_viz.tasks.pairs import _CountedRanks, pair_correlations
from mrl_viz.tasks.retrieval import ranking_scores, read_judgements

SEEDS = st.integers(0, 10_000)


def compare(corpus, queries=None, *, dims, k=10, **options):
    """The controls of vectors and the sweep of them."""
    return compare_arrangements(nested_sweep(corpus, queries, dims=dims, k=k), corpus, queries, **options)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, full_dim=st.integers(2, 12))
def test_no_arrangement_changes_the_full_width(seed, full_dim):
    """Every map keeps all cosines at m = D, moves some at m < D unless it is the identity, and writes nothing."""
    rows = np.random.default_rng(seed).normal(size=(30, full_dim)).astype(np.float32)
    before = rows.copy()
    full = cosine_matrices(rows, rows, [full_dim])
    for arrangement in (
        suffix_arrangement(full_dim),
        random_arrangements(full_dim, seed=seed)[0],
        svd_arrangement(rows),
    ):
        arranged = arrangement.apply(rows)
        np.testing.assert_allclose(cosine_matrices(arranged, arranged, [full_dim]), full, atol=1e-5)
    assert not np.allclose(suffix_arrangement(full_dim).apply(rows)[:, :1], rows[:, :1])
    np.testing.assert_array_equal(rows, before)


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_item_order_and_row_scale_change_no_curve(seed):
    """Permuting items or rescaling rows leaves prefix, random and suffix as they are."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(40, 8)).astype(np.float32)
    names = ["prefix", "random", "suffix"]
    base = compare(rows, dims=[2, 4], k=4, arrangements=names)
    scale = 2.0 ** rng.integers(-9, 9, size=(40, 1))
    other = compare((rows * scale)[rng.permutation(40)], dims=[2, 4], k=4, arrangements=names)
    for name in names:
        np.testing.assert_allclose(
            columns(base.curves[name].overlap)[0], columns(other.curves[name].overlap)[0], atol=1e-9
        )


@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_random_vectors_have_no_gap_and_falling_variance_has_one(seed):
    """Independent coordinates stand within the draws; variance that falls along the index stands above them."""
    rng = np.random.default_rng(seed)
    flat = rng.normal(size=(250, 16))
    names = ["prefix", "random"]
    gap = compare(flat, dims=[8], k=5, arrangements=names).nestedness.gap[0].value
    falling = compare(flat * 0.85 ** np.arange(16), dims=[8], k=5, arrangements=names).nestedness.gap[0].value
    assert abs(gap) < 0.08 < falling


def test_same_seed_same_bytes():
    """A seed fixes every number; another moves the random draws."""
    rows = np.random.default_rng(0).normal(size=(80, 16)).astype(np.float32)
    first, again, other = (compare(rows, dims=[4], k=4, seed=seed) for seed in (7, 7, 8))
    assert first.to_dict() == again.to_dict()
    assert first.curves["random"].overlap != other.curves["random"].overlap


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, n_items=st.integers(1, 30), n_rows=st.integers(1, 4))
def test_paired_intervals_hold_their_values_and_the_baseline_differs_by_nothing(seed, n_items, n_rows):
    """low <= value <= high; the baseline differs by 0 and keeps all; the interval of a constant row is a point."""
    values = np.random.default_rng(seed).random((n_rows, n_items)) + 0.01
    result = paired_bootstrap(values, n_resamples=50)
    for row in result:
        assert all(one.low <= one.value <= one.high for one in (row.mean, row.difference, row.retention))
    assert (result[-1].difference, result[-1].retention) == (Estimate(0, 0, 0), Estimate(1, 1, 1))
    (constant,) = bootstrap(np.full((1, n_items), 0.5), n_resamples=50)
    assert constant == Estimate(0.5, 0.5, 0.5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms())
def test_holm_does_not_depend_on_the_order(p_values, random):
    """Shuffling tests shuffles the adjusted values; they keep the order of the raw ones."""
    order = list(range(len(p_values)))
    random.shuffle(order)
    adjusted = holm(p_values)
    np.testing.assert_array_equal(holm([p_values[i] for i in order]), adjusted[order])
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, n_items=st.integers(3, 25), levels=st.integers(2, 6))
def test_counted_resamples_correlate_as_scipy_says(seed, n_items, levels):
    """Spearman and Pearson of a resample given as counts are scipy's on the rows written out, ties included."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, levels, n_items).astype(float), rng.normal(size=n_items).round(1)
    draw = rng.integers(0, n_items, n_items)
    counts = np.bincount(draw, minlength=n_items)[None].astype(float)
    if len(set(a[draw])) < 2 or len(set(b[draw])) < 2:
        return
    ranks = [_CountedRanks(values).of(counts) for values in (a, b)]
    assert abs(correlations(*ranks, counts)[0] - spearmanr(a[draw], b[draw]).statistic) < 1e-9
    plain = [np.broadcast_to(values, counts.shape) for values in (a, b)]
    assert abs(correlations(*plain, counts)[0] - pearsonr(a[draw], b[draw]).statistic) < 1e-9


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_spearman_sees_only_the_order_of_scores(seed):
    """Any increasing map of the scores leaves Spearman as it is, and swapping the sides of pairs changes nothing."""
    rng = np.random.default_rng(seed)
    left, right, scores = rng.normal(size=(20, 6)), rng.normal(size=(20, 6)), rng.random(20)
    base = pair_correlations(left, right, scores, dims=[2], n_resamples=20)
    stretched = pair_correlations(left, right, np.exp(5 * scores), dims=[2], n_resamples=20)
    assert base["spearman"] == stretched["spearman"]
    swapped = pair_correlations(right, left, scores, dims=[2], n_resamples=20)
    np.testing.assert_allclose(columns(base["pearson"].value)[0], columns(swapped["pearson"].value)[0], atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_cka_is_blind_to_rotation_and_scale(seed):
    """CKA is 1 with itself, with any rotation and scale of itself, is symmetric, and 1 at full width."""
    rng = np.random.default_rng(seed)
    rows, other = rng.normal(size=(30, 6)), rng.normal(size=(30, 4))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert abs(linear_cka(rows, 3 * rows @ rotation) - 1) < 1e-9
    assert abs(linear_cka(rows, other) - linear_cka(other, rows)) < 1e-12
    agreement = space_agreement(rows, dims=[2])
    np.testing.assert_allclose([agreement.cka[-1], agreement.rsa[-1]], 1)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_retrieval_does_not_depend_on_the_order_of_documents(seed):
    """Permuting documents with their ids changes no metric."""
    rng = np.random.default_rng(seed)
    corpus, queries = rng.normal(size=(30, 6)), rng.normal(size=(4, 6))
    ids, query_ids = [f"d{i}" for i in range(30)], list("abcd")
    qrels = {
        q: {ids[i]: int(rng.integers(0, 3)) for i in rng.choice(30, 5, replace=False)} | {"d0": 1} for q in query_ids
    }
    order = rng.permutation(30)
    base, shuffled = (
        ranking_scores(
            nested_sweep(corpus[rows], queries, dims=[3], k=30).indices,
            read_judgements(qrels, [ids[row] for row in rows], query_ids)[1],
        )
        for rows in (np.arange(30), order)
    )
    for name, values in base.items():
        np.testing.assert_allclose(values, shuffled[name], atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, n_items=st.integers(1, 40))
def test_resamples_draw_as_many_items_as_there_are_and_are_kept_as_drawn(seed, n_items):
    """Each resample is of n items, by the generator's own draws; asked for again they are the same and read-only."""
    first, again = (np.concatenate(list(resample_counts(n_items, seed=seed, n_resamples=7))) for _ in range(2))
    draws = np.random.default_rng(seed).integers(0, n_items, size=(7, n_items))
    np.testing.assert_array_equal(first, [np.bincount(row, minlength=n_items) for row in draws])
    np.testing.assert_array_equal(first, again)
    assert not any(counts.flags.writeable for counts in resample_counts(n_items, seed=seed, n_resamples=7))
