"""Whether anything acts in a call that a fast path would leave out: an override, a hook, a parametrization.

A fast path reads a weight or takes a formula for granted. It may do so only where the module's own call would do the
same: where the functions are those that this package registered, and no hook is there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import repeat
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from ..control.input_map import AffineControl
from .activation import Activation
from .field import ActivatedField, AffinePointwiseField, Filling, VectorField, activation_of
from .noise import NoisyField
from .registry import FIELDS

_LINEAR_FORWARD = nn.Linear.forward
_PLAIN = frozenset((nn.Parameter, Tensor, type(None)))


class _Functions(NamedTuple):
    """Functions that belong together, as each of the registered fields has them."""

    names: tuple[str, ...]
    registered: frozenset[tuple[object, ...]]


def _registered(*names: str) -> _Functions:
    functions = (tuple(getattr(cls, name, None) for name in names) for cls in FIELDS.values())
    return _Functions(names, frozenset(functions))


_CONTROL = _registered("control", "affine_control")
_SLOPE = _registered("pointwise", "forward")
_PARTS = _registered(
    "pointwise", "forward", "weight", "drift", "kick", "semilinear", "linear_blocks", "remainder_scale"
)
_FACTS = ("activation", "partitioned", "kick_sees_p", "drift_sees_q")
_VALUES = frozenset((Activation, bool, type(None)))
_IN_FIELD = frozenset((*_CONTROL.names, *_PARTS.names, *_FACTS))
_IN_LINEAR = frozenset(("weight", "bias"))
_ACTIVATIONS = frozenset(cls.activation for cls in FIELDS.values() if isinstance(cls, ActivatedField))


def why_called(module: nn.Module) -> str | None:
    """What acts in a call of the module besides its class's `forward`, or None."""
    attributes = vars(module)
    call = type(module).__call__
    # Torch's exporter puts another call in place of nn.Module's; that of a list of parameters only refuses.
    if "forward" in attributes or (call is not nn.Module.__call__ and call is not nn.ParameterList.__call__):
        return "the call of the module is replaced"
    forward = attributes["_forward_hooks"] or attributes["_forward_pre_hooks"]
    if forward or attributes["_backward_hooks"] or attributes["_backward_pre_hooks"]:
        return "the module has hooks"
    if torch_module._has_any_global_hook():
        return "torch has hooks for all modules"
    return None


def kind_of_field(field: VectorField) -> Hashable | None:
    """The class of a field and its functions, as one value; None where anything in the instance may act in a call.

    Fields of one kind are the same to every function of this module, and their `affine_control` says what `control`
    computes. Each call asks again. A field has a kind where its class has a registered control, the map of the input is
    exactly torch's, the instance has nothing of its own in place of a function of the class, there are no hooks, and
    all parameters are plain.
    """
    own, cls = vars(field), type(field)
    parts = own["_modules"]
    linear = parts.get("input_map")
    if torch.compiler.is_compiling() or torch_module._has_any_global_hook():
        return None
    if type(linear) is not nn.Linear or nn.Linear.forward is not _LINEAR_FORWARD:
        return None
    if linear._parameters.keys() != _IN_LINEAR or not _IN_LINEAR.isdisjoint(vars(linear)):
        return None
    if not (_IN_FIELD.isdisjoint(own) and _IN_FIELD.isdisjoint(parts)):
        return None
    for module in (field, *parts.values()):
        if module is None or type(module).__call__ is not nn.Module.__call__:
            return None
        own = vars(module)
        hooks = own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"]
        if hooks or own["_backward_pre_hooks"] or "forward" in own or (own["_modules"] and module is not field):
            return None
        if not _PLAIN.issuperset(map(type, own["_parameters"].values())):
            return None
    control = tuple(map(getattr, repeat(cls), _CONTROL.names, repeat(None)))
    facts = tuple(map(getattr, repeat(cls), _FACTS, repeat(None)))
    if control not in _CONTROL.registered or not _VALUES.issuperset(map(type, facts)):
        return None  # a property may say another thing in each instance
    return cls, control, facts, tuple(map(getattr, repeat(cls), _PARTS.names, repeat(None)))


def stated_blocks(field: AffinePointwiseField) -> Sequence[tuple[Filling, Filling]] | None:
    """The field's `weight_blocks`, or None where a class below the one that states them has a `weight` of its own."""
    for own in (vars(field), *map(vars, type(field).__mro__)):
        if "weight_blocks" in own:
            return field.weight_blocks
        if "weight" in own:
            return None
    return None


def affine_control_of(field: VectorField) -> tuple[AffineControl | None, str | None]:
    """What `field.control` computes, its parameters read; or None, and why `control` must be called."""
    if type(field) is NoisyField and "control" not in vars(field):
        return affine_control_of(field.field)
    if states_control(field):
        return field.affine_control(), None
    reason = _why_control_is_called(field)
    return (None, reason) if reason is not None else (field.affine_control(), None)  # pyright: ignore[reportCallIssue]


def states_control(field: VectorField) -> TypeGuard[AffinePointwiseField]:
    """Whether the control of a field of one's own is what its `affine_control` says."""
    if not isinstance(field, AffinePointwiseField) or "control" in vars(field) or "affine_control" in vars(field):
        return False
    cls = type(field)
    return cls.control is AffinePointwiseField.control and cls.affine_control is not AffinePointwiseField.affine_control


def why_slope_is_called(field: VectorField, *, in_parts: bool) -> str | None:
    """Why dy/dt must be asked of the field, or None where it is its activation of y K^T and the control.

    Args:
        field: the field.
        in_parts: whether the solver asks for the field's drift and kick, or its linear part, instead of `forward`.
    """
    if not isinstance(field, AffinePointwiseField) or not _is_registered(field, _PARTS if in_parts else _SLOPE):
        return f"{type(field).__name__} is not a registered field, or overrides a function of one"
    if activation_of(field) not in _ACTIVATIONS:
        return f"{type(field).__name__} has no registered activation"
    called = (field, *field.children()) if in_parts else (field,)
    for module in called:
        if (reason := why_called(module)) is not None:
            return f"of the field, {reason}"
    return None


def is_affine(field: VectorField) -> bool:
    """Whether the field's call is `pointwise` of y K^T, so that K may be built once for all calls."""
    if not isinstance(field, AffinePointwiseField) or why_called(field) is not None:
        return False
    return type(field).forward is AffinePointwiseField.forward


def _why_control_is_called(field: VectorField) -> str | None:
    if not _is_registered(field, _CONTROL):
        return f"the control of {type(field).__name__} is not a registered one"
    linear = field.input_map
    if type(linear) is not nn.Linear or nn.Linear.forward is not _LINEAR_FORWARD:
        return f"the map of the input is {type(linear).__name__} and not exactly torch.nn.Linear"
    if not _is_plain(linear):
        return "the map of the input has a weight or a bias that is not a plain parameter"
    reason = why_called(linear)
    return None if reason is None else f"of the map of the input, {reason}"


def _is_registered(field: VectorField, functions: _Functions) -> bool:
    """Whether the functions are, all together, those of one registered field, and the instance has none of the name.

    A part of the field may have such a name, where its class has no such function.
    """
    attributes, cls = vars(field), type(field)
    parts = attributes["_modules"]
    found: list[object] = []
    for name in functions.names:
        if name in attributes or name in parts:
            return False
        found.append(getattr(cls, name, None))
    return tuple(found) in functions.registered


def _is_plain(linear: nn.Linear) -> bool:
    """Whether weight and bias are the module's own parameters, or plain tensors in their place (`functional_call`)."""
    own, parameters = vars(linear), linear._parameters
    for name in ("weight", "bias"):
        if name in own or name not in parameters:
            return False
        if not torch.compiler.is_compiling() and type(parameters[name]) not in _PLAIN:
            return False
    return True
