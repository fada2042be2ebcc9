"""Law: every engine gives autograd's numbers and gradients, over every field, method and hold it takes."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, HOLDS, ODERNN, DiscreteAdjoint, EngineWarning, RecurrentState
from odernn.engines import native
from solvers import (
    SOLVERS,
    Adjoint,
    ButcherTableau,
    Checkpointed,
    ExplicitRungeKutta,
    make_solver,
)
from solvers.extend import Save
from tests.fields import Damped, unregistered
from tests.pairs import crossed
from tests.problems import REPRESENTATIVES

DOUBLE = torch.float64
# Sums of some hundred products of numbers of size up to ten, in another order; of float32, whose tanh is within 3 ulp.
ROUNDING: dict[torch.dtype, dict[str, Any]] = {
    DOUBLE: {"rtol": 1e-10, "atol": 1e-10},
    torch.float32: {"rtol": 1e-3, "atol": 2e-3},
}
EACH = ["torch", pytest.param("native", marks=pytest.mark.kernels)]
ADJOINTS = {"discrete": DiscreteAdjoint(), "every-3": Checkpointed(every=3, within=DiscreteAdjoint())}
ON_ENGINES: list[Any] = [(field, "torch") for field in FIELDS]
ON_ENGINES += [pytest.param(field, "native", marks=pytest.mark.kernels) for field in FIELDS]
each_engine = pytest.mark.parametrize("engine", EACH)


def has_parallel_form(field: str, solver: str) -> bool:
    return SOLVERS[solver].schemes is not None and (SOLVERS[solver].needs is None or field == "hamiltonian")


def gradients(rnn: ODERNN, *, save: Save, steps: str, chunks: bool, dtype: torch.dtype, batch: int = 3) -> list[Tensor]:
    """The end, and the gradients by everything, of losses along the trajectory and at the end."""
    torch.manual_seed(1)
    x, y0, weights = (
        torch.randn(*shape, dtype=DOUBLE).to(dtype) for shape in ((batch, 7, 2), (1, batch, 4), (batch, 7, 4))
    )
    dt = (0.2 + 0.1 * torch.rand(batch, 7, dtype=DOUBLE)).to(dtype)
    dt = {"number": dt[0, 0], "time": dt[0], "each": dt}[steps].clone()
    x, y0, dt = (each.requires_grad_() for each in (x, y0, dt))
    if chunks:
        early, late = (dt, dt) if dt.ndim == 0 else (dt[..., :3], dt[..., 3:])
        _, state = rnn(x[:, :3], RecurrentState(y0[0]), dt=early)
        output, state = rnn(x[:, 3:], state, dt=late, save=save)
        y_n = state.y
    else:
        output, y_n = rnn(x, y0, dt=dt, save=save)
    loss = y_n.square().sum() + (0 if output is None else (output * weights[:, -output.shape[1] :]).sum())
    return [y_n, *torch.autograd.grad(3 / batch * loss, [x, y0, dt, *rnn.parameters()])]


def layer(
    field: str,
    solver: str,
    hold: str,
    dtype: torch.dtype,
    adjoint: Adjoint | str,
    engine: str = "torch",
    *,
    own: bool = False,
) -> ODERNN:
    """The same network each time; `own` makes the field one of the user's, which no operator knows."""
    torch.manual_seed(0)
    rhs = FIELDS[field](2, 4, dtype=DOUBLE).to(dtype)  # pyright: ignore[reportCallIssue]
    facts: dict[str, Any] = {"dt": 0.3, "substeps": 2, "hold": hold, "batch_first": True}
    made = unregistered(rhs) if own else rhs
    return ODERNN(made, make_solver(solver), adjoint=adjoint, engine=engine, **facts)


@cache
def reference(field: str, solver: str, hold: str, save: Save, steps: str, chunks: bool, batch: int = 3) -> list[Tensor]:
    """What autograd gives in float64."""
    rnn = layer(field, solver, hold, DOUBLE, "autograd")
    return gradients(rnn, save=save, steps=steps, chunks=chunks, dtype=DOUBLE, batch=batch)


def agree(one: list[Tensor], other: list[Tensor]) -> None:
    for got, wanted in zip(one, other, strict=True):
        torch.testing.assert_close(got.double(), wanted.double(), **ROUNDING[got.dtype])


ONE_RECURSION = ("rk4", "leapfrog", "leapfrog-midpoint")
WHOLE: dict[str, Any] = {"save": "trajectory", "steps": "each", "chunks": False}


# What an engine asks of a field it asks whatever the method: each field is on each engine once.
@crossed(
    {
        "solver": REPRESENTATIVES,
        "hold": list(HOLDS),
        "dtype": [DOUBLE, torch.float32],
        "adjoint": list(ADJOINTS),
        "field, engine": ON_ENGINES,
    },
    where=lambda solver, hold, dtype, adjoint, on: has_parallel_form(on[0], solver),
    once={"field, engine": ON_ENGINES},
    full={"solver": list(SOLVERS)},
)
def test_agrees_with_autograd(
    field: str, solver: str, hold: str, dtype: torch.dtype, adjoint: str, engine: str
) -> None:
    fast = layer(field, solver, hold, dtype, ADJOINTS[adjoint], engine)
    agree(gradients(fast, dtype=dtype, **WHOLE), reference(field, solver, hold, **WHOLE))


@pytest.mark.kernels
@crossed(
    {"field": list(FIELDS), "solver": REPRESENTATIVES, "hold": list(HOLDS), "dtype": [DOUBLE, torch.float32]},
    where=lambda field, solver, hold, dtype: has_parallel_form(field, solver),
    once={"field": list(FIELDS)},
    full={"solver": list(SOLVERS)},
)
def test_the_recursion_of_any_field(field: str, solver: str, hold: str, dtype: torch.dtype) -> None:
    """Of a field that no operator knows the kernels do the backward recursion of the methods that it knows."""
    known = (schemes := SOLVERS[solver].schemes) is None or schemes.vectors == 1 or solver == "leapfrog-midpoint"
    expected = nullcontext() if known else pytest.warns(EngineWarning, match="recursion does not know the method")
    fast = layer(field, solver, hold, dtype, "auto", "native", own=True)
    choice = fast.choice(torch.randn(3, 7, 2, dtype=dtype))
    assert choice.engine == ("native" if known else "torch")
    assert isinstance(choice.adjoint, DiscreteAdjoint)
    with expected:
        found = gradients(fast, dtype=dtype, **WHOLE)
    agree(found, reference(field, solver, hold, **WHOLE))


# So many rows of four units that the evaluations in two intervals fill a chunk of the torch engine.
SEVERAL = [
    ("antisymmetric", "euler", 1 << 15),
    ("gated-antisymmetric", "rk38", 1 << 13),
    ("hamiltonian", "leapfrog", 1 << 13),
    ("lipschitz", "leapfrog-midpoint", 1 << 15),
    ("linear-antisymmetric", "heun3", 1 << 13),
]


@crossed({"field, solver, batch": SEVERAL, "hold": sorted(HOLDS)}, strength=1)
def test_several_chunks_of_the_torch_engine(field: str, solver: str, batch: int, hold: str) -> None:
    fast = layer(field, solver, hold, DOUBLE, "auto")
    agree(gradients(fast, dtype=DOUBLE, batch=batch, **WHOLE), reference(field, solver, hold, **WHOLE, batch=batch))


@final
@dataclass(frozen=True)
class Odd(ExplicitRungeKutta):
    """A first weight of 1 and later ones that cancel: the first stage's cotangent is then lambda itself."""

    tableau = ButcherTableau(order=1, a=((), (0.0,), (0.0, 0.5)), b=(1.0, 0.75, -0.75), c=(0.0, 0.0, 0.5))


@each_engine
@pytest.mark.parametrize("own", [False, True])
def test_a_tableau_of_the_user(engine: str, own: bool) -> None:
    torch.manual_seed(0)
    field = FIELDS["gated-antisymmetric"](2, 4, dtype=DOUBLE)  # pyright: ignore[reportCallIssue]
    facts: dict[str, Any] = {"dt": 0.3, "substeps": 2, "hold": "linear", "batch_first": True}
    fast = ODERNN(unregistered(field) if own else field, Odd(), adjoint="discrete", engine=engine, **facts)
    exact = ODERNN(field, Odd(), adjoint="autograd", **facts)
    agree(gradients(fast, dtype=DOUBLE, **WHOLE), gradients(exact, dtype=DOUBLE, **WHOLE))


@each_engine
@pytest.mark.parametrize("solver", ["euler", "rk4", "leapfrog-midpoint"])
def test_a_field_of_the_user(solver: str, engine: str) -> None:
    torch.manual_seed(0)
    field = Damped().double()
    facts: dict[str, Any] = {"dt": 0.3, "substeps": 2, "hold": "linear", "batch_first": True}
    calls: dict[str, Any] = {"save": "trajectory", "steps": "each", "chunks": True, "dtype": DOUBLE}
    fast = ODERNN(field, make_solver(solver), adjoint="discrete", engine=engine, **facts)
    agree(gradients(fast, **calls), gradients(ODERNN(field, make_solver(solver), adjoint="autograd", **facts), **calls))


@crossed(
    {
        "solver": [
            *("rk4", "leapfrog", "leapfrog-midpoint"),
            *("adams-bashforth2", "adams-bashforth3", "reversible-heun", "asynchronous-leapfrog"),
        ],
        "steps": ["number", "time", "each"],
        "save": ["trajectory", "end"],
        "chunks": [False, True],
        "own": [False, True],
        "engine": EACH,
    },
    # of the others' own fields the kernels know no recursion, and say so: test_the_recursion_of_any_field
    where=lambda solver, steps, save, chunks, own, engine: not own or engine == "torch" or solver in ONE_RECURSION,
)
def test_every_way_of_calling(solver: str, steps: str, save: Save, chunks: bool, own: bool, engine: str) -> None:
    facts: dict[str, Any] = {"save": save, "steps": steps, "chunks": chunks}
    fast = layer("hamiltonian", solver, "linear", DOUBLE, "auto", engine, own=own)
    agree(gradients(fast, dtype=DOUBLE, **facts), reference("hamiltonian", solver, "linear", **facts))


@each_engine
@pytest.mark.parametrize("solver", ["rk4", "leapfrog-midpoint"])
def test_checkpoints_around_the_operators(solver: str, engine: str) -> None:
    facts: dict[str, Any] = {"save": "end", "steps": "each", "chunks": False}
    checkpointed = Checkpointed(every=3, within=DiscreteAdjoint())
    fast = layer("gated-antisymmetric", solver, "linear", DOUBLE, checkpointed, engine)
    agree(gradients(fast, dtype=DOUBLE, **facts), reference("gated-antisymmetric", solver, "linear", **facts))


@each_engine
@pytest.mark.parametrize("solver", ["rk4", "leapfrog-midpoint"])
def test_streaming_and_inference(solver: str, engine: str) -> None:
    slow = layer("antisymmetric", solver, "linear", DOUBLE, "autograd")
    fast = layer("antisymmetric", solver, "linear", DOUBLE, "auto", engine)
    x = torch.randn(3, 6, 2, dtype=DOUBLE)
    with torch.no_grad():
        whole, _ = fast(x)
        end, y_n = fast(x, save="end")
        state, stream = None, []
        for n in range(6):
            y, state = fast.step(x[:, n], state)
            stream.append(y)
    assert end is None
    torch.testing.assert_close(whole, slow(x)[0], **ROUNDING[DOUBLE])
    torch.testing.assert_close(torch.stack(stream, 1), whole, **ROUNDING[DOUBLE])
    torch.testing.assert_close(y_n[0], whole[:, -1], **ROUNDING[DOUBLE])


@each_engine
@pytest.mark.parametrize("solver", ["heun", "leapfrog", "leapfrog-midpoint"])
def test_gradcheck(solver: str, engine: str) -> None:
    rnn = layer("hamiltonian", solver, "linear", DOUBLE, "discrete", engine)
    names, values = zip(*rnn.named_parameters(), strict=True)

    def outputs(x: Tensor, y0: Tensor, dt: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.functional_call(rnn, dict(zip(names, parameters, strict=True)), (x, y0), {"dt": dt})

    x, y0 = torch.randn(2, 3, 2, dtype=DOUBLE), torch.randn(1, 2, 4, dtype=DOUBLE)
    dt = 0.2 + 0.1 * torch.rand(2, 3, dtype=DOUBLE)
    inputs = tuple(each.requires_grad_() for each in (x, y0, dt))
    assert torch.autograd.gradcheck(outputs, (*inputs, *values), fast_mode=True)


def test_what_the_kernels_do_not_take_gets_a_warning_and_the_torch_engine() -> None:
    rnn = ODERNN(FIELDS["lipschitz"](2, 4), make_solver("etdrk2"), dt=0.1, engine="native")
    x = torch.randn(5, 3, 2)
    with pytest.warns(EngineWarning, match="no operator for ETDRK2"):
        output, _ = rnn(x)
    torch.testing.assert_close(output, ODERNN(rnn.field, rnn.solver, dt=0.1, adjoint="autograd")(x)[0])


def test_a_machine_without_a_compiler_gets_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable() -> None:
        raise native.NativeUnavailable("no C++ compiler was found")

    monkeypatch.setattr(native.build, "load", unavailable)
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("rk4"), dt=0.1, adjoint="auto", engine="native")
    with pytest.warns(EngineWarning, match="no C\\+\\+ compiler was found"):
        rnn(torch.randn(5, 3, 2))


@pytest.mark.parametrize("adjoint", ["autograd", "reversible", "checkpointed"])
def test_an_adjoint_that_it_does_not_execute_is_refused(adjoint: str) -> None:
    with pytest.raises(ValueError, match="`engine` is 'native' and `adjoint`"):
        ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("euler"), dt=0.1, adjoint=adjoint, engine="native")


def test_an_unknown_engine_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="'native', 'torch'"):
        ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("euler"), dt=0.1, engine="cuda")
