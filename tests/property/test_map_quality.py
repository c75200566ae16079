"""Laws of the maps' measures, against naive loops."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mrl_viz.measures.maps import align, map_quality, picture_neighbors, procrustes_disparity
from mrl_viz.projection import pca_maps
from mrl_viz.sweep import nested_sweep
from mrl_viz.truncation import normalize

SEEDS = st.integers(0, 10_000)


def naive_order(closeness, i):
    """All other items, closest first, ties to the lower index."""
    return [j for j in np.argsort(-closeness[i], kind="stable") if j != i]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n_items=st.integers(2, 60), k=st.integers(1, 12), grid=st.integers(1, 6))
def test_picture_neighbors_are_a_stable_sort(seed, n_items, k, grid):
    """Points on a small grid, with many ties and duplicates, have the neighbors of a stable sort by distance."""
    places = np.random.default_rng(seed).integers(0, grid, size=(n_items, 2)).astype(np.float32)
    k = min(k, n_items - 1)
    closeness = -((places[:, None] - places[None]) ** 2).sum(axis=2)
    expected = [naive_order(closeness, i)[:k] for i in range(n_items)]
    np.testing.assert_array_equal(picture_neighbors(places, k), expected)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n_items=st.integers(2, 40), k=st.integers(1, 39), tied=st.booleans())
def test_quality_equals_its_definition(seed, n_items, k, tied):
    """Sums of ranks beyond k over the worst possible sum, for every k up to n - 1, ties to the lower index."""
    rng = np.random.default_rng(seed)
    k = min(k, n_items - 1)
    # Multiples of one another's axes make exact cosines; else generic rows.
    vectors = np.eye(4)[rng.integers(0, 4, n_items)] if tied else rng.normal(size=(n_items, 5))
    places = rng.integers(0, 4, (n_items, 2)).astype(float) if tied else rng.normal(size=(n_items, 2))
    neighbors = nested_sweep(vectors, dims=[vectors.shape[1]], k=k).indices[-1]
    quality = map_quality(vectors, places, neighbors)
    unit = normalize(vectors)
    cosines, closeness = unit @ unit.T, -((places[:, None] - places[None]) ** 2).sum(axis=2)
    false = missed = shown = worst = 0
    for i in range(n_items):
        true, drawn = naive_order(cosines, i), naive_order(closeness, i)
        false += sum(true.index(j) + 1 - k for j in drawn[:k] if j not in true[:k])
        missed += sum(drawn.index(j) + 1 - k for j in true[:k] if j not in drawn[:k])
        shown += len(set(true[:k]) & set(drawn[:k]))
        worst += sum(rank - k for rank in range(max(k, n_items - 1 - k) + 1, n_items))
    np.testing.assert_allclose(quality.trustworthiness, 1 - false / max(worst, 1), atol=1e-9)
    np.testing.assert_allclose(quality.continuity, 1 - missed / max(worst, 1), atol=1e-9)
    np.testing.assert_allclose(quality.kept_in_map, shown / (n_items * k))
    assert 0 <= quality.trustworthiness <= 1 and 0 <= quality.continuity <= 1


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, n_items=st.integers(3, 80))
def test_a_perfect_map_loses_nothing(seed, n_items):
    """Vectors of two coordinates, drawn where they are, keep every neighbor."""
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, n_items)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    k = min(5, n_items - 1)
    closeness = vectors @ vectors.T
    neighbors = np.array([naive_order(closeness, i)[:k] for i in range(n_items)])
    quality = map_quality(vectors, vectors, neighbors)
    assert quality.trustworthiness > 1 - 1e-6 and quality.continuity > 1 - 1e-6 and quality.kept_in_map > 0.999


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, n_items=st.integers(3, 40), full_dim=st.integers(1, 12))
def test_scale_and_order_of_rows_do_not_move_a_map(seed, n_items, full_dim):
    """Rescaling rows changes no place; permuting them permutes the places; values stay in their ranges."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_items, full_dim))
    rows[:2] = np.abs(rows[:2]) * [[1], [-1]]  # never all in one direction
    dims = sorted({1, (full_dim + 1) // 2})
    result = pca_maps(rows, dims, k=2)
    scaled = pca_maps(rows * rng.choice([0.25, 1, 8], size=(n_items, 1)), dims, k=2)
    np.testing.assert_allclose(scaled.positions, result.positions, atol=1e-5)
    order = rng.permutation(n_items)
    permuted = pca_maps(rows[order], dims, k=2)
    gap = result.explained[0] - result.explained[1]
    if gap > 1e-3 and full_dim > 2 and n_items > 3:  # equal variances leave the axes open
        np.testing.assert_allclose(np.abs(permuted.positions), np.abs(result.positions[:, order]), atol=1e-3)
    for values in (result.trustworthiness, result.continuity, result.kept_in_map, result.disparity):
        assert all(0 <= value <= 1 for value in values)


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS, n_items=st.integers(2, 30), angle=st.floats(0, 6.28), scale=st.floats(0.01, 100), mirrored=st.booleans()
)
def test_disparity_and_alignment_see_shape_only(seed, n_items, angle, scale, mirrored):
    """Moved, turned, mirrored and rescaled maps have disparity 0; aligned maps fit no worse than before."""
    rng = np.random.default_rng(seed)
    places, other = rng.normal(size=(2, n_items, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag(
        [1, -1 if mirrored else 1]
    )
    assert procrustes_disparity(places, scale * places @ turn + [3, -1]) < 1e-9
    np.testing.assert_allclose(align(places @ turn + [3, -1], places), places, atol=1e-9)
    assert np.linalg.norm(align(other, places) - places) <= np.linalg.norm(other - places) + 1e-9
    assert 0 <= procrustes_disparity(places, other) <= 1
    np.testing.assert_allclose(procrustes_disparity(places, other), procrustes_disparity(other, places), atol=1e-9)
