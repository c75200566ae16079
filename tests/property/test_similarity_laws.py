"""What scaling, order and duplication of texts may not change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrl_viz.measures.anatomy import api_short_vs_local_short, pair_by_width, vector_anatomy
from mrl_viz.measures.matrices import similarity_matrices
from mrl_viz.measures.movers import flipped_triples, relative_movers
from mrl_viz.measures.sample import pair_sample
from mrl_viz.measures.similarity import similarity_band, similarity_density, threshold_meaning


@st.composite
def corpora(draw):
    """A few small vectors in {-1, 0, 1}: exact ties, duplicates and zero prefixes are common."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return rng.integers(-1, 2, size=(draw(st.integers(2, 12)), draw(st.integers(2, 8)))).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(corpora(), st.integers(0, 1000))
def test_scaling_rows_and_permuting_items_changes_no_summary(corpus, seed):
    """Cosine sees neither the norm of a row nor its place."""
    rng = np.random.default_rng(seed)
    other = (corpus * 2.0 ** rng.integers(-3, 4, size=(len(corpus), 1)))[rng.permutation(len(corpus))]
    for measure in (
        lambda x: similarity_band(pair_sample(x, dims=[1])).rows(),
        lambda x: similarity_density(pair_sample(x, dims=[1]), 1).rows(),
        lambda x: threshold_meaning(pair_sample(x, dims=[1]), 0.5).rows(),
        lambda x: [{"share": flipped_triples(pair_sample(x, dims=[1]), 1).share}],
    ):
        for mine, theirs in zip(measure(corpus), measure(other)):
            assert mine == pytest.approx(theirs, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(corpora())
def test_every_number_is_finite_and_in_range(corpus):
    """Ties, duplicates and zero rows: cosines in [-1, 1], shares in [0, 1], moves within 2, nothing NaN."""
    band, density = (
        similarity_band(pair_sample(corpus, dims=[1]), [(0, 1), (0, 0)]),
        similarity_density(pair_sample(corpus, dims=[1]), 1),
    )
    assert np.isfinite(band.pair_cosines).all() and np.abs(band.pair_cosines).max() <= 1
    assert (band.pair_percentiles >= 0).all() and (band.pair_percentiles <= 1).all()
    assert 0 <= density.r2 <= 1 and -1 <= round(density.spearman, 9) <= 1
    assert np.isfinite(density.residual_spread) and density.counts.sum() == density.n_pairs
    assert all(abs(move) <= 4 for *_, move in relative_movers(pair_sample(corpus, dims=[1]), 1).pairs)
    assert np.abs(similarity_matrices(corpus, dim=1).difference).max() <= 2
    assert all(before > 0 > after for *_, before, after in flipped_triples(pair_sample(corpus, dims=[1]), 1).flips)


@settings(max_examples=50, deadline=None)
@given(corpora())
def test_anatomy_laws(corpus):
    """Energy grows with the width to 1; the dot product never exceeds the cosine; a vector agrees with itself."""
    left, right = corpus[:2]
    anatomy, pair = vector_anatomy(left, dims=range(1, len(left) + 1)), pair_by_width(left, right)
    assert all(a <= b + 1e-9 for a, b in zip(anatomy.energy, anatomy.energy[1:]))
    assert anatomy.energy[-1] == pytest.approx(float(left.any()))
    assert all(abs(dot) <= abs(cosine) + 1e-6 for dot, cosine in zip(pair.dot_product, pair.cosine))
    same = api_short_vs_local_short(left, left)
    assert same.mape in (0, None) and same.cosine == pytest.approx(float(left.any()))
    assert len(same.dead) == int((left == 0).sum())
