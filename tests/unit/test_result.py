"""Results turn into plain data by one mechanism."""

import json
from dataclasses import dataclass, field

import numpy as np

from mrl_viz.result import Result


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
