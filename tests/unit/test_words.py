"""Leaving out one word at a time: what it says is what naive cosines say."""

import numpy as np
import pytest

from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.errors import DimensionError, EmptyInputError, ShapeError
from mrl_viz.figures import word_influence_map
from mrl_viz.measures.words import MOST_WORDS, without_each_word, word_influence

TEXT, OTHER = "Why is <b>Venus</b> hotter than Mercury", "The hottest planet is Venus"
DIMS = (8, 64)


@pytest.fixture(scope="module")
def found():
    model = load_encoder()
    words, texts = without_each_word(TEXT)
    text, other = model.encode([TEXT, OTHER])
    return word_influence(words, text, model.encode(list(texts)), other, dims=DIMS)


def test_influence_is_the_difference_of_two_cosines(found):
    """At every width: cosine of the texts less cosine without the word, both of renormalised prefixes."""
    model = load_encoder()
    words = TEXT.split()
    assert found.words == tuple(words) and found.dims == (8, 64, 256)

    def cosine(left, right, dim):
        a, b = (vector[:dim].astype(float) for vector in model.encode([left, right]))
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    for level, dim in enumerate(found.dims):
        assert found.cosine[level] == pytest.approx(cosine(TEXT, OTHER, dim), abs=1e-5)
        for place in range(len(words)):
            rest = " ".join(word for at, word in enumerate(words) if at != place)
            expected = cosine(TEXT, OTHER, dim) - cosine(rest, OTHER, dim)
            assert found.influence[level, place] == pytest.approx(expected, abs=1e-5)


def test_the_shared_word_brings_the_texts_together(found):
    """Both texts name Venus; the sentence says so, with the number."""
    assert "“<b>Venus</b>”" in found.takeaway_at(256) and "changes by -" in found.takeaway_at(256)
    assert found.takeaway_at(8) == found.takeaway_at(9)
    assert [row["word"] for row in found.rows()] == list(found.words)


def test_words_in_the_picture_are_no_markup(found):
    """A word of a user's is text, also where it looks like HTML."""
    figure = word_influence_map(found, 64)
    assert not any("<b>Venus" in text for text in figure.layout.xaxis.ticktext)
    assert figure.data[0].z.shape == (3, 6)


def test_a_text_of_one_word_is_refused():
    """Without its only word nothing is left; long texts are looked at up to sixty words."""
    for text in ("word", "  word ", ""):
        with pytest.raises(EmptyInputError, match="give two or more"):
            without_each_word(text)
    words, texts = without_each_word("a b " * 100)
    assert len(words) == len(texts) == MOST_WORDS and all(len(text.split()) == 199 for text in texts)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((["a"], np.ones(4), np.ones((2, 4)), np.ones(4)), ShapeError, "2 vectors for 1 words"),
        ((["a"], np.ones(3), np.ones((1, 4)), np.ones(4)), ShapeError, "`text` has 3"),
        ((["a"], np.ones(4), np.ones((1, 4)), np.ones(5)), ShapeError, "`other` has 5"),
    ],
)
def test_vectors_that_do_not_go_together_are_refused(arguments, error, match):
    """Each with the name and the number."""
    with pytest.raises(error, match=match):
        word_influence(*arguments, dims=[2])
    with pytest.raises(DimensionError):
        word_influence(["a"], np.ones(4), np.ones((1, 4)), np.ones(4), dims=[5])
