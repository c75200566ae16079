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
from mrl_viz.retrieval.coded import OPQ_KMEANS_TURNS, OPQ_TURNS, RABITQ_QUERY_BITS
from mrl_viz.retrieval.codes import BITS, bits, bytes_per_vector, family, is_rotated, pq_parts
from mrl_viz.retrieval.panorama import BATCH_SIZE, n_levels
from mrl_viz.retrieval.plan import Plan
from mrl_viz.truncation import check_dims

# In the order in which they are shown: embedded libraries first, then servers. Each has its template of that name.
TARGETS = ("faiss", "pgvector", "qdrant", "lancedb", "sqlite-vec", "milvus", "weaviate", "elasticsearch", "vespa")
# The codes that each of them has, by its own documentation. A rotated one is rotated in the program, but RaBitQ and
# TurboQuant only for faiss: the other stores that have them rotate by themselves.
SIGNS = ("binary", "binary-rotated")
COMMON = ("float32", "float16", "int8", *SIGNS)
CODES = {
    "faiss": tuple(BITS),
    "pgvector": ("float32", "float16", *SIGNS),
    "qdrant": (*COMMON, "turboquant1", "turboquant2", "turboquant4", "turboquant8"),
    "lancedb": (*COMMON, *(f"rabitq{each}" for each in range(1, 9))),
    "sqlite-vec": ("float32", "int8", *SIGNS),
    "milvus": (*COMMON, "rabitq1"),
    "weaviate": ("float32", "int8", *SIGNS, "rabitq1"),
    "elasticsearch": ("float32", "int8", "int4", "int4-rotated", *SIGNS),
    "vespa": COMMON,
}
# Widths that a store's codes come in: multiples of this.
MULTIPLES = {("lancedb", "rabitq"): 8, ("elasticsearch", "int4"): 2, ("elasticsearch", "int4-rotated"): 2}
# What stands in for a code that a store lacks, the first that is no coarser; signs for other one-bit codes.
FINER = ("int8", "float16", "float32")
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
    "rabitq_query_bits": RABITQ_QUERY_BITS,
    "opq_turns": OPQ_TURNS,
    "opq_kmeans_turns": OPQ_KMEANS_TURNS,
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
    return tuple(_snippet(target, facts | _code_of(target, plan)) for target in TARGETS)


def _code_of(target: str, plan: Plan) -> dict[str, Any]:
    """What a target searches: the plan's own codes, or the next finer ones that it has, and what is said about that."""
    code, said = plan.dtype, ""
    if not _has(target, code, plan.dim):
        code = next(finer for finer in _finer(target, plan.dtype) if _has(target, finer, plan.dim))
        ratio = bytes_per_vector(plan.dim, code) / bytes_per_vector(plan.dim, plan.dtype)
        size = "in as many bytes" if ratio == 1 else f"at {ratio:.2g} times the bytes"
        said = f"This store has no {plan.dtype}{_of_width(target, plan)}; {code} is used instead, {size}."
    is_index = plan.kind != "exact"
    return {
        "code": plan.kind if is_index else code.removesuffix("-rotated"),
        "family": plan.kind if is_index else family(code.removesuffix("-rotated")),
        "code_bits": bits(code),
        "opq_parts": pq_parts(plan.dim, 8 // bits(code)) if family(code) == "opq" else None,
        "rotated": is_rotated(code) and (code.endswith("-rotated") or target == "faiss"),
        "instead": said,
    }


def _has(target: str, code: str, dim: int) -> bool:
    return code in CODES[target] and dim % MULTIPLES.get((target, family(code)), 1) == 0


def _finer(target: str, dtype: str) -> list[str]:
    """What may stand in for a code, the best first: more bits of its kind, signs for one bit, else plain numbers."""
    kin = [code for code in CODES[target] if family(code) == family(dtype) and bits(code) > bits(dtype)]
    signs = ["binary-rotated"] if bits(dtype) == 1 and family(dtype) != "opq" else []
    return [*sorted(kin, key=bits), *signs, *(code for code in FINER if bits(code) >= bits(dtype))]


def _of_width(target: str, plan: Plan) -> str:
    """Said where a store has a code, but not at this width."""
    return f" of {plan.dim} dims" if plan.dtype in CODES[target] else ""


def _snippet(target: str, facts: dict[str, Any]) -> DeploymentSnippet:
    """The program of one target: its template holds both the code and what is said about it."""
    if facts["plan"].kind == "panorama" and target != "faiss":  # the others scan to the end
        facts = facts | {
            "plan": replace(facts["plan"], kind="exact"),
            "code": "float32",
            "family": "float32",
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
