"""The README of a trained model: what it is, how it was made, what was measured, how to load it and make it again."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Literal

from mrl_viz.training.loop import TrainingConfig

if TYPE_CHECKING:
    from mrl_viz.training.twins import TwinRun

# What stands for the user's own data in the code.
SAMPLE_DATA = 'training_data(read_corpus("sample"))'


def repeat_code(config: TrainingConfig, data: str = SAMPLE_DATA) -> str:
    """Python that trains and compares the same two models; `data` is the expression that makes the TrainingData."""
    changed = [
        f"{field.name}={value!r}" for field in fields(config) if (value := getattr(config, field.name)) != field.default
    ]
    return "\n".join([
        "from mrl_viz.embedding.encoders import load_encoder",
        "from mrl_viz.training.loop import TrainingConfig",
        "from mrl_viz.training.data import training_data",
        "from mrl_viz.training.twins import train_twins",
        "from mrl_viz.data.reading import read_corpus",
        "",
        f"config = TrainingConfig({', '.join(changed)})",
        f"data = {data}",
        'run = train_twins(load_encoder(config.model), data, config, "my-model")',
        "print(run.takeaway())",
    ])  # fmt: skip


def twin_card(run: TwinRun, which: Literal["matryoshka", "plain"]) -> str:
    """README text of one of the two models."""
    config, comparison, about = run.config, run.comparison, run.training[which]
    full_dim = comparison.dims[-1]
    widths = ", ".join(map(str, about["dims"]))
    how = (
        f"at {widths} dims at once"
        if which == "matryoshka"
        else f"at its full {full_dim} dims only, as the twin to compare with"
    )
    lines = [
        "---", "library_name: sentence-transformers", "pipeline_tag: sentence-similarity", "tags:", "- sentence-transformers",
        *(["- matryoshka"] if which == "matryoshka" else []), "---", "",
        f"# {config.model}, trained {how}", "",
        f"Settings: {config.takeaway()} Weights of the widths: {config.weights}. {about['n_parameters']:,} numbers were trained.",
        f"Data: {run.data} Training ended after: {about['stopped']}.",
        "The licence of the model that training started from applies to this one as well.", "",
        "```python", "from sentence_transformers import SentenceTransformer", "",
        f'model = SentenceTransformer("FOLDER", truncate_dim={comparison.small_dim})',
        'vectors = model.encode(["a text"], normalize_embeddings=True)', "```", "",
        f"## Measured: {comparison.measure} on {comparison.n_items} held-out items", "",
        run.takeaway(), "",
        "| dims | Matryoshka | plain twin | before training | Matryoshka − plain, 95 % |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for row in comparison.rows():
        before = f"{row['before']:.3f}" if "before" in row else "–"
        lines.append(
            f"| {row['dim']} | {row['matryoshka']:.3f} | {row['plain']:.3f} | {before} "
            f"| {row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}] |"
        )
    lines += ["", "## Made by", "", "```python", repeat_code(config, "..."), "```", ""]
    return "\n".join(lines)
