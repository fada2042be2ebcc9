"""NetworkSpec: a network by names and numbers, from which it is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from solvers import SOLVERS, Adjoint

from ..engines.engine import Engine
from ..fields.registry import FIELDS
from ..layer.odernn import ODERNN
from ..modules.sequence_network import ODERecurrence, SequenceNetwork, visible_size


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is, without its weights.

    Attributes:
        field: name of the vector field in `odernn.FIELDS`.
        arguments: what the field is made with beside its sizes.
        input_size: features of a sample.
        hidden_size: units of the state.
        output_size: numbers that the readout gives.
        solver: name of the solver in `solvers.SOLVERS`.
        dt: time from one sample to the next.
        substeps: solver steps from one sample to the next.
        hold: the control between samples, by name.
        layers: upon each other, all of the same kind.
        visible: what the next layer and the readout see of a state.
        read_from: whether the last state is read or each.
    """

    field: str
    arguments: dict[str, float]
    input_size: int
    hidden_size: int
    output_size: int
    solver: str
    dt: float
    substeps: int
    hold: str
    layers: int = 1
    visible: Literal["state", "first-half"] = "state"
    read_from: Literal["end", "trajectory"] = "end"

    def build(self, *, adjoint: Adjoint | str = "auto", engine: Engine | str = "auto") -> SequenceNetwork:
        """The network, its weights drawn as the field draws them.

        Args:
            adjoint: as in `ODERNN`.
            engine: as in `ODERNN`.

        Raises:
            TypeError, ValueError: a name that is not registered, a number that the field or the layer does not take.
        """
        _named("field", self.field, FIELDS)
        _named("solver", self.solver, SOLVERS)
        above = visible_size(self.hidden_size, self.visible)
        sizes = [self.input_size] + [above] * (self.layers - 1)
        rnn, *upper = (self._layer(size, adjoint, engine) for size in sizes)
        recurrence = ODERecurrence(rnn, self.read_from, upper=upper, visible=self.visible)
        return SequenceNetwork(recurrence, recurrence.visible_size, self.output_size)

    def _layer(self, input_size: int, adjoint: Adjoint | str, engine: Engine | str) -> ODERNN:
        return ODERNN(
            FIELDS[self.field](input_size, self.hidden_size, **self.arguments),
            SOLVERS[self.solver](),
            dt=self.dt,
            substeps=self.substeps,
            hold=self.hold,
            adjoint=adjoint,
            engine=engine,
            batch_first=True,
        )


def _named(argument: str, name: str, registry: Mapping[str, type[Any]]) -> None:
    if name not in registry:
        raise ValueError(f"`{argument}` is {name!r}; choose one of {', '.join(registry)}")
