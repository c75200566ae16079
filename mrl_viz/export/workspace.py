"""What an analysis is of: the data and where they came from, the model, widths, k, the focus width and the seed."""

from __future__ import annotations

from dataclasses import dataclass

from mrl_viz.data.corpus import Corpus
from mrl_viz.embedding.embedded import Embedded

PASTED = "texts.txt"


@dataclass(frozen=True)
class Source:
    """Where the texts came from, as a user would read them again: a file's name and what was chosen for it.

    `texts_file` : the file of the texts of ready vectors. `queries`, `qrels` : files of their own. `is_saved` : whether
    the file is the user's own, not one she would have to make of what she pasted. `limit` : only the first rows.
    `holds_texts` : the code that reads holds the texts themselves, and no file is read. `n_sampled` : so many rows of
    a file of vectors that may be larger than memory, drawn with seed 0.
    """

    file: str = PASTED
    text_column: str | None = None
    label_column: str | None = None
    keep_duplicates: bool = False
    texts_file: str | None = None
    queries: str | None = None
    qrels: str | None = None
    is_saved: bool = True
    limit: int | None = None
    holds_texts: bool = False
    n_sampled: int | None = None


@dataclass(frozen=True)
class Workspace:
    """The current choice: an embedded corpus, swept widths, k, the focus width, and the seed of all that is sampled."""

    corpus: Corpus
    embedded: Embedded
    dims: tuple[int, ...]
    k: int
    focus_dim: int
    model: str
    source: Source
    seed: int = 0
    trust_remote_code: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether the vectors came ready, without a model that could embed another text."""
        return self.corpus.embeddings is not None

    @property
    def trained(self) -> tuple[int, ...]:
        """The widths the model was trained at, where that is known."""
        return self.embedded.matryoshka_dims or ()
