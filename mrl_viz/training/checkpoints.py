"""Checkpoints of contrastive training, and models on disk: safetensors and JSON only, each replaced as a whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrl_viz.errors import DataFormatError, StoreError
from mrl_viz.fingerprint import fingerprint

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

    from mrl_viz.training.data import TrainingData
    from mrl_viz.training.loop import TrainingConfig

# What Adam remembers of each parameter besides its step.
MOMENTS = ("exp_avg", "exp_avg_sq")
MODEL_CONFIG = "config_sentence_transformers.json"
CARD = "README.md"


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Everything that training needs to go on after `epoch` whole epochs; the seeds of what follows depend on the epoch only."""

    epoch: int = 0
    losses: tuple[tuple[float | None, ...], ...] = ()
    seconds: float = 0.0
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def take(
        cls, epoch: int, losses: Sequence[Sequence[float | None]], seconds: float, parameters: Sequence[torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
    ) -> TrainingState:  # fmt: skip
        """A copy of parameters and optimiser."""
        tensors = {}
        for number, parameter in enumerate(parameters):
            tensors[f"{number}.value"] = parameter.detach().clone()
            for name, value in optimizer.state[parameter].items():
                tensors[f"{number}.{name}"] = value.detach().clone()
        return cls(epoch, tuple(tuple(row) for row in losses), seconds, tensors)

    def restore(self, parameters: Sequence[torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Put parameters and optimiser back; nothing to do before the first epoch."""
        import torch

        with torch.no_grad():
            for number, parameter in enumerate(parameters if self.epoch else ()):
                parameter.copy_(self.tensors[f"{number}.value"])
                # A parameter that has had no gradient yet has no moments.
                names = [name for name in (*MOMENTS, "step") if f"{number}.{name}" in self.tensors]
                optimizer.state[parameter] = {
                    name: self.tensors[f"{number}.{name}"].clone().to(parameter.device if name != "step" else "cpu")
                    for name in names
                }

    def save(self, path: Path, fingerprint: str) -> None:
        """Replace the checkpoint.

        Raises
        ------
        StoreError : the disk refuses; the checkpoint before stays.
        """
        from safetensors.torch import save_file

        about = {
            "fingerprint": fingerprint,
            "state": json.dumps({"epoch": self.epoch, "losses": self.losses, "seconds": self.seconds}),
        }
        aside = path.with_name(f".{path.name}.partial")
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                save_file(
                    {name: tensor.cpu().contiguous() for name, tensor in self.tensors.items()}, aside, metadata=about
                )
                os.replace(aside, path)
            finally:
                aside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path, fingerprint: str) -> TrainingState:
        """The checkpoint of the same run.

        Raises
        ------
        DataFormatError : it is damaged, or of another run.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            state = json.loads(about["state"])
            loaded = cls(
                int(state["epoch"]), tuple(tuple(row) for row in state["losses"]), float(state["seconds"]), tensors
            )
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise DataFormatError(
                f"`{path}` is no whole checkpoint ({type(error).__name__}); delete it to train from the start."
            ) from error
        if about.get("fingerprint") != fingerprint:
            raise DataFormatError(
                f"`{path}` is a checkpoint of other data or settings; delete it, or train with those again."
            )
        return loaded


def run_fingerprint(run: str, config: TrainingConfig, data: TrainingData, start: str) -> str:
    """Sixteen hexadecimal digits that change with run, settings, data and `start`, the identity of the model trained."""
    return fingerprint(run, config.to_dict(), data.to_dict(), start)


def save_model(model: SentenceTransformer, folder: Path, *, dims: Sequence[int], card: str) -> Path:
    """Write a sentence-transformers folder that names its trained widths, whole or not at all; an earlier one is replaced.

    Raises
    ------
    StoreError : the disk refuses, or the folder holds something else.
    """
    if folder.exists() and not (folder / MODEL_CONFIG).is_file():
        raise StoreError(f"`{folder}` holds no model that could be replaced; choose a new folder.")
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            aside.chmod(0o755)
            model.save(str(aside), create_model_card=False)
            config = json.loads((aside / MODEL_CONFIG).read_text(encoding="utf-8"))
            write_json(aside / MODEL_CONFIG, config | {"matryoshka_dims": list(dims)})
            (aside / CARD).write_text(card, encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file as a whole."""
    aside = path.with_name(f".{path.name}.partial")
    try:
        aside.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what a disk refuses into a StoreError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(
            f"`{path}` cannot be written ({reason}); free some space or choose another folder, then resume."
        ) from error
