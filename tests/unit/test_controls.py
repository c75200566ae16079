"""Controls: what the prefix is compared with, the gap and the verdict, intervals and tests, and their figures."""

import json

import numpy as np
import pytest
from scipy.stats import false_discovery_control, permutation_test, skew, spearmanr, ttest_rel

from mrl_viz.arrangements import fitted_arrangement, held_out_rows, random_arrangements
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.figures.controls import controls_curve, nestedness_bars
from mrl_viz.figures.space import geometry_curves, hubness_curves, space_agreement_curves
from mrl_viz.measures.controls import (
    TRAINED,
    UNCLEAR,
    UNTRAINED,
    compare_arrangements,
    nestedness,
)
from mrl_viz.measures.estimate import (
    Estimate,
    bootstrap,
    columns,
    difference_tests,
    holm,
    paired_bootstrap,
    paired_tests,
)
from mrl_viz.measures.lists import neighbor_overlap
from mrl_viz.measures.space import geometry, hubness, linear_cka, space_agreement
from mrl_viz.sweep import nested_sweep
from mrl_viz.truncation import truncate_and_normalize

RNG = np.random.default_rng(0)
# Variance that falls along the index is what nested training leaves behind.
NESTED = (RNG.normal(size=(400, 32)) * (1 + np.arange(32)) ** -0.6).astype(np.float32)
FLAT = RNG.normal(size=(400, 32)).astype(np.float32)
DIMS = [4, 8, 16]


def compare(corpus, queries=None, *, dims, k=10, **options):
    """The controls of vectors and the sweep of them."""
    return compare_arrangements(nested_sweep(corpus, queries, dims=dims, k=k), corpus, queries, **options)


@pytest.fixture(scope="module")
def nested():
    """All arrangements of the nested vectors."""
    return compare(NESTED, dims=DIMS, k=5, seed=1)


def test_every_curve_is_the_naive_measurement(nested):
    """Each line is overlap@k of the arranged vectors: random as mean and sd of its draws, SVD on held-out rows."""

    def overlap(rows):
        return columns(neighbor_overlap(nested_sweep(rows, dims=DIMS, k=5)).overlap)[0]

    draws = np.array([overlap(NESTED[:, draw.order]) for draw in random_arrangements(32, seed=1)])
    fit, measured = held_out_rows(400, 32, seed=1)
    _, _, basis = np.linalg.svd(truncate_and_normalize(NESTED[fit], 32), full_matrices=False)
    np.testing.assert_allclose(columns(nested.curves["prefix"].overlap)[0], overlap(NESTED), atol=1e-6)
    np.testing.assert_allclose(columns(nested.curves["suffix"].overlap)[0], overlap(NESTED[:, ::-1]), atol=1e-6)
    np.testing.assert_allclose(columns(nested.curves["random"].overlap)[0], draws.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(nested.curves["random"].sd, draws.std(axis=0, ddof=1), atol=1e-6)
    np.testing.assert_allclose(columns(nested.curves["svd"].overlap)[0], overlap(NESTED[measured] @ basis.T), atol=2e-3)
    np.testing.assert_allclose(nested.curves["svd"].prefix_overlap, overlap(NESTED[measured]), atol=1e-6)
    gap = overlap(NESTED) - draws.mean(axis=0)
    np.testing.assert_allclose(columns(nested.nestedness.gap)[0], gap, atol=1e-6)
    np.testing.assert_allclose(nested.nestedness.z[:-1], gap[:-1] / draws.std(axis=0, ddof=1)[:-1], rtol=1e-4)


def test_what_changes_cosine_is_measured_by_the_original_neighbors():
    """PCA, centred, and tempering find others even at full width; a note says how many are kept, and from where it is
    worse than the raw prefix."""
    rows = NESTED + 1
    compared = compare(rows, dims=DIMS, k=5, seed=1, arrangements=["prefix", "centred", "tempered:1", "svd"])
    fit, measured = held_out_rows(400, 32, seed=1)
    truth = nested_sweep(rows[measured], dims=DIMS, k=5).indices[-1]
    for name in ("centred", "tempered:1"):
        arrangement = fitted_arrangement(name, rows[fit])
        found = nested_sweep(arrangement.apply(rows[measured]), dims=DIMS, k=5).indices
        expected = [
            np.mean([len({*one} & {*other}) / 5 for one, other in zip(level.tolist(), truth.tolist())])
            for level in found
        ]
        curve = compared.curves[name]
        np.testing.assert_allclose(columns(curve.overlap)[0], expected, atol=1e-6)
        assert expected[-1] < 1 and curve.prefix_overlap == compared.curves["svd"].prefix_overlap
        dims = [dim for dim, kept, raw in zip(curve.dims, expected, curve.prefix_overlap) if kept < raw]
        (note,) = [one for one in compared.notes if one.startswith(f"{name} changes cosine")]
        assert f"keeps {expected[-1]:.0%} of the neighbors" in note and dims[-1] == 32
        assert any(f"from {dim} dims on it keeps fewer" in note for dim in dims)
    assert compared.notes[-1].startswith(
        "SVD, centred and tempered:1 are fitted on 128 texts and measured on the other"
    )
    names = [trace.name for trace in controls_curve(compared).data]
    assert "centred PCA, held out" in names and "tempered:1" in names


def test_intervals_hold_their_values(nested):
    """Every interval contains the value it is of, and at full width every arrangement keeps everything."""
    for curve in nested.curves.values():
        assert all(kept.low <= kept.value <= kept.high for kept in curve.overlap)
        assert curve.overlap[-1] == Estimate(1, 1, 1)
    assert (nested.nestedness.gap[-1].value, nested.nestedness.z[-1]) == (0, 0)


def test_verdicts_follow_the_vectors():
    """Falling variance is called trained, flat vectors show no sign, and a handful of texts cannot tell."""
    trained = compare(NESTED, dims=DIMS, k=5)
    assert trained.nestedness.verdict == TRAINED and "carries more than a random subset" in trained.takeaway()
    untrained = compare(FLAT, dims=DIMS, k=5)
    assert untrained.nestedness.verdict == UNTRAINED and "no sign of Matryoshka training" in untrained.takeaway()
    assert max(abs(z) for z in untrained.nestedness.z) < 3
    few = compare(FLAT[:25], dims=DIMS, k=5)
    assert few.nestedness.verdict == UNCLEAR and "Not enough texts" in few.takeaway()
    reversed_ = compare(NESTED[:, ::-1], dims=DIMS, k=5)
    assert reversed_.nestedness.verdict == UNTRAINED


def test_verdict_does_not_depend_on_the_widths_asked_for(nested):
    """The widths nearest D/2, D/4 and D/8 decide, however many others are swept."""
    all_widths = compare(NESTED, dims=range(1, 33), k=5, seed=1, arrangements=["prefix", "random"])
    assert all_widths.nestedness.decisive == nested.nestedness.decisive == (4, 8, 16)
    assert all_widths.nestedness.verdict == nested.nestedness.verdict


def test_only_the_full_width_cannot_tell():
    """Without a smaller width there is nothing to judge."""
    assert compare(NESTED, dims=[32], k=5).nestedness.verdict == UNCLEAR


def test_queries_are_arranged_with_the_corpus():
    """Queries against a corpus use the same map on both sides; chance counts the whole corpus."""
    result = compare(NESTED[50:], NESTED[:50], dims=[8], k=5)
    expected = neighbor_overlap(nested_sweep(NESTED[50:, ::-1], NESTED[:50, ::-1], dims=[8], k=5))
    np.testing.assert_allclose(columns(result.curves["suffix"].overlap), columns(expected.overlap), atol=1e-6)
    assert result.chance == 5 / 350 and result.curves["svd"].n_queries == 50


def test_too_few_rows_for_svd_is_a_note_and_no_line():
    """Rows fewer than twice the coordinates, or too few left for k, leave the SVD out and say so."""
    result = compare(FLAT[:60], dims=[8], k=5)
    assert "svd" not in result.curves and "`svd` needs 64 texts" in result.notes[0]
    result = compare(FLAT[:70], dims=[8], k=40)
    assert "svd" not in result.curves and "too few for k = 40" in result.notes[0]


def test_plain_data_has_the_agreed_fields(nested):
    """Random rows add the sd and the draws; nestedness rows are dim, gap and z; all of it is JSON."""
    data = json.loads(json.dumps(nested.to_dict(), allow_nan=False))
    assert set(data["arrangements"]) == {"prefix", "random", "suffix", "svd"}
    assert {"dim", "overlap", "overlap_low", "overlap_high", "overlap_sd", "draws"} == set(
        data["arrangements"]["random"][0]
    )
    assert data["arrangements"]["random"][0]["draws"] == 10
    assert [row["dim"] for row in data["nestedness"]] == [4, 8, 16, 32]
    assert set(data["nestedness"][0]) == {"dim", "gap", "z"}
    assert "overlap_sd" not in data["arrangements"]["prefix"][0]


def test_progress_counts_the_sweeps():
    """Progress ends at the number of sweeps it announced."""
    seen = []
    compare(NESTED, dims=[8], k=5, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 14) for n in range(1, 15)]
    seen.clear()
    result = compare(NESTED, dims=[8], arrangements=["suffix"], progress=lambda *at: seen.append(at))
    assert seen == [(1, 1)] and result.nestedness is None and "needs the prefix" in result.takeaway()


def test_bad_input_is_refused():
    """Queries of another width, unknown names and shapes that do not fit are one clear error each."""
    with pytest.raises(ShapeError, match="`queries` have 31 coordinates and `corpus` 32"):
        compare(NESTED, FLAT[:, :31], dims=[8])
    with pytest.raises(InvalidInputError, match="`arrangements` has 'pca'"):
        compare(NESTED, dims=[8], arrangements=["pca"])
    with pytest.raises(ShapeError, match="`draw_means`"):
        nestedness(np.ones((2, 5)), np.ones((2, 5)), np.ones((10, 3)), dims=[4, 8])
    with pytest.raises(InvalidInputError, match="1 draws"):
        nestedness(np.ones((2, 5)), np.ones((2, 5)), np.ones((1, 2)), dims=[4, 8])


def test_draws_without_spread_have_no_z():
    """A gap that draws never vary around has no z to print, and equal lists have z 0."""
    result = nestedness(np.ones((2, 5)), np.full((2, 5), 0.5), np.array([[0.5, 1.0]] * 10), dims=[4, 8])
    assert result.z == (None, 0.0) and json.dumps(result.rows(), allow_nan=False)
    assert result.takeaway()


def test_the_prefix_is_swept_once():
    """The sweep that is given is the prefix's curve; one of other rows is refused."""
    sweep = nested_sweep(NESTED, dims=DIMS, k=5)
    (given,) = compare_arrangements(sweep, NESTED, arrangements=["prefix"]).curves.values()
    assert given.overlap == neighbor_overlap(sweep).overlap
    sweep.indices[:-1, :, 0] = -1  # it is this sweep that is read
    (touched,) = compare_arrangements(sweep, NESTED, arrangements=["prefix"]).curves.values()
    assert touched.overlap == neighbor_overlap(sweep).overlap != given.overlap
    with pytest.raises(InvalidInputError, match="`sweep` is of 400 lists among 400 items of 32 coordinates"):
        compare_arrangements(sweep, NESTED[:300])


def test_control_figures_show_every_line(nested):
    """The figure has the random band, suffix, SVD, prefix and chance; the bars leave the full width out."""
    figure = controls_curve(nested, focus_dim=8, trained=(8, 16))
    names = [trace.name for trace in figure.data if trace.name]
    assert names == [
        "random ± sd of 10 draws",
        "random dims, mean",
        "suffix",
        "SVD, held out",
        "prefix",
        "chance",
        "trained width",
    ]
    band = figure.data[0].y - figure.data[1].y
    np.testing.assert_allclose(band, 2 * np.array(nested.curves["random"].sd))
    assert list(nestedness_bars(nested.nestedness).data[0].x) == ["4", "8", "16"]
    assert controls_curve(compare(NESTED, dims=[8], arrangements=["suffix"])).data


def test_paired_bootstrap_is_the_bootstrap_of_the_differences():
    """Difference intervals are those of the per-item differences under the same resamples."""
    values = RNG.random((3, 60))
    paired = paired_bootstrap(values, seed=5)
    np.testing.assert_allclose(
        columns([row.difference for row in paired]), columns(bootstrap(values - values[-1], seed=5)), atol=1e-12
    )
    assert tuple(row.mean for row in paired) == bootstrap(values, seed=5)
    assert paired[-1].retention == Estimate(1, 1, 1)
    shares, _, _ = columns([row.retention for row in paired])
    np.testing.assert_allclose(shares, values.mean(axis=1) / values[-1].mean())


def test_pairing_makes_the_interval_of_a_difference_short():
    """Rows that move together differ by an almost constant amount, whatever the spread over items."""
    base = RNG.random(200)
    lower, _ = paired_bootstrap(np.array([base - 0.1, base]))
    assert lower.difference.high - lower.difference.low < 1e-9 < lower.mean.high - lower.mean.low


def test_retention_of_nothing_is_none():
    """A baseline that is not above 0 has no shares."""
    assert [row.retention for row in paired_bootstrap(np.array([[0.2, 0.1], [0.0, -0.1]]))] == [None, None]


def test_paired_tests_are_scipys_with_holm():
    """p-values are those of ttest_rel, stepped down by hand; the baseline is 1 and a permutation test agrees."""
    values = RNG.random((4, 40)) + np.array([[0.0], [0.15], [0.05], [0.1]])
    raw = [ttest_rel(row, values[-1]).pvalue for row in values[:-1]]
    order, expected, running = np.argsort(raw), np.empty(3), 0.0
    for rank, at in enumerate(order):
        running = max(running, min(1.0, raw[at] * (3 - rank)))
        expected[at] = running
    result = paired_tests(values)
    np.testing.assert_allclose(result, [*expected, 1])
    by_permutation = permutation_test(
        (values[0], values[-1]), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples",
        n_resamples=4000, rng=np.random.default_rng(0),
    ).pvalue  # fmt: skip
    assert by_permutation == pytest.approx(raw[0], abs=0.03)


def test_holm_lies_between_raw_and_bonferroni_and_above_false_discovery():
    """Holm never lowers a p-value, never exceeds Bonferroni, and is stricter than Benjamini-Hochberg."""
    raw = RNG.random(12)
    adjusted = holm(raw)
    assert (adjusted >= raw).all() and (adjusted <= np.minimum(1, 12 * raw) + 1e-12).all()
    assert (adjusted >= false_discovery_control(raw) - 1e-12).all()
    with pytest.raises(InvalidInputError, match="outside 0 to 1"):
        holm([0.5, np.nan])


def test_degenerate_tests_have_values():
    """Equal rows, one item, and a constant shift give 1, 1 and 0 without a warning."""
    same = np.tile(RNG.random(9), (2, 1))
    assert paired_tests(same).tolist() == [1, 1]
    assert paired_tests(np.array([[1.0], [0.0]])).tolist() == [1, 1]
    assert paired_tests(np.array([[1.5, 2.5, 3.5], [1.0, 2.0, 3.0]])).tolist() == [0, 1]
    assert difference_tests(np.array([[0.0, 0.0], [0.5, 0.5]])).tolist() == [1, 0]
    assert difference_tests(np.array([0.5])).tolist() == [1]
    with pytest.raises(EmptyInputError, match="no items"):
        paired_bootstrap(np.empty((2, 0)))
    with pytest.raises(InvalidInputError, match="`baseline` is 2 but there are 2 rows"):
        paired_bootstrap(np.ones((2, 3)), baseline=2)


def test_cka_and_rsa_equal_their_definitions():
    """Linear CKA equals the form with centred Gram matrices, and RSA scipy's Spearman of the upper triangles."""
    result = space_agreement(NESTED[:80], dims=[8])
    x, y = truncate_and_normalize(NESTED[:80].astype(float), 8), truncate_and_normalize(NESTED[:80].astype(float), 32)
    centre = np.eye(80) - 1 / 80
    k, l = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre  # noqa: E741 - the names of the source
    assert result.cka[0] == pytest.approx((k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum()), abs=1e-5)
    pairs = np.triu_indices(80, 1)
    assert result.rsa[0] == pytest.approx(spearmanr((x @ x.T)[pairs], (y @ y.T)[pairs]).statistic, abs=1e-4)
    assert (result.cka[-1], result.rsa[-1]) == pytest.approx((1, 1))
    assert "CKA" in result.takeaway() and result.rows()[0]["dim"] == 8


def test_cka_of_constants_and_mismatched_rows():
    """Two constant sides agree, one does not, and different items are refused."""
    assert linear_cka(np.ones((4, 2)), np.full((4, 3), 7)) == 1
    assert linear_cka(np.ones((4, 2)), NESTED[:4]) == 0
    with pytest.raises(ShapeError, match="`left` has 3 rows and `right` 4"):
        linear_cka(np.ones((3, 2)), np.ones((4, 2)))
    with pytest.raises(EmptyInputError, match="at least two"):
        space_agreement(np.ones((1, 4)), dims=[2])


def test_hubness_equals_a_naive_count():
    """k-occurrence is a plain count; its skewness is scipy's; anti-hubs are those never counted."""
    sweep = nested_sweep(NESTED[:90], dims=[4], k=5)
    result = hubness(sweep)
    for level in range(2):
        counts = np.zeros(90)
        for row in sweep.indices[level]:
            for item in row:
                counts[item] += 1
        assert result.skewness[level] == pytest.approx(skew(counts))
        assert result.anti_hubs[level] == pytest.approx((counts == 0).mean())
        assert result.largest[level] == counts.max()
    assert "nobody's neighbor" in result.takeaway() and len(result.rows()) == 2
    assert hubness(nested_sweep(np.eye(2), dims=[2], k=1)).skewness == (0.0,)


def test_geometry_equals_the_mean_cosine_and_the_eigenvalues():
    """Anisotropy is the mean off-diagonal cosine, the participation ratio that of the covariance's eigenvalues."""
    result = geometry(NESTED[:70], dims=[8])
    for level, dim in enumerate((8, 32)):
        unit = truncate_and_normalize(NESTED[:70].astype(float), dim)
        off = (unit @ unit.T)[~np.eye(70, dtype=bool)]
        eigenvalues = np.linalg.eigvalsh(np.cov(unit.T))
        assert result.anisotropy[level] == pytest.approx(off.mean(), abs=1e-6)
        assert result.participation_ratio[level] == pytest.approx(
            eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-5
        )
    same = geometry(np.ones((5, 4)), dims=[2])
    assert same.anisotropy == pytest.approx((1, 1)) and same.participation_ratio == (1, 1)
    assert "directions" in result.takeaway() and result.rows()[0]["dim"] == 8


def test_pictures_of_the_space_show_its_numbers():
    """Each curve of the space is the numbers of its result, at its widths."""
    dims = (4, 8, 32)
    agreement, shape = space_agreement(NESTED, dims=dims), geometry(NESTED, dims=dims)
    hubs = hubness(nested_sweep(NESTED, dims=dims, k=5))
    for figure, curves in (
        (space_agreement_curves(agreement, 8), (agreement.cka, agreement.rsa)),
        (geometry_curves(shape, 8), (shape.participation_ratio, shape.anisotropy)),
        (hubness_curves(hubs, 8), (hubs.skewness, hubs.anti_hubs)),
    ):
        assert [tuple(trace.y) for trace in figure.data] == [tuple(curve) for curve in curves]
        assert all(tuple(trace.x) == dims for trace in figure.data)
    # Steps of a few texts fill no axis.
    assert hubness_curves(hubs, 8).layout.yaxis2.range[1] >= 0.05
    assert space_agreement_curves(agreement, 8).layout.yaxis.range[0] == 0
