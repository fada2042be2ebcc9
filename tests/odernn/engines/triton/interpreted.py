"""Run the cases under Triton's interpreter, which must be asked for before Triton is imported: their errors."""

from __future__ import annotations

import traceback

import pytest
import torch

from odernn import ODERNN, AntisymmetricField, Ensemble, ODERecurrence, SequenceNetwork
from odernn.engines.operators import TORCH, TRITON
from odernn.engines.torch import sweep
from odernn.engines.triton import launch
from tests.odernn.engines.triton.cases import (
    Case,
    call,
    cases,
    cases_of_networks,
    error,
    numbers,
    numbers_of_networks,
    one_by_one,
    spread_cases,
    streamed_cases,
)
from tests.odernn.engines.triton.networks import networks, resident_networks, streamed_networks, trained
from tests.odernn.engines.triton.ragged import STREAMED, Ragged, ragged, run
from tests.odernn.engines.triton.streamed import BLOCK, streamed
from tests.odernn.engines.triton.together import together


def measured(case: Case) -> float | str:
    """The error against the torch engine in float64, or what went wrong."""
    try:
        have = numbers(TRITON, call(case, torch.float32, "cpu"))
        return error(have, numbers(TORCH, call(case, torch.float64, "cpu")))
    except Exception:  # whatever it is, the test shows it
        return traceback.format_exc()[-1500:]


def of_the_operators() -> float | str:
    """What torch's own check of the operators, and its compiler, say of them."""
    try:
        given = call(cases()[0], torch.float32, "cpu").arguments()
        leaves = [x.clone().requires_grad_() if isinstance(x, torch.Tensor) and x.ndim else x for x in given]
        torch.library.opcheck(torch.ops.odernn_triton.solve.default, (*leaves, True))
        rnn = ODERNN(AntisymmetricField(2, 16), "heun", dt=0.1, engine="triton")
        x = torch.randn(4, 3, 2)
        compiled = torch.compile(rnn, fullgraph=True, backend="aot_eager")
        difference = (compiled(x)[0] - rnn(x)[0]).abs().max()
        return float(difference) if rnn.choice(x).engine == "triton" else rnn.choice(x).reason
    except Exception:
        return traceback.format_exc()[-1500:]


def of_network(name: str) -> float | str:
    """The error of a network of a field of one's own against autograd in float64, or what went wrong."""
    try:
        return error(trained(name, "triton", torch.float32, "cpu"), trained(name, "torch", torch.float64, "cpu"))
    except Exception:
        return traceback.format_exc()[-1500:]


def of_networks(case: Case) -> float | str:
    """The error of two networks at once, of one case, against the torch engine's one by one."""
    try:
        have = numbers_of_networks(TRITON, [call(case, torch.float32, "cpu", seed) for seed in range(2)])
        return error(have, one_by_one([call(case, torch.float64, "cpu", seed) for seed in range(2)]))
    except Exception:
        return traceback.format_exc()[-1500:]


def of_lengths(case: Ragged) -> float | str:
    """The error of sequences of several lengths in one call against the torch engine's, which goes piece by piece."""
    try:
        with pytest.MonkeyPatch.context() as patched:  # several chunks of time, and half of the controls from outside
            patched.setattr(sweep, "ENTRIES", 96)
            patched.setattr(launch, "ENTRIES", 96)
            patched.setattr(launch, "INPUTS", 1 if case.substeps == 2 else launch.INPUTS)
            have, taken = run(case, "triton", torch.float32, "cpu")
        if not taken or not all(taken):
            return f"taken in one call: {taken}"
        return error(have, run(case, "torch", torch.float64, "cpu")[0])
    except Exception:
        return traceback.format_exc()[-1500:]


def of_ensemble() -> float | str:
    """The error of an ensemble of classifiers, or what went wrong."""
    try:
        torch.manual_seed(0)
        ensemble = Ensemble([classifier() for _ in range(3)])
        x = torch.randn(3, 2, 4, 1)
        assert ensemble.runs_at_once
        found = [made.double() for made in ensemble.unstack()]
        for rnn in (module for network in found for module in network.modules() if isinstance(module, ODERNN)):
            rnn.engine = "torch"
        wanted = [network(part) for network, part in zip(found, x.double(), strict=True)]
        output = ensemble(x)
        output.square().sum().backward()
        torch.stack(wanted).square().sum().backward()
        by_name = [dict(network.named_parameters()) for network in found]
        named = dict(ensemble.network.named_parameters())
        have = [output.detach().double(), *(own.grad.double() for own in named.values() if own.grad is not None)]
        gradients = (torch.stack([own[name].grad for own in by_name]) for name in named)  # pyright: ignore
        return error(have, [torch.stack(wanted).detach(), *gradients])
    except Exception:
        return traceback.format_exc()[-1500:]


def reason() -> str:
    """Why the kernels run a layer."""
    return ODERNN(AntisymmetricField(1, 20), "rk4", dt=0.1, engine="triton").choice(torch.randn(3, 2, 1)).reason


def classifier() -> SequenceNetwork:
    """Of two layers, whose state does not fill a block."""
    below, above = (ODERNN(AntisymmetricField(m, 6), "heun", dt=0.3, batch_first=True, engine="triton") for m in (1, 6))
    return SequenceNetwork(ODERecurrence(below, upper=[above]), 6, 3)


def errors(full: bool) -> dict[str, float | str]:
    """By name. Streamed kernels take a part of what resident ones take, or all of it.

    Memory that nobody has written into is not a number, which torch sees to where it is to be deterministic.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    found = {str(case): measured(case) for case in cases()}
    found |= {f"networks-{case}": of_networks(case) for case in cases_of_networks()}
    found |= {str(case): of_lengths(case) for case in ragged()}
    found["operators"], found["ensemble"] = of_the_operators(), of_ensemble()
    found |= {name: of_network(name) for name in (networks() if full else resident_networks())}
    with streamed():
        found |= {f"streamed-{case}": measured(case) for case in (cases() if full else streamed_cases())}
        found |= {f"streamed-networks-{case}": of_networks(case) for case in cases_of_networks()[:: 1 if full else 2]}
        found |= {f"streamed-{case}": of_lengths(case) for case in ragged()[: None if full else STREAMED]}
        found |= {f"streamed-{name}": of_network(name) for name in (networks() if full else streamed_networks())}
        found["streamed-choice"] = reason()
        for where, room in (("streamed", BLOCK), ("resident", 64 << 10)):
            with together(room) as launched:
                found |= {f"spread-{where}-{case}": measured(case) for case in spread_cases(where)}
            found[f"programs-{where}"] = min(launched)
        with together(64 << 10):
            found["spread-networks"] = of_networks(spread_cases("resident")[0])
    return found
