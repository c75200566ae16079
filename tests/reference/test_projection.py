"""Maps: PCA on one basis, warm-started UMAP, what they are worth, and their pictures."""

import json
import os
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy.spatial import procrustes
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from mrl_viz import projection
from mrl_viz.errors import (
    CancelledError,
    DimensionError,
    EmptyInputError,
    InvalidInputError,
    ShapeError,
    StoreError,
)
from mrl_viz.figures.maps import group_labels, map_animation, map_panels, selection_frames
from mrl_viz.figures.style import shorten
from mrl_viz.measures.maps import align, map_quality, picture_neighbors, procrustes_disparity
from mrl_viz.projection import load_map, map_key, pca_maps, save_map, umap_maps
from mrl_viz.sweep import nested_sweep
from mrl_viz.truncation import normalize, truncate_and_normalize

DIMS = (2, 6, 24)


def clusters(n_items=120, full_dim=24, seed=0):
    """Rows around six centres, with variance that falls along the index."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, full_dim))[rng.integers(0, 6, n_items)]
    return ((centres + 0.5 * rng.normal(size=(n_items, full_dim))) * (1 + np.arange(full_dim)) ** -0.4).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def rows():
    return clusters()


@pytest.fixture(scope="module")
def maps(rows):
    return pca_maps(rows, DIMS, k=5)


@pytest.fixture(scope="module")
def umaps(rows):
    """UMAP maps and the progress that was reported."""
    reported = []
    return umap_maps(rows, DIMS, k=5, progress=lambda done, total: reported.append((done, total))), reported


@pytest.fixture(scope="module")
def texts():
    return [f"text {i}" for i in range(120)]


# PCA


@pytest.mark.parametrize("n_items", [120, 15])
def test_pca_full_width_agrees_with_sklearn(n_items):
    """At full width the map is scikit-learn's PCA of the unit vectors, with more or fewer rows than coordinates."""
    rows = clusters(n_items)
    result = pca_maps(rows, [24], k=3)
    oracle = PCA(2, svd_solver="full").fit(normalize(rows.astype(np.float64)))
    components = (
        oracle.components_ * np.sign(oracle.components_[[0, 1], np.abs(oracle.components_).argmax(axis=1)])[:, None]
    )
    expected = (normalize(rows.astype(np.float64)) - oracle.mean_) @ components.T
    np.testing.assert_allclose(result.positions[-1], expected, atol=1e-5)
    np.testing.assert_allclose(result.explained, oracle.explained_variance_ratio_, rtol=1e-5)


def test_pca_projects_zero_padded_prefixes_on_the_full_width_basis(rows, maps):
    """Every width's renormalised prefix, padded with zeros, is projected with the basis and the mean of full width."""
    unit = normalize(rows.astype(np.float64))
    oracle = PCA(2, svd_solver="full").fit(unit)
    components = (
        oracle.components_ * np.sign(oracle.components_[[0, 1], np.abs(oracle.components_).argmax(axis=1)])[:, None]
    )
    for level, dim in enumerate(maps.dims):
        padded = np.zeros_like(unit)
        padded[:, :dim] = truncate_and_normalize(rows.astype(np.float64), dim)
        np.testing.assert_allclose(maps.positions[level], (padded - oracle.mean_) @ components.T, atol=1e-5)


def test_quality_agrees_with_sklearn_at_every_width(rows, maps):
    """Trustworthiness is scikit-learn's, continuity is scikit-learn's with the two spaces swapped."""
    for level, dim in enumerate(maps.dims):
        unit, places = truncate_and_normalize(rows.astype(np.float64), dim), maps.positions[level].astype(np.float64)
        assert maps.trustworthiness[level] == pytest.approx(trustworthiness(unit, places, n_neighbors=5), abs=2e-5)
        assert maps.continuity[level] == pytest.approx(trustworthiness(places, unit, n_neighbors=5), abs=2e-5)


def test_shares_and_moves_agree_with_loops(rows, maps):
    """Kept, lost and displacement are what their definitions say, item by item."""
    sweep = nested_sweep(rows, dims=DIMS, k=5)
    full = maps.positions[-1].astype(np.float64)
    radius = np.sqrt(np.mean(((full - full.mean(axis=0)) ** 2).sum(axis=1)))
    for level in range(len(DIMS)):
        here = maps.positions[level].astype(np.float64)
        kept = []
        for i in range(len(rows)):
            distances = np.linalg.norm(here - here[i], axis=1)
            distances[i] = np.inf
            kept.append(len(set(np.argsort(distances)[:5]) & set(sweep.indices[level, i])) / 5)
            lost = 1 - len(set(sweep.indices[level, i]) & set(sweep.indices[-1, i])) / 5
            assert maps.overlap_lost[level, i] == pytest.approx(lost)
            neighbors = sweep.indices[-1, i]
            beyond = (here[i] - full[i]) - (here[neighbors] - full[neighbors]).mean(axis=0)
            assert maps.relative_displacement[level, i] == pytest.approx(np.linalg.norm(beyond) / radius, abs=1e-5)
        assert maps.kept_in_map[level] == pytest.approx(np.mean(kept))
        assert maps.disparity[level] == pytest.approx(procrustes(full, here)[2], abs=1e-9)
    step = np.linalg.norm(maps.positions[0].astype(float) - maps.positions[1], axis=1).mean() / radius
    assert maps.movement[0] == pytest.approx(step)
    assert maps.disparity[-1] == maps.movement[-1] == 0


def test_a_given_sweep_changes_nothing(rows, maps):
    """A sweep with more widths and more neighbors gives the same maps as none."""
    given = pca_maps(rows, DIMS, k=5, sweep=nested_sweep(rows, dims=[2, 6, 12, 24], k=9))
    assert given.to_dict() == maps.to_dict()
    np.testing.assert_array_equal(given.overlap_lost, maps.overlap_lost)


@pytest.mark.parametrize("change", ["k", "dims", "queries", "rows"])
def test_a_sweep_of_something_else_is_refused(rows, change):
    """Too few neighbors, a missing width, other queries or other rows are named."""
    sweep = {
        "k": lambda: nested_sweep(rows, dims=DIMS, k=4),
        "dims": lambda: nested_sweep(rows, dims=[2], k=5),
        "queries": lambda: nested_sweep(rows, rows[:9], dims=DIMS, k=5),
        "rows": lambda: nested_sweep(rows[:100], dims=DIMS, k=5),
    }[change]()
    with pytest.raises(InvalidInputError, match="`sweep` is of"):
        pca_maps(rows, DIMS, k=5, sweep=sweep)


def test_pca_is_deterministic_and_leaves_its_input_alone(rows):
    """The same rows give the same bytes, and are never written to."""
    before = rows.copy()
    locked = rows.copy()
    locked.flags.writeable = False
    first, second = pca_maps(locked, DIMS, k=5), pca_maps(rows, DIMS, k=5)
    assert first.positions.tobytes() == second.positions.tobytes()
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize("rows_given", [np.ones((9, 4)), np.zeros((9, 4)), np.outer(np.arange(1, 10), [1, 2, 3, 4])])
@pytest.mark.parametrize("draw", [pca_maps, umap_maps])
def test_one_direction_has_no_map(draw, rows_given):
    """Constant rows, zero rows and multiples of one row are one direction: nothing to lay out."""
    with pytest.raises(InvalidInputError, match="same direction"):
        draw(rows_given, [2], k=3)


def test_rank_one_difference_is_a_line(rows):
    """Rows that differ along one line have one axis; the other is 0 and holds no variance."""
    line = np.array([[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0], [-3.0, 0.0]])
    result = pca_maps(line, [1], k=1)
    assert (result.positions[..., 1] == 0).all()
    assert result.explained == (1.0, 0.0)
    assert result.trustworthiness == result.continuity == result.kept_in_map == (1.0, 1.0)


@pytest.mark.parametrize("draw", [pca_maps, umap_maps])
def test_too_few_points(draw):
    """One point has no map, two and three have a PCA map, UMAP needs four."""
    rows = clusters(4)
    fewest = 2 if draw is pca_maps else 4
    for n_items in range(1, fewest):
        with pytest.raises(EmptyInputError, match=f"has {n_items} rows but this map needs at least {fewest}"):
            draw(rows[:n_items], [2], k=1)
    if draw is pca_maps:
        for n_items in (2, 3):
            result = draw(rows[:n_items], DIMS, k=n_items - 1)
            assert np.isfinite(result.positions).all()
            assert result.kept_in_map == result.trustworthiness == result.continuity == (1.0, 1.0, 1.0)


def test_zero_rows_duplicates_and_one_dim():
    """A zero row stands at the origin's place, duplicates stand together, one coordinate leaves two places."""
    rows = np.concatenate([clusters(20), clusters(20), np.zeros((2, 24), dtype=np.float32)])
    result = pca_maps(rows, [1, 6], k=5)
    np.testing.assert_array_equal(result.positions[:, :20], result.positions[:, 20:40])
    np.testing.assert_array_equal(result.positions[:, 40], result.positions[:, 41])
    assert len(np.unique(result.positions[0], axis=0)) == 3  # plus, minus and zero
    assert result.kept_in_map[0] > 0.9  # ties go to the lower index in both spaces
    assert np.isfinite(result.relative_displacement).all()


def test_parameters_out_of_range(rows):
    """Widths, k, the sample size and the seed are checked with their ranges named."""
    with pytest.raises(DimensionError, match="choose 1 to 24"):
        pca_maps(rows, [25])
    with pytest.raises(InvalidInputError, match="choose 1 to 119"):
        pca_maps(rows, DIMS, k=120)
    with pytest.raises(InvalidInputError, match="at most 24; choose fewer"):
        pca_maps(clusters(30, 40), range(1, 41))
    with pytest.raises(InvalidInputError, match="`most_items` is 1"):
        pca_maps(rows, DIMS, most_items=1)
    with pytest.raises(InvalidInputError, match="`seed` is -1"):
        pca_maps(rows, DIMS, seed=-1)
    with pytest.raises(InvalidInputError, match="`n_neighbors` is 1; choose 2 to 200"):
        umap_maps(rows, DIMS, n_neighbors=1)


def test_a_sample_is_seeded_and_stated(rows):
    """Above `most_items` a seeded sample is shown, its own neighbors are the truth, and the takeaway says so."""
    result = pca_maps(rows, DIMS, k=5, most_items=50, seed=3)
    assert result.is_sample and result.n_items == 120 and len(result.items) == 50
    np.testing.assert_array_equal(result.items, pca_maps(rows, DIMS, k=5, most_items=50, seed=3).items)
    assert not np.array_equal(result.items, pca_maps(rows, DIMS, k=5, most_items=50, seed=4).items)
    np.testing.assert_array_equal(result.positions, pca_maps(rows[result.items], DIMS, k=5).positions)
    assert "50 sampled from 120 texts" in result.takeaway()


def test_quality_of_many_texts_is_a_mean_over_some(monkeypatch, rows, maps):
    """Above the bound trustworthiness is a mean over a stated number of texts, close to that over all."""
    monkeypatch.setattr(projection, "QUALITY_ITEMS", 60)
    result = pca_maps(rows, DIMS, k=5)
    assert (result.n_judged, maps.n_judged) == (60, 120)
    np.testing.assert_allclose(result.trustworthiness, maps.trustworthiness, atol=0.05)
    assert result.kept_in_map == maps.kept_in_map


def test_takeaways_state_the_numbers(maps, umaps):
    """The sentence holds the share shown at both ends, and for UMAP the seed's noise."""
    assert (
        f"{maps.kept_in_map[-1]:.0%} of a text's 5 true neighbors at 24 dims and {maps.kept_in_map[0]:.0%} at 2"
        in maps.takeaway()
    )
    assert f"another seed alone changes it ({umaps[0].seed_disparity:.2f})" in umaps[0].takeaway()
    assert [row["dim"] for row in maps.rows()] == list(DIMS)
    json.dumps(maps.to_dict())


def test_what_umap_compiles_is_kept_for_the_next_process(umaps):
    """Its layout takes longest to compile, and lies in the folder for compiled code."""
    assert list(Path(os.environ["NUMBA_CACHE_DIR"]).rglob("layouts._optimize_layout_euclidean_single_epoch*.nbc"))


# Quality and alignment


def test_quality_refuses_what_does_not_belong_together(rows, maps):
    """Rows, places and neighbor lists of different lengths are named with their shapes."""
    with pytest.raises(ShapeError, match="row per item"):
        map_quality(rows, maps.positions[0][:50], nested_sweep(rows, dims=[24], k=5).indices[0])
    with pytest.raises(EmptyInputError, match="`judged` is empty"):
        map_quality(
            rows, maps.positions[0], nested_sweep(rows, dims=[24], k=5).indices[0], judged=np.array([], dtype=int)
        )
    with pytest.raises(InvalidInputError, match="`k` is 120"):
        picture_neighbors(maps.positions[0], 120)


def test_align_undoes_a_rotation_and_keeps_distances(maps):
    """A turned, mirrored and moved map comes back; one of another shape keeps its own distances."""
    onto = maps.positions[-1].astype(np.float64)
    turned = onto @ np.array([[0.6, 0.8], [0.8, -0.6]]) + [5, -3]
    np.testing.assert_allclose(align(turned, onto), onto, atol=1e-9)
    other = maps.positions[0].astype(np.float64)
    moved = align(other, onto)
    np.testing.assert_allclose(
        np.linalg.norm(moved[0] - moved, axis=1), np.linalg.norm(other[0] - other, axis=1), atol=1e-9
    )


def test_disparity_agrees_with_scipy(maps):
    """The disparity is scipy's; a map on one spot has nothing in common with any."""
    for level in range(len(DIMS)):
        expected = procrustes(maps.positions[-1].astype(float), maps.positions[level].astype(float))[2]
        assert procrustes_disparity(maps.positions[-1], maps.positions[level]) == pytest.approx(expected, abs=1e-9)
    assert procrustes_disparity(np.zeros((5, 2)), maps.positions[0][:5]) == 1


# UMAP


def test_umap_maps_keep_the_clusters(rows, umaps):
    """The maps are finite, trustworthy, aligned with the full width's, and stand beside their noise."""
    result, reported = umaps
    assert result.positions.shape == (3, 120, 2) and np.isfinite(result.positions).all()
    assert min(result.trustworthiness) > 0.85 and min(result.continuity) > 0.85
    for level, dim in enumerate(DIMS):
        unit = truncate_and_normalize(rows.astype(np.float64), dim)
        expected = trustworthiness(unit, result.positions[level].astype(np.float64), n_neighbors=5)
        assert result.trustworthiness[level] == pytest.approx(expected, abs=2e-5)
    aligned = align(result.positions[0].astype(float), result.positions[-1].astype(float))
    np.testing.assert_allclose(aligned, result.positions[0], atol=1e-3)
    assert 0 < result.restart_disparity < result.seed_disparity < 1
    assert reported == [(done, 6) for done in range(1, 7)]


def test_umap_is_seeded_and_widths_do_not_depend_on_each_other(rows, umaps):
    """The same seed gives the same maps, also when another width is left out; another seed gives others."""
    fewer = umap_maps(rows, [6], k=5)
    np.testing.assert_array_equal(fewer.positions, umaps[0].positions[1:])
    assert fewer.seed_disparity == umaps[0].seed_disparity
    assert not np.array_equal(umap_maps(rows, [24], k=5, seed=1).positions[-1], fewer.positions[-1])


@pytest.mark.parametrize("at", [0, 2])
def test_umap_stops_when_cancelled(rows, at):
    """The request is honoured before the next map, and the message says how far it was."""
    done = []
    with pytest.raises(CancelledError, match=f"after {at} of 4"):
        umap_maps(rows[:30], [24], k=5, progress=lambda n, _: done.append(n), cancelled=lambda: len(done) >= at)
    assert len(done) == at


@pytest.mark.parametrize("case", ["four", "duplicates", "zeros", "opposite", "line"])
def test_umap_edge_cases_are_finite(case):
    """Four points, duplicates, zero rows, opposite texts and a line all have a place on the map."""
    rows = {
        "four": clusters(4),
        "duplicates": np.repeat(clusters(5), 8, axis=0),
        "zeros": np.concatenate([clusters(25), np.zeros((20, 24), dtype=np.float32)]),
        "opposite": np.concatenate([np.eye(2, 24), -np.eye(2, 24)]).astype(np.float32),
        "line": np.array([[1.0, 0], [-1, 0]] * 10, dtype=np.float32),
    }[case]
    result = umap_maps(rows, [1, 2], k=2)
    assert np.isfinite(result.positions).all() and np.isfinite(result.relative_displacement).all()
    assert all(0 <= value <= 1 for value in (*result.trustworthiness, *result.continuity, *result.disparity))


# Saved maps


def test_saved_maps_come_back(tmp_path, umaps):
    """What is loaded is what was saved, field by field, and no half-written file stays."""
    key = map_key("fingerprint", method="umap", dims=DIMS, seed=0)
    path = save_map(umaps[0], tmp_path / "maps", key)
    loaded = load_map(tmp_path / "maps", key)
    assert loaded.to_dict() == umaps[0].to_dict()
    for name in ("items", "positions", "overlap_lost", "relative_displacement"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(umaps[0], name))
        assert getattr(loaded, name).dtype == getattr(umaps[0], name).dtype
    assert os.listdir(tmp_path / "maps") == [path.name]


def test_missing_damaged_and_foreign_files_are_no_maps(tmp_path, maps):
    """A missing, cut, altered or pickled file loads as None, so that the maps are drawn again."""
    assert load_map(tmp_path, "missing") is None
    path = save_map(maps, tmp_path, "key")
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:500] + bytes([whole[500] ^ 255]) + whole[501:], b"no zip"):
        path.write_bytes(damaged)
        assert load_map(tmp_path, "key") is None
    with path.open("wb") as file:
        np.savez(file, header=np.array([{"schema": 1}], dtype=object))
    assert load_map(tmp_path, "key") is None


def test_keys_differ_by_parameter_and_cannot_leave_the_folder(tmp_path, maps):
    """Each parameter and the fingerprint change the key; a path is no key."""
    keys = {map_key("a", seed=0), map_key("a", seed=1), map_key("b", seed=0), map_key("a", dims=(1, 2))}
    assert len(keys) == 4 and map_key("a", seed=0) in keys
    for bad in ("../x", "", "a.b"):
        with pytest.raises(InvalidInputError, match="letters and digits"):
            load_map(tmp_path, bad)
        with pytest.raises(InvalidInputError, match="letters and digits"):
            save_map(maps, tmp_path, bad)


def test_an_unwritable_folder_is_named(tmp_path, maps):
    """A folder that cannot be made is a StoreError with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="set MRL_VIZ_CACHE"):
        save_map(maps, tmp_path / "file" / "maps", "key")


def test_only_the_last_used_maps_are_kept(monkeypatch, tmp_path, maps):
    """Saving beyond the bound removes the maps used longest ago; loading counts as use."""
    monkeypatch.setattr(projection, "MOST_SAVED", 2)
    for age, key in ((30, "old"), (20, "older")):
        path = save_map(maps, tmp_path, key)
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    assert load_map(tmp_path, "old") is not None
    save_map(maps, tmp_path, "new")
    assert {path.stem for path in tmp_path.glob("*.npz")} == {"old", "new"}


# Pictures


def test_animation_has_a_frame_per_width_that_moves_points_only(maps, texts):
    """Frames hold places, colours and the title; texts are sent once, and the player lies in the figure."""
    figure = map_animation(maps, texts, focus_dim=6)
    widths = [frame for frame in figure.frames if frame.baseframe]
    assert [frame.name for frame in widths] == ["2", "6", "24"]
    for level, frame in enumerate(widths):
        (moving,) = frame.data
        assert set(moving.to_plotly_json()) - {"type"} == {"x", "y", "marker"}
        np.testing.assert_array_equal(moving.x, maps.positions[level, :, 0])
        assert f"trustworthiness {maps.trustworthiness[level]:.3f}" in frame.layout.title.text
        assert f"continuity {maps.continuity[level]:.3f}" in frame.layout.title.text
    assert figure.layout.sliders[0].active == 1
    assert [step.label for step in figure.layout.sliders[0].steps] == ["2", "6", "24"]
    assert figure.layout.updatemenus[0].buttons[0].args[0] == ("24", "6", "2")
    assert list(figure.data[0].customdata) == list(range(120))
    assert not map_animation(pca_maps(clusters(), [24]), texts).layout.sliders


def test_trails_run_through_all_widths(maps, texts):
    """A selected text has a trail over the widths and a ring that moves with the frames."""
    figure = map_animation(maps, texts, selected=[7, 30, 7])
    _, lines, trails, rings = figure.data
    np.testing.assert_allclose(trails.x[:3], maps.positions[:, 7, 0], atol=1e-4)
    assert trails.x[3] is None and trails.text[:3] == ("2", "6", "24") and list(trails.marker.size[:3]) == [4, 6.5, 9]
    assert len(lines.x) == 0 and trails.customdata[5].startswith("2: ") and trails.customdata[5].endswith(", 6 dims")
    frames = {frame.name: frame for frame in figure.frames}
    assert frames["2"].baseframe == "2 selected" and frames["2 selected"].traces == (1, 2, 3)
    np.testing.assert_allclose(frames["2 selected"].data[2].y, maps.positions[0, [7, 30], 1], atol=1e-4)
    np.testing.assert_allclose(rings.y, maps.positions[-1, [7, 30], 1], atol=1e-4)
    sampled = pca_maps(clusters(), DIMS, k=5, most_items=50)
    hidden = next(item for item in range(120) if item not in sampled.items)
    assert all(len(trace.x) == 0 for trace in map_animation(sampled, texts, selected=[hidden]).data[1:])
    with pytest.raises(InvalidInputError, match="at most 8"):
        map_animation(maps, texts, selected=range(9))
    with pytest.raises(InvalidInputError, match="choose 0 to 119"):
        map_animation(maps, texts, selected=[120])


def test_lines_run_to_the_first_selected_texts_neighbors_at_each_width(maps, texts):
    """A line each from the text to those near it at that width, with their words; another selected text has none."""
    near = [[1, 2], [3, 30], [4, 5]]
    frames = {frame["name"]: frame["data"][0] for frame in selection_frames(maps, texts, [7, 30], near)}
    for level, dim in enumerate(maps.dims):
        lines = frames[f"{dim} selected"]
        assert lines["customdata"] == [7, near[level][0], -1, 7, near[level][1], -1]
        assert lines["text"][1] == texts[near[level][0]]
        np.testing.assert_allclose(lines["y"][3:5], maps.positions[level, [7, near[level][1]], 1], atol=1e-4)
    json.dumps(frames, allow_nan=False)  # as the browser is sent them


def test_panels_are_one_figure_with_quality_on_each(maps, texts):
    """Every width has a panel in one figure, its trustworthiness and continuity above it; one legend serves all."""
    figure = map_panels(maps, texts, color_by="label", labels=["a", "b"] * 60, selected=[1], columns=2)
    titles = [note.text for note in figure.layout.annotations]
    assert [title.split(" dims")[0] for title in titles] == ["<b>2", "<b>6", "<b>24"]
    assert all(f"T {trust:.2f}" in title for trust, title in zip(maps.trustworthiness, titles))
    assert all(f"C {value:.2f}" in title for value, title in zip(maps.continuity, titles))
    assert len({trace.xaxis for trace in figure.data}) == 3
    assert [trace.name for trace in figure.data if trace.showlegend] == ["a · 60", "b · 60"]


def test_label_groups_for_many_and_missing_labels():
    """Of 500 values the most frequent have a colour, the rest is one group, and missing labels are another."""
    labels = [f"label {i % 500:03}" for i in range(1990)] + ["label 007"] * 10 + [None, "", "  ", float("nan")]
    groups = group_labels(labels)
    assert groups.names[0] == "label 007" and groups.counts[0] == 14
    assert groups.names[-2:] == ("other (490 labels)", "(none)") and groups.counts[-1] == 4
    assert sum(groups.counts) == 2004 and len(groups.names) == 12 and groups.collecting == {10, 11}
    assert np.bincount(groups.codes).tolist() == list(groups.counts)
    half = group_labels([None, "x"] * 5)
    assert half.names == ("x", "(none)") and half.counts == (5, 5)
    assert group_labels([None] * 3).names == ("(none)",)
    assert group_labels(["other (1 labels)", "(none)"]).counts == (1, 1)


def test_labels_colour_traces(maps, texts):
    """Each coloured group is a trace with its own colour and symbol, collecting groups are grey and drawn first."""
    labels = [None if i % 2 else f"label {i % 24}" for i in range(120)]
    figure = map_animation(maps, texts, color_by="label", labels=labels)
    points = figure.data[:-3]
    names = [trace.name for trace in points]
    assert names[:2] == ["other (2 labels) · 10", "(none) · 60"]
    shown = [(trace.marker.color, trace.marker.symbol) for trace in points]
    assert len(set(shown[2:])) == len(shown) - 2 == 10
    assert sorted(item for trace in points for item in trace.customdata) == list(range(120))


def test_picture_inputs_are_checked(maps, texts):
    """Texts and labels of another length, an unknown colouring and an unknown width are named."""
    with pytest.raises(ShapeError, match="`texts` has 3"):
        map_animation(maps, texts[:3])
    with pytest.raises(ShapeError, match="`labels` has 1"):
        map_panels(maps, texts, color_by="label", labels=["a"])
    with pytest.raises(InvalidInputError, match="`labels` is None"):
        map_panels(maps, texts, color_by="label")
    with pytest.raises(InvalidInputError, match="`color_by` is 'mood'"):
        map_animation(maps, texts, color_by="mood")
    with pytest.raises(InvalidInputError, match="choose one of"):
        map_animation(maps, texts, focus_dim=7)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>&\"bold\"</b>", "&lt;b&gt;&amp;&quot;bold&quot;&lt;/b&gt;"),
        ("a\tb\r\n c\x00\x1b[31m\u202ed\u200be", "a b c[31mde"),
        ("x" * 10_000, "x" * 79 + "…"),
        ("word " * 2_000, ("word " * 16)[:79] + "…"),
        ("שלום עולם", "שלום עולם"),
        ("漢字" * 50, ("漢字" * 50)[:79] + "…"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ud800lone", "lone"),
        (" \n\u200b", "(empty)"),
    ],
)  # fmt: skip
def test_shorten(text, shown):
    """Hover texts are one escaped line of at most 80 characters without control characters, and never empty."""
    assert shorten(text, most=80) == shown


def test_hostile_texts_and_labels_are_escaped_everywhere(maps):
    """No markup of a text or a label reaches hover, legend or trail."""
    hostile = ["<img src=x onerror=alert(1)>\ud800"] * 120
    for draw in (map_animation, map_panels):
        drawn = draw(maps, hostile, color_by="label", labels=hostile, selected=[0]).to_json()
        assert "<img" not in drawn and "\\u003cimg" not in drawn


@pytest.fixture(scope="module")
def many_maps():
    """2,000 points at seven widths."""
    return pca_maps(clusters(2_000, 256), [4, 8, 16, 32, 64, 128, 256], k=2)


@pytest.mark.parametrize("color_by", ["displacement", "overlap lost", "label"])
def test_payload_of_2000_points_at_7_widths(many_maps, color_by):
    """Long CJK texts and seven widths of 2,000 points stay under 1.5 MB, drawn with WebGL and no <br> in hovers."""
    texts = ["漢" * 10_000] * 2_000
    labels = [f"label {i % 500}" for i in range(2_000)]
    for draw in (map_animation, map_panels):
        figure = draw(many_maps, texts, color_by=color_by, labels=labels, selected=range(8))
        assert len(figure.to_json()) <= 1_500_000
        assert all(isinstance(trace, go.Scattergl) for trace in figure.data)
        assert not any("<br" in (trace.hovertemplate or "") for trace in figure.data)
