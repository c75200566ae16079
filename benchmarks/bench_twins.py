"""A nested model against its plain twin and against a model trained at each width alone: docs/training.md's tables.

    python benchmarks/bench_twins.py [SOURCE] [--model NAME] [--label COLUMN] [--schedules] [--seeds 5] [--json FILE]

A small projection of frozen vectors unless said otherwise. Each seed has its own split, start and order of batches, the
same for all models.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.training.config import BASES, SCHEDULES, SMALL_BASES, TrainingConfig, check_config
from mrl_viz.training.data import SOURCES, training_data
from mrl_viz.training.loop import train_contrastive, trainable
from mrl_viz.training.twins import MEASURES, SMALL_SHARE, held_out_task

EPOCHS = 12  # as on the page


def remembering(encoder):
    """The model, which from now on encodes each text once: its features are frozen."""
    known, encode = {}, encoder.encode

    def remembered(texts: Sequence[str], *, kind="document"):
        missing = [text for text in dict.fromkeys(texts) if (kind, text) not in known]
        if missing:
            known.update(((kind, text), row) for text, row in zip(missing, encode(missing, kind=kind)))
        return np.stack([known[kind, text] for text in texts])

    object.__setattr__(encoder, "encode", remembered)
    return encoder


def embed(model, data, trained=None):
    """Vectors of all texts by the model, or by what was trained; held-out anchors as queries."""
    if trained is not None and trained.base != "projection":
        # A fresh one, which encodes by what was trained.
        model, trained = replace(model, model=trained.found.model, pre_truncation="none"), None
    rows = model.encode(data.texts)
    anchors = sorted({example[0] for example in data.held_out}) if data.kind == "pairs" else []
    if anchors:
        rows[anchors] = model.encode([data.texts[row] for row in anchors], kind="query")
    if trained is None:
        return rows
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows @ list(trained.found.model)[-1].linear.weight.detach().numpy().T).astype(np.float32)


class Trained:
    """What training by a config gives, and what of the model that was."""

    def __init__(self, model, data, config, **run):
        self.base, self.found = config.base, train_contrastive(model, data, config, **run)


def measure(model, source, args, seed, schedules):
    """Mean quality per arrangement at every width."""
    data = training_data(
        read_corpus(source), label_column=args.label, source=args.source_kind, language=args.language, seed=seed
    )
    config = TrainingConfig(model=args.model, base=args.base, epochs=args.epochs, batch_size=args.batch, seed=seed)
    dims = check_config(config, model.full_dim)
    at = tuple(sorted({*dims, round(SMALL_SHARE * model.full_dim)}))
    task = held_out_task(data)

    def quality(rows):
        return task.measure(rows, rows, at).mean(axis=1)

    found = {"before": quality(embed(model, data))}
    for schedule in schedules:
        found[schedule] = quality(embed(model, data, Trained(model, data, replace(config, schedule=schedule))))
    found["plain"] = quality(embed(model, data, Trained(model, data, config, run="plain")))
    alone = np.full(len(at), np.nan)
    alone[-1] = found["plain"][-1]
    for level, dim in enumerate(at[:-1] if args.base in SMALL_BASES else ()):
        alone[level] = quality(embed(model, data, Trained(model, data, config, run="alone", width=dim)))[level]
    found["alone"] = alone
    return MEASURES[task.kind], at, data.takeaway(), found


def interval(values):
    """Mean over seeds and its 95 % t interval, as text; a dash for what was not measured."""
    if np.isnan(values).any():
        return "–"
    mean, half = values.mean(), student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", default="sample:hard")
    parser.add_argument("--model", default="wordllama")
    parser.add_argument("--label")
    parser.add_argument("--source-kind", choices=SOURCES)
    parser.add_argument("--language")
    parser.add_argument("--base", choices=BASES, default=BASES[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--schedules", action="store_true", help="every schedule beside all widths at once")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    model = remembering(trainable(load_encoder(args.model)))
    schedules = SCHEDULES if args.schedules else SCHEDULES[:1]
    runs = []
    for seed in range(args.seeds):
        name, dims, takeaway, found = measure(model, args.source, args, seed, schedules)
        runs.append(found)
    values = {key: np.array([run[key] for run in runs]) for key in runs[0]}
    print(
        f"{args.model} on {args.source} {args.label or ''}: {takeaway} {name}, means of {args.seeds} seeds, "
        f"{time.perf_counter() - started:.0f} s\n"
    )
    heads = [f"{schedule} − plain, 95 %" for schedule in schedules]
    print(
        "| dims | before |", " | ".join(schedules), "| plain twin | alone |", " | ".join(heads), "| all − alone, 95 % |"
    )
    print("|---" * (5 + 2 * len(schedules)), "|", sep="")
    for level, dim in enumerate(dims):
        cells = [f"{values[key][:, level].mean():.3f}" for key in ("before", *schedules, "plain", "alone")]
        cells += [interval(values[key][:, level] - values["plain"][:, level]) for key in schedules]
        cells.append(interval(values["all"][:, level] - values["alone"][:, level]))
        print(f"| {dim} |", " | ".join(cells), "|")
    small = dims.index(round(SMALL_SHARE * dims[-1]))
    kept = {key: values[key][:, small] / values[key][:, -1] for key in (schedules[0], "plain")}
    apart = interval(kept[schedules[0]] - kept["plain"])
    print(
        f"\nOf its own full width, {dims[small]} of {dims[-1]} dims keep {kept[schedules[0]].mean():.2%} of the "
        f"Matryoshka model and {kept['plain'].mean():.2%} of its plain twin; difference {apart}."
    )
    if args.json:
        args.json.write_text(
            json.dumps(
                {"dims": dims, "measure": name} | {key: value.tolist() for key, value in values.items()}, indent=1
            )
        )


if __name__ == "__main__":
    main()
