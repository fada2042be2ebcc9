"""Kernels of a field of one's own, compiled from its `pointwise`: autograd's numbers, or a reason."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AffinePointwiseField, LEMField
from odernn.engines import native
from odernn.engines.method import EULER
from odernn.engines.program import Call
from odernn.engines.traced.expressions import OPERATORS
from odernn.engines.traced.kernels import Pending, kernels_of, traced_of
from odernn.engines.traced.pending import Build
from odernn.engines.traced.tracing import trace
from odernn.engines.warning import EngineWarning
from odernn.fields.field import KERNELS
from tests.odernn.engines.native.builds import built
from tests.odernn.engines.native.fields import INPUT, Every, N

TIME, BATCH = 7, 3
BOUNDS = {torch.float64: 1e-10, torch.float32: 2e-4}  # rounding, in sums over 21 rows of fourteen steps


def layer(field: AffinePointwiseField, solver: str, hold: str = "zero-order", **facts: Any) -> ODERNN:
    return ODERNN(field, solver, dt=0.05, substeps=2, hold=hold, **facts)


pytestmark = [pytest.mark.kernels, pytest.mark.usefixtures("unoptimised"), pytest.mark.ahead.with_args(built)]


@pytest.fixture
def compiled(unoptimised: None) -> Every:
    """One build for all tests."""
    field = Every()
    layer(field, "euler").compile_kernels()
    return field


def gradients(rnn: ODERNN, x: Tensor, y0: Tensor, dt: Tensor) -> list[Tensor]:
    leaves = [each.detach().clone().requires_grad_() for each in (x, y0, dt)]
    output, y_n = rnn(leaves[0], leaves[1], dt=leaves[2])
    loss = output.sin().sum() + y_n.square().sum()
    found = torch.autograd.grad(loss, [*leaves, *rnn.parameters()])
    return [output.detach(), y_n.detach(), *found]


@pytest.mark.parametrize(
    ("solver", "hold", "dtype", "steps"),
    [
        ("euler", "zero-order", torch.float64, "time"),
        ("euler", "linear", torch.float32, "both"),
        ("rk4", "linear", torch.float64, "both"),
        ("heun3", "zero-order", torch.float32, "time"),
        ("ralston", "linear", torch.float64, "time"),
        ("symplectic-euler", "linear", torch.float64, "both"),
        ("symplectic-euler", "zero-order", torch.float32, "time"),
        ("leapfrog-midpoint", "linear", torch.float64, "both"),
        ("adams-bashforth3", "linear", torch.float64, "both"),
        ("reversible-heun", "zero-order", torch.float32, "time"),
        ("asynchronous-leapfrog", "linear", torch.float64, "time"),
    ],
)
def test_they_are_autograd(compiled: Every, solver: str, hold: str, dtype: torch.dtype, steps: str) -> None:
    field = Every().to(dtype)
    layer(field, solver).compile_kernels()  # the library is there already
    x, y0 = torch.randn(TIME, BATCH, INPUT, dtype=dtype), torch.randn(1, BATCH, N, dtype=dtype)
    dt = 0.02 + 0.05 * torch.rand(*((TIME,) if steps == "time" else (BATCH, TIME)), dtype=dtype)
    ours = layer(field, solver, hold)
    assert ours.choice(x).reason == "the kernels that were compiled for the field take method and state"
    reference = layer(Every(), solver, hold, adjoint="autograd", engine="torch")
    wanted = gradients(reference, x.double(), y0.double(), dt.double())
    for one, other in zip(gradients(ours, x, y0, dt), wanted, strict=True):
        error = (one.double() - other).abs().max() / (1 + other.abs().max())
        assert error < BOUNDS[dtype]


def test_a_second_derivative_is_autograds(compiled: Every) -> None:
    field = Every().double()
    layer(field, "rk4").compile_kernels()
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, requires_grad=True)

    def penalty(rnn: ODERNN) -> tuple[Tensor, ...]:
        (slope,) = torch.autograd.grad(rnn(x, lengths=[TIME, *[2] * (BATCH - 1)])[0].sin().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), [x, *field.parameters()])

    ours, reference = (layer(field, "rk4", "linear", **facts) for facts in ({}, {"adjoint": "autograd"}))
    torch.testing.assert_close(penalty(ours), penalty(reference), rtol=1e-9, atol=1e-10)


@pytest.mark.full  # another build
def test_lem_with_its_own_scheme() -> None:
    field, x = LEMField(INPUT, N, dtype=torch.float64), torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    y0, dt = torch.randn(1, BATCH, N, dtype=torch.float64), torch.full((TIME,), 0.3, dtype=torch.float64)
    rnn = layer(field, "symplectic-euler")
    wanted = gradients(layer(field, "symplectic-euler", adjoint="autograd"), x, y0, dt)
    rnn.compile_kernels()
    assert rnn.choice(x).engine == "native"
    for one, other in zip(gradients(rnn, x, y0, dt), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)  # rounding, as above
    lengths = {"lengths": [2, TIME, 1][:BATCH]}
    found, wanted = (one(x, y0, **lengths) for one in (rnn, layer(field, "symplectic-euler", adjoint="autograd")))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


class Uneven(Every):
    """Its kick is not what its `pointwise` says."""

    def kick(self, t: Any, q: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return 2 * super().kick(t, q, p, u)


def test_halves_that_are_not_the_slope_are_asked(compiled: Every) -> None:
    rnn, x = layer(Uneven(), "symplectic-euler"), torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    rnn.compile_kernels()
    assert "its `drift` and `kick` are not its `pointwise`" in rnn.choice(x).reason
    assert rnn.with_solver("euler").choice(x).engine == "native"


def test_a_state_goes_on_under_a_linear_hold(compiled: Every) -> None:
    rnn, x = layer(compiled, "midpoint", "linear"), torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    whole, _ = rnn(x)
    first, state = rnn(x[:3], rnn.initial_state(BATCH))
    rest, _ = rnn(x[3:], state)
    torch.testing.assert_close(torch.cat((first, rest)), whole, rtol=0, atol=1e-13)  # the same sums in another order


def test_the_operators_keep_torchs_rules(compiled: Every) -> None:
    kernels = kernels_of(compiled)
    assert kernels is not None
    numbers = kernels.numbers_of(compiled)
    assert numbers is not None
    controls = 2 * N + numbers.numel()
    y0, weight, samples = (
        torch.randn(*size, dtype=torch.float64, requires_grad=True) for size in ((2, N), (2 * N, N), (3, 2, controls))
    )
    call = Call(y0=y0, weight=weight, samples=samples, method=EULER, dt=0.1, kind="traced")
    torch.library.opcheck(getattr(torch.ops, kernels.namespace).solve.default, (*call.arguments(), True))


def test_every_operator_of_the_table_is_tried() -> None:
    traced = trace(Every(), 2, 2, torch.zeros(1, dtype=torch.float64))
    made = traced.slope.of
    gradients = made.gradients(traced.slope, made.leaf("kappa"), [traced.y, *traced.p, *traced.u])
    needed = made.needed([traced.slope, *gradients])
    assert {made.node(index).operator for index in needed} == {*OPERATORS, "leaf", "number"}


@pytest.mark.parametrize("change", ["attribute", "code", "hook", "copy"])
def test_a_field_that_has_changed_is_without(compiled: Every, change: str) -> None:
    field, x = Every(), torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    layer(field, "euler").compile_kernels()
    assert kernels_of(field) is not None
    if change == "attribute":
        field.constant = 0.5
    elif change == "code":
        field.pointwise = lambda y, p, u: y * 0.5  # pyright: ignore[reportAttributeAccessIssue]
    elif change == "hook":
        field.input_map.register_forward_hook(lambda *_: None)
    else:
        field = copy.deepcopy(field)
    assert kernels_of(field) is None
    wanted = layer(field, "euler", adjoint="autograd", engine="torch")(x)[0]
    torch.testing.assert_close(layer(field, "euler")(x)[0], wanted, rtol=0, atol=1e-12)  # a few operations' rounding


class Own(Every):
    """The same with another elementwise part."""

    def __init__(self, part: Callable[["Own", Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.part = part

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return self.part(self, y, p, u)


ELSEWHERE = torch.ones(N, dtype=torch.float64)
REFUSED: dict[str, tuple[Callable[..., Tensor], str]] = {
    "detached": (lambda f, y, p, u: y.detach() * u[..., :N], "there is no kernel for detach"),
    "unknown": (lambda f, y, p, u: torch.i0(y), "there is no kernel for i0, which its `pointwise` calls"),
    "data": (lambda f, y, p, u: y if y.sum() > 0 else -y, "depends on the values of a tensor"),
    "dtype": (lambda f, y, p, u: y.float().double(), "there is no kernel for _to_copy"),
    "mixing": (lambda f, y, p, u: y.flip(-1), "there is no kernel for flip"),
    "sum": (lambda f, y, p, u: y * y.sum(-1, keepdim=True), "there is no kernel for sum"),
    "halves": (lambda f, y, p, u: torch.cat((y[..., :2], y[..., 2:].sin()), -1), "cuts the units apart"),
    "elsewhere": (lambda f, y, p, u: y * ELSEWHERE, "neither a parameter nor a buffer"),
    "power": (lambda f, y, p, u: y**0.3, "there is no kernel for pow"),
    "infinite": (lambda f, y, p, u: y * float("inf"), "the constant inf"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_reason_where_there_is_none(name: str) -> None:
    part, reason = REFUSED[name]
    with pytest.raises(ValueError, match=reason):
        trace(Own(part), 2, 2, torch.zeros(1, dtype=torch.float64))


def test_the_layer_says_why_and_runs(compiled: Every) -> None:
    rnn, x = (
        layer(Own(lambda f, y, p, u: torch.i0(y)), "euler"),
        torch.randn(TIME, BATCH, INPUT, dtype=torch.float64),
    )
    with pytest.raises(ValueError, match="Own has no kernels: there is no kernel for i0"):
        rnn.compile_kernels()
    assert "`compile_kernels` has built none for this Own" in rnn.choice(x).reason
    rnn(x)


def test_a_gradient_that_the_operators_do_not_have(compiled: Every) -> None:
    """The trace is that of `Every`, and the gradient is not."""

    def pointwise(f: Own, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        with torch.no_grad():
            return Every.pointwise(f, y, p, u)

    rnn = layer(Own(pointwise), "euler")
    with pytest.raises(ValueError, match="Own has no kernels: its `pointwise` has other values or gradients than"):
        rnn.compile_kernels()


def test_units_that_see_each_other_are_refused() -> None:
    rnn = layer(Own(lambda f, y, p, u: y.flip(-1)), "euler")
    with pytest.raises(ValueError, match="Own has no kernels: in its `pointwise` units see each other"):
        rnn.compile_kernels()


def test_a_thread_builds_while_the_layer_goes_on(compiled: Every) -> None:
    """The library is there already, so that it takes as long as loading it."""
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    rnn = layer(Every(), "euler")
    before, _ = rnn(x)
    rnn.compile_kernels(wait=False)
    while rnn.choice(x).reason != "the kernels that were compiled for the field take method and state":
        between, _ = rnn(x)
        torch.testing.assert_close(between, before)
    after, _ = rnn(x)
    torch.testing.assert_close(after, before)


def test_a_field_that_changed_meanwhile_does_not_take_them(compiled: Every) -> None:
    rnn = layer(Every(), "euler")
    rnn.compile_kernels(wait=False)
    rnn.field.pointwise = lambda y, p, u: p
    finished(vars(rnn.field)[KERNELS].build)
    assert kernels_of(rnn.field) is None


def test_a_build_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    build = finished(Build("// a field of which there is no library yet"))
    with pytest.raises(native.NativeUnavailable, match=r"no C\+\+ compiler was found"):
        build.namespace()
    field = Every()
    vars(field)[KERNELS] = Pending(traced_of(field), build)
    with pytest.warns(EngineWarning, match="Every goes on in torch: the native kernels are unavailable"):
        assert kernels_of(field) is None
    assert kernels_of(field) is None  # and it says so once


def test_a_build_that_ends_as_nobody_foresaw_ends() -> None:
    build = finished(Build("\ud800"))  # half a letter, which no file can hold
    with pytest.raises(native.NativeUnavailable, match="the build ended with UnicodeEncodeError"):
        build.namespace()


def test_what_holds_no_kernels_is_refused(tmp_path: Path) -> None:
    load = torch.ops.odernn_native.load_field
    with pytest.raises(RuntimeError, match=r"the kernels in .* cannot be loaded: .*no-library"):
        load("odernn_field_of_nobody", str(tmp_path / "no-library.so"))
    with pytest.raises(RuntimeError, match="holds no kernels of a field"):
        load("odernn_field_of_nobody", torch._C.__file__)


def finished(build: Build) -> Build:
    while not build.is_done:
        time.sleep(0.01)
    return build
