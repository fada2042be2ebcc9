"""The peers that are packages of kernels for a GPU: gated layers of the same size, so compared only in time.

FlashRNN: Pöppel, Beck & Hochreiter, FlashRNN: I/O-Aware Optimization of Traditional RNNs on modern hardware, 2024,
arXiv 2412.07752. torchrl: its recurrent modules with `recurrent_backend="triton"`.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal, final

import torch
from torch import Tensor, nn

from benchmarks.speed.contender import Contender, Model, Runner, UnavailableError, takes_whole_sequences, torch_runner
from benchmarks.speed.problem import Problem

GATES: Final = 4
"""Of an LSTM."""
WIDEST_HEAD: Final = 64
"""Units of a head that FlashRNN's Triton kernels take."""
Backend = Literal["cuda_fused", "triton_fused", "vanilla"]
Cell = Literal["gru", "lstm"]


def gpu_peers() -> list[Contender]:
    """The peers. FlashRNN's Triton kernels take narrow heads, which see nothing of one another."""
    return [
        _peer("flashrnn", partial(_flash_lstm, "cuda_fused")),
        _peer("flashrnn-triton", partial(_flash_lstm, "triton_fused")),
        _peer("torchrl-gru", partial(ResetLayer, "gru")),
        _peer("torchrl-lstm", partial(ResetLayer, "lstm")),
    ]


@final
class FlashLSTM(nn.Module):
    """An LSTM by FlashRNN, with its input map before it.

    Args:
        inputs: numbers a sample.
        units: of the state.
        backend: of FlashRNN; "vanilla" is its loop in torch, on any device.
        end: whether the last state is asked for, not all of them.
    """

    def __init__(self, inputs: int, units: int, backend: Backend, *, end: bool) -> None:
        super().__init__()
        heads = -(-units // WIDEST_HEAD) if backend == "triton_fused" else 1
        if units % heads:
            raise UnavailableError(f"{units} units are not {heads} heads of the same size")
        self.backend, self.end = backend, end
        self.input_map = nn.Linear(inputs, GATES * units, bias=False)
        size = units // heads
        self.recurrent = nn.Parameter(torch.randn(GATES, heads, size, size) / size**0.5)
        self.bias = nn.Parameter(torch.zeros(GATES, heads, size))

    def forward(self, x: Tensor) -> Tensor:
        """From (time, batch, input) to the states (time, batch, units), or to the last of them."""
        kernels = _imported("flashrnn", "pip install flashrnn")
        dtype = torch.float32 if self.backend == "vanilla" else torch.bfloat16  # that the kernels are written for
        heads, size = self.bias.shape[1:]
        driven = self.input_map(x).unflatten(-1, (GATES, heads, size)).transpose(0, 1)
        given = (each.to(dtype).contiguous() for each in (driven, self.recurrent, self.bias))
        name = str(dtype).removeprefix("torch.")
        states, _ = kernels.flashrnn(*given, function="lstm", backend=self.backend, dtype=name)
        output = states[0].flatten(-2).transpose(0, 1).to(x.dtype)
        return output[-1] if self.end else output


@final
class ResetLayer(nn.Module):
    """torchrl's layer, which reads and writes a TensorDict. No sequence is reset.

    Args:
        cell: its kind.
        inputs: numbers a sample.
        units: of the state.
        backend: of torchrl; "pad" is torch's own layer, on any device.
        end: whether the last state is asked for, not all of them.
    """

    def __init__(self, cell: Cell, inputs: int, units: int, backend: str = "triton", *, end: bool) -> None:
        super().__init__()
        modules = _imported("torchrl.modules", "pip install torchrl")
        kind, states = (modules.GRUModule, ["h"]) if cell == "gru" else (modules.LSTMModule, ["h", "c"])
        keys: dict[str, Any] = {"in_keys": ["x", *states], "out_keys": ["y", *(("next", name) for name in states)]}
        self.layer = kind(inputs, units, recurrent_backend=backend, default_recurrent_mode=True, **keys)
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        """From (time, batch, input) to the states (time, batch, units), or to the last of them."""
        samples = x.transpose(0, 1)
        start = torch.zeros(*samples.shape[:2], 1, dtype=torch.bool, device=x.device)
        tensors = _imported("tensordict", "pip install torchrl")
        given = tensors.TensorDict({"x": samples, "is_init": start}, batch_size=samples.shape[:2])
        output = self.layer(given)["y"].transpose(0, 1)
        return output[-1] if self.end else output


def _flash_lstm(backend: Backend, inputs: int, units: int, *, end: bool) -> FlashLSTM:
    _imported("flashrnn", "pip install flashrnn")
    if backend == "cuda_fused" and shutil.which("nvcc") is None:
        raise UnavailableError("FlashRNN's CUDA kernels are compiled where they run, and there is no nvcc")
    return FlashLSTM(inputs, units, backend, end=end)


def _peer(name: str, layer: Callable[..., nn.Module]) -> Contender:
    """A contender of a layer, which is made of (inputs, units, end=whether the last state is asked for)."""

    def make(problem: Problem) -> Runner:
        shape = problem.case.shape
        with torch.random.fork_rng(devices=[]):
            made = layer(shape.inputs, shape.units, end=problem.case.output == "end").to(problem.device)
        runner = torch_runner(Model(made, dict(made.named_parameters())), problem, same_function=False)
        return replace(runner, time=partial(_told, runner.time))

    return Contender(name, "another function", make, takes_whole_sequences, devices=("cuda",))


def _told(work: Callable[[], float]) -> float:
    """What a package's kernels raise as they are compiled or run, as a reason in a sentence."""
    try:
        return work()
    except UnavailableError:
        raise
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        raise UnavailableError(f"its kernels fail here: {type(error).__name__}: {lines[-1].strip()}") from error


def _imported(name: str, command: str) -> Any:
    """A package, or a reason in a sentence: what it raises as it is loaded is its own affair."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UnavailableError(f"not installed; `{command}` brings it") from error
    except Exception as error:
        raise UnavailableError(f"{name} cannot be loaded here: {str(error).splitlines()[0]}") from error
