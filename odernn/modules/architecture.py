"""Whether networks have one architecture: the same modules with the same settings, and parameters of the same kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

_NOT_SETTINGS = ("training", "T_destination", "call_super_init", "dump_patches")


def check_one_architecture(name: str, networks: Sequence[nn.Module]) -> None:
    """Check that every network is as the first but for the numbers in its parameters and buffers.

    Args:
        name: what to call them in a message.
        networks: one or more.

    Raises:
        ValueError: one differs; the message says where.
    """
    for k, network in enumerate(networks[1:], start=1):
        found = next(_differences(networks[0], network), None)
        if found is not None:
            raise ValueError(f"`{name}[{k}]` is of another architecture than `{name}[0]`: {found}")


def _differences(one: nn.Module, other: nn.Module) -> Iterator[str]:
    for (path, module), (beside, twin) in zip_longest(one.named_modules(), other.named_modules(), fillvalue=("", one)):
        kind, its = type_before_parametrizations(module), type_before_parametrizations(twin)
        if path != beside or kind is not its:
            yield f"it has {its.__name__} at `{beside}`, the first {kind.__name__} at `{path}`"
            return
        yield from _of_mappings(path, _settings(module), _settings(twin))
        yield from _of_mappings(path, _tensors(module), _tensors(twin))


def _of_mappings(path: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    place = f"{path}." if path else ""
    for key in one.keys() | other.keys():
        have, wanted = other.get(key), one.get(key)
        if not _equal(have, wanted):
            yield f"`{place}{key}` is {have}, of the first {wanted}"


def _settings(module: nn.Module) -> dict[str, Any]:
    """The attributes that are neither tensors nor modules, nor torch's or anybody's own."""
    return {key: value for key, value in vars(module).items() if key[0] != "_" and key not in _NOT_SETTINGS}


def _tensors(module: nn.Module) -> dict[str, str]:
    """What the parameters and buffers are, without their numbers."""
    named = {**module._parameters, **module._buffers}
    return {key: _told(value) for key, value in named.items() if value is not None}


def _told(x: Tensor) -> str:
    kind = "parameter" if isinstance(x, nn.Parameter) else "buffer"
    trained = "" if x.requires_grad or kind == "buffer" else " without gradient"
    return f"a {kind}{trained} of shape {tuple(x.shape)}, {x.dtype}, on {x.device}"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)
    return type(one) is type(other) and (one == other or repr(one) == repr(other))
