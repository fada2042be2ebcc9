"""Law: an operator under vmap over stacked weights gives what it gives network by network."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from odernn import ODERNN, AntisymmetricField
from odernn.engines.native import is_available
from odernn.engines.operators import NATIVE, TORCH
from tests.odernn.engines.triton.cases import (
    Case,
    call,
    cases,
    cases_of_networks,
    error,
    numbers_of_networks,
    one_by_one,
)

ROUNDING = 1e-14  # float64, of the largest entry; the products of several networks are added in another order
needs_kernels = pytest.mark.skipif(not is_available(), reason="the native kernels cannot be built here")
DOUBLE = torch.float64


@pytest.mark.parametrize("case", cases(), ids=str)
def test_all_rows_at_once(case: Case) -> None:
    calls = [call(case, DOUBLE, "cpu", seed) for seed in range(3)]
    assert error(numbers_of_networks(TORCH, calls), one_by_one(calls)) < ROUNDING


def native_cases() -> list[Case]:
    """The native kernels take an exponential method with the activation of the remainder only."""
    return [case for case in cases_of_networks() if case.kind != "linear-plus-tanh"]


@needs_kernels
@pytest.mark.parametrize("case", native_cases(), ids=str)
def test_one_network_after_the_other(case: Case) -> None:
    calls = [call(case, DOUBLE, "cpu", seed) for seed in range(2)]
    bound = 1e-12  # the native kernels add in another order than the torch engine
    assert error(numbers_of_networks(NATIVE, calls), one_by_one(calls)) < bound


class Called(TorchDispatchMode):
    """Counts calls of operators by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


def layers(**options: Any) -> list[ODERNN]:
    return [ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), "rk4", dt=0.1, **options) for _ in range(3)]


def mapped(rnns: list[ODERNN], x: Tensor) -> Tensor:
    parameters, buffers = stack_module_state(rnns)  # pyright: ignore[reportArgumentType]
    return vmap(lambda p, b: functional_call(rnns[0], (p, b), (x,))[0])(parameters, buffers)


@needs_kernels
@pytest.mark.parametrize(
    ("options", "kernels"),
    [({}, 3), ({"adjoint": "discrete"}, 3), ({"adjoint": "autograd"}, 0), ({"engine": "torch"}, 0)],
)
def test_the_native_kernels_serve_stacked_weights(options: dict[str, Any], kernels: int) -> None:
    rnns, x = layers(**options), torch.randn(6, 3, 2, dtype=DOUBLE)
    with Called() as called:
        found = mapped(rnns, x)
    assert called.counts["odernn_native.solve.default"] == kernels
    torch.testing.assert_close(found, torch.stack([rnn(x)[0] for rnn in rnns]), rtol=0, atol=1e-14)


@needs_kernels
def test_what_is_not_weights_or_not_vmap_goes_by_autograd() -> None:
    (rnn, *_), x = layers(), torch.randn(5, 6, 3, 2, dtype=DOUBLE)
    with Called() as called:
        vmap(lambda x: rnn(x)[0])(x)
        parameters = dict(rnn.named_parameters())
        grad(lambda p: functional_call(rnn, p, (x[0],))[0].sum())(parameters)
    assert called.counts["odernn_native.solve.default"] == 0


def test_sequences_of_several_lengths_are_refused() -> None:
    made = call(cases()[0], DOUBLE, "cpu")
    given = list(made.arguments())
    given[11] = torch.tensor([1])
    weights = torch.stack([made.weight, made.weight])
    where = (None, 0, *[None] * 12)
    with pytest.raises(NotImplementedError, match="maps no sequences of several lengths"):
        vmap(torch.ops.odernn_torch.solve, where)(given[0], weights, *given[2:], True)
