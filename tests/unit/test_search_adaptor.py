"""Search-Adaptor: its objective pair by pair, what trains its query predictor, its weights, and what is saved of it."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from mrl_viz.adaptor.adaptor import PREDICTION_WEIGHTS, RECOVERY_WEIGHTS, Adaptor, AdaptorSettings
from mrl_viz.adaptor.fit import fit_adaptor
from mrl_viz.adaptor.model_folder import save_sentence_transformer
from mrl_viz.adaptor.network import AdaptorNetwork
from mrl_viz.adaptor.objectives import judged_documents, query_predictor, search_objective, search_term
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.sentence_transformers import as_sentence_transformer
from mrl_viz.errors import InvalidInputError

FULL_DIM = 12
QUICK = AdaptorSettings(epochs=2, batch_size=64, hidden_dim=16, k=5, learning_rate=0.01)
FIXED = replace(QUICK, recovery=0.1, prediction=0.01)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def nearest_by_the_last(queries, rows, n_coordinates):
    """As relevant the ten rows nearest by the last coordinates alone, three of them by grade 2: much to learn."""
    parts = (unit(part[:, -n_coordinates:]) for part in (queries, rows))
    nearest = np.argsort(-next(parts) @ next(parts).T, axis=1)[:, :10]
    return {
        query: {int(row): 1 + (place < 3) for place, row in enumerate(found)} for query, found in enumerate(nearest)
    }


@pytest.fixture(scope="module")
def judged():
    """300 rows, 60 queries, and their judgements."""
    rng = np.random.default_rng(0)
    rows, queries = (rng.normal(size=(n, FULL_DIM)).astype(np.float32) for n in (300, 60))
    return rows, queries, nearest_by_the_last(queries, rows, 4)


@pytest.fixture
def batch():
    """Three queries, the documents they are judged with and two more, and networks with random numbers everywhere."""
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(0)
    rows, queries = (torch.tensor(unit(rng.normal(size=(n, FULL_DIM)))) for n in (9, 3))
    documents, relevance = judged_documents([{0: 2, 4: 1}, {7: 1}, {}], rows, [2, 5])
    network = AdaptorNetwork(FULL_DIM, None, 0, QUICK, generator)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network, query_predictor(FULL_DIM, QUICK, generator), queries, documents, relevance


def test_judged_documents_are_the_judged_rows_and_the_others(batch):
    """Every row that a query judges, and the others, once each; grades at their places and 0 elsewhere."""
    assert batch[4].tolist() == [[2, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert len(batch[3]) == 5


def test_the_objective_is_the_papers_pair_by_pair(batch):
    """L_rank + α L_rec + β L_pred from what the networks give, in loops: cosines of mapped rows rank, L1 is of vectors,
    a grade weighs what its document predicts, and unjudged pairs predict nothing."""
    network, predictor, queries, documents, relevance = batch
    settings = replace(QUICK, gamma=3.0, recovery=0.1, prediction=0.01)
    with torch.no_grad():
        value = search_term(network, predictor, settings, queries, documents, relevance).item()
        of_documents = search_objective([], predictor, settings).loss(documents, network(documents)).item()
        left, right = network(queries).numpy(), network(documents).numpy()
        predicted = predictor(torch.tensor(right)).numpy()
    y, cosine = relevance.numpy(), unit(left) @ unit(right).T
    ranks, weighted, grades = [], 0.0, 0.0
    for i in range(3):
        for j in range(5):
            ranks += [
                (y[i, j] - y[i, k]) * np.log1p(np.exp(cosine[i, k] - cosine[i, j]))
                for k in range(5) if y[i, j] > y[i, k]
            ]  # fmt: skip
            weighted += y[i, j] * sum(abs(left[i, c] - predicted[j, c]) for c in range(FULL_DIM))
            grades += y[i, j]
    moved = [
        np.mean([sum(abs(image - row)) for row, image in zip(rows.numpy(), images)])
        for rows, images in ((queries, left), (documents, right))
    ]
    assert value == pytest.approx(3 * np.mean(ranks) + 0.1 * moved[0] + 0.01 * weighted / grades, rel=1e-5)
    assert of_documents == pytest.approx(0.1 * moved[1], rel=1e-5)


def test_prediction_trains_predictor_and_adaptor(batch):
    """With L_pred alone every layer of the predictor and of the adaptor gets a gradient; at weight 0 the predictor gets
    none."""
    network, predictor, queries, documents, relevance = batch
    for weight in (1.0, 0.0):
        for net in (network, predictor):
            net.zero_grad()
        settings = replace(QUICK, gamma=0.0, recovery=0.0, prediction=weight)
        search_term(network, predictor, settings, queries, documents, relevance).backward()
        for net in (network, predictor):
            sizes = [parameter.grad.abs().max().item() for parameter in net.layers.parameters()]
            assert all(size > 0 for size in sizes) == any(size > 0 for size in sizes) == bool(weight)


def test_the_optimizer_has_the_predictor_and_its_best_epoch_is_kept(batch):
    """The predictor is among what is stepped and among what goes back to the best epoch; it has no skip connection."""
    network, predictor = batch[:2]
    body = list(network.layers.parameters())
    objective = search_objective(body, predictor, FIXED)
    predicting = list(predictor.layers.parameters())
    assert {id(parameter) for parameter in objective.parameters[0]["params"]} == set(map(id, [*body, *predicting]))
    assert set(map(id, objective.extra)) == set(map(id, predicting))
    with torch.no_grad():
        predictor.layers[-1].weight.zero_()
    assert not predictor(batch[3]).any()


def test_a_seed_gives_one_adaptor_and_the_predictor_matters(judged):
    """One seed twice is one map, on any number of threads, another seed another; L_pred changes it through the network
    that both share."""
    rows, queries, qrels = judged
    fit = partial(fit_adaptor, rows, [4], method="search", queries=queries, qrels=qrels)
    settings = replace(FIXED, recovery=0.0)
    first = fit(settings=settings, seed=1).adaptor.fingerprint
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert fit(settings=settings, seed=1).adaptor.fingerprint == first
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert fit(settings=settings, seed=2).adaptor.fingerprint != first
    assert fit(settings=replace(settings, prediction=1.0), seed=1).adaptor.fingerprint != first


def test_weights_are_those_that_rank_the_validation_queries_best(judged):
    """Left open, the papers' nine pairs are tried and what is kept is the fit of the pair it names, which no other
    pair beats on the validation queries; progress counts all of them."""
    rows, queries, qrels = judged
    fit = partial(fit_adaptor, rows, [4], method="search", queries=queries, qrels=qrels, seed=3)
    seen = []
    chosen = fit(settings=QUICK, progress=lambda done, total, _: seen.append((done, total)))
    single = {
        (recovery, prediction): fit(settings=replace(QUICK, recovery=recovery, prediction=prediction))
        for recovery in RECOVERY_WEIGHTS for prediction in PREDICTION_WEIGHTS
    }  # fmt: skip
    assert len({one.adaptor.fingerprint for one in single.values()}) > 1
    assert chosen.adaptor.fingerprint == single[chosen.weights].adaptor.fingerprint
    assert chosen.validation_losses == single[chosen.weights].validation_losses
    assert min(chosen.validation_losses) <= min(min(one.validation_losses) for one in single.values())
    assert seen == [(done, 18) for done in range(1, 19)]
    assert chosen.to_dict()["weights"] == chosen.weights
    assert "the best of those tried" in chosen.weights_takeaway()
    svd = fit_adaptor(rows, [4], method="svd")
    assert svd.weights is None and svd.weights_takeaway() == ""


def test_a_cancelled_choice_ends_with_what_is_there(judged):
    """Cancelled within the first pair: no further pair is tried, and its best epoch is kept."""
    rows, queries, qrels = judged
    seen = []
    fit = fit_adaptor(
        rows, [4], method="search", queries=queries, qrels=qrels, settings=QUICK,
        progress=lambda *step: seen.append(step), cancelled=lambda: bool(seen),
    )  # fmt: skip
    assert (fit.stopped, len(seen), fit.weights) == ("cancelled", 1, (RECOVERY_WEIGHTS[0], PREDICTION_WEIGHTS[0]))


def test_validation_loss_is_what_full_width_misses_of_ndcg(judged):
    """Before an epoch has changed anything the loss is 1 − nDCG@10 of the raw vectors; the kept epoch never does
    worse."""
    rows, queries, qrels = judged
    wild = replace(FIXED, learning_rate=1e-12)  # a map that stays where it started
    fit = fit_adaptor(rows, [4], method="search", queries=queries, qrels=qrels, settings=wild, held_out=0.3, seed=5)
    order = np.random.default_rng(5)
    order.permutation(300)
    check = order.permutation(60)[18:24]
    found = []
    for query in check:
        ranked = np.argsort(-(unit(rows) @ unit(queries)[query]))[:10]
        grades = [qrels[query].get(int(row), 0) for row in ranked]
        gain, best = (
            sum(grade / np.log2(place + 2) for place, grade in enumerate(listed))
            for listed in (grades, sorted(qrels[query].values(), reverse=True))
        )
        found.append(gain / best)
    assert fit.validation_losses == pytest.approx([1 - np.mean(found)] * 2, abs=1e-6)
    assert fit.adaptor.layers == () and fit.weights_takeaway().endswith("so nothing was kept.")


def test_the_saved_adaptor_has_no_predictor_and_maps_the_same(judged, tmp_path):
    """The folder is as any residual network's, and what is read back maps rows to the same bytes."""
    rows, queries, qrels = judged
    settings = replace(FIXED, recovery=0.0)
    adaptor = fit_adaptor(rows, [4], method="search", queries=queries, qrels=qrels, settings=settings).adaptor
    assert adaptor.layers and adaptor.is_residual
    folder = adaptor.save(tmp_path / "adaptor")
    names = {f"layers.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")}
    assert set(load_file(folder / "adaptor.safetensors")) == names | {"fitted_rows"}
    config = json.loads((folder / "config.json").read_text())
    assert config["format"] == 1 and config["method"] == "search" and "weights" not in config
    again = Adaptor.load(folder)
    assert again.fingerprint == adaptor.fingerprint
    np.testing.assert_array_equal(again.apply(rows), adaptor.apply(rows))
    assert np.abs(adaptor.apply(rows) - unit(rows)).max() > 1e-3


def test_the_model_folder_gives_what_apply_gives(tmp_path):
    """A fitted Search-Adaptor inside a sentence-transformers model: stock modules map texts as `apply` does."""
    from sentence_transformers import SentenceTransformer

    encoder = as_sentence_transformer(load_encoder("wordllama"))
    rows = encoder.encode(read_corpus("sample:hard").texts)
    queries, corpus = rows[:60], rows[60:]
    adaptor = fit_adaptor(
        corpus, [16, 64], method="search", queries=queries, qrels=nearest_by_the_last(queries, corpus, 8),
        settings=replace(FIXED, recovery=0.0),
    ).adaptor  # fmt: skip
    assert adaptor.layers
    folder = save_sentence_transformer(adaptor, encoder.model, tmp_path / "model")
    texts = ["a small boat", "the price of bread", "rain tomorrow"]
    found = SentenceTransformer(str(folder), truncate_dim=64, device="cpu").encode(texts)
    np.testing.assert_allclose(found, adaptor.apply(encoder.encode(texts), dim=64), atol=1e-5)


@pytest.mark.parametrize("name", ["recovery", "prediction"])
def test_negative_weights_are_refused(name, judged):
    """A weight below 0 is one sentence with the name, the value and the range."""
    rows, queries, qrels = judged
    settings = replace(QUICK, **{name: -0.5})
    with pytest.raises(InvalidInputError, match=rf"`{name}` is -0\.5; choose a number from 0 up, or None\."):
        fit_adaptor(rows, [4], method="search", queries=queries, qrels=qrels, settings=settings)
