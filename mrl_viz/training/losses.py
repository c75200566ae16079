"""The in-batch losses an adaptor learns from; all of cosines between the rows of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cosines(rows: Tensor) -> Tensor:
    """All cosines within a batch, shape (n, n); 0 for a zero row."""
    unit = functional.normalize(rows, dim=1)
    return unit @ unit.T


def neighbor_targets(original: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """What `neighbor_divergence` compares with: p, softmax(cosine/temperature) over other rows, and its mean Σ p log p.

    They do not depend on the width: one computation serves all widths of a batch.

    Parameters
    ----------
    original : cosines of the original vectors, shape (n, n)
    temperature : 0.05 puts the weight on the first few neighbors

    Returns
    -------
    p of shape (n, n) with a diagonal of 0, and a scalar in nats
    """
    own = torch.eye(len(original), dtype=torch.bool, device=original.device)
    log_p = functional.log_softmax((original / temperature).masked_fill(own, -torch.inf), dim=1)
    targets = log_p.exp()
    return targets, (targets * log_p.masked_fill(own, 0)).sum(dim=1).mean()


def neighbor_divergence(targets: tuple[Tensor, Tensor], mapped: Tensor, *, temperature: float) -> Tensor:
    """Mean over rows of KL(p ‖ q), a scalar in nats: p from `neighbor_targets`, q the same of mapped vectors.

    Parameters
    ----------
    mapped : cosines at one width of the mapped vectors, shape (n, n)

    Source: own definition, after stochastic neighbor embedding (Hinton & Roweis 2002).
    """
    p, negative_entropy = targets
    scores = mapped / temperature
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    total = scores.masked_fill(own, -torch.inf).logsumexp(dim=1)
    # Σ p = 1 in every row, so that Σ p log q is Σ p · score − logsumexp.
    return negative_entropy - (p * scores).sum(dim=1).mean() + total.mean()


def pair_loss(original: Tensor, mapped: Tensor) -> Tensor:
    """L_pair: mean |cosine before − cosine after| over all ordered pairs of different rows, a scalar in [0, 2].

    Parameters
    ----------
    original, mapped : cosines of shape (n, n)

    Source: Yoon et al. 2024, arXiv:2407.20243, equation for L_pair; a mean where the paper sums, so that the weights do
    not depend on the batch size.
    """
    n = len(original)
    difference = (original - mapped).abs()
    return (difference.sum() - difference.diagonal().sum()) / (n * (n - 1))


def topk_loss(original: Tensor, mapped: Tensor, k: int) -> Tensor:
    """L_topk: `pair_loss` over the k nearest rows of each row by `original`, itself left out.

    Source: Yoon et al. 2024, arXiv:2407.20243, equation for L_topk; neighbors within the batch, a mean over them.
    """
    own = torch.eye(len(original), dtype=torch.bool, device=original.device)
    nearest = original.masked_fill(own, -torch.inf).topk(k, dim=1).indices
    return (original.gather(1, nearest) - mapped.gather(1, nearest)).abs().mean()


def ranking_loss(scores: Tensor, relevance: Tensor) -> Tensor:
    """L_rank: Σ over queries and pairs with y_j > y_k of (y_j − y_k) log(1 + exp(s_k − s_j)), divided by the number of
    pairs.

    Parameters
    ----------
    scores : cosines of shape (n_queries, n_documents)
    relevance : grades of the same shape, from 0 up, higher is more relevant

    Returns
    -------
    Tensor : a scalar, 0 where no pair of documents differs in grade.

    Source: Yoon et al. 2023 (Search-Adaptor), arXiv:2310.08750; the mean over pairs is ours, as in `pair_loss`.
    """
    # Only rows of grade above 0 start a pair: (n_relevant, n_documents) instead of every pair of documents.
    query, better = (relevance > 0).nonzero(as_tuple=True)
    gap = relevance[query, better, None] - relevance[query]
    loss = functional.softplus(scores[query] - scores[query, better, None])
    return (gap.clamp_min(0) * loss).sum() / (gap > 0).sum().clamp_min(1)


def recovery_loss(original: Tensor, mapped: Tensor) -> Tensor:
    """L_rec of one kind of rows, queries or documents: mean over rows of ‖mapped − original‖₁, a scalar from 0 up.

    Parameters
    ----------
    original, mapped : shape (n_items, full_dim)

    Source: Yoon et al. 2023 (Search-Adaptor), arXiv:2310.08750, by a public re-implementation, summing both kinds.
    """
    return (mapped - original).abs().sum(dim=1).mean()


def prediction_loss(predicted: Tensor, queries: Tensor, relevance: Tensor) -> Tensor:
    """L_pred: Σ y_ij ‖q_i − p_j‖₁ / Σ y_ij over queries i and documents j, a scalar from 0 up, 0 without any y above 0.

    Parameters
    ----------
    predicted : queries as predicted from mapped documents, shape (n_documents, full_dim)
    queries : mapped, shape (n_queries, full_dim)
    relevance : grades from 0 up, shape (n_queries, n_documents)

    Source: Yoon et al. 2023 (Search-Adaptor), arXiv:2310.08750, by way of a public re-implementation.
    """
    # Only pairs of grade above 0 count: (n_relevant, full_dim) instead of every query with every document.
    query, document = (relevance > 0).nonzero(as_tuple=True)
    weights = relevance[query, document]
    distances = (queries[query] - predicted[document]).abs().sum(dim=1)
    return (weights * distances).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
