"""The layers of a stack: what they are made of, and whether they fit upon each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from solvers import Solver
from solvers.checks import check_count, check_flag

from ..control.time_grid import Step
from ..fields.field import VectorField
from ..layer.odernn import ODERNN

LayerSpec = ODERNN | tuple[VectorField, Solver | str, Step]
"""A layer, or the field, the solver and the dt of one."""


def as_layers(name: str, given: object) -> list[ODERNN]:
    """Layers of what a stack is given.

    Args:
        name: what to call it in a message.
        given: a list of layers, or of the field, solver and dt of each.

    Raises:
        TypeError, ValueError: something that is not a layer, or one with the batch first.
    """
    if not isinstance(given, list | tuple) or not given:
        raise TypeError(f"`{name}` is {given!r}; give a list of ODERNN or of (field, solver, dt), one or more")
    return [_layer(f"{name}[{k}]", each) for k, each in enumerate(given)]


def _layer(name: str, given: object) -> ODERNN:
    if isinstance(given, tuple) and len(given) == 3:
        field, solver, dt = given
        return ODERNN(field, solver, dt=dt)
    if not isinstance(given, ODERNN):
        raise TypeError(f"`{name}` is {type(given).__name__}; give an ODERNN, or (field, solver, dt)")
    if given.batch_first:
        raise ValueError(
            f"`{name}` has batch_first=True; that is for the stack to say: StackedODERNN(batch_first=True)"
        )
    return given


def check_fit(layers: Sequence[tuple[ODERNN, ...]]) -> None:
    """Each layer reads what the one below gives, and all have one hidden size.

    Raises:
        ValueError: they do not.
    """
    hidden, width = layers[0][0].field.hidden_size, layers[0][0].field.input_size
    for k, networks in enumerate(layers):
        for network in networks:
            field = network.field
            if field.hidden_size != hidden:
                raise ValueError(f"layer {k} has {field.hidden_size} units and layer 0 {hidden}; give all the same")
            if field.input_size != width:
                below = "the input" if not k else f"layer {k - 1}"
                raise ValueError(f"a field of layer {k} takes {field.input_size} features and {below} has {width}")
        width = len(networks) * hidden


def make_layers(
    make: Callable[[int], ODERNN], input_size: int, hidden_size: int, num_layers: int, *, bidirectional: bool
) -> tuple[list[ODERNN], list[ODERNN] | None]:
    """The layers of a stack, lowest first, and those of the other direction, or None.

    Args:
        make: the features that a layer reads -> the layer.
        input_size: features of an input sample.
        hidden_size: units of the state of a layer in one direction.
        num_layers: layers upon each other.
        bidirectional: whether there is another direction.

    Raises:
        TypeError, ValueError: a size that is not a whole number from 1, a flag that is not True or False.
    """
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        check_count(name, size)
    check_flag("bidirectional", bidirectional)
    widths = [input_size] + [(2 if bidirectional else 1) * hidden_size] * (num_layers - 1)
    return [make(width) for width in widths], [make(width) for width in widths] if bidirectional else None
