"""Laws of truncation and normalisation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mrl_viz.errors import DimensionError, ShapeError
from mrl_viz.truncation import check_dims, check_embeddings, default_dims, normalize, truncate, truncate_and_normalize

MATRICES = arrays(np.float32, (5, 8), elements=st.floats(-(2.0**100), 2.0**100, width=32))


@given(MATRICES, st.integers(1, 8), st.integers(1, 8))
def test_truncating_twice_is_truncating_to_the_smaller(embeddings, a, b):
    """truncate after truncate = truncate to the smaller width."""
    np.testing.assert_array_equal(truncate(truncate(embeddings, max(a, b)), min(a, b)), truncate(embeddings, min(a, b)))


@given(MATRICES, st.integers(1, 8))
def test_rows_have_unit_norm_or_are_zero(embeddings, dim):
    """Every nonzero prefix is rescaled to norm 1, zero stays zero, the input is not written."""
    before = embeddings.copy()
    norms = np.linalg.norm(truncate_and_normalize(embeddings, dim).astype(np.float64), axis=1)
    zero = ~embeddings[:, :dim].any(axis=1)
    np.testing.assert_allclose(norms, np.where(zero, 0, 1), atol=1e-5)
    np.testing.assert_array_equal(embeddings, before)


@given(MATRICES)
def test_normalising_is_idempotent(embeddings):
    """normalize of normalize changes nothing beyond rounding."""
    once = normalize(embeddings)
    np.testing.assert_allclose(normalize(once), once, atol=1e-6)


def test_dtypes_are_kept_or_widened():
    """float32 and float64 stay; float16, integers and booleans become float32."""
    assert normalize(np.ones((1, 2), np.float64)).dtype == np.float64
    for dtype in (np.float16, np.float32, np.int8, np.uint64, bool):
        assert normalize(np.ones((1, 2), dtype)).dtype == np.float32


@pytest.mark.parametrize(
    "bad", [np.array([["a"]]), np.array([[None]]), np.ones((1, 2), complex), np.ones(3), np.empty((2, 0))]
)
def test_what_is_no_matrix_of_numbers_is_refused(bad):
    """Strings, objects, complex numbers, vectors and zero-width matrices are one clear error."""
    with pytest.raises(ShapeError, match="`embeddings`"):
        check_embeddings(bad)


@pytest.mark.parametrize("dims", [[], [0], [9], [True], [2.0], ["4"], [-1]])
def test_unusable_widths_are_refused(dims):
    """Only whole numbers in 1..full_dim are widths."""
    with pytest.raises(DimensionError, match="choose"):
        check_dims(dims, 8)


def test_default_dims_include_trained_and_full():
    """Powers of two from 8, the trained widths, and the full width."""
    assert default_dims(384, [96, 4096]) == (8, 16, 32, 64, 96, 128, 256, 384)
    assert default_dims(3) == (3,)
