"""sentence-transformers models: the WordLlama table, wheels, Hub names and local folders."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrl_viz.encoders import Kind
from mrl_viz.errors import EncodingCancelledError, ModelUnavailableError
from mrl_viz.models import ModelCard, find_card, hub_folder, package_folder
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# A static table spends its time in the tokenizer: large batches; a transformer in the model: small ones, so that progress moves.
STATIC_BATCH, TRANSFORMER_BATCH = 4096, 64
LAYER_NORM_EPSILON = 1e-5
HUB_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class SentenceTransformerEncoder:
    """A sentence-transformers model as an `Encoder`; encoding is serialised by a lock."""

    name: str
    revision: str
    full_dim: int
    matryoshka_dims: tuple[int, ...] | None
    query_prompt: str
    document_prompt: str
    pre_truncation: str
    max_tokens: int | None
    batch_size: int
    model: SentenceTransformer = field(repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def encode(
        self,
        texts: Sequence[str],
        *,
        kind: Kind = "document",
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FloatMatrix:
        """Vectors of shape (n_texts, full_dim), float32, at full width.

        Raises
        ------
        EncodingCancelledError : `cancelled` returned true between batches.
        """
        prompt = self.query_prompt if kind == "query" else self.document_prompt
        rows = np.empty((len(texts), self.full_dim), dtype=np.float32)
        with self._lock:
            for start in range(0, len(texts), self.batch_size):
                if cancelled is not None and cancelled():
                    raise EncodingCancelledError(f"Embedding was stopped after {start} of {len(texts)} texts.")
                batch = list(texts[start : start + self.batch_size])
                # An empty prompt must be passed as such: None would take the model's own default prompt.
                rows[start : start + len(batch)] = self.model.encode(
                    batch, prompt=prompt, batch_size=self.batch_size, show_progress_bar=False, convert_to_numpy=True,
                    normalize_embeddings=False, truncate_dim=self.full_dim,
                )  # fmt: skip
                if progress is not None:
                    progress(start + len(batch), len(texts))
        return _layer_norm(rows) if self.pre_truncation == "layer_norm" else rows

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, before any cut."""
        tokenizer = self.model.tokenizer
        if hasattr(tokenizer, "encode_batch"):
            return [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        return [len(ids) for ids in tokenizer(list(texts), truncation=False)["input_ids"]] if texts else []


def load(name: str, *, device: str | None, trust_remote_code: bool) -> SentenceTransformerEncoder:
    """See `mrl_viz.encoders.load_encoder`."""
    card = find_card(name)
    device = device or _best_device()
    if card is not None and card.name == "wordllama":
        return _load_wordllama(card, device)
    return _load_model(name, card, device, trust_remote_code)


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _load_wordllama(card: ModelCard, device: str) -> SentenceTransformerEncoder:
    folder = package_folder("wordllama")
    if folder is None:
        raise ModelUnavailableError("`wordllama` is not installed; run `pip install wordllama`.")
    weights_file = folder / "weights" / "l2_supercat_256.safetensors"
    tokenizer_file = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
    if not (weights_file.is_file() and tokenizer_file.is_file()):
        raise ModelUnavailableError("`wordllama` is installed without its weights; reinstall it with pip.")
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    (weights,) = load_file(weights_file).values()
    table = StaticEmbedding(Tokenizer.from_file(str(tokenizer_file)), embedding_weights=weights.astype(np.float32))
    model = SentenceTransformer(modules=[table], device=device)
    revision = f"wheel-{version('wordllama')}-{weights_file.stat().st_size}"
    return _wrap(card.name, revision, model, card, STATIC_BATCH)


def _load_model(name: str, card: ModelCard | None, device: str, trust_remote_code: bool) -> SentenceTransformerEncoder:
    from sentence_transformers import SentenceTransformer

    source, revision, is_local = _find_source(name, card)
    if card is not None and card.needs_remote_code and not trust_remote_code:
        raise ModelUnavailableError(
            f"`{card.name}` runs code from its own repository, which is off; read that code, then use --trust-remote-code."
        )
    if not is_local:
        _check_hub(name, source)
    try:
        model = SentenceTransformer(
            source, device=device, trust_remote_code=trust_remote_code, local_files_only=is_local,
            model_kwargs={"use_safetensors": True},
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ModelUnavailableError(
            f"`{name}` cannot be loaded here ({reason}); check the name, the network, or give a local folder."
        ) from error
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    batch = STATIC_BATCH if isinstance(model[0], StaticEmbedding) else TRANSFORMER_BATCH
    return _wrap(card.name if card else name, revision, model, card, batch)


def _check_hub(name: str, repo: str) -> None:
    """One short question to the Hub: without an answer, loading would retry for a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        import httpx2 as httpx  # the name of httpx that newer Hub clients use
    except ImportError:
        import httpx
    try:
        HfApi().model_info(repo, timeout=HUB_TIMEOUT_S)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
        raise ModelUnavailableError(
            f"`{name}` is not on this machine and the Hub does not give it ({type(error).__name__}); check the name and the "
            "network, or give a local folder."
        ) from error


def _find_source(name: str, card: ModelCard | None) -> tuple[str, str, bool]:
    """What SentenceTransformer is given, a revision that changes with the files, and whether they are on this machine."""
    if card is not None and card.wheel is not None and (folder := package_folder(card.wheel)) is not None:
        return str(folder / "model"), f"wheel-{version(card.wheel)}", True
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path), f"folder-{_folder_digest(path)}", True
    repo = card.repo if card is not None else name
    snapshots = sorted(hub_folder(repo).glob("snapshots/*"))
    return repo, f"hub-{snapshots[-1].name}" if snapshots else "hub-main", bool(snapshots)


def _folder_digest(path: Path) -> str:
    """Names, sizes and times of a folder's files: another training run into the same folder is another model."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            status = file.stat()
            digest.update(f"{file.relative_to(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _wrap(
    name: str, revision: str, model: SentenceTransformer, card: ModelCard | None, batch_size: int
) -> SentenceTransformerEncoder:
    model.truncate_dim = None
    full_dim = model.get_embedding_dimension()
    if full_dim is None:
        raise ModelUnavailableError(f"`{name}` does not say how wide its vectors are; it is no text embedding model.")
    prompts = model.prompts or {}
    return SentenceTransformerEncoder(
        name=name,
        revision=revision,
        full_dim=int(full_dim),
        matryoshka_dims=card.matryoshka_dims if card else None,
        query_prompt=card.query_prompt if card else prompts.get("query", ""),
        document_prompt=card.document_prompt if card else prompts.get("document", ""),
        pre_truncation=card.pre_truncation if card else "none",
        max_tokens=None if card is not None and card.max_tokens is None else model.max_seq_length,
        batch_size=batch_size,
        model=model,
    )


def _layer_norm(rows: FloatMatrix) -> FloatMatrix:
    """Each row shifted to mean 0 and scaled to variance 1, as nomic-embed-text-v1.5 asks before truncation."""
    mean = rows.mean(axis=1, keepdims=True)
    variance = rows.var(axis=1, keepdims=True)
    return ((rows - mean) / np.sqrt(variance + LAYER_NORM_EPSILON)).astype(np.float32)
