"""An adaptor for a real frozen model on real texts: what it gains, and that its model folder works on its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mrl_viz.adaptor.fit import AdaptorSettings, fit_adaptor
from mrl_viz.adaptor.model_folder import save_sentence_transformer
from mrl_viz.data.reading import corpus_from_texts, read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.store import EmbeddingStore

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the reference collections (../shared/data) are not on this machine"
)
MODEL = "all-MiniLM-L6-v2"
N_TEXTS = 900
# Only sentence-transformers: this package cannot be imported there.
ELSEWHERE = """
import json, sys
sys.modules["mrl_viz"] = None
import numpy as np
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], truncate_dim=64, device="cpu")
np.save(sys.argv[2], model.encode(json.load(open(sys.argv[3]))))
"""


@pytest.fixture(scope="module")
def fitted(request, tmp_path_factory):
    """MiniLM, its adaptor on sentences of STS-B, and the model folder with the adaptor inside."""
    texts = read_corpus(DATA / "stsb" / "dev.csv").texts[:N_TEXTS]
    encoder = load_encoder(MODEL)
    store = EmbeddingStore(request.config.cache.mkdir("reference_embeddings"))
    rows = store.embed(encoder, texts, kind="document")
    fit = fit_adaptor(rows, [8, 16, 32, 64], settings=AdaptorSettings(epochs=12), model=MODEL)
    folder = save_sentence_transformer(fit.adaptor, encoder.model, tmp_path_factory.mktemp("adapted") / "model")
    return texts, rows, fit, folder


def test_a_frozen_model_gains_at_every_narrow_width(fitted):
    """MiniLM was not trained for truncation: on held-out sentences the adaptor surely beats its prefix at 8 to 64."""
    fit = fitted[2]
    assert [gain.low > 0.05 for gain in fit.gain_over_prefix[:4]] == [True] * 4
    own, prefix = ([overlap.value for overlap in fit.quality(name).overlap] for name in ("adaptor", "prefix"))
    # The paper speaks of half the width at equal quality: here 32 adapted dims do better than 64 raw ones.
    assert own[2] > prefix[3] or own[1] > prefix[2]


def test_the_model_folder_needs_only_sentence_transformers(fitted, tmp_path):
    """A fresh process without this package loads the folder with truncate_dim=64 and gives what `apply` gives."""
    texts, rows, fit, folder = fitted
    (tmp_path / "texts.json").write_text(json.dumps(texts[:20]))
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(folder), str(tmp_path / "out.npy"), str(tmp_path / "texts.json")],
        capture_output=True, check=True,
    )  # fmt: skip
    found = np.load(tmp_path / "out.npy")
    assert found.shape == (20, 64)
    np.testing.assert_allclose(found, fit.adaptor.apply(rows[:20], dim=64), atol=1e-4)


def test_the_model_folder_is_a_model_everywhere_here(fitted):
    """`load_encoder` and `embed` take the folder as any model, without code of its own, and know its widths."""
    texts, rows, fit, folder = fitted
    encoder = load_encoder(str(folder), trust_remote_code=False)
    assert encoder.matryoshka_dims == (8, 16, 32, 64, 384) and encoder.full_dim == 384
    embedded = embed(corpus_from_texts(texts[:30], keep_duplicates=True), str(folder))
    np.testing.assert_allclose(embedded.matrix, fit.adaptor.apply(rows[:30]), atol=1e-4)
    modules = json.loads((folder / "modules.json").read_text())
    assert all(module["type"].startswith("sentence_transformers.") for module in modules)
