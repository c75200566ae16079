"""Results as files: what a frozen dataclass holds, its arrays beside it, read again by the types of its fields.

A file names no code and is no pickle: whoever reads it says what it holds.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from mrl_viz.files import replaced_file

T = TypeVar("T")
HEADER = "header"


def write_result(result: Any, file: Path, *, key: str, without: tuple[str, ...] = ()) -> None:
    """Write a result to an .npz file, whole or not at all.

    Parameters
    ----------
    result : a frozen dataclass, or a tuple or mapping of such; fields are plain values, arrays, or the same again
    key : what it was made of; `read_result` asks for it
    without : fields of the outermost dataclass that are left out, for `read_result` to be given
    """
    arrays: dict[str, Any] = {}
    header = json.dumps({"key": key, "result": _packed(result, arrays, without)})
    with replaced_file(file, is_shared=True) as aside, aside.open("wb") as content:
        np.savez_compressed(content, allow_pickle=False, **{HEADER: np.array(header)} | arrays)


def read_result(kind: type[T], file: Path, *, key: str, **given: Any) -> T | None:
    """What was written, as `kind`: a dataclass, or tuple[such, ...].

    None where there is no such file, it is damaged, of another shape than `kind` has now, or made of something else.
    `given` : the fields that were left out.
    """
    try:
        with file.open("rb") as content, np.load(content, allow_pickle=False) as saved:
            header = json.loads(str(saved[HEADER]))
            if header["key"] != key:
                return None
            found: T = _unpacked(kind, header["result"], saved, given)
            return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _packed(value: Any, arrays: dict[str, Any], without: tuple[str, ...] = ()) -> Any:
    if isinstance(value, np.ndarray):
        name = f"array_{len(arrays)}"
        arrays[name] = value
        return name
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in fields(value) if field.init and field.name not in without)
        return {name: _packed(getattr(value, name), arrays) for name in names}
    if isinstance(value, Mapping):
        return [[_packed(key, arrays), _packed(item, arrays)] for key, item in value.items()]
    if isinstance(value, (tuple, list)):
        return [_packed(item, arrays) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be written")


def _unpacked(kind: Any, value: Any, arrays: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Any:
    """The value as its type says it."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None:
            return None
        (kind,) = [arm for arm in args if arm is not NoneType][:1]
        return _unpacked(kind, value, arrays)
    if origin is Literal or kind is Any:
        return value
    if origin is np.ndarray or kind is np.ndarray:
        return arrays[value]
    if isinstance(kind, type) and is_dataclass(kind):
        types = get_type_hints(kind)
        return kind(**{name: _unpacked(types[name], item, arrays) for name, item in value.items()}, **(given or {}))
    if isinstance(kind, type) and issubclass(kind, tuple) and kind is not tuple:  # a named tuple
        types = get_type_hints(kind)
        return kind(*(_unpacked(types[name], item, arrays) for name, item in zip(types, value, strict=True)))
    if origin is not None and issubclass(origin, Mapping):
        return {_unpacked(args[0], key, arrays): _unpacked(args[1], item, arrays) for key, item in value}
    if origin is tuple and args[-1] is not Ellipsis:
        return tuple(_unpacked(each, item, arrays) for each, item in zip(args, value, strict=True))
    if origin in (tuple, list):
        return origin(_unpacked(args[0], item, arrays) for item in value)
    if isinstance(value, (str, int, float)) and isinstance(kind, type):
        return kind(value)
    raise TypeError(f"{kind} cannot be read")
