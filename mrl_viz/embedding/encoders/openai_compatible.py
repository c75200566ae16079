"""Any endpoint that speaks OpenAI's embeddings API: OpenAI itself, gateways, and servers of one's own.

The address and the key are the machine owner's: they come from the environment (the address also from a command-line
flag), never from a page. MRL_VIZ_OPENAI_BASE_URL goes before OPENAI_BASE_URL, and so do the names of the key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from mrl_viz.embedding.encoders import api
from mrl_viz.errors import ApiError, DimensionError, InvalidInputError, ModelUnavailableError, OptionalDependencyError
from mrl_viz.fingerprint import fingerprint
from mrl_viz.truncation import FloatMatrix

PIP_COMMAND = "pip install 'openai>=2,<3'"
OPENAI_URL, OPENAI_HOST = "https://api.openai.com/v1", "api.openai.com"
BASE_URL_VARIABLES = ("MRL_VIZ_OPENAI_BASE_URL", "OPENAI_BASE_URL")
KEY_VARIABLES = ("MRL_VIZ_OPENAI_API_KEY", "OPENAI_API_KEY")
SET_KEY = f"set {' or '.join(KEY_VARIABLES)}"
# Servers of one's own mostly want no key, but the client wants some text.
NO_KEY = "no-key-needed"
# Widths and input limits of OpenAI's own models, from its documentation; others are asked with one short text.
KNOWN_MODELS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
KNOWN_MAX_TOKENS = 8192
# Few enough texts that a failure costs little; OpenAI allows 2,048 texts and 300,000 tokens, counted its own way.
BATCH_SIZE, BATCH_TOKENS = 128, 100_000
TIMEOUT_S, CONNECT_TIMEOUT_S = 60.0, 10.0
PROBE = "width"
RETRIED = frozenset({408, 409, 425, 429})


class _TooLargeError(ApiError):
    """The server refuses a batch that it may take in two halves."""


@dataclass(frozen=True)
class OpenAICompatibleEncoder(api.ApiEncoder):
    """A model behind an OpenAI-compatible endpoint. `dimensions` : the width asked for, None for the model's own."""

    model: str
    dimensions: int | None
    batch_tokens = BATCH_TOKENS

    @cached_property
    def full_dim(self) -> int:
        """Coordinates per vector; a model whose width is not known is asked once, with one word.

        Raises
        ------
        ApiError, ModelUnavailableError : as `encode`.
        """
        known = self.dimensions or KNOWN_MODELS.get(self.model)
        return known or self._ask([PROBE], None, None).shape[1]

    def _vectors(self, batch: list[str], prompt: str, cancelled: Callable[[], bool] | None) -> FloatMatrix:
        return self._ask(batch, self.full_dim, cancelled)

    def _ask(self, batch: list[str], width: int | None, cancelled: Callable[[], bool] | None) -> FloatMatrix:
        """The vectors of a batch; one that the server finds too large is sent in halves."""
        try:
            return self.backoff.run(lambda: self._request(batch, width), self.name, cancelled)
        except _TooLargeError:
            if len(batch) == 1:
                raise
        half = len(batch) // 2
        return np.concatenate([self._ask(part, width, cancelled) for part in (batch[:half], batch[half:])])

    def _request(self, batch: list[str], width: int | None) -> FloatMatrix:
        """One request."""
        import openai

        # The raw answer, because the client would build an object per number and accept rows in any order.
        create, dimensions = self.client.embeddings.with_raw_response.create, self.dimensions or openai.omit
        answer = self._asked(
            lambda: create(model=self.model, input=batch, encoding_format="float", dimensions=dimensions),
            (openai.APIStatusError, openai.APIConnectionError),
        )
        return api.check_rows(self.name, self._ordered(api.parse_json(answer.content), len(batch)), width)

    def _ordered(self, answer: Any, n_texts: int) -> list[object]:
        """The vectors of an answer in the order of the texts, by their `index`."""
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise ApiError(f"`{self.name}` sent no list of vectors; is {self.host} the address of an embeddings API?")
        if len(data) != n_texts:
            raise ApiError(
                f"`{self.name}` sent {len(data)} vectors for {n_texts} texts; the server is at fault, try another."
            )
        by_index = {item.get("index"): item.get("embedding") for item in data if type(item.get("index")) is int}
        if by_index.keys() != set(range(n_texts)):
            raise ApiError(
                f"`{self.name}` does not say which vector belongs to which text; the server is at fault, try another."
            )
        return [by_index[row] for row in range(n_texts)]

    def _explain(self, error: Any) -> Exception:
        import openai

        if isinstance(error, openai.APIConnectionError):
            # By name: the client works with either of two HTTP packages.
            if type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol"):
                return self.unreachable()
            is_late = isinstance(error, openai.APITimeoutError)
            what = f"{self.host} did not answer in time" if is_late else f"the connection to {self.host} broke off"
            return api.TransientFailure(what)
        status, host = error.status_code, self.host
        unavailable = {
            401: f"{host} refuses the key (HTTP 401); {SET_KEY} to a valid one.",
            403: f"{host} does not let this key use `{self.model}` (HTTP 403); ask for access, or {SET_KEY} to another "
            "key.",
            404: f"{host} has no embedding model `{self.model}` (HTTP 404); check it, or {BASE_URL_VARIABLES[0]}.",
        }
        if status in unavailable:
            return ModelUnavailableError(unavailable[status])
        if status == 429 and error.code == "insufficient_quota":
            return ApiError(
                f"The quota at {host} is used up (HTTP 429); add credit and run again: what the store has is kept."
            )
        if status in RETRIED or status >= 500:
            problem = "too many requests" if status == 429 else "the server fails"
            wait = api.retry_after(error.response.headers)
            return api.TransientFailure(f"HTTP {status} from {host}: {problem}", retry_after_s=wait)
        refusal = _TooLargeError if status in (413, 422) else ApiError
        message = api.said(error.body.get("message") if isinstance(error.body, dict) else None, self.client.api_key)
        return refusal(
            f"`{self.name}` refuses the request (HTTP {status}{message}); check the texts' lengths and the width."
        )


def load(
    model: str,
    *,
    base_url: str | None = None,
    batch_size: int = BATCH_SIZE,
    timeout_s: float = TIMEOUT_S,
    backoff: api.Backoff | None = None,
) -> OpenAICompatibleEncoder:
    """The encoder of a model behind an OpenAI-compatible endpoint; sends nothing yet.

    Parameters
    ----------
    model : "MODEL", or "MODEL@DIMENSIONS" to ask the server for that width
    base_url : the machine owner's choice, never a visitor's; None takes it from the environment, else OpenAI's own
    batch_size : texts per request, 1 to 2048, and between two commits of the store
    timeout_s : seconds without a byte after which a request is made again
    backoff : how patiently failed requests are made again; None for about a minute

    Raises
    ------
    OptionalDependencyError : `openai` is not installed. InvalidInputError : no model name, or an unusable address.
    DimensionError : a width the model cannot have. ModelUnavailableError : OpenAI's own endpoint without a key.
    """
    try:
        import openai
    except ImportError as error:
        raise OptionalDependencyError(f"`openai` is not installed; run `{PIP_COMMAND}`.") from error
    if not 1 <= batch_size <= 2048:
        raise InvalidInputError(f"`batch_size` is {batch_size}; choose 1 to 2048.")
    name, dimensions = split_dimensions(model)
    if not name:
        raise InvalidInputError("`model` is empty; give a name, such as `openai:text-embedding-3-small`.")
    known = KNOWN_MODELS.get(name)
    if dimensions is not None and not 1 <= dimensions <= (known or dimensions):
        highest = known or "the model's own width"
        raise DimensionError(f"`dimensions` is {dimensions}; choose 1 to {highest} for {name}, or leave it out.")
    url, host, place = _base_url(base_url)
    api.keep_out_of_logs("openai")
    client = openai.OpenAI(
        api_key=_key(required=host == OPENAI_HOST), base_url=url, max_retries=0,
        timeout=openai.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
    )  # fmt: skip
    return OpenAICompatibleEncoder(
        name=f"openai:{name}" + (f"@{dimensions}" if dimensions is not None else ""),
        model=name,
        dimensions=dimensions,
        host=host,
        revision=f"api-{host}-{place}-{name}@{dimensions or 'full'}",
        batch_size=batch_size,
        backoff=backoff or api.Backoff(),
        client=client,
        max_tokens=KNOWN_MAX_TOKENS if known else None,
    )


def split_dimensions(model: str) -> tuple[str, int | None]:
    """The two parts of "MODEL@256", as ("MODEL", 256); a name may hold an @, such as "@cf/bge-m3" or "gecko@003"."""
    match = re.fullmatch(r"(.*)@(-?[1-9]\d{0,8}|0)", model.strip())
    return (match[1], int(match[2])) if match else (model.strip(), None)


def _base_url(flag: str | None) -> tuple[str, str, str]:
    """The endpoint's address, its host and port, and a digest of its path; errors never repeat the address."""
    source, url = "base_url", flag
    for variable in BASE_URL_VARIABLES:
        if not url:
            source, url = variable, os.environ.get(variable)
    url = (url or OPENAI_URL).strip().rstrip("/")
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        host = None
    is_plain = re.fullmatch(r"[a-z0-9.:_-]+", host or "") and url.isascii() and url.isprintable() and " " not in url
    if not is_plain or parts.scheme not in ("http", "https"):
        raise InvalidInputError(f"`{source}` is no web address; give one such as {OPENAI_URL}.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInputError(
            f"`{source}` holds a user name, a query or a fragment; leave it out, the key goes into {KEY_VARIABLES[0]}."
        )
    return url, str(host), fingerprint(parts.path)[:8]


def _key(*, required: bool) -> str:
    """The key in the environment; servers other than OpenAI's may do without."""
    for variable in KEY_VARIABLES:
        key = os.environ.get(variable, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise ModelUnavailableError(f"`{variable}` holds a character that no key has; copy the key again.")
        if key:
            return key
    if required:
        raise ModelUnavailableError(f"There is no key for {OPENAI_HOST}; {SET_KEY} in the environment.")
    return NO_KEY
