"""Contrastive training against a naive loop, its schedules, seeds, checkpoints, and what it refuses."""

import json
import math
import os
import resource
from dataclasses import replace

import numpy as np
import pytest
import torch

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.errors import (
    CancelledError,
    DataFormatError,
    DimensionError,
    EmptyInputError,
    InvalidInputError,
    ShapeError,
    StoreError,
)
from mrl_viz.training.checkpoints import TrainingState
from mrl_viz.training.config import TrainingConfig, check_config, nesting_dims
from mrl_viz.training.data import (
    TrainingData,
    check_batch,
    epoch_batches,
    labelled_data,
    paired_data,
    scored_data,
    training_data,
)
from mrl_viz.training.loop import _levels, train_contrastive
from tests.tiny_model import DIM, save_tiny_model, tiny_texts

TEXTS, LABELS = tiny_texts()
CONFIG = TrainingConfig(model="tiny", dims=(4, 8), epochs=4, batch_size=4, dropout=0.0, seed=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The tiny model, loaded as any model is."""
    return load_encoder(str(save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")), device="cpu")


@pytest.fixture(scope="module")
def data():
    return labelled_data(TEXTS, LABELS)


@pytest.fixture(scope="module")
def triplets():
    """Text n of a topic belongs to text n + 1, not to one of the next topic."""
    anchors, positives, negatives = TEXTS[0::2], TEXTS[1::2], TEXTS[12::2] + TEXTS[:12:2]
    return paired_data(anchors, positives, [f"{text} choir" for text in negatives])


@pytest.fixture(scope="module")
def scored():
    """Every second text and one after it: of the same topic, scored 2 or 3, or of another one, scored 0."""
    others = [(row + 1 + 12 * (row // 2 % 2)) % len(TEXTS) for row in range(0, len(TEXTS), 2)]
    scores = [(2 + row % 4 // 2) * (LABELS[row] == LABELS[other]) for row, other in zip(range(0, 48, 2), others)]
    return scored_data(TEXTS[0::2], [TEXTS[other] for other in others], scores)


def matrix(trained):
    """The trained projection."""
    return list(trained.model)[-1].linear.weight.detach()


def naive_cosent(lefts, rights, scores, config):
    """log(1 + Σ exp(scale (cosine of the lower pair − that of the higher))) over all pairs of pairs that differ."""
    cosines = [torch.dot(a, b) / (a.norm() * b.norm()) for a, b in zip(lefts, rights)]
    total = 0 * sum(cosines)
    for higher, cosine in zip(scores, cosines):
        for lower, other in zip(scores, cosines):
            if higher > lower:
                total = total + torch.exp(config.scale * (other - cosine))
    return torch.log(1 + total)


def naive(model, data, config, dims, weights, joined):
    """The same training written out: softmax over cosines of prefixes, width after width; returns matrix and losses."""
    rows = torch.from_numpy(model.encode(data.texts))
    rows = rows / rows.norm(dim=1, keepdim=True)
    start = torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(config.seed))
    own = torch.linalg.qr(start)[0].clone().requires_grad_(True)
    optimizer = torch.optim.Adam([own])
    epochs = []
    for epoch in range(config.epochs):
        batches = list(epoch_batches(data, config.batch_size, seed=config.seed, epoch=epoch))
        means = {dim: [] for dim in dims}
        for step, columns in enumerate(batches):
            share = (epoch + (step + 0.5) / len(batches)) / config.epochs
            optimizer.param_groups[0]["lr"] = (
                config.step_size * min(share / 0.1, 1) * 0.5 * (1 + math.cos(math.pi * share))
            )
            total = 0.0
            for dim, weight in zip(dims, weights):
                if dim not in joined(epoch):
                    continue
                anchors, *others = ((rows[column] @ own.T)[:, :dim] for column in columns)
                if data.kind == "scored":
                    loss = naive_cosent(anchors, others[0], [data.score_of[pair] for pair in zip(*columns)], config)
                    means[dim].append(loss.item())
                    total = total + weight * loss
                    continue
                candidates = torch.cat(others)
                loss = 0.0
                for i, anchor in enumerate(anchors):
                    scores = torch.stack(
                        [config.scale * torch.dot(anchor, c) / (anchor.norm() * c.norm()) for c in candidates]
                    )
                    loss = loss - (scores[i] - torch.logsumexp(scores, 0)) / len(anchors)
                means[dim].append(loss.item())
                total = total + weight * loss
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        epochs.append([np.mean(means[dim]) if means[dim] else np.nan for dim in dims])
    return own.detach(), np.array(epochs)


@pytest.mark.parametrize("kind", ["labels", "triplets"])
@pytest.mark.parametrize(
    ("run", "schedule", "weights", "joined"),
    [
        ("matryoshka", "all", (2.0, 1.0, 0.5), lambda epoch: (4, 8, 16)),
        ("matryoshka", "progressive", (1.0, 1.0, 1.0), lambda epoch: (4, 8) if epoch < 2 else (4, 8, 16)),
        ("matryoshka", "large-first", (1.0, 1.0, 1.0), lambda epoch: [(16,), (8, 16), (4, 8, 16), (4, 8, 16)][epoch]),
        ("plain", "all", (2.0, 1.0, 0.5), lambda epoch: (16,)),
    ],
    ids=["all", "progressive", "large-first", "plain"],
)
def test_training_equals_a_naive_loop(model, data, triplets, kind, run, schedule, weights, joined):
    """Weights after four epochs and the loss of every epoch and width are those of the definition, step by step."""
    chosen = data if kind == "labels" else triplets
    config = replace(CONFIG, dims=(4, 8, DIM), schedule=schedule, weights=weights)
    trained = train_contrastive(model, chosen, config, run=run)
    factors = weights if run == "matryoshka" else (0, 0, 1.0)
    expected, losses = naive(model, chosen, config, (4, 8, 16), factors, joined)
    torch.testing.assert_close(matrix(trained), expected, rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(trained.losses, losses[:, -len(trained.dims) :], rtol=1e-3)
    if kind == "labels":  # a dozen triplets against their own topic teach nothing
        widest = np.flatnonzero(~np.isnan(trained.losses[0]))[-1]  # of those that take part from the start
        assert trained.losses[-1, widest] < trained.losses[0, widest]


@pytest.mark.parametrize(
    ("run", "width", "dims", "weights"),
    [("matryoshka", None, (4, 8, 16), (2.0, 1.0, 1.0)), ("plain", None, (16,), (1.0,)), ("alone", 4, (4,), (1.0,))],
)
def test_scores_train_by_a_naive_cosent(model, scored, run, width, dims, weights):
    """Pairs with scores train by CoSENT at every width, the smallest boosted; at the full one; or at one alone."""
    config = replace(CONFIG, dims=(4, 8, DIM), weights="boost")
    trained = train_contrastive(model, scored, config, run=run, width=width)
    assert trained.dims == dims
    expected, losses = naive(model, scored, config, dims, weights, lambda epoch: dims)
    torch.testing.assert_close(matrix(trained), expected, rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(trained.losses, losses, rtol=1e-3)


@pytest.mark.parametrize("base", ["static", "whole"])
def test_scores_train_other_bases(model, scored, base):
    """The rows of a table, and a whole model, learn from scores: the loss of the full width falls."""
    trained = train_contrastive(model, scored, replace(CONFIG, base=base, epochs=6, learning_rate=0.05), run="plain")
    assert trained.losses[-1, 0] < trained.losses[0, 0]


@pytest.mark.parametrize(
    ("run", "width"), [("alone", None), ("plain", 4), ("alone", DIM), ("alone", 0), ("both", None)]
)
def test_a_width_alone_is_of_that_run(model, data, run, width):
    """One width below the full one with "alone", none with the others."""
    with pytest.raises(InvalidInputError, match=r"`width` is|choose 'matryoshka', 'plain' or 'alone'"):
        train_contrastive(model, data, CONFIG, run=run, width=width)


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 40])
def test_progressive_starts_small_and_large_first_starts_large(epochs):
    """In the first epoch the two smallest widths take part, or the full one alone; each joins for good."""
    dims, rng = (4, 8, 16, 32, 64, 128), np.random.default_rng(0)

    def taking_part(schedule):
        config = replace(CONFIG, schedule=schedule, epochs=epochs)
        levels = [_levels(config, "matryoshka", (1.0,) * len(dims), epoch, rng) for epoch in range(epochs)]
        return [[dims[level] for level in chosen] for chosen in levels]

    progressive, large_first = taking_part("progressive"), taking_part("large-first")
    if epochs > 1:
        assert progressive[0] == [8, 4] and large_first[0] == [128]
    for n, (small, large) in enumerate(zip(progressive, large_first)):
        assert small == sorted(dims[: len(small)], reverse=True) and large == sorted(dims[-len(large) :], reverse=True)
        assert len(small) >= len(progressive[max(n - 1, 0)]) and len(large) >= len(large_first[max(n - 1, 0)])
    assert progressive[-1] == large_first[-1] == sorted(dims, reverse=True)


def test_sampled_widths(model, data):
    """Each step draws so many different widths, widest first, all equally often; weight 0 is never drawn."""
    config = replace(CONFIG, schedule="sampled", n_dims_per_step=2)
    rng = np.random.default_rng(0)
    drawn = [_levels(config, "matryoshka", (1.0, 1.0, 1.0, 0.0), 0, rng) for _ in range(3000)]
    assert all(len(set(levels)) == 2 and levels == sorted(levels, reverse=True) for levels in drawn)
    shares = np.bincount(np.ravel(drawn), minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [2 / 3, 2 / 3, 2 / 3, 0], atol=0.04)
    trained = train_contrastive(model, data, config)
    assert trained.losses[-1].min() > 0 and np.nanmean(trained.losses[-1]) < np.nanmean(trained.losses[0])


@pytest.mark.parametrize("base", ["projection", "static", "whole"])
def test_the_same_seed_gives_the_same_weights(model, data, base):
    """Bit for bit, whatever the global generator holds, which stays as it was; the model it started from too."""
    config = replace(CONFIG, base=base, dropout=0.3, learning_rate=0.01, schedule="sampled")
    before = model.model[0].embedding.weight.detach().clone()
    weights = []
    for seed, global_seed in ((3, 1), (3, 2), (4, 1)):
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        trained = train_contrastive(model, data, replace(config, seed=seed))
        assert torch.equal(torch.get_rng_state(), state)
        weights.append(torch.cat([parameter.detach().ravel() for parameter in trained.model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(before, model.model[0].embedding.weight.detach())


@pytest.mark.parametrize("base", ["projection", "static", "whole"])
def test_a_stopped_run_goes_on_as_if_it_had_not(model, data, tmp_path, base):
    """Stopped in its third epoch and called again, it gives the weights and losses of a run in one go."""
    config = replace(CONFIG, base=base, dropout=0.3, learning_rate=0.01)
    whole = train_contrastive(model, data, config)
    path, seen, asked = tmp_path / "run.safetensors", [], []

    def stop():
        asked.append(len(seen))
        return len(seen) == 2 and len(asked) % 2 == 0

    with pytest.raises(CancelledError, match="epoch 3 of 4"):
        train_contrastive(model, data, config, checkpoint=path, progress=seen.append, cancelled=stop)
    again = train_contrastive(model, data, config, checkpoint=path, progress=seen.append)
    assert [epoch.epoch for epoch in seen] == [1, 2, 3, 4]
    np.testing.assert_array_equal(again.losses, whole.losses)
    for one, other in zip(again.model.parameters(), whole.model.parameters()):
        assert torch.equal(one, other)


def test_checkpoints_of_other_runs_and_damaged_ones_are_refused(model, data, tmp_path):
    """A checkpoint fits its own settings only; half a file is no checkpoint; neither is overwritten."""
    path = tmp_path / "run.safetensors"
    train_contrastive(model, data, CONFIG, checkpoint=path)
    content = path.read_bytes()
    with pytest.raises(DataFormatError, match="other data or settings"):
        train_contrastive(model, data, replace(CONFIG, seed=9), checkpoint=path)
    with pytest.raises(DataFormatError, match="other data or settings"):
        train_contrastive(replace(model, revision="another"), data, CONFIG, checkpoint=path)
    assert path.read_bytes() == content
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataFormatError, match="no whole checkpoint"):
        train_contrastive(model, data, CONFIG, checkpoint=path)


def test_a_full_disk_is_said(tmp_path):
    """A checkpoint that does not fit is a sentence about space; the one before stays and nothing else is left."""
    path = tmp_path / "run.safetensors"
    TrainingState(1, ((1.0,),), 0.0, {"0.value": torch.ones(9)}).save(path, "key")
    larger = TrainingState(2, ((1.0,),), 0.0, {"0.value": torch.ones(90_000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreError, match=r"`.*run.safetensors` cannot be written .*free some space"):
            larger.save(path, "key")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert TrainingState.load(path, "key").epoch == 1 and os.listdir(tmp_path) == [path.name]


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_last_good_model(tmp_path):
    """A broken text first drawn in a later epoch: the model of the epoch before is kept, and the result says why."""
    broken = load_encoder(str(save_tiny_model(tmp_path / "model", broken_word="[UNK]")), device="cpu")
    texts = [*TEXTS[:2], "sun unheard", *TEXTS[3:]]
    data = labelled_data(texts, LABELS, seed=1)
    row = data.texts.index("sun unheard")
    assert (row,) in data.train
    config = replace(CONFIG, epochs=12)

    def first_drawn(seed):
        return next(
            epoch
            for epoch in range(12)
            if any(row in column for batch in epoch_batches(data, 4, seed=seed, epoch=epoch) for column in batch)
        )

    late, early = (next(seed for seed in range(99) if first_drawn(seed) == epoch) for epoch in (2, 0))
    seen, path = [], tmp_path / "run.safetensors"
    trained = train_contrastive(broken, data, replace(config, seed=late), checkpoint=path, progress=seen.append)
    assert [epoch.epoch for epoch in seen] == [1, 2] and len(trained.losses) == 2
    assert "the loss was not finite in epoch 3, so the model of epoch 2 was kept" in trained.stopped
    assert trained.stopped in trained.takeaway()
    assert torch.isfinite(matrix(trained)).all()
    again = train_contrastive(broken, data, replace(config, seed=late), checkpoint=path)
    assert torch.equal(matrix(again), matrix(trained)) and again.stopped == trained.stopped
    with pytest.raises(InvalidInputError, match="the loss was not finite in the first epoch"):
        train_contrastive(broken, data, replace(config, seed=early))


def test_batches_of_labels(data):
    """One pair a class and batch, of two training texts of that class; every class equally often."""
    of_class = dict(zip(data.texts, data.labels))
    train = {row for (row,) in data.train}
    batches = list(epoch_batches(data, 32, seed=0, epoch=1))
    assert len(batches) == math.ceil(len(train) / 4)
    for anchors, positives in batches:
        classes = [of_class[data.texts[row]] for row in anchors]
        assert classes == [of_class[data.texts[row]] for row in positives] and len(set(classes)) == 4
        assert set(anchors) | set(positives) <= train and not set(anchors) & set(positives)


def test_batches_of_pairs(triplets):
    """Every pair once an epoch, no text twice in a batch, another order in another epoch."""
    first, second = (list(epoch_batches(triplets, 5, seed=0, epoch=epoch)) for epoch in (0, 1))
    rows = [tuple(map(int, row)) for batch in first for row in zip(*batch)]
    assert sorted(rows) == sorted(triplets.train)
    assert all(len(np.unique(np.concatenate(batch))) == len(np.concatenate(batch)) for batch in first)
    assert rows != [tuple(map(int, row)) for batch in second for row in zip(*batch)]


def test_batches_of_scores(scored):
    """Every scored pair once an epoch, in another order in another epoch."""
    first, second = (list(epoch_batches(scored, 4, seed=0, epoch=epoch)) for epoch in (0, 1))
    rows = [tuple(map(int, row)) for batch in first for row in zip(*batch)]
    assert set(rows) <= set(scored.train) and len(scored.train) - len(rows) == (len(scored.train) % 4 == 1)
    assert rows != [tuple(map(int, row)) for batch in second for row in zip(*batch)]


def test_scored_pairs_stay_together():
    """Pairs of a text or of an id are on one side of the split; scores stay with them; repeated pairs count once."""
    lefts = [f"left {row % 30}" for row in range(40)] + ["left 0", "same"]
    rights = [f"right {row}" for row in range(40)] + ["right 0", "same"]
    ids = [str(row // 3) if row < 12 else "" for row in range(42)]
    found = scored_data(lefts, rights, list(range(42)), groups=ids)
    assert "2 pairs repeat another" in found.notes[0] and len(found.train) + len(found.held_out) == 40
    texts = [{found.texts[row] for pair in side for row in pair} for side in (found.train, found.held_out)]
    assert not texts[0] & texts[1]
    for pair, score in found.score_of.items():
        assert [found.texts[row] for row in pair] == [lefts[int(score)], rights[int(score)]]
    of_side = [{ids[int(found.score_of[pair])] for pair in side} - {""} for side in (found.train, found.held_out)]
    assert not of_side[0] & of_side[1] and len(of_side[0] | of_side[1]) == 4
    assert TrainingData.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_languages_are_held_out_together(tmp_path):
    """All translations of a pair are on one side; one language can be chosen; without ids one has to be."""
    corpus = read_corpus("sample:languages")
    every = training_data(corpus)
    assert every.kind == "scored" and every.takeaway().startswith("384 scored pairs to train on and 256 held out")
    id_of = {
        (corpus.texts[i], corpus.texts[j]): one for (i, j, _), one in zip(corpus.pairs, corpus.pair_ids, strict=True)
    }
    sides = [{id_of[every.texts[i], every.texts[j]] for i, j in side} for side in (every.train, every.held_out)]
    assert not sides[0] & sides[1] and len(sides[1]) == 64
    assert training_data(corpus, language="German").takeaway().startswith("96 scored pairs to train on and 64")
    some = replace(corpus, pair_ids=("", *corpus.pair_ids[1:]))
    for one, n_without in ((some, 1), (replace(corpus, pair_ids=()), 640)):
        with pytest.raises(
            InvalidInputError, match=f"4 languages, {n_without} of them without an id .* choose one lang"
        ):
            training_data(one)
        assert training_data(one, language="Spanish").kind == "scored"
    with pytest.raises(InvalidInputError, match="`language` is 'Latin'; choose one of English, German"):
        training_data(corpus, language="Latin")


def test_held_out_texts_are_never_trained_on(data, triplets):
    """Both splits are disjoint in texts, whole classes are held out on request, and all of it survives JSON."""
    assert not {row for (row,) in data.train} & {row for (row,) in data.held_out}
    assert not {row for rows in triplets.train for row in rows} & {row for rows in triplets.held_out for row in rows}
    by_class = labelled_data(TEXTS, LABELS, split="classes")
    sides = [{by_class.labels[row] for (row,) in rows} for rows in (by_class.train, by_class.held_out)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 4
    for one in (data, triplets, by_class):
        assert TrainingData.from_dict(json.loads(json.dumps(one.to_dict()))) == one


def test_the_sample_has_labels_and_relevance():
    """Labels come first; relevance takes the best grade; what is not there is refused."""
    corpus = read_corpus("sample")
    assert (
        training_data(corpus).takeaway() == "770 texts of 10 classes to train on and 510 of the same classes held out."
    )
    pairs = training_data(corpus, source="relevance")
    assert pairs.kind == "pairs" and set(corpus.query_texts) >= {pairs.texts[left] for left, _ in pairs.train}
    with pytest.raises(InvalidInputError, match="choose one"):
        training_data(corpus, source="pairs")
    with pytest.raises(InvalidInputError, match=r"`label_column` is 'nothing'; choose one of \['domain', 'topic'\]"):
        training_data(corpus, label_column="nothing")


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: labelled_data(TEXTS, ["one"] * len(TEXTS)), InvalidInputError, "has 1 classes, 1 of them .* needs 2"),
        (lambda: labelled_data(TEXTS[:4], ["a", "b", "c", "d"]), InvalidInputError, "4 classes, 0 of them"),
        (lambda: labelled_data(TEXTS, LABELS[:3]), ShapeError, "3 values for 48 texts"),
        (lambda: labelled_data(TEXTS, LABELS, held_out_share=1), InvalidInputError, "`held_out_share` is 1"),
        (lambda: paired_data([], []), EmptyInputError, "no pairs of two different texts"),
        (lambda: scored_data(["a"], ["b"], [1]), EmptyInputError, "has 1 pairs"),
        (lambda: scored_data(list("abcd"), list("efgh"), [2] * 4), InvalidInputError, "are all 2"),
        (lambda: scored_data(list("abcd"), list("efgh"), [1, 2, 3, np.nan]), InvalidInputError, "NaN"),
        (lambda: scored_data(list("abcd"), list("efgh"), [1, 2, 3]), ShapeError, r"\[4, 4, 3, 4\]"),
        (lambda: scored_data(list("abcd"), list("efgh"), range(4)), InvalidInputError, "2 scored pairs .* add pairs"),
        (lambda: scored_data(["a"] * 4, list("efgh"), [1, 2, 3, 4]), InvalidInputError, "none can be held out"),
        (lambda: scored_data(list("abcdefgh"), list("ijklmnop"), [0] * 7 + [1]), InvalidInputError, "1 different sc"),
        (lambda: check_config(TrainingConfig(alone=(4, 16)), 16), DimensionError, "which the plain twin is"),
        (lambda: check_config(TrainingConfig(alone=(4,), base="whole"), 16), InvalidInputError, "`alone` asks for 1"),
        (lambda: check_config(TrainingConfig(alpha=0), 16), InvalidInputError, "`alpha` is 0"),
        (lambda: nesting_dims(16, "cubic"), InvalidInputError, "choose one of log, even"),
        (lambda: nesting_dims(16, smallest=16), DimensionError, "choose 1 to 15"),
        (lambda: paired_data(["a"], ["a"]), EmptyInputError, "no pairs of two different texts"),
        (lambda: paired_data(["a", "b"], ["c"]), ShapeError, r"\[2, 1\]"),
        (lambda: paired_data(["a", "a", "a"], ["b", "c", "d"]), InvalidInputError, "none can be held out; add pairs"),
        (
            lambda: check_batch(paired_data(list("aaaaaxy"), list("bcdefuw")), 2),
            EmptyInputError,
            "no two training pairs without a common text",
        ),
        (lambda: check_batch(labelled_data(TEXTS, LABELS), 32), EmptyInputError, "`batch_size` is 32 but 28 texts"),
        (lambda: check_batch(labelled_data(TEXTS, LABELS), 1), InvalidInputError, "`batch_size` is 1"),
        (
            lambda: check_config(TrainingConfig(dims=(16,)), 16),
            DimensionError,
            "no width below the full 16; add smaller ones, such as 4",
        ),
        (lambda: check_config(TrainingConfig(dims=(4, 32)), 16), DimensionError, "32"),
        (lambda: check_config(TrainingConfig(schedule="never"), 16), InvalidInputError, "`schedule` is 'never'"),
        (lambda: check_config(TrainingConfig(base="head"), 16), InvalidInputError, "`base` is 'head'"),
        (
            lambda: check_config(TrainingConfig(dims=(4, 8), weights=(1, 1)), 16),
            InvalidInputError,
            "the full width 16 needs one as well",
        ),
        (lambda: check_config(TrainingConfig(epochs=0), 16), InvalidInputError, "`epochs` is 0"),
        (lambda: check_config(TrainingConfig(learning_rate=-1), 16), InvalidInputError, "`learning_rate` is -1"),
        (lambda: check_config(TrainingConfig(learning_rate=1e38), 16), InvalidInputError, "at most 1000"),
        (
            lambda: check_config(TrainingConfig(schedule="sampled", n_dims_per_step=9), 16),
            InvalidInputError,
            "choose 1 to 2",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(call, error, match):
    """What cannot be trained on is refused with the name, the value and what to do."""
    with pytest.raises(error, match=match):
        call()
