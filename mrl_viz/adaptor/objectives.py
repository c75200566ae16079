"""What an adaptor learns from: the objectives of each method and the order of their stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mrl_viz.adaptor.adaptor import AdaptorSettings, Judged, Progress
from mrl_viz.adaptor.network import AdaptorNetwork, LayerList, Objective, Training
from mrl_viz.adaptor.report import Map
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
from mrl_viz.truncation import FloatMatrix

# The narrow spaces' temperatures are learnt too, at this rate: cosines spread more the fewer coordinates there are, and
# only their order matters for neighbors.
TEMPERATURE_RATE = 0.02
# Share of the largest starting divergence below which a width's loss is not divided further (full width starts at 0).
SMALLEST_START = 0.02
START_ROWS = 1024


def train_network(
    method: str,
    train: FloatMatrix,
    check: FloatMatrix,
    dims: tuple[int, ...],
    rotation: FloatMatrix,
    settings: AdaptorSettings,
    batch_size: int,
    judged: tuple[Judged, Judged] | None,
    ndcg: Callable[[Map], float] | None,
    seed: int,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> tuple[FloatMatrix | None, LayerList, Training]:
    """Run the stages of a method on unit rows; the rotation and layers of the best epochs, and how it went.

    `judged` : queries to learn from and to validate on. `ndcg` : of the latter at full width.
    """
    generator = torch.Generator().manual_seed(seed)
    full_dim, is_own = train.shape[1], method == "neighbors"
    rows, check_rows = torch.tensor(train), torch.tensor(check)
    pivot = min(settings.pivot, full_dim) if is_own else 0
    network = AdaptorNetwork(full_dim, rotation if is_own else None, pivot, settings, generator)
    widths = (*dims, full_dim)
    body = list(network.layers.parameters())
    start = rows[:START_ROWS]

    def rotation_stage() -> Objective:
        inside = tuple(dim for dim in dims if dim < pivot)
        return neighbor_objective("rotation", network, inside, start, [network.skew], settings, settings.rotation_rate)

    def unsupervised() -> Objective:
        network.has_network = True
        if not is_own:
            return paper_objective(widths, body, settings)
        network.skew.requires_grad_(False)
        return neighbor_objective("residual", network, widths, start, body, settings, settings.learning_rate)

    def supervised(judged: tuple[Judged, Judged]) -> Objective:
        (queries, grades), (check_queries, check_grades) = judged
        left, right = torch.tensor(queries), torch.tensor(check_queries)
        fixed = np.random.default_rng(seed).permutation(len(rows))[:START_ROWS].tolist()

        def rank() -> Tensor:
            chosen = torch.randperm(len(left), generator=generator)[:batch_size].tolist()
            others = torch.randperm(len(rows), generator=generator)[:batch_size].tolist()
            return term(left[chosen], *judged_documents([grades[query] for query in chosen], rows, others))

        def rank_validation() -> Tensor:
            return term(right, *judged_documents(check_grades, rows, fixed))

        def mapped(unit: FloatMatrix) -> FloatMatrix:
            with torch.no_grad():
                image: FloatMatrix = network(torch.tensor(unit)).numpy()
            return image

        if method == "search" and ndcg is not None:
            predictor = query_predictor(full_dim, settings, generator)
            base, term = search_objective(body, predictor, settings), partial(search_term, network, predictor, settings)
            return replace(base, rank=rank, validate=lambda: 1 - ndcg(mapped))
        base, term = unsupervised(), partial(rank_term, network, widths, settings)
        return replace(base, name="supervised", rank=rank, rank_validation=rank_validation)

    stages: list[Callable[[], Objective]] = []
    if is_own and dims[0] < pivot:
        stages.append(rotation_stage)
    # Only an isometry keeps the full width's neighbors, so at tolerance 0 no network could stay: none is trained.
    if method == "paper" or (is_own and judged is None and settings.tolerance > 0):
        stages.append(unsupervised)
    if judged is not None:
        stages.append(partial(supervised, judged))
    network.has_network = not is_own
    training = Training(network, rows, check_rows, settings, batch_size, generator, len(stages), progress, cancelled)
    if not stages:
        training.stopped = "no width below `pivot` to learn for"
    for stage in stages:
        training.run(stage())
        if training.stopped not in ("epochs", "converged"):
            break
    matrix, layers = network.export()
    # A network still at its start adds nothing; without it `apply` is faster and exact.
    useful = network.has_network and any(weight.any() for weight, _ in layers[-1:])
    return matrix, layers if useful else [], training


def neighbor_objective(
    name: str,
    network: AdaptorNetwork,
    dims: Sequence[int],
    start: Tensor,
    parameters: list[nn.Parameter],
    settings: AdaptorSettings,
    rate: float,
) -> Objective:
    """The mean over widths of the neighbor divergence, each divided by its value at the start.

    A wide prefix starts with a small divergence; undivided, the small widths would win at its cost.
    """
    temperature = settings.temperature
    logs = torch.full((len(dims),), float(np.log(temperature)), requires_grad=True)

    def terms(unit: Tensor, mapped: Tensor) -> Tensor:
        targets = neighbor_targets(cosines(unit), temperature=temperature)
        # The original's temperature is the setting, the image's is learnt: scaled cosines stand in for another softmax.
        scale = temperature / logs.exp()
        parts = [
            neighbor_divergence(targets, cosines(mapped[:, :dim]) * scale[level], temperature=temperature)
            for level, dim in enumerate(dims)
        ]
        return torch.stack(parts)

    with torch.no_grad():
        first = terms(start, network(start))
    first = torch.maximum(first, SMALLEST_START * first.max())
    groups = [{"params": parameters, "lr": rate}, {"params": [logs], "lr": TEMPERATURE_RATE}]
    return Objective(name, lambda unit, mapped: (terms(unit, mapped) / first).mean(), groups, extra=(logs,))


def paper_objective(dims: Sequence[int], parameters: list[nn.Parameter], settings: AdaptorSettings) -> Objective:
    """L_topk + α L_pair + β L_rec over the widths, the mean or the sum over them."""
    scale = len(dims) if settings.reduction == "sum" else 1

    def loss(unit: Tensor, mapped: Tensor) -> Tensor:
        original = cosines(unit)
        images = [cosines(mapped[:, :dim]) for dim in dims]
        topk = torch.stack([topk_loss(original, image, settings.k) for image in images]).mean()
        pair = torch.stack([pair_loss(original, image) for image in images]).mean()
        return scale * (topk + settings.alpha * pair) + settings.beta * (mapped - unit).abs().mean()

    return Objective("unsupervised", loss, [{"params": parameters, "lr": settings.learning_rate}])


def query_predictor(full_dim: int, settings: AdaptorSettings, generator: torch.Generator) -> AdaptorNetwork:
    """Search-Adaptor's p, a network from a mapped document to the query it answers; needed in training only.

    Its size is ours: the adaptor's own layers, without the skip connection.
    """
    return AdaptorNetwork(full_dim, None, 0, replace(settings, is_residual=False), generator)


def search_objective(parameters: list[nn.Parameter], predictor: AdaptorNetwork, settings: AdaptorSettings) -> Objective:
    """Search-Adaptor's L_rank + α L_rec + β L_pred: here L_rec of documents; `search_term` adds what needs queries.

    The beginning of the paper, which is what could be read, names these losses, a residual network that queries and
    documents share, and α and β chosen on validation data. The equations, Adam at a rate of 0.001, batches of 128 and
    the weights tried are as a public re-implementation of the paper has them. Ours: L_rank is a mean over pairs where
    the paper sums; both networks' size; a query ranks every document judged in the batch and as many random ones as a
    batch has, not ten for each relevant one; rates fall to 0; the epoch is chosen as α and β are, by nDCG@10 of the
    validation queries.

    Source: Yoon et al. 2023, arXiv:2310.08750, as above.
    """
    predicting = list(predictor.layers.parameters())

    def loss(unit: Tensor, mapped: Tensor) -> Tensor:
        return (settings.recovery or 0) * recovery_loss(unit, mapped)

    groups = [{"params": [*parameters, *predicting], "lr": settings.learning_rate}]
    return Objective("supervised", loss, groups, extra=tuple(predicting))


def search_term(
    network: AdaptorNetwork,
    predictor: AdaptorNetwork,
    settings: AdaptorSettings,
    queries: Tensor,
    documents: Tensor,
    relevance: Tensor,
) -> Tensor:
    """γ L_rank at full width + α L_rec of queries + β L_pred of queries and documents, with grades in `relevance`."""
    left, right = network(queries), network(documents)
    rank = ranking_loss(functional.normalize(left, dim=1) @ functional.normalize(right, dim=1).T, relevance)
    recovery = recovery_loss(queries, left)
    prediction = prediction_loss(predictor(right), left, relevance)
    return settings.gamma * rank + (settings.recovery or 0) * recovery + (settings.prediction or 0) * prediction


def rank_term(
    network: AdaptorNetwork,
    dims: Sequence[int],
    settings: AdaptorSettings,
    queries: Tensor,
    documents: Tensor,
    relevance: Tensor,
) -> Tensor:
    """γ L_rank of queries and documents with grades in `relevance`, the mean over widths."""
    left, right = network(queries), network(documents)
    losses = []
    for dim in dims:
        scores = functional.normalize(left[:, :dim], dim=1) @ functional.normalize(right[:, :dim], dim=1).T
        losses.append(ranking_loss(scores, relevance))
    return settings.gamma * torch.stack(losses).mean()


def judged_documents(grades: Sequence[dict[int, int]], rows: Tensor, others: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The rows that any query judges and the `others`, and the queries' grades of them, (n_queries, n_documents)."""
    documents = sorted({row for judged in grades for row in judged} | set(others))
    place = {row: position for position, row in enumerate(documents)}
    relevance = np.zeros((len(grades), len(documents)), dtype=np.float32)  # single numbers into a tensor take longer
    for position, judged in enumerate(grades):
        for row, grade in judged.items():
            relevance[position, place[row]] = grade
    return rows[documents], torch.from_numpy(relevance)
