"""Keep an adaptor: a folder that numpy alone can read, or stock modules inside a sentence-transformers model."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mrl_viz.adaptor.adaptor import ACTIVATIONS, Adaptor
from mrl_viz.errors import DataFormatError, InvalidInputError, OptionalDependencyError, ShapeError, StoreError
from mrl_viz.truncation import FloatMatrix, check_dims

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from mrl_viz.adaptor.report import AdaptorFit

WEIGHTS, CONFIG, CARD = "adaptor.safetensors", "config.json", "README.md"
MODEL_CONFIG = "config_sentence_transformers.json"
FORMAT = 1
DTYPES = {"F32": "<f4", "I64": "<i8"}
MOST_HEADER_BYTES = 1_000_000


def save_adaptor(adaptor: Adaptor, folder: str | Path, *, card: str | None = None) -> Path:
    """Write weights, settings and a card into a new or an earlier adaptor folder; a failed write leaves the old one
    whole.

    Parameters
    ----------
    adaptor : what to keep
    folder : where; parents are created
    card : text of README.md, see `adaptor_card`; None writes a short one

    Returns
    -------
    Path : the folder, with adaptor.safetensors (float32), config.json and README.md.

    Raises
    ------
    StoreError : the folder cannot be written, or holds other files.
    """
    config = {
        "format": FORMAT,
        "method": adaptor.method,
        "full_dim": adaptor.full_dim,
        "dims": list(adaptor.dims),
        "model": adaptor.model,
        "activation": adaptor.activation,
        "is_residual": adaptor.is_residual,
        "n_layers": len(adaptor.layers),
    }

    def write(target: Path) -> None:
        (target / WEIGHTS).write_bytes(_to_safetensors(_tensors(adaptor)))
        (target / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (target / CARD).write_text(card or adaptor_card(adaptor), encoding="utf-8")

    return _replace_folder(Path(folder), CONFIG, write)


def load_adaptor(folder: str | Path, *, full_dim: int | None = None, model: str | None = None) -> Adaptor:
    """Read a folder that `save_adaptor` wrote; needs numpy only.

    Parameters
    ----------
    folder : the adaptor's folder
    full_dim, model : of the embeddings it is meant for, where known: compared with what it was fitted on

    Raises
    ------
    DataFormatError : no such folder, a file missing or damaged. ShapeError, InvalidInputError : another width or model.
    """
    path = Path(folder)
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        content = (path / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise DataFormatError(
            f"`{path}` has no {Path(error.filename).name}; give a folder that an adaptor was saved to."
        ) from error
    except (OSError, ValueError) as error:
        raise DataFormatError(
            f"`{path}` cannot be read as an adaptor ({type(error).__name__}); save it again."
        ) from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise DataFormatError(f"`{path}` is not an adaptor of format {FORMAT}; save it again with this version.")
    tensors = _from_safetensors(content, path)
    try:
        full, names = int(config["full_dim"]), range(int(config["n_layers"]))
        layers = tuple((tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"]) for i in names)
        adaptor = Adaptor(
            method=str(config["method"]), full_dim=full, dims=check_dims(config["dims"], full), model=config["model"],
            rotation=tensors.get("rotation"), layers=layers, activation=str(config["activation"]),
            is_residual=bool(config["is_residual"]), fitted_rows=tensors.get("fitted_rows"),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise DataFormatError(
            f"`{path}` has settings and weights that do not belong together ({error}); save it again."
        ) from error
    _check_shapes(adaptor, path)
    if full_dim is not None and full_dim != adaptor.full_dim:
        raise ShapeError(
            f"`full_dim` is {full_dim} but the adaptor in {path} was fitted on {adaptor.full_dim}; use its model."
        )
    if model is not None and adaptor.model is not None and model != adaptor.model:
        raise InvalidInputError(
            f"`model` is {model} but the adaptor in {path} was fitted on {adaptor.model}; fit one for {model}."
        )
    return adaptor


def adaptor_card(adaptor: Adaptor, fit: AdaptorFit | None = None) -> str:
    """README text: what the map is, how to use it, and what was measured, where a fit is given."""
    model, listed = adaptor.model or "an unnamed model", ", ".join(map(str, adaptor.dims))
    rotates = "no" if adaptor.rotation is None else "yes"
    lines = [
        "# Adaptor for truncated embeddings",
        "",
        f"Maps embeddings of {model} ({adaptor.full_dim} coordinates) so that their first {listed}",
        "coordinates can be used alone: map, keep a prefix, rescale to unit length.",
        "",
        f"Method `{adaptor.method}`: a rotation: {rotates}; layers of the residual network: {len(adaptor.layers)}.",
        "Queries and documents take the same map. It knows nothing of other models' embeddings.",
        "",
        "```python",
        "from mrl_viz.adaptor.fit import Adaptor",
        "",
        'short = Adaptor.load("FOLDER").apply(embeddings, dim=64)',
        "```",
        "",
    ]
    if fit is not None:
        lines += [
            f"## Measured on {fit.n_held_out} held-out rows ({fit.n_train} to train on, seed {fit.seed})",
            "",
            fit.takeaway(),
            "",
            f"| dims | raw prefix | SVD | adaptor | adaptor, training rows | {fit.measure} against SVD |",
            "|---|---|---|---|---|---|",
        ]
        raw, svd, own = (fit.quality(name) for name in ("prefix", "svd", "adaptor"))
        for level, (dim, verdict) in enumerate(zip(fit.dims, fit.verdicts())):
            lines.append(
                f"| {dim} | {raw.overlap[level]:.3f} | {svd.overlap[level]:.3f} | {own.overlap[level]:.3f} "
                f"| {own.overlap_train[level]:.3f} | {verdict} |"
            )
        lines += ["", f"Columns two to five are overlap@{fit.k} with the neighbors at full width.", ""]
    return "\n".join(lines)


def zipped(folder: str | Path) -> bytes:
    """The files of a saved folder as one zip archive, for a download."""
    root, buffer = Path(folder), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(root))
    return buffer.getvalue()


def adaptor_archive(adaptor: Adaptor, *, card: str | None = None) -> bytes:
    """What `save_adaptor` writes, as one zip archive."""
    with tempfile.TemporaryDirectory() as folder:
        return zipped(save_adaptor(adaptor, Path(folder) / "adaptor", card=card))


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
    layers as relu(x) − relu(−x) = x (silu likewise) and the last layer multiplies it with the rotation. No code of ours
    is needed.

    Parameters
    ----------
    adaptor : fitted on this model's embeddings
    model : the model, which is not changed
    folder : where; parents are created
    pre_truncation : "none" or "layer_norm", what the embeddings went through before the adaptor was fitted
    prompts : by name, such as "query", where the rows were encoded with others than the model's own
    card : text of README.md; None writes `adaptor_card`

    Returns
    -------
    Path : the folder; its configuration names the widths of the adaptor as `matryoshka_dims`.

    Raises
    ------
    ShapeError : the model has another width. InvalidInputError : an unknown `pre_truncation`.
    OptionalDependencyError : sentence-transformers is not installed. StoreError : the folder cannot be written.
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import LayerNorm, Normalize
    except ImportError as error:
        raise OptionalDependencyError(
            "`sentence_transformers` is not installed; run `pip install sentence-transformers`."
        ) from error
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

    def write(target: Path) -> None:
        whole.save(str(target), create_model_card=False)
        config = json.loads((target / MODEL_CONFIG).read_text(encoding="utf-8"))
        config["matryoshka_dims"] = [*adaptor.dims, adaptor.full_dim]
        (target / MODEL_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (target / CARD).write_text(card or adaptor_card(adaptor), encoding="utf-8")

    return _replace_folder(Path(folder), "modules.json", write)


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
    carried = np.vstack([eye, -eye])
    activation = torch.nn.ReLU if adaptor.activation == "relu" else torch.nn.SiLU
    modules, first = [], True
    for weight, bias in adaptor.layers[:-1]:
        # What arrives: hidden units, then +x and −x through the activation; before the first layer, x alone.
        left = weight if first else np.hstack([weight, np.zeros((len(weight), 2 * full_dim), dtype=np.float32)])
        keep = (
            carried
            if first
            else np.hstack([np.zeros((2 * full_dim, weight.shape[1]), dtype=np.float32), carried @ carried.T])
        )
        modules.append(
            dense(
                np.vstack([left, keep]), np.concatenate([bias, np.zeros(2 * full_dim, dtype=np.float32)]), activation()
            )
        )
        first = False
    weight, bias = adaptor.layers[-1]
    skip = rotation if adaptor.is_residual else np.zeros_like(rotation)
    modules.append(dense(np.hstack([weight, skip, -skip]), bias, none))
    return modules


def _tensors(adaptor: Adaptor) -> dict[str, npt.NDArray[Any]]:
    tensors: dict[str, npt.NDArray[Any]] = {} if adaptor.rotation is None else {"rotation": adaptor.rotation}
    for position, (weight, bias) in enumerate(adaptor.layers):
        tensors |= {f"layers.{position}.weight": weight, f"layers.{position}.bias": bias}
    if adaptor.fitted_rows is not None:
        tensors["fitted_rows"] = adaptor.fitted_rows
    return tensors


def _to_safetensors(tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The safetensors format: header length, JSON header, raw little-endian values."""
    header: dict[str, Any] = {}
    parts, start = [], 0
    for name, array in tensors.items():
        kind = "I64" if array.dtype == np.int64 else "F32"
        data = np.ascontiguousarray(array, dtype=DTYPES[kind]).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, start + len(data)]}
        parts.append(data)
        start += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the values start at a multiple of 8
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def _from_safetensors(content: bytes, path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read by hand, so that applying an adaptor needs no package beyond numpy."""
    try:
        length = int.from_bytes(content[:8], "little")
        if length > MOST_HEADER_BYTES:
            raise ValueError("header too long")
        header, values = json.loads(content[8 : 8 + length]), content[8 + length :]
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            low, high = entry["data_offsets"]
            if entry["dtype"] not in DTYPES or not 0 <= low <= high <= len(values):
                raise ValueError(f"tensor {name}")
            array = np.frombuffer(values[low:high], dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
            tensors[name] = array.astype(np.int64 if entry["dtype"] == "I64" else np.float32)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataFormatError(f"`{path / WEIGHTS}` is damaged or cut short; save the adaptor again.") from error
    return tensors


def _check_shapes(adaptor: Adaptor, path: Path) -> None:
    """The matrices follow on each other, from full_dim to full_dim, and are finite."""
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]]
    shapes = [] if adaptor.rotation is None else [(adaptor.rotation.shape, (adaptor.full_dim, adaptor.full_dim))]
    width = adaptor.full_dim
    for weight, bias in adaptor.layers:
        shapes += [(weight.shape, (len(weight), width)), (bias.shape, (len(weight),))]
        width = len(weight)
    if adaptor.fitted_rows is not None:
        shapes.append((adaptor.fitted_rows.shape, (len(adaptor.fitted_rows),)))
    arrays = [*_tensors(adaptor).values()]
    fits = (
        all(got == wanted for got, wanted in shapes) and width == adaptor.full_dim and adaptor.activation in ACTIVATIONS
    )
    if not fits or not all(np.isfinite(array).all() for array in arrays):
        raise DataFormatError(f"`{path}` has weights that do not fit its settings; save the adaptor again.")


def _replace_folder(folder: Path, marker: str, write: Callable[[Path], None]) -> Path:
    """Write beside the folder, then swap: a full disk or a killed run leaves what was there."""
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]) and not (folder / marker).is_file():
        raise StoreError(f"`{folder}` holds other files; choose a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise StoreError(f"`{folder}` cannot be written ({error.strerror or error}); choose another folder.") from error
    try:
        fresh.chmod(0o755)
        write(fresh)
        old = fresh.with_name(fresh.name + "-old")
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(fresh, folder)
        except OSError:
            if old.exists():
                os.replace(old, folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StoreError(
            f"`{folder}` cannot be written ({error.strerror or error}); free some space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder
