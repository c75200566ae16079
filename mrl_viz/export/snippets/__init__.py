"""Deployment snippets: a retrieval plan as a short program for the vector store that a team uses.

Every snippet is a whole program with two functions, `build(vectors, ...)` and `search(built, query, k)`, that take the
model's output at full width and do the plan's work themselves: the step before the slice that the model card asks for,
the slice, the renormalisation, the codes, the index, the rerank. What a store cannot do as planned is said in a note,
in the program and beside it. The tests run the stores that install with pip, exactly as shown here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from mrl_viz.embedding.catalogue import find_card
from mrl_viz.errors import DimensionError, InvalidInputError
from mrl_viz.export.snippets.databases import milvus, pgvector, qdrant
from mrl_viz.export.snippets.embedded import faiss, lancedb, sqlite_vec
from mrl_viz.export.snippets.parts import Need, Part, joined, prelude
from mrl_viz.export.snippets.servers import elasticsearch, vespa, weaviate
from mrl_viz.retrieval.plan import Plan
from mrl_viz.truncation import check_dims

# In the order in which they are shown: embedded libraries first, then servers.
_TARGETS: dict[str, Callable[[Need], Part]] = {
    "faiss": faiss,
    "pgvector": pgvector,
    "qdrant": qdrant,
    "lancedb": lancedb,
    "sqlite-vec": sqlite_vec,
    "milvus": milvus,
    "weaviate": weaviate,
    "elasticsearch": elasticsearch,
    "vespa": vespa,
}
TARGETS = tuple(_TARGETS)
PRE_TRUNCATION = ("none", "layer_norm")


@dataclass(frozen=True)
class DeploymentSnippet:
    """A plan as a program for one vector store.

    `target` : one of `TARGETS`; `title` : its name. `language` : of the code, for highlighting.
    `code` : the program. `install` : the shell command that brings what it imports.
    `executed` : whether the tests run this target with this precision and kind of index against the project's own search.
    `notes` : what the store does otherwise than the plan says, one sentence each; also in the code.
    """

    target: str
    title: str
    language: str
    code: str
    install: str
    executed: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self) | {"notes": list(self.notes)}

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
    need = Need(
        plan=plan,
        model=model,
        full_dim=full_dim,
        pre_truncation=pre_truncation,
        query_prompt=(card.query_prompt if card else "") if query_prompt is None else query_prompt,
        document_prompt=(card.document_prompt if card else "") if document_prompt is None else document_prompt,
    )
    return tuple(_snippet(target, make(need), need) for target, make in _TARGETS.items())


def _snippet(target: str, part: Part, need: Need) -> DeploymentSnippet:
    """The program of one target: what all share, then its own."""
    notes = tuple(dict.fromkeys(part.notes))
    part = replace(part, notes=notes)
    code = joined(prelude(need, part), *part.blocks)
    return DeploymentSnippet(target, part.title, "python", code, part.install, part.executed, notes)
