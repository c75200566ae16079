"""The comparison of twins against naive loops, and what a finished run leaves on disk."""

import json
import os
import resource
from dataclasses import replace

import numpy as np
import pytest

from mrl_viz import figures
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.errors import CancelledError, DataFormatError, InvalidInputError, StoreError
from mrl_viz.measures.estimate import Estimate, columns
from mrl_viz.tasks.robustness import robustness
from mrl_viz.training.card import repeat_code
from mrl_viz.training.config import TrainingConfig
from mrl_viz.training.data import labelled_data, paired_data
from mrl_viz.training.twins import (
    TwinComparison,
    compare_twins,
    held_out_task,
    load_twin_run,
    plain_twin_of,
    train_twins,
)
from tests.tiny_model import save_tiny_model, tiny_texts

TEXTS, LABELS = tiny_texts()
CONFIG = TrainingConfig(model="tiny", dims=(2, 4), epochs=3, batch_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def model(folder):
    return load_encoder(str(folder), device="cpu")


@pytest.fixture(scope="module")
def data():
    return labelled_data(TEXTS, LABELS)


@pytest.fixture(scope="module")
def finished(model, data, tmp_path_factory):
    """One finished run and the epochs it reported."""
    seen = []
    return train_twins(model, data, CONFIG, tmp_path_factory.mktemp("runs") / "run", progress=seen.append), seen


def score(task, rows, dims):
    """Quality of every held-out item at every width."""
    return task.measure(rows, rows, dims)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("split", ["texts", "classes"])
def test_knn_accuracy_is_that_of_a_naive_vote(split):
    """The five nearest known texts vote, ties go to the first class; a text never votes for itself."""
    data = labelled_data(TEXTS, LABELS, split=split)
    rows = np.random.default_rng(0).normal(size=(len(data.texts), 8)).astype(np.float32)
    task = held_out_task(data)
    held_out = [row for (row,) in data.held_out]
    known = held_out if split == "classes" else [row for (row,) in data.train]
    assert compare_twins(rows, rows, task, dims=(3,)).measure == "kNN accuracy"
    for dim, got in zip((3, 8), score(task, rows, (3, 8))):
        cosines = unit(rows[:, :dim].astype(np.float64)) @ unit(rows[:, :dim].astype(np.float64)).T
        for row, value in zip(held_out, got):
            near = sorted((other for other in known if other != row), key=lambda other: -cosines[row, other])[:5]
            votes = [data.labels[other] for other in near]
            winner = min(set(votes), key=lambda label: (-votes.count(label), label))
            assert value == (winner == data.labels[row])


def test_ndcg_is_that_of_a_naive_ranking():
    """Each held-out anchor looks for its positive among all held-out ones: 1 / log2(1 + rank) within the first ten."""
    data = paired_data(TEXTS[0::2], TEXTS[1::2], held_out_share=0.6)
    rows = np.random.default_rng(0).normal(size=(len(data.texts), 8)).astype(np.float32)
    task = held_out_task(data)
    assert compare_twins(rows, rows, task, dims=(2,)).measure == "nDCG@10"
    documents = [right for _, right in data.held_out]
    for dim, got in zip((2, 8), score(task, rows, (2, 8))):
        cosines = unit(rows[:, :dim].astype(np.float64)) @ unit(rows[:, :dim].astype(np.float64)).T
        for (left, right), value in zip(data.held_out, got):
            rank = sorted(documents, key=lambda other: -cosines[left, other]).index(right) + 1
            assert value == pytest.approx(1 / np.log2(1 + rank) if rank <= 10 else 0, abs=1e-6)


def test_twins_that_are_equal_differ_nowhere(data):
    """Gain 0 with an interval of 0, p = 1 at every width, and no classic picture."""
    rows = np.random.default_rng(0).normal(size=(len(data.texts), 24)).astype(np.float32)
    same = compare_twins(rows, rows, held_out_task(data), dims=(4, 8))
    assert same.dims == (2, 4, 8, 24) and same.small_dim == 2
    assert set(same.gain) == {Estimate(0.0, 0.0, 0.0)} and set(same.p_holm) == {1.0}
    assert not same.is_classic and "does not show here" in same.takeaway()
    assert set(same.verdicts()) == {"equal"} and "cannot be told" in same.gain_takeaway()


def signals(data, first, seed=0):
    """Vectors that name their class in four coordinates from `first` on, and are noise elsewhere."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(scale=0.5, size=(len(data.texts), 32)).astype(np.float32)
    for row, label in enumerate(data.labels):
        rows[row, first + int(label[-1])] += 3
    return rows


def test_the_classic_picture_is_found_where_it_is_and_only_there(data):
    """Classes in front against classes at the end: classic; the other way round: the twin is better, and said so."""
    task = held_out_task(data)
    front, end = signals(data, 0), signals(data, 28)
    classic = compare_twins(front, end, task, dims=(4, 8, 16), before=end)
    assert classic.is_classic and "The classic picture shows:" in classic.takeaway()
    assert classic.verdicts()[classic.dims.index(4)] == "better" and classic.verdicts()[-1] == "equal"
    assert "is better at" in classic.gain_takeaway()
    expected = score(task, front, (4,)).mean() - score(task, end, (4,)).mean()
    assert classic.gain[classic.dims.index(4)].value == pytest.approx(expected)
    opposite = compare_twins(end, front, task, dims=(4, 8, 16))
    assert (
        not opposite.is_classic
        and "the plain twin is better" in opposite.takeaway()
        and "worse at" in opposite.gain_takeaway()
    )
    lost = compare_twins(np.hstack([front[:, :16], end[::-1, :16] * 9]), end, task, dims=(4, 8, 16))
    assert not lost.is_classic and "shows only in part" in lost.takeaway()


def test_a_comparison_survives_json(finished):
    """What a run measured comes back equal from its file, with a record per width."""
    run, _ = finished
    comparison = run.comparison
    assert TwinComparison.from_dict(json.loads(json.dumps(comparison.to_dict()))) == comparison
    assert load_twin_run(run.folder) == run
    assert [row["dim"] for row in comparison.rows()] == [1, 2, 4, 16]


def test_a_finished_run_leaves_two_models_and_no_checkpoints(finished):
    """Each epoch of both runs was reported; the folder has two models with cards, and the comparison."""
    run, seen = finished
    assert [(epoch.run, epoch.epoch) for epoch in seen] == [
        (name, n) for name in ("matryoshka", "plain") for n in (1, 2, 3)
    ]
    assert seen[0].dims == (2, 4, 16) and seen[-1].dims == (16,)
    assert sorted(os.listdir(run.folder)) == ["comparison.json", "matryoshka", "plain", "values.npz"]
    card = (run.model_folder() / "README.md").read_text()
    for row in run.comparison.rows():
        assert f"| {row['dim']} | {row['matryoshka']:.3f} | {row['plain']:.3f} |" in card
    config = json.loads((run.model_folder() / "config_sentence_transformers.json").read_text())
    assert config["matryoshka_dims"] == [2, 4, 16]
    assert load_encoder(str(run.model_folder())).matryoshka_dims == (2, 4, 16)


def test_the_plain_twin_is_found_and_compared_with(finished, tmp_path):
    """Beside a finished Matryoshka model lies its twin, which changed texts are measured by as well; no other model has
    one."""
    run, _ = finished
    twin = plain_twin_of(str(run.model_folder()))
    assert twin == str(run.model_folder("plain"))
    assert plain_twin_of(twin) is plain_twin_of("wordllama") is plain_twin_of(str(tmp_path / "matryoshka")) is None
    models = [load_encoder(folder, device="cpu") for folder in (str(run.model_folder()), twin)]
    nested, plain = (embed(TEXTS, one) for one in models)
    found = robustness(nested, "typos", dims=(2,), twin=plain, n_draws=1)
    assert list(found.models) == [str(run.model_folder()), twin] and len(found.found_gain) == 2


def test_what_was_saved_is_what_was_measured(finished, data):
    """The model loaded from its folder gives the accuracies on the card at every width."""
    run, _ = finished
    task = held_out_task(data)
    for name in ("matryoshka", "plain"):
        rows = load_encoder(str(run.model_folder(name)), device="cpu").encode(data.texts)
        found = [estimate.value for estimate in run.comparison.curves[name]]
        np.testing.assert_allclose(score(task, rows, run.comparison.dims).mean(axis=1), found)


def test_the_code_repeats_the_run(finished, folder, tmp_path, monkeypatch):
    """The code on the card, run elsewhere, gives the same comparison."""
    run, _ = finished
    monkeypatch.chdir(tmp_path)
    code = repeat_code(replace(run.config, model=str(folder)), "labelled_data(TEXTS, LABELS)").rsplit("\n", 1)[0]
    names = {"TEXTS": TEXTS, "LABELS": LABELS, "labelled_data": labelled_data}
    exec(code, names)
    assert names["run"].comparison == run.comparison
    assert (tmp_path / "my-model" / "matryoshka").is_dir()


def test_a_stopped_pair_goes_on(finished, model, data, tmp_path):
    """Stopped while the twin trains and called again: the first model is not trained twice, the result is the same."""
    run, _ = finished
    seen = []
    with pytest.raises(CancelledError, match="of the plain model"):
        train_twins(model, data, CONFIG, tmp_path, progress=seen.append, cancelled=lambda: len(seen) == 4)
    resumed = train_twins(model, data, CONFIG, tmp_path, progress=seen.append)
    assert [epoch.run for epoch in seen].count("matryoshka") == 3
    assert resumed.comparison == run.comparison


def test_a_full_disk_loses_nothing(finished, model, data, tmp_path):
    """Where the models do not fit, both checkpoints stay; with space again the run ends without training."""
    run, _ = finished
    (tmp_path / "matryoshka").write_text("")  # in the way, so that both models are trained and none is saved
    with pytest.raises(StoreError, match="holds other files; choose a new folder"):
        train_twins(model, data, CONFIG, tmp_path)
    (tmp_path / "matryoshka").unlink()
    checkpoints = {"matryoshka.checkpoint.safetensors", "plain.checkpoint.safetensors"}
    assert set(os.listdir(tmp_path)) == checkpoints
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, hard))  # the smallest model has 1,688 bytes of weights
    seen = []
    try:
        with pytest.raises(
            StoreError, match=r"cannot be written .*free some space or choose another folder, then resume"
        ):
            train_twins(model, data, CONFIG, tmp_path, progress=seen.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert set(os.listdir(tmp_path)) == checkpoints
    assert train_twins(model, data, CONFIG, tmp_path, progress=seen.append).comparison == run.comparison
    assert seen == [] and not checkpoints & set(os.listdir(tmp_path))


def test_folders_that_hold_something_else_are_refused(finished, model, data, tmp_path):
    """No foreign folder is replaced; no result is made up."""
    (tmp_path / "matryoshka").mkdir()
    (tmp_path / "matryoshka" / "precious.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds other files; choose a new folder"):
        train_twins(model, data, CONFIG, tmp_path)
    assert (tmp_path / "matryoshka" / "precious.txt").read_text() == "mine"
    with pytest.raises(DataFormatError, match="holds no finished training"):
        load_twin_run(tmp_path)
    (tmp_path / "comparison.json").write_text('{"config": {}}')
    with pytest.raises(DataFormatError, match="holds no finished training"):
        load_twin_run(tmp_path)


def test_figures_show_every_width_and_interval(finished):
    """Losses: a line a width and the twin; curves: three models with intervals; both say where 8.3 % is."""
    run, seen = finished
    losses = figures.training_losses(seen)
    assert [trace.name for trace in losses.data] == ["2 dims", "4 dims", "16 dims", "plain twin, 16 dims"]
    np.testing.assert_allclose(losses.data[0].y, [epoch.losses[0] for epoch in seen[:3]])
    curves = {trace.name: trace for trace in figures.twin_curves(run.comparison).data}
    value, _, high = columns(run.comparison.curves["matryoshka"])
    np.testing.assert_allclose(curves["Matryoshka"].y, value)
    np.testing.assert_allclose(curves["Matryoshka"].y + curves["Matryoshka"].error_y.array, high)
    assert set(curves) == {"Matryoshka", "plain twin", "before training"}
    (gain,) = figures.twin_gain(run.comparison).data
    stars = ["" if verdict == "equal" else "*" for verdict in run.comparison.verdicts()]
    assert list(gain.text) == list(curves["Matryoshka"].text) == stars and not any(curves["plain twin"].text)
    np.testing.assert_allclose(gain.y - gain.error_y.arrayminus, columns(run.comparison.gain)[1], atol=1e-12)
    assert [note.text for note in figures.twin_curves(run.comparison).layout.annotations] == ["6.2% of the size"]
    with pytest.raises(InvalidInputError, match="`epochs` is empty"):
        figures.training_losses([])
