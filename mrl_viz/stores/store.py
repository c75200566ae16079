"""What a live vector store is asked: how many, which are nearest, what is stored; and how its address is written."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
import numpy.typing as npt

from mrl_viz.errors import InvalidInputError, OptionalDependencyError, StoreError
from mrl_viz.truncation import Floats

Id: TypeAlias = int | str
Vectors: TypeAlias = npt.NDArray[np.float32]
# As our deployment snippets call them.
TABLE, COLUMN, ID = "items", "short", "id"
METRICS = ("dot", "cosine", "l2", "hamming")
ANSWER_CHARACTERS = 200
# Schemes whose address has a host, and may have a user and a password before it; of the others it is a path.
HOSTED = ("postgresql", "postgres", "qdrant+http", "qdrant+https", "milvus+http", "milvus+https")


@dataclass(frozen=True)
class Found:
    """What a store answers. `ids` : of every query, best first. `scores` : float64 of shape (n_queries, k), NaN where a
    list is shorter; for what they are see `Store.metric`."""

    ids: tuple[tuple[Id, ...], ...]
    scores: Floats

    @classmethod
    def of(cls, lists: Sequence[Sequence[tuple[Id, float]]], k: int) -> Found:
        """From (id, score) pairs of every query."""
        scores = np.full((len(lists), k), np.nan)
        for row, pairs in enumerate(lists):
            scores[row, : len(pairs)] = [score for _, score in pairs]
        return cls(tuple(tuple(item for item, _ in pairs) for pairs in lists), scores)


class Store(ABC):
    """A live index, which is read and never written.

    `name` : what is asked, without a password. `dim` : coordinates of its vectors; bits come in whole bytes.
    `metric` : what it ranks by and what its scores are: "dot", "cosine", "l2" (squared distance), "hamming" (differing
    bits), or its own word for another. `is_approximate` : whether a graph or lists may leave true neighbors out.
    `search_effort` : how hard it looks, as the URL says or else by itself, in words, "" where it looks at all.
    `has_number_ids` : ids are whole numbers, else texts.
    """

    name: str
    dim: int
    metric: str
    is_approximate: bool = False
    search_effort: str = ""
    has_number_ids: bool = True

    @abstractmethod
    def count(self) -> int:
        """How many vectors it holds."""

    @abstractmethod
    def search(self, vectors: Vectors, k: int, *, effort: int = 1) -> Found:
        """The k nearest of each query, (n_queries, dim), as the application asks; `effort` times as many looked at."""

    @abstractmethod
    def fetch(self, ids: Sequence[Id]) -> dict[Id, Vectors | None]:
        """Those of the ids that are there, with their vectors (dim,), bits as ±1; None where it cannot say them."""

    def close(self) -> None:  # noqa: B027 - nothing to close is the rule
        """Let go of files and connections."""

    def own_ids(self, ids: Iterable[Id]) -> list[Id]:
        """The ids as the store writes them; those that cannot be one of its ids are left out."""
        if not self.has_number_ids:
            return [str(item) for item in ids]
        return [int(item) for item in ids if re.fullmatch(r"-?\d+", str(item))]

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Address:
    """A store's URL, taken apart. `scheme`, `place` : before and after "://"; a file's path, or host and path.
    `options` : behind the "?". `secret` : its password, "" for none; never printed. `user` : whose, "" for none."""

    scheme: str
    place: str
    options: Mapping[str, str]
    secret: str = ""
    user: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """The parts of a URL; InvalidInputError where it is none, or cannot be told where its password ends."""
        try:
            parts = urlsplit(url)
            secret = unquote(parts.password or "")
        except ValueError:
            parts, secret = urlsplit(""), ""
        if not parts.scheme or "://" not in url:
            raise InvalidInputError("`STORE_URL` is no URL; write it as faiss:///path/to/index.faiss.")
        cut_off = parts.netloc.rpartition("@")[0] + parts.path + parts.query
        if parts.scheme.lower() in HOSTED and ("@" in cut_off or parts.fragment):
            raise InvalidInputError(
                "`STORE_URL` does not show where its password ends; percent-encode special characters of the password, "
                "such as %2F for / and %40 for @."
            )
        host = parts.netloc.rpartition("@")[2]
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        user, secret = unquote(parts.username or ""), secret or options.get("password", "")
        return cls(parts.scheme.lower(), unquote(host + parts.path), options, secret, user)

    def check_options(self, *known: str) -> None:
        """Raise InvalidInputError for an option that the store does not have."""
        for option in self.options:
            if option not in known:
                raise InvalidInputError(f"`STORE_URL` has the option {option!r}; {self.scheme} takes {list(known)}.")
        self.check_values()

    def check_values(self) -> None:
        """Raise InvalidInputError for a number or a measure that is none, before anything is connected to."""
        for option in ("ef", "nprobe", "probes"):
            self.number(option)
        self.metric()

    def number(self, option: str) -> int | None:
        """The whole number of an option, None where it is not there; InvalidInputError for another text."""
        text = self.options.get(option)
        if text is not None and (not text.isdecimal() or int(text) < 1):
            raise InvalidInputError(f"`{option}` of `STORE_URL` is {text!r}; give a whole number, 1 or more.")
        return None if text is None else int(text)

    def metric(self) -> str | None:
        """What the option `metric` says; InvalidInputError for an unknown one."""
        metric = self.options.get("metric")
        if metric is not None and metric not in METRICS:
            raise InvalidInputError(f"`metric` of `STORE_URL` is {metric!r}; choose one of {list(METRICS)}.")
        return metric


@contextmanager
def answering(name: str, *errors: type[BaseException], secret: str = "") -> Iterator[None]:
    """What a store refuses, as one StoreError with the first line of its answer, and no password in it."""
    try:
        yield
    except errors as error:
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if secret:
            said = said.replace(secret, "***")
        said = said[:ANSWER_CHARACTERS].rstrip(". ")
        raise StoreError(f"`{name}` does not answer ({said}); check its address, its name and that it runs.") from None


def not_installed(module: str, command: str) -> OptionalDependencyError:
    """That a client is missing, and how it comes."""
    return OptionalDependencyError(f"`{module}` is not installed; run `{command}`.")


def no_such(name: str, what: str, wanted: str, there: Iterable[str]) -> StoreError:
    """That a table, collection or column is not there, and which are."""
    found = ", ".join(sorted(there)[:10]) or "none"
    return StoreError(f"`{name}` has no {what} {wanted!r}; it has {found}. Name it in the URL, as ?{what}=NAME.")


def effort_said(parameter: str, given: int | None) -> str:
    """How hard a store looks, which is its own matter where the URL says nothing."""
    return f"its own {parameter}" if given is None else f"{parameter} {given}"


def packed(vectors: Vectors, n_bits: int) -> npt.NDArray[np.uint8]:
    """One bit a coordinate, 1 above 0, as numpy and our snippets pack them, in n_bits / 8 bytes."""
    bits = np.zeros((len(vectors), n_bits), dtype=bool)
    bits[:, : vectors.shape[1]] = vectors > 0
    return np.packbits(bits, axis=1)


def unpacked(code: Any) -> Vectors:
    """Packed bits as ±1."""
    return np.unpackbits(np.asarray(code, dtype=np.uint8)).astype(np.float32) * 2 - 1
