"""One vector's prefixes, a pair at every width, and API short against local short, against plain loops."""

import json
import math

import numpy as np
import pytest

from mrl_viz.errors import DimensionError, InvalidInputError, ShapeError
from mrl_viz.figures.anatomy import (
    MOST_DOLLS,
    coordinate_strip,
    nested_dolls,
    pair_curve,
    prefix_norms,
    short_vectors,
)
from mrl_viz.measures.anatomy import (
    api_short_vs_local_short,
    pair_by_width,
    short_vectors_over_texts,
    simulated_short,
    vector_anatomy,
)
from mrl_viz.measures.lists import neighbor_overlap
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.curves import mean_curve
from mrl_viz.tasks.summary import WidthSummary
from mrl_viz.truncation import truncate_and_normalize

RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.normal(size=(2, 24)).astype(np.float32) * 3
DIMS = (3, 6, 12)


def norm(values):
    """Square root of the sum of squares, by a loop."""
    return math.sqrt(sum(float(value) ** 2 for value in values))


def test_anatomy_equals_naive_loops():
    """Energy, norms and bytes are their definitions at every width, the full width added."""
    anatomy = vector_anatomy(LEFT, dims=DIMS)
    assert anatomy.dims == (*DIMS, 24)
    assert anatomy.full_norm == pytest.approx(norm(LEFT))
    for record, dim in zip(anatomy.rows(), anatomy.dims):
        kept = norm(LEFT[:dim]) / norm(LEFT)
        assert record["norm_before"] == pytest.approx(kept, abs=1e-6)
        assert record["energy"] == pytest.approx(kept**2, abs=1e-6)
        assert record["norm_after"] == pytest.approx(1, abs=1e-6)
        assert (record["bytes"], record["even_share"]) == (4 * dim, dim / 24)
        np.testing.assert_allclose(anatomy.cut(dim), LEFT[:dim] / norm(LEFT), rtol=1e-5)
        np.testing.assert_allclose(anatomy.short(dim), LEFT[:dim] / norm(LEFT[:dim]), rtol=1e-5)


def test_anatomy_takes_integers_half_floats_and_zero_vectors():
    """Any numbers give finite results; where nothing is left, the norm after renormalising is 0 and is said so."""
    assert vector_anatomy([3, 4], dims=[1]).norm_before == pytest.approx((0.6, 1))
    half, full = (vector_anatomy(vector, dims=DIMS).energy for vector in (LEFT.astype(np.float16), LEFT))
    assert half == pytest.approx(full, abs=1e-2)
    late = vector_anatomy([0.0, 0, 0, 2], dims=[1])
    assert (late.norm_after, late.energy) == ((0, 1), (0, 1))
    assert "no direction left" in late.takeaway()
    zero = vector_anatomy(np.zeros(4), dims=[2])
    assert (zero.full_norm, zero.energy, zero.norm_after) == (0, (0, 0), (0, 0))
    assert vector_anatomy([1e-30, 1e-30], dims=[1]).full_norm == pytest.approx(math.sqrt(2) * 1e-30)


def test_anatomy_leaves_its_input_alone():
    """Neither the vector nor the arrays handed out are shared with the result."""
    before = LEFT.copy()
    anatomy = vector_anatomy(LEFT, dims=DIMS)
    anatomy.cut(3)[:] = 7
    np.testing.assert_array_equal(LEFT, before)
    assert anatomy.coordinates[0] == pytest.approx(LEFT[0] / norm(LEFT), rel=1e-5)


def test_pair_equals_naive_loops_at_every_width():
    """Cosine of the prefixes, and dot product of the prefixes of the unit vectors, at each of 1..D."""
    pair = pair_by_width(LEFT, RIGHT)
    assert pair.dims == tuple(range(1, 25))
    for record in pair.rows():
        dim = record["dim"]
        dot = sum(float(a) * float(b) for a, b in zip(LEFT[:dim], RIGHT[:dim]))
        assert record["cosine"] == pytest.approx(dot / norm(LEFT[:dim]) / norm(RIGHT[:dim]), abs=1e-6)
        assert record["dot_product"] == pytest.approx(dot / norm(LEFT) / norm(RIGHT), abs=1e-6)
        assert record["dot_product"] == pytest.approx(record["cosine"] * record["norm_product"], abs=1e-6)
    assert pair.rows()[-1]["error"] == pytest.approx(0, abs=1e-6)


def test_pair_of_one_vector_with_itself():
    """The cosine is 1 at every width; without renormalising it is the energy kept, which is the bug."""
    pair = pair_by_width(LEFT, LEFT, dims=DIMS)
    assert pair.cosine == pytest.approx([1] * 4)
    assert pair.dot_product == pytest.approx(vector_anatomy(LEFT, dims=DIMS).energy, abs=1e-6)


def test_pair_says_up_to_where_there_is_no_direction():
    """Zero prefixes have cosine 0, and the last such width is named."""
    pair = pair_by_width([0, 0, 1, 1], [1, 1, 1, 1])
    assert pair.n_without_direction == 2
    assert pair.cosine[:2] == pair.dot_product[:2] == (0, 0)
    assert "Up to 2 dims" in pair.takeaway()
    assert pair_by_width(LEFT, RIGHT).n_without_direction == 0
    assert pair_by_width(np.zeros(3), np.ones(3)).cosine == (0, 0, 0)


def test_api_short_equals_naive_loop():
    """MAPE, its median, wMAPE and cosine are their definitions."""
    api, local = LEFT[:12], LEFT[:12] + RIGHT[:12] / 20
    result = api_short_vs_local_short(api, local)
    errors = [abs(float(a) - float(b)) / abs(float(a)) for a, b in zip(api, local)]
    assert result.mape == pytest.approx(sum(errors) / 12)
    assert result.median_ape == pytest.approx(np.median(errors))
    total = sum(abs(float(a) - float(b)) for a, b in zip(api, local)) / sum(abs(float(a)) for a in api)
    assert result.wmape == pytest.approx(total)
    dot = sum(float(a) * float(b) for a, b in zip(api, local))
    assert result.cosine == pytest.approx(dot / norm(api) / norm(local))
    assert result.dead == ()


def test_missing_renormalisation_has_mape_one_minus_norm():
    """For a unit vector, the bare prefix against the renormalised one: MAPE is exactly 1 - ‖x[:m]‖, the cosine 1."""
    anatomy = vector_anatomy(LEFT, dims=[6])
    result = api_short_vs_local_short(anatomy.short(6), anatomy.cut(6))
    assert result.mape == pytest.approx(1 - anatomy.norm_before[0], abs=1e-6)
    assert result.wmape == pytest.approx(1 - anatomy.norm_before[0], abs=1e-6)
    assert result.cosine == pytest.approx(1)
    assert "not renormalised" in result.takeaway()
    assert "agree in direction and length" in api_short_vs_local_short(anatomy.short(6), anatomy.short(6)).takeaway()
    assert "differ by more than rounding" in api_short_vs_local_short(anatomy.short(6), -anatomy.short(6)).takeaway()


def test_dead_coordinates_are_left_out_and_named():
    """Coordinates of an API vector that are rounding noise do not enter MAPE; wMAPE sees every one."""
    api, local = np.array([0.6, 1e-33, -0.8, 2e-8]), np.array([0.66, 1e-5, -0.8, 0])
    result = api_short_vs_local_short(api, local)
    assert result.dead == (1, 3)
    assert result.mape == pytest.approx(0.05)
    assert result.wmape == pytest.approx((0.06 + 1e-5) / 1.4, abs=1e-7)
    assert "leaves out 2 dead coordinates" in result.takeaway()
    assert [record["dead"] for record in result.rows()] == [False, True, False, True]


def test_zero_short_vectors_give_none_not_nan():
    """Nothing to divide by is None and a sentence, never NaN or infinity."""
    empty = api_short_vs_local_short(np.zeros(3), np.ones(3))
    assert (empty.mape, empty.median_ape, empty.wmape, empty.cosine) == (None, None, None, 0)
    assert "API vector is all zeros" in empty.takeaway()
    assert "local vector is all zeros" in api_short_vs_local_short(np.ones(3), np.zeros(3)).takeaway()
    assert api_short_vs_local_short([1e-300], [1e300]).mape is None
    json.dumps(empty.to_dict(), allow_nan=False)


def test_anatomy_refuses_nonsense():
    """Matrices, other lengths, NaN and impossible widths: one clear error each."""
    with pytest.raises(ShapeError, match=r"`vector` has shape \(2, 3\)"):
        vector_anatomy(np.ones((2, 3)), dims=[1])
    with pytest.raises(ShapeError, match="`vector` has NaN"):
        vector_anatomy([1, np.nan], dims=[1])
    with pytest.raises(ShapeError, match="`left` is ragged"):
        pair_by_width([[1], [1, 2]], [1, 2])
    with pytest.raises(ShapeError, match="`left` has 24 coordinates and `right` 3"):
        pair_by_width(LEFT, [1, 2, 3])
    with pytest.raises(ShapeError, match="`api` has 2 coordinates and `local` 3"):
        api_short_vs_local_short([1, 2], [1, 2, 3])
    with pytest.raises(DimensionError, match="`dim` is 25"):
        vector_anatomy(LEFT, dims=[25])
    with pytest.raises(DimensionError, match="`dim` is 0"):
        vector_anatomy(LEFT, dims=[3]).short(0)
    with pytest.raises(InvalidInputError, match="`bytes_per_coordinate` is 0"):
        vector_anatomy(LEFT, dims=[3], bytes_per_coordinate=0)


def test_anatomy_results_are_plain_data():
    """to_dict and rows survive JSON without NaN."""
    for result in (vector_anatomy(LEFT, dims=DIMS), pair_by_width(LEFT, RIGHT), api_short_vs_local_short(LEFT, RIGHT)):
        json.dumps([result.to_dict(), result.rows()], allow_nan=False)


def test_strip_shows_what_is_cut_away():
    """Three strips: all coordinates, the prefix alone, the prefix renormalised; the rest of the last two is empty."""
    anatomy = vector_anatomy(LEFT, dims=DIMS)
    heat = coordinate_strip(anatomy, 6).data[0]
    np.testing.assert_array_equal(heat.z[0], anatomy.coordinates)
    np.testing.assert_allclose(heat.z[2, :6], anatomy.short(6))
    assert np.isnan(heat.z[1:, 6:]).all()


def test_dolls_are_to_scale_and_nested():
    """Each doll is as long as it has dims and lies inside the next, labelled with dims, bytes and energy."""
    figure = nested_dolls(vector_anatomy(LEFT, dims=DIMS), focus_dim=6)
    lengths, heights = zip(*((doll.width[0], doll.y[0]) for doll in figure.data))
    assert lengths == (24, 12, 6, 3) and all(doll.x[0] == doll.width[0] / 2 for doll in figure.data)
    assert list(heights) == sorted(heights, reverse=True)
    assert figure.data[0].text[0] == "24 dims · 96 bytes · 100.0% of the energy"
    assert [doll.marker.line.width > 2 for doll in figure.data] == [False, False, True, False]
    # A click on a doll is a click on its width.
    assert [doll.customdata[0] for doll in figure.data] == [24, 12, 6, 3]


def test_dolls_say_what_all_texts_keep():
    """Beside energy: the share of neighbors, and of what the labels judge where there are any."""
    rows = np.random.default_rng(0).normal(size=(30, 24)).astype(np.float32)
    overlap = neighbor_overlap(nested_sweep(rows, dims=(6, 24), k=5))
    useful = mean_curve("ndcg@10", (6, 24), np.array([[0.2, 0.4], [0.4, 0.8]]))
    anatomy = vector_anatomy(rows[0], dims=(3, 6))
    kept = f"{overlap.overlap[0].value:.0%} of neighbors"
    for summary, ending in ((WidthSummary(overlap), kept), (WidthSummary(overlap, useful), f"{kept} · 50% of nDCG@10")):
        labels = {doll.name: doll.text[0] for doll in nested_dolls(anatomy, summary=summary).data}
        assert labels["6 dims"].endswith(f"energy · {ending}")
        assert labels["3 dims"].endswith("energy")  # not measured at that width


def test_many_dolls_are_thinned_but_keep_focus_and_full_width():
    """Of all widths only a few are drawn, the focus and the full one among them."""
    figure = nested_dolls(vector_anatomy(LEFT, dims=range(1, 25)), focus_dim=11)
    names = [doll.name for doll in figure.data]
    assert len(names) <= MOST_DOLLS
    assert names[0] == "24 dims" and "11 dims" in names


@pytest.mark.parametrize("vector", [LEFT, np.zeros(24), np.ones(24)])
def test_anatomy_figures_draw_anything(vector):
    """Zero and constant vectors draw without warnings."""
    anatomy, pair = vector_anatomy(vector, dims=DIMS), pair_by_width(vector, RIGHT)
    for figure in (coordinate_strip(anatomy, 24), nested_dolls(anatomy), prefix_norms(anatomy, 6), pair_curve(pair, 6)):
        figure.to_json()
    assert len(short_vectors(api_short_vs_local_short([1, 0], [1, 0])).data) == 3
    short_vectors(api_short_vs_local_short(vector, vector)).to_json()


ROWS = RNG.normal(size=(40, 24)).astype(np.float32)


def test_short_vectors_over_texts_are_the_mean_of_each_text():
    """Cosine, wMAPE and counts are those of the single comparisons."""
    api = simulated_short(ROWS, 6, bits=8)
    local = truncate_and_normalize(ROWS, 6)
    found = short_vectors_over_texts(api, local, origin="simulated here")
    single = [api_short_vs_local_short(a, b) for a, b in zip(api, local)]
    assert found.cosine.value == pytest.approx(np.mean([one.cosine for one in single]))
    assert found.lowest_cosine == pytest.approx(min(one.cosine for one in single))
    assert found.wmape.value == pytest.approx(np.mean([one.wmape for one in single]))
    assert (found.dim, found.n_items) == (6, 40) and "simulated here" in found.takeaway()


@pytest.mark.parametrize(
    ("options", "n_turned", "n_other_length", "words"),
    [
        ({}, 0, 0, "agree in direction and length"),
        ({"renormalizes": False}, 0, 40, "Same directions, but 40 have another length"),
    ],
)
def test_what_an_api_did_is_told_from_its_vectors(options, n_turned, n_other_length, words):
    """Cut and renormalised agrees to the decimals that JSON carries; a forgotten renormalisation has its sentence."""
    found = short_vectors_over_texts(simulated_short(ROWS, 6, **options), truncate_and_normalize(ROWS, 6), origin="x")
    assert (found.n_turned, found.n_other_length) == (n_turned, n_other_length) and words in found.takeaway()


def test_another_models_short_vectors_are_found_out():
    """Vectors of something else differ in direction; unequal shapes and unknown bits are refused."""
    local = truncate_and_normalize(ROWS, 6)
    found = short_vectors_over_texts(local[::-1], local, origin="recorded in short.npy")
    assert found.n_turned == 40 and "check model, prompt" in found.takeaway()
    with pytest.raises(ShapeError, match=r"`api` has shape \(39, 6\)"):
        short_vectors_over_texts(local[1:], local, origin="x")
    with pytest.raises(InvalidInputError, match="`bits` is 4"):
        simulated_short(ROWS, 6, bits=4)
