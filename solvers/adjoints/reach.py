"""What functions and modules can reach: the tensors and attributes that an evaluation may read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from itertools import islice
from types import CodeType, FunctionType, MethodType
from typing import NamedTuple

import torch
from torch import Tensor, nn

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, type)
_CONTAINERS = (list, tuple, set, frozenset, deque)
_STORES = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_OF_EVERY_MODULE = frozenset(vars(nn.Module())) - {"training"}
_LIBRARIES = frozenset({"builtins", "torch", "typing", "logging", "threading", "numpy"})
"""Whose objects are not looked into."""
_DEEPEST = 4
"""How far an object's attributes and a container's entries are followed."""
_MOST = 256
"""Entries of one container that are looked at."""


class Place(NamedTuple):
    """An attribute, parameter, buffer or submodule of a module.

    Attributes:
        store: the dictionary that holds it.
        key: its name there.
        value: what it is.
        is_buffer: whether it is a buffer.
    """

    store: MutableMapping[str, object]
    key: str
    value: object
    is_buffer: bool


@dataclass(slots=True)
class Reach:
    """What can be reached.

    Attributes:
        places: the attributes of modules, which can be put back.
        tensors: every tensor, its version and its name.
        contents: every container, function and object, what it holds, and its name.
        generators: the random generators among them.
    """

    places: list[Place] = field(default_factory=list)
    tensors: list[tuple[Tensor, int | None, str]] = field(default_factory=list)
    contents: list[tuple[object, tuple[object, ...], str]] = field(default_factory=list)
    generators: list[torch.Generator] = field(default_factory=list)

    def is_current(self) -> bool:
        """Whether every place holds what it held, and no tensor was written into."""
        held = all(store.get(key) is value for store, key, value, _ in self.places)
        return held and all(number == version(x) for x, number, _ in self.tensors)

    def unchanged(self, other: Reach) -> Reach:
        """What is the same in the other."""
        values = {(id(p.store), p.key): p.value for p in other.places}
        numbers = {id(x): number for x, number, _ in other.tensors}
        held = {id(value): found for value, found, _ in other.contents}
        return Reach(
            [p for p in self.places if values.get((id(p.store), p.key), self) is p.value],
            [each for each in self.tensors if numbers.get(id(each[0]), self) == each[1]],
            [each for each in self.contents if held.get(id(each[0])) == each[1]],
            self.generators,
        )


def reach_of(roots: Iterable[object]) -> Reach:
    """What can be reached from functions, modules and values."""
    walk = _Walk()
    for root in roots:
        walk.visit(type(root).__name__, root, 0)
    return walk.found


def version(x: Tensor) -> int | None:
    """How often the tensor was written into; None for one of inference mode, which does not count."""
    return None if x.is_inference() else x._version


def content(value: object) -> tuple[object, ...]:
    """What a container, function or object holds: plain values themselves, others by identity."""
    return tuple(each if isinstance(each, _PLAIN) else id(each) for _, each in islice(_parts(value), _MOST))


class _Walk:
    def __init__(self) -> None:
        self.found = Reach()
        self._seen: dict[int, object] = {}

    def visit(self, name: str, value: object, depth: int) -> None:
        """Add a value and what it leads to."""
        if isinstance(value, _PLAIN) or depth > _DEEPEST or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, Tensor):
            self.found.tensors.append((value, version(value), name))
        elif isinstance(value, torch.Generator):
            self.found.generators.append(value)
        elif isinstance(value, nn.Module):
            self._module(name, value, depth)
        else:
            parts = list(islice(_parts(value), _MOST))
            if parts:
                self.found.contents.append((value, content(value), name))
            for key, each in parts:
                self.visit(f"{name}.{key}", each, depth + 1)

    def _module(self, name: str, module: nn.Module, depth: int) -> None:
        attributes = vars(module)
        for store in (*(attributes[each] for each in _STORES), attributes):
            for key, value in store.items():
                if store is attributes and key in _OF_EVERY_MODULE:
                    continue
                self.found.places.append(Place(store, key, value, store is attributes["_buffers"]))
                self.visit(f"{name}.{key}", value, depth if isinstance(value, nn.Module) else depth + 1)
        for each in _HOOKS:
            self.visit(f"{name}.{each}", attributes[each], depth + 1)


def _parts(value: object) -> Iterator[tuple[object, object]]:
    """The named parts of a value that may change while it stays itself."""
    if isinstance(value, dict):
        yield from ((key if isinstance(key, str) else repr(key), each) for key, each in value.items())
    elif isinstance(value, _CONTAINERS):
        yield from enumerate(value)
    elif isinstance(value, FunctionType):
        yield from _read_by(value)
    elif isinstance(value, MethodType):
        yield from (("__self__", value.__self__), ("__func__", value.__func__))
    elif isinstance(value, partial):
        yield from (("func", value.func), ("args", value.args), ("keywords", value.keywords))
    elif is_dataclass(value):
        yield from ((each.name, getattr(value, each.name)) for each in fields(value))
    elif type(value).__module__.partition(".")[0] not in _LIBRARIES:
        yield from getattr(value, "__dict__", {}).items()


def _read_by(function: FunctionType) -> Iterator[tuple[str, object]]:
    """What a function closes over, and the global tensors, modules and numbers that it names."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, _cell(cell)
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        if isinstance(value, Tensor | nn.Module | int | float) and not isinstance(value, bool):
            yield name, value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


def _cell(cell: object) -> object:
    try:
        return cell.cell_contents  # pyright: ignore[reportAttributeAccessIssue]
    except ValueError:  # not filled yet
        return None
