"""The peers in torch: the same function by other code, and torch's own layers, which compute another one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.captured import captured
from benchmarks.speed.case import Case
from benchmarks.speed.contender import (
    Contender,
    Model,
    Runner,
    UnavailableError,
    takes_all,
    takes_the_papers,
    takes_whole_sequences,
    torch_runner,
)
from benchmarks.speed.loops import looped, refused_loop
from benchmarks.speed.problem import DAMPING, DT, Problem, full_matrix
from odernn import AntisymmetricField

Loop = Callable[[Tensor, Tensor, list[Tensor]], list[Tensor]]
"""From y0, K^T and the controls u of all samples to the states after them."""

WHOLE_CHECKED = 64
"""Samples that one odeint for the whole sequence is compared on, its backward being quadratic in them."""


def torch_peers(longest_whole: int) -> list[Contender]:
    """The peers; one odeint for the whole sequence goes backward only up to `longest_whole` samples."""
    layers = {"nn.RNN": nn.RNN, "nn.GRU": nn.GRU, "nn.LSTM": nn.LSTM}
    return [
        Contender("naive", "peer", _by_hand, _why_not_by_hand),
        Contender("naive-graph", "peer", _graphed, _whole_of_the_papers, devices=("cuda",)),
        Contender("naive-compiled", "peer", partial(_compiled, "inductor"), _whole_of_the_papers, devices=("cuda",)),
        Contender("torchdiffeq", "peer", _looped(_odeint_a_sample), takes_the_papers),
        Contender("torchdiffeq-whole", "peer", _looped(_odeint_of_all), _up_to(longest_whole), checked=WHOLE_CHECKED),
        Contender("torchrecurrent", "peer", _torchrecurrent, takes_the_papers),
        *(Contender(name, "another function", _layer(kind), takes_all) for name, kind in layers.items()),
    ]


def _by_hand(problem: Problem) -> Runner:
    return _looped(_naive)(problem) if problem.case.papers else looped(problem)


def _why_not_by_hand(case: Case) -> str | None:
    return None if case.papers else refused_loop(case)


def _whole_of_the_papers(case: Case) -> str | None:
    return takes_whole_sequences(case) or takes_the_papers(case)


def _up_to(longest: int) -> Callable[[Case], str | None]:
    def refusal(case: Case) -> str | None:
        if case.work == "streaming":
            return "takes a whole sequence"
        if case.work == "training" and case.shape.time > longest:
            return f"backward is quadratic in T: measured up to T = {longest:,} only (`--longest-whole`)"
        return takes_the_papers(case)

    return refusal


def _looped(loop: Loop) -> Callable[[Problem], Runner]:
    """A peer that is a loop over the samples, with the weights as somebody would write them by hand."""

    def make(problem: Problem) -> Runner:
        module = _Loop(problem, loop)
        return torch_runner(_named(module, module.w, module.v, module.b), problem)

    return make


class _Loop(nn.Module):
    """A loop over the samples as a module, whose parameters a CUDA graph knows."""

    damping: Tensor

    def __init__(self, problem: Problem, loop: Loop) -> None:
        super().__init__()
        assert isinstance(problem.field, AntisymmetricField)
        self.loop = loop
        self.w = nn.Parameter(full_matrix(problem.field))
        self.v, self.b = (nn.Parameter(one.detach().clone()) for one in problem.field.input_map.parameters())
        self.register_buffer("damping", DAMPING * torch.eye(len(self.w), device=self.w.device))
        self.end = problem.case.output == "end"

    def forward(self, x: Tensor) -> Tensor:
        """The last state, or those after all samples."""
        transposed = (self.w - self.w.T - self.damping).T
        # unbind and not u[n], whose backward would be quadratic in the number of samples
        states = self.loop(x.new_zeros(x.shape[1], len(self.w)), transposed, list((x @ self.v.T + self.b).unbind()))
        return states[-1] if self.end else torch.stack(states)


def _graphed(problem: Problem) -> Runner:
    """The loop by hand as CUDA graphs. Its numbers are those of `naive`, which are compared."""
    return captured(_Loop(problem, _naive), problem)


def _compiled(backend: str, problem: Problem) -> Runner:
    """The loop by hand with its step by torch.compile, which would take minutes over all samples unrolled."""
    return _looped(partial(_stepped, torch.compile(_step, backend=backend)))(problem)


def _stepped(
    step: Callable[[Tensor, Tensor, Tensor], Tensor], y: Tensor, transposed: Tensor, u: list[Tensor]
) -> list[Tensor]:
    states = []
    for control in u:
        y = step(y, transposed, control)
        states.append(y)
    return states


def _step(y: Tensor, transposed: Tensor, control: Tensor) -> Tensor:
    return y + DT * torch.tanh(torch.addmm(control, y, transposed))


def _naive(y: Tensor, transposed: Tensor, u: list[Tensor]) -> list[Tensor]:
    return _stepped(_step, y, transposed, u)


def _odeint_a_sample(y: Tensor, transposed: Tensor, u: list[Tensor]) -> list[Tensor]:
    """The loop of published code, which calls torchdiffeq's odeint once a sample."""
    import torchdiffeq

    t = torch.tensor([0.0, DT], device=y.device)
    states = []
    for control in u:
        y = torchdiffeq.odeint(_field_under(control, transposed), y, t, method="euler")[-1]  # pyright: ignore
        states.append(y)
    return states


def _field_under(control: Tensor, transposed: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y: torch.tanh(torch.addmm(control, y, transposed))


def _odeint_of_all(y: Tensor, transposed: Tensor, u: list[Tensor]) -> list[Tensor]:
    """One odeint for the whole sequence, time counted in samples so that a step's start is its sample's number."""
    import torchdiffeq

    def f(t: Tensor, y: Tensor) -> Tensor:
        return DT * torch.tanh(torch.addmm(u[int(t)], y, transposed))

    t = torch.arange(len(u) + 1, dtype=y.dtype, device=y.device)
    return list(torchdiffeq.odeint(f, y, t, method="euler")[1:])  # pyright: ignore


def _torchrecurrent(problem: Problem) -> Runner:
    """The package's layer, whose two biases are added: the second one is zero here."""
    try:
        package: Any = importlib.import_module("torchrecurrent")
    except ModuleNotFoundError as error:
        raise UnavailableError("not installed; `pip install --no-deps torchrecurrent` brings it") from error
    assert isinstance(problem.field, AntisymmetricField)
    shape, device = problem.case.shape, problem.device
    layer = package.AntisymmetricRNN(shape.inputs, shape.units, epsilon=DT, gamma=DAMPING).to(device)
    cell = layer.cells[0]
    with torch.no_grad():
        cell.weight_hh.copy_(full_matrix(problem.field))
        cell.weight_ih.copy_(problem.field.input_map.weight)
        cell.bias_ih.copy_(problem.field.input_map.bias)
        cell.bias_hh.zero_()
    model = _named(_run_layer(layer, problem.case), cell.weight_hh, cell.weight_ih, cell.bias_ih)
    return torch_runner(_without_second_bias(model, cell.bias_hh), problem)


def _without_second_bias(model: Model, bias: Tensor) -> Model:
    """The second bias has a gradient as in training, which is cleared with the others and compared with none."""

    def run(x: Tensor) -> Tensor:
        bias.grad = None
        return model.run(x)

    return replace(model, run=run)


def _layer(kind: type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]) -> Callable[[Problem], Runner]:
    def make(problem: Problem) -> Runner:
        shape = problem.case.shape
        with torch.random.fork_rng(devices=[]):
            layer = kind(shape.inputs, shape.units).to(problem.device)
        model = Model(_run_layer(layer, problem.case), dict(layer.named_parameters()))
        return torch_runner(model, problem, same_function=False)

    return make


def _run_layer(layer: nn.Module, case: Case) -> Callable[[Tensor], Tensor]:
    """A layer that gives all outputs and its state, as torch.nn.RNN does."""

    def run(x: Tensor) -> Tensor:
        if case.work != "streaming":
            output, _ = layer(x)
            return output[-1] if case.output == "end" else output
        output, state = layer(x[:1])
        for sample in x[1:].split(1):
            output, state = layer(sample, state)
        return output[0]

    return run


def _named(run: Callable[[Tensor], Tensor], w: Tensor, v: Tensor, b: Tensor) -> Model:
    return Model(run, {"recurrent.upper": w, "input_map.weight": v, "input_map.bias": b})
