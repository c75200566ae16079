"""Corpora with their vectors: queries now or later, from the store or ready."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mrl_viz.analysis import analyse
from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors, with_retrieval
from mrl_viz.data.corpus import with_queries as searched_with
from mrl_viz.data.reading import read_corpus
from mrl_viz.decide.search import search
from mrl_viz.embedding.embedded import embed, embed_texts, with_queries
from mrl_viz.embedding.encoders import CallableEncoder, as_encoder, load_encoder, revision_of
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.errors import CancelledError, InvalidInputError, ModelUnavailableError, ShapeError
from mrl_viz.tasks.evaluation import evaluate
from tests.tiny_model import save_tiny_model

TEXTS = ("sun moon", "bread soup", "loan tax", "lute drum")
QUERIES = {"q1": "star", "q2": "rice"}
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path / "store"))


@pytest.fixture
def counting(folder):
    """The tiny model, counting what it is asked for."""

    class Counting:
        def __init__(self):
            self._encoder, self.asked = load_encoder(folder), []

        def __getattr__(self, name):
            return getattr(self._encoder, name)

        def encode(self, texts, **options):
            self.asked += texts
            return self._encoder.encode(texts, **options)

    return Counting()


@pytest.fixture
def judged():
    return with_retrieval(corpus_from_texts(TEXTS, ids="abcd"), QUERIES, {"q1": {"a": 1}, "q2": {"b": 1}}, {})


def test_embed_takes_the_corpus_queries_along(judged, counting):
    """The queries that came with the data have vectors, with the texts' own model."""
    embedded = embed(judged, counting)
    np.testing.assert_array_equal(embedded.queries, counting._encoder.encode(list(QUERIES.values()), kind="query"))
    assert counting.asked == [*TEXTS, *QUERIES.values()]


def test_with_queries_adds_what_was_left_out(judged, counting):
    """Leaving the queries out sends none; adding them later gives the same, and encodes nothing twice."""
    later = embed(judged, counting, queries=())
    assert later.queries is None and counting.asked == list(TEXTS)
    complete = with_queries(later, counting)
    assert counting.asked == [*TEXTS, *QUERIES.values()]
    at_once = embed(judged, counting)
    np.testing.assert_array_equal(complete.queries, at_once.queries)
    assert complete.fingerprint == at_once.fingerprint != later.fingerprint
    assert with_queries(complete) is complete
    assert len(counting.asked) == len(TEXTS) + len(QUERIES)


def test_with_queries_loads_the_model_by_its_name(judged, folder):
    """Without a loaded model at hand, the name is enough."""
    assert with_queries(embed(judged, folder, queries=())).queries.shape == (2, 16)


def test_with_queries_refuses_another_model(judged, folder, tmp_path):
    """Texts and queries are vectors of one model and revision."""
    embedded = embed(judged, folder, queries=())
    other = shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(InvalidInputError, match=r"texts were embedded by .*tiny, or by another revision of it; embed"):
        with_queries(embedded, str(other))


def test_embed_searches_with_other_queries_instead(judged, counting):
    """Queries of one's own replace those of the data and their judgements, and are other evidence."""
    embedded = embed(judged, counting, queries=["comet", "comet"])
    assert embedded.corpus.query_texts == ("comet", "comet") and embedded.corpus.qrels == {}
    assert embedded.queries.shape == (2, 16)
    assert embedded.fingerprint != embed(judged, counting).fingerprint
    assert embed(judged, counting, queries=judged.query_texts).corpus is judged


def test_embed_texts_stores_a_typed_query_like_any_text(judged, counting):
    """What was typed once is not sent again, and its text is nowhere in the store."""
    first = embed_texts(["salt private"], counting, kind="query")
    again = embed_texts(["salt private"], counting, kind="query")
    np.testing.assert_array_equal(first, again, strict=True)
    assert counting.asked == ["salt private"]
    files = [file for file in Path(os.environ["MRL_VIZ_CACHE"]).rglob("*") if file.is_file()]
    assert files and not any(b"private" in file.read_bytes() for file in files)


def test_embed_uses_ready_query_vectors():
    """Ready vectors come with those of their queries; leaving them out and adding them works as for texts."""
    queries = corpus_from_vectors(VECTORS[:2] + 1)
    corpus = searched_with(corpus_from_vectors(VECTORS), queries)
    embedded = embed(corpus)
    np.testing.assert_array_equal(embedded.queries, VECTORS[:2] + 1, strict=True)
    without = embed(corpus, queries=())
    assert without.queries is None
    assert with_queries(without).fingerprint == embedded.fingerprint
    assert embed(corpus_from_vectors(VECTORS)).queries is None


def test_embed_takes_query_vectors_for_vectors():
    """Arrays may be searched with arrays."""
    embedded = embed(VECTORS, queries=VECTORS[1:])
    np.testing.assert_array_equal(embedded.queries, VECTORS[1:], strict=True)
    assert embedded.corpus.query_texts == ("query 0", "query 1")


def test_embed_takes_a_column_of_queries(judged, folder):
    """Queries come as the data do; a blank one would shift the others and is an error."""
    embedded = embed(judged, folder, queries=pd.Series(["star", "sun"], name="asked"))
    assert embedded.corpus.query_texts == ("star", "sun")
    with pytest.raises(
        InvalidInputError, match="`texts` has no text in 1 of 2 rows, the first is row 1; leave them out"
    ):
        embed(judged, folder, queries=["star", " "])


def test_embed_refuses_typed_queries_for_ready_vectors():
    """Texts cannot be searched for in vectors without their model."""
    with pytest.raises(
        InvalidInputError, match="`vectors` holds vectors and `texts` texts; give both as texts, or both"
    ):
        embed(corpus_from_vectors(VECTORS), queries=["a"])


@pytest.mark.parametrize(
    "queries, error, message",
    [
        (
            corpus_from_vectors(VECTORS[:, :3], name="q.npy"),
            ShapeError,
            "`q.npy` has vectors of 3 coordinates and `v` of 4",
        ),
        (corpus_from_texts(["a"], name="q.txt"), InvalidInputError, "`v` holds vectors and `q.txt` texts; give both"),
    ],
)
def test_searching_vectors_with_something_else_is_refused(queries, error, message):
    """Queries are of the corpus' kind and width."""
    with pytest.raises(error, match=message):
        searched_with(corpus_from_vectors(VECTORS, name="v"), queries)


def test_searching_with_other_queries_says_so(judged):
    """The queries that came with the data are not dropped without a word."""
    changed = searched_with(judged, corpus_from_texts(["comet"]))
    assert changed.check.notes == ("The 2 queries that came with the data, and their judgements, are replaced.",)


def test_the_sample_has_one_identity_however_it_was_embedded():
    """Shipped vectors are the default model's, and so is what they are called."""
    shipped = embed(read_corpus("sample"))
    assert shipped.fingerprint == embed(read_corpus("sample"), load_encoder()).fingerprint
    assert shipped.fingerprint == with_queries(embed(read_corpus("sample"), queries=())).fingerprint


def test_a_model_trained_again_has_another_revision(judged, folder, tmp_path):
    """The same folder with other weights is another model: its revision is known without loading it."""
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    before, vectors = revision_of(str(own)), embed(judged, str(own))
    assert revision_of(str(own)) == before
    for file in own.rglob("*.safetensors"):
        os.utime(file, (1, 1))
    assert revision_of(str(own)) != before
    assert embed(judged, str(own)).fingerprint != vectors.fingerprint


def test_revision_of_an_api_sends_nothing():
    """A name of an API needs no key to have a revision."""
    assert revision_of("openai:text-embedding-3-small") == "api"


def test_revision_of_no_model_is_an_error(tmp_path):
    """A folder without a model has none."""
    with pytest.raises(ModelUnavailableError, match="holds no model"):
        revision_of(str(tmp_path))


def test_embedded_corpus_can_be_replaced(judged, folder):
    """Other labels on the same vectors are another result."""
    embedded = embed(judged, folder)
    relabelled = replace(embedded, corpus=replace(judged, labels={"topic": ("x", "y", "x", "y")}))
    assert relabelled.fingerprint != embedded.fingerprint


def test_vectors_with_queries_and_judgements_get_what_texts_get(tmp_path):
    """The sample as texts and as the vectors of its texts and queries: the same quality, lists and scores."""
    texts = embed(read_corpus("sample"))
    source = texts.corpus
    (tmp_path / "qrels").mkdir()
    rows = [f"{query}\t{text}\t{grade}" for query, grades in source.qrels.items() for text, grade in grades.items()]
    (tmp_path / "qrels" / "test.tsv").write_text("\n".join(rows))
    ids = {"ids": np.array(source.ids), "query_ids": np.array(source.query_ids)}
    np.savez(tmp_path / "vectors.npz", embeddings=texts.matrix, queries=texts.queries, **ids)
    for corpus in (
        read_corpus(tmp_path),
        read_corpus(tmp_path / "vectors.npz", qrels=tmp_path / "qrels" / "test.tsv"),
    ):
        vectors = embed(corpus)
        quality = [evaluate(one, dims=[32], task="retrieval").to_dict() for one in (texts, vectors)]
        assert quality[0] == quality[1]
        lists = [analyse(one, dims=[32], k=5).sweep.indices for one in (texts, vectors)]
        np.testing.assert_array_equal(*lists)


TINY = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]], dtype=np.float32)


@pytest.mark.parametrize(
    "data, texts",
    [
        (["sun moon", "sun moon", "rice"], ("sun moon", "sun moon", "rice")),
        (("star", "rice"), ("star", "rice")),
        (pd.Series(["star", "rice"], name="remark", index=[7, 3]), ("star", "rice")),
        (np.array(["star", "rice"]), ("star", "rice")),
        (iter(["star", "rice"]), ("star", "rice")),
        (corpus_from_texts(["star", "rice"]), ("star", "rice")),
    ],
    ids=["list", "tuple", "column", "array", "iterator", "corpus"],
)
def test_embed_takes_texts_as_notebooks_hold_them(data, texts, folder):
    """There is a row for every text, in order, duplicates too."""
    embedded = embed(data, folder)
    assert embedded.corpus.texts == texts
    np.testing.assert_array_equal(embedded.matrix, load_encoder(folder).encode(texts))
    assert embedded.corpus.name == ("remark" if isinstance(data, pd.Series) else "texts")


@pytest.mark.parametrize(
    "data",
    [TINY, TINY.tolist(), torch.from_numpy(TINY), pd.Series(list(TINY)), TINY.astype(np.float64)],
    ids=["array", "lists", "tensor", "column", "float64"],
)
def test_embed_takes_vectors_as_notebooks_hold_them(data):
    """Ready vectors need no model."""
    np.testing.assert_array_equal(embed(data).matrix, TINY, strict=True)


def test_embed_says_that_duplicates_were_kept():
    """Rows stay rows; a note says what that does to overlap."""
    assert embed(["a", "a", "b"]).corpus.check.notes == ("1 exact duplicates are kept; they inflate overlap.",)
    assert embed(["a", "b"]).corpus.check.notes == ()


@pytest.mark.parametrize(
    "data, error, message",
    [
        ("sample", InvalidInputError, "`data` is one text; give a list of texts, one column, or a file"),
        (pd.DataFrame({"text": ["a", "b"]}), InvalidInputError, "`data` is a table; give a list of texts, one column"),
        (
            ["a", " ", None, "b"],
            InvalidInputError,
            "`texts` has no text in 2 of 4 rows, the first is row 1; leave them out",
        ),
        (pd.Series(["a", np.nan], name="remark"), InvalidInputError, "`remark` has no text in 1 of 2 rows"),
        ([], ShapeError, r"has shape \(0,\); give a matrix"),
        ([[1.0], [2.0, 3.0]], ShapeError, "rows of different lengths"),
        ([1.0, 2.0], ShapeError, r"has shape \(2,\); give a matrix"),
        (5, ShapeError, r"has shape \(\); give a matrix"),
    ],
)
def test_embed_refuses_what_holds_no_texts(data, error, message):
    """A row that would be dropped would shift the others, so it is an error."""
    with pytest.raises(error, match=message):
        embed(data)


def test_embed_takes_a_sentence_transformer(folder, judged):
    """The object gives what its folder gives; its vectors are stored under its weights, which training changes."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cpu")
    embedded, named = embed(judged, model), embed(judged, folder)
    np.testing.assert_array_equal(embedded.matrix, named.matrix)
    np.testing.assert_array_equal(embedded.queries, named.queries)
    assert embed(judged, SentenceTransformer(folder, device="cpu")).fingerprint == embedded.fingerprint
    encoder = as_encoder(model)
    assert (EmbeddingStore().rows(encoder, TEXTS) >= 0).all()
    with torch.no_grad():
        model[0].embedding.weight += 1
    trained = as_encoder(model)
    assert (trained.revision, trained.name) != (encoder.revision, encoder.name)
    assert (EmbeddingStore().rows(trained, TEXTS) < 0).all()


def test_embed_takes_a_function(judged):
    """Any function will do; without a revision it is asked again, and its vectors are its identity."""
    asked = []

    def lengths(texts):
        asked.extend(texts)
        return [[len(text), text.count("o")] for text in texts]

    embedded = embed(judged, lengths)
    assert embedded.model.endswith("lengths") and embedded.full_dim == 2
    assert embedded.matrix.tolist() == [[len(text), text.count("o")] for text in TEXTS]
    assert embedded.queries.tolist() == [[4, 0], [4, 0]]
    assert embed(judged, lengths).fingerprint == embedded.fingerprint
    assert len(asked) == 2 * (len(TEXTS) + len(QUERIES))
    assert embed(judged, lambda texts: np.ones((len(texts), 2))).fingerprint != embedded.fingerprint
    assert search(embedded, "two words", k=1).indices.shape == (1, 1)
    assert asked[-1] == "two words"
    later = with_queries(embed(judged, lengths, queries=()))
    np.testing.assert_array_equal(later.queries, embedded.queries)
    assert not any(Path(os.environ["MRL_VIZ_CACHE"]).rglob("*.sqlite"))


def test_embed_stores_a_function_with_a_revision(judged):
    """A function that says which one it is is asked once; its prompts stand before the texts."""
    asked = []

    def call(texts):
        asked.extend(texts)
        return torch.ones(len(texts), 3)

    encoder = CallableEncoder(call, "mine", revision="1", query_prompt="query: ")
    for _ in range(2):
        embedded = embed(judged, encoder)
    assert embedded.model == "mine" and embedded.queries.shape == (2, 3)
    assert [text for text in asked if text != "word"] == [*TEXTS, "query: star", "query: rice"]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda texts: np.ones((2, 3)), r"gave an array of shape \(2, 3\) for 4 texts; give one vector each"),
        (lambda texts: np.ones(len(texts)), r"has shape \(4,\); give a matrix"),
        (lambda texts: np.full((len(texts), 2), np.nan), "NaN or infinity in row 0"),
        (lambda texts: [["a"]] * len(texts), "not real numbers"),
    ],
)
def test_embed_refuses_what_a_function_gives(judged, call, message):
    """One finite vector for each text, of one width."""
    with pytest.raises(ShapeError, match=message):
        embed(judged, call)


def test_functions_are_asked_in_batches_and_can_be_stopped():
    """Progress moves while a function works; between batches it can be stopped; widths may not change."""
    seen = []
    encoder = CallableEncoder(lambda texts: np.ones((len(texts), 1)), "ones", batch_size=2)
    assert encoder.encode(["a", "b", "c"], progress=lambda *done: seen.append(done)).shape == (3, 1)
    assert seen == [(2, 3), (3, 3)]
    assert encoder.encode([]).shape == (0, 1)
    with pytest.raises(CancelledError, match="stopped after 2 of 3 texts"):
        encoder.encode(["a", "b", "c"], cancelled=iter([False, True]).__next__)
    with pytest.raises(ShapeError, match=r"`odd` gave an array of shape \(1, 1\) for 1 texts"):
        CallableEncoder(lambda texts: np.ones((len(texts), len(texts))), "odd", batch_size=2).encode(["a", "b", "c"])


def test_as_encoder_refuses_what_cannot_embed():
    """Neither a name, nor a model, nor a function."""
    with pytest.raises(InvalidInputError, match="`model` is a int; give a name, a SentenceTransformer, or a function"):
        as_encoder(5)
