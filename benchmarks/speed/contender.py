"""A contender: what makes of a problem something that can be timed and asked for its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from benchmarks.speed.case import Case
from benchmarks.speed.equivalence import Answer
from benchmarks.speed.problem import Problem

Kind = Literal["ours", "peer", "another function", "arithmetic"]


class UnavailableError(Exception):
    """A contender cannot take a case here, and the reason why."""


@dataclass(frozen=True)
class Runner:
    """A contender ready for one problem.

    Attributes:
        time: does the work once and gives the seconds it took.
        answer: the output and the gradients; None for what computes another function.
    """

    time: Callable[[], float]
    answer: Callable[[], Answer] | None


def takes_all(case: Case) -> str | None:
    """What a contender refuses that refuses nothing."""
    return None


def takes_whole_sequences(case: Case) -> str | None:
    """What a contender refuses that has no state to go on from."""
    return "takes a whole sequence" if case.work == "streaming" else None


def takes_the_papers(case: Case) -> str | None:
    """What a contender refuses that computes only the paper's network."""
    return None if case.papers else "computes only the paper's network"


@dataclass(frozen=True)
class Contender:
    """Something that is measured.

    Attributes:
        name: in tables and on the command line.
        kind: ours; a peer that computes the same function; another function of the same size, compared only in time;
            or arithmetic that computes no function.
        make: gets it ready for a problem. Raises UnavailableError where it cannot be.
        refusal: why a case is not measured, or None.
        checked: the most samples that its answer is compared on.
        devices: where it runs.
    """

    name: str
    kind: Kind
    make: Callable[[Problem], Runner]
    refusal: Callable[[Case], str | None] = takes_all
    checked: int | None = None
    devices: tuple[str, ...] = ("cpu", "cuda")


@dataclass(frozen=True)
class Model:
    """A contender written in torch.

    Attributes:
        run: from the input to the last state, or to all states, as the case asks.
        parameters: by the field's names. W itself may stand in place of its strictly upper entries.
    """

    run: Callable[[Tensor], Tensor]
    parameters: Mapping[str, Tensor]


def torch_runner(model: Model, problem: Problem, *, same_function: bool = True) -> Runner:
    """The runner of a model: forward and backward from the problem's cotangent, or forward without gradients."""
    training = problem.case.work in ("training", "memory")

    def work() -> None:
        if training:
            model.run(problem.x).backward(problem.cotangent)
        else:
            with torch.no_grad():
                model.run(problem.x)

    def timed() -> float:
        for parameter in model.parameters.values():
            parameter.grad = None
        return seconds_of(work, problem.device)

    return Runner(timed, (lambda: _answer(model, problem, training)) if same_function else None)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """How long a piece of work takes, to the end of what it left to the device; there by the device's own events."""
    if device.type == "cuda":
        return _seconds_by_events(work, device)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _answer(model: Model, problem: Problem, training: bool) -> Answer:
    if not training:
        with torch.no_grad():
            return {"output": model.run(problem.x)}
    x = problem.x.clone().requires_grad_()
    named = {**model.parameters, "x": x}
    output = model.run(x)
    gradients = torch.autograd.grad(output, list(named.values()), problem.cotangent)
    found = {name: _strictly_upper(name, one) for name, one in zip(named, gradients, strict=True)}
    return {"output": output.detach(), **found}


def _strictly_upper(name: str, gradient: Tensor) -> Tensor:
    """The strictly upper entries of W's gradient, which are those of our parameter."""
    if name != "recurrent.upper" or gradient.ndim == 1:
        return gradient
    rows, columns = torch.triu_indices(len(gradient), len(gradient), offset=1, device=gradient.device)
    return gradient[rows, columns]


def _seconds_by_events(work: Callable[[], object], device: torch.device) -> float:
    with torch.cuda.device(device):
        torch.cuda.synchronize()
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        work()
        ended.record()
        ended.synchronize()
    return began.elapsed_time(ended) / 1e3
