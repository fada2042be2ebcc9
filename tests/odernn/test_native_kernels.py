"""The native kernels against a plain loop under autograd: every method, field kind, hold, step, dtype and odd shape."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from odernn.engines import method as methods
from odernn.engines import native
from odernn.engines.method import Method
from odernn.engines.program import Call
from odernn.fields.activation import GATED_TANH, TANH
from odernn.fields.semilinear import LINEAR, LINEAR_PLUS_TANH

TOOLS = (os.environ.get("CXX", "c++"), "ninja")
PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
MISSING = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the native kernels need {' and '.join(MISSING)}")

RK4 = methods.runge_kutta([[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], [0.0, 0.5, 0.5, 1.0])
KUTTA3 = methods.runge_kutta([[], [0.5], [-1.0, 2.0]], [1 / 6, 2 / 3, 1 / 6], [0.0, 0.5, 1.0])
METHODS = {
    "euler": methods.EULER,
    "kutta3": KUTTA3,
    "rk4": RK4,
    "symplectic-euler": methods.SYMPLECTIC_EULER,
    "leapfrog": methods.LEAPFROG,
    "two-step": methods.two_step(),
}
# Float64: the sums have at most a few thousand terms of size one. Float32: the same sums, a unit in the last place
# being 6e-8; the reference is float64, so the bound holds for the kernel alone.
BOUND = {torch.float64: 1e-10, torch.float32: 1e-4}


# ---- the reference -------------------------------------------------------------------------------------------------


def rate(call: Call, y: Tensor, u: Tensor) -> Tensor:
    return RATES[call.kind](y @ call.weight.T, u)


RATES = {activation.name: activation.function for activation in (TANH, GATED_TANH, LINEAR, LINEAR_PLUS_TANH)}


def reference(call: Call) -> tuple[Tensor, Tensor | None]:
    """Every state that is kept and, for the two-step method, the state one solver step before the last."""
    u = call.samples if call.input_weight is None else call.samples @ call.input_weight.T + call.bias
    u = torch.tanh(u) if call.squash == "tanh" else u
    y, previous, dt_previous = call.y0, call.y_previous, call.dt_previous
    earlier = u[0] if call.before is None else call.before
    out = []
    for n, u_n in enumerate(u):
        dt = step_of(call, n)
        for q in range(call.substeps):
            control = control_of(call, earlier, u_n, q)
            if call.method.family == "two-step":
                y, previous, dt_previous = two_step(call, control, dt, y, previous, dt_previous)
                out.append(y)
            else:
                y = ONE_STEP[call.method.family](call, control, dt, y)
        if call.method.family != "two-step":
            out.append(y)
        earlier = u_n
    return torch.stack(out), previous


def step_of(call: Call, n: int) -> Tensor | float:
    dt = call.dt
    if isinstance(dt, Tensor) and dt.ndim:
        dt = dt[n] if dt.ndim == 1 else dt[:, n, None]
    return dt / call.substeps


def control_of(call: Call, earlier: Tensor, u: Tensor, q: int) -> Callable[[float], Tensor]:
    if call.hold == "zero-order":
        return lambda theta: u
    return lambda theta: earlier + (q + theta) / call.substeps * (u - earlier)


def tableau_step(call: Call, control: Callable[[float], Tensor], dt: Tensor | float, y: Tensor) -> Tensor:
    s, k = len(call.method.b), []
    for i in range(s):
        stage = y + dt * sum(call.method.a[i * s + j] * k[j] for j in range(i))
        k.append(rate(call, stage, control(call.method.c[i])))
    return y + dt * sum(b * rate for b, rate in zip(call.method.b, k, strict=True))


def shear_step(call: Call, control: Callable[[float], Tensor], dt: Tensor | float, y: Tensor) -> Tensor:
    q, p = y.chunk(2, -1)
    half = q.shape[-1]
    for part, coefficient, theta in zip(call.method.parts, call.method.b, call.method.c, strict=True):
        u_q, u_p = control(theta).chunk(2, -1)
        if part:
            p = p + coefficient * dt * torch.tanh(q @ call.weight[half:, :half].T + u_p)
        else:
            q = q + coefficient * dt * torch.tanh(p @ call.weight[:half, half:].T + u_q)
    return torch.cat((q, p), -1)


ONE_STEP = {"runge-kutta": tableau_step, "shears": shear_step}


def two_step(call, control, dt, y, previous, dt_previous):
    if previous is None:
        middle = y + dt / 2 * rate(call, y, control(0.0))
        return y + dt * rate(call, middle, control(0.5)), y, dt
    if isinstance(dt_previous, Tensor) and dt_previous.ndim == 1:
        dt_previous = dt_previous[:, None]
    r = dt / dt_previous
    return r**2 * previous + (1 - r**2) * y + dt * (1 + r) * rate(call, y, control(0.0)), y, dt


# ---- calls ---------------------------------------------------------------------------------------------------------


def make_call(
    method: Method,
    *,
    kind: str = "tanh",
    squash: str = "identity",
    batch: int = 3,
    units: int = 6,
    times: int = 7,
    inputs: int = 2,
    dt: str = "number",
    hold: str = "zero-order",
    substeps: int = 1,
    before: bool = False,
    memory: bool = False,
    control_given: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Call:
    random = torch.Generator().manual_seed(batch * 1000 + units * 10 + times)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return (scale * torch.randn(*shape, generator=random, dtype=torch.float64)).to(dtype)

    controls = 2 * units if kind == "gated-tanh" else units
    number: float | Tensor = 0.2
    if dt != "number":
        shape = {"scalar": (), "time": (times,), "batch": (batch, times)}[dt]
        number = (0.1 + 0.2 * torch.rand(shape, generator=random, dtype=torch.float64)).to(dtype)
    return Call(
        y0=normal(batch, units),
        weight=normal(2 * units if kind == "linear-plus-tanh" else units, units, scale=units**-0.5),
        samples=normal(times, batch, controls if control_given else inputs),
        method=method,
        dt=number,
        input_weight=None if control_given else normal(controls, inputs),
        bias=None if control_given else normal(controls),
        kind=kind,
        squash=squash,
        hold=hold,
        before=normal(batch, controls) if before else None,
        substeps=substeps,
        y_previous=normal(batch, units) if memory else None,
        dt_previous=torch.full((batch,), 0.15, dtype=dtype) if memory else None,
    )


def compare(call: Call, bound: float) -> None:
    """Forward and every gradient, for a loss on every kept state and for one on the last."""
    fields = ("y0", "weight", "samples", "input_weight", "bias", "before", "dt", "y_previous", "dt_previous")
    given = {f: t for f in fields if isinstance(t := getattr(call, f), Tensor)}
    leaves = {f: t.detach().double().clone().requires_grad_() for f, t in given.items()}
    expected, previous = reference(dataclasses.replace(call, **leaves))
    solution = native.solve(call, keep=True)
    assert_close(solution.kept, expected, bound)
    every = len(expected) // len(call.samples)
    assert torch.equal(solution.trajectory, solution.kept[every - 1 :: every])
    assert_close(solution.last, expected[-1], bound)
    random = torch.Generator().manual_seed(5)
    weights = torch.randn(expected.shape, generator=random, dtype=torch.float64)
    two = call.method.family == "two-step"
    if two:
        assert_close(solution.last_but_one, previous, bound)
    losses = {"kept_gradient": (expected * weights).sum(), "last": (expected[-1] * weights[-1]).sum()}
    for name, loss in losses.items():
        given = {name: (weights if name == "kept_gradient" else weights[-1]).to(call.y0.dtype)}
        if two:
            loss = loss + (previous * weights[0]).sum()
            given["last_but_one"] = weights[0].to(call.y0.dtype)
        wanted = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True, allow_unused=True)
        got = native.pull_back(call, solution.kept, **given, want_samples=True, want_dt=isinstance(call.dt, Tensor))
        for field, want in zip(leaves, wanted, strict=True):
            have = getattr(got, field)
            assert have is not None, field
            if field == "dt":
                have = have.sum_to_size(call.dt.shape) if call.dt.ndim != 1 else have.sum(0)
            assert_close(have, torch.zeros_like(leaves[field]) if want is None else want, bound, field)


def assert_close(have: Tensor | None, want: Tensor, bound: float, name: str = "state") -> None:
    assert have is not None
    assert have.shape == want.shape, name
    error = float((have.double() - want.detach()).abs().max() / (1 + want.detach().abs().max()))
    assert error < bound, f"{name}: {error:.1e}"


def kinds(method: Method) -> tuple[str, ...]:
    return ("tanh",) if method.family == "shears" else tuple(RATES)


SHAPES = [(1, 16, 40), (3, 34, 1), (16, 20, 5), (29, 64, 9), (1, 2, 64), (3, 130, 70)]  # batch, units, times
CASES = [(name, kind) for name, method in METHODS.items() for kind in kinds(method)]


@pytest.fixture(autouse=True, scope="module")
def built():
    """With a compiler at hand a build that fails is a failure."""
    native.load()


@pytest.fixture(autouse=True)
def one_thread():
    """The shapes are small: more threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---- against autograd ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("substeps", [1, 3])
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_scheme_hold_and_step(name, kind, hold, substeps, dtype):
    for dt in ("number", "scalar", "time", "batch"):
        before = hold == "linear" and dt != "time"
        compare(
            make_call(METHODS[name], kind=kind, dt=dt, hold=hold, substeps=substeps, before=before, dtype=dtype),
            BOUND[dtype],
        )


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_shape(name, kind, shape, dtype):
    """Among them several blocks of time, several blocks of rows, and every width of register tile."""
    batch, units, times = shape
    compare(make_call(METHODS[name], kind=kind, batch=batch, units=units, times=times, dtype=dtype), BOUND[dtype])


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_linear_hold_across_blocks_of_time(name, kind):
    compare(make_call(METHODS[name], kind=kind, units=130, times=70, hold="linear", before=True), 1e-10)


@pytest.mark.parametrize("units", [1, 5, 17, 33])
@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize("name", ["euler", "rk4", "two-step"])
def test_an_odd_number_of_units(name, kind, units):
    compare(make_call(METHODS[name], kind=kind, units=units, inputs=3), 1e-10)


@pytest.mark.parametrize("inputs", [1, 17, 96])
@pytest.mark.parametrize("control_given", [False, True])
def test_every_number_of_inputs(inputs, control_given):
    for name, kind in CASES:
        compare(make_call(METHODS[name], kind=kind, inputs=inputs, control_given=control_given), 1e-10)


@pytest.mark.parametrize(("hold", "before"), [("zero-order", False), ("linear", False), ("linear", True)])
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_squashed_control(name, kind, hold, before):
    """In one block of time with the last rows of padding, and in several."""
    for units, times in ((5 if METHODS[name].family != "shears" else 10, 7), (130, 70)):
        shape = {"units": units, "times": times, "hold": hold, "before": before}
        compare(make_call(METHODS[name], kind=kind, squash="tanh", dt="batch", **shape), 1e-10)


@pytest.mark.parametrize(("hold", "before"), [("zero-order", False), ("linear", False), ("linear", True)])
@pytest.mark.parametrize("substeps", [1, 2])
@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("kind", RATES)
def test_the_two_step_method_with_and_without_its_memory(kind, memory, substeps, hold, before):
    for times in (1, 2, 9):
        shape = {"kind": kind, "substeps": substeps, "times": times}
        compare(make_call(methods.two_step(), dt="batch", hold=hold, before=before, memory=memory, **shape), 1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_kept_unless_asked(method):
    call = make_call(METHODS[method], substeps=2)
    kept, thrown = native.solve(call, keep=True), native.solve(call, keep=False)
    assert thrown.kept is None
    assert thrown.trajectory is None
    assert torch.equal(kept.last, thrown.last)


# ---- arithmetic ----------------------------------------------------------------------------------------------------


def elementary(kind: str, x: Tensor) -> Tensor:
    """tanh(x), or sigmoid(x) as the gate of tanh(50) = 1, read off one Euler step of length one from zero."""
    u = x[None, :, None]
    u = u if kind == "tanh" else torch.cat((torch.full_like(u, 50.0), u), -1)
    zero = torch.zeros(len(x), 1, dtype=x.dtype)
    call = Call(zero, torch.zeros(1, 1, dtype=x.dtype), u.contiguous(), methods.EULER, 1.0, kind=kind)
    return native.solve(call, keep=False).last[:, 0]


@pytest.mark.parametrize("kind", ["tanh", "gated-tanh"])
def test_the_elementary_functions_are_off_by_three_units_in_the_last_place_at_most(kind):
    x = torch.cat((torch.linspace(-90, 90, 200_001), torch.linspace(-1, 1, 200_001), torch.logspace(-30, 0, 50_001)))
    exact = torch.tanh(x.double()) if kind == "tanh" else torch.sigmoid(x.double())
    unit = 2.0 ** (torch.floor(torch.log2(exact.abs().clamp_min(2.0**-126))) - 23)
    error = (elementary(kind, x).double() - exact).abs() / unit
    if kind == "gated-tanh":
        error = error[x > -87]  # below, the kernel stays at exp(-87)
    assert float(error.max()) <= 3


@pytest.mark.parametrize("kind", ["tanh", "gated-tanh"])
def test_the_elementary_functions_in_double_precision(kind):
    x = torch.linspace(-30, 30, 100_001, dtype=torch.float64)
    exact = torch.tanh(x) if kind == "tanh" else torch.sigmoid(x)
    error = ((elementary(kind, x) - exact) / exact).nan_to_num().abs().max()
    assert float(error) < 8e-16  # 3.6 times 2^-52, torch's own error in it


def test_what_is_not_a_number_stays_so():
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
    assert torch.isnan(elementary("tanh", x)[0])
    assert elementary("tanh", x)[1:].tolist() == [1.0, -1.0, 0.0, 0.0]
    assert torch.isnan(elementary("gated-tanh", x)[0])
    assert elementary("gated-tanh", x)[1] == 1.0
    assert elementary("gated-tanh", x)[2] < 2e-38


@pytest.mark.parametrize("name", METHODS)
def test_threads_change_nothing_but_the_order_of_sums(name):
    call = make_call(METHODS[name], batch=13, units=32, times=20, dt="batch", dtype=torch.float32)
    results = []
    for threads in (1, 2, 2, 5):
        torch.set_num_threads(threads)
        kept = native.solve(call, keep=True).kept
        results.append((kept, native.pull_back(call, kept, kept_gradient=kept)))
    first, reference_gradients = results[0]
    for kept, gradients in results[1:]:
        assert torch.equal(kept, first)
        assert torch.equal(gradients.y0, reference_gradients.y0)
        close = torch.allclose(gradients.weight, reference_gradients.weight, rtol=1e-4, atol=1e-4)
        assert close  # sums of 260 terms of size ten
    assert torch.equal(results[1][1].weight, results[2][1].weight)


def test_rows_do_not_know_of_each_other():
    call = make_call(methods.EULER, batch=9, units=32, times=20)
    alone = dataclasses.replace(call, y0=call.y0[4:5].contiguous(), samples=call.samples[:, 4:5].contiguous())
    whole, one = native.solve(call, keep=True).kept, native.solve(alone, keep=True).kept
    assert torch.allclose(whole[:, 4:5], one, rtol=0, atol=1e-14)  # register tiles of one row may sum in another order


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_one_row_of_one_unit(name, kind):
    units = 2 if METHODS[name].family == "shears" else 1
    compare(make_call(METHODS[name], kind=kind, batch=1, units=units, hold="linear", substeps=2), 1e-10)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_what_is_not_a_number_stays_in_its_row(name, kind):
    call = make_call(METHODS[name], kind=kind, batch=9, units=34, dt="batch", hold="linear")
    spoilt = dataclasses.replace(call, samples=call.samples.clone())
    spoilt.samples[2, 4] = float("nan")
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    results = []
    for one in (call, spoilt):
        kept = native.solve(one, keep=True).kept
        found = native.pull_back(one, kept, last=torch.ones_like(one.y0), want_samples=True, want_dt=True)
        results.append((kept[:, others], found.y0[others], found.samples[:, others], found.dt[others]))
        assert bool(torch.isnan(kept[-1, 4]).all()) == (one is spoilt)
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_tensors_may_begin_at_any_number(name, kind):
    """As slices of other tensors do: no alignment but that of their dtype is asked for."""

    def moved(x: Tensor) -> Tensor:
        room = x.new_empty(x.numel() + 1)
        room[1:] = x.flatten()
        return room[1:].view(x.shape)

    call = make_call(METHODS[name], kind=kind, units=64, dt="time", dtype=torch.float32)
    tensors = {
        f: moved(x)
        for f in ("y0", "weight", "samples", "input_weight", "bias", "dt")
        if (x := getattr(call, f)) is not None
    }
    kept = native.solve(call, keep=True).kept
    elsewhere = dataclasses.replace(call, **tensors)
    assert torch.equal(kept, native.solve(elsewhere, keep=True).kept)
    wanted = native.pull_back(call, kept, kept_gradient=kept, want_samples=True)
    found = native.pull_back(elsewhere, moved(kept), kept_gradient=moved(kept), want_samples=True)
    assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True) if a is not None)


def test_results_do_not_share_memory():
    call = make_call(methods.EULER, batch=16, units=128, times=300, dtype=torch.float32)  # large enough for the pool
    first, second = native.solve(call, keep=True).kept, native.solve(call, keep=True).kept
    assert first.data_ptr() != second.data_ptr()
    copy = first.clone()
    del second
    native.solve(call, keep=True)
    assert torch.equal(first, copy)
    native.release_memory()


# ---- the door ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("y0", torch.zeros(3, 6, dtype=torch.float16), TypeError, "`y0` has dtype"),
        ("y0", torch.zeros(3), ValueError, "`y0` has shape"),
        ("weight", torch.zeros(6, 5, dtype=torch.float64), ValueError, "`weight` has shape"),
        ("weight", torch.zeros(6, 6), TypeError, "`weight` has dtype"),
        ("weight", torch.zeros(6, 12, dtype=torch.float64)[:, ::2], ValueError, "`weight` is not contiguous"),
        ("samples", torch.zeros(0, 3, 2, dtype=torch.float64), ValueError, "`samples` is an empty sequence"),
        ("samples", torch.zeros(7, 3, 0, dtype=torch.float64), ValueError, "`samples` has no features"),
        ("y0", torch.zeros(0, 6, dtype=torch.float64), ValueError, "`y0` has shape"),
        ("y0", torch.zeros(3, 0, dtype=torch.float64), ValueError, "`y0` has shape"),
        ("samples", torch.zeros(7, 4, 2, dtype=torch.float64), ValueError, "`samples` has shape"),
        ("bias", None, ValueError, "give both `input_weight` and `bias`"),
        ("bias", torch.zeros(5, dtype=torch.float64), ValueError, "`bias` has shape"),
        ("before", torch.zeros(3, 5, dtype=torch.float64), ValueError, "`before` has shape"),
        ("dt", torch.ones(6), ValueError, "`dt` has shape"),
        ("dt", torch.ones(7, dtype=torch.int64), TypeError, "`dt` has dtype"),
        ("kind", "relu", ValueError, "`kind` is 'relu'"),
        ("squash", "relu", ValueError, "`squash` is 'relu'"),
        ("hold", "cubic", ValueError, "`hold` is 'cubic'"),
        ("substeps", 0, ValueError, "`substeps` is 0"),
        ("y_previous", torch.zeros(3, 6, dtype=torch.float64), ValueError, "give both `y_previous` and `dt_previous`"),
        ("method", Method("runge-kutta", (1.0,), (1.0,), (0.0,)), ValueError, "not strictly lower triangular"),
        ("method", Method("runge-kutta", (0.0,), (1.0, 2.0), (0.0,)), ValueError, "give as many of each"),
        ("method", methods.splitting((2,), (1.0,), (0.0,)), ValueError, "`parts` has the entry 2"),
    ],
)
def test_bad_arguments_are_named(field, value, error, message):
    call = dataclasses.replace(make_call(methods.EULER), **{field: value})
    with pytest.raises(error, match=message):
        native.solve(call, keep=False)


def test_a_control_that_is_given_is_taken_as_it_is():
    with pytest.raises(ValueError, match="`squash` is 'tanh' and there is no `input_weight`"):
        native.solve(make_call(methods.EULER, control_given=True, squash="tanh"), keep=False)


@pytest.mark.parametrize("substeps", [1, 3])
def test_a_gradient_belongs_to_every_kept_state(substeps):
    call = make_call(methods.two_step(), substeps=substeps)
    kept = native.solve(call, keep=True).kept
    assert len(kept) == 7 * substeps
    with pytest.raises(ValueError, match="`grad_kept` has shape"):
        native.pull_back(call, kept, kept_gradient=kept[1:])


def test_a_partitioned_scheme_needs_halves_and_tanh():
    with pytest.raises(ValueError, match="even number"):
        native.solve(make_call(methods.LEAPFROG, units=5), keep=False)
    for kind in RATES.keys() - {"tanh"}:
        with pytest.raises(ValueError, match="partitioned methods take 'tanh'"):
            native.solve(make_call(methods.LEAPFROG, kind=kind), keep=False)


def test_without_a_compiler_there_is_a_named_error():
    code = (
        "from odernn.engines import native\n"
        "try:\n    native.load()\n"
        "except native.NativeUnavailable as error:\n    print(error.reason)\n"
    )
    environment = {**os.environ, "CXX": "no-such-compiler", "PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "no C++ compiler was found" in result.stdout
