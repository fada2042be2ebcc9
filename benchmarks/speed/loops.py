"""Other fields' networks as loops over the samples by hand, as their papers' own programs have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from benchmarks.speed.case import Case
from benchmarks.speed.contender import Model, Runner, torch_runner
from benchmarks.speed.problem import DT, Problem

Parameters = Mapping[str, Tensor]
Loop = Callable[[Parameters, Tensor, list[Tensor]], Tensor]
"""From the parameters by the field's names, the zero state and the controls of all samples to the last state."""


def refused_loop(case: Case) -> str | None:
    """Why there is no loop by hand here for a case, or None."""
    if (case.field, case.solver) not in LOOPS:
        return "there is no loop by hand for it"
    return None if case.output == "end" and case.work in ("training", "inference") else "runs to the last state only"


def looped(problem: Problem) -> Runner:
    """The loop of a case that has one."""
    loop = LOOPS[problem.case.field, problem.case.solver]
    named = {name: nn.Parameter(one.detach().clone()) for name, one in problem.field.named_parameters()}

    def run(x: Tensor) -> Tensor:
        u = x @ named["input_map.weight"].T + named["input_map.bias"]
        return loop(named, x.new_zeros(x.shape[1], problem.field.hidden_size), list(u.unbind()))

    return torch_runner(Model(run, named), problem)


def _cornn(parameters: Parameters, state: Tensor, controls: list[Tensor]) -> Tensor:
    """Rusch & Mishra (ICLR 2021), eq. (3), gamma = epsilon = 1."""
    y, z = state.chunk(2, dim=-1)
    transposed = parameters["recurrent"].T
    for u in controls:
        z = z + DT * (torch.tanh(torch.addmm(u, torch.cat((y, z), dim=-1), transposed)) - y - z)
        y = y + DT * z
    return torch.cat((y, z), dim=-1)


def _lem(parameters: Parameters, state: Tensor, controls: list[Tensor]) -> Tensor:
    """Rusch et al. (ICLR 2022), eq. (3)."""
    y, z = state.chunk(2, dim=-1)
    gates, of_y, of_z = (parameters[name].T for name in ("gates", "recurrent_y", "recurrent_z"))
    for u in controls:
        u_gates, u_y, u_z = u.split((2 * y.shape[-1], y.shape[-1], y.shape[-1]), dim=-1)
        step_y, step_z = (DT * torch.sigmoid(torch.addmm(u_gates, y, gates))).chunk(2, dim=-1)
        z = z + step_z * (torch.tanh(torch.addmm(u_z, y, of_z)) - z)
        y = y + step_y * (torch.tanh(torch.addmm(u_y, z, of_y)) - y)
    return torch.cat((y, z), dim=-1)


LOOPS: Mapping[tuple[str, str], Loop] = {
    ("cornn", "symplectic-euler"): _cornn,
    ("own-cornn", "symplectic-euler"): _cornn,
    ("lem", "symplectic-euler"): _lem,
}
"""By field and solver."""
