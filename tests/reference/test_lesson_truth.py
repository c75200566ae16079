"""What a lesson's questions are judged by is measured, and is what a naive count gives."""

import numpy as np
import pytest
from scipy.stats import binomtest, spearmanr

from mrl_viz.comparison.precision import compare_precisions
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import DimensionError, InvalidInputError
from mrl_viz.lessons.lesson import SHIPPED, Step, read_lesson
from mrl_viz.lessons.truth import promise, truth_of

LANGUAGES = ("English", "German", "Spanish", "Japanese")
OF_LANGUAGES = ("least_agreement_kept", "translations_kept")


@pytest.fixture(scope="module")
def vectors():
    """The sample's texts as both models see them, without its queries."""
    return {model: embed(read_corpus("sample"), model, queries=()) for model in ("wordllama", "all-MiniLM-L6-v2")}


@pytest.fixture(scope="module")
def precisions(vectors):
    """What every code keeps of the first model's neighbors, at the widths that the lessons name."""
    return compare_precisions(vectors["wordllama"], dims=(8, 16, 32, 64, 128, 256))


@pytest.fixture(scope="module")
def pairs():
    """Sentence pairs in four languages as the first model sees them."""
    return {"wordllama": embed(read_corpus("sample:languages"))}


def asked(measure, options=(), **numbers):
    """A step with that truth."""
    return Step("vote", "A guess", "How many?", options=options, truth=(measure, tuple(sorted(numbers.items()))))


def nearest(rows, dim, k):
    """The k nearest other rows of each at a width, by a full sort."""
    cut = rows[:, :dim].astype(np.float64)
    cut /= np.linalg.norm(cut, axis=1)[:, None]
    cosines = cut @ cut.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-np.round(cosines, 7), axis=1, kind="stable")[:, :k]


def shared(one, other):
    return np.mean([len(set(a) & set(b)) for a, b in zip(one, other)])


def test_numbers_are_those_of_sorting_all_cosines(vectors):
    """Neighbors kept, first results changed, and what a shortlist finds; each within its own interval."""
    rows = vectors["wordllama"].matrix
    full, narrow = nearest(rows, 256, 10), nearest(rows, 64, 10)
    kept = truth_of(asked("neighbors_kept", dim=64, k=10), vectors)
    assert kept.value == pytest.approx(shared(full, narrow), abs=0.01)
    assert kept.low < kept.value < kept.high and kept.chance == pytest.approx(100 / 1279)
    assert f"{kept.value:.1f} are still among the 10 nearest at 64" in kept.takeaway()
    changed = truth_of(asked("top_results_changed", dim=128), vectors)
    first = [nearest(rows, dim, 1)[:, 0] for dim in (128, 256)]
    assert changed.value == pytest.approx(100 * np.mean(first[0] != first[1]), abs=0.2)
    found = truth_of(asked("shortlist_finds", dim=64, size=50, k=10), vectors)
    assert found.value == pytest.approx(shared(full, nearest(rows, 64, 50)), abs=0.01)
    assert found.value > kept.value and f"{kept.value:.1f} of the true 10" in found.takeaway()


def test_training_is_told_from_redundancy(vectors):
    """WordLlama was trained for its prefixes and MiniLM was not; whichever comes first, the option follows."""
    options = ("first", "second", "both", "neither")
    step = asked("trained_for_it", options, dim=128)
    assert truth_of(step, vectors).value == "first"
    assert truth_of(step, dict(reversed(vectors.items()))).value == "second"
    with pytest.raises(InvalidInputError, match="there are 1 models and 4 options"):
        truth_of(step, {"wordllama": vectors["wordllama"]})


def test_a_promise_is_the_exact_bound():
    """38 of 40 promise what the Clopper-Pearson interval's lower end is, and ten times as many promise more."""
    said = truth_of(asked("promise", share=0.95, n=40), {})
    exact = binomtest(38, 40).proportion_ci(0.90, "exact").low
    assert said.value == pytest.approx(100 * exact) and 85 < said.value < 87
    assert "ten times as many queries would promise 93 %" in said.takeaway()
    many = promise(0.95, 40)
    for size, low in zip(many.sizes, many.lows):
        assert low == pytest.approx(100 * binomtest(round(0.95 * size), size).proportion_ci(0.90, "exact").low)
    assert many.sizes[0] == 20 and many.takeaway() == said.takeaway() and promise(0.001, 40).lows[1] == 0


def test_what_languages_keep_is_what_naive_counts_give(vectors, pairs):
    """The least share of Spearman that a language keeps, and the translations found at a width as a share of those at
    full width; where no languages are told apart, a sentence."""
    (embedded,) = pairs.values()
    corpus, rows = embedded.corpus, embedded.matrix.astype(np.float64)
    texts = {language: np.flatnonzero(np.array(corpus.labels["language"]) == language) for language in LANGUAGES}

    def cosines(one, other, dim):
        one, other = (side[:, :dim] / np.linalg.norm(side[:, :dim], axis=1)[:, None] for side in (one, other))
        return one @ other.T

    def agreement(language, dim):
        left, right, scores = (np.array(side) for side in zip(*(p for p in corpus.pairs if p[0] in texts[language])))
        return spearmanr(np.diag(cosines(rows[left], rows[right], dim)), scores)[0]

    least = min(100 * agreement(language, 16) / agreement(language, 256) for language in LANGUAGES)
    truth = truth_of(asked("least_agreement_kept", dim=16), pairs)
    assert truth.value == pytest.approx(least, abs=0.5) and truth.low < truth.value < truth.high
    # Sentences stand in one order in every language, two of a pair side by side.
    scores = [score for left, _, score in corpus.pairs if left in texts["English"]]
    same = [{row, row ^ 1} if scores[row // 2] == 5 else {row} for row in range(320)]

    def found(dim):
        first = [cosines(rows[texts["English"]], rows[texts[other]], dim).argmax(axis=1) for other in LANGUAGES[1:]]
        return np.mean([[hit in same[row] for row, hit in enumerate(hits)] for hits in first])

    truth = truth_of(asked("translations_kept", dim=64), pairs)
    assert truth.value == pytest.approx(100 * found(64) / found(256), abs=0.5) and truth.low < truth.value < truth.high
    for name in ("least_agreement_kept", "translations_kept"):
        with pytest.raises(InvalidInputError, match="or take `sample:languages`"):
            truth_of(asked(name, dim=64), vectors)


def test_every_question_of_the_shipped_lessons_has_a_truth_that_is_a_possible_answer(vectors, precisions, pairs):
    """On the sample, or that with languages where a question is about them, for the twins too; a right answer can be
    given on the slider or is an option, and what is called wrong is."""
    asked_of = [
        step for path in SHIPPED.values() for step in read_lesson(path).worded(full_dim=256, n_items=1280).steps
        if step.kind == "vote"
    ]  # fmt: skip
    assert all(step.twin for step in asked_of) and not any("{" in step.question for step in asked_of)
    seen = set()
    for first in asked_of:
        for step in (first, first.again()):
            if step.question in seen:
                continue
            seen.add(step.question)
            data = pairs if step.truth[0] in OF_LANGUAGES else vectors
            truth = truth_of(step, data, precisions=precisions)
            answers = step.options or np.arange(step.range[0], step.range[1] + step.range[2] / 2, step.range[2])
            assert any(step.is_right(answer, truth.value) for answer in answers), (step.title, truth)
            for answer, _ in step.wrong if step is first else ():
                assert not step.is_right(answer if step.options else float(answer), truth.value), (step.title, truth)


def test_what_cannot_be_measured_is_said(vectors, precisions):
    """A width the model does not have, an option that does not fit, a step without a truth: one sentence."""
    with pytest.raises(DimensionError):
        truth_of(asked("neighbors_kept", dim=1000, k=10), vectors)
    with pytest.raises(InvalidInputError, match="has no `truth` to measure"):
        truth_of(Step("join", "Come in"), vectors)
    with pytest.raises(InvalidInputError, match="'900 dims int8', which was not measured"):
        truth_of(asked("best_in_bytes", ("900 dims int8", "64 dims int8"), n_bytes=64), vectors, precisions=precisions)
