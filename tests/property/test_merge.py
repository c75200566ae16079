"""Lists of slices become those of the whole: in any order, in any grouping, however often a slice comes."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mrl_viz.scale.lists import Lists, merged, without
from mrl_viz.scale.rows import open_rows
from mrl_viz.scale.streaming import Queries, given_queries, job_of, sampled_queries, stream_slice, stream_sweep
from mrl_viz.sweep import nested_sweep
from mrl_viz.sweep.fused import TILE

N_ITEMS, FULL_DIM, K, DIMS = 5 * TILE + 77, 24, 6, (3, 8)


def vectors(seed=0):
    """Whole numbers of few values: scores tie all over, at every width."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-2, 3, size=(N_ITEMS, FULL_DIM)).astype(np.float32)
    rows[TILE : TILE + 40] = rows[:40]  # copies, in another slice
    return rows


def saved(folder, rows):
    np.save(folder / "vectors.npy", rows)
    return open_rows(folder / "vectors.npy")


def same(one, other):
    np.testing.assert_array_equal(one.items, other.items)
    np.testing.assert_array_equal(one.similarities, other.similarities)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_split_in_any_order_and_again_gives_the_lists_of_one_sweep(tmp_path_factory, data):
    """Random cuts at whole tiles, shuffled, grouped at random, some slices twice: byte for byte the whole's lists."""
    rows = saved(tmp_path_factory.mktemp("rows"), vectors())
    queries = sampled_queries(rows, 40, seed=1)
    job = job_of(rows, queries, dims=DIMS, k=K)
    whole = stream_slice(rows, queries, job)
    cuts = data.draw(st.sets(st.integers(1, 5)))
    edges = [0, *(TILE * cut for cut in sorted(cuts)), N_ITEMS]
    parts = [stream_slice(rows, queries, job, start, stop) for start, stop in pairwise(edges)]
    again = data.draw(st.lists(st.sampled_from(parts), max_size=3))
    shuffled = data.draw(st.permutations(parts + again))
    same(merged(shuffled, K), whole)
    place = data.draw(st.integers(0, len(shuffled)))
    left, right = shuffled[:place], shuffled[place:]
    groups = [merged(group, K) for group in (left, right) if group]
    same(merged(groups, K), whole)


def test_rows_nearly_alike_keep_the_order_of_one_sweep(tmp_path):
    """Rows along three directions, of random lengths and a little noise: cosines that round to the same are no ties."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(3, FULL_DIM))[rng.integers(0, 3, N_ITEMS)] * rng.uniform(1, 9, size=(N_ITEMS, 1))
    rows = saved(tmp_path, (rows + rng.normal(scale=1e-7, size=rows.shape)).astype(np.float32))
    queries = sampled_queries(rows, 60, seed=1)
    job = job_of(rows, queries, dims=DIMS, k=K)
    whole = stream_slice(rows, queries, job)
    tied = whole.similarities[..., 1:] == whole.similarities[..., :-1]
    assert (tied & (whole.items[..., 1:] < whole.items[..., :-1])).any()
    edges = [*range(0, N_ITEMS, TILE), N_ITEMS]
    same(merged([stream_slice(rows, queries, job, *edge) for edge in pairwise(edges)], K), whole)
    same(merged([whole], K), whole)


def test_the_lists_are_those_of_the_sweep_in_memory(tmp_path):
    """Ties and copies included, whatever the block; rows that search leave themselves out and find their copies."""
    matrix = vectors(2)
    rows = saved(tmp_path, matrix)
    own = np.array([0, 3, 39, TILE, TILE + 5, N_ITEMS - 1])
    expected = nested_sweep(matrix, None, dims=DIMS, k=K)
    for block_bytes in (1, 2**30):
        found = stream_sweep(rows, Queries(matrix[own], own), dims=DIMS, k=K, block_bytes=block_bytes)
        np.testing.assert_array_equal(found.indices, expected.indices[:, own])
        np.testing.assert_array_equal(found.similarities, expected.similarities[:, own])
        assert found.chance == expected.chance and found.indices.dtype == np.int64
    asked = np.random.default_rng(4).normal(size=(9, FULL_DIM)).astype(np.float32)
    expected = nested_sweep(matrix, asked, dims=DIMS, k=K)
    found = stream_sweep(rows, given_queries(asked, rows), dims=DIMS, k=K)
    np.testing.assert_array_equal(found.indices, expected.indices)
    on_torch = stream_sweep(rows, given_queries(asked, rows), dims=DIMS, k=K, device="cpu:0", block_bytes=1)
    np.testing.assert_array_equal(on_torch.indices, expected.indices)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_parts=st.integers(1, 5), k=st.integers(1, 8))
def test_merging_is_sorting_by_similarity_then_row(seed, n_parts, k):
    """Against Python's sort, with ties, repeats, signed zeros, gaps and rows beyond 31 bits."""
    rng = np.random.default_rng(seed)
    parts, everything = [], [[set() for _ in range(2)] for _ in range(3)]
    for _ in range(n_parts):
        items = np.full((3, 2, 4), -1, dtype=np.int64)
        similarities = np.zeros((3, 2, 4), dtype=np.float32)
        for level, query in np.ndindex(3, 2):
            found = {
                int(row): float(np.float32((row * 7919 % 5 - 2) / 2)) * (-1 if row % 11 == 0 else 1)
                for row in rng.integers(0, 2**32 - 1, size=rng.integers(0, 5), dtype=np.int64)
            }
            ordered = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
            for rank, (row, similarity) in enumerate(ordered):
                items[level, query, rank], similarities[level, query, rank] = row, similarity
            everything[level][query] |= set(ordered)
        parts.append(Lists(items, similarities))
    result = merged(parts, k)
    for level, query in np.ndindex(3, 2):
        ordered = sorted(everything[level][query], key=lambda pair: (-pair[1], pair[0]))[:k]
        assert [row for row in result.items[level, query] if row >= 0] == [row for row, _ in ordered]
        np.testing.assert_array_equal(result.similarities[level, query, : len(ordered)], [one for _, one in ordered])
    same(merged([result, result], result.items.shape[-1]), result)


def test_a_list_without_the_own_row():
    """The own row goes where it is, else the last one; by hand."""
    lists = Lists(np.array([[[4, 2, 9], [1, 5, 7]]]), np.array([[[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]]], dtype=np.float32))
    found = without(lists, np.array([2, 3]), 2)
    np.testing.assert_array_equal(found.items, [[[4, 9], [1, 5]]])
    np.testing.assert_array_equal(found.similarities, np.array([[[0.9, 0.7], [0.6, 0.5]]], dtype=np.float32))
