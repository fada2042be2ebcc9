"""From plain dictionaries, as JSON gives them, to dataclasses, checked by their annotations."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class SchemaError(ValueError):
    """A value that is not what its annotation says; the message begins with where it is."""


def read_as(kind: type[T], value: Any, where: str = "") -> T:
    """`value` as the dataclass `kind`, its fields checked one by one.

    Raises:
        SchemaError: a field that is missing, unknown or of another type.
    """
    found: Any = _read(kind, value, where)
    return found


def _read(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_dataclass(kind, value, where)
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return _read_union(args, value, where)
    if origin is Literal:
        return _expect(value in args, value, f"one of {', '.join(map(str, args))}", where)
    if origin is dict:
        _expect(isinstance(value, dict), value, "a mapping", where)
        return {key: _read(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is list:
        _expect(isinstance(value, list), value, "a list", where)
        return [_read(args[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    return _read_scalar(kind, value, where)


def _read_dataclass(kind: type[Any], value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), value, "a mapping", where or "the file")
    prefix = f"{where}." if where else ""
    hints = get_type_hints(kind)
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    for name in sorted(required - value.keys()):
        raise SchemaError(f"`{prefix}{name}` is missing")
    for name in sorted(value.keys() - hints.keys()):
        raise SchemaError(f"`{prefix}{name}` is unknown")
    return kind(**{name: _read(hints[name], item, prefix + name) for name, item in value.items()})


def _read_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    (kind,) = [kind for kind in kinds if kind is not NoneType]
    return _read(kind, value, where)


def _read_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(_expect(number, value, "a finite number", where))
    right = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
    wanted = {int: "a whole number", str: "text", bool: "true or false"}
    return _expect(right, value, wanted[kind], where)


def _expect(right: bool, value: Any, wanted: str, where: str) -> Any:
    if not right:
        raise SchemaError(f"`{where}` is {value!r}, wanted {wanted}")
    return value
