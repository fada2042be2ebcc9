"""The engines by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch

from solvers.checks import check_choice

from . import flops
from .engine import Engine
from .native.engine import NativeEngine
from .torch.engine import TorchEngine
from .triton.engine import TritonEngine

TORCH_ENGINE = TorchEngine()
ENGINES: Mapping[str, Engine] = MappingProxyType(
    {each.name: each for each in (TritonEngine(), NativeEngine(), TORCH_ENGINE)}
)
"""The engines by name, in the order in which `engine="auto"` asks them."""


def as_engine(name: str, value: object) -> Engine | str:
    """An engine of one's own, the name of a registered one, or "auto".

    Args:
        name: of the argument.
        value: one of these, or a registered engine, whose name it gives.

    Raises:
        TypeError, ValueError: it is none of them, or an engine that is called as another one, or without operators.
    """
    if not isinstance(value, Engine):
        check_choice(name, value, ("auto", *ENGINES))
        return str(value)
    if ENGINES.get(value.name) == value:
        return value.name
    if value.name in ("auto", *ENGINES):
        raise ValueError(f"`{name}` is {value}, which is called '{value.name}' as another one is; give it another name")
    if not _has_operators(value.namespace):
        raise ValueError(f"`{name}` is {value}, and torch.ops.{value.namespace} has no `solve`; call `register_engine`")
    return value


def _has_operators(namespace: str) -> bool:
    try:
        return getattr(torch.ops, namespace).solve is not None
    except AttributeError:
        return False


def name_of(engine: Engine | str) -> str:
    """What an engine is called that a layer was given."""
    return engine.name if isinstance(engine, Engine) else engine


def candidates(engine: Engine | str, device: str) -> Sequence[Engine]:
    """The engines that are asked, one after the other, for a state on a type of device, before torch serves."""
    if isinstance(engine, Engine):
        return (engine,)
    if engine == "auto":
        return [each for each in ENGINES.values() if device in each.devices]
    return () if engine == "torch" else (ENGINES[engine],)


def why_none(engine: Engine | str, device: str) -> str:
    """Why torch serves where no other engine was asked."""
    return "it was asked for" if engine == "torch" else f"no other engine works on {device}"


def register_flop_formulas() -> None:
    """Tell torch.utils.flop_counter of the engines' operators.

    It happens by itself if that module was imported before `odernn`, and where a layer is exported. A program that is
    loaded in another process needs it, before the counter is made.
    """
    from torch.utils import flop_counter  # imports triton where that is installed, which takes half a second

    for engine in ENGINES.values():
        flops.register(flop_counter, engine.namespace)
