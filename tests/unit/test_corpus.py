"""A corpus is what was given, cleaned and counted, and refuses what does not fit together."""

import numpy as np
import pytest

from mrl_viz.data import corpus as corpus_module
from mrl_viz.data.corpus import (
    clean,
    corpus_from_texts,
    corpus_from_vectors,
    same_items,
    with_qrels,
    with_queries,
    with_retrieval,
    with_texts,
)
from mrl_viz.errors import EmptyInputError, InvalidInputError, ShapeError

VECTORS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a b \n", "a b"),
        ("a\x00b\x1bc", "a b c"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x07", ""),
        ("naïve ‖x‖ 日本", "naïve ‖x‖ 日本"),
    ],
)
def test_clean_strips_and_blanks_control_characters(text, expected):
    """Surrounding space goes, control characters become spaces, tabs, newlines and all letters stay."""
    assert clean(text) == expected


def test_corpus_from_texts_counts_what_it_drops():
    """Empty and duplicate rows go, the first of equal texts keeps its id and label, and every row is counted."""
    texts = ["a", " ", "b", " a ", "c", "d"]
    corpus = corpus_from_texts(texts, ids=list("uvwxyz"), labels={"label": [*"123", None, "5", "6"]}, limit=5)
    assert (corpus.texts, corpus.ids) == (("a", "b", "c"), ("u", "w", "y"))
    assert dict(corpus.labels) == {"label": ("1", "3", "5")}
    check = corpus.check
    assert (check.n_items, check.n_empty, check.n_duplicates, check.n_truncated_by_limit) == (3, 1, 1, 1)
    assert check.n_items + check.n_empty + check.n_duplicates + check.n_truncated_by_limit == check.n_rows
    assert check.to_dict()["label_columns"] == ("label",)


def test_corpus_from_texts_refuses_nothing_left():
    """No row with a text in it is an error that counts the rows."""
    with pytest.raises(EmptyInputError, match="`texts` has 2 rows and no text in them; give at least two texts"):
        corpus_from_texts(["", " "])


def test_corpus_from_texts_refuses_lengths_that_differ():
    """Ids and labels are one for each text."""
    with pytest.raises(ShapeError, match="`ids` has 1 values for 2 rows; give one each"):
        corpus_from_texts(["a", "b"], ids=["x"])
    with pytest.raises(ShapeError, match="`topic` has 3 values for 2 rows"):
        corpus_from_texts(["a", "b"], labels={"topic": ["x", "y", "z"]})


def test_corpus_from_texts_refuses_too_many(monkeypatch):
    """More texts than the limit are refused, unless `limit` takes fewer."""
    monkeypatch.setattr(corpus_module, "MOST_TEXTS", 2)
    with pytest.raises(InvalidInputError, match="`texts` has 3 texts; at most 2 are read, so use a limit"):
        corpus_from_texts(["a", "b", "c"])
    assert corpus_from_texts(["a", "b", "c"], limit=2).n_items == 2


def test_corpus_from_texts_refuses_a_text_too_long(monkeypatch):
    """A text longer than the limit is refused with its length."""
    monkeypatch.setattr(corpus_module, "MOST_CHARACTERS", 3)
    with pytest.raises(InvalidInputError, match="a text of 4 characters; the limit is 3, so split it"):
        corpus_from_texts(["abc", "abcd"])


def test_corpus_from_vectors_leaves_its_input_alone():
    """The input is not written to, and float32 input stays bit by bit without a note."""
    given = VECTORS.copy()
    corpus = corpus_from_vectors(given)
    np.testing.assert_array_equal(given, VECTORS, strict=True)
    np.testing.assert_array_equal(corpus.embeddings, VECTORS, strict=True)
    assert (corpus.texts, corpus.check.notes) == (("vector 0", "vector 1", "vector 2"), ())


def test_corpus_from_vectors_keeps_and_counts_duplicates():
    """Equal vectors are counted and every row is kept; rows beyond the limit are counted."""
    corpus = corpus_from_vectors(VECTORS[[0, 1, 0, 2]], limit=3)
    assert (corpus.n_items, corpus.check.n_duplicates, corpus.check.n_truncated_by_limit) == (3, 1, 1)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, 2.0], [3.0]], "rows of different lengths"),
        ([[1.0, np.nan]], "NaN or infinity in row 0"),
        ([[1.0, 2.0], [np.inf, -np.inf]], "NaN or infinity in row 1"),
        ([[1.0, 2.0], [-1e39, 0.0]], r"`vectors` has 1e\+39 in row 1, beyond float32; rescale that row"),
        ([1.0, 2.0], r"shape \(2,\)"),
    ],
)
def test_corpus_from_vectors_refuses_unusable_vectors(vectors, message):
    """Vectors that are ragged, not finite in float32, or no matrix are refused, without a warning."""
    with pytest.raises(ShapeError, match=message):
        corpus_from_vectors(vectors)


def test_with_texts_gives_vectors_their_texts():
    """Vectors and labels stay; the texts are those given, duplicates and empties too; the fingerprint changes."""
    vectors = corpus_from_vectors(VECTORS, labels={"label": ["x", "y", "z"]}, name="v.npy")
    corpus = with_texts(vectors, [" same", "same", " "])
    assert corpus.texts == ("same", "same", "(empty)")
    assert corpus.check.longest_chars == 7
    np.testing.assert_array_equal(corpus.embeddings, VECTORS, strict=True)
    assert (corpus.name, corpus.ids, corpus.labels) == (vectors.name, vectors.ids, vectors.labels)
    assert corpus.fingerprint != vectors.fingerprint
    assert (
        corpus.fingerprint == corpus_from_vectors(VECTORS, texts=["same", "same", ""], labels=corpus.labels).fingerprint
    )


@pytest.mark.parametrize("texts", [["a", "b"], ["a", "b", "c", "d"], []])
def test_with_texts_refuses_another_number_of_texts(texts):
    """There is one text for each vector, also when both are given at once."""
    message = rf"`vectors` has 3 vectors but {len(texts)} texts; give one text each"
    with pytest.raises(ShapeError, match=message):
        with_texts(corpus_from_vectors(VECTORS), texts)
    with pytest.raises(ShapeError, match=message):
        corpus_from_vectors(VECTORS, texts=texts)


def test_with_texts_refuses_a_corpus_of_texts():
    """A corpus without vectors has texts already."""
    with pytest.raises(InvalidInputError, match="`texts` has no vectors to give texts to; read a file of vectors"):
        with_texts(corpus_from_texts(["a", "b"]), ["c", "d"])


def test_at_least_returns_the_corpus_or_counts_what_is_missing():
    """Enough texts are the corpus itself; too few are an error that says where the rows went."""
    corpus = corpus_from_texts(["a", "a", "", "b"], limit=3)
    assert corpus.at_least(1) is corpus
    message = r"`texts` has 1 item left of 4 rows \(1 empty, 1 duplicate, 1 over the limit\); add at least one more"
    with pytest.raises(EmptyInputError, match=message):
        corpus.at_least(2)


def test_fingerprint_depends_on_every_text_and_vector():
    """Equal contents have equal fingerprints whatever the name; moving a boundary or one bit changes it."""
    assert corpus_from_texts(["a", "b"]).fingerprint == corpus_from_texts(["a", "b"], name="other").fingerprint
    assert corpus_from_texts(["ab", "c"]).fingerprint != corpus_from_texts(["a", "bc"]).fingerprint
    changed = VECTORS.copy()
    changed[2, 3] = np.nextafter(changed[2, 3], np.float32(9))
    assert corpus_from_vectors(VECTORS).fingerprint != corpus_from_vectors(changed).fingerprint


def test_with_retrieval_moves_and_counts_judgements():
    """Moved judgements keep the highest grade, a grade of 0 included; unknown ones are counted in a note."""
    corpus = corpus_from_texts(["a", "b"], ids=["d1", "d2"])
    qrels = {"q1": {"d1": 0, "d3": 2, "d9": 1}, "q9": {"d1": 1}}
    judged = with_retrieval(corpus, {"q1": "a query", "q2": "another"}, qrels, {"d3": "d1"})
    assert judged.qrels == {"q1": {"d1": 2}}
    assert (judged.query_ids, judged.query_texts) == (("q1", "q2"), ("a query", "another"))
    assert judged.check.notes == ("2 relevance judgements name a query or text that is not here; they are left out.",)
    assert corpus.query_ids == ()


def searched(name, n_queries=2, **options):
    """Three vectors of a model with vectors of queries."""
    return with_queries(
        corpus_from_vectors(VECTORS, name=name, **options), corpus_from_vectors(VECTORS[:n_queries], unnamed="query")
    )


def test_same_items_shares_what_one_file_knows():
    """Texts, ids, labels and judgements that came with one model's vectors are those of all; vectors and names stay."""
    bare = searched("bare.npy")
    named = searched("named.npz", texts=["a", "b", "c"], ids=["x", "y", "z"], labels={"topic": ["s", "t", "s"]})
    judged = with_qrels(named, {"0": {"x": 1}})
    for pair in ((bare, judged), (judged, bare)):
        one, other = same_items(pair)
        assert {one.name, other.name} == {"bare.npy", "named.npz"}
        assert one.texts == other.texts == ("a", "b", "c") and one.ids == other.ids == ("x", "y", "z")
        assert one.labels == other.labels == judged.labels and one.qrels == other.qrels == judged.qrels
        assert one.query_texts == ("query 0", "query 1")
    by_row = with_qrels(searched("judged.npy"), {"1": {"2": 3}})
    assert same_items([named, by_row])[0].qrels == {"1": {"z": 3}}
    assert same_items([bare, searched("other.npy")])[0].ids == ("0", "1", "2")


@pytest.mark.parametrize(
    "other, error, message",
    [
        (
            corpus_from_texts(["a", "b", "c"], name="t.txt"),
            InvalidInputError,
            "`t.txt` holds no vectors; give files of",
        ),
        (
            searched("v.npy", n_queries=1),
            ShapeError,
            "`v.npy` has 3 vectors and 1 queries, `one.npy` 3 and 2; give vectors",
        ),
        (
            searched("one.npy"),
            InvalidInputError,
            "`one.npy` is not the only file of that name; give files different names",
        ),
        (searched("v.npy", texts=["a", "b", "d"]), InvalidInputError, "`v.npy` has other texts or ids than `one.npy`"),
    ],
)
def test_same_items_refuses_vectors_of_other_items(other, error, message):
    """Only vectors of the same rows can be compared."""
    with pytest.raises(error, match=message):
        same_items([searched("one.npy", texts=["a", "b", "c"]), other])
