"""What a forward pass over one sequence costs: evaluations of the field, and operations of its matrix products."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.figures.evaluations import ITERATING
from benchmarks.models.baselines import Baseline
from benchmarks.tasks import Task
from odernn import ODERNN, AffinePointwiseField, ODERecurrence, SequenceNetwork
from odernn.control.input_map import AffineControl


@dataclass(frozen=True)
class Cost:
    """The cost of a forward pass over one sequence.

    Attributes:
        evaluations: of the vector fields, half a one where half of the state moves; of a network of torch its updates.
            None where the solver iterates, so that they differ from input to input.
        flop: two for each entry of a matrix that is not zero by construction, each time a vector is multiplied by it.
            Elementwise operations do not count. None where the evaluations are, or where the field does not say its
            matrix.
    """

    evaluations: float | None
    flop: float | None


@torch.no_grad()
def cost_of(network: SequenceNetwork, task: Task) -> Cost:
    """The cost of a network on a sequence of a task; it does not depend on the weights."""
    network = _without_zeros(network)
    reads = task.length if task.objective.read_from == "trajectory" else 1
    embedding = task.length * sum(matrix.numel() for matrix in network.encoder.parameters())
    around = 2 * (embedding + reads * network.readout.weight.numel())
    part = network.recurrent
    if isinstance(part, Baseline):
        matrices = sum(value.numel() for value in part.rnn.parameters() if value.ndim == 2)
        return Cost(task.length, 2 * task.length * matrices + around)
    assert isinstance(part, ODERecurrence)
    steps = [_of_layer(rnn) for rnn in part.layers]
    evaluations = [each.evaluations for each in steps]
    flop = [each.flop for each in steps]
    return Cost(_times(task.length, evaluations), _times(task.length, flop, around))


def _without_zeros(network: SequenceNetwork) -> SequenceNetwork:
    """A copy whose matrices have zeros only where their construction makes them so."""
    made = copy.deepcopy(network)
    draw = torch.Generator().manual_seed(0)
    for parameter in made.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return made


def _of_layer(rnn: ODERNN) -> Cost:
    """The cost of one sample."""
    if rnn.solver.family in ITERATING:
        return Cost(None, None)
    evaluations, field = rnn.substeps * rnn.solver.num_evals, rnn.field
    control = _control(field)
    if not isinstance(field, AffinePointwiseField) or control is None:
        return Cost(evaluations, None)
    of_input = 0 if control.weight is None else _entries(control.weight)
    return Cost(evaluations, 2 * (evaluations * _entries(field.weight()) + of_input))


def _control(field: nn.Module) -> AffineControl | None:
    make = getattr(field, "affine_control", None)
    return None if make is None else make()


def _entries(matrix: Tensor) -> int:
    return int(torch.count_nonzero(matrix))


def _times(length: int, values: list[float | None], more: int = 0) -> float | None:
    known = [value for value in values if value is not None]
    return length * sum(known) + more if len(known) == len(values) else None
