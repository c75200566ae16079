"""Frozen texts say when the model that answers is another one: by how far they moved, and by what they find."""

import json
import re

import numpy as np
import pytest

from mrl_viz.cli.main import main
from mrl_viz.decide.canary import check_canaries
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError
from mrl_viz.measures.lists import shared_share
from mrl_viz.sweep import nested_sweep
from tests.embedding_server import make_endpoint, serving


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    corpus = rng.normal(size=(300, 16)).astype(np.float32)
    return corpus, corpus[:30] + 0.3 * rng.normal(size=(30, 16)).astype(np.float32)


def test_what_did_not_move_is_quiet(vectors):
    """The same vectors, also scaled or in half precision."""
    corpus, kept = vectors
    for again in (kept, kept * 3, kept.astype(np.float16).astype(np.float32)):
        found = check_canaries(kept, again, corpus, dim=8, k=5)
        assert not found.has_moved and found.moved == () and found.largest < 1e-5
        assert "are where they were" in found.takeaway()
    assert check_canaries(kept, kept, corpus, dim=8, k=5).agreement.value == 1


def test_what_moved_is_named(vectors):
    """By the formula: 1 - cosine, the largest first; and the neighbors at the deployed width."""
    corpus, kept = vectors
    again = kept.copy()
    again[[4, 17]] += np.float32([[0.4], [1.5]])
    found = check_canaries(kept, again, corpus, dim=8, k=5)
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(kept, again)]
    np.testing.assert_allclose(found.change, 1 - np.array(cosines), atol=1e-6)
    assert found.moved == (17, 4) and found.has_moved and found.largest == found.change[17]
    lists = [nested_sweep(corpus[:, :8], rows[:, :8], dims=[8], k=5).indices[-1] for rows in (kept, again)]
    assert found.agreement.value == pytest.approx(shared_share(*lists).mean())
    assert "2 of 30 canaries have moved" in found.takeaway() and "row 17" in found.takeaway()
    assert not check_canaries(kept, again, corpus, dim=8, k=5, tolerance=1.9).has_moved
    json.dumps(found.to_dict(), allow_nan=False)


def test_canaries_of_another_model_are_said(vectors):
    """Another width, nothing frozen, a tolerance that nothing can pass."""
    corpus, kept = vectors
    with pytest.raises(DimensionError, match="the model gives 12 coordinates and the corpus 16"):
        check_canaries(kept, kept[:, :12], corpus, dim=8)
    with pytest.raises(DimensionError, match="`canary` has 12"):
        check_canaries(kept[:, :12], kept, corpus, dim=8)
    with pytest.raises(EmptyInputError, match="holds no texts"):
        check_canaries(kept[:0], kept[:0], corpus, dim=8)
    with pytest.raises(InvalidInputError, match="`tolerance` is 0"):
        check_canaries(kept, kept, corpus, dim=8, tolerance=0)
    with pytest.raises(InvalidInputError, match="30 vectors and 29 texts"):
        check_canaries(kept, kept[1:], corpus, dim=8)


def test_the_command_freezes_and_asks(tmp_path, capsys):
    """`embed --out .npz` freezes; `monitor --canary` is 0 while the model is the same and 1 when it is not."""
    texts, canary = tmp_path / "canaries.txt", tmp_path / "canary.npz"
    texts.write_text("where do planets come from\nhow to bake bread\nthe price of a tram ticket\n")
    assert main(["embed", str(texts), "--out", str(canary)]) == 0
    asked = ["monitor", "sample", "--plan", "64", "--target", "0.3", "--seed", "0", "--canary"]
    assert main([*asked, str(canary), "--json", str(tmp_path / "m.json")]) == 0
    assert "All 3 canaries are where they were" in capsys.readouterr().out
    assert json.loads((tmp_path / "m.json").read_text())["canary"]["has_moved"] is False
    with np.load(canary) as saved:
        frozen = dict(saved)
    frozen["embeddings"][1] = frozen["embeddings"][0]
    np.savez(tmp_path / "other.npz", **frozen)
    assert main([*asked, str(tmp_path / "other.npz")]) == 1
    assert "1 of 3 canaries have moved" in capsys.readouterr().out
    np.save(tmp_path / "bare.npy", frozen["embeddings"])
    for file, message in ((tmp_path / "bare.npy", "has no texts with vectors"), (texts, "has no texts with vectors")):
        assert main([*asked, str(file)]) == 2
        assert message in capsys.readouterr().err


def test_what_an_api_is_sent_of_canaries_is_counted_before(tmp_path, monkeypatch, capsys):
    """They are embedded again at every check, so their texts, tokens and price are announced beside the corpus's."""
    texts, canary = tmp_path / "texts.txt", tmp_path / "canary.npz"
    texts.write_text("".join(f"text {number} about {number % 7} things\n" for number in range(40)))
    (tmp_path / "few.txt").write_text("where do planets come from\nhow to bake bread\n")
    assert main(["embed", str(tmp_path / "few.txt"), "--out", str(canary)]) == 0
    capsys.readouterr()
    monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MRL_VIZ_ALLOW_API", "1")
    asked = ["monitor", str(texts), "--model", "openai:wordllama", "--price-per-million", "2", "--plan", "64"]
    with serving(load_encoder()) as server:
        make_endpoint(server, monkeypatch)
        assert main([*asked, "--target", "0.1", "--canary", str(canary)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert re.match(r"openai:wordllama: up to 40 texts, about \d+ tokens, about 0\.0", said[0])
    assert re.match(r"openai:wordllama: up to 2 texts, about \d+ tokens, about 0\.0", said[1])
