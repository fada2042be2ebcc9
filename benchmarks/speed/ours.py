"""Our engines as contenders: the one place that says what each name is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.speed.captured import captured
from benchmarks.speed.case import Case
from benchmarks.speed.contender import (
    Contender,
    Model,
    Runner,
    UnavailableError,
    takes_whole_sequences,
    torch_runner,
)
from benchmarks.speed.problem import DT, Problem
from odernn import ODERNN, DiscreteAdjoint, EngineWarning
from odernn.engines.native import NativeUnavailable
from solvers import SOLVERS, Adjoint, Checkpointed


@dataclass(frozen=True)
class Execution:
    """The arguments of ODERNN that say how it is executed."""

    engine: str
    adjoint: Adjoint | str
    devices: tuple[str, ...] = ("cpu", "cuda")
    compiles: bool = False
    """Whether the kernels are built from the field's `pointwise`."""


EXECUTIONS: dict[str, Execution] = {
    "native": Execution("native", "auto", ("cpu",)),
    "compiled": Execution("native", "auto", ("cpu",), compiles=True),
    "triton": Execution("triton", "auto", ("cuda",)),
    "torch": Execution("torch", "auto"),
    "autograd": Execution("torch", "autograd"),
    "native-checkpointed": Execution("native", Checkpointed("sqrt", within=DiscreteAdjoint()), ("cpu",)),
}
REFERENCE = "autograd"
"""Whose outputs and gradients the others are compared with: the loop under autograd has no backward of its own."""


def our_contenders() -> list[Contender]:
    """One for each execution, and the two ways to take sample after sample."""
    whole = [
        Contender(name, "ours", _maker(execution), takes_whole_sequences, devices=execution.devices)
        for name, execution in EXECUTIONS.items()
    ]
    whole.append(Contender("triton-graph", "ours", _graphed, takes_whole_sequences, devices=("cuda",)))
    streaming = {"stream": _stream, "step": _step}
    return [*whole, *(Contender(name, "ours", _streamed(run), _single_samples) for name, run in streaming.items())]


def _single_samples(case: Case) -> str | None:
    return None if case.work == "streaming" else "takes sample after sample"


def _maker(execution: Execution) -> Callable[[Problem], Runner]:
    def make(problem: Problem) -> Runner:
        case, field = problem.case, problem.copy_of_field()
        solver = SOLVERS[case.solver]()
        rnn = ODERNN(field, solver, dt=DT, engine=execution.engine, adjoint=execution.adjoint)
        if execution.compiles:
            _compile(rnn)
        _refuse_a_substitute(rnn, problem)
        return torch_runner(Model(_whole(rnn, problem), dict(field.named_parameters())), problem)

    return make


class _Graphed(nn.Module):
    """A layer of the Triton engine that reads nothing from the device, as a graph wants it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        solver = SOLVERS[problem.case.solver]()
        self.rnn = ODERNN(problem.copy_of_field(), solver, dt=DT, engine="triton", on_divergence="ignore")
        self.run = _whole(self.rnn, problem)

    def forward(self, x: Tensor) -> Tensor:
        """The last state, or all of them."""
        return self.run(x)


def _graphed(problem: Problem) -> Runner:
    """The layer as CUDA graphs. Its numbers are those of `triton`, which are compared."""
    network = _Graphed(problem)
    _refuse_a_substitute(network.rnn, problem)
    return captured(network, problem)


def _compile(rnn: ODERNN) -> None:
    """Raises UnavailableError where the field has no kernels of its own."""
    try:
        rnn.compile_kernels()
    except (ValueError, NativeUnavailable) as error:
        raise UnavailableError(str(error)) from error


def _refuse_a_substitute(rnn: ODERNN, problem: Problem) -> None:
    """Raises UnavailableError where another engine would serve: its time would stand under this one's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", EngineWarning)
        try:
            rnn(problem.x[:1], save="end")
        except EngineWarning as warning:
            raise UnavailableError(str(warning)) from warning


def _whole(rnn: ODERNN, problem: Problem) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        output, y_n = rnn(x, save=problem.case.output)
        return y_n[0] if output is None else output

    return run


def _streamed(run: Callable[[ODERNN, Tensor], Tensor]) -> Callable[[Problem], Runner]:
    def make(problem: Problem) -> Runner:
        field = problem.copy_of_field()
        rnn = ODERNN(field, SOLVERS[problem.case.solver](), dt=DT)
        return torch_runner(Model(lambda x: run(rnn, x), dict(field.named_parameters())), problem)

    return make


def _stream(rnn: ODERNN, x: Tensor) -> Tensor:
    stream, y = rnn.stream(x.shape[1]), torch.empty(0)
    for sample in x.unbind():
        y = stream(sample)
    return y


def _step(rnn: ODERNN, x: Tensor) -> Tensor:
    y, state = torch.empty(0), None
    for sample in x.unbind():
        y, state = rnn.step(sample, state)
    return y
