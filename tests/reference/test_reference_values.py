"""The reference values, by the real models on real data; the first run encodes, later ones read pytest's cache."""

from pathlib import Path

import numpy as np
import pytest

from mrl_viz.analysis import analyse, controls
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import Embedded
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.store import EmbeddingStore
from mrl_viz.measures.estimate import columns
from mrl_viz.measures.lists import neighbor_overlap
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.evaluation import evaluate

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the reference collections (../shared/data) are not on this machine"
)
MODELS = ("wordllama", "all-MiniLM-L6-v2")
# dim: STS-B dev Spearman, Cranfield nDCG@10 with binary gains, overlap@10 of queries with documents.
REFERENCE = {
    "wordllama": {
        32: (0.7817, 0.2280, 0.315),
        64: (0.8119, 0.3358, 0.541),
        128: (0.8237, 0.4140, 0.730),
        256: (0.8279, 0.4429, 1),
    },
    "all-MiniLM-L6-v2": {64: (0.8385, 0.3980, 0.509), 128: (0.8570, 0.4746, 0.677), 384: (0.8672, 0.5128, 1)},
}
# Two minutes' work for the model: its vectors are kept, rounded to float16, and every so many are encoded again.
KEPT = {("all-MiniLM-L6-v2", "cranfield"): Path(__file__).parent / "vectors" / "cranfield_minilm.npz"}
ENCODED_AGAIN, ROUNDED = 40, 2e-4
# A few thousand short texts; the second model's are fewer because it encodes a thousand times more slowly.
N_SHORT_TEXTS = {"wordllama": 2910, "all-MiniLM-L6-v2": 1500}


def kept_vectors(corpus, encoder, file):
    """Vectors of documents and queries from a file, once the model has given a part of them again."""
    with np.load(file, allow_pickle=False) as kept:
        found = [kept[name].astype(np.float32) for name in ("documents", "queries")]
    for vectors, texts, kind in zip(found, (corpus.texts, corpus.query_texts), ("document", "query")):
        assert len(vectors) == len(texts)
        again = encoder.encode(list(texts[::ENCODED_AGAIN]), kind=kind)
        np.testing.assert_allclose(vectors[::ENCODED_AGAIN], again, atol=ROUNDED)
    return found


@pytest.fixture(scope="module")
def embedded(request):
    """Embeddings of a collection by a model, kept between runs by model revision and text."""
    store = EmbeddingStore(request.config.cache.mkdir("reference_embeddings"))
    encoders, done = {}, {}

    def embed(model, collection):
        if (model, collection) not in done:
            corpus = read_corpus(DATA / collection)
            encoder = encoders.setdefault(model, load_encoder(model))
            if (model, collection) in KEPT:
                rows, queries = kept_vectors(corpus, encoder, KEPT[model, collection])
            else:
                rows = store.embed(encoder, corpus.texts)
                queries = store.embed(encoder, corpus.query_texts, kind="query") if corpus.query_texts else None
            done[model, collection] = Embedded(corpus, model, encoder.matryoshka_dims, rows, queries, 0.0, "")
        return done[model, collection]

    return embed


@pytest.mark.parametrize("model", MODELS)
def test_sts_spearman_is_the_reference(embedded, model):
    """STS-B dev Spearman at every width, to four digits."""
    result = evaluate(embedded(model, "stsb/dev.csv"), dims=REFERENCE[model])
    assert [round(estimate.value, 4) for estimate in result.curves["spearman"].value] == [
        row[0] for row in REFERENCE[model].values()
    ]


@pytest.mark.parametrize("model", MODELS)
def test_cranfield_ndcg_is_the_reference(embedded, model):
    """Cranfield nDCG@10 with binary gains at every width, to four digits."""
    result = evaluate(embedded(model, "cranfield"), dims=REFERENCE[model], binary_qrels=True)
    assert [round(estimate.value, 4) for estimate in result.curves["ndcg@10"].value] == [
        row[1] for row in REFERENCE[model].values()
    ]


@pytest.mark.parametrize("model", MODELS)
def test_cranfield_overlap_is_the_reference(embedded, model):
    """Overlap@10 of each query's documents with those at full width, to three digits."""
    collection = embedded(model, "cranfield")
    overlap = neighbor_overlap(nested_sweep(collection.matrix, collection.queries, dims=REFERENCE[model]))
    np.testing.assert_allclose(columns(overlap.overlap)[0], [row[2] for row in REFERENCE[model].values()], atol=6e-4)


@pytest.mark.parametrize("model", MODELS)
def test_controls_tell_the_trained_model_from_the_other(embedded, model):
    """A Matryoshka prefix stands over 5 sd above random subsets at 64 dims, the other's within 2; SVD beats both."""
    collection = embedded(model, "stsb/dev.csv")
    few = Embedded(collection.corpus, model, None, collection.matrix[: N_SHORT_TEXTS[model]], None, 0.0, "")
    result = controls(analyse(few, dims=[64, collection.full_dim // 4, collection.full_dim // 2]))
    level = result.nestedness.dims.index(64)
    svd = result.curves["svd"]
    assert all(here.value > prefix for here, prefix in zip(svd.overlap[:-1], svd.prefix_overlap))
    if model == "wordllama":
        assert result.nestedness.z[level] > 5 and result.nestedness.verdict == "trained Matryoshka"
    else:
        assert abs(result.nestedness.z[level]) < 2 and result.nestedness.verdict == "no sign of Matryoshka training"
