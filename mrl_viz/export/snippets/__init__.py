"""Deployment snippets: a retrieval plan as a short program for the vector store that a team uses.

Every snippet is a whole program with two functions, `build(vectors, ...)` and `search(built, query, k)`, that take the
model's output at full width and do the plan's work themselves: the step before the slice that the model card asks for,
the slice, the renormalisation, the codes, the index, the rerank. What a store cannot do as planned is said in a note,
in the program and beside it. The tests run the stores that install with pip, exactly as shown here.
Each store is one Jinja template: what it is called, what it needs, its notes, its code.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mrl_viz.embedding.catalogue import find_card
from mrl_viz.errors import DimensionError, InvalidInputError
from mrl_viz.result import Result
from mrl_viz.retrieval.ann import HNSW_BUILD_CANDIDATES, HNSW_LINKS, HNSW_SEARCH_CANDIDATES
from mrl_viz.retrieval.codes import pq_parts
from mrl_viz.retrieval.panorama import BATCH_SIZE, n_levels
from mrl_viz.retrieval.plan import Plan
from mrl_viz.truncation import check_dims

# In the order in which they are shown: embedded libraries first, then servers. Each has its template of that name.
TARGETS = ("faiss", "pgvector", "qdrant", "lancedb", "sqlite-vec", "milvus", "weaviate", "elasticsearch", "vespa")
PRE_TRUNCATION = ("none", "layer_norm")
LINE_LENGTH = 100
NO_EARLY_STOP = ("This store reads every vector to its end: the same results, later than an early stop finds them.",)
# What several templates say alike.
PHRASES = {
    "hamming_note": "Binary vectors are compared with the query's own bits (Hamming distance); the plan was measured "
    "with a float query, which finds more.",
    "not_run": "This needs a {} server, which does not install with pip: the code was not tried.",
    "bit_score": "1 - 2 x differing bits / DIM",
    # How many lists an inverted index gets: faiss's usual 4·sqrt(n), with enough vectors in each.
    "n_lists": "n_lists = max(1, min(int(4 * len(rows) ** 0.5), len(rows) // 39))",
    "links": HNSW_LINKS,
    "build_candidates": HNSW_BUILD_CANDIDATES,
    "search_candidates": HNSW_SEARCH_CANDIDATES,
}


@dataclass(frozen=True)
class DeploymentSnippet(Result):
    """A plan as a program for one vector store.

    `target` : one of `TARGETS`; `title` : its name. `language` : of the code, for highlighting.
    `code` : the program. `install` : the shell command that brings what it imports.
    `executed` : whether the tests run this target, precision and kind of index against the project's own search.
    `notes` : what the store does otherwise than the plan says, one sentence each; also in the code.
    """

    target: str
    title: str
    language: str
    code: str
    install: str
    executed: bool
    notes: tuple[str, ...]

    def takeaway(self) -> str:
        """One sentence: whether it was run, and what is different."""
        run = "run by the project's tests" if self.executed else "not run by the project's tests"
        return " ".join([f"{self.title}: {run}.", *self.notes])


def deployment_snippets(
    plan: Plan,
    *,
    model: str,
    full_dim: int,
    pre_truncation: str | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
) -> tuple[DeploymentSnippet, ...]:
    """The plan as a program for each of `TARGETS`.

    Parameters
    ----------
    plan : as decided, such as `Recommendation.plan` or `plan_from_record(record)`
    model : its name, as in the decision record; the catalogue knows the prompts and steps of well-known ones
    full_dim : coordinates of the model's vectors
    pre_truncation : "layer_norm" or "none"; query_prompt, document_prompt : what texts are prefixed with; None takes
        the catalogue's, or nothing for a model that it does not list

    Raises
    ------
    DimensionError : the plan is wider than the model. InvalidInputError : an unknown step before the slice.
    """
    check_dims([full_dim], full_dim)
    if plan.widest > full_dim:
        raise DimensionError(
            f"`plan` reads {plan.widest} coordinates but this model's vectors have {full_dim}; choose 1 to {full_dim}."
        )
    card = find_card(model)
    if pre_truncation is None:
        pre_truncation = card.pre_truncation if card else "none"
    if pre_truncation not in PRE_TRUNCATION:
        raise InvalidInputError(f"`pre_truncation` is {pre_truncation!r}; choose one of {list(PRE_TRUNCATION)}.")
    facts = PHRASES | {
        "plan": plan,
        "label": plan.label,
        "code": plan.dtype if plan.kind == "exact" else plan.kind,
        "rerank": plan.rerank,
        "first": "RERANK[0][0]" if plan.rerank else "k",
        "wide_dims": list(dict.fromkeys(dim for _, dim in plan.rerank)),
        "passes": [("short", "DIM"), *((f"at_{dim}", dim) for _, dim in plan.rerank)],
        "pq_parts": pq_parts(plan.dim),
        "panorama": (n_levels(plan.dim), BATCH_SIZE),
        "no_early_stop": (),
        "model": model,
        "full_dim": full_dim,
        "pre_truncation": pre_truncation,
        "query_prompt": (card.query_prompt if card else "") if query_prompt is None else query_prompt,
        "document_prompt": (card.document_prompt if card else "") if document_prompt is None else document_prompt,
    }
    return tuple(_snippet(target, facts) for target in TARGETS)


def _snippet(target: str, facts: dict[str, Any]) -> DeploymentSnippet:
    """The program of one target: its template holds both the code and what is said about it."""
    if facts["plan"].kind == "panorama" and target != "faiss":  # the others scan to the end
        facts = facts | {
            "plan": replace(facts["plan"], kind="exact"),
            "code": "float32",
            "no_early_stop": NO_EARLY_STOP,
        }
    said: Any = _templates().get_template(f"{target}.j2").make_module(facts)
    notes = (*facts["no_early_stop"], *said.notes)
    return DeploymentSnippet(target, said.title, "python", str(said), said.install, said.executed, notes)


@cache
def _templates() -> Environment:
    loader = PackageLoader("mrl_viz.export.snippets")
    made = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    made.filters["literal"] = _literal
    made.filters["wrapped"] = lambda text, indent="": "\n".join(
        textwrap.wrap(text, LINE_LENGTH, subsequent_indent=indent)
    )
    made.filters["imports_first"] = lambda lines: sorted(lines, key=lambda line: (line.startswith("from"), line))
    return made


def _literal(text: str) -> str:
    """A string as Python code, whatever is in it."""
    plain = text.isascii() and text.isprintable() and not set(text) & {'"', "\\"}
    return f'"{text}"' if plain else repr(text)
