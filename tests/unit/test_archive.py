"""Results written to a file are read again as they were; whatever else lies there is nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from mrl_viz.archive import read_result, write_result
from mrl_viz.errors import StoreError


class Spread(NamedTuple):
    mean: float
    sd: float


@dataclass(frozen=True)
class Part:
    name: str
    spread: Spread
    share: float | None = None


@dataclass(frozen=True)
class Whole:
    kind: Literal["a", "b"]
    dims: tuple[int, ...]
    pair: tuple[int, str]
    parts: Mapping[str, tuple[Part, ...]]
    rows: npt.NDArray[np.float32]
    layers: tuple[npt.NDArray[np.int64], ...]
    classes: tuple[Any, ...]
    flag: bool = False
    source: object = None


WHOLE = Whole(
    kind="b", dims=(8, np.int64(16)), pair=(1, "one"),
    parts={"x": (Part("p", Spread(0.1, float("nan"))), Part("q", Spread(1, 2), 0.25)), "y": ()},
    rows=np.arange(6, dtype=np.float32).reshape(2, 3), layers=(np.arange(3), np.zeros((0, 2), dtype=np.int64)),
    classes=("red", 7, None), flag=True, source=object(),
)  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "whole.npz"
    write_result(WHOLE, path, key="these", without=("source",))
    return path


def test_a_result_is_read_as_it_was_written(file):
    """Every kind of field comes back with its type, what was left out is given, arrays keep shape and dtype."""
    found = read_result(Whole, file, key="these", source="given")
    assert isinstance(found, Whole) and found.source == "given" and found.flag is True
    assert (found.kind, found.dims, found.pair, found.classes) == ("b", (8, 16), (1, "one"), ("red", 7, None))
    assert found.parts["y"] == () and found.parts["x"][1] == Part("q", Spread(1.0, 2.0), 0.25)
    assert isinstance(found.parts["x"][0].spread, Spread) and np.isnan(found.parts["x"][0].spread.sd)
    for before, after in zip((WHOLE.rows, *WHOLE.layers), (found.rows, *found.layers)):
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)


def test_several_results_are_one_file(tmp_path):
    """A tuple of results is read as such."""
    parts = (Part("p", Spread(0, 1)), Part("q", Spread(2, 3), 0.5))
    write_result(parts, tmp_path / "parts.npz", key="k")
    assert read_result(tuple[Part, ...], tmp_path / "parts.npz", key="k") == parts


def test_what_is_not_asked_for_or_cannot_be_read_is_nothing(file, tmp_path):
    """Another key, no file, a damaged one, one of other fields or with pickled objects: None, never an exception."""
    assert read_result(Whole, file, key="others", source=None) is None
    assert read_result(Whole, tmp_path / "none.npz", key="these") is None
    assert read_result(Part, file, key="these") is None
    assert read_result(tuple[Part, ...], file, key="these") is None
    content = file.read_bytes()
    for cut in (0, 1, 40, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:cut])
        assert read_result(Whole, file, key="these", source=None) is None
    header = json.dumps({"key": "these", "result": {"name": "p", "spread": [1, 2], "share": "array_0"}})
    for hostile in (np.array([object()]), np.array("not a number")):
        np.savez(file, header=np.array(header), array_0=hostile, allow_pickle=True)
        assert read_result(Part, file, key="these") is None


def test_what_has_no_place_in_a_file_is_refused(tmp_path):
    """A field that is neither plain data nor an array is an error when it is written, and leaves no file."""
    with pytest.raises(TypeError, match="a object cannot be written"):
        write_result(WHOLE, tmp_path / "whole.npz", key="these")
    assert not list(tmp_path.iterdir())
    with pytest.raises((StoreError, OSError)):
        write_result(Part("p", Spread(0, 1)), tmp_path / "missing" / "part.npz", key="k")
