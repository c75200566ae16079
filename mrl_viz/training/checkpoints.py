"""Checkpoints of contrastive training, and whole models, on disk: safetensors and JSON, each replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mrl_viz.errors import DataFormatError
from mrl_viz.files import disk_errors, replaced_file, replaced_folder, write_json
from mrl_viz.fingerprint import fingerprint
from mrl_viz.training.config import TrainingConfig
from mrl_viz.training.data import TrainingData

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

# What Adam remembers of each parameter besides its step.
MOMENTS = ("exp_avg", "exp_avg_sq")
MODEL_CONFIG, MODEL_PARTS, CARD = "config_sentence_transformers.json", "modules.json", "README.md"
# Raised when the same settings train in another way, so that no checkpoint goes on as what it did not begin as.
LOOP_VERSION = 2
# What a user can do about a disk that refuses.
ADVICE = "free some space or choose another folder, then resume"


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Everything that training needs to go on after `epoch` whole epochs; all later seeds depend on the epoch only."""

    epoch: int = 0
    losses: tuple[tuple[float | None, ...], ...] = ()
    seconds: float = 0.0
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def take(
        cls,
        epoch: int,
        losses: Sequence[Sequence[float | None]],
        seconds: float,
        parameters: Sequence[torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
    ) -> TrainingState:
        """A copy of parameters and optimiser."""
        tensors = {
            f"{number}.{name}": value.detach().clone()
            for number, parameter in enumerate(parameters)
            for name, value in {"value": parameter, **optimizer.state[parameter]}.items()
        }
        return cls(epoch, tuple(tuple(row) for row in losses), seconds, tensors)

    def restore(self, parameters: Sequence[torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Put parameters and optimiser back; nothing to do before the first epoch."""
        import torch

        with torch.no_grad():
            for number, parameter in enumerate(parameters if self.epoch else ()):
                parameter.copy_(self.tensors[f"{number}.value"])
                # A parameter that has had no gradient yet has no moments.
                optimizer.state[parameter] = {
                    name: self.tensors[f"{number}.{name}"].clone().to(parameter.device if name != "step" else "cpu")
                    for name in (*MOMENTS, "step")
                    if f"{number}.{name}" in self.tensors
                }

    def save(self, path: Path, fingerprint: str) -> None:
        """Replace the checkpoint.

        Raises
        ------
        StoreError : the disk refuses; the checkpoint before stays.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        state = {"epoch": self.epoch, "losses": self.losses, "seconds": self.seconds}
        about = {"fingerprint": fingerprint, "state": json.dumps(state)}
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.tensors.items()}
        with disk_errors(path, ADVICE, also=(SafetensorError,)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replaced_file(path) as aside:
                save_file(tensors, aside, metadata=about)

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
    """Sixteen hexadecimal digits that change with run, settings, data and `start`, the model's identity."""
    return fingerprint(LOOP_VERSION, run, config.to_dict(), data.to_dict(), start)


def save_model(
    model: SentenceTransformer, folder: str | Path, *, dims: Sequence[int], card: str, advice: str = ADVICE
) -> Path:
    """Write a sentence-transformers folder that names its trained widths; an earlier one is replaced as a whole.

    Raises
    ------
    StoreError : the disk refuses, or the folder holds something else.
    """
    from safetensors import SafetensorError

    folder = Path(folder)
    with disk_errors(folder, advice, also=(SafetensorError,)), replaced_folder(folder, MODEL_PARTS) as fresh:
        model.save(str(fresh), create_model_card=False)
        config = json.loads((fresh / MODEL_CONFIG).read_text(encoding="utf-8"))
        write_json(fresh / MODEL_CONFIG, config | {"matryoshka_dims": list(dims)})
        (fresh / CARD).write_text(card, encoding="utf-8")
    return folder
