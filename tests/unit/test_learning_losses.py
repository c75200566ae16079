"""Nested and in-batch losses against sentence-transformers and naive loops."""

import numpy as np
import pytest
import torch
from torch import nn

from mrl_viz.errors import DimensionError, InvalidInputError, ShapeError
from mrl_viz.training.losses import (
    MultiGranularityLoss,
    cosines,
    in_batch_contrastive,
    loss_weights,
    neighbor_divergence,
    pair_loss,
    ranking_loss,
    topk_loss,
)

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.randn(7, 12, generator=GENERATOR, dtype=torch.float64)
IMAGES = torch.randn(7, 12, generator=GENERATOR, dtype=torch.float64)


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.fixture(scope="module")
def tiny_model():
    """A sentence-transformers model of eight words and sixteen coordinates."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: number for number, word in enumerate([*"abcdefgh", "[UNK]"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(0).normal(size=(len(words), 16)).astype(np.float32)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5)])
def test_sliced_loss_equals_matryoshka_loss(tiny_model, weights):
    """Value and gradient are those of MatryoshkaLoss around MultipleNegativesRankingLoss."""
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss

    dims = (4, 8, 16)
    anchors, positives = (tiny_model.preprocess(texts) for texts in (["a b", "c", "d e f"], ["a", "c g", "f h"]))
    table = tiny_model[0].embedding.weight
    theirs = MatryoshkaLoss(tiny_model, MultipleNegativesRankingLoss(tiny_model), list(dims), list(weights))
    tiny_model.zero_grad()
    value = theirs([dict(anchors), dict(positives)], None)
    value.backward()
    gradient = table.grad.clone()
    tiny_model.zero_grad()
    ours = MultiGranularityLoss(dims, in_batch_contrastive, weights, n_embeddings=2)
    left, right = (tiny_model(dict(part))["sentence_embedding"] for part in (anchors, positives))
    own = ours(left, right)
    own.backward()
    assert own.item() == pytest.approx(value.item(), rel=1e-5)
    torch.testing.assert_close(table.grad, gradient, rtol=1e-4, atol=1e-6)


def test_loss_of_outputs_is_the_weighted_sum():
    """With one output per width the loss is Σ c_m · loss(output_m), by a naive loop."""
    outputs = [ROWS[:, :3], IMAGES[:, :3]]
    targets = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    nested = MultiGranularityLoss([4, 8], nn.CrossEntropyLoss(), "importance", alpha=0.5)
    expected = 0.0
    for weight, output in zip((1.0, 0.5), outputs):
        expected += weight * np.mean([-torch.log_softmax(row, 0)[t].item() for row, t in zip(output, targets)])
    assert nested(outputs, targets).item() == pytest.approx(expected)
    assert nested.terms(outputs, targets).shape == (2,)


def test_losses_equal_naive_loops():
    """L_pair, L_topk, L_rank and the divergence are their definitions, pair by pair."""
    a, b = ROWS.numpy(), IMAGES.numpy()
    n, k, temperature = len(a), 2, 0.05
    pairs = [abs(cosine(a[i], a[j]) - cosine(b[i], b[j])) for i in range(n) for j in range(n) if i != j]
    original, mapped = cosines(ROWS), cosines(IMAGES)
    assert pair_loss(original, mapped).item() == pytest.approx(np.mean(pairs))
    near, divergence = [], []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        best = sorted(others, key=lambda j: -cosine(a[i], a[j]))[:k]
        near += [abs(cosine(a[i], a[j]) - cosine(b[i], b[j])) for j in best]
        p, q = (np.exp([cosine(x[i], x[j]) / temperature for j in others]) for x in (a, b))
        p, q = p / p.sum(), q / q.sum()
        divergence.append(float((p * np.log(p / q)).sum()))
    assert topk_loss(original, mapped, k).item() == pytest.approx(np.mean(near))
    assert neighbor_divergence(original, mapped, temperature=temperature).item() == pytest.approx(np.mean(divergence))
    scores, grades = ROWS[:2, :5], torch.tensor([[2.0, 0, 1, 0, 0], [0, 0, 0, 1, 0]], dtype=torch.float64)
    s, y = scores.numpy(), grades.numpy()
    terms = [
        (y[i, j] - y[i, m]) * np.log1p(np.exp(s[i, m] - s[i, j]))
        for i in range(2) for j in range(5) for m in range(5) if y[i, j] > y[i, m]
    ]  # fmt: skip
    assert ranking_loss(scores, grades).item() == pytest.approx(float(np.mean(terms)))


def test_equal_spaces_have_no_loss():
    """A space against itself: every loss is 0, and its gradient is finite."""
    image = ROWS.clone().requires_grad_(True)
    value = neighbor_divergence(cosines(ROWS), cosines(image), temperature=0.05)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-9)
    assert torch.isfinite(image.grad).all()
    assert pair_loss(cosines(ROWS), cosines(ROWS)).item() == 0


def test_weights():
    """uniform is 1, importance α^i, given ones pass; a width of weight 0 is never computed."""
    assert loss_weights((8, 16), "uniform") == (1, 1)
    assert loss_weights((8, 16, 32), "importance", alpha=0.5) == (1, 0.5, 0.25)
    assert MultiGranularityLoss([16, 4], nn.MSELoss(), (2, 1)).weights == (1, 2)  # a weight stays with its width
    seen = []
    loss = MultiGranularityLoss([2, 4], lambda rows: seen.append(rows.shape[1]) or rows.sum(), (1, 0), n_embeddings=1)
    loss(ROWS)
    assert seen == [2]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: loss_weights((8, 16), (1,)), InvalidInputError, "1 numbers for 2 widths"),
        (lambda: loss_weights((8,), "log"), InvalidInputError, "uniform"),
        (lambda: loss_weights((8,), "importance", alpha=0), InvalidInputError, "`alpha` is 0"),
        (lambda: loss_weights((8,), (-1,)), InvalidInputError, "from 0 up"),
        (lambda: MultiGranularityLoss([0], nn.MSELoss()), DimensionError, "`dim` is 0"),
        (lambda: MultiGranularityLoss([4, 8], nn.MSELoss())([ROWS], ROWS), ShapeError, "1 entries for 2 widths"),
        (lambda: MultiGranularityLoss([64], nn.MSELoss(), n_embeddings=2)(ROWS, ROWS), ShapeError, "64 coordinates"),
    ],
)
def test_bad_input_is_one_sentence(call, error, match):
    """What cannot be used is refused with the name, the value and the range."""
    with pytest.raises(error, match=match):
        call()
