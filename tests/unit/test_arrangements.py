"""Arrangements: each is a map from D to D, and the full width does not see it."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from mrl_viz.arrangements import (
    centred_arrangement,
    check_arrangements,
    fitted_arrangement,
    held_out_rows,
    prefix_arrangement,
    random_arrangements,
    suffix_arrangement,
    svd_arrangement,
    tempered_arrangement,
)
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.truncation import normalize

ROWS = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32)


def test_prefix_is_the_identity_and_suffix_its_reverse():
    """Prefix gives the rows back, suffix reverses the coordinates; neither writes."""
    before = ROWS.copy()
    assert prefix_arrangement(12).apply(ROWS) is ROWS
    np.testing.assert_array_equal(suffix_arrangement(12).apply(ROWS), ROWS[:, ::-1])
    np.testing.assert_array_equal(ROWS, before)


def test_random_draws_are_seeded_permutations():
    """Each draw holds every coordinate once; the same seed gives the same draws, another seed others."""
    draws = random_arrangements(12, n_draws=15, seed=3)
    assert len(draws) == 15
    for draw in draws:
        np.testing.assert_array_equal(np.sort(draw.order), np.arange(12))
        np.testing.assert_array_equal(draw.apply(ROWS), ROWS[:, draw.order])
    again, other = random_arrangements(12, n_draws=15, seed=3), random_arrangements(12, n_draws=15, seed=4)
    assert [tuple(a.order) for a in draws] == [tuple(a.order) for a in again]
    assert [tuple(a.order) for a in draws] != [tuple(a.order) for a in other]
    assert len({tuple(a.order) for a in draws}) == 15


def test_svd_is_numpys_right_singular_basis_without_centring():
    """The rotation is that of numpy's SVD of the unit rows, up to signs, and keeps every dot product at full width."""
    fit, measured = held_out_rows(60, 12)
    arrangement = svd_arrangement(ROWS[fit] + 1)
    _, _, expected = np.linalg.svd(normalize(ROWS[fit] + 1).astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(arrangement.rotation.T @ expected.T), np.eye(12), atol=1e-5)
    rotated, unit = arrangement.apply(ROWS[measured]), normalize(ROWS[measured])
    np.testing.assert_allclose(rotated @ rotated.T, unit @ unit.T, atol=1e-5)
    assert rotated.dtype == np.float32


def test_centred_is_sklearns_pca_of_the_unit_rows():
    """Rows come out as PCA transforms them, up to signs: their mean is taken away before they are rotated."""
    rows = ROWS + 1
    arrangement, pca = centred_arrangement(rows), PCA(n_components=12).fit(normalize(rows).astype(np.float64))
    found, expected = arrangement.apply(rows[:20]), pca.transform(normalize(rows[:20]).astype(np.float64))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("gamma", [0, 0.3, 1])
def test_tempered_is_the_formula(gamma):
    """Coordinates are those of numpy's SVD over their singular values to the power gamma; 0 is SVD, 1 whitens."""
    rows = normalize(ROWS + 1)
    _, values, basis = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    expected = rows @ basis.T * (values / values[0]) ** -gamma
    found = tempered_arrangement(rows, gamma).apply(rows)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3)
    if gamma == 0:
        np.testing.assert_allclose(found, svd_arrangement(rows).apply(rows), atol=1e-6)
    if gamma == 1:
        np.testing.assert_allclose(found.T @ found, np.eye(12) * values[0] ** 2, atol=1e-2)


def test_tempering_does_not_blow_up_what_is_rounding():
    """A direction without strength, where rows hold rounding only, weighs at most a thousand times the strongest."""
    dead = ROWS.copy()
    dead[:, 3] = 0
    arrangement = tempered_arrangement(dead, 1)
    assert np.linalg.norm(arrangement.rotation, axis=0).max() <= 1001
    assert np.isfinite(arrangement.apply(dead)).all()


def test_names_say_how_strong_tempering_is():
    """Each name once, in a fixed order; the strength is a part of the name, and a half where it is left out."""
    names, _ = check_arrangements(["tempered:1", "Centred", "tempered", "prefix", "tempered:0.50", "svd"])
    assert names == ("prefix", "svd", "centred", "tempered:0.5", "tempered:1")
    rows = ROWS + 1
    for name, made in (
        ("svd", svd_arrangement(rows)), ("centred", centred_arrangement(rows)),
        ("tempered:0.2", tempered_arrangement(rows, 0.2)),
    ):  # fmt: skip
        found = fitted_arrangement(name, rows)
        assert found.name == name
        np.testing.assert_array_equal(found.apply(rows), made.apply(rows))


def test_held_out_rows_are_disjoint_and_complete():
    """No row is both fitted on and measured, none is lost; a tenth is enough where that is many."""
    for n_items in (24, 60, 5000):
        fit, measured = held_out_rows(n_items, 12, seed=1)
        np.testing.assert_array_equal(np.sort(np.r_[fit, measured]), np.arange(n_items))
        assert 12 <= len(fit) <= n_items / 2
    assert len(held_out_rows(5000, 12)[0]) == 500


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: held_out_rows(23, 12), EmptyInputError, "`svd` needs 24 texts"),
        (lambda: svd_arrangement(ROWS[:11]), EmptyInputError, "11 rows for 12 coordinates"),
        (lambda: random_arrangements(12, n_draws=9), InvalidInputError, "`n_draws` is 9; choose 10 or more"),
        (lambda: suffix_arrangement(0), InvalidInputError, "`full_dim` is 0"),
        (lambda: suffix_arrangement(11).apply(ROWS), ShapeError, "12 coordinates and the `suffix` arrangement 11"),
        (
            lambda: check_arrangements(["prefix", "pca"]),
            InvalidInputError,
            "`arrangements` has 'pca'; choose from prefix",
        ),
        (lambda: check_arrangements([]), InvalidInputError, "`arrangements` is empty"),
        (lambda: check_arrangements(["tempered:2"]), InvalidInputError, "`gamma` is 2; choose 0"),
        (lambda: check_arrangements(["tempered:much"]), InvalidInputError, "`gamma` is much; choose 0"),
        (lambda: check_arrangements(["temperedly"]), InvalidInputError, "`arrangements` has 'temperedly'"),
        (lambda: tempered_arrangement(ROWS, -0.1), InvalidInputError, "`gamma` is -0.1"),
        (lambda: tempered_arrangement(ROWS[:11]), EmptyInputError, "11 rows for 12 coordinates"),
        (lambda: centred_arrangement(ROWS[:11]), EmptyInputError, "11 rows for 12 coordinates"),
        (
            lambda: fitted_arrangement("suffix", ROWS),
            InvalidInputError,
            "`arrangement` is 'suffix', which is not learnt",
        ),
    ],
)
def test_bad_input_is_one_clear_error(call, error, message):
    """Too few rows, too few draws, other widths and unknown names are refused."""
    with pytest.raises(error, match=message):
        call()


def test_names_come_in_one_order():
    """Names are read whatever their case, spaces and order, each once."""
    mine = prefix_arrangement(4)
    assert check_arrangements([" SVD", mine, "prefix", "svd"]) == (("prefix", "svd"), (mine,))
