"""Corpora with their vectors: queries now or later, from the store or ready."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrl_viz.analysis import analyse
from mrl_viz.data.corpus import corpus_from_texts, corpus_from_vectors, with_retrieval
from mrl_viz.data.corpus import with_queries as searched_with
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed, embed_texts, with_queries
from mrl_viz.embedding.encoders import load_encoder, revision_of
from mrl_viz.errors import InvalidInputError, ModelUnavailableError, ShapeError
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
    """Leaving the queries out sends none; adding them later gives what taking them along gives, and encodes nothing twice."""
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


def test_embed_refuses_typed_queries_for_ready_vectors():
    """Texts cannot be searched for in vectors without their model."""
    with pytest.raises(InvalidInputError, match="`queries` are texts but the corpus holds ready vectors"):
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
