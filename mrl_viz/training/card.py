"""The README of a trained model: what it is, how it was made, what was measured, how to load it and make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from mrl_viz.training.config import TrainingConfig

# What stands for the user's own data in the code.
SAMPLE_DATA = 'training_data(read_corpus("sample"))'


def repeat_code(config: TrainingConfig, data: str = SAMPLE_DATA) -> str:
    """Python that trains and compares the same two models; `data` is the expression that makes the TrainingData."""
    return f"""\
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.training.config import TrainingConfig
from mrl_viz.training.data import training_data
from mrl_viz.training.twins import train_twins

config = {_written(config)}
data = {data}
run = train_twins(load_encoder(config.model), data, config, "my-model")
print(run.takeaway())"""


def overlay_code(configs: Sequence[TrainingConfig], data: str = SAMPLE_DATA) -> str:
    """Python that trains by each of the settings and lays the runs over the first; `data` as in `repeat_code`."""
    listed = "\n".join(f"    {_written(config)}," for config in configs)
    return f"""\
from mrl_viz import figures
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.training.config import TrainingConfig
from mrl_viz.training.data import training_data
from mrl_viz.training.overlay import lay_over_runs
from mrl_viz.training.twins import train_twins

configs = [
{listed}
]
data = {data}
runs = [
    train_twins(load_encoder(config.model), data, config, f"run-{{number}}")
    for number, config in enumerate(configs, start=1)
]
overlay = lay_over_runs([run.values for run in runs])
print(overlay.takeaway())
figures.overlay_curves(overlay).show()
figures.overlay_gains(overlay).show()"""


def _written(config: TrainingConfig) -> str:
    values = {field: getattr(config, field.name) for field in fields(config)}
    changed = [f"{field.name}={value!r}" for field, value in values.items() if value != field.default]
    return f"TrainingConfig({', '.join(changed)})"


def model_card(config: TrainingConfig, data: str, about: Mapping[str, Any], dim: int, measured: Sequence[str]) -> str:
    """README text of one trained model.

    Parameters
    ----------
    config, data : settings, and one sentence about the texts
    about : what `TrainedModel.to_dict` gives
    dim : the width to show it at
    measured : lines about what was measured, with their heading
    """
    widths, is_nested = ", ".join(map(str, about["dims"])), about["run"] == "matryoshka"
    how = f"at {widths} dims at once" if is_nested else f"at its full {widths} dims only, as the twin to compare with"
    return "\n".join([
        "---", "library_name: sentence-transformers", "pipeline_tag: sentence-similarity", "tags:",
        "- sentence-transformers", *(["- matryoshka"] if is_nested else []), "---", "",
        f"# {config.model}, trained {how}", "",
        f"Settings: {config.takeaway()} Weights of the widths: {config.weights}. {about['n_parameters']:,} numbers "
        "were trained.",
        f"Data: {data} Training ended after: {about['stopped']}.",
        "The licence of the model that training started from applies to this one as well.", "",
        "```python", "from sentence_transformers import SentenceTransformer", "",
        f'model = SentenceTransformer("FOLDER", truncate_dim={dim})',
        'vectors = model.encode(["a text"], normalize_embeddings=True)', "```", "",
        *measured, "", "## Made by", "", "```python", repeat_code(config, "..."), "```", "",
    ])  # fmt: skip
