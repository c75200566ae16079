"""A sentence-transformers model with an adaptor inside, as stock modules: no code of ours is needed to load it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mrl_viz.adaptor.adaptor import Adaptor
from mrl_viz.errors import InvalidInputError, ShapeError
from mrl_viz.files import ADVICE
from mrl_viz.training.checkpoints import save_model
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def save_sentence_transformer(
    adaptor: Adaptor,
    model: SentenceTransformer,
    folder: str | Path,
    *,
    pre_truncation: str = "none",
    prompts: Mapping[str, str] | None = None,
    card: str | None = None,
) -> Path:
    """Write a model folder whose output is mapped already: `SentenceTransformer(folder, truncate_dim=64)` anywhere.

    Only stock modules follow the model's own: LayerNorm where the model asks for it before truncation, Normalize, and
    Dense layers. A Dense layer has no input from two layers back, so the vector itself is carried through the hidden
    layers as relu(x) − relu(−x) = x (silu likewise) and the last layer multiplies it with the rotation.

    Parameters
    ----------
    adaptor : fitted on this model's embeddings
    model : the model, which is not changed
    folder : where; parents are created
    pre_truncation : "none" or "layer_norm", what the embeddings went through before the adaptor was fitted
    prompts : by name, such as "query", where the rows were encoded with others than the model's own
    card : text of README.md; None writes `adaptor.card()`

    Returns
    -------
    Path : the folder; its configuration names the widths of the adaptor as `matryoshka_dims`.

    Raises
    ------
    ShapeError : the model has another width. InvalidInputError : an unknown `pre_truncation`.
    StoreError : the folder cannot be written.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Normalize

    width = model.get_embedding_dimension()
    if width != adaptor.full_dim:
        raise ShapeError(
            f"`model` gives {width} coordinates but the adaptor was fitted on {adaptor.full_dim}; "
            "use the model it was fitted on, at full width."
        )
    if pre_truncation not in ("none", "layer_norm"):
        raise InvalidInputError(f"`pre_truncation` is {pre_truncation!r}; choose 'none' or 'layer_norm'.")
    modules = [*model, *([LayerNorm(adaptor.full_dim)] if pre_truncation == "layer_norm" else []), Normalize()]
    whole = SentenceTransformer(
        modules=[*modules, *_dense_modules(adaptor)],
        device="cpu",
        prompts={name: text for name, text in model.prompts.items() if text is not None} | dict(prompts or {}),
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name="cosine",
    )
    dims = (*adaptor.dims, adaptor.full_dim)
    return save_model(whole, folder, dims=dims, card=card or adaptor.card(), advice=ADVICE)


def _dense_modules(adaptor: Adaptor) -> list[Any]:
    """Stock Dense layers that compute what `Adaptor.apply` computes from unit rows."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense

    def dense(weight: FloatMatrix, bias: npt.NDArray[Any] | None, activation: torch.nn.Module) -> Any:
        return Dense(
            weight.shape[1], weight.shape[0], bias=bias is not None, activation_function=activation,
            init_weight=torch.tensor(weight), init_bias=None if bias is None else torch.tensor(bias),
        )  # fmt: skip

    full_dim = adaptor.full_dim
    eye, none = np.eye(full_dim, dtype=np.float32), torch.nn.Identity()
    rotation = eye if adaptor.rotation is None else adaptor.rotation
    if not adaptor.layers:
        return [dense(rotation, None, none)]
    activation = torch.nn.ReLU if adaptor.activation == "relu" else torch.nn.SiLU
    modules: list[Any] = []
    # What arrives at a layer is the hidden units of the one before, then the vector; at the first, the vector alone.
    carried = eye
    for weight, bias in adaptor.layers[:-1]:
        hidden = weight.shape[1] if modules else 0
        vector = np.hstack([np.zeros((full_dim, hidden), dtype=np.float32), carried])
        unit = weight if not modules else np.hstack([weight, np.zeros((len(weight), 2 * full_dim), dtype=np.float32)])
        stacked = np.concatenate([bias, np.zeros(2 * full_dim, dtype=np.float32)])
        modules.append(dense(np.vstack([unit, vector, -vector]), stacked, activation()))
        carried = np.hstack([eye, -eye])
    weight, bias = adaptor.layers[-1]
    skip = rotation if adaptor.is_residual else np.zeros_like(rotation)
    modules.append(dense(np.hstack([weight, skip, -skip]), bias, none))
    return modules
