"""What contrastive training trains: a projection of frozen features, the rows of a static table, or the whole model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize, StaticEmbedding
from torch import nn

from mrl_viz.embedding.encoders.sentence_transformers import SentenceTransformerEncoder
from mrl_viz.errors import InvalidInputError
from mrl_viz.training.config import TrainingConfig
from mrl_viz.training.data import Rows, TrainingData

Features = Callable[[tuple[Rows, ...]], list[dict[str, torch.Tensor]]]


@dataclass(frozen=True, eq=False)
class Trainee:
    """What is trained: `module`, which the loss calls, `features` its input for a batch, `finished` the whole model."""

    module: SentenceTransformer
    parameters: list[nn.Parameter]
    features: Features
    finished: Callable[[], SentenceTransformer]


def prepare(model: SentenceTransformerEncoder, data: TrainingData, config: TrainingConfig) -> Trainee:
    """A fresh trainee; the same arguments give the same start.

    Raises
    ------
    InvalidInputError : base "static" and a model that is no static table.
    """
    return {"projection": _projection, "static": _static, "whole": _whole}[config.base](model, data, config)


def _prompts(model: SentenceTransformerEncoder, data: TrainingData) -> tuple[str, ...]:
    """The prompt of each column: labels and scores pair documents, other pairs have a query in front."""
    first = model.query_prompt if data.kind == "pairs" else model.document_prompt
    return (first, *[model.document_prompt] * (data.n_columns - 1))


def _assemble(model: SentenceTransformerEncoder, modules: Sequence[nn.Module]) -> SentenceTransformer:
    """A model of these modules with the prompts that training used."""
    return SentenceTransformer(
        modules=list(modules),
        device=str(model.model.device),
        prompts={"query": model.query_prompt, "document": model.document_prompt},
        similarity_fn_name="cosine",
    )


def _head(model: SentenceTransformerEncoder) -> list[nn.Module]:
    """What the model asks for before truncation, as a module."""
    return [LayerNorm(model.full_dim)] if model.pre_truncation == "layer_norm" else []


def _projection(model: SentenceTransformerEncoder, data: TrainingData, config: TrainingConfig) -> Trainee:
    used = np.unique([row for example in data.train for row in example])
    texts = [data.texts[row] for row in used]
    device = model.model.device

    def encode(kind: Any) -> torch.Tensor:
        return nn.functional.normalize(torch.from_numpy(model.encode(texts, kind=kind)).to(device), dim=1)

    documents = encode("document")
    columns = [documents] * data.n_columns
    if data.kind == "pairs" and model.query_prompt != model.document_prompt:
        columns[0] = encode("query")
    generator = torch.Generator().manual_seed(config.seed)
    rotation, _ = torch.linalg.qr(torch.randn(model.full_dim, model.full_dim, generator=generator))
    dense = Dense(
        model.full_dim, model.full_dim, bias=False, activation_function=nn.Identity(), init_weight=rotation.contiguous()
    )
    module = SentenceTransformer(modules=[dense], device=str(device))

    def features(batch: tuple[Rows, ...]) -> list[dict[str, torch.Tensor]]:
        rows = [source[torch.from_numpy(np.searchsorted(used, column))] for source, column in zip(columns, batch)]
        return [{"sentence_embedding": nn.functional.dropout(row, config.dropout)} for row in rows]

    return Trainee(
        module,
        list(dense.parameters()),
        features,
        lambda: _assemble(model, [*model.model, *_head(model), Normalize(), dense]),
    )


def _static(model: SentenceTransformerEncoder, data: TrainingData, config: TrainingConfig) -> Trainee:
    """Only the rows whose tokens occur are trained, as a small table of their own: others get no gradient."""
    table = model.model[0]
    if not isinstance(table, StaticEmbedding):
        raise InvalidInputError(
            f"`base` is 'static' but {model.name} is no static table; choose 'projection' or 'whole'."
        )
    prompts = _prompts(model, data)
    tokens: list[dict[int, Rows]] = []
    columns = list(zip(*data.train))
    for prompt, column in zip(prompts, columns * 2 if data.kind == "labels" else columns):
        rows = sorted(set(column))
        encodings = table.tokenizer.encode_batch([prompt + data.texts[row] for row in rows], add_special_tokens=False)
        tokens.append({row: np.asarray(encoding.ids, dtype=np.int64) for row, encoding in zip(rows, encodings)})
    known = np.unique(np.concatenate([ids for column in tokens for ids in column.values()]))
    if len(known) == 0:
        raise InvalidInputError(f"`{data.name}` has no token that {model.name} knows; choose another model.")
    weight = table.embedding.weight.detach()
    small = StaticEmbedding(table.tokenizer, embedding_weights=weight[torch.from_numpy(known)].clone())
    rest = list(model.model)[1:]
    module = SentenceTransformer(modules=[small, *rest], device=str(model.model.device))

    def features(batch: tuple[Rows, ...]) -> list[dict[str, torch.Tensor]]:
        result = []
        for column, rows in zip(tokens, batch):
            ids = [np.searchsorted(known, column[int(row)]) for row in rows]
            offsets = np.cumsum([0, *map(len, ids[:-1])])
            result.append({"input_ids": torch.from_numpy(np.concatenate(ids)), "offsets": torch.from_numpy(offsets)})
        return _moved(result, module)

    def finished() -> SentenceTransformer:
        whole = weight.clone()
        whole[torch.from_numpy(known)] = small.embedding.weight.detach()
        return _assemble(model, [StaticEmbedding(table.tokenizer, embedding_weights=whole), *rest])

    return Trainee(module, list(small.embedding.parameters()), features, finished)


def _whole(model: SentenceTransformerEncoder, data: TrainingData, config: TrainingConfig) -> Trainee:
    # What a module reads at most is its own setting, so it is copied with it.
    module = _assemble(model, [*copy.deepcopy(list(model.model)), *_head(model)])
    module.train()
    prompts = _prompts(model, data)

    def features(batch: tuple[Rows, ...]) -> list[dict[str, torch.Tensor]]:
        texts = [[prompt + data.texts[row] for row in rows.tolist()] for prompt, rows in zip(prompts, batch)]
        return _moved(map(module.preprocess, texts), module)

    return Trainee(module, [p for p in module.parameters() if p.requires_grad], features, lambda: module.eval())


def _moved(inputs: Iterable[Mapping[str, Any]], module: SentenceTransformer) -> list[dict[str, torch.Tensor]]:
    """The tensors of each input where the module is."""
    return [
        {name: value.to(module.device) for name, value in row.items() if isinstance(value, torch.Tensor)}
        for row in inputs
    ]
