"""Trained models laid over each other, against means and differences written out."""

import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from mrl_viz import figures
from mrl_viz.archive import read_result, write_result
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.errors import InvalidInputError
from mrl_viz.measures.estimate import Estimate
from mrl_viz.training.card import overlay_code
from mrl_viz.training.config import TrainingConfig
from mrl_viz.training.data import labelled_data, scored_data
from mrl_viz.training.overlay import (
    HeldOutValues,
    against_alone,
    labels_of,
    lay_over,
    lay_over_runs,
)
from mrl_viz.training.twins import load_twin_run, train_twins
from tests.tiny_model import save_tiny_model, tiny_texts

DIMS, N_ITEMS = (4, 8, 16), 200
CONFIG = TrainingConfig(model="tiny", dims=(4, 8))
TEXTS, LABELS = tiny_texts()


def values(seed, shift=0.0):
    """Of every item at every width; `shift` : how much better at 4 dims."""
    found = np.random.default_rng(seed).normal(0.5, 0.1, (len(DIMS), N_ITEMS))
    found[0] += shift
    return found


def run(config, seed=0, shift=0.0, judged="these", dims=DIMS):
    return HeldOutValues(config, judged, "Spearman", dims, {"matryoshka": values(seed, shift), "plain": values(9)})


def test_a_better_choice_is_found_where_it_is():
    """Better at one width: said of that width; at the others the interval spans 0, and how far it reaches is said."""
    base = values(0)
    better = base + np.random.default_rng(1).normal(0, 0.02, base.shape)
    better[0] += 0.05
    found = lay_over({"even": [base], "log": [better]}, DIMS, "Spearman")
    assert found.verdicts("log") == ("better", "equal", "equal") and found.first == "even"
    for level in range(3):
        assert found.gain["log"][level].value == pytest.approx((better - base)[level].mean())
        assert found.curves["log"][level].value == pytest.approx(better[level].mean())
    assert re.fullmatch(
        r"Against even: log better at 4 dims \(\+0\.04\d\), the interval of the difference spans 0 at the others, "
        r"within -0\.00\d to \+0\.00\d\.",
        found.takeaway(),
    )
    back = lay_over({"log": [better], "even": [base]}, DIMS, "Spearman")
    assert back.verdicts("even") == ("worse", "equal", "equal")
    rows = found.rows()
    assert len(rows) == 6 and rows[3]["model"] == "log" and rows[3]["verdict"] == "better"
    assert rows[0]["gain"] is None and rows[3]["gain"] == pytest.approx(0.05, abs=0.01)


def test_what_is_equal_spans_zero_everywhere():
    """Two draws of the same: no width is said to differ, in nineteen of twenty pairs and more."""
    wrong = 0
    for seed in range(20):
        found = lay_over({"one": [values(2 * seed)], "other": [values(2 * seed + 1)]}, DIMS, "Spearman")
        wrong += set(found.verdicts("other")) != {"equal"}
    assert wrong <= 2 and "at every width the interval of the difference spans 0" in found.takeaway()


def test_seeds_are_averaged_and_only_common_widths_compared():
    """Runs that differ in their seed alone are one line, the mean of both; widths are those that all have."""
    first, again = run(CONFIG, 0), run(replace(CONFIG, seed=1), 1)
    other = run(replace(CONFIG, dims=(4, 12)), 2, dims=(4, 12, 16))
    found = lay_over_runs([first, again, other])
    assert found.dims == (4, 16)
    assert found.n_seeds == {"widths 4 8 16": 2, "widths 4 12 16": 1}
    expected = (first.values["matryoshka"][0] + again.values["matryoshka"][0]) / 2
    assert found.curves["widths 4 8 16"][0].value == pytest.approx(expected.mean())


@pytest.mark.parametrize(
    ("runs", "match"),
    [
        ([run(CONFIG), run(replace(CONFIG, epochs=3), judged="others")], "different held-out items"),
        ([run(CONFIG), run(replace(CONFIG, epochs=3), dims=(1, 2, 3))], "no width in common"),
        ([run(CONFIG), run(replace(CONFIG, seed=2))], "2 trainings of one choice of settings"),
        ([run(replace(CONFIG, epochs=n)) for n in range(1, 8)], "`models` has 7 models; give 2 to 6"),
    ],
)
def test_runs_that_cannot_be_compared_are_one_sentence(runs, match):
    """Other held-out items, no common width, one choice only, too many."""
    with pytest.raises(InvalidInputError, match=match):
        lay_over_runs(runs)
    with pytest.raises(InvalidInputError, match="shapes"):
        lay_over({"a": [values(0)], "b": [values(0)[:2]]}, DIMS, "Spearman")


def test_labels_say_what_differs_and_nothing_else():
    """The settings that differ, in words; alpha and the number of sampled widths only where they are used."""
    assert labels_of([CONFIG, replace(CONFIG, weights="boost", alpha=0.5)]) == ["equal weights", "2, 1, 1 … weights"]
    assert labels_of([replace(CONFIG, weights="importance"), replace(CONFIG, weights="importance", alpha=0.5)]) == [
        "α = 0.8 weights", "α = 0.5 weights",
    ]  # fmt: skip
    sampled = replace(CONFIG, schedule="sampled", n_dims_per_step=1, weights=(2, 1, 1))
    assert labels_of([CONFIG, sampled]) == [
        "equal weights, all in every step", "2, 1, 1 weights, 1 sampled a step",
    ]  # fmt: skip
    assert labels_of([CONFIG, sampled, replace(CONFIG, epochs=3), replace(CONFIG, seed=9)]) == [
        "equal weights, all in every step, 20 epochs", "2, 1, 1 weights, 1 sampled a step", "3 epochs",
        "equal weights, all in every step, 20 epochs",
    ]  # fmt: skip
    assert labels_of([replace(CONFIG, learning_rate=0.5), replace(CONFIG, dims=tuple(range(1, 10)))]) == [
        "widths 4 8, rate 0.5", "widths 1 2 3 … 9, rate 0.01",
    ]  # fmt: skip
    assert labels_of([CONFIG, replace(CONFIG, seed=4, alpha=0.1)]) == ["the same"] * 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run of scored pairs, with models for two widths alone."""
    model = load_encoder(str(save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")), device="cpu")
    data = scored_data(TEXTS[0::2], TEXTS[1::2], [row % 4 for row in range(len(TEXTS) // 2)])
    config = TrainingConfig(model="tiny", dims=(2, 4), epochs=3, batch_size=4, alone=(4, 2))
    seen = []
    return train_twins(model, data, config, tmp_path_factory.mktemp("runs") / "run", progress=seen.append), seen, data


def test_models_for_one_width_alone_are_beside_the_nested_one(trained):
    """Each is trained as long, none is left on disk, and at the full width the plain twin stands in."""
    made, seen, _ = trained
    assert [(one.run, one.dims) for one in seen[6::3]] == [("alone", (2,)), ("alone", (4,))] and len(seen) == 12
    assert not list(made.folder.glob("*.safetensors"))
    found = against_alone(made.values)
    assert found.dims == (2, 4, 16) and list(found.curves) == ["trained alone", "one nested model"]
    assert found.curves["trained alone"][-1] == made.comparison.curves["plain"][-1]
    nested = made.comparison.curves["matryoshka"][made.comparison.dims.index(4)].value
    assert found.gain["one nested model"][1].value == pytest.approx(nested - made.values.values["alone"][1].mean())
    with pytest.raises(InvalidInputError, match="`alone` of the run's settings is empty"):
        against_alone(replace(made.values, alone_dims=()))


def test_scored_pairs_are_judged_by_spearman(trained):
    """The measure is scipy's Spearman of the held-out pairs; what is kept is a share of each model's own full width."""
    from scipy.stats import spearmanr

    made, _, data = trained
    comparison = made.comparison
    assert comparison.measure == "Spearman" and comparison.n_items == len(data.held_out)
    rows = load_encoder(str(made.model_folder("plain")), device="cpu").encode(data.texts)
    scores = [data.score_of[pair] for pair in data.held_out]
    for level, dim in enumerate(comparison.dims):
        short = rows[:, :dim] / np.linalg.norm(rows[:, :dim], axis=1, keepdims=True)
        cosines = [float(short[left] @ short[right]) for left, right in data.held_out]
        found = comparison.curves["plain"][level].value
        assert found == pytest.approx(spearmanr(cosines, scores).statistic, abs=1e-3)
    if comparison.curves["plain"][-1].value > 0:
        kept = comparison.curves["plain"][0].value / comparison.curves["plain"][-1].value
        assert comparison.shares["plain"][0].value == pytest.approx(kept)
    else:
        assert comparison.own_share("plain") is None and "no share can be given" in comparison.kept_takeaway()


def test_values_survive_the_disk(trained, tmp_path):
    """A finished run is read again with its values; without their file, as of an earlier version, it has none."""
    made, _, _ = trained
    again = load_twin_run(made.folder)
    assert again == made
    for name, array in made.values.values.items():
        np.testing.assert_array_equal(again.values.values[name], array)
    assert replace(again.values, values={}).to_dict() == replace(made.values, values={}).to_dict()
    file = tmp_path / "values.npz"
    write_result(made.values, file, key="key")
    assert read_result(HeldOutValues, file, key="key").config == made.config
    (made.folder / "values.npz").rename(tmp_path / "away.npz")
    assert load_twin_run(made.folder).values is None
    (tmp_path / "away.npz").rename(made.folder / "values.npz")


def test_what_is_kept_is_compared_at_a_twelfth():
    """A twin that loses half of its quality against a model that loses none: the share and its difference say so."""
    from mrl_viz.training.twins import compare_twins, held_out_task

    data = labelled_data(TEXTS, LABELS)
    rng = np.random.default_rng(0)
    rows = rng.normal(scale=0.3, size=(len(data.texts), 24)).astype(np.float32)
    back = rows.copy()
    for row, label in enumerate(data.labels):
        rows[row, int(label[-1]) % 2] += 3 if int(label[-1]) < 2 else -3
        back[row, 20 + int(label[-1])] += 9
    found = compare_twins(rows, back, held_out_task(data), dims=(4, 8))
    own, plain = found.own_share("matryoshka"), found.own_share("plain")
    assert found.small_dim == 2 and own.value > 0.8 > plain.value
    assert found.share_gain.value == pytest.approx(own.value - plain.value) and found.share_gain.low > 0
    assert "of the size, the Matryoshka model keeps" in found.kept_takeaway()
    assert "the Matryoshka model keeps more" in found.kept_takeaway()
    same = compare_twins(rows, rows, held_out_task(data), dims=(4, 8))
    assert "cannot be told" in same.kept_takeaway()
    with_less = compare_twins(back, rows, held_out_task(data), dims=(4, 8))
    assert "keeps less" in with_less.kept_takeaway()


def test_the_code_repeats_the_overlay(trained, tmp_path, monkeypatch):
    """The code of an overlay, run elsewhere, lays the same runs over each other and draws what the page draws."""
    made, _, data = trained
    other = replace(made.config, weights="boost", alone=(), epochs=2)
    drawn = []
    monkeypatch.setattr(go.Figure, "show", lambda figure: drawn.append(figure.to_json()))
    monkeypatch.chdir(tmp_path)
    folder = str(save_tiny_model(tmp_path / "model"))
    code = overlay_code([replace(config, model=folder) for config in (made.config, other)], "DATA")
    names = {"DATA": data}
    exec(code, names)
    again = train_twins(load_encoder(folder, device="cpu"), data, other, tmp_path / "again")
    expected = lay_over_runs([made.values, again.values])
    assert names["overlay"].gain == expected.gain and list(expected.curves) == [
        "equal weights, 3 epochs", "2, 1, 1 … weights, 2 epochs",
    ]  # fmt: skip
    assert drawn == [figures.overlay_curves(expected).to_json(), figures.overlay_gains(expected).to_json()]


def test_figures_of_runs(trained):
    """Every model has its line with intervals; stars stand where a model surely differs; shares are of full width."""
    base, better = values(0), values(0) + np.array([[0.1], [0], [0]])
    found = lay_over({"even": [base], "log": [better, better]}, DIMS, "Spearman")
    lines = {trace.name: trace for trace in figures.overlay_curves(found).data}
    assert list(lines) == ["even", "log (mean of 2 trainings)"]
    assert list(lines["log (mean of 2 trainings)"].text) == ["*", "", ""] and list(lines["even"].text) == [""] * 3
    np.testing.assert_allclose(lines["even"].y, [one.value for one in found.curves["even"]])
    (gain,) = figures.overlay_gains(found).data
    np.testing.assert_allclose(gain.y - gain.error_y.arrayminus, [one.low for one in found.gain["log"]], atol=1e-12)
    comparison = trained[0].comparison
    with pytest.raises(InvalidInputError, match="no shares of the full width"):
        figures.twin_kept(replace(comparison, shares={}))
    some = tuple(Estimate(0.5, 0.4, 0.6) for _ in comparison.dims)
    kept = figures.twin_kept(replace(comparison, shares={"matryoshka": some, "plain": some}))
    assert [trace.name for trace in kept.data] == ["plain twin", "Matryoshka"] and set(kept.data[0].y) == {0.5}
