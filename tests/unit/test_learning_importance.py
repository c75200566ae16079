"""Learned truncation: gates, their gradient, and the order that comes out."""

import json

import numpy as np
import pytest
import torch

from mrl_viz.adaptor.importance import gated_cosines, hard_gates, learn_importance, soft_gates
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.figures import coordinate_order

RNG = np.random.default_rng(0)
# Six coordinates carry the neighbors, the first four are constant, the rest is weak noise.
ROWS = np.full((300, 24), 0.05) * RNG.normal(size=(300, 24))
ROWS[:, :4] += 1.5
ROWS[:, 10:16] += RNG.normal(size=(300, 6))
ROWS = ROWS.astype(np.float32)


@pytest.mark.parametrize("softness", [1.0, 0.1])
def test_gates_sum_to_the_width_and_have_the_projection_s_gradient(softness):
    """Σ gates = m, nested over m, and the gradient equals finite differences of the exact projection."""
    scores = torch.linspace(-1, 1, 9, dtype=torch.float64, requires_grad=True)
    weights = torch.arange(9, dtype=torch.float64)
    gates = soft_gates(scores, 3, softness)
    assert gates.sum().item() == pytest.approx(3, abs=1e-5)
    assert bool((soft_gates(scores, 5, softness) >= gates).all())
    (gates * weights).sum().backward()
    step = 1e-3
    for position in range(9):
        moved = [scores.detach().clone() for _ in range(2)]
        moved[0][position] += step
        moved[1][position] -= step
        up, down = ((soft_gates(s, 3, softness) * weights).sum().item() for s in moved)
        assert scores.grad[position].item() == pytest.approx((up - down) / (2 * step), abs=2e-3)


def test_hard_gates_give_the_cosines_of_the_kept_coordinates():
    """Forward, the gates are a 0/1 choice and the cosines those of the chosen coordinates; backward, every score is
    reached."""
    scores = torch.randn(24, generator=torch.Generator().manual_seed(0), requires_grad=True)
    gates = hard_gates(scores, 6, 0.5)
    kept = np.flatnonzero(gates.detach().numpy() > 0.5)
    assert set(kept) == set(np.argsort(-scores.detach().numpy())[:6])
    chosen = ROWS[:20, kept] / np.linalg.norm(ROWS[:20, kept], axis=1, keepdims=True)
    cosines = gated_cosines(torch.tensor(ROWS[:20]), gates)
    np.testing.assert_allclose(cosines.detach().numpy(), chosen @ chosen.T, atol=1e-5)
    cosines[0, 1].backward()
    assert (scores.grad != 0).all()


def test_learnt_order_finds_the_coordinates_that_carry_neighbors():
    """The constant coordinates have the largest variance about 0 and are still not chosen; held-out overlap beats
    prefix and variance order."""
    result = learn_importance(ROWS, [3, 6], epochs=10, batch_size=64, k=5)
    assert len(set(result.order[:6]) & set(range(10, 16))) >= 5
    assert sorted(result.order) == list(range(24))
    for level in range(2):
        own = result.quality("importance").overlap[level].value
        assert own > max(
            result.quality("prefix").overlap[level].value,
            result.quality("variance").overlap[level].value,
            result.random_overlap[level],
        )
    np.testing.assert_array_equal(result.arrangement.apply(ROWS), ROWS[:, result.order])
    assert result.losses[-1] < result.losses[0]
    assert json.dumps(result.to_dict())
    assert "3 dims" in result.takeaway()
    # The model's own first six are the constant ones and two of noise.
    assert result.n_shared(6) == sum(place < 6 for place in result.order[:6].tolist()) <= 1
    said = f"Of the 6 most important coordinates {result.n_shared(6)} are among the model's own first 6"
    assert result.order_takeaway(6) == f"{said}; chance would have 2."
    points = coordinate_order(result, 6).data[1]
    assert list(points.x) == (result.order + 1).tolist() and list(points.y) == list(range(1, 25))


def test_same_seed_same_bytes_and_cancel():
    """A seed fixes the scores; a cancelled run returns the order so far."""
    first, again = (learn_importance(ROWS, [6], epochs=1, batch_size=64, seed=4) for _ in range(2))
    assert first.scores.tobytes() == again.scores.tobytes()
    assert learn_importance(ROWS, [6], epochs=9, batch_size=64, cancelled=lambda: True).stopped == "cancelled"


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: learn_importance(ROWS, [24]), DimensionError, "not below the width"),
        (lambda: learn_importance(ROWS[:50], [4]), EmptyInputError, "50 rows"),
        (lambda: learn_importance(ROWS, [4], epochs=0), InvalidInputError, "`epochs` is 0"),
        (lambda: learn_importance(ROWS, [4], held_out=0), InvalidInputError, "`held_out` is 0"),
        (
            lambda: learn_importance(ROWS, [4], epochs=1, batch_size=64).arrangement.apply(ROWS[:, :9]),
            ShapeError,
            "9 coordinates",
        ),
    ],
)
def test_bad_input_is_one_sentence(call, error, match):
    """What cannot be used is refused with the name, the value and the range."""
    with pytest.raises(error, match=match):
        call()
