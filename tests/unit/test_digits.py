"""The digits are scikit-learn's, their embeddings what our heads learn today, and the rows held out are marked."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import DataFormatError
from mrl_viz.measures.lists import knn_correct, shared_share
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.task import class_tasks
from mrl_viz.truncation import normalize

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "make_digits.py"
WORDS = ("sample:digits", "sample:digits-plain", "sample:digits-pixels")


@pytest.fixture(scope="module")
def corpora():
    """The digits with each of their vectors."""
    return {word: read_corpus(word) for word in WORDS}


def test_digits_are_scikit_learns(corpora):
    """Pictures, pixels and digits are those that scikit-learn ships, in its order; two labels and the split beside."""
    given = load_digits()
    for word, corpus in corpora.items():
        assert (corpus.name, corpus.n_items, corpus.check.n_duplicates) == (word, 1797, 0)
        np.testing.assert_array_equal(corpus.images, np.round(given.images * 255 / 16))
        assert corpus.labels["digit"] == tuple(map(str, given.target))
        assert corpus.labels["parity"] == tuple("odd" if digit % 2 else "even" for digit in given.target)
        assert corpus.labels["split"].count("held out") == pytest.approx(0.3 * 1797, abs=10)
        assert corpus.texts[12] == f"digit {given.target[12]}, picture 12"
        assert len({corpus.texts for corpus in corpora.values()}) == 1
    np.testing.assert_array_equal(corpora["sample:digits-pixels"].embeddings, given.data)
    assert len({corpus.fingerprint for corpus in corpora.values()}) == 3


def test_digits_know_how_they_were_trained(corpora):
    """Trained widths and a note on the rows trained on come with the embeddings, and with what is judged by labels."""
    assert [embed(corpora[word]).matryoshka_dims for word in WORDS] == [(2, 4, 8, 16, 32, 64), (64,), None]
    notes = [" ".join(corpora[word].check.notes) for word in WORDS]
    assert all("trained on 1,25" in note and "label `split`" in note for note in notes[:2]) and not notes[2]
    quality = evaluate(embed(corpora["sample:digits"]), dims=[8], task="classification")
    assert any("which flatters it" in note for note in quality.notes)


def test_digits_under_a_limit_or_with_one_label():
    """Pictures stay beside their rows; one label column can be chosen, another one is refused."""
    few = read_corpus("sample:digits", limit=5, label_column="parity")
    assert few.images.shape == (5, 8, 8) and dict(few.labels) == {"parity": ("even", "odd", "even", "odd", "even")}
    with pytest.raises(
        DataFormatError, match="`sample:digits` has no label 'size'; choose one of digit, parity, split"
    ):
        read_corpus("sample:digits", label_column="size")


def test_shipped_embeddings_are_what_the_heads_learn(corpora):
    """Training again gives the shipped vectors, up to their half precision and the machine's arithmetic."""
    spec = importlib.util.spec_from_file_location("make_digits", SCRIPT)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    pixels = corpora["sample:digits-pixels"].embeddings
    shipped = load_file(maker.FILE)
    for name, word, dims in (("mrl", WORDS[0], maker.TRAINED_DIMS), ("plain", WORDS[1], maker.TRAINED_DIMS[-1:])):
        heads = maker.trained(dims)
        np.testing.assert_array_equal(heads.held_out, shipped["held_out"])
        cosines = (normalize(heads.embed(pixels)) * normalize(corpora[word].embeddings)).sum(axis=1)
        assert cosines.min() > 0.99, name
    is_held_out = [value == "held out" for value in corpora[WORDS[0]].labels["split"]]
    np.testing.assert_array_equal(np.flatnonzero(is_held_out), np.sort(shipped["held_out"]))


def test_a_matryoshka_embedding_keeps_more_of_itself_in_few_dims(corpora):
    """Few coordinates keep more of the Matryoshka embedding's neighbors than of its twin's and of the pixels'; held-out
    digits are recognised from 4 of them better than from the twin's; at 8 the twin, of ten classes, has caught up."""
    right, kept = {}, {}
    for word, corpus in corpora.items():
        sweep = nested_sweep(corpus.embeddings, dims=[4, 8, 64], k=10)
        codes = np.array([int(digit) for digit in corpus.labels["digit"]])
        held_out = np.array([value == "held out" for value in corpus.labels["split"]])
        right[word] = knn_correct(sweep.indices[:, :, :5], codes, codes)[:, held_out].mean(axis=1)
        kept[word] = shared_share(sweep.indices, sweep.indices[-1]).mean(axis=1)
    mrl, plain, pixels = WORDS
    for level in (0, 1):
        assert kept[mrl][level] > kept[plain][level] + 0.1 and kept[plain][level] > kept[pixels][level] + 0.2
    assert kept[mrl][1] == pytest.approx(0.834, abs=0.01) and kept[plain][1] == pytest.approx(0.605, abs=0.01)
    assert kept[pixels][1] == pytest.approx(0.073, abs=0.005)
    assert right[mrl][0] > right[plain][0] + 0.05 > right[pixels][0] + 0.5
    assert right[mrl][1] == pytest.approx(right[plain][1], abs=0.01)


def test_the_split_is_no_class_to_name(corpora):
    """Task quality names digits and parity; why not the split is said, and it can be asked for by its name."""
    tasks = class_tasks(corpora["sample:digits"])
    assert [task.metric for task in tasks] == ["knn_accuracy:digit", "knn_accuracy:parity"]
    said = "`split` says what pictures were used for in training, which is no class to name."
    assert said in tasks[0].notes
    assert class_tasks(corpora["sample:digits"], "split")[0].metric == "knn_accuracy:split"
    alone = replace(corpora["sample:digits"], labels={"split": corpora["sample:digits"].labels["split"]})
    assert [task.metric for task in class_tasks(alone)] == ["knn_accuracy:split"]


def test_digits_need_scikit_learns_file(monkeypatch):
    """Where scikit-learn has the digits elsewhere, one sentence says what to install."""
    monkeypatch.setattr("mrl_viz.data.digits.find_spec", lambda name: None)
    with pytest.raises(DataFormatError, match=r"`digits\.csv\.gz` is not where scikit-learn has it; install"):
        read_corpus("sample:digits")
