"""The default model without PyTorch: a table of token vectors, and the mean of those of a text's tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mrl_viz.embedding.catalogue import ModelCard, package_folder
from mrl_viz.embedding.encoder import Encoder
from mrl_viz.errors import ModelUnavailableError
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The tokenizer takes most of the time and uses every processor for a batch; progress moves after each.
BATCH = 4096


@dataclass(frozen=True)
class StaticEncoder(Encoder):
    """Mean token vectors: what sentence-transformers' StaticEmbedding gives, from the tokenizer and NumPy alone.

    `table` : float32 of shape (n_tokens, full_dim). A text without a token is a zero vector.
    """

    name: str
    revision: str
    table: FloatMatrix = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)

    @property
    def full_dim(self) -> int:
        """Coordinates per vector."""
        return int(self.table.shape[1])

    def _vectors(self, batch: list[str], prompt: str, cancelled: Callable[[], bool] | None) -> FloatMatrix:
        from scipy.sparse import csr_array

        tokens = self._tokens([prompt + text for text in batch])
        counts = np.array([len(ids) for ids in tokens])
        # One row of a sparse matrix per text, a one for every token, also where it comes twice: a product adds up.
        columns = np.fromiter(chain.from_iterable(tokens), dtype=np.int32, count=counts.sum())
        starts = np.concatenate([[0], counts.cumsum()])
        ones = np.ones(len(columns), dtype=np.float32)
        sums = csr_array((ones, columns, starts), shape=(len(batch), len(self.table))) @ self.table
        return np.asarray(sums / np.maximum(counts, 1)[:, None], dtype=np.float32)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [one.ids for one in self.tokenizer.encode_batch_fast(readable(texts), add_special_tokens=False)]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self._tokens(texts)]


def load(card: ModelCard) -> StaticEncoder:
    """The WordLlama table of the installed wheel.

    Raises
    ------
    ModelUnavailableError : it is not installed, or without its weights.
    """
    weights, tokenizer, revision = wordllama_files()
    table, words = _read(weights, tokenizer)
    return StaticEncoder(
        name=card.name, revision=revision, table=table, tokenizer=words, matryoshka_dims=card.matryoshka_dims,
        query_prompt=card.query_prompt, document_prompt=card.document_prompt, batch_size=BATCH,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _read(weights: Path, tokenizer: Path) -> tuple[FloatMatrix, Tokenizer]:
    """The table and the tokenizer, read once a process."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    (table,) = load_file(weights).values()
    return table.astype(np.float32), Tokenizer.from_file(str(tokenizer))


def wordllama_files() -> tuple[Path, Path, str]:
    """Weights, tokenizer and revision of the default model; errors as `load`."""
    folder = package_folder("wordllama")
    if folder is None:
        raise ModelUnavailableError("`wordllama` is not installed; run `pip install wordllama`.")
    weights = folder / "weights" / "l2_supercat_256.safetensors"
    tokenizer = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
    if not (weights.is_file() and tokenizer.is_file()):
        raise ModelUnavailableError("`wordllama` is installed without its weights; reinstall it with pip.")
    return weights, tokenizer, f"wheel-{version('wordllama')}-{weights.stat().st_size}"


def readable(texts: Sequence[str]) -> list[str]:
    """The texts with a question mark for every lone surrogate, which is no character and which tokenizers refuse."""
    return [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
