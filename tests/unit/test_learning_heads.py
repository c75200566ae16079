"""MRL and MRL-E heads, and the adaptive cascade on them."""

import numpy as np
import pytest
import torch

from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError
from mrl_viz.heads.cascade import (
    NEVER,
    PAPERS_RULE,
    THRESHOLDS,
    Answers,
    ExitRule,
    adaptive_classification,
    answers_of,
    exit_levels,
    learn_one_threshold,
    learn_thresholds,
)
from mrl_viz.heads.classifiers import train_heads
from mrl_viz.heads.training import HeadTraining, MultiGranularityClassifier

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(4), 40)
CENTRES = RNG.normal(size=(4, 16))
EMBEDDINGS = (CENTRES[LABELS] + 1.2 * RNG.normal(size=(160, 16))).astype(np.float32)
QUICK = HeadTraining(epochs=15, batch_size=32)
DEEP = HeadTraining(epochs=15, batch_size=32, weight_decay=0.1, hidden_dim=12)


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


@pytest.mark.parametrize("kind", ["mrl", "mrl-e", "separate"])
def test_heads_behind_hidden_layers_are_a_network_of_their_weights(kind):
    """Probabilities are those of the layers one after another, rectified between; what `embed` gives is what the heads
    read; the same seed gives the same bytes."""
    heads, again = (train_heads(EMBEDDINGS, LABELS, [2, 16], kind=kind, training=DEEP, seed=3) for _ in range(2))
    assert [w.tobytes() for trunk in heads.trunks for w, _ in trunk] == [
        w.tobytes() for trunk in again.trunks for w, _ in trunk
    ]
    scaled = EMBEDDINGS / np.linalg.norm(EMBEDDINGS, axis=1, keepdims=True) * 4
    for level, dim in enumerate((2, 16)):
        (first, shift), (second, offset) = heads.trunks[level]
        read = np.maximum(scaled @ first.T + shift, 0) @ second.T + offset
        weight, bias = heads.weights[level]
        logits = read[:, :dim] @ weight.T + bias
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(heads.probabilities(EMBEDDINGS)[level], chances, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(heads.embed(EMBEDDINGS), read, rtol=1e-4, atol=1e-5)
    assert heads.accuracy[-1].value > 0.6


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


def naive_threshold(confidence, correct, dims, loss):
    """Every confidence that occurs, tried by a loop; of those that lose no more, the one that reads least."""
    best = (dims[-1], NEVER)
    for t in sorted(set(confidence[:-1].ravel().tolist())):
        exits = [next((j for j in range(len(dims) - 1) if row[j] >= t), len(dims) - 1) for row in confidence.T]
        accuracy = np.mean([correct[j, i] for i, j in enumerate(exits)])
        expected = np.mean([dims[j] for j in exits])
        if accuracy >= correct[-1].mean() - loss - 1e-12 and expected < best[0]:
            best = (expected, t)
    return best[1]


@pytest.mark.parametrize("loss", [0, 0.02, 0.5])
def test_one_threshold_equals_a_naive_loop(loss):
    """Of all confidences, the one whose cascade reads least and is at most `loss` less often right."""
    dims = (2, 4, 8, 16)
    confidence = RNG.uniform(size=(4, 60)).astype(np.float32)
    correct = RNG.uniform(size=(4, 60)) < 0.3 + 0.5 * confidence
    found = learn_one_threshold(confidence, correct, dims, loss)
    np.testing.assert_allclose(found, naive_threshold(confidence, correct, dims, loss))
    assert found.shape == (3,)


def test_where_every_cascade_loses_too_much_everything_is_read():
    """A first head that is sure and wrong: no threshold is low enough to be reached."""
    correct = np.array([[False] * 20, [True] * 20])
    assert learn_one_threshold(np.ones((2, 20)), correct, (2, 4), 0.0)[0] == NEVER


def test_confidences_are_the_top_two():
    """The margin is the largest probability less the second, the softmax the largest; ties predict the lower class."""
    chances = np.array([[[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]])
    found = answers_of(chances, [0, 1])
    np.testing.assert_allclose(found.margin, [[0.2, 0]], atol=1e-6)
    np.testing.assert_allclose(found.softmax, [[0.5, 0.4]], atol=1e-6)
    assert found.predicted.tolist() == [[0, 0]] and found.correct.tolist() == [[True, False]]


@pytest.mark.parametrize("rule", [ExitRule(), ExitRule(loss=0.1, confidence="softmax"), PAPERS_RULE])
def test_cascade_adds_up(rule):
    """Expected width is Σ π m; savings are ratios to it; the oracle is never less accurate; a perfect first head exits
    at once."""
    heads = train_heads(EMBEDDINGS, LABELS, [2, 4, 16], training=QUICK)
    learn, measure = heads.held_out[::2], heads.held_out[1::2]
    answers = [answers_of(heads.probabilities(EMBEDDINGS[rows]), LABELS[rows]) for rows in (learn, measure)]
    result = adaptive_classification(*answers, heads.dims, rule=rule, seed=5)
    shares = [share.value for share in result.exit_share]
    assert sum(shares) == pytest.approx(1)
    assert result.expected_dim.value == pytest.approx(np.dot(shares, [2, 4, 16]))
    assert result.cumulative_dim.value == pytest.approx(np.dot(shares, [2, 6, 22]))
    assert result.saving_full.value == pytest.approx(16 / result.expected_dim.value)
    assert result.saving_fixed.high == pytest.approx(result.fixed_dim / result.expected_dim.low)
    assert result.accuracy.value == pytest.approx(result.right.mean())
    assert result.gain_full.value == pytest.approx(result.accuracy.value - result.fixed_accuracy[-1].value)
    level = result.dims.index(result.fixed_dim)
    assert result.gain_fixed.value == pytest.approx(result.accuracy.value - result.fixed_accuracy[level].value)
    assert result.oracle_accuracy.value >= result.accuracy.value
    assert result.oracle_dim.value <= 16
    assert set(result.easy(3)).isdisjoint(result.hard(3))
    perfect = np.zeros((2, 20, 2))
    perfect[:, :, 0] = 1
    sure = answers_of(perfect, np.zeros(20, dtype=int))
    easy = adaptive_classification(sure, sure, (2, 4), rule=rule)
    assert easy.expected_dim.value == 2 and easy.accuracy.value == 1
    assert easy.saving_full.value == 2 and easy.fixed_dim == 2 and easy.saving_fixed.value == 1


def test_the_best_fixed_width_is_chosen_on_the_rows_that_teach():
    """The smallest width that does what is asked on the rows of the thresholds, whatever it does on the measured."""
    correct = np.zeros((3, 40), dtype=bool)
    correct[0, :20], correct[1, :38], correct[2, :40] = True, True, True
    unsure = np.zeros((3, 40), dtype=np.float32)
    teach = Answers(np.zeros((3, 40), dtype=int), correct, unsure, unsure)
    other = Answers(teach.predicted, ~correct, unsure, unsure)
    for loss, dim in ((0, 8), (0.05, 4), (0.5, 2)):
        assert adaptive_classification(teach, other, (2, 4, 8), rule=ExitRule(loss=loss)).fixed_dim == dim


BAD_TRAINING = HeadTraining(hidden_dim=-1)
EIGHT = answers_of(np.full((2, 8, 2), 0.5), np.zeros(8, dtype=int))


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
        (
            lambda: train_heads(EMBEDDINGS, LABELS, [4], training=HeadTraining(hidden_dim=-1)),
            InvalidInputError,
            "is -1",
        ),
        (
            lambda: train_heads(EMBEDDINGS, LABELS, [4], training=QUICK).embed(EMBEDDINGS),
            InvalidInputError,
            "no hidden",
        ),
        (
            lambda: adaptive_classification(answers_of(np.ones((2, 3, 2)), [0, 1, 1]), EIGHT, (2, 4)),
            EmptyInputError,
            "`learn` has 3 rows",
        ),
        (lambda: adaptive_classification(EIGHT, EIGHT, (2,)), InvalidInputError, "at least 2"),
        (lambda: adaptive_classification(EIGHT, EIGHT, (2, 4, 8)), ShapeError, "answers of 2 widths"),
        (lambda: adaptive_classification(EIGHT, EIGHT, (2, 4), rule=ExitRule("own")), InvalidInputError, "`kind`"),
        (
            lambda: adaptive_classification(EIGHT, EIGHT, (2, 4), rule=ExitRule(confidence="entropy")),
            InvalidInputError,
            "`confidence` is 'entropy'",
        ),
        (
            lambda: adaptive_classification(EIGHT, EIGHT, (2, 4), rule=ExitRule(loss=1)),
            InvalidInputError,
            "`loss` is 1",
        ),
        (lambda: answers_of(np.ones((2, 9, 2)), [0] * 8), ShapeError, "give"),
        (lambda: answers_of(np.full((2, 9, 2), np.nan), [0] * 9), ShapeError, "NaN"),
    ],
)
def test_bad_input_is_one_sentence(call, error, match):
    """What cannot be used is refused with the name, the value and the range."""
    with pytest.raises(error, match=match):
        call()
