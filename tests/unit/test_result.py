"""Results turn into plain data by one mechanism."""

import json
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mrl_viz.measures.estimate import Estimate
from mrl_viz.result import Result, plain


@dataclass(frozen=True)
class Inner(Result):
    _also = ("double",)

    value: float

    @property
    def double(self):
        return 2 * self.value


@dataclass(frozen=True)
class Outer(Result):
    _without = ("large",)

    dims: tuple[int, ...]
    curve: np.ndarray
    best: np.float32
    inner: Inner
    by_name: dict = field(default_factory=dict)
    large: np.ndarray | None = None


def test_to_dict_gives_plain_data_of_every_field_and_named_property():
    """Arrays, NumPy numbers and nested results become what JSON can hold; fields in `_without` stay out."""
    result = Outer((8, 16), np.array([[0.5], [1.0]]), np.float32(0.5), Inner(1.5), {"a": Inner(2.0)}, np.zeros(3))
    data = result.to_dict()
    assert data == {
        "dims": (8, 16),
        "curve": [[0.5], [1.0]],
        "best": 0.5,
        "inner": {"value": 1.5, "double": 3.0},
        "by_name": {"a": {"value": 2.0, "double": 4.0}},
    }
    assert type(data["best"]) is float
    assert json.loads(json.dumps(data))["inner"] == data["inner"]


def test_to_dict_shares_nothing_with_the_result():
    """Changing what `to_dict` gave leaves the result alone."""
    result = Outer((8,), np.array([1.0]), np.float32(1), Inner(0.0), {"a": [1]})
    result.to_dict()["by_name"]["a"].append(2)
    assert result.by_name == {"a": [1]}


@dataclass(frozen=True)
class Curve(Result):
    dims: tuple[int, ...]
    overlap: tuple[Estimate, ...]
    kept: tuple[Estimate | None, ...]
    best: Estimate


def test_estimates_are_three_entries_of_the_record_they_are_in():
    """An estimate, or one per width, is written as name, name_low and name_high; in a record per width too."""
    curve = Curve((4, 8), (Estimate(0.5, 0.4, 0.6), Estimate(1, 1, 1)), (None, Estimate(1, 0, 2)), Estimate(3, 2, 4))
    assert curve.to_dict() == {
        "dims": (4, 8),
        "overlap": (0.5, 1), "overlap_low": (0.4, 1), "overlap_high": (0.6, 1),
        "kept": (None, 1), "kept_low": (None, 0), "kept_high": (None, 2),
        "best": 3, "best_low": 2, "best_high": 4,
    }  # fmt: skip
    assert curve.records("overlap", name="ab")[0] == {
        "dim": 4, "overlap": 0.5, "overlap_low": 0.4, "overlap_high": 0.6, "name": "a",
    }  # fmt: skip
    assert f"{curve.overlap[0]:.2f}" == "0.50 [0.40, 0.60]"
    assert Estimate(0.5, 0.4, 0.6).to_dict() == {"value": 0.5, "low": 0.4, "high": 0.6}


class Pair(NamedTuple):
    mean: float
    sd: float


def test_a_named_tuple_is_a_plain_one():
    """Names of a tuple's fields are left behind, its values are not."""
    assert plain(Pair(np.float32(0.5), 1.0)) == (0.5, 1.0) and type(plain([Pair(0.5, 1.0)])[0]) is tuple
