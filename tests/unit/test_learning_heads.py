"""MRL and MRL-E heads, and the adaptive cascade on them."""

import numpy as np
import pytest
import torch

from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.heads.cascade import THRESHOLDS, adaptive_classification, exit_levels, learn_thresholds
from mrl_viz.heads.classifiers import train_heads
from mrl_viz.heads.training import HeadTraining, MultiGranularityClassifier

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(4), 40)
CENTRES = RNG.normal(size=(4, 16))
EMBEDDINGS = (CENTRES[LABELS] + 1.2 * RNG.normal(size=(160, 16))).astype(np.float32)
QUICK = HeadTraining(epochs=15, batch_size=32)


def test_efficient_head_equals_tied_heads():
    """MRL-E gives the logits and the summed gradient of MRL whose heads hold the same columns."""
    dims, rows = (4, 8, 16), torch.tensor(EMBEDDINGS[:20])
    efficient = MultiGranularityClassifier(dims, 4, efficient=True)
    tied = MultiGranularityClassifier(dims, 4)
    with torch.no_grad():
        for head, dim in zip(tied.heads, dims):
            head.weight.copy_(efficient.heads[0].weight[:, :dim])
            head.bias.copy_(efficient.heads[0].bias)
    for left, right in zip(efficient(rows), tied(rows)):
        torch.testing.assert_close(left, right)
    targets = torch.from_numpy(LABELS[:20])
    for head in (efficient, tied):
        sum(torch.nn.functional.cross_entropy(logits, targets) for logits in head(rows)).backward()
    summed = torch.zeros(4, 16)
    for head, dim in zip(tied.heads, dims):
        summed[:, :dim] += head.weight.grad
    torch.testing.assert_close(efficient.heads[0].weight.grad, summed)


def test_logits_are_prefix_products():
    """The output at width m is W x[:m] + b, row by row."""
    model = MultiGranularityClassifier([2, 5], 3)
    outputs = model(torch.tensor(EMBEDDINGS[:3]))
    for level, dim in enumerate((2, 5)):
        weight, bias = (part.detach().numpy() for part in model.weight(level))
        for row, logits in zip(EMBEDDINGS[:3], outputs[level].detach().numpy()):
            np.testing.assert_allclose(
                logits, [weight[c] @ row[:dim] + bias[c] for c in range(3)], rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("kind", ["mrl", "mrl-e", "separate"])
def test_training_is_seeded_and_learns(kind):
    """The same seed gives the same bytes, and held-out accuracy is far above chance at full width."""
    first = train_heads(EMBEDDINGS, LABELS, [2, 8, 16], kind=kind, training=QUICK, seed=3)
    again = train_heads(EMBEDDINGS, LABELS, [2, 8, 16], kind=kind, training=QUICK, seed=3)
    assert [w.tobytes() for w, _ in first.weights] == [w.tobytes() for w, _ in again.weights]
    assert first.accuracy == again.accuracy
    assert first.accuracy[-1].value > 0.6
    assert first.losses.shape == (15, 3)
    chances = first.probabilities(EMBEDDINGS)
    np.testing.assert_allclose(chances.sum(axis=2), 1, rtol=1e-5)
    answers = chances[:, first.held_out].argmax(axis=2) == LABELS[first.held_out]
    np.testing.assert_array_equal(answers, first.correct)


def test_fixed_features_make_mrl_equal_separate_heads():
    """Without a shared map the nested loss is a sum of unrelated losses: each width's head is the one trained alone."""
    fixed = HeadTraining(epochs=15, batch_size=32, projection=False)
    together = train_heads(EMBEDDINGS, LABELS, [4, 16], kind="mrl", training=fixed)
    alone = train_heads(EMBEDDINGS, LABELS, [4, 16], kind="separate", training=fixed)
    for (left, _), (right, _) in zip(together.weights, alone.weights):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


def test_full_width_head_reaches_logistic_regression():
    """At full width, on fixed features, the accuracy is that of sklearn's logistic regression within a few rows."""
    from sklearn.linear_model import LogisticRegression

    heads = train_heads(EMBEDDINGS, LABELS, [16], training=HeadTraining(projection=False))
    train = np.setdiff1d(np.arange(160), heads.held_out)
    unit = EMBEDDINGS / np.linalg.norm(EMBEDDINGS, axis=1, keepdims=True) * 4
    oracle = LogisticRegression(C=100, max_iter=1000).fit(unit[train], LABELS[train])
    assert heads.accuracy[0].value == pytest.approx(
        oracle.score(unit[heads.held_out], LABELS[heads.held_out]), abs=0.07
    )


def test_cancelling_keeps_the_heads():
    """A cancelled training returns what it has and says so."""
    heads = train_heads(EMBEDDINGS, LABELS, [4, 16], training=QUICK, cancelled=lambda: True)
    assert heads.stopped == "cancelled"
    assert len(heads.losses) == 1


def naive_thresholds(confidence, correct):
    result = []
    for j in range(len(confidence) - 1):
        best = (-1, None)
        for t in THRESHOLDS:
            right = sum(
                correct[j][i] if confidence[j][i] >= t else correct[j + 1][i] for i in range(len(confidence[j]))
            )
            if right > best[0]:
                best = (right, t)
        result.append(best[1])
    return result


def test_thresholds_equal_a_naive_loop():
    """Pair by pair, of 100 thresholds the smallest among the most accurate; exits are the first sure width."""
    confidence = RNG.uniform(size=(4, 50))
    correct = RNG.uniform(size=(4, 50)) < 0.3 + 0.5 * confidence
    thresholds = learn_thresholds(confidence, correct)
    np.testing.assert_array_equal(thresholds, naive_thresholds(confidence, correct))
    for item, level in enumerate(exit_levels(confidence, thresholds)):
        sure = [j for j in range(3) if confidence[j, item] >= thresholds[j]]
        assert level == (sure[0] if sure else 3)


def test_cascade_adds_up():
    """Expected width is Σ π m, one split by hand; the oracle is never less accurate; a perfect first head exits at
    once."""
    heads = train_heads(EMBEDDINGS, LABELS, [2, 4, 16], training=QUICK)
    chances = heads.probabilities(EMBEDDINGS[heads.held_out])
    result = adaptive_classification(chances, LABELS[heads.held_out], heads.dims, seed=5)
    shares = [mean for mean, _ in result.exit_share]
    assert sum(shares) == pytest.approx(1)
    assert result.expected_dim[0] == pytest.approx(np.dot(shares, [2, 4, 16]))
    assert result.cumulative_dim[0] == pytest.approx(np.dot(shares, [2, 6, 22]))
    assert result.oracle_accuracy[0] >= result.accuracy[0]
    assert result.oracle_dim[0] <= 16
    assert set(result.easy(3)).isdisjoint(result.hard(3))
    perfect = np.zeros((2, 20, 2))
    perfect[:, :, 0] = 1
    easy = adaptive_classification(perfect, np.zeros(20, dtype=int), (2, 4))
    assert easy.expected_dim == (2, 0) and easy.accuracy == (1, 0) and easy.saving == 1


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: train_heads(EMBEDDINGS, [1] * 160, [4]), EmptyInputError, "1 class;"),
        (lambda: train_heads(EMBEDDINGS, [1, 2], [4]), ShapeError, "2 values for 160 rows"),
        (lambda: train_heads(EMBEDDINGS, [None, *[1] * 159], [4]), InvalidInputError, "row 0"),
        (lambda: train_heads(EMBEDDINGS, LABELS, [17]), DimensionError, "`dim` is 17"),
        (lambda: train_heads(EMBEDDINGS, LABELS, [4], held_out=1.5), InvalidInputError, "`held_out` is 1.5"),
        (lambda: train_heads(EMBEDDINGS[:4], [0, 1, 2, 3], [4]), EmptyInputError, "one row per class"),
        (lambda: train_heads(EMBEDDINGS, LABELS, [4], kind="ff"), InvalidInputError, "`kind` is 'ff'"),
        (lambda: MultiGranularityClassifier([4], 1), InvalidInputError, "`n_classes` is 1"),
        (lambda: adaptive_classification(np.ones((2, 3, 2)), [0, 1, 1], (2, 4)), EmptyInputError, "3 rows"),
        (lambda: adaptive_classification(np.ones((1, 9, 2)), [0] * 9, (2,)), InvalidInputError, "at least 2"),
        (lambda: adaptive_classification(np.ones((2, 9, 2)), [0] * 8, (2, 4)), ShapeError, "give"),
    ],
)
def test_bad_input_is_one_sentence(call, error, match):
    """What cannot be used is refused with the name, the value and the range."""
    with pytest.raises(error, match=match):
        call()
