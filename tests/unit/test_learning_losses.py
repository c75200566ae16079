"""In-batch losses against naive loops, and the weights of nested ones."""

import numpy as np
import pytest
import torch

from mrl_viz.errors import InvalidInputError
from mrl_viz.training.config import loss_weights, nesting_dims
from mrl_viz.training.losses import (
    cosines,
    neighbor_divergence,
    neighbor_targets,
    pair_loss,
    prediction_loss,
    ranking_loss,
    recovery_loss,
    topk_loss,
)

GENERATOR = torch.Generator().manual_seed(0)
ROWS = torch.randn(7, 12, generator=GENERATOR, dtype=torch.float64)
IMAGES = torch.randn(7, 12, generator=GENERATOR, dtype=torch.float64)


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def divergence(original, mapped, temperature):
    """KL of two spaces' neighbor distributions."""
    return neighbor_divergence(neighbor_targets(original, temperature=temperature), mapped, temperature=temperature)


def test_losses_equal_naive_loops():
    """L_pair, L_topk, L_rank and the divergence are their definitions, pair by pair."""
    a, b = ROWS.numpy(), IMAGES.numpy()
    n, k, temperature = len(a), 2, 0.05
    pairs = [abs(cosine(a[i], a[j]) - cosine(b[i], b[j])) for i in range(n) for j in range(n) if i != j]
    original, mapped = cosines(ROWS), cosines(IMAGES)
    assert pair_loss(original, mapped).item() == pytest.approx(np.mean(pairs))
    near, entropies = [], []
    for i in range(n):
        others = [j for j in range(n) if j != i]
        best = sorted(others, key=lambda j: -cosine(a[i], a[j]))[:k]
        near += [abs(cosine(a[i], a[j]) - cosine(b[i], b[j])) for j in best]
        p, q = (np.exp([cosine(x[i], x[j]) / temperature for j in others]) for x in (a, b))
        p, q = p / p.sum(), q / q.sum()
        entropies.append(float((p * np.log(p / q)).sum()))
    assert topk_loss(original, mapped, k).item() == pytest.approx(np.mean(near))
    assert divergence(original, mapped, temperature).item() == pytest.approx(np.mean(entropies))
    scores, grades = ROWS[:2, :5], torch.tensor([[2.0, 0, 1, 0, 0], [0, 0, 0, 1, 0]], dtype=torch.float64)
    s, y = scores.numpy(), grades.numpy()
    terms = [
        (y[i, j] - y[i, m]) * np.log1p(np.exp(s[i, m] - s[i, j]))
        for i in range(2) for j in range(5) for m in range(5) if y[i, j] > y[i, m]
    ]  # fmt: skip
    assert ranking_loss(scores, grades).item() == pytest.approx(float(np.mean(terms)))


def test_search_losses_equal_naive_loops():
    """L_rec is the mean L1 distance of rows and their images; L_pred the mean L1 distance of queries and what their
    documents predict, weighted with the grade, so that grade 2 counts twice and grade 0 not at all."""
    a, b = ROWS.numpy(), IMAGES.numpy()
    distances = [sum(abs(a[i, c] - b[i, c]) for c in range(12)) for i in range(7)]
    assert recovery_loss(ROWS, IMAGES).item() == pytest.approx(np.mean(distances))
    grades = torch.tensor([[2.0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 3, 0]], dtype=torch.float64)
    total = weight = 0.0
    for i in range(3):
        for j in range(7):
            grade = grades[i, j].item()
            total += grade * sum(abs(a[i, c] - b[j, c]) for c in range(12))
            weight += grade
    assert prediction_loss(IMAGES, ROWS[:3], grades).item() == pytest.approx(total / weight)


def test_no_judged_pair_predicts_nothing():
    """Without a grade above 0, L_pred is 0 and so is its gradient."""
    predicted = IMAGES.clone().requires_grad_(True)
    value = prediction_loss(predicted, ROWS[:2], torch.zeros(2, 7))
    value.backward()
    assert value.item() == 0 and not predicted.grad.any()


def test_equal_spaces_have_no_loss():
    """A space against itself: every loss is 0, and its gradient is finite."""
    image = ROWS.clone().requires_grad_(True)
    value = divergence(cosines(ROWS), cosines(image), 0.05)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-9)
    assert torch.isfinite(image.grad).all()
    assert pair_loss(cosines(ROWS), cosines(ROWS)).item() == 0


def test_weights():
    """uniform is 1, importance alpha^i, boost 2 for the smallest, given ones pass."""
    assert loss_weights((8, 16), "uniform") == (1, 1) and loss_weights((8, 16), (2, 0)) == (2, 0)
    assert loss_weights((8, 16, 32), "importance") == pytest.approx((1, 0.8, 0.64))
    assert loss_weights((8, 16, 32), "importance", 0.5) == (1, 0.5, 0.25)
    assert loss_weights((8, 16, 32), "boost", 0.5) == (2, 1, 1)


@pytest.mark.parametrize("full_dim", [256, 384, 2048])
@pytest.mark.parametrize("smallest", [8, 24])
def test_spacing(full_dim, smallest):
    """Log spacing doubles; even spacing has as many widths, from the smallest to the full one, in equal steps."""
    log, even = (nesting_dims(full_dim, spacing, smallest) for spacing in ("log", "even"))
    assert log[:-1] == tuple(smallest * 2**place for place in range(len(log) - 1)) and log[-2] < full_dim == log[-1]
    assert full_dim <= 2 * log[-2]
    assert len(even) == len(log) and (even[0], even[-1]) == (smallest, full_dim)
    assert np.ptp(np.diff(even)) <= 1


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: loss_weights((8, 16), (1,)), InvalidInputError, "1 numbers for 2 widths"),
        (lambda: loss_weights((8,), "log"), InvalidInputError, "uniform"),
        (lambda: loss_weights((8,), (-1,)), InvalidInputError, "from 0 up"),
    ],
)
def test_bad_input_is_one_sentence(call, error, match):
    """What cannot be used is refused with the name, the value and the range."""
    with pytest.raises(error, match=match):
        call()
