"""mrl_viz: see what every embedding width keeps, and choose one you can defend.

    import mrl_viz as mv

    vectors = mv.embed(mv.read_corpus("sample"))
    print(mv.analyse(vectors, dims=[32, 64, 128]).overlap.takeaway())

The names below are loaded when they are first used; importing the package loads nothing heavy. What else there is lies
in the rooms (`mrl_viz.measures`, `mrl_viz.retrieval`, …).
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Name: where it lies, and what it is called there. `__init__.pyi` says the same to type checkers.
_HOMES = {
    "Adaptor": ("adaptor.adaptor", "Adaptor"),
    "analyse": ("analysis", "analyse"),
    "compare": ("comparison.compare", "compare_models"),
    "controls": ("analysis", "controls"),
    "embed": ("embedding.embedded", "embed"),
    "evaluate": ("tasks.evaluation", "evaluate"),
    "fit_adaptor": ("adaptor.fit", "fit_adaptor"),
    "nested_sweep": ("sweep", "nested_sweep"),
    "read_corpus": ("data.reading", "read_corpus"),
    "recommend": ("decide.choose", "recommend"),
    "search": ("decide.search", "search"),
    "truncate_and_normalize": ("truncation", "truncate_and_normalize"),
}
__all__ = ["__version__", "figures", *_HOMES]  # every key is a string


def __getattr__(name: str) -> Any:
    if name == "figures":
        return import_module("mrl_viz.figures")
    if name not in _HOMES:
        raise AttributeError(f"module 'mrl_viz' has no attribute {name!r}")
    home, attribute = _HOMES[name]
    return getattr(import_module(f"mrl_viz.{home}"), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
