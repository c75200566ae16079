"""Overlap and its companions against naive loops."""

import numpy as np
import pytest

from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.estimate import Estimate
from mrl_viz.measures.lists import (
    RBO_PERSISTENCE,
    knn_correct,
    neighbor_changes,
    neighbor_overlap,
    neighbor_ranks,
    shared_share,
    shares_by_length,
    without_own,
)
from mrl_viz.sweep import nested_sweep

CORPUS = np.random.default_rng(0).normal(size=(80, 32)).astype(np.float32)
SWEEP = nested_sweep(CORPUS, dims=[4, 16], k=6)


def test_shares_are_set_intersections_in_any_shape():
    """|A∩B|/k of whole lists and of their first entries, against a loop over sets; -1 is shared with nothing."""
    full, lists = SWEEP.indices[-1], SWEEP.indices.copy()
    lists[0, 3, 4:] = -1
    expected = [[len(set(a) & set(b)) / 6 for a, b in zip(level, full)] for level in lists]
    np.testing.assert_allclose(shared_share(lists, full), expected)
    by_length = shares_by_length(lists, full)
    for k in range(1, 7):
        expected = [[len(set(a[:k]) & set(b[:k])) / k for a, b in zip(level, full)] for level in lists]
        np.testing.assert_allclose(by_length[..., k - 1], expected)
    assert shared_share(np.full((1, 4), -1), np.full((1, 4), -1)) == 0


def test_a_list_without_its_own_item_has_one_entry_less():
    """The own item goes wherever it stands; where duplicates pushed it out, the last entry goes."""
    lists = np.array([[0, 5, 6], [5, 1, 6], [7, 8, 9]])
    assert without_own(lists, np.array([0, 1, 2])).tolist() == [[5, 6], [5, 6], [7, 8]]
    assert without_own(np.stack([lists, lists[:, ::-1]]), np.arange(3)).shape == (2, 3, 2)


def test_votes_go_to_the_lowest_of_equal_classes_and_nothing_found_to_none():
    """Ties take the lowest code; -1 votes for a class that no item has."""
    codes = np.array([1, 0, 1, 0, 2])
    assert knn_correct(np.array([[0, 1], [4, 0], [3, 1]]), codes, np.array([0, 1, 0])).tolist() == [1, 1, 1]
    assert knn_correct(np.array([[-1, -1, 0]] * 3), codes, np.array([0, 1, 2])).tolist() == [0, 0, 0]


def naive_rbo(a, b):
    """Extrapolated RBO of two lists of one length, term by term."""
    k, p = len(a), RBO_PERSISTENCE
    shared = [len(set(a[:d]) & set(b[:d])) for d in range(1, k + 1)]
    return shared[-1] / k * p**k + (1 - p) / p * sum(shared[d - 1] / d * p**d for d in range(1, k + 1))


def test_overlap_equals_set_intersection():
    """overlap, Jaccard, RBO, top-1 and displacement are the definitions, item by item."""
    result = neighbor_overlap(SWEEP)
    full = SWEEP.indices[-1]
    for level in range(3):
        lists = SWEEP.indices[level]
        shared = [len(set(a) & set(b)) for a, b in zip(lists, full)]
        assert result.overlap[level].value == pytest.approx(np.mean(shared) / 6)
        assert result.jaccard[level] == pytest.approx(np.mean([s / (12 - s) for s in shared]))
        assert result.rbo[level] == pytest.approx(np.mean([naive_rbo(list(a), list(b)) for a, b in zip(lists, full)]))
        assert result.top1_agreement[level] == pytest.approx(np.mean(lists[:, 0] == full[:, 0]))
        moves = [abs(i - list(b).index(x)) for a, b in zip(lists, full) for i, x in enumerate(a) if x in b]
        assert result.rank_displacement[level] == pytest.approx(np.mean(moves))
        for k in (1, 3):
            assert result.by_k[level, k - 1] == pytest.approx(
                np.mean([len(set(a[:k]) & set(b[:k])) / k for a, b in zip(lists, full)])
            )


def test_full_width_agrees_with_itself():
    """m = D: everything survives, interval included."""
    result = neighbor_overlap(SWEEP)
    assert result.overlap[-1] == Estimate(1, 1, 1) and result.rbo[-1] == pytest.approx(1)
    assert result.corrected[-1] == pytest.approx(1)


def test_chance_is_that_of_unrelated_lists():
    """Independent Gaussian spaces overlap at k/(N-1), within the interval's error."""
    rng = np.random.default_rng(1)
    corpus = np.hstack([rng.normal(size=(400, 16)), 1000 * rng.normal(size=(400, 16))])
    result = neighbor_overlap(nested_sweep(corpus, dims=[16], k=20))
    assert result.chance == pytest.approx(20 / 399)
    assert result.overlap[0].value == pytest.approx(result.chance, abs=0.01)


def test_changes_partition_the_lists():
    """kept and lost make up the full-width list, kept and gained the narrow one."""
    changes = neighbor_changes(SWEEP.indices, SWEEP.dims, 7, 4)
    assert {j for j, *_ in changes.kept + changes.lost} == set(SWEEP.indices[-1, 7])
    assert {j for j, *_ in changes.kept + changes.gained} == set(SWEEP.indices[0, 7])
    assert len(changes.lost) == len(changes.gained)


def test_ranks_continue_the_sweep():
    """Ranks up to k are the positions in the sweep's lists; at full width they are 1..k."""
    ranks = neighbor_ranks(CORPUS, 7, SWEEP)
    assert ranks.ranks[-1].tolist() == [1, 2, 3, 4, 5, 6]
    for level in range(3):
        for position, item in enumerate(ranks.neighbors):
            place = list(SWEEP.indices[level, 7]).index(item) + 1 if item in SWEEP.indices[level, 7] else None
            rank = ranks.ranks[level, position]
            assert rank == place if place else rank > 6


def test_unknown_items_and_widths_are_refused():
    """An item or width that was not swept is one clear error."""
    with pytest.raises(InvalidInputError, match="`item` is 80 but there are 80 texts"):
        neighbor_changes(SWEEP.indices, SWEEP.dims, 80, 4)
    with pytest.raises(InvalidInputError, match="`dim` is 5, which was not swept"):
        neighbor_changes(SWEEP.indices, SWEEP.dims, 0, 5)


def test_takeaway_names_the_widths():
    """The sentence is computed from the numbers."""
    result = neighbor_overlap(SWEEP)
    assert f"{result.overlap[1].value:.0%} at 16" in result.takeaway()
    assert "per_item" not in result.to_dict()
