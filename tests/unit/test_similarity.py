"""Bands, densities, matrices, movers, flips and thresholds against plain loops, numpy and scipy."""

import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.stats import linregress, percentileofscore, spearmanr

from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.figures.similarity import density_heatmap, similarity_curves, similarity_heatmaps, threshold_shift
from mrl_viz.measures.matrices import similarity_matrices
from mrl_viz.measures.movers import WINDOW, flipped_triples, relative_movers
from mrl_viz.measures.sample import pair_sample
from mrl_viz.measures.similarity import similarity_band, similarity_density, similarity_drift, threshold_meaning
from mrl_viz.truncation import truncate_and_normalize

CORPUS = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
QUERIES = np.random.default_rng(1).normal(size=(5, 16)).astype(np.float32)
AWKWARD = {
    "two": CORPUS[:2],
    "duplicates": np.repeat(CORPUS[:3], 4, axis=0),
    "constant": np.ones((9, 16)),
    "zero rows": np.vstack([CORPUS[:4], np.zeros((3, 16))]),
    "all zero": np.zeros((4, 16)),
    "integers": np.arange(64).reshape(4, 16),
    "half": CORPUS[:6].astype(np.float16),
}
MEASURES = {
    "band": lambda x: similarity_band(pair_sample(x, dims=[4]), [(0, 1), (1, 1)]),
    "density": lambda x: similarity_density(pair_sample(x, dims=[4]), 4),
    "matrices": lambda x: similarity_matrices(x, dim=4),
    "movers": lambda x: relative_movers(pair_sample(x, dims=[4]), 4),
    "flips": lambda x: flipped_triples(pair_sample(x, dims=[4]), 4),
    "thresholds": lambda x: threshold_meaning(pair_sample(x, dims=[4]), 0.5),
}


def cosines(corpus, dim):
    """Every cosine of the renormalised prefixes."""
    unit = truncate_and_normalize(np.asarray(corpus, dtype=np.float64), dim)
    return unit @ unit.T


HERE, FULL = cosines(CORPUS, 4), cosines(CORPUS, 16)
PAIRS = list(combinations(range(30), 2))
HERE_PAIRS, FULL_PAIRS = (np.array([m[i, j] for i, j in PAIRS]) for m in (HERE, FULL))


def test_sampled_pairs_are_all_pairs_once_when_they_fit():
    """Below the sample size every unordered pair is there exactly once, with its cosine."""
    sample = pair_sample(CORPUS, dims=[4])
    left, right = sample.pairs
    assert sorted(zip(left.tolist(), right.tolist())) == PAIRS
    np.testing.assert_allclose(sample.pair_cosines[0], HERE[left, right], atol=2e-6)


def test_sampled_pairs_are_seeded_and_never_an_item_with_itself():
    """A sample of a larger corpus holds no pair twice; one seed, one sample."""
    corpus = np.random.default_rng(2).normal(size=(200, 8))
    sample, again = (pair_sample(corpus, dims=[4], seed=3, max_rows=20, max_columns=60) for _ in range(2))
    left, right = sample.pairs
    assert (left != right).all()
    assert len({frozenset(pair) for pair in zip(left, right)}) == len(left)
    np.testing.assert_array_equal(sample.pairs, again.pairs)
    other = pair_sample(corpus, dims=[4], seed=4, max_rows=20, max_columns=60)
    assert not np.array_equal(sample.columns, other.columns)


def test_one_sample_serves_every_measure_at_every_width():
    """Measured from a sample of many widths, every measure says what a sample of its own width says."""
    corpus = np.random.default_rng(3).normal(size=(300, 16))
    common, own = pair_sample(corpus, dims=[2, 4, 8]), pair_sample(corpus, dims=[4])
    np.testing.assert_array_equal(common.rows, own.rows)
    np.testing.assert_array_equal(common.columns, own.columns)
    for measure in (
        lambda sample: similarity_density(sample, 4).rows()[0],
        lambda sample: similarity_band(sample).records("low", "median", "high")[-1],
        lambda sample: threshold_meaning(sample, 0.3).records("share_above", "same_pairs")[-1],
        lambda sample: {"typical": relative_movers(sample, 4).typical, "flips": flipped_triples(sample, 4).share},
        lambda sample: similarity_drift(sample).records("bias", "mae", "spearman_per_text", "spearman_global")[-1],
    ):
        assert measure(common) == pytest.approx(measure(own), abs=2e-6)
    with pytest.raises(InvalidInputError, match="`dim` is 2, which was not swept"):
        relative_movers(own, 2)


def test_sample_shrinks_for_many_widths(monkeypatch):
    """All integer widths at once stay below the bound on cosines held."""
    monkeypatch.setattr("mrl_viz.measures.sample.MOST_COSINES", 16 * 30 * 5)
    assert set(pair_sample(CORPUS, dims=range(1, 17)).rows.tolist()) <= set(range(30))
    assert pair_sample(CORPUS, dims=range(1, 17)).cosines.size <= 16 * 30 * 5


def test_band_equals_numpy_percentiles():
    """The band is the 5th, 50th and 95th percentile over all pairs; a pair's percentile is scipy's mean percentile."""
    band = similarity_band(pair_sample(CORPUS, dims=[4]), [(3, 8), (8, 3), (2, 2)])
    assert band.n_pairs == len(PAIRS)
    for level, values in enumerate((HERE_PAIRS, FULL_PAIRS)):
        expected = np.percentile(values, [5, 50, 95])
        np.testing.assert_allclose([band.low[level], band.median[level], band.high[level]], expected, atol=2e-6)
    for level, matrix in enumerate((HERE, FULL)):
        expected = percentileofscore(np.round(matrix[tuple(zip(*PAIRS))], 6), round(matrix[3, 8], 6), "mean") / 100
        assert band.pair_percentiles[0, level] == pytest.approx(expected, abs=2e-3)
        assert band.pair_cosines[0, level] == band.pair_cosines[1, level] == pytest.approx(matrix[3, 8], abs=1e-6)
    assert band.pair_cosines[2] == pytest.approx([1, 1])
    assert len(band.pair_rows()) == 6


def test_the_sentence_of_a_width_has_its_percentiles_and_the_full_widths():
    """Nine pairs of ten lie between the 5th and the 95th percentile; of the full width there is nothing to compare."""
    band = similarity_band(pair_sample(CORPUS, dims=[4]))
    (low, mid, high), (full_low, full_mid, full_high) = (
        np.percentile(v, [5, 50, 95]) for v in (HERE_PAIRS, FULL_PAIRS)
    )
    assert f"At 4 dims nine pairs of ten have cosines from {low:.2f} to {high:.2f}" in band.takeaway_at(4)
    assert f"at 16 from {full_low:.2f} to {full_high:.2f}; the median is {mid:.2f} instead of {full_mid:.2f}" in (
        band.takeaway_at(4)
    )
    assert "At 16 dims" in band.takeaway_at(16) and "that is the full width" in band.takeaway_at(16)


def test_band_with_queries_pairs_queries_with_items():
    """With queries, a pair is (query, item), and every query meets every item."""
    band = similarity_band(pair_sample(CORPUS, QUERIES, dims=[4]), [(4, 29)])
    unit_q, unit_c = truncate_and_normalize(QUERIES, 16), truncate_and_normalize(CORPUS, 16)
    assert band.n_pairs == 150
    assert band.pair_cosines[0, -1] == pytest.approx(unit_q[4] @ unit_c[29], abs=1e-6)
    assert band.median[-1] == pytest.approx(np.median(unit_q @ unit_c.T), abs=2e-6)
    with pytest.raises(InvalidInputError, match="names item 5 but there are 5"):
        similarity_band(pair_sample(CORPUS, QUERIES, dims=[4]), [(5, 0)])


def test_density_equals_scipy():
    """Line and R² are scipy's, Spearman is scipy's, bias and spread the definitions; every pair is in one cell."""
    density = similarity_density(pair_sample(CORPUS, dims=[4]), 4, n_bins=10)
    line = linregress(FULL_PAIRS, HERE_PAIRS)
    assert (density.slope, density.intercept) == pytest.approx((line.slope, line.intercept), abs=1e-4)
    assert density.r2 == pytest.approx(line.rvalue**2, abs=1e-4)
    residuals = HERE_PAIRS - line.slope * FULL_PAIRS - line.intercept
    assert density.residual_spread == pytest.approx(np.sqrt(np.mean(residuals**2)), abs=1e-5)
    assert density.spearman == pytest.approx(spearmanr(FULL_PAIRS, HERE_PAIRS).statistic, abs=1e-4)
    assert (density.bias, density.spread) == pytest.approx(
        ((HERE_PAIRS - FULL_PAIRS).mean(), (HERE_PAIRS - FULL_PAIRS).std()), abs=1e-5
    )
    assert density.counts.sum() == density.n_pairs == len(PAIRS)
    by_row, _ = np.histogram(np.round(HERE_PAIRS, 6), density.edges)  # rows are bins at `dim`
    by_column, _ = np.histogram(np.round(FULL_PAIRS, 6), density.edges)
    assert np.abs(density.counts.sum(axis=1) - by_row).sum() <= 2
    assert np.abs(density.counts.sum(axis=0) - by_column).sum() <= 2


def test_density_at_full_width_is_the_diagonal():
    """m = D: no move, Spearman and R² 1, the identity line, counts on the diagonal only."""
    density = similarity_density(pair_sample(CORPUS, dims=[16]), 16)
    assert (density.bias, density.spread) == (0, 0)
    assert (density.spearman, density.r2, density.slope) == pytest.approx((1, 1, 1))
    assert np.count_nonzero(density.counts - np.diag(np.diag(density.counts))) == 0


def test_rescaling_is_not_reordering():
    """Orthogonal noise of equal size in the tail shrinks every cosine alike: the line explains it, nothing flips."""
    tail = np.eye(30) * np.linalg.norm(CORPUS, axis=1, keepdims=True)
    corpus = np.hstack([CORPUS, tail])
    density = similarity_density(pair_sample(corpus, dims=[16]), 16)
    assert (density.slope, density.intercept, density.r2) == pytest.approx((2, 0, 1), abs=1e-4)
    assert density.spread > 0.05 > 1e-4 > density.residual_spread
    assert flipped_triples(pair_sample(corpus, dims=[16]), 16).share == 0


def test_matrices_equal_naive_and_keep_the_items_in_step():
    """Rows and columns follow `items`; difference = truncated - full; each item is shown once."""
    for order in ("given", "label", "cluster"):
        result = similarity_matrices(CORPUS, dim=4, order=order, labels=[n % 3 for n in range(30)])
        at = np.ix_(result.items, result.items)
        np.testing.assert_allclose(result.full, FULL[at], atol=2e-6)
        np.testing.assert_allclose(result.truncated, HERE[at], atol=2e-6)
        np.testing.assert_array_equal(result.difference, result.truncated - result.full)
        assert sorted(result.items) == list(range(30))
        assert result.sample_note() == "All 30 texts."
        assert len(result.rows()) == len(PAIRS)


def test_matrices_by_label_are_contiguous_blocks():
    """Texts of one label stand together in their given order, and the contrast within and between is computed."""
    labels = [f"g{n % 3}" for n in range(30)]
    result = similarity_matrices(CORPUS, dim=4, order="label", labels=labels)
    assert result.groups == (("g0", 0, 10), ("g1", 10, 20), ("g2", 20, 30))
    assert result.items[:10] == tuple(range(0, 30, 3))
    inside = [FULL[i, j] for i, j in PAIRS if labels[i] == labels[j]]
    outside = [FULL[i, j] for i, j in PAIRS if labels[i] != labels[j]]
    assert f"stand {np.mean(inside) - np.mean(outside):.2f} above" in result.takeaway()


def test_matrices_by_cluster_bring_similar_texts_together():
    """Copies scattered over the data become neighbors on the picture."""
    result = similarity_matrices(np.tile(CORPUS[:5], (4, 1)), dim=4, order="cluster")
    groups = [item % 5 for item in result.items]
    assert sum(a != b for a, b in pairwise(groups)) == 4


def test_matrices_above_the_limit_are_a_stated_sample():
    """A seeded sample, the same each time, with a sentence that says so."""
    result = similarity_matrices(CORPUS, dim=4, max_items=12, seed=5)
    assert result.is_sample and len(set(result.items)) == 12
    assert result.sample_note() == "12 of 30 texts, drawn with seed 5."
    assert result.items == similarity_matrices(CORPUS, dim=4, max_items=12, seed=5).items


def naive_movers(full, here):
    """Drift minus the median drift of the WINDOW pairs nearest in rank, by a loop."""
    order = np.argsort(full, kind="stable")
    move = np.empty(len(full))
    for position, pair in enumerate(order):
        start = min(max(position - WINDOW // 2, 0), max(len(full) - WINDOW, 0))
        around = order[start : start + WINDOW]
        move[pair] = here[pair] - full[pair] - np.median((here - full)[around])
    return move


@pytest.mark.parametrize("n_items", [5, 30])
def test_movers_equal_a_naive_loop(n_items):
    """The list is the largest relative moves, in order, with few pairs (one median) and many (local medians)."""
    sample = pair_sample(CORPUS[:n_items], dims=[4])
    move = naive_movers(*sample.against_full(4)[::-1])
    result = relative_movers(pair_sample(CORPUS[:n_items], dims=[4]), 4, n_movers=7)
    np.testing.assert_allclose(np.abs([pair[5] for pair in result.pairs]), np.sort(np.abs(move))[::-1][:7], atol=1e-9)
    assert result.typical == pytest.approx(np.median(np.abs(move)))
    for record in result.rows():
        pair = record["left"], record["right"]
        assert record["drift"] == pytest.approx(HERE[pair] - FULL[pair], abs=4e-6)
        assert record["relative_move"] == pytest.approx(record["drift"] - record["local_median_drift"])


def test_movers_are_relative_to_what_moves_around_them():
    """All cosines rise by about 1 except one text's, which fall by less: those pairs are the movers."""
    rng = np.random.default_rng(4)
    head, noise, tail = np.full((60, 1), 3.0), rng.normal(size=(60, 8)), rng.normal(size=(60, 400))
    head[0] = -3
    noise[1:] /= 10
    result = relative_movers(pair_sample(np.hstack([head, noise, tail]), dims=[9]), 9, n_movers=59)
    assert all(pair[0] == 0 for pair in result.pairs)
    assert max(abs(here - full) for _, _, full, here, _, _ in result.pairs) < 0.95
    assert np.median([around for _, _, _, _, around, _ in result.pairs]) > 0.95


def test_flips_equal_a_naive_triple_loop():
    """With few items every triple is looked at; the share and each text's clearest flip are the naive ones."""
    n, best, flips, total = 9, {}, 0, 0
    here, full = np.round(HERE, 6), np.round(FULL, 6)
    for text in range(n):
        for a, b in combinations([j for j in range(n) if j != text], 2):
            total += 1
            before, after = full[text, a] - full[text, b], here[text, a] - here[text, b]
            if before * after < 0:
                flips += 1
                best[text] = max(best.get(text, 0), min(abs(before), abs(after)))
    result = flipped_triples(pair_sample(CORPUS[:n], dims=[4]), 4)
    assert (result.n_triples, result.share) == (total, pytest.approx(flips / total))
    clearness = [min(before, -after) for _, _, _, before, after in result.flips]
    assert clearness == pytest.approx(sorted(best.values(), reverse=True), abs=1e-5)
    for text, a, b, before, after in result.flips:
        assert before == pytest.approx(FULL[text, a] - FULL[text, b], abs=5e-6) and before > 0
        assert after == pytest.approx(HERE[text, a] - HERE[text, b], abs=5e-6) and after < 0


def test_flips_of_many_items_are_a_seeded_sample_of_triples():
    """Draws are seeded, their share is near the exact one, and no text is listed twice."""
    exact = flipped_triples(pair_sample(CORPUS, dims=[4]), 4)
    drawn, again = (flipped_triples(pair_sample(CORPUS, dims=[4], seed=1), 4, n_triples=4000) for _ in range(2))
    assert drawn == again
    assert drawn.share == pytest.approx(exact.share, abs=0.04)
    assert len({flip[0] for flip in drawn.flips}) == len(drawn.flips)
    assert len(flipped_triples(pair_sample(CORPUS, dims=[4]), 4, n_flips=3).flips) == 3


def test_nothing_moves_or_flips_at_full_width():
    """m = D: no relative move, no flip."""
    assert relative_movers(pair_sample(CORPUS, dims=[16]), 16).typical == 0
    assert flipped_triples(pair_sample(CORPUS, dims=[16]), 16).flips == ()


def test_threshold_equals_counting():
    """Shares are counts; the matched threshold keeps as many pairs as the fixed one at full width, none higher."""
    result = threshold_meaning(pair_sample(CORPUS, dims=[4]), 0.2)
    kept = int((FULL_PAIRS >= 0.2).sum())
    assert result.share_above == pytest.approx([(HERE_PAIRS >= 0.2).mean(), kept / len(PAIRS)])
    assert result.matched_threshold == pytest.approx([np.sort(m)[-kept] for m in (HERE_PAIRS, FULL_PAIRS)], abs=2e-6)
    top_here, top_full = (set(np.argsort(-m)[:kept].tolist()) for m in (HERE_PAIRS, FULL_PAIRS))
    assert result.same_pairs == pytest.approx([len(top_here & top_full) / kept, 1])
    assert f"{result.matched_threshold[0]:.2f} would keep as many" in result.takeaway()


def test_threshold_above_everything_matches_nothing():
    """When no pair passes at full width there is no threshold to match, and that is said; below all, all pass."""
    result = threshold_meaning(pair_sample(CORPUS, dims=[4]), 1)
    assert result.matched_threshold == result.same_pairs == (None, None)
    assert "choose a lower one" in result.takeaway()
    everything = threshold_meaning(pair_sample(CORPUS, dims=[4]), -1)
    assert everything.share_above == everything.same_pairs == (1, 1)
    assert threshold_meaning(pair_sample(np.ones((4, 3)), dims=[2]), 1).share_above == (1, 1)


@pytest.mark.parametrize("data", AWKWARD)
@pytest.mark.parametrize("measure", MEASURES)
def test_awkward_data_gives_finite_plain_data(measure, data):
    """Two texts, duplicates, constants, zero rows, integers and half floats: never NaN, and JSON-ready."""
    result = MEASURES[measure](AWKWARD[data])
    json.dumps([result.to_dict(), result.rows()], allow_nan=False)
    assert "nan" not in result.takeaway()


@pytest.mark.parametrize("measure", MEASURES)
def test_one_text_makes_no_pair(measure):
    """N = 1 is one clear error that says what to do."""
    with pytest.raises(EmptyInputError, match="add at least one more"):
        MEASURES[measure](CORPUS[:1])


def test_constant_vectors_agree_with_themselves():
    """Equal vectors have nothing left to explain, correlate 1, and stand in the middle of their like."""
    density = similarity_density(pair_sample(np.ones((6, 16)), dims=[4]), 4)
    assert (density.spearman, density.r2, density.residual_spread) == (1, 1, 0)
    assert similarity_band(pair_sample(np.ones((6, 16)), dims=[4]), [(0, 1)]).pair_percentiles == pytest.approx(0.5)
    assert flipped_triples(pair_sample(np.ones((6, 16)), dims=[4]), 4).share == 0


def test_inputs_are_never_written():
    """Every measure leaves the array as it was."""
    corpus = CORPUS.copy()
    corpus.setflags(write=False)
    for measure in MEASURES.values():
        measure(corpus)


def test_similarity_refuses_nonsense():
    """Each impossible argument is one clear error."""
    with pytest.raises(DimensionError, match="`dim` is 17"):
        similarity_density(pair_sample(CORPUS, dims=[17]), 17)
    with pytest.raises(InvalidInputError, match="`n_bins` is 0"):
        similarity_density(pair_sample(CORPUS, dims=[4]), 4, n_bins=0)
    with pytest.raises(InvalidInputError, match="names item -1"):
        similarity_band(pair_sample(CORPUS, dims=[4]), [(0, -1)])
    with pytest.raises(InvalidInputError, match="`threshold` is nan"):
        threshold_meaning(pair_sample(CORPUS, dims=[4]), float("nan"))
    with pytest.raises(InvalidInputError, match="`order` is 'size'"):
        similarity_matrices(CORPUS, dim=4, order="size")
    with pytest.raises(InvalidInputError, match="there are no `labels`"):
        similarity_matrices(CORPUS, dim=4, order="label")
    with pytest.raises(ShapeError, match="`labels` has 2 entries for 30"):
        similarity_matrices(CORPUS, dim=4, order="label", labels=["a", "b"])
    with pytest.raises(InvalidInputError, match="`max_items` is 1"):
        similarity_matrices(CORPUS, dim=4, max_items=1)
    with pytest.raises(InvalidInputError, match="`n_movers` is 0"):
        relative_movers(pair_sample(CORPUS, dims=[4]), 4, n_movers=0)
    with pytest.raises(InvalidInputError, match="`n_triples` is 0"):
        flipped_triples(pair_sample(CORPUS, dims=[4]), 4, n_triples=0)


def test_hovers_hold_escaped_short_texts():
    """User text in a figure is escaped and cut; a script never arrives as a tag."""
    texts = ["<script>alert(1)</script> " + "long " * 60, ""]
    band = similarity_band(pair_sample(CORPUS, dims=[4]), [(0, 1)])
    figures = [
        similarity_curves(band, [(texts[0], texts[1])], focus_dim=4),
        similarity_heatmaps(similarity_matrices(CORPUS[:2], dim=4), texts),
    ]
    for figure in figures:
        assert "<script>" not in figure.to_json()
        assert "long " * 20 not in figure.to_json()
    names = figures[1].data[0].x
    assert names[1] == "2. (empty)" and len(set(names)) == 2


def test_heat_maps_are_one_figure_of_three():
    """Full, truncated and difference as arrays, the first two on one colour scale."""
    matrices = similarity_matrices(CORPUS, dim=4, order="label", labels=["x", "y"] * 15)
    figure = similarity_heatmaps(matrices, [str(item) for item in matrices.items])
    assert [heat.coloraxis for heat in figure.data] == ["coloraxis", "coloraxis", "coloraxis2"]
    np.testing.assert_array_equal(figure.data[2].z, matrices.difference)
    assert figure.layout.yaxis.ticktext == ("x", "y")


@pytest.mark.parametrize("data", ["two", "constant", "zero rows"])
def test_similarity_figures_draw_anything(data):
    """Every awkward case draws without warnings."""
    corpus = AWKWARD[data]
    similarity_curves(similarity_band(pair_sample(corpus, dims=[4]), [(0, 0)])).to_json()
    density_heatmap(similarity_density(pair_sample(corpus, dims=[4]), 4)).to_json()
    similarity_heatmaps(similarity_matrices(corpus, dim=4), ["same"] * len(corpus)).to_json()
    for threshold in (0.3, 1):
        threshold_shift(threshold_meaning(pair_sample(corpus, dims=[4]), threshold), focus_dim=4).to_json()
