"""Few-shot with a long tail: draws, groups, added classes and the twin, against a naive loop."""

import json

import numpy as np
import pytest

from mrl_viz.data.corpus import corpus_from_vectors
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.tasks import classes, evaluation
from mrl_viz.tasks.classes import MOST_CLASSES
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.long_tail import (
    HEAD,
    NOVEL,
    TAIL,
    long_tail,
    long_tail_values,
    tail_columns,
    zipf_shots,
)
from mrl_viz.truncation import normalize

GROUPS = (HEAD, TAIL, NOVEL)


def clusters(n_classes, n_each, noise, dim=12, seed=0):
    """Vectors around the centre of their class, and their classes."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_classes), n_each)
    rows = rng.standard_normal((n_classes, dim))[codes] + noise * rng.standard_normal((len(codes), dim))
    return rows.astype(np.float32), codes


def naive(rows, codes, dims, shots, n_novel, novel_shots, by, n_draws, seed):
    """The same by loops over draws and texts; after and before others were added."""
    rng, n_classes = np.random.default_rng(seed), codes.max() + 1
    n_head = min(3, sum(n > 1 for n in shots))
    found = {when: {group: [[[] for _ in rows] for _ in dims] for group in GROUPS} for when in ("after", "before")}
    for _ in range(n_draws):
        ranks = rng.permutation(n_classes)
        examples = []
        for code in range(n_classes):
            wanted = [*shots, *[novel_shots] * n_novel][ranks[code]]
            members = np.flatnonzero(codes == code)
            examples.append(rng.choice(members, min(wanted, len(members) - 1), replace=False))
        used = {row for each in examples for row in each.tolist()}
        for level, dim in enumerate(dims):
            unit = [row[:dim] / np.linalg.norm(row[:dim]) for row in rows]
            for row, code in enumerate(codes):
                rank = ranks[code]
                if rank >= len(shots):
                    group = NOVEL
                elif rank < n_head:
                    group = HEAD
                elif shots[rank] == 1:
                    group = TAIL
                else:
                    continue
                if row in used:
                    continue
                cosines = []
                for other in range(n_classes):
                    if by == "mean":
                        mean = np.mean([unit[each] for each in examples[other]], axis=0)
                        cosines.append(mean @ unit[row] / np.linalg.norm(mean))
                    else:
                        cosines.append(max(unit[each] @ unit[row] for each in examples[other]))
                found["after"][group][level][row].append(int(np.argmax(cosines)) == code)
                old = [cosine if ranks[other] < len(shots) else -9 for other, cosine in enumerate(cosines)]
                found["before"][group][level][row].append(int(np.argmax(old)) == code)
    return {
        when: {
            group: np.array([[np.mean(each) if each else np.nan for each in level] for level in levels])
            for group, levels in groups.items()
        }
        for when, groups in found.items()
    }


@pytest.mark.parametrize("by", ["mean", "example"])
def test_every_group_is_what_a_loop_over_texts_gives(by):
    """Head, tail and added classes, after and before the addition, at two widths and by either rule."""
    rows, codes = clusters(8, 6, noise=0.9)
    shots = zipf_shots(6, 4)
    assert shots == (4, 2, 1, 1, 1, 1)
    options = {"shots": shots, "n_novel": 2, "novel_shots": 2, "by": by, "n_draws": 5, "seed": 3}
    after, before = long_tail_values(rows, codes, dims=(4, 12), **options)
    expected = naive(rows, codes, (4, 12), **options)
    for group in GROUPS:
        np.testing.assert_allclose(after[group], expected["after"][group], atol=1e-12)
        assert 0 < np.nanmean(after[group]) < 1
    for group in (HEAD, TAIL):
        np.testing.assert_allclose(before[group], expected["before"][group], atol=1e-12)
        assert np.nanmean(before[group]) > np.nanmean(after[group])


def test_examples_fall_as_one_over_the_rank():
    """Rounded, and one at least: by twelve for the largest."""
    assert zipf_shots(10, 12) == (12, 6, 4, 3, 2, 2, 2, 2, 1, 1)


def test_the_tail_is_named_by_one_example():
    """Classes far apart are all named right from one example; equal vectors are named by chance."""
    codes = np.repeat(np.arange(10), 14)
    options = {"dims": (10,), "shots": zipf_shots(10), "n_draws": 30}
    apart = normalize(np.eye(10, dtype=np.float32)[codes] + 0.01)
    assert np.nanmin(long_tail_values(apart, codes, **options)[0][TAIL]) == 1
    noise = np.random.default_rng(0).standard_normal((140, 64)).astype(np.float32)
    assert np.nanmean(long_tail_values(noise, codes, **options | {"dims": (64,)})[0][TAIL]) < 0.3


def labelled(rows, codes, **columns):
    """A corpus of vectors whose classes are called by their number."""
    given = {"class": [f"c{code}" for code in codes], **columns}
    return embed(corpus_from_vectors(rows, labels=given))


def test_the_twin_is_compared_draw_by_draw():
    """The gain is the accuracy minus the twin's by the same draws; equal vectors gain exactly nothing."""
    rows, codes = clusters(10, 12, noise=1.2)
    model, plain = labelled(rows, codes), labelled(rows[:, ::-1].copy(), codes)
    found = long_tail(model, dims=(3,), twin=plain, n_draws=20)
    alone = long_tail(plain, dims=(3,), n_draws=20)
    assert not alone.gain and found.dims == (3, 12) and found.n_novel == 2
    for group in GROUPS:
        for level, gain in enumerate(found.gain[group]):
            values = [each.curves[group].value[level].value for each in (found, alone)]
            assert gain.value == pytest.approx(values[0] - values[1], abs=1e-12) and gain.low <= gain.value <= gain.high
    same = long_tail(model, dims=(3,), twin=model, n_draws=5)
    assert {gain for gains in same.gain.values() for each in gains for gain in (each.low, each.high)} == {0}
    assert "Against its plain twin it is not surely different in any group" in same.takeaway()
    json.dumps(found.to_dict())
    assert len(found.rows()) == 6 and found.rows()[0]["minus twin"] == found.gain[HEAD][0].value
    with pytest.raises(ShapeError, match="give the same texts by a model of the same width"):
        long_tail(model, dims=(3,), twin=labelled(rows[:, :6], codes))


def test_only_pictures_that_the_embedding_has_not_seen_are_used():
    """The digits' embedding was trained on most of them: those held out judge, and a note says so; `split` and
    `parity` are no labels to have a long tail."""
    digits = embed(read_corpus("sample:digits"))
    assert tail_columns(digits.corpus) == ("digit",)
    found = long_tail(digits, dims=(8,), n_draws=40)
    held_out = [side == "held out" for side in digits.corpus.labels["split"]]
    assert found.curves[NOVEL].n_items == sum(held_out) == 539 and found.shots == (8, 4, 3, 2, 2, 1, 1, 1)
    assert "Only the 539 pictures held out from the training of these vectors are used." in found.notes


def test_ten_thousand_classes_are_sampled_and_said():
    """A seeded sample of them, in one sentence; a class of two gives one example whatever its rank."""
    rows, codes = clusters(10_000, 2, noise=0.2, dim=4)
    found = long_tail(labelled(rows, codes), dims=(2,), n_draws=3)
    assert len(found.shots) + found.n_novel == MOST_CLASSES
    assert f"`class`: a seeded sample of {MOST_CLASSES} of 10,000 classes is used, 400 texts." in found.notes
    assert any("its smallest class has 2 texts" in note for note in found.notes)


def test_task_quality_of_very_many_classes_is_sampled_and_said(monkeypatch):
    """Neighbors vote among all of them; what compares with every class takes a seeded sample, in one sentence."""
    for module in (classes, evaluation):
        monkeypatch.setattr(module, "MOST_CLASSES", 10)
    found = evaluate(labelled(*clusters(60, 3, noise=0.2, dim=4)), dims=())
    assert found.curves["1nn_accuracy:class"].n_items == 180
    assert found.curves["1_shot_accuracy:class"].n_items == found.curves["silhouette:class"].n_items == 30
    said = "`class`: classifiers and silhouette are measured on a sample of 10 classes, 30 texts; neighbors on all."
    assert said in found.notes
    assert not any("sample" in note for note in evaluate(labelled(*clusters(10, 3, noise=0.2, dim=4)), dims=()).notes)


def test_too_few_classes_are_one_sentence():
    """Two classes have no tail worth its name; neither has a class of one text each."""
    rows, codes = clusters(2, 5, noise=0.1)
    with pytest.raises(InvalidInputError, match="no label with five classes of two texts each; a long tail needs some"):
        long_tail(labelled(rows, codes), dims=(2,))
    with pytest.raises(InvalidInputError, match="no label `class` with five classes"):
        long_tail(labelled(rows, np.arange(10)), dims=(2,), column="class")
    with pytest.raises(InvalidInputError, match="no label column 'kind'; choose one of"):
        long_tail(labelled(rows, codes), dims=(2,), column="kind")
    with pytest.raises(InvalidInputError, match="has 2 classes, the smallest with 5 members, for 3 ranks"):
        long_tail_values(rows, codes, dims=(2,), shots=(2, 1, 1))
