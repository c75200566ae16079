"""The sample in which width binds: every pair of 46 texts is all that one query looks for, among 1,000 texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import TypeVar

import numpy as np

from mrl_viz.data.content import Members

T = TypeVar("T")

N_PAIRED = 46
THINGS_EACH = N_PAIRED - 1
# Every first name with every last name is one of 1,000 people.
FIRST_NAMES = (
    "Ada Anton Bela Bruno Carla Cyril Dana Dario Edith Emil Fay Felix Greta Gustav Hanna Hugo Ines Ivan Jana Jonas "
    "Kira Klaus Lena Louis Mara Milo Nadia Noel Olga Oskar Paula Pavel Rita Ruben Sara Simon Tilda Tomas Vera Yusuf"
)
LAST_NAMES = (
    "Abbot Barlow Carver Dorsey Ekman Fabian Garner Hollis Ingram Jansen Kessler Lindqvist Moreno Novak Osborne "
    "Pereira Quigley Rosario Sandoval Thorne Ulrich Vargas Whitlock Ximenes Yardley"
)


def limit_members(folder: Path) -> Members:
    """The files of a BEIR folder, made from the words in things.txt; the same bytes everywhere.

    1,000 people like 45 things each. Each of the first 1,035 things (all pairs of 46) is liked by two people, another
    pair each, and asked for by one query; the other people like things that nobody asks for.

    Source: LIMIT, Weller et al. 2025, arXiv:2508.21038, section 5: how many such pairs can be told apart bounds the
    width of the vectors, whatever the model. The first 46 texts alone are its small form.
    """
    things = _mixed((folder / "things.txt").read_text(encoding="utf-8").split(), "things")
    names = product(FIRST_NAMES.split(), LAST_NAMES.split())
    people = [f"{first} {last}" for first, last in _mixed(names, "people")]
    pairs = list(combinations(range(N_PAIRED), 2))
    asked, others = things[: len(pairs)], things[len(pairs) :]
    likes: list[list[str]] = [[] for _ in range(N_PAIRED)]
    for thing, pair in zip(asked, pairs):
        for person in pair:
            likes[person].append(thing)
    likes += [_mixed(others, str(person))[:THINGS_EACH] for person in range(N_PAIRED, len(people))]
    rows = [
        {"_id": f"person-{number:03}", "title": "", "text": _sentence(person, _mixed(liked, person))}
        for number, (person, liked) in enumerate(zip(people, likes))
    ]
    queries = [{"_id": f"q-{thing}", "text": f"Who likes {thing}?"} for thing in asked]
    judged = [f"q-{thing}\tperson-{number:03}\t1" for thing, pair in zip(asked, pairs) for number in pair]
    qrels = "\n".join(["query-id\tcorpus-id\tscore", *judged])
    return {"corpus.jsonl": _lines(rows), "queries.jsonl": _lines(queries), "qrels/test.tsv": qrels.encode()}.get


def _sentence(person: str, liked: Sequence[str]) -> str:
    return f"{person} likes {', '.join(liked[:-1])} and {liked[-1]}."


def _mixed(items: Iterable[T], salt: str) -> list[T]:
    """The items in an order like a shuffled one; by a hash, because a random generator's may change with Python."""
    given = list(items)
    digest = hashlib.shake_256(salt.encode()).digest(8 * len(given))
    return [given[row] for row in np.frombuffer(digest, dtype=">u8").argsort(kind="stable")]


def _lines(rows: Iterable[object]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()
