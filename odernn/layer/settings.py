"""The settings of a layer: each checked and converted at construction and when it is set afterwards, in one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from solvers import Solver, make_adjoint
from solvers.checks import check_choice, check_count, check_flag
from solvers.extend import POLICIES, as_solver, check_requirements

from ..control.hold import as_hold
from ..control.time_grid import check_step
from ..engines.choice import ADJOINTS, on_engine
from ..engines.registry import as_engine
from ..fields.field import VectorField
from .right_hand_side import make_right_hand_side


def _checked(check: Callable[..., object], *arguments: object) -> Callable[[str, Any], Any]:
    def convert(name: str, value: Any) -> Any:
        check(name, value, *arguments)
        return value

    return convert


def _field(name: str, value: object) -> VectorField:
    if not isinstance(value, VectorField):
        raise TypeError(f"`{name}` is {type(value).__name__}; give a VectorField, such as AntisymmetricField(1, 128)")
    return value


def _step(name: str, value: Any) -> Any:
    check_step(value)
    return value if isinstance(value, torch.Tensor) else float(value)


_CONVERTERS: Mapping[str, Callable[[str, Any], Any]] = MappingProxyType(
    {
        "field": _field,
        "solver": lambda name, value: as_solver(value),
        "dt": _step,
        "substeps": _checked(check_count),
        "hold": lambda name, value: as_hold(value),
        "batch_first": _checked(check_flag),
        "adjoint": lambda name, value: make_adjoint(value, ADJOINTS),
        "engine": as_engine,
        "on_divergence": _checked(check_choice, POLICIES),
        "check_input": _checked(check_flag),
    }
)


def is_setting(name: str) -> bool:
    """Whether an attribute is a setting."""
    return name in _CONVERTERS


def as_setting(name: str, value: Any, others: Callable[[str], Any]) -> Any:
    """The value of a setting, checked and converted, and checked against the settings that it must fit.

    Args:
        name: of the setting.
        value: what is to be set.
        others: name -> the value that another setting has, or None as long as it has none.

    Raises:
        TypeError, ValueError: a value of the wrong type or out of range, or two settings that do not fit.
    """
    value = _CONVERTERS[name](name, value)
    pair = {one: value if one == name else others(one) for one in ("field", "solver", "adjoint", "engine")}
    if name in ("field", "solver") and pair["field"] is not None and pair["solver"] is not None:
        check_structure(pair["field"], pair["solver"])
    if name in ("adjoint", "engine") and pair["adjoint"] is not None and pair["engine"] is not None:
        on_engine(pair["adjoint"], pair["engine"])
    return value


def store_setting(layer: nn.Module, name: str, value: Any) -> None:
    """Set a setting of a layer, and what follows from it: the solver's representation, and the adjoint on the engine.

    Raises:
        TypeError, ValueError: as `as_setting`; the layer is as it was then.
    """
    value = as_setting(name, value, lambda other: getattr(layer, other, None))
    if name == "dt":
        _store_step(layer, value)
        return
    nn.Module.__setattr__(layer, name, value)
    own = vars(layer)
    if name == "solver":
        own["_made_by"] = repr(value)
    if name in ("adjoint", "engine") and "adjoint" in own and "engine" in own:
        own["_runner"] = on_engine(own["adjoint"], own["engine"])


def _store_step(layer: nn.Module, value: Any) -> None:
    """Set `dt`: a tensor as a buffer, a parameter as a parameter, a number as neither."""
    for store in (layer.__dict__, layer._parameters, layer._buffers):
        store.pop("dt", None)
    if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
        layer.register_buffer("dt", value)
    else:
        nn.Module.__setattr__(layer, "dt", value)


def check_structure(field: VectorField, solver: Solver) -> None:
    """The solver's needs against what the field declares, before any data is there.

    Raises:
        ValueError: the field lacks a structure that the solver needs; the message names both.
    """
    state = torch.empty(1, field.hidden_size, device="meta")
    structure = make_right_hand_side(field, None, elementwise=True)(lambda t: state)
    check_requirements(solver, structure, state, type(field).__name__)
