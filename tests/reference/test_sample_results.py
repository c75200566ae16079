"""The answers that come with the sample are what the library measures today."""

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrl_viz.adaptor.adaptor import one_thread
from mrl_viz.adaptor.report import AdaptorFit
from mrl_viz.archive import read_result
from mrl_viz.comparison import ModelComparison, PrecisionComparison
from mrl_viz.decide import Candidates, CorpusSizeEffect
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.heads.adaptive import NESTED, AdaptiveClassification
from mrl_viz.heads.cascade import PAPERS_RULE, ExitRule
from mrl_viz.projection import WidthMaps, procrustes_disparity, umap_maps
from mrl_viz.tasks.evaluation import Quality
from mrl_viz.tasks.long_tail import LongTail
from mrl_viz.tasks.robustness import Robustness
from mrl_viz.training.data import training_data
from mrl_viz.training.loop import EpochLosses, train_contrastive, trainable
from mrl_viz.training.overlay import HeldOutValues, lay_over_runs
from mrl_viz.training.twins import TwinRun, held_out_task
from mrl_viz.ui.shipped import FOLDER, answer_key

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "make_sample_results.py"
KINDS = {
    "comparison": ModelComparison, "quality_retrieval": Quality, "quality_classification": Quality,
    "long_tail": LongTail, "robustness_typos": Robustness,
    "plans": Candidates, "precision": PrecisionComparison, "adaptive": tuple[AdaptiveClassification, ...],
    "adaptive_digits": tuple[AdaptiveClassification, ...],
    "adaptor": AdaptorFit, "corpus_size": CorpusSizeEffect, "umap": WidthMaps,
    "training_choices": tuple[HeldOutValues, ...],
}  # fmt: skip
# Of the machine and its moment.
TIMES = ("seconds", "texts_per_second", "embed_seconds", "latency", "p50_ms", "p95_ms", "expected_ms")


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_sample_results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def visitor(maker):
    """What a first visitor has: the sample's vectors and widths."""
    return maker.sample()


def answer(maker, visitor, name, **given):
    """A shipped answer, as its page asks for it."""
    vectors, dims = visitor
    found = read_result(
        KINDS[name], FOLDER / f"{name}.npz", key=answer_key(vectors, *maker.ANSWERS[name][1](dims)), **given
    )
    assert found is not None, f"{name}.npz is of something else: run benchmarks/make_sample_results.py"
    return found


def assert_alike(found, expected, tolerance, path=""):
    """The same names, words and, within the tolerance, numbers; times may differ."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for name in expected:
            if name not in TIMES:
                assert_alike(found[name], expected[name], tolerance, f"{path}.{name}")
    elif isinstance(expected, (tuple, list)):
        assert len(found) == len(expected), path
        for place, (one, other) in enumerate(zip(found, expected)):
            assert_alike(one, other, tolerance, f"{path}[{place}]")
    elif isinstance(expected, float) and not isinstance(found, str) and found is not None:
        assert math.isclose(found, expected, abs_tol=tolerance) or (math.isnan(found) and math.isnan(expected)), (
            f"{path}: {found} was shipped, {expected} is measured"
        )
    elif "takeaway" not in path:
        assert found == expected, path


@pytest.mark.parametrize(
    "name",
    [
        "quality_retrieval", "quality_classification", "long_tail", "robustness_typos", "corpus_size", "precision",
    ],
)  # fmt: skip
def test_what_labels_and_parts_say(maker, visitor, name):
    """Task quality, few examples, changed texts and the effect of the corpus size, measured again."""
    again = maker.ANSWERS[name][0](*visitor)
    assert_alike(answer(maker, visitor, name).to_dict(), again.to_dict(), 0.01)


def test_the_comparison_of_both_models(maker, visitor, monkeypatch):
    """Both models from their shipped vectors, compared again; speeds are of the machine."""
    monkeypatch.setattr(maker, "encode_speed", lambda *_: 1.0)
    monkeypatch.setattr(maker, "load_encoder", lambda name: type("Model", (), {"encode": None}))
    again = maker.comparison(*visitor)
    shipped = answer(maker, visitor, "comparison", embedded=again.embedded)
    assert_alike(shipped.to_dict(), again.to_dict(), 0.01)
    assert all(model.texts_per_second > 1 for model in shipped.models)
    assert shipped.models[0].texts_per_second > 20 * shipped.models[1].texts_per_second


def test_the_plans_that_a_dimension_is_chosen_from(maker, visitor, monkeypatch):
    """Every plan's quality for every query again, with fewer timed searches; times are of the machine."""
    timed = maker.measure_candidates
    monkeypatch.setattr(maker, "measure_candidates", lambda *given, **named: timed(*given, **named, n_runs=2))
    again, shipped = maker.plans(*visitor), answer(maker, visitor, "plans")
    assert shipped.plans == again.plans
    exact = [row for row, plan in enumerate(again.plans) if plan.kind == "exact"]
    np.testing.assert_allclose(shipped.values[exact], again.values[exact], atol=0.11)
    assert np.abs(shipped.values - again.values).mean() < 0.005
    assert all(candidate.latency.p95_ms > 0 for candidate in shipped.candidates)


def assert_same_heads(shipped, again):
    """Heads and cascades agree; the shipped ones leave their weights out."""
    assert [one.label for one in shipped] == [one.label for one in again]
    for one, other in zip(shipped, again):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.targets, other.targets)
        for kind, heads in other.heads.items():
            assert_alike([e.value for e in one.heads[kind].accuracy], [e.value for e in heads.accuracy], 0.02)
            assert one.heads[kind].weights == ()
        for kind in NESTED:
            assert np.mean(one.held_out[kind].predicted == other.held_out[kind].predicted) > 0.97
            assert np.mean(one.folded[kind].correct == other.folded[kind].correct) > 0.97
            for rule in (ExitRule(), PAPERS_RULE):
                cascade, again_found = one.cascade(rule, kind), other.cascade(rule, kind)
                assert cascade.accuracy.value == pytest.approx(again_found.accuracy.value, abs=0.02)
                assert cascade.expected_dim.value == pytest.approx(again_found.expected_dim.value, rel=0.15)


def test_the_heads_of_the_adaptive_classification(maker, visitor):
    """Every label's heads and cascades, trained again; those of the digits are what claims are measured with."""
    with one_thread():
        again = maker.adaptive(*visitor)
    shipped = answer(maker, visitor, "adaptive")
    assert [one.label for one in shipped] == ["domain", "topic"]
    assert_same_heads(shipped, again)


def test_the_adaptor_is_what_fitting_gives(maker, visitor):
    """What is measured of the shipped map is measured of one that is fitted again."""
    with one_thread():
        again = maker.adaptor(*visitor)
    shipped = answer(maker, visitor, "adaptor")
    assert shipped.verdicts() == again.verdicts()
    for one, other in zip(shipped.qualities, again.qualities):
        assert_alike([e.value for e in one.overlap], [e.value for e in other.overlap], 0.01)
    rows = visitor[0].matrix[:50]
    np.testing.assert_allclose(shipped.adaptor.apply(rows), again.adaptor.apply(rows), atol=0.05)


def test_the_checks_of_a_deployed_plan(maker):
    """Every week's check again: what asked, what was embedded with a prompt, and how far the canaries moved."""
    shipped = json.loads((FOLDER / maker.EXAMPLE).read_text(encoding="utf-8"))
    again = json.loads(json.dumps(maker.monitoring()))
    for check in (*shipped.values(), *again.values()):
        assert len(check.pop("fingerprint")) == 16  # of vectors, which another processor rounds otherwise
    assert_alike(shipped, again, 0.01)


def test_the_umap_maps(maker, visitor):
    """The full width's map, which the others start from, drawn again: the same up to what another seed would move."""
    shipped = answer(maker, visitor, "umap")
    again = umap_maps(visitor[0].matrix, (128, 256), k=maker.K, seed=0)
    assert shipped.dims == visitor[1] and shipped.positions.shape == (6, 1280, 2)
    assert procrustes_disparity(shipped.positions[-1], again.positions[-1]) < 0.5 * shipped.seed_disparity
    assert shipped.trustworthiness[-1] == pytest.approx(again.trustworthiness[-1], abs=0.02)


def test_the_trained_twins(maker, visitor):
    """Training both models again gives the shipped curves and losses, and the classic picture: small widths surely
    gain, full width does not lose."""
    run, losses = maker.training(visitor[0], {"alone": (8,)})
    key = answer_key(visitor[0])
    shipped = read_result(TwinRun, FOLDER / "training.npz", key=key, folder=Path(), training={})
    epochs = read_result(tuple[EpochLosses, ...], FOLDER / "training_losses.npz", key=key)
    assert shipped.values.alone_dims == (8, 16, 21, 32, 64, 128)
    np.testing.assert_allclose(
        shipped.values.values["alone"][0].mean(), run.values.values["alone"][0].mean(), atol=0.03
    )
    epochs = [epoch for epoch in epochs if epoch.run != "alone" or epoch.dims == (8,)]
    assert replace(shipped.config, alone=()) == replace(run.config, alone=()) and shipped.data == run.data
    assert shipped.comparison.verdicts() == run.comparison.verdicts()
    for name, curve in run.comparison.curves.items():
        assert_alike([e.value for e in shipped.comparison.curves[name]], [e.value for e in curve], 0.03)
    assert [(epoch.run, epoch.epoch) for epoch in epochs] == [(epoch.run, epoch.epoch) for epoch in losses]
    np.testing.assert_allclose([e.losses[-1] for e in epochs], [e.losses[-1] for e in losses], rtol=0.1)
    comparison = run.comparison
    assert comparison.is_classic and comparison.small_dim == 21
    assert comparison.gain[comparison.dims.index(21)].low > 0


def test_the_trained_choices(maker, visitor):
    """Each is judged on what the run that they are laid over was judged on; one of them, trained again, is the same."""
    key = answer_key(visitor[0])
    shipped = answer(maker, visitor, "training_choices")
    first = read_result(TwinRun, FOLDER / "training.npz", key=key, folder=Path(), training={})
    assert {one.judged for one in shipped} == {first.values.judged}
    assert [one.config for one in shipped] == [replace(first.config, alone=(), **choice) for choice in maker.CHOICES]
    overlay = lay_over_runs([first.values, *shipped])
    assert "worse" in overlay.verdicts("widths 32 64 128 256")[:2]
    again = train_contrastive(load_encoder("wordllama"), training_data(visitor[0].corpus), shipped[-1].config)
    model = replace(trainable(load_encoder("wordllama")), model=again.model, pre_truncation="none")
    rows = model.encode(training_data(visitor[0].corpus).texts)
    found = held_out_task(training_data(visitor[0].corpus)).measure(rows, rows, overlay.dims)
    assert_alike(shipped[-1].at(overlay.dims).mean(axis=1).tolist(), found.mean(axis=1).tolist(), 0.03)


def test_the_trained_scores(maker):
    """The pairs in several languages: both models trained again agree with the scores as the shipped ones do."""
    vectors, _ = maker.languages()
    key = answer_key(vectors)
    shipped = read_result(TwinRun, FOLDER / "training_languages.npz", key=key, folder=Path(), training={})
    run, _ = maker.training(vectors, {})
    assert shipped.data == run.data and shipped.comparison.measure == "Spearman"
    assert shipped.values.alone_dims == (8, 16, 21, 32, 64, 128)
    for name, curve in run.comparison.curves.items():
        assert_alike([e.value for e in shipped.comparison.curves[name]], [e.value for e in curve], 0.03)
