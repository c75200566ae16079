"""sentence-transformers models: the WordLlama table, wheels, Hub names and local folders."""

from __future__ import annotations

import json
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from mrl_viz.embedding.catalogue import ModelCard, find_card, hub_folder, package_folder
from mrl_viz.embedding.encoder import Encoder
from mrl_viz.embedding.encoders.static import StaticEncoder, readable, wordllama_files
from mrl_viz.embedding.encoders.static import load as load_static
from mrl_viz.errors import ModelUnavailableError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.truncation import FloatMatrix

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# A static table spends its time in the tokenizer; a transformer takes small batches, so that progress moves.
STATIC_BATCH, TRANSFORMER_BATCH = 4096, 64
# On a processor a transformer sees so many of a batch at once, the longest first: its layers then stay in the cache and
# few texts are filled up to a longer one, which saves a quarter of the time.
PROCESSOR_BATCH = 16
LAYER_NORM_EPSILON = 1e-5
HUB_TIMEOUT_S = 5.0
# One of these is at the top of every model.
MODEL_FILES = ("modules.json", "config.json")


@dataclass(frozen=True)
class SentenceTransformerEncoder(Encoder):
    """A sentence-transformers model as an `Encoder`; encoding is serialised by a lock."""

    name: str
    revision: str
    full_dim: int
    model: SentenceTransformer = field(repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def _vectors(self, batch: list[str], prompt: str, cancelled: Callable[[], bool] | None) -> FloatMatrix:
        is_transformer = self.batch_size == TRANSFORMER_BATCH
        at_once = PROCESSOR_BATCH if is_transformer and self.model.device.type == "cpu" else self.batch_size
        with self._lock:
            # An empty prompt must be passed as such: None would take the model's own default prompt.
            rows = self.model.encode(
                readable(batch), prompt=prompt, batch_size=at_once, show_progress_bar=False,
                convert_to_numpy=True, normalize_embeddings=False, truncate_dim=self.full_dim,
            )  # fmt: skip
        if self.pre_truncation != "layer_norm":
            return rows
        # As nomic-embed-text-v1.5 asks before truncation.
        centered = rows - rows.mean(axis=1, keepdims=True)
        deviation = np.sqrt(rows.var(axis=1, keepdims=True) + LAYER_NORM_EPSILON)
        return np.asarray(centered / deviation, dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, before any cut."""
        tokenizer, known = self.model.tokenizer, readable(texts)
        if hasattr(tokenizer, "encode_batch"):
            return [len(encoding.ids) for encoding in tokenizer.encode_batch(known, add_special_tokens=False)]
        return [len(ids) for ids in tokenizer(known, truncation=False)["input_ids"]] if texts else []


def load(name: str, *, device: str | None, trust_remote_code: bool) -> SentenceTransformerEncoder:
    """See `mrl_viz.embedding.encoders.load_encoder`; without a device sentence-transformers takes the best there is."""
    card = find_card(name)
    if card is not None and card.name == "wordllama":
        return _load_wordllama(card, device)
    return _load_model(name, card, device, trust_remote_code)


def revision(name: str) -> str:
    """See `mrl_viz.embedding.encoders.revision_of`."""
    card = find_card(name)
    return wordllama_files()[2] if card is not None and card.name == "wordllama" else _find_source(name, card)[2]


def _load_wordllama(card: ModelCard, device: str | None) -> SentenceTransformerEncoder:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    static = load_static(card)
    table = StaticEmbedding(static.tokenizer, embedding_weights=static.table.copy())
    return _wrap(card.name, static.revision, SentenceTransformer(modules=[table], device=device), card)


def as_sentence_transformer(encoder: Encoder) -> SentenceTransformerEncoder | None:
    """The model with its modules, for training and saving; the default one is loaded anew; None for any other kind."""
    if isinstance(encoder, StaticEncoder):
        return load(encoder.name, device=None, trust_remote_code=False)
    return encoder if isinstance(encoder, SentenceTransformerEncoder) else None


def _load_model(
    name: str, card: ModelCard | None, device: str | None, trust_remote_code: bool
) -> SentenceTransformerEncoder:
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    source, folder, revision = _find_source(name, card)
    if card is not None and card.needs_remote_code and not trust_remote_code:
        raise ModelUnavailableError(
            f"`{card.name}` runs code from its own repository, which is off; "
            "read that code, then use --trust-remote-code."
        )
    files = _hub_files(name, source) if folder is None else [file.relative_to(folder) for file in folder.rglob("*")]
    _check_files(name, [PurePosixPath(file) for file in files])
    try:
        model = SentenceTransformer(
            source, device=device, trust_remote_code=trust_remote_code, local_files_only=folder is not None,
            model_kwargs={"use_safetensors": True},
        )  # fmt: skip
    except (
        OSError, ValueError, RuntimeError, ImportError, KeyError, TypeError, AttributeError, SafetensorError,
    ) as error:  # fmt: skip
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ModelUnavailableError(
            f"`{name}` cannot be loaded here ({reason}); check the name, the network, or give a local folder."
        ) from error
    if folder is None:
        # Only now is it known which commit the Hub gave; the next run finds it on this machine under the same name.
        _, folder, revision = _find_source(name, card)
    return _wrap(card.name if card else name, revision, model, card, folder)


def from_object(model: SentenceTransformer) -> SentenceTransformerEncoder:
    """A loaded model at full width; its revision is a fingerprint of its weights, modules and tokenizer."""
    import torch

    tokenizer = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
    content = tokenizer.to_str() if hasattr(tokenizer, "to_str") else repr(tokenizer)
    weights = [
        (name, str(tensor.dtype), tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
        for name, tensor in model.state_dict().items()
    ]
    revision = f"weights-{fingerprint(repr(model), str(model.max_seq_length), content, weights)}"
    base = model.model_card_data.base_model or "SentenceTransformer"
    return _wrap(f"{base}#{revision[-6:]}", revision, model, find_card(base))


def _check_files(name: str, files: Iterable[PurePosixPath]) -> None:
    """Refuse what is no model, and weights that are only there as pickles: some modules would read those."""
    folders: defaultdict[PurePosixPath, set[str]] = defaultdict(set)
    for file in files:
        folders[file.parent].add(file.name)
    if folders[PurePosixPath(".")].isdisjoint(MODEL_FILES):
        raise _no_model(name)
    for names in folders.values():
        pickles = sorted(file for file in names if file.startswith("pytorch_model") and file.endswith(".bin"))
        if pickles and not any(file.endswith(".safetensors") for file in names):
            raise ModelUnavailableError(
                f"`{name}` has weights only as a pickle ({pickles[0]}), which can run code when it is read; "
                "save it as safetensors."
            )


def _no_model(name: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"`{name}` holds no model (neither {' nor '.join(MODEL_FILES)}); "
        "give a folder that sentence-transformers saved."
    )


def _hub_files(name: str, repo: str) -> list[str]:
    """What the Hub's repository holds, by one short question: without an answer, loading would retry for a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        import httpx2 as httpx  # the name of httpx that newer Hub clients use
    except ImportError:
        import httpx  # type: ignore[no-redef]  # one name, whichever of the two is there
    try:
        return [file.rfilename for file in HfApi().model_info(repo, timeout=HUB_TIMEOUT_S).siblings or ()]
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
        raise ModelUnavailableError(
            f"`{name}` is not on this machine and the Hub does not give it ({type(error).__name__}); "
            "check the name and the network, or give a local folder."
        ) from error


def _find_source(name: str, card: ModelCard | None) -> tuple[str, Path | None, str]:
    """What SentenceTransformer is given, where its files are on this machine, a revision that changes with them."""
    if card is not None and card.wheel is not None and (package := package_folder(card.wheel)) is not None:
        return str(package / "model"), package / "model", f"wheel-{version(card.wheel)}"
    path = Path(name).expanduser()
    if name.strip() and path.is_dir():
        # Before its files are listed: any folder can be given, with anything in it.
        if not any((path / file).is_file() for file in MODEL_FILES):
            raise _no_model(name)
        return str(path), path, f"folder-{_folder_digest(path)}"
    repo = card.repo if card is not None else name
    # What the Hub client itself would take: the commit that main pointed to when it was last asked.
    main = hub_folder(repo) / "refs" / "main"
    snapshot = hub_folder(repo) / "snapshots" / main.read_text(encoding="utf-8").strip() if main.is_file() else None
    if snapshot is not None and snapshot.is_dir():
        return repo, snapshot, f"hub-{snapshot.name}"
    return repo, None, "hub-main"


def _folder_digest(path: Path) -> str:
    """Names, sizes and times of a folder's files: another training run into the same folder is another model."""
    files = [(file.relative_to(path), file.stat()) for file in sorted(path.rglob("*")) if file.is_file()]
    return fingerprint([(str(name), status.st_size, status.st_mtime_ns) for name, status in files])


def _wrap(
    name: str, revision: str, model: SentenceTransformer, card: ModelCard | None, folder: Path | None = None
) -> SentenceTransformerEncoder:
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    model.truncate_dim = None
    full_dim = model.get_embedding_dimension()
    if full_dim is None:
        raise ModelUnavailableError(f"`{name}` does not say how wide its vectors are; it is no text embedding model.")
    prompts = model.prompts or {}
    max_tokens = model.max_seq_length
    return SentenceTransformerEncoder(
        name=name,
        revision=revision,
        full_dim=int(full_dim),
        matryoshka_dims=card.matryoshka_dims if card else _configured_dims(folder, int(full_dim)),
        query_prompt=card.query_prompt if card else prompts.get("query") or "",
        document_prompt=card.document_prompt if card else prompts.get("document") or "",
        pre_truncation=card.pre_truncation if card else "none",
        # A static table has no limit, which sentence-transformers says as infinity.
        max_tokens=int(max_tokens) if max_tokens is not None and math.isfinite(max_tokens) else None,
        batch_size=STATIC_BATCH if isinstance(model[0], StaticEmbedding) else TRANSFORMER_BATCH,
        model=model,
    )


def _configured_dims(folder: Path | None, full_dim: int) -> tuple[int, ...] | None:
    """The `matryoshka_dims` of a model's own configuration, ascending; None where it names none that can be."""
    if folder is None or not (path := folder / "config_sentence_transformers.json").is_file():
        return None
    dims = json.loads(path.read_text(encoding="utf-8")).get("matryoshka_dims")
    is_list = isinstance(dims, list) and all(type(dim) is int and 1 <= dim <= full_dim for dim in dims)
    return tuple(sorted(set(dims))) or None if is_list else None
