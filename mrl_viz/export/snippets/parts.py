"""What the deployment snippets share: the plan's numbers, the cut, the rerank, the int8 and binary codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent, wrap

from mrl_viz.retrieval.plan import Plan

LINE_LENGTH = 100
# How many lists an inverted index gets: faiss's usual 4·sqrt(n), with enough vectors in each.
N_LISTS = "n_lists = max(1, min(int(4 * len(rows) ** 0.5), len(rows) // 39))"
HAMMING_NOTE = (
    "Binary vectors are compared with the query's own bits (Hamming distance); the plan was measured with a float query, "
    "which finds more."
)
BIT_SCORE = "1 - 2 x differing bits / DIM"


@dataclass(frozen=True)
class Need:
    """What a snippet has to carry: the plan, and how the model's vectors are made."""

    plan: Plan
    model: str
    full_dim: int
    pre_truncation: str = "none"
    query_prompt: str = ""
    document_prompt: str = ""

    @property
    def rerank(self) -> tuple[tuple[int, int], ...]:
        """The plan's (size, dim) pairs."""
        return self.plan.rerank

    @property
    def first(self) -> str:
        """As code: how many items the first pass returns."""
        return "RERANK[0][0]" if self.rerank else "k"

    @property
    def start(self) -> str:
        """As code: how every search begins. A list shorter than k would be cut short without a word."""
        check = 'if k > RERANK[-1][0]:\n    raise ValueError(f"k is {k}, but only {RERANK[-1][0]} are reranked")\n'
        return (check if self.rerank else "") + "query = whole(query)"


@dataclass(frozen=True)
class Part:
    """One target's own part of a snippet.

    `imports` : import lines. `blocks` : the code, in order. `uses` : which of the shared helpers it calls.
    """

    title: str
    install: str
    imports: tuple[str, ...]
    blocks: tuple[str, ...]
    executed: bool
    notes: tuple[str, ...] = ()
    uses: frozenset[str] = field(default_factory=frozenset)


def block(text: str, **values: object) -> str:
    """A piece of code: unindented, each `<name>` replaced by its value, whose lines take the indentation of the first.

    A line that is nothing but a name goes when its value is empty.
    """
    written = []
    for line in dedent(text).strip("\n").splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        alone = line.strip()
        for name, value in values.items():
            line = line.replace(f"<{name}>", str(value).replace("\n", "\n" + indent))
        if line.strip() or not alone:
            written.append(line)
    return "\n".join(written)


def joined(*blocks: str) -> str:
    """The blocks as one program, two empty lines between them."""
    return "\n\n\n".join(text.strip("\n") for text in blocks if text.strip()) + "\n"


def prelude(need: Need, part: Part) -> str:
    """Docstring, imports, constants and the helpers that the part uses."""
    plan = need.plan
    prompts = [("DOCUMENT_PROMPT", need.document_prompt), ("QUERY_PROMPT", need.query_prompt)]
    document = [
        f'"""{part.title}: {plan.label}.',
        "",
        *wrap(
            "Vectors are the model's own output, all FULL_DIM coordinates, one row per text; "
            "`build` and `search` cut and rescale them."
            + (" Texts are embedded with the prompts below." if need.document_prompt or need.query_prompt else ""),
            LINE_LENGTH,
        ),
        *(line for note in part.notes for line in wrap(f"Note: {note}", LINE_LENGTH, subsequent_indent="  ")),
        '"""',
        "",
        f"# {part.install}",
        *sorted([*part.imports, "import numpy as np"], key=lambda line: (line.startswith("from"), line)),
        "",
        f"MODEL = {_literal(need.model)}",
        *(f"{name} = {_literal(prompt)}" for name, prompt in prompts if prompt),
        f"FULL_DIM, DIM = {need.full_dim}, {plan.dim}",
    ]
    if need.rerank:
        document.append(f"RERANK = {need.rerank!r}  # so many of the pass before, rescored in float32 at this width")
    helpers = [text for name, text in HELPERS.items() if name in part.uses]
    return joined("\n".join(document), _whole(need), CUT, *helpers)


def _literal(text: str) -> str:
    """A string as Python code, whatever is in it."""
    plain = text.isascii() and text.isprintable() and not set(text) & {'"', "\\"}
    return f'"{text}"' if plain else repr(text)


def _whole(need: Need) -> str:
    """The function that checks the model's output and does what comes before the slice."""
    step = ""
    if need.pre_truncation == "layer_norm":
        step = dedent("""\
            # The model card asks for a layer norm of the whole vector before the slice.
            rows = rows - rows.mean(axis=1, keepdims=True)
            rows = rows / np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)""")
    return block(
        '''
        def whole(vectors):
            """The model's output as float32 rows of FULL_DIM coordinates<after>."""
            rows = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
            if rows.shape[1] != FULL_DIM:
                raise ValueError(f"these vectors have {rows.shape[1]} coordinates, not {FULL_DIM}")
            <step>
            return rows
        ''',
        step=step,
        after=", after the model's own layer norm" if step else "",
    )


CUT = block(
    '''
    def cut(rows, dim):
        """The first `dim` coordinates, rescaled to length 1, so that a dot product is a cosine."""
        prefix = rows[:, :dim]
        norms = np.linalg.norm(prefix, axis=1, keepdims=True)
        return prefix / np.where(norms > 0, norms, 1)
    '''
)
HELPERS = {
    "rerank": block(
        '''
        def rerank(ids, wide, query, k):
            """The k best of a shortlist, best first: `wide` holds its float32 vectors, row by row."""
            ids, wide = np.asarray(ids), np.asarray(wide, dtype=np.float32)
            scores = np.zeros(len(ids))
            for size, dim in RERANK:
                ids, wide = ids[:size], wide[:size]
                scores = cut(wide, dim) @ cut(query, dim)[0]
                order = np.argsort(-scores, kind="stable")
                ids, wide, scores = ids[order], wide[order], scores[order]
            return [(int(i), float(score)) for i, score in zip(ids[:k], scores[:k])]
        '''
    ),
    "bits": block(
        '''
        def bits(rows):
            """One bit per coordinate, 1 where it is above 0, eight to a byte."""
            return np.packbits(rows > 0, axis=1)
        '''
    ),
    "int8": block(
        '''
        def int8(rows, scale):
            """Codes of -127 to 127, one scale for all coordinates, so that cosines are kept."""
            return np.clip(np.rint(rows * scale), -127, 127).astype(np.int8)
        '''
    ),
}
