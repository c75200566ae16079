"""The adaptor: what it keeps exactly, what it improves, how it is saved, and what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from mrl_viz.adaptor.fit import METHODS, Adaptor, AdaptorSettings, choose_rotation, fit_adaptor
from mrl_viz.adaptor.model_folder import save_sentence_transformer
from mrl_viz.adaptor.network import AdaptorNetwork
from mrl_viz.arrangements import svd_rotation
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.sentence_transformers import as_sentence_transformer
from mrl_viz.errors import DataFormatError, DimensionError, EmptyInputError, InvalidInputError, ShapeError, StoreError
from mrl_viz.sweep import nested_sweep
from mrl_viz.tasks.retrieval import ranking_scores

RNG = np.random.default_rng(0)
# A direction that all rows share comes first in the SVD and says nothing about neighbors: there is something to learn.
ROWS = (RNG.normal(size=(400, 24)) * np.geomspace(1, 0.3, 24) + 2 * np.eye(24)[5]).astype(np.float32)
QUICK = AdaptorSettings(epochs=2, batch_size=64, hidden_dim=16, k=5, pivot=16)


@pytest.fixture(scope="module")
def minilm():
    """Half of the harder sample's passages and its queries as MiniLM sees them."""
    corpus = read_corpus("sample:hard")
    embedded = embed(corpus, "all-MiniLM-L6-v2")
    return np.concatenate([embedded.matrix[::2], embedded.queries])


@pytest.fixture(scope="module")
def judged():
    """Queries beside rows 0–39, each judged relevant to its row."""
    queries = ROWS[:40] + 0.1 * RNG.normal(size=(40, 24)).astype(np.float32)
    return queries, {query: {query: 2, query + 40: 1, query + 80: 0} for query in range(40)}


def test_default_adaptor_beats_the_raw_prefix_on_held_out_sample_rows(minilm):
    """MiniLM was not trained for truncation: on held-out passages the adaptor's small widths keep more neighbors."""
    fit = fit_adaptor(minilm, [8, 16, 32, 64], settings=AdaptorSettings(batch_size=128), held_out=0.3, validation=0.15)
    assert fit.dims == (8, 16, 32, 64, 384)
    for level in range(3):
        assert fit.gain_over_prefix[level].low > 0
    raw, own = fit.quality("prefix").overlap, fit.quality("adaptor").overlap
    assert all(mine.value > plain.value for mine, plain in zip(own[:4], raw))


def test_widths_from_the_pivot_up_are_exactly_those_of_svd():
    """The rotation turns only the first directions: from `pivot` up every cosine is the SVD's."""
    settings = AdaptorSettings(epochs=15, batch_size=64, k=5, pivot=16)
    fit = fit_adaptor(ROWS, [4, 8, 16, 20], settings=settings)
    plain = Adaptor("svd", 24, (4,), None, fit_adaptor(ROWS, [4], method="svd").adaptor.rotation)
    for dim in (16, 20, 24):
        left, right = fit.adaptor.apply(ROWS, dim=dim), plain.apply(ROWS, dim=dim)
        np.testing.assert_allclose(left @ left.T, right @ right.T, atol=1e-5)
    is_svd = np.allclose(fit.adaptor.apply(ROWS, dim=4), plain.apply(ROWS, dim=4), atol=1e-3)
    assert is_svd == (fit.learnt_share == 0)
    assert fit.strength == 0


def test_choose_rotation_keeps_what_helps_and_drops_what_does_not():
    """From a bad start to a good end some of the way is kept, the other way round none; what is kept is a rotation."""
    generator = np.random.default_rng(3)
    rows = (generator.normal(size=(500, 24)) * np.geomspace(1, 0.02, 24)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    good, other = np.eye(24, dtype=np.float32), np.linalg.qr(generator.normal(size=(24, 24)))[0]
    other[0] *= np.sign(np.linalg.det(other))
    bad = other.astype(np.float32)
    settings = AdaptorSettings(k=5)
    share, kept = choose_rotation(good, bad, rows[:300], rows[300:], (4, 8), settings)
    assert share > 0
    np.testing.assert_allclose(kept @ kept.T, np.eye(24), atol=1e-5)
    assert choose_rotation(bad, good, rows[:300], rows[300:], (4, 8), settings)[0] == 0


def test_svd_rotation_is_numpys_svd():
    """The rows are the right singular vectors of the unit rows, up to sign, strongest first."""
    unit = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    oracle = np.linalg.svd(unit.astype(np.float64), full_matrices=False)[2]
    np.testing.assert_allclose(np.abs(np.sum(svd_rotation(ROWS) * oracle, axis=1)), 1, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_bytes(method, judged, tmp_path):
    """Two fits with one seed save the same files; another seed gives others; the input is not written to."""
    queries, qrels = judged
    before = ROWS.tobytes()
    files = []
    for number, seed in enumerate((1, 1, 2)):
        fit = fit_adaptor(ROWS, [4, 8], method=method, queries=queries, qrels=qrels, settings=QUICK, seed=seed)
        folder = fit.adaptor.save(tmp_path / str(number))
        files.append(((folder / "adaptor.safetensors").read_bytes(), fit.train_losses))
    assert files[0] == files[1] != files[2]
    assert ROWS.tobytes() == before
    assert json.dumps(fit.to_dict())
    assert len(fit.rows()) == 9
    assert fit.n_held_out_queries == 8


def network(depth, activation, *, is_residual=True):
    """A network with random numbers everywhere, and the adaptor of its arrays."""
    generator = torch.Generator().manual_seed(0)
    settings = AdaptorSettings(hidden_dim=16, depth=depth, activation=activation, is_residual=is_residual)
    made = AdaptorNetwork(24, svd_rotation(ROWS), 8, settings, generator)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    rotation, layers = made.export()
    return made, Adaptor("paper", 24, (4, 8), "toy", rotation, tuple(layers), activation, is_residual)


@pytest.mark.parametrize(("depth", "activation"), [(1, "relu"), (2, "silu")])
@pytest.mark.parametrize("is_residual", [True, False])
def test_apply_equals_the_torch_network(depth, activation, is_residual):
    """What numpy computes is what was trained, whatever the scale of the rows; a part of the outputs is the same
    part."""
    made, adaptor = network(depth, activation, is_residual=is_residual)
    unit = ROWS[:9] / np.linalg.norm(ROWS[:9], axis=1, keepdims=True)
    with torch.no_grad():
        expected = made(torch.tensor(unit)).numpy()
    for scale in (7, 1e-20, 1e20):
        np.testing.assert_allclose(adaptor.apply(ROWS[:9].astype(np.float64) * scale), expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(adaptor.apply(ROWS[:9], dim=3), expected[:, :3], rtol=1e-3, atol=1e-5)
    assert not adaptor.apply(np.zeros((1, 24))).any()


def test_apply_equals_a_naive_loop():
    """Row by row the map is R c + W2 relu(W1 c + b1) + b2 with c of unit length."""
    _, adaptor = network(1, "relu")
    (w1, b1), (w2, b2) = adaptor.layers
    for row, image in zip(ROWS[:5], adaptor.apply(ROWS[:5])):
        unit = row / np.linalg.norm(row)
        expected = adaptor.rotation @ unit + w2 @ np.maximum(w1 @ unit + b1, 0) + b2
        np.testing.assert_allclose(image, expected, rtol=1e-3, atol=1e-5)


def test_network_stays_within_the_tolerance():
    """With a tolerance the network is trained, and no wide width loses more on the validation rows than allowed."""
    loose = AdaptorSettings(epochs=2, batch_size=64, hidden_dim=16, k=5, pivot=16, tolerance=1.0)
    fit = fit_adaptor(ROWS, [4, 8], settings=loose)
    assert "residual" in fit.stages
    assert bool(fit.adaptor.layers) == (fit.strength > 0)


def test_nan_loss_keeps_the_last_good_epoch():
    """A loss that is not finite ends training with a reason and a usable adaptor."""
    wild = AdaptorSettings(epochs=3, batch_size=64, hidden_dim=8, k=5, learning_rate=1e30)
    fit = fit_adaptor(ROWS, [4], method="paper", settings=wild)
    assert "not finite" in fit.stopped
    assert np.isfinite(fit.adaptor.apply(ROWS)).all()


def test_progress_and_cancel():
    """Progress counts epochs; a cancelled fit returns the best so far and says so."""
    seen = []
    fit = fit_adaptor(ROWS, [4], settings=QUICK, progress=lambda *step: seen.append(step), cancelled=lambda: bool(seen))
    assert fit.stopped == "cancelled"
    assert [(done, total, values["stage"]) for done, total, values in seen] == [(1, 2, "rotation")]


def test_supervised_learns_the_judgements():
    """Where only the last coordinates decide relevance, judgements bring them into the first, for held-out queries
    too."""
    rows, queries = (RNG.normal(size=(n, 12)).astype(np.float32) for n in (400, 80))
    last = [part[:, 9:] / np.linalg.norm(part[:, 9:], axis=1, keepdims=True) for part in (queries, rows)]
    nearest = np.argsort(-last[0] @ last[1].T, axis=1)[:, :20]
    qrels = {query: {int(row): 1 for row in found} for query, found in enumerate(nearest)}
    settings = AdaptorSettings(epochs=8, batch_size=64, hidden_dim=32, k=5, gamma=30, learning_rate=0.01)
    fit = fit_adaptor(rows, [3], method="paper", queries=queries, qrels=qrels, settings=settings)
    assert fit.quality("adaptor").ndcg[0].value > 2 * fit.quality("prefix").ndcg[0].value
    assert fit.gain_over_prefix[0].low > 0
    assert fit.measure == "nDCG@10"


def test_ndcg_equals_sklearn():
    """nDCG without ties is sklearn's."""
    from sklearn.metrics import ndcg_score

    corpus, queries = RNG.normal(size=(30, 8)), RNG.normal(size=(6, 8))
    grades = RNG.integers(0, 3, size=(6, 30))
    grades[:, 0] = 1
    sweep = nested_sweep(corpus, queries, dims=[8], k=10)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, corpus)]
    judged = [{j: int(g) for j, g in enumerate(row) if g} for row in grades]
    ours = ranking_scores(sweep.indices, judged, ("ndcg@10",))["ndcg@10"]
    theirs = [ndcg_score(grades[q : q + 1], (unit[0] @ unit[1].T)[q : q + 1], k=10) for q in range(6)]
    np.testing.assert_allclose(ours[0], theirs)


def test_saved_adaptor_loads_with_numpy_and_safetensors_only(tmp_path):
    """A fresh process maps rows to the same values without torch or sentence-transformers."""
    _, adaptor = network(1, "relu")
    folder = adaptor.save(tmp_path / "deep" / "adaptor")
    np.save(tmp_path / "rows.npy", ROWS[:9])
    code = (
        "import sys, numpy as np\n"
        "from mrl_viz.adaptor.adaptor import Adaptor\n"
        f"adaptor = Adaptor.load({str(folder)!r}, full_dim=24, model='toy')\n"
        f"np.save({str(tmp_path / 'out.npy')!r}, adaptor.apply(np.load({str(tmp_path / 'rows.npy')!r})))\n"
        "print([m for m in ('torch', 'sentence_transformers', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), adaptor.apply(ROWS[:9]), rtol=1e-4, atol=1e-6)
    tensors = load_file(folder / "adaptor.safetensors")
    assert set(tensors) == {"rotation", *(f"layers.{i}.{part}" for i in (0, 1) for part in ("weight", "bias"))}
    np.testing.assert_array_equal(tensors["rotation"], adaptor.rotation)


def test_card_tells_what_was_measured():
    """The card has one row per width, and says so where the adaptor is no better than SVD."""
    fit = fit_adaptor(ROWS, [4, 8], method="paper", settings=QUICK, model="toy")
    card = fit.card()
    assert card.count("\n| ") == 4
    assert "held-out rows" in card and fit.takeaway() in card


@pytest.mark.parametrize(
    ("activation", "depth", "method"), [("relu", 1, "paper"), ("silu", 2, "paper"), ("relu", 1, "neighbors")]
)
def test_model_folder_needs_only_sentence_transformers(tmp_path, activation, depth, method):
    """Stock modules give what `apply` gives, in a process that cannot import this package."""
    encoder = as_sentence_transformer(load_encoder("wordllama"))
    texts = ["a small boat", "the price of bread", "rain tomorrow"]
    rows = encoder.encode(read_corpus("sample:hard").texts)
    settings = AdaptorSettings(epochs=1, batch_size=64, hidden_dim=24, depth=depth, activation=activation)
    adaptor = fit_adaptor(rows, [16, 64], method=method, settings=settings, held_out=0.1).adaptor
    folder = save_sentence_transformer(adaptor, encoder.model, tmp_path / "model")
    code = (
        "import sys; sys.modules['mrl_viz'] = None\n"
        "import numpy as np\nfrom sentence_transformers import SentenceTransformer\n"
        f"model = SentenceTransformer({str(folder)!r}, truncate_dim=64, device='cpu')\n"
        f"np.save({str(tmp_path / 'out.npy')!r}, model.encode({texts!r}))"
    )
    if method == "neighbors":
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        found = np.load(tmp_path / "out.npy")
    else:
        from sentence_transformers import SentenceTransformer

        found = SentenceTransformer(str(folder), truncate_dim=64, device="cpu").encode(texts)
    assert found.shape == (3, 64)
    np.testing.assert_allclose(found, adaptor.apply(encoder.encode(texts), dim=64), atol=1e-5)
    with pytest.raises(ShapeError, match="256 coordinates but the adaptor"):
        save_sentence_transformer(Adaptor("svd", 24, (4,), None, None), encoder.model, tmp_path / "other")


def test_damaged_folders_are_refused(tmp_path):
    """A missing, cut or foreign file, another width or model: each is one sentence."""
    folder = Adaptor("svd", 24, (4,), "toy", svd_rotation(ROWS)).save(tmp_path / "a")
    with pytest.raises(DataFormatError, match=r"no config\.json"):
        Adaptor.load(tmp_path / "none")
    with pytest.raises(ShapeError, match="`full_dim` is 48"):
        Adaptor.load(folder, full_dim=48)
    with pytest.raises(InvalidInputError, match="`model` is other"):
        Adaptor.load(folder, model="other")
    whole = (folder / "adaptor.safetensors").read_bytes()
    for damaged in (whole[:-4], b"\xff" * 20, b""):
        (folder / "adaptor.safetensors").write_bytes(damaged)
        with pytest.raises(DataFormatError, match="save"):
            Adaptor.load(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"n_layers": 1}))
    for shapes in (
        {},
        {"weight": (), "bias": ()},
        {"weight": (24, 24), "bias": (23,)},
        {"weight": (24, 9), "bias": (24,)},
    ):
        layers = {f"layers.0.{part}": np.zeros(shape, dtype=np.float32) for part, shape in shapes.items()}
        save_file(layers, folder / "adaptor.safetensors")
        with pytest.raises(DataFormatError, match="save"):
            Adaptor.load(folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(StoreError, match="other files"):
        Adaptor("svd", 24, (4,), None, None).save(tmp_path / "mine")


def test_a_failed_save_leaves_the_old_adaptor(tmp_path, monkeypatch):
    """A full disk while writing: an error, and the folder as it was, nothing beside it."""
    folder = Adaptor("svd", 24, (4,), "first", None).save(tmp_path / "a")

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", full)
        with pytest.raises(StoreError, match="No space left"):
            Adaptor("svd", 24, (4,), "second", None).save(folder)
    assert Adaptor.load(folder).model == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: fit_adaptor(ROWS, [8, 24]), DimensionError, "not below the width"),
        (lambda: fit_adaptor(ROWS, [25]), DimensionError, "`dim` is 25"),
        (lambda: fit_adaptor(ROWS[:100], [8]), EmptyInputError, "fewer than `batch_size` 256"),
        (
            lambda: fit_adaptor(ROWS[:30], [8], settings=AdaptorSettings(batch_size=20)),
            EmptyInputError,
            "10 neighbors need",
        ),
        (lambda: fit_adaptor(ROWS, [8], method="search"), InvalidInputError, "learns from judgements"),
        (lambda: fit_adaptor(ROWS, [8], method="best"), InvalidInputError, "`method` is 'best'"),
        (lambda: fit_adaptor(ROWS, [8], qrels={0: {1: 1}}), InvalidInputError, "without `queries`"),
        (
            lambda: fit_adaptor(ROWS, [8], queries=ROWS[:3], qrels={0: {999: 1}}, settings=QUICK),
            InvalidInputError,
            "query 0",
        ),
        (
            lambda: fit_adaptor(ROWS, [8], queries=ROWS[:3], qrels={0: {1: 1}}, settings=QUICK),
            EmptyInputError,
            "at least 10",
        ),
        (lambda: fit_adaptor(ROWS, [8], held_out=0.9, validation=0.2), InvalidInputError, "add up"),
        (
            lambda: fit_adaptor(ROWS, [8], settings=AdaptorSettings(temperature=0)),
            InvalidInputError,
            "`temperature` is 0",
        ),
        (
            lambda: fit_adaptor(ROWS, [8], settings=AdaptorSettings(batch_size=5)),
            InvalidInputError,
            "`batch_size` is 5",
        ),
        (lambda: Adaptor("svd", 24, (4,), None, None).apply(np.ones((2, 48))), ShapeError, "fitted on 24"),
        (lambda: Adaptor("svd", 24, (4,), "a", None).apply(ROWS, model="b"), InvalidInputError, "`model` is b"),
        (lambda: fit_adaptor(np.full((300, 24), np.nan), [8]), ShapeError, "NaN"),
    ],
)
def test_bad_input_is_one_sentence(call, error, match):
    """What cannot be used is refused with the name, the value and the range."""
    with pytest.raises(error, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_training_leaves_the_global_generator_alone():
    """Seeds are local: torch's global random state is the same before and after."""
    before = torch.get_rng_state()
    fit_adaptor(ROWS, [4], settings=QUICK)
    assert torch.equal(before, torch.get_rng_state())
