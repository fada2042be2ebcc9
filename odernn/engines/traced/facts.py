"""What a field was when its `pointwise` was traced, so that a trace is used as long as the field is that."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...fields.contract import code_of, undisturbed
from ...fields.field import MEMORIES, AffinePointwiseField, VectorField
from .tracing import state_of

_STORES = {*MEMORIES, "_parameters", "_buffers", "_modules"}
_PLAIN = (bool, int, float, str, tuple, type(None))


def sizes_of(field: AffinePointwiseField) -> tuple[int, int, Tensor]:
    """The entries of the preactivation and of the control, and an empty tensor like the state."""
    first = next(iter(state_of(field).values()), torch.zeros(()))
    with undisturbed(field, first):
        weight = field.weight()
        control = field.control(weight.new_zeros(1, 1, field.input_size))
    return len(weight), control.shape[-1], weight.new_empty(0)


def facts_of(field: VectorField) -> list[object]:
    """What the trace took for granted: the code, the attributes of all modules, and the shapes of what they hold."""
    facts = code_of(field)
    for module in field.modules():
        facts += [module, type(module), *(value for key, value in vars(module).items() if key not in _STORES)]
    facts += [(name, tuple(value.shape)) for name, value in _state(field)]
    return facts


def _state(field: nn.Module) -> list[tuple[str, Tensor]]:
    return [*field.named_parameters(), *field.named_buffers()]


def same_facts(some: Sequence[object], others: Sequence[object]) -> bool:
    """Whether two fields are the same to a trace."""
    return len(some) == len(others) and all(map(_is_same, some, others))


def _is_same(one: object, other: object) -> bool:
    return one is other or (isinstance(one, _PLAIN) and type(one) is type(other) and one == other)
