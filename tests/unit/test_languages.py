"""What each width keeps per language is what naive loops find; what is missing in some language is said."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.data.reading import read_upload
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.errors import InvalidInputError
from mrl_viz.tasks.languages import by_language, languages_of

WIDTH, DIMS = 8, (2, 4, 8)
LANGUAGES = ("en", "de", "fr")
HEADER = "id,language,sentence1,sentence2,score\n"


def table(*rows):
    """A file of pairs, a row as it stands in it."""
    return (HEADER + "\n".join(rows) + "\n").encode()


def embedded(rows, seed=0):
    """The vectors of a table of (id, language, sentence1, sentence2, score), drawn at random around their ids."""
    corpus = read_upload("pairs.csv", table(*(",".join(map(str, row)) for row in rows)))
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(corpus.n_items, WIDTH)).astype(np.float32)
    # Translations lie near each other, so that some are found and some are not.
    for row, (left, right, _) in enumerate(corpus.pairs):
        for side, text in enumerate((left, right)):
            near = np.random.default_rng([*map(ord, corpus.pair_ids[row]), side])
            matrix[text] += near.normal(size=WIDTH)
    return Embedded(corpus, "by hand", None, matrix, None, 0.0, "")


def parallel(n=20, languages=LANGUAGES, missing=()):
    """Pairs of n ids in all languages, without some (id, language); every fifth means the same, one sentence recurs."""
    return [
        (f"{number:02}", language, f"{language} left {number if number != 7 else 6}", f"{language} right {number}",
         5 if number % 5 == 0 else number % 5)
        for number in range(n) for language in languages if (number, language) not in missing
    ]  # fmt: skip


def cosines(one, other, dim):
    one, other = one[..., :dim].astype(np.float64), other[..., :dim].astype(np.float64)
    return (one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)


def naive_found(vectors, rows, source, target, dim):
    """The share of the source's sentences whose nearest of the target's stands where one of the same meaning does."""
    place = {text: row for row, text in enumerate(vectors.corpus.texts)}
    sides = [(identifier, side, language, (one, other)[side], score)
             for identifier, language, one, other, score in rows for side in (0, 1)]  # fmt: skip
    items = sorted({place[text] for _, _, language, text, _ in sides if language == target})
    right = {}
    for identifier, side, language, text, score in sides:
        if language == source:
            good = {place[there] for other, at, spoken, there, _ in sides
                    if other == identifier and spoken == target and (at == side or score == 5)}  # fmt: skip
            right.setdefault(place[text], set()).update(good)
    found = []
    for asked, good in right.items():
        similar = cosines(vectors.matrix[items], vectors.matrix[asked], dim)
        found.append(items[int(np.argmax(similar))] in good)
    return float(np.mean(found)), len(items)


def test_pairs_in_languages_are_read_with_their_ids():
    """The label is each sentence's language, the same words in two languages are two texts, ids stand by the pairs."""
    content = table("1,en,taxi,a cab,5", "1,de,taxi,ein Wagen,5", "2,en,a cab,rain,0", "2,de,,Regen,0", "3,,x,y,1")
    corpus = read_upload("pairs.csv", content)
    assert corpus.texts == ("taxi", "a cab", "taxi", "ein Wagen", "rain", "x", "y")
    assert corpus.labels == {"language": ("en", "en", "de", "de", "en", None, None)}
    assert corpus.pairs == ((0, 1, 5.0), (2, 3, 5.0), (1, 4, 0.0), (5, 6, 1.0))
    assert corpus.pair_ids == ("1", "1", "2", "3") and languages_of(corpus) == ("en", "de")
    assert corpus.check.notes == ("1 pairs lack a sentence or a score and are left out.",)
    changed = replace(corpus, pair_ids=("1", "2", "2", "3"))
    assert changed.fingerprint != corpus.fingerprint


def test_pairs_of_one_language_are_read_as_before():
    """A column with one language tells nothing apart: no label, and a note that it is not used."""
    corpus = read_upload("pairs.csv", table("1,en,a,b,5", "2,en,b,c,0"))
    assert (corpus.texts, corpus.labels, corpus.pair_ids) == (("a", "b", "c"), {}, ())
    assert corpus.check.notes == ("Columns not used: id, language.",) and languages_of(corpus) == ()


def test_curves_are_those_of_naive_loops():
    """Spearman of each language's own pairs, and the share of sentences whose translation is the nearest, by loops."""
    rows = parallel()
    vectors = embedded(rows)
    found = by_language(vectors, dims=DIMS[:-1], source="de")
    assert (found.source, found.dims) == ("de", DIMS)
    assert (tuple(found.spearman), tuple(found.found)) == (LANGUAGES, ("en", "fr"))
    corpus = vectors.corpus
    for language, curve in found.spearman.items():
        own = [pair for pair in corpus.pairs if corpus.labels["language"][pair[0]] == language]
        left, right, scores = (np.array(side) for side in zip(*own))
        assert curve.n_items == 20
        for level, dim in enumerate(DIMS):
            expected = spearmanr(cosines(vectors.matrix[left], vectors.matrix[right], dim), scores)[0]
            assert curve.value[level].value == pytest.approx(expected, abs=1e-9)
    for language, curve in found.found.items():
        expected = [naive_found(vectors, rows, "de", language, dim) for dim in DIMS]
        assert [one.value for one in curve.value] == pytest.approx([share for share, _ in expected])
        assert found.n_searched[language] == expected[0][1] == 39
    means = np.mean([[one.value for one in curve.value] for curve in found.found.values()], axis=0)
    assert [one.value for one in found.found_everywhere.value] == pytest.approx(means.tolist())
    assert any(0 < one.value < 1 for one in found.found["fr"].value), "a test that all or none would pass"
    assert found.notes == ()


def test_a_sentence_of_the_same_meaning_counts_as_right():
    """In a pair with the highest score either translation is right; in another one only its own."""
    rows = [(n, language, f"{language} a{n}", f"{language} b{n}", score)
            for n, score in enumerate((5, 3, 1)) for language in ("en", "de")]  # fmt: skip
    vectors = embedded(rows)
    place = {text: row for row, text in enumerate(vectors.corpus.texts)}
    turned = vectors.matrix.copy()
    for n in range(3):
        for side, other in ("ab", "ba"):
            turned[place[f"en {side}{n}"]] = turned[place[f"de {other}{n}"]]
    found = by_language(replace(vectors, matrix=turned), dims=[WIDTH])
    assert found.found["de"].value[-1].value == pytest.approx(2 / 6)


def test_the_sentences_name_the_strongest_and_the_weakest_language():
    """At the width asked for, with what is kept of the full one's; records have every language and width."""
    found = by_language(embedded(parallel()), dims=DIMS)
    values = {language: curve.value[1].value for language, curve in found.spearman.items()}
    said = found.takeaway_at(4)
    assert f"highest in {max(values, key=values.get)}, {max(values.values()):.3f}" in said
    assert f"lowest in {min(values, key=values.get)}, {min(values.values()):.3f}" in said and "From en, 4 dims" in said
    shares = {language: curve.value[1].value for language, curve in found.found.items()}
    assert f"{max(shares.values()):.0%} of searches in {max(shares, key=shares.get)}" in said
    assert "at full width" not in found.agreement_at(WIDTH) and "%" not in found.agreement_at(WIDTH)
    assert len(found.rows()) == (3 + 2) * len(DIMS)
    assert {row["from"] for row in found.rows() if row["metric"] == "success@1"} == {"en"}


def test_ids_that_a_language_lacks_are_left_out_everywhere():
    """All languages are judged by the same pairs, and one sentence says how many are missing and where."""
    missing = {(3, "fr"), (4, "fr"), (9, "de")}
    found = by_language(embedded(parallel(missing=missing)), dims=DIMS)
    (note,) = found.notes
    assert note.startswith("3 of 20 ids are not there in every language (fr has 18) and are left out")
    assert {curve.n_items for curve in found.spearman.values()} == {17} and set(found.n_searched.values()) == {33}


@pytest.mark.parametrize("without", ["ids", "common ids"])
def test_languages_without_common_ids_are_judged_each_by_their_own(without):
    """Nothing is known of translations then, and the one note says that the languages' pairs are others."""
    rows = [(identifier if without == "ids" else f"{language}{identifier}", language, *rest)
            for identifier, language, *rest in parallel(languages=("en", "de"), missing={(2, "de")})]  # fmt: skip
    vectors = embedded(rows)
    if without == "ids":
        vectors = replace(vectors, corpus=replace(vectors.corpus, pair_ids=()))
    found = by_language(vectors, dims=DIMS)
    assert found.found == {} and found.found_everywhere is None
    assert [curve.n_items for curve in found.spearman.values()] == [20, 19]
    (note,) = found.notes
    assert "pairs of its own, which may be harder" in note and found.takeaway().endswith(".")
    assert ("39 of 39 ids" in note) == (without == "common ids")


def test_a_language_that_cannot_be_judged_is_left_out_by_name():
    """Two pairs, or scores that are all the same, order nothing."""
    few = [row for row in parallel() if row[1] != "fr" or row[0] < "02"]
    found = by_language(embedded(few), dims=DIMS)
    assert tuple(found.spearman) == ("en", "de") and found.notes[0].startswith("fr is left out: `scores` has 2 pairs")
    same = [(*row[:4], 3 if row[1] == "fr" else row[4]) for row in parallel()]
    (note,) = by_language(embedded(same), dims=DIMS).notes
    assert note.startswith("fr is left out: `scores` are all 3")


def test_one_language_is_none_to_compare():
    """Without two languages, or with a source that is none of them, one sentence says what to give."""
    vectors = embedded(parallel(languages=("en", "de")))
    with pytest.raises(InvalidInputError, match=r"`source` is 'fr'; choose one of en, de\."):
        by_language(vectors, dims=DIMS, source="fr")
    one = [row for row in parallel(languages=("en", "de")) if row[1] == "en" or row[0] < "02"]
    with pytest.raises(InvalidInputError, match=r"scored pairs in 1 languages \(de is left out: .*in two or more"):
        by_language(embedded(one), dims=DIMS)
    plain = Embedded(corpus_from_texts(["a", "b"]), "by hand", None, np.eye(2, dtype=np.float32), None, 0.0, "")
    with pytest.raises(InvalidInputError, match="scored pairs in 0 languages; give a table of pairs"):
        by_language(plain, dims=[1])
