"""Law: the native engine gives autograd's numbers and gradients, over every field, method and hold it takes."""

import pytest
import torch
from torch import Tensor

from odernn import ENGINES, FIELDS, ODERNN, EngineWarning, RecurrentState, native
from odernn.fields import HamiltonianField, TanhField
from solvers import (
    SOLVERS,
    Checkpointed,
    DiscreteAdjoint,
    ExplicitRungeKutta,
    LeapfrogMidpoint,
    SplittingMethod,
    make_solver,
)

DOUBLE = torch.float64
# Sums of some hundred products of numbers of size up to ten, in another order; of float32, whose tanh is within 3 ulp.
ROUNDING = {DOUBLE: {"rtol": 1e-10, "atol": 1e-10}, torch.float32: {"rtol": 1e-3, "atol": 2e-3}}
CASES = [
    (field, solver)
    for field in FIELDS
    for solver in SOLVERS
    if issubclass(FIELDS[field], TanhField | HamiltonianField)
    and (
        issubclass(SOLVERS[solver], ExplicitRungeKutta | LeapfrogMidpoint)
        or (issubclass(SOLVERS[solver], SplittingMethod) and field == "hamiltonian")
    )
]

needs_compiler = pytest.mark.skipif(
    not native.is_available(), reason="no C++ compiler or ninja here: the native kernels cannot be built"
)


def gradients(rnn: ODERNN, *, save: str, steps: str, chunks: bool, dtype: torch.dtype) -> list[Tensor]:
    """The end, and the gradients by everything, of losses along the trajectory and at the end."""
    torch.manual_seed(1)
    x = torch.randn(3, 7, 2, dtype=dtype, requires_grad=True)
    y0 = torch.randn(1, 3, 4, dtype=dtype, requires_grad=True)
    dt = 0.2 + 0.1 * torch.rand(3, 7, dtype=dtype)
    dt = {"number": dt[0, 0], "time": dt[0], "each": dt}[steps].clone().requires_grad_()
    if chunks:
        early, late = (dt, dt) if dt.ndim == 0 else (dt[..., :3], dt[..., 3:])
        _, state = rnn(x[:, :3], RecurrentState(y0[0]), dt=early)
        output, state = rnn(x[:, 3:], state, dt=late, save=save)
        y_n = state.y
    else:
        output, y_n = rnn(x, y0, dt=dt, save=save)
    loss = y_n.square().sum() + (0 if output is None else (output * torch.randn_like(output)).sum())
    return [y_n, *torch.autograd.grad(loss, [x, y0, dt, *rnn.parameters()])]


def layers(field: str, solver: str, hold: str, dtype: torch.dtype) -> tuple[ODERNN, ODERNN]:
    torch.manual_seed(0)
    rhs, method = FIELDS[field](2, 4, dtype=dtype), make_solver(solver)
    reference = ODERNN(rhs, method, dt=0.3, substeps=2, hold=hold, batch_first=True)
    fast = ODERNN(
        rhs, method, dt=0.3, substeps=2, hold=hold, batch_first=True, adjoint=DiscreteAdjoint(), engine="native"
    )
    return reference, fast


def agree(one: list[Tensor], other: list[Tensor]) -> None:
    for got, wanted in zip(one, other, strict=True):
        torch.testing.assert_close(got, wanted, **ROUNDING[wanted.dtype])


@needs_compiler
@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize(("field", "solver"), CASES)
def test_agrees_with_autograd(field: str, solver: str, hold: str, dtype: torch.dtype) -> None:
    facts = {"save": "trajectory", "steps": "each", "chunks": False, "dtype": dtype}
    reference, fast = layers(field, solver, hold, dtype)
    agree(gradients(fast, **facts), gradients(reference, **facts))


@needs_compiler
@pytest.mark.parametrize("save", ["trajectory", "end"])
@pytest.mark.parametrize("steps", ["number", "time", "each"])
@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("solver", ["rk4", "leapfrog", "leapfrog-midpoint"])
def test_every_way_of_calling(solver: str, save: str, steps: str, chunks: bool) -> None:
    facts = {"save": save, "steps": steps, "chunks": chunks, "dtype": DOUBLE}
    reference, fast = layers("hamiltonian", solver, "linear", DOUBLE)
    agree(gradients(fast, **facts), gradients(reference, **facts))


@needs_compiler
def test_checkpoints_around_the_kernels() -> None:
    facts = {"save": "end", "steps": "each", "chunks": False, "dtype": DOUBLE}
    reference, fast = layers("gated-antisymmetric", "rk4", "linear", DOUBLE)
    fast.adjoint = Checkpointed(every=3, within=DiscreteAdjoint())
    agree(gradients(fast, **facts), gradients(reference, **facts))


@needs_compiler
def test_streaming_and_inference() -> None:
    reference, fast = layers("antisymmetric", "leapfrog-midpoint", "linear", DOUBLE)
    x = torch.randn(3, 6, 2, dtype=DOUBLE)
    with torch.no_grad():
        whole, _ = fast(x)
        state, stream = None, []
        for n in range(6):
            y, state = fast.step(x[:, n], state)
            stream.append(y)
    torch.testing.assert_close(whole, reference(x)[0], **ROUNDING[DOUBLE])
    torch.testing.assert_close(torch.stack(stream, 1), whole, **ROUNDING[DOUBLE])


def test_what_the_kernels_do_not_take_gets_a_warning_and_the_torch_engine() -> None:
    rnn = ODERNN(FIELDS["lipschitz"](2, 4), make_solver("rk4"), dt=0.1, adjoint="auto", engine="native")
    x = torch.randn(5, 3, 2)
    with pytest.warns(EngineWarning, match="no kernel for LipschitzField"):
        output, _ = rnn(x)
    torch.testing.assert_close(output, ODERNN(rnn.field, rnn.solver, dt=0.1)(x)[0])


def test_a_machine_without_a_compiler_gets_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable() -> None:
        raise native.NativeUnavailable("no C++ compiler was found")

    monkeypatch.setattr(native, "load", unavailable)
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("rk4"), dt=0.1, adjoint="auto", engine="native")
    with pytest.warns(EngineWarning, match="no C\\+\\+ compiler was found"):
        rnn(torch.randn(5, 3, 2))


@pytest.mark.parametrize("adjoint", ["autograd", "reversible", "checkpointed"])
def test_an_adjoint_that_it_does_not_execute_is_refused(adjoint: str) -> None:
    with pytest.raises(ValueError, match="`engine` is 'native' and `adjoint`"):
        ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("euler"), dt=0.1, adjoint=adjoint, engine="native")


def test_an_unknown_engine_lists_those_there_are() -> None:
    assert ENGINES == ("torch", "native")
    with pytest.raises(ValueError, match="'torch', 'native'"):
        ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("euler"), dt=0.1, engine="cuda")
