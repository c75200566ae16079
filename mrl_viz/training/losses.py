"""Nested losses: one loss at many widths, and the in-batch losses an adaptor learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.truncation import check_dims

Weights = Literal["uniform", "importance"] | Sequence[float]
# Of the importance weights α^i: the second smallest width counts 0.8 of the smallest, the third 0.64. Below 1 small
# widths lead.
IMPORTANCE_ALPHA = 0.8
# What sentence-transformers multiplies cosines with in its in-batch ranking loss.
CONTRASTIVE_SCALE = 20.0


def loss_weights(
    dims: Sequence[int], weights: Weights = "uniform", *, alpha: float = IMPORTANCE_ALPHA
) -> tuple[float, ...]:
    """The factor c_m of each width's loss, in the order of `dims`.

    Parameters
    ----------
    dims : the widths, ascending
    weights : "uniform" (1 each), "importance" (alpha^i for the i-th width from the smallest), or one number >= 0 per
        width
    alpha : above 0; below 1 the small widths count more

    Raises
    ------
    InvalidInputError : an unknown name, another number of weights than widths, a negative one, none above 0, or alpha
        <= 0.

    Source: Kusupati et al. 2022, arXiv:2205.13147, section 3 (c_m = 1) and appendix (weighted small widths).
    """
    if isinstance(weights, str):
        if weights == "uniform":
            return (1.0,) * len(dims)
        if weights == "importance":
            if not alpha > 0:
                raise InvalidInputError(f"`alpha` is {alpha}; choose a number above 0, such as {IMPORTANCE_ALPHA}.")
            return tuple(float(alpha**position) for position in range(len(dims)))
        raise InvalidInputError(f"`weights` is {weights!r}; choose 'uniform', 'importance' or one number per width.")
    given = tuple(float(weight) for weight in weights)
    if len(given) != len(dims):
        raise InvalidInputError(f"`weights` has {len(given)} numbers for {len(dims)} widths; give one per width.")
    if not (np.isfinite(given).all() and min(given) >= 0 and max(given) > 0):
        raise InvalidInputError(f"`weights` is {given}; give finite numbers from 0 up, at least one of them above 0.")
    return given


def sort_widths(
    dims: Iterable[int], weights: Weights, full_dim: int = np.iinfo(np.int32).max
) -> tuple[tuple[int, ...], Weights]:
    """The widths ascending and distinct, and given weights in that order too; names of weights pass.

    Raises
    ------
    DimensionError : see `check_dims`. InvalidInputError : another number of weights than widths, or a width twice.
    """
    listed = list(dims)
    checked = check_dims(listed, full_dim)
    if isinstance(weights, str):
        return checked, weights
    if len(weights) != len(listed) or len(checked) != len(listed):
        raise InvalidInputError(f"`weights` has {len(weights)} numbers for {len(checked)} widths; give one per width.")
    order = sorted(range(len(listed)), key=lambda position: listed[position])
    return checked, tuple(weights[position] for position in order)


def prefix(embeddings: Tensor, dim: int) -> Tensor:
    """The first `dim` coordinates, sliced and renormalised, shape (..., dim)."""
    return functional.normalize(embeddings[..., :dim], dim=-1)


class MultiGranularityLoss(nn.Module):
    """Σ_m c_m · loss(width m), for any torch loss.

    Parameters
    ----------
    dims : the widths, each at least 1
    loss : a callable of tensors that returns a scalar, such as `nn.CrossEntropyLoss()` or `in_batch_contrastive`
    weights, alpha : see `loss_weights`
    n_embeddings : 0 where the model gives one output per width (`forward(outputs, *targets)`); otherwise how many of
        the leading arguments of `forward` are embeddings, which are sliced and renormalised at every width (contrastive
        losses)

    Raises
    ------
    DimensionError, InvalidInputError : unusable widths or weights.

    Source: Kusupati et al. 2022, arXiv:2205.13147, equation 1; with embeddings the sum that MatryoshkaLoss of
    sentence-transformers computes.
    """

    def __init__(
        self,
        dims: Iterable[int],
        loss: Callable[..., Tensor],
        weights: Weights = "uniform",
        *,
        alpha: float = IMPORTANCE_ALPHA,
        n_embeddings: int = 0,
    ) -> None:
        super().__init__()
        self.dims, ordered = sort_widths(dims, weights)
        self.weights = loss_weights(self.dims, ordered, alpha=alpha)
        self.loss = loss
        self.n_embeddings = n_embeddings

    def terms(self, *inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The loss of each width before weighting, shape (n_dims,).

        Raises
        ------
        ShapeError : another number of outputs than widths, or embeddings narrower than a width.
        """
        return torch.stack([self._term(level, inputs) for level in range(len(self.dims))])

    def forward(self, *inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The weighted sum over widths, a scalar. Raises ShapeError as `terms` does."""
        # A width of weight 0 is not computed at all: progressive schedules let widths join later.
        terms = [weight * self._term(level, inputs) for level, weight in enumerate(self.weights) if weight]
        return torch.stack(terms).sum()

    def _term(self, level: int, inputs: tuple[Tensor | Sequence[Tensor], ...]) -> Tensor:
        dim = self.dims[level]
        if self.n_embeddings == 0:
            outputs = inputs[0]
            if len(outputs) != len(self.dims):
                raise ShapeError(
                    f"`outputs` has {len(outputs)} entries for {len(self.dims)} widths; give one per width."
                )
            return self.loss(outputs[level], *inputs[1:])
        embeddings = [tensor for tensor in inputs[: self.n_embeddings] if isinstance(tensor, Tensor)]
        for tensor in embeddings:
            if tensor.shape[-1] < dim:
                raise ShapeError(
                    f"`dims` asks for {dim} coordinates but the embeddings have {tensor.shape[-1]}; lower it."
                )
        return self.loss(*(prefix(tensor, dim) for tensor in embeddings), *inputs[self.n_embeddings :])


def in_batch_contrastive(anchors: Tensor, positives: Tensor, *, scale: float = CONTRASTIVE_SCALE) -> Tensor:
    """Cross-entropy of each anchor's own positive against all others in the batch, a scalar.

    Parameters
    ----------
    anchors, positives : tensors of shape (n, dim), row i belongs to row i
    scale : the inverse temperature of the cosines

    Source: MultipleNegativesRankingLoss of sentence-transformers; van den Oord et al. 2018, arXiv:1807.03748.
    """
    scores = scale * functional.normalize(anchors, dim=-1) @ functional.normalize(positives, dim=-1).T
    return functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def cosines(rows: Tensor) -> Tensor:
    """All cosines within a batch, shape (n, n); 0 for a zero row."""
    unit = functional.normalize(rows, dim=1)
    return unit @ unit.T


def neighbor_divergence(original: Tensor, mapped: Tensor, *, temperature: float) -> Tensor:
    """Mean over rows of KL(p ‖ q): p, q are softmax(cosine/temperature) over the other rows of the batch, a scalar in
    nats.

    Parameters
    ----------
    original : cosines of the original vectors, shape (n, n)
    mapped : cosines at one width of the mapped vectors, shape (n, n)
    temperature : of both softmaxes; 0.05 puts the weight on the first few neighbors

    Source: own definition, after stochastic neighbor embedding (Hinton & Roweis 2002).
    """
    return divergence_from(neighbor_targets(original, temperature=temperature), mapped, temperature=temperature)


def neighbor_targets(original: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """The distributions p of `neighbor_divergence`, shape (n, n) with a diagonal of 0, and the mean of Σ p log p.

    They do not depend on the width: one computation serves all widths of a batch.
    """
    own = torch.eye(len(original), dtype=torch.bool, device=original.device)
    log_p = functional.log_softmax((original / temperature).masked_fill(own, -torch.inf), dim=1)
    targets = log_p.exp()
    return targets, (targets * log_p.masked_fill(own, 0)).sum(dim=1).mean()


def divergence_from(targets: tuple[Tensor, Tensor], mapped: Tensor, *, temperature: float) -> Tensor:
    """`neighbor_divergence` from what `neighbor_targets` gave."""
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
