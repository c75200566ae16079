"""Changed texts against what a loop over them gives, for every change and task."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import spearmanr

from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors, with_retrieval
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoder import CallableEncoder
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.measures.estimate import share_difference, share_of_means
from mrl_viz.tasks.robustness import (
    CHANGES,
    DROPPED,
    changes_of,
    misspelt,
    paraphrases,
    robustness,
    with_words_dropped,
)

WORDS = [
    "alder", "birch", "cedar", "daisy", "elder", "fern", "ginger", "hazel", "iris", "juniper", "kelp", "lily", "maple",
    "nettle", "olive", "poppy",
]  # fmt: skip
DIM = 12


@cache
def letters(pair, salt):
    return np.random.default_rng([*map(ord, pair), salt]).standard_normal(DIM).astype(np.float32)


def spelled(texts, salt=0):
    """A model of ours: the sum of a random vector for every pair of letters."""
    return np.stack(
        [np.sum([letters(text[at : at + 2], salt) for at in range(len(text) - 1)], axis=0) for text in texts]
    )


def texts_of(n, seed=0, n_words=5):
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(" ".join(rng.choice(WORDS, n_words)) for _ in range(n)))


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def values(estimates):
    return [estimate.value for estimate in estimates]


def test_misspelling_swaps_neighboring_letters_of_longer_words():
    """Same letters, same lengths, first and last stay; short words are left alone."""
    text = "the quick brown elephants of Antarctica jumped over one sleeping crocodile in March"
    wrong = misspelt(text, np.random.default_rng(0))
    pairs = list(zip(text.split(), wrong.split(), strict=True))
    changed = [(a, b) for a, b in pairs if a != b]
    assert changed and all(len(a) >= 4 for a, _ in changed)
    assert all(sorted(a) == sorted(b) and a[0] == b[0] and a[-1] == b[-1] for a, b in pairs)


def test_dropping_keeps_the_order_and_one_word():
    """What stays is a part of the text in order, about four words in five; one word is never dropped."""
    rng, text = np.random.default_rng(0), " ".join(map(str, range(2000)))
    left = [int(word) for word in with_words_dropped(text, rng).split()]
    assert left == sorted(left) and len(left) == pytest.approx(2000 * (1 - DROPPED), rel=0.05)
    assert {with_words_dropped("word", rng) for _ in range(50)} == {"word"}
    assert all(with_words_dropped("two words", rng) for _ in range(50))


def test_the_difference_of_shares_is_that_of_drawing_again():
    """Two ratios of means and their difference, against a naive loop over resamples."""
    rng = np.random.default_rng(1)
    first, second = rng.uniform(0.3, 1, (2, 2, 60))
    found = share_difference(*first, *second)
    drawn = []
    for _ in range(4000):
        rows = rng.integers(0, 60, 60)
        a, b = first[:, rows].mean(axis=1), second[:, rows].mean(axis=1)
        drawn.append(a[0] / a[1] - b[0] / b[1])
    a, b = first.mean(axis=1), second.mean(axis=1)
    assert found.value == pytest.approx(a[0] / a[1] - b[0] / b[1])
    np.testing.assert_allclose((found.low, found.high), np.percentile(drawn, [2.5, 97.5]), atol=0.02)


def test_shares_of_other_items_are_resampled_by_themselves():
    """The interval of a ratio of means over different items, against a naive loop; a share of nothing is none."""
    rng = np.random.default_rng(2)
    after, before = rng.uniform(0, 1, 50), rng.uniform(0.5, 1, 80)
    found = share_of_means(after, before, is_paired=False)
    drawn = [rng.choice(after, 50).mean() / rng.choice(before, 80).mean() for _ in range(4000)]
    assert found.value == pytest.approx(after.mean() / before.mean())
    np.testing.assert_allclose((found.low, found.high), np.percentile(drawn, [2.5, 97.5]), atol=0.02)
    assert share_of_means(after, np.zeros(50)) is None
    gain = share_difference(after, before, after, before, is_paired=False)
    assert (gain.low, gain.value, gain.high) == (0, 0, 0)
    assert share_difference(after, after, after, np.zeros(50)) is None


@pytest.mark.parametrize("change", ["typos", "dropped words"])
def test_changed_texts_look_for_their_own_original(change):
    """Cosine with the original and whether it is the nearest of all, at both widths, against a loop over draws."""
    texts = texts_of(30)
    found = robustness(embed(texts, spelled), change, dims=(4,), n_draws=3, seed=5)
    alter, rng = {"typos": misspelt, "dropped words": with_words_dropped}[change], np.random.default_rng(5)
    rows, alike, first = spelled(texts), np.zeros((2, 3, 30)), np.zeros((2, 3, 30))
    for draw in range(3):
        changed = spelled([alter(text, rng) for text in texts])
        for level, dim in enumerate((4, DIM)):
            for row in range(30):
                cosines = [cosine(changed[row, :dim], other[:dim]) for other in rows]
                alike[level, draw, row] = cosines[row]
                first[level, draw, row] = np.argmax(cosines) == row
    (one,) = found.models.values()
    np.testing.assert_allclose(values(one.similarity), alike.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(values(one.found), first.mean(axis=(1, 2)))
    assert 0 < one.found[0].value < 1 and found.metric == "" and not one.kept and found.chance == 1 / 30
    assert (found.n_changed, found.n_draws) == (30, 3)


def test_pairs_are_judged_with_one_side_changed():
    """Spearman before and with the change is scipy's, its share their ratio; the right side stays as it is."""
    texts = texts_of(40)
    rng = np.random.default_rng(3)
    rows = spelled(texts)
    scores = [cosine(rows[row], rows[row + 20]) + rng.normal(0, 0.2) for row in range(20)]
    pairs = tuple((row, row + 20, score) for row, score in enumerate(scores))
    data = embed(replace(corpus_from_texts(texts), pairs=pairs), spelled)
    found = robustness(data, "typos", dims=(), n_draws=2, seed=1)
    rng = np.random.default_rng(1)

    def rho(left):
        return spearmanr([cosine(*both) for both in zip(left, rows[20:])], scores).statistic

    drawn = [rho(spelled([misspelt(text, rng) for text in texts[:20]])) for _ in range(2)]
    (one,) = found.models.values()
    assert found.metric == "spearman" and one.before[0].value == pytest.approx(rho(rows[:20]), abs=1e-6)
    assert one.after[0].value == pytest.approx(np.mean(drawn), abs=1e-6)
    assert one.kept[0].value == pytest.approx(np.mean(drawn) / rho(rows[:20]), abs=1e-5)


def test_queries_and_texts_to_classify_are_changed_and_what_is_searched_is_not():
    """Retrieval: judged queries are changed. Classes: a changed text is named by the others as they are."""
    texts = texts_of(24)
    graded = {f"q{row}": {str(row): 1} for row in range(6)}
    asked = {f"q{row}": " ".join(reversed(texts[row].split())) for row in range(6)}
    data = embed(with_retrieval(corpus_from_texts(texts), asked, graded, {}), spelled)
    found = robustness(data, "dropped words", dims=(), n_draws=1, seed=2)
    rng, rows = np.random.default_rng(2), spelled(texts)
    for text in texts:
        with_words_dropped(text, rng)
    changed = spelled([with_words_dropped(text, rng) for text in asked.values()])
    ranks = [
        1 + sum(cosine(query, other) > cosine(query, rows[row]) for other in rows) for row, query in enumerate(changed)
    ]
    ndcg = np.mean([1 / np.log2(rank + 1) if rank <= 10 else 0 for rank in ranks])
    (one,) = found.models.values()
    assert found.metric == "ndcg@10" and one.after[0].value == pytest.approx(ndcg, abs=1e-6)

    labels = {"kind": [text.split()[0][0] < "h" for text in texts]}
    data = embed(corpus_from_texts(texts, labels={"kind": [str(each) for each in labels["kind"]]}), spelled)
    found = robustness(data, "typos", dims=(), n_draws=1, seed=4)
    rng = np.random.default_rng(4)
    changed = spelled([misspelt(text, rng) for text in texts])
    right = []
    for row, query in enumerate(changed):
        others = sorted((other for other in range(24) if other != row), key=lambda o: -cosine(query, rows[o]))
        votes = sum(labels["kind"][other] for other in others[:5])
        right.append((votes >= 3) == labels["kind"][row])
    (one,) = found.models.values()
    assert found.metric == "knn_accuracy:kind" and one.after[0].value == pytest.approx(np.mean(right))


def test_paraphrases_look_for_each_other_in_their_language():
    """Only pairs at the top of the range, from both sides, and among texts of their language; vectors do as well."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((12, 6)).astype(np.float32)
    rows[6:] = rows[:6] + 0.01  # every text's translation, which must not be found
    spoken = ["one"] * 6 + ["two"] * 6
    pairs = ((0, 1, 5.0), (2, 3, 1.0), (4, 5, 4.5), (6, 7, 5.0), (8, 9, 0.0), (3, 3, 5.0))
    corpus = replace(corpus_from_vectors(rows, labels={"language": spoken}), pairs=pairs)
    assert paraphrases(corpus).tolist() == [0, 2, 3] and changes_of(corpus) == ("paraphrases",)
    found = robustness(embed(corpus), "paraphrases", dims=(3,))
    hits = np.zeros((2, 6))
    asked = [(0, 1), (4, 5), (6, 7), (1, 0), (5, 4), (7, 6)]
    for level, dim in enumerate((3, 6)):
        for place, (left, right) in enumerate(asked):
            others = [row for row in range(12) if spoken[row] == spoken[left] and row != left]
            hits[level, place] = max(others, key=lambda row: cosine(rows[left, :dim], rows[row, :dim])) == right
    (one,) = found.models.values()
    np.testing.assert_allclose(values(one.found), hits.mean(axis=1))
    assert found.chance == 1 / 5 and found.n_changed == 6


def test_foreign_texts_stand_among_the_nearest_and_are_named_by_them():
    """The share of own texts among the ten nearest, and the accuracy of naming foreign ones of shared classes."""
    texts, others = texts_of(40), texts_of(30, seed=9, n_words=3)
    kinds = [[text.split()[0] for text in each] for each in (texts, others)]
    data = embed(corpus_from_texts(texts, labels={"first": kinds[0]}), spelled)
    foreign = corpus_from_texts([*others, texts[0]], labels={"first": [*kinds[1], kinds[0][0]]})
    found = robustness(data, "another domain", dims=(), foreign=foreign, most_changed=None)
    rows, theirs = spelled(texts), spelled(others)
    everything = [*rows, *theirs]
    own = []
    for row in range(len(rows)):
        near = sorted((o for o in range(len(everything)) if o != row), key=lambda o: -cosine(rows[row], everything[o]))
        own.append(np.mean([other < len(rows) for other in near[:10]]))
    (one,) = found.models.values()
    assert one.found[0].value == pytest.approx(np.mean(own)) and not one.similarity
    assert found.chance == pytest.approx((len(rows) - 1) / (len(rows) - 1 + len(theirs)))
    counts = {kind: kinds[0].count(kind) for kind in kinds[0]}
    able = [row for row in range(len(rows)) if counts[kinds[0][row]] > 1]
    right = []
    for row, kind in enumerate(kinds[1]):
        if counts.get(kind, 0) < 2:
            continue
        near = sorted(able, key=lambda o: -cosine(theirs[row], rows[o]))[:5]
        votes = [kinds[0][other] for other in near]
        right.append(max(sorted(set(votes)), key=votes.count) == kind)
    assert found.metric == "knn_accuracy:first" and one.after[0].value == pytest.approx(np.mean(right))
    assert one.kept[0].value == pytest.approx(one.after[0].value / one.before[0].value)


def test_the_twin_gets_the_same_changed_texts():
    """The gains are differences of both models' values; a model is no better than itself."""
    texts = texts_of(30)
    by_both = spelled(texts) + spelled(texts, salt=7)
    pairs = tuple((row, row + 1, cosine(by_both[row], by_both[row + 1])) for row in range(28))
    corpus = replace(corpus_from_texts(texts), pairs=pairs)
    model = embed(corpus, spelled)
    other = CallableEncoder(lambda given: spelled(given, salt=7), "other")
    found = robustness(model, "typos", dims=(5,), twin=embed(corpus, other), n_draws=2)
    alone = robustness(embed(corpus, other), "typos", dims=(5,), n_draws=2)
    own, twin = found.models.values()
    assert list(found.models) == ["spelled", "other"] and twin == alone.models["other"]
    for level in range(2):
        assert found.found_gain[level].value == pytest.approx(own.found[level].value - twin.found[level].value)
        assert found.kept_gain[level].value == pytest.approx(own.kept[level].value - twin.kept[level].value)
    same = robustness(model, "typos", dims=(5,), twin=model, n_draws=2)
    assert len(same.models) == 2 and {(gain.low, gain.high) for gain in (*same.found_gain, *same.kept_gain)} == {(0, 0)}
    assert "no difference is sure" in same.takeaway() and len(found.rows()) == 4
    json.dumps(found.to_dict())
    with pytest.raises(ShapeError, match="give the same texts by a model of the same width"):
        robustness(model, "typos", dims=(5,), twin=embed(texts[:-1], spelled))


def test_what_cannot_be_changed_is_one_sentence():
    """Ready vectors, no paraphrases, no foreign texts, texts of one word, another model; labels that cannot judge are
    a note."""
    vectors = embed(corpus_from_vectors(np.eye(4, dtype=np.float32)))
    for change in ("typos", "dropped words", "another domain"):
        with pytest.raises(InvalidInputError, match="holds ready vectors, and no model here can embed a changed one"):
            robustness(vectors, change, dims=(2,))
    with pytest.raises(EmptyInputError, match="no pairs of texts that say the same"):
        robustness(vectors, "paraphrases", dims=(2,))
    assert changes_of(vectors.corpus) == ()
    words = embed(["alder", "birch", "cedar"], spelled)
    assert changes_of(words.corpus) == ("typos", "dropped words", "another domain")
    with pytest.raises(InvalidInputError, match="no text that can be changed so: there is one word"):
        robustness(words, "dropped words", dims=(2,))
    with pytest.raises(InvalidInputError, match="`foreign` is not given"):
        robustness(words, "another domain", dims=(2,))
    with pytest.raises(InvalidInputError, match="`change` is 'shouting'; choose one of typos"):
        robustness(words, "shouting", dims=(2,))
    with pytest.raises(ShapeError, match="`model` makes vectors of 3 coordinates and the texts have 12"):
        robustness(words, "typos", dims=(2,), model=lambda texts: np.ones((len(texts), 3)))
    mixed = embed(corpus_from_texts(["alder birch", "cedar", "daisy elder"], labels={"all": ["a", "b", "c"]}), spelled)
    notes = robustness(mixed, "dropped words", dims=(2,)).notes
    assert any(note.startswith("No task is judged: `all` has 3 classes") for note in notes)
    assert "1 of 3 texts stay as they are: there is one word, which has to stay, in them." in notes
    assert set(CHANGES) == {"typos", "dropped words", "paraphrases", "another domain"}
