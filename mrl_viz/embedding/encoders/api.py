"""What remote models share: the price beforehand, patience with a busy server, a check of what comes back.

Every error raised here and in its two users is raised outside of `except` blocks and so carries no other exception: a
client's own exceptions hold the request, and with it the key and the texts.
"""

from __future__ import annotations

import email.utils
import json
import logging
import math
import random
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar, TypeVar

import numpy as np

from mrl_viz.embedding.encoder import Encoder
from mrl_viz.errors import ApiError, CancelledError, InvalidInputError
from mrl_viz.truncation import FloatMatrix

T = TypeVar("T")

# English prose has about four ASCII characters to a token; other scripts up to one token per character.
ASCII_PER_TOKEN = 4
# Attempts at a server that cannot be reached at all: a mistyped address should not take a minute to say so.
UNREACHABLE_ATTEMPTS = 3
# How often a waiting call asks whether it was cancelled, seconds.
CANCEL_POLL_S = 0.5
SAID_CHARACTERS = 200
# What the names of models behind an API begin with; their calls are paid by the key's owner.
PAID = ("openai:", "bedrock:")
# Jitter keeps parallel calls from coming back in step; it changes no result, so it needs no seed.
_JITTER = random.SystemRandom()


def is_paid(model: str) -> bool:
    """Whether a model's name is that of an API, whose calls cost its key's owner money."""
    return model.strip().startswith(PAID)


@dataclass(frozen=True)
class CostEstimate:
    """What embedding some texts may cost.

    `n_texts` : distinct texts that would be sent. `tokens` : estimate; `tokens_at_most` : no byte-level tokenizer makes
    more, special tokens aside. `cost`, `cost_at_most` : the same in the currency of `price_per_million`.
    """

    n_texts: int
    tokens: int
    tokens_at_most: int
    price_per_million: float

    @property
    def cost(self) -> float:
        """Estimated price."""
        return self.tokens * self.price_per_million / 1e6

    @property
    def cost_at_most(self) -> float:
        """Price when every byte is a token."""
        return self.tokens_at_most * self.price_per_million / 1e6


def estimate_cost(texts: Sequence[str], price_per_million: float) -> CostEstimate:
    """Tokens and price of embedding texts, before anything is sent; no tokenizer is loaded.

    Parameters
    ----------
    texts : any number; equal ones count once and blank ones not at all, as when embedding through the store
    price_per_million : the provider's price of a million tokens, >= 0, any currency

    Raises
    ------
    InvalidInputError : the price is negative or not a finite number.

    Source: own definition.
    """
    if not (math.isfinite(price_per_million) and price_per_million >= 0):
        raise InvalidInputError(f"`price_per_million` is {price_per_million}; give a price of 0 or more.")
    sent = {text for text in texts if text.strip()}
    return CostEstimate(
        n_texts=len(sent),
        tokens=sum(map(estimate_tokens, sent)),
        tokens_at_most=sum(len(text.encode("utf-8", "surrogatepass")) for text in sent),
        price_per_million=float(price_per_million),
    )


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its ASCII characters, and one per other character."""
    n_ascii = len(text.encode("ascii", "ignore"))
    return math.ceil(n_ascii / ASCII_PER_TOKEN) + len(text) - n_ascii


class TransientFailure(Exception):
    """A call that may succeed when it is made again; never leaves this package.

    `retry_after_s` : seconds the server asks to wait, None when it does not say. `attempts` : fewer than usual.
    """

    def __init__(self, reason: str, *, retry_after_s: float | None = None, attempts: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s, self.attempts = retry_after_s, attempts


@dataclass(frozen=True)
class Backoff:
    """How patiently a failed call is made again.

    `attempts` : calls in all. `first_s`, `longest_s` : first and longest wait, seconds; each wait doubles the one
    before, plus up to a quarter. The defaults outlast a limit per minute. `sleep` : what waits.
    """

    attempts: int = 7
    first_s: float = 1.0
    longest_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def run(self, call: Callable[[], T], name: str, cancelled: Callable[[], bool] | None = None) -> T:
        """What `call` returns, made again after each `TransientFailure`.

        Raises
        ------
        ApiError : no attempt succeeded, or the server asks to wait longer than `longest_s`.
        CancelledError : `cancelled` returned true during a wait.
        """
        for attempt in count(1):
            try:
                return call()
            except TransientFailure as error:
                failure = error
            wait = min(self.longest_s, self.first_s * 2.0 ** (attempt - 1)) * (1 + _JITTER.random() / 4)
            asked = failure.retry_after_s or 0.0
            if asked > self.longest_s or attempt >= min(self.attempts, failure.attempts or self.attempts):
                break
            self._wait(max(wait, asked), cancelled)
        tries = f"{attempt} attempt{'s' if attempt > 1 else ''}"
        later = f"in {math.ceil(asked)} seconds" if asked else "later"
        raise ApiError(
            f"`{name}` gave no vectors in {tries} ({failure}); try again {later}: what the store has is kept."
        )

    def _wait(self, seconds: float, cancelled: Callable[[], bool] | None) -> None:
        """Sleep, in short steps when somebody may cancel."""
        while seconds > 0:
            if cancelled is not None and cancelled():
                raise CancelledError("Embedding was stopped while waiting for the server.")
            step = seconds if cancelled is None else min(seconds, CANCEL_POLL_S)
            self.sleep(step)
            seconds -= step


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asks to wait, from `retry-after-ms` or `retry-after` (seconds or a date); None when not said."""
    lower = {key.lower(): value for key, value in headers.items()}
    for key, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(lower[key]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(lower["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True)
class ApiEncoder(Encoder):
    """A model behind an API, as far as all are alike; a blank text is never sent, its vector is 0.

    `host` : where it is. The client holds key or credentials and is not represented. Encoding raises ApiError where the
    server refuses, answers wrongly or not at all, after the attempts `backoff` allows, and ModelUnavailableError where
    it refuses the key, the credentials or the model.
    """

    name: str
    revision: str
    host: str
    backoff: Backoff
    client: Any = field(repr=False, compare=False)
    batch_tokens: ClassVar[float] = math.inf

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Rows of the texts that are not blank, in batches of at most `batch_size` texts and `batch_tokens` tokens.

        Raises
        ------
        InvalidInputError : a text that UTF-8 cannot hold, before anything is sent.
        """
        broken = next((row for row, text in enumerate(texts) if re.search("[\ud800-\udfff]", text)), None)
        if broken is not None:
            raise InvalidInputError(
                f"`texts` has half a character (a lone surrogate) in row {broken}; repair that text."
            )
        batch: list[int] = []
        tokens = 0
        for row, text in enumerate(texts):
            if not text.strip():
                continue
            length = estimate_tokens(text)
            if batch and (len(batch) == self.batch_size or tokens + length > self.batch_tokens):
                yield batch
                batch, tokens = [], 0
            batch.append(row)
            tokens += length
        if batch:
            yield batch

    def _asked(self, call: Callable[[], T], refusals: tuple[type[Exception], ...]) -> T:
        """What one call of the client gives; TransientFailure where it may be made again."""
        try:
            return call()
        except refusals as error:
            failure = self._explain(error)
        raise failure

    def unreachable(self) -> TransientFailure:
        """What a host that cannot be reached means: there is no use in asking it often."""
        return TransientFailure(f"{self.host} cannot be reached", attempts=UNREACHABLE_ATTEMPTS)

    @abstractmethod
    def _explain(self, error: Any) -> Exception:
        """What a client's exception means for the user, without anything of the request in it."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """About how many tokens each text has; the server's own tokenizer is not here."""
        return [estimate_tokens(text) for text in texts]


def parse_json(content: bytes) -> Any:
    """The JSON of an answer.

    Raises
    ------
    TransientFailure : no JSON, as when a connection breaks off in the middle.
    """
    with suppress(ValueError, RecursionError):
        return json.loads(content)
    raise TransientFailure("the answer is no JSON, or only half of it")


def check_rows(name: str, rows: Sequence[object], width: int | None) -> FloatMatrix:
    """The rows of an answer as a matrix of shape (n_rows, width), float32; `width` None takes what comes.

    Raises
    ------
    ApiError : another number of coordinates, NaN, infinity, or no numbers.
    """
    widths = {len(row) if isinstance(row, list) else 0 for row in rows}
    if width is not None and widths != {width}:
        raise ApiError(
            f"`{name}` sent a vector of {min(widths - {width})} coordinates, not {width}; "
            "ask for a width that the model has, or leave it out."
        )
    if len(widths) != 1 or widths == {0}:
        raise ApiError(f"`{name}` sent vectors of different lengths, or none; the server is at fault, try another.")
    # NumPy would read numbers out of strings; numbers beyond float32 become infinite, which the check below finds.
    if all(isinstance(value, float | int) for row in rows for value in row):  # type: ignore[attr-defined]
        with np.errstate(over="ignore"):
            try:
                matrix = np.asarray(rows, dtype=np.float64).astype(np.float32)
            except OverflowError:
                matrix = np.full((1, 1), np.inf, dtype=np.float32)
        if np.isfinite(matrix).all():
            return matrix
    raise ApiError(f"`{name}` sent NaN, infinity or something that is no number; the server is at fault, try another.")


def said(message: object, *secrets: str) -> str:
    """What a server says of its refusal, for an error message: one line, cut short, without secrets; "" for no text."""
    if not isinstance(message, str):
        return ""
    for secret in filter(None, secrets):
        message = message.replace(secret, "***")
    return f": {' '.join(message.split())[:SAID_CHARACTERS]}"


def keep_out_of_logs(client: str) -> None:
    """Stop a client package's chatter: below WARNING it would write whole requests, texts included."""
    logger = logging.getLogger(client)
    logger.setLevel(max(logger.level, logging.WARNING))
