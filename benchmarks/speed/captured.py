"""A network played as CUDA graphs, forward and back each one: no time passes in Python between its launches."""

from __future__ import annotations

import gc

import torch
from torch import Tensor, nn

from benchmarks.speed.contender import Model, Runner, UnavailableError, torch_runner
from benchmarks.speed.problem import Problem


def captured(network: nn.Module, problem: Problem) -> Runner:
    """The runner of a module from the input to its output. Its answer is that of the contender that it is a graph of.

    Raises:
        UnavailableError: it cannot be captured.
    """
    gc.collect()
    gc.disable()  # an earlier graph that is collected while another is captured spoils it
    try:
        return _captured(network, problem)
    except RuntimeError as error:
        raise UnavailableError(f"it cannot be captured: {str(error).splitlines()[0]}") from error
    finally:
        gc.enable()


def _captured(network: nn.Module, problem: Problem) -> Runner:
    if problem.case.work == "training":
        torch.cuda.make_graphed_callables(network, (problem.x.clone(),))  # in place, of a module
        return torch_runner(Model(network, dict(network.named_parameters())), problem, same_function=False)
    with torch.no_grad():
        graph, x = torch.cuda.CUDAGraph(), problem.x.clone()
        network(x)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            found = network(x)

    def run(given: Tensor) -> Tensor:
        x.copy_(given)
        graph.replay()
        return found

    return torch_runner(Model(run, {}), problem, same_function=False)
