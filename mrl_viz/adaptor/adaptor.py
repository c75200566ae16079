"""The learned map that makes frozen embeddings truncatable, and how it is kept; needs numpy and safetensors only."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mrl_viz.arrangements import Arrangement
from mrl_viz.errors import DataFormatError, InvalidInputError, ShapeError
from mrl_viz.files import disk_errors, replaced_folder, write_json, zipped
from mrl_viz.fingerprint import fingerprint
from mrl_viz.truncation import FloatMatrix, check_dims, check_embeddings, normalize

# Both give a(x) − a(−x) = x, which is what carries a vector unchanged through stock layers when a model folder is
# saved.
ACTIVATIONS: dict[str, Callable[[FloatMatrix], FloatMatrix]] = {
    "relu": lambda rows: np.maximum(rows, 0),
    "silu": lambda rows: rows / (1 + np.exp(-np.clip(rows, -60, 60))),
}
# Of training: epochs done, epochs at most, and what else there is to say.
Progress = Callable[[int, int, dict[str, Any]], None]
# Weights that Search-Adaptor tries for L_rec and L_pred, the strongest first, which wins a tie.
RECOVERY_WEIGHTS, PREDICTION_WEIGHTS = (1.0, 0.1, 0.0), (0.1, 0.01, 0.0)
# Unit queries and, for each, the grades of training rows.
Judged = tuple[FloatMatrix, list[dict[int, int]]]
WEIGHTS, CONFIG, CARD, FORMAT = "adaptor.safetensors", "config.json", "README.md", 1
# Between these squared norms float32 sums of squares are exact enough.
SMALLEST_SQUARE, LARGEST_SQUARE = 1e-20, 1e20
# Rows mapped at once: the intermediate matrices stay in cache.
CHUNK = 2048


@dataclass(frozen=True)
class AdaptorSettings:
    """What the paper leaves open, and what it fixes; plain data.

    `hidden_dim`, `depth`, `activation` ("relu" or "silu") : of the residual network (open in the paper).
    `k` : neighbors of L_topk and of the reported overlap (open).
    `reduction` : over widths, "mean" or "sum" (paper: sum).
    `alpha`, `beta`, `gamma` : weights of L_pair, L_rec and L_rank (paper: 1, 1, 1); of them Search-Adaptor has `gamma`.
    `recovery`, `prediction` : weights of Search-Adaptor's own L_rec and L_pred, α and β in that paper; None tries 0,
        0.1 and 1 for the one and 0, 0.01 and 0.1 for the other and keeps the pair with the best nDCG@10 on the
        validation queries.
    `temperature` : of the neighbor distributions, "neighbors" only.
    `pivot` : widths from here up are as good as SVD, exactly, since the rotation turns only the directions before it.
    `tolerance` : overlap on validation rows that a residual network may cost at any of those widths; 0 means no
        network, for only a rotation leaves the full width as it is. With judgements the network is always trained,
        and its share chosen by nDCG on the validation queries.
    `learning_rate` : of the network (paper: 0.001). `rotation_rate` : of the rotation.
    `batch_size` : None takes 128, as the paper does, or 256 for "neighbors".
    `epochs` : per stage, at least 20 batches each; the rates fall to 0 over them. `patience` : epochs without a better
        validation loss that end a stage. `is_residual` : the skip connection, off only to compare with the paper.
    """

    hidden_dim: int = 256
    depth: int = 1
    activation: str = "relu"
    k: int = 10
    reduction: str = "mean"
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0
    recovery: float | None = None
    prediction: float | None = None
    temperature: float = 0.05
    pivot: int = 128
    tolerance: float = 0.0
    learning_rate: float = 1e-3
    rotation_rate: float = 1e-2
    batch_size: int | None = None
    epochs: int = 30
    patience: int = 15
    is_residual: bool = True


@dataclass(frozen=True, eq=False)
class Adaptor:
    """A learned map of embeddings: unit rows c become rotation(c) + f(c), and any prefix of that is then renormalised.

    `rotation` : float32 of shape (full_dim, full_dim), applied as c @ rotation.T; None is the identity.
    `layers` : matrix (out, in) and bias (out,) of each layer of f, an activation between two; empty means f = 0.
    `dims` : the widths it was fitted for. `model` : name of the embedding model, None when unknown.
    `is_residual` : whether rotation(c) is added to f(c); False is the paper's map without skip connection.
    `fitted_rows` : `row_keys` of the rows it was fitted on, ascending, None when unknown.
    """

    method: str
    full_dim: int
    dims: tuple[int, ...]
    model: str | None
    rotation: FloatMatrix | None
    layers: tuple[tuple[FloatMatrix, npt.NDArray[np.floating[Any]]], ...] = ()
    activation: str = "relu"
    is_residual: bool = True
    fitted_rows: npt.NDArray[np.int64] | None = None

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that change with the map and with the rows it has seen."""
        how = self.method, self.full_dim, self.activation, self.is_residual
        return fingerprint(how, self.rotation, self.layers, self.fitted_rows)[:8]

    def arrangement(self, name: str = "adaptor") -> Arrangement:
        """The map as one of the ways to arrange coordinates; `apply` without the choice of a width."""
        return Arrangement(name, self.full_dim, learned=self.apply, fitted_rows=self.fitted_rows)

    def apply(self, embeddings: npt.ArrayLike, *, dim: int | None = None, model: str | None = None) -> FloatMatrix:
        """The mapped rows, float32 of shape (n_items, dim), not renormalised.

        Parameters
        ----------
        embeddings : array_like of shape (n_items, full_dim), as the model gives them, any scale
        dim : only the first coordinates, which is cheaper; None for all
        model : where known, the model the embeddings come from, compared with the adaptor's

        Raises
        ------
        ShapeError : embeddings of another width. InvalidInputError : of another model. DimensionError : `dim` out of
            range.
        """
        array = check_embeddings(embeddings)
        self.check_fits(array.shape[1], model)
        (width,) = check_dims([self.full_dim if dim is None else dim], self.full_dim)
        result = np.empty((len(array), width), dtype=np.float32)
        for start in range(0, len(array), CHUNK):
            result[start : start + CHUNK] = self._map(array[start : start + CHUNK], width)
        return result

    def _map(self, rows: FloatMatrix, width: int) -> FloatMatrix:
        unit = _unit(rows)
        mapped = unit[:, :width] if self.rotation is None else unit @ self.rotation[:width].T
        if not self.layers:
            return mapped
        hidden = unit
        for weight, bias in self.layers[:-1]:
            hidden = ACTIVATIONS[self.activation](hidden @ weight.T + bias)
        weight, bias = self.layers[-1]
        residual = hidden @ weight[:width].T + bias[:width]
        if self.is_residual:
            residual += mapped
        residual[~unit.any(axis=1)] = 0  # a row without direction gets none
        return residual

    def check_fits(self, full_dim: int | None, model: str | None) -> None:
        """Raise unless embeddings of this width and model, where known, are what it was fitted on.

        Raises
        ------
        ShapeError : another width. InvalidInputError : another model.
        """
        if full_dim is not None and full_dim != self.full_dim:
            raise ShapeError(
                f"`full_dim` is {full_dim} but this adaptor was fitted on {self.full_dim}; use embeddings of the same "
                "model at full width."
            )
        if model is not None and self.model is not None and model != self.model:
            raise InvalidInputError(
                f"`model` is {model} but this adaptor was fitted on {self.model}; fit one for {model}."
            )

    def save(self, folder: str | Path, *, card: str | None = None) -> Path:
        """Write weights, settings and a card into a new folder or an earlier adaptor's, whole or not at all.

        Parameters
        ----------
        folder : where; parents are created
        card : text of README.md; None writes `card()`

        Returns
        -------
        Path : the folder, with adaptor.safetensors (float32), config.json and README.md.

        Raises
        ------
        StoreError : the folder cannot be written, or holds other files.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        names = ("method", "full_dim", "dims", "model", "activation", "is_residual")
        config = {"format": FORMAT} | {name: getattr(self, name) for name in names} | {"n_layers": len(self.layers)}
        tensors: dict[str, npt.NDArray[Any]] = {
            name: np.ascontiguousarray(array, dtype=np.float32) for name, array in self._matrices().items()
        }
        tensors |= {} if self.fitted_rows is None else {"fitted_rows": self.fitted_rows}
        folder = Path(folder)
        with disk_errors(folder, also=(SafetensorError,)), replaced_folder(folder, CONFIG) as fresh:
            save_file(tensors, fresh / WEIGHTS)
            write_json(fresh / CONFIG, config)
            (fresh / CARD).write_text(card or self.card(), encoding="utf-8")
        return folder

    @staticmethod
    def load(folder: str | Path, *, full_dim: int | None = None, model: str | None = None) -> Adaptor:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : the adaptor's folder
        full_dim, model : of the embeddings it is meant for, where known

        Raises
        ------
        DataFormatError : no such folder, a file missing or damaged. ShapeError, InvalidInputError : see `check_fits`.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = Path(folder)
        try:
            config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
            if not isinstance(config, dict) or config.get("format") != FORMAT:
                raise DataFormatError(f"`{path}` is not an adaptor of format {FORMAT}; save it again.")
            tensors = load((path / WEIGHTS).read_bytes())
            full, parts = int(config["full_dim"]), range(int(config["n_layers"]))
            adaptor = Adaptor(
                method=str(config["method"]),
                full_dim=full,
                dims=check_dims(config["dims"], full),
                model=config["model"],
                rotation=tensors.get("rotation"),
                layers=tuple((tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"]) for i in parts),
                activation=str(config["activation"]),
                is_residual=bool(config["is_residual"]),
                fitted_rows=tensors.get("fitted_rows"),
            )
        except FileNotFoundError as error:
            missing = Path(error.filename).name
            raise DataFormatError(f"`{path}` has no {missing}; give a folder that an adaptor was saved to.") from error
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise DataFormatError(
                f"`{path}` cannot be read as an adaptor ({type(error).__name__}: {error}); save it again."
            ) from error
        if not adaptor._is_whole():
            raise DataFormatError(f"`{path}` has weights that do not fit its settings; save the adaptor again.")
        adaptor.check_fits(full_dim, model)
        return adaptor

    def archive(self, *, card: str | None = None) -> bytes:
        """What `save` writes, as one zip archive."""
        with tempfile.TemporaryDirectory() as folder:
            return zipped(self.save(Path(folder) / "adaptor", card=card))

    def card(self) -> str:
        """README text: what the map is and how to use it."""
        listed, rotates = ", ".join(map(str, self.dims)), "no" if self.rotation is None else "yes"
        return f"""\
# Adaptor for truncated embeddings

Maps embeddings of {self.model or "an unnamed model"} ({self.full_dim} coordinates) so that their first {listed}
coordinates can be used alone: map, keep a prefix, rescale to unit length.

Method `{self.method}`: a rotation: {rotates}; layers of the residual network: {len(self.layers)}.
Queries and documents take the same map. It knows nothing of other models' embeddings.

```python
from mrl_viz.adaptor.adaptor import Adaptor

short = Adaptor.load("FOLDER").apply(embeddings, dim=64)
```
"""

    def _matrices(self) -> dict[str, npt.NDArray[Any]]:
        """Every matrix and bias by its name in the file."""
        named = {} if self.rotation is None else {"rotation": self.rotation}
        for position, (weight, bias) in enumerate(self.layers):
            named |= {f"layers.{position}.weight": weight, f"layers.{position}.bias": bias}
        return named

    def _is_whole(self) -> bool:
        """Whether the matrices follow on each other, from full_dim to full_dim, and all numbers are finite."""
        width, fits = self.full_dim, [self.activation in ACTIVATIONS]
        if self.rotation is not None:
            fits.append(self.rotation.shape == (width, width))
        if self.fitted_rows is not None:
            fits.append(self.fitted_rows.ndim == 1 and self.fitted_rows.dtype == np.int64)
        for weight, bias in self.layers:
            fits.append(weight.ndim == 2 and weight.shape[1] == width and bias.shape == weight.shape[:1])
            width = weight.shape[0] if weight.ndim else 0
        fits += [array.dtype == np.float32 and np.isfinite(array).all() for array in self._matrices().values()]
        return all(fits) and width == self.full_dim


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: for batches this small a second one saves nothing, and waits busily."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _unit(rows: FloatMatrix) -> FloatMatrix:
    """`normalize` in float32, without its care for extreme rows where there are none."""
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows)
    if squares.min() > SMALLEST_SQUARE and squares.max() < LARGEST_SQUARE:
        return np.asarray(rows * (1 / np.sqrt(squares))[:, None], dtype=np.float32)
    return normalize(rows).astype(np.float32, copy=False)
