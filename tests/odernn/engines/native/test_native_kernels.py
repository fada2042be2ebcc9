"""The native kernels against a plain loop under autograd: every method, field kind, hold, step, dtype and odd shape."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from odernn.engines import native
from odernn.engines.linear_method import linear_method
from odernn.engines.method import EULER, LEAPFROG, SYMPLECTIC_EULER, Method, runge_kutta, splitting
from odernn.engines.program import Call, Hold, Kind, Squash
from odernn.fields.activation import GATED_TANH, TANH
from odernn.fields.semilinear import LINEAR, LINEAR_PLUS_TANH
from tests import children
from tests.pairs import crossed
from tests.reference import LINEAR_METHODS, Rate, assert_close, linear_step, one_step

pytestmark = pytest.mark.kernels

RK4 = runge_kutta([[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6], [0.0, 0.5, 0.5, 1.0])
KUTTA3 = runge_kutta([[], [0.5], [-1.0, 2.0]], [1 / 6, 2 / 3, 1 / 6], [0.0, 0.5, 1.0])
METHODS = {
    "euler": EULER,
    "kutta3": KUTTA3,
    "rk4": RK4,
    "symplectic-euler": SYMPLECTIC_EULER,
    "leapfrog": LEAPFROG,
    **LINEAR_METHODS,
}
# Float64: the sums have at most a few thousand terms of size one. Float32: the same sums, a unit in the last place
# being 6e-8; the reference is float64, so the bound holds for the kernel alone.
BOUND = {torch.float64: 1e-10, torch.float32: 1e-4}


# ---- the reference -------------------------------------------------------------------------------------------------

KINDS: tuple[Kind, ...] = get_args(Kind)
RATES = {activation.name: activation.function for activation in (TANH, GATED_TANH, LINEAR, LINEAR_PLUS_TANH)}


def reference(call: Call) -> tuple[Tensor, Tensor | None]:
    """Every state that is saved and, for a general linear method, the other vectors at the end."""
    u = call.samples
    if call.input_weight is not None and call.bias is not None:
        u = u @ call.input_weight.T + call.bias
    u = torch.tanh(u) if call.squash == "tanh" else u
    x = [call.y0, *(() if call.carried is None else call.carried)]
    earlier = u[0] if call.before is None else call.before
    out = []
    for n, u_n in enumerate(u):
        for q in range(call.substeps):
            x = step_once(call, rate_of(call, earlier, u_n, q), n, q, x)
            if call.method.family == "general-linear" or q + 1 == call.substeps:
                out.append(x[0])
        earlier = u_n
    return torch.stack(out), torch.stack(x[1:]) if x[1:] else None


def step_once(call: Call, rate: Rate, n: int, q: int, x: list[Tensor]) -> list[Tensor]:
    """Solver step q of sample n, from the vectors before it."""
    dt = step_of(call, n)
    if call.method.family != "general-linear":
        return [one_step(call.method, rate, dt, x[0])]
    given = call.coefficients
    own = None if given is None or q >= given.shape[1] else given[n, q].unsqueeze(-1)
    return linear_step(linear_method(call.method).steps[len(x) - 1], own, rate, dt, x)


def step_of(call: Call, n: int) -> Tensor | float:
    dt = call.dt
    if isinstance(dt, Tensor) and dt.ndim:
        dt = dt[n] if dt.ndim == 1 else dt[:, n, None]
    return dt / call.substeps


def rate_of(call: Call, earlier: Tensor, u: Tensor, q: int) -> Rate:
    """The field in substep `q` of the interval from the control `earlier` to `u`."""

    def rate(y: Tensor, source: Tensor, rows: slice, columns: slice, node: float) -> Tensor:
        theta = 1.0 if call.hold == "zero-order" else (q + node) / call.substeps
        control = earlier + theta * (u - earlier)
        weight, units = call.weight, call.y0.shape[-1]
        preactivation = source @ weight.unflatten(0, (-1, units))[:, rows, columns].flatten(0, 1).T
        return RATES[call.kind](preactivation, control.unflatten(-1, (-1, units))[..., rows].flatten(-2))

    return rate


def others_of(method: Method) -> tuple[int, int]:
    """The vectors besides the state, and the coefficients that are functions of the steps."""
    if method.family != "general-linear":
        return 0, 0
    step = linear_method(method).steady
    entries = (entry for table in (step.u, step.v, step.b) for row in table for entry in row)
    return len(step.v) - 1, 1 + max(entry.place for entry in entries)


# ---- calls ---------------------------------------------------------------------------------------------------------


def make_call(
    method: Method,
    *,
    kind: Kind = "tanh",
    squash: Squash = "identity",
    batch: int = 3,
    units: int = 6,
    times: int = 7,
    inputs: int = 2,
    dt: str = "number",
    hold: Hold = "zero-order",
    substeps: int = 1,
    before: bool = False,
    carry: bool = False,
    control_given: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Call:
    random = torch.Generator().manual_seed(batch * 1000 + units * 10 + times)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return (scale * torch.randn(*shape, generator=random, dtype=torch.float64)).to(dtype)

    others, numbers = others_of(method)
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
        carried=normal(others, batch, units) if carry and others else None,
        coefficients=1 + 0.3 * normal(times, min(substeps, 2), batch if dt == "batch" else 1, numbers)
        if numbers and dt in ("time", "batch")
        else None,
    )


def compare(call: Call, bound: float) -> None:
    """Forward and every gradient, for a loss on every saved state and for one on the last."""
    fields = ("y0", "weight", "samples", "input_weight", "bias", "before", "dt", "carried", "coefficients")
    given = {f: t for f in fields if isinstance(t := getattr(call, f), Tensor)}
    leaves = {f: t.detach().double().clone().requires_grad_() for f, t in given.items()}
    expected, others = reference(dataclasses.replace(call, **leaves))
    solution, saved = native.solve(call, save=True), saved_states_of(call)
    assert_close(saved, expected, bound, "saved")
    every = len(expected) // len(call.samples)
    assert solution.trajectory is not None
    assert torch.equal(solution.trajectory, saved[every - 1 :: every])
    assert_close(solution.last, expected[-1], bound, "last")
    random = torch.Generator().manual_seed(5)
    weights = torch.randn(expected.shape, generator=random, dtype=torch.float64)
    if others is not None:
        assert_close(solution.carried, others, bound, "carried")
    losses = {"grad_saved": (expected * weights).sum(), "grad_last": (expected[-1] * weights[-1]).sum()}
    for name, loss in losses.items():
        asked = {name: (weights if name == "grad_saved" else weights[-1]).to(call.y0.dtype)}
        if others is not None:
            loss = loss + (others * weights[0]).sum()
            asked["grad_carried"] = weights[0].expand(others.shape).to(call.y0.dtype).contiguous()
        wanted = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True, allow_unused=True)
        got = native.pull_back(call, saved, solution.kept, **asked, want_samples=True, want_dt="dt" in given)
        for field, want in zip(leaves, wanted, strict=True):
            have = getattr(got, field)
            assert have is not None, field
            if field == "dt":
                have = have.sum(0) if given["dt"].ndim == 1 else have.sum_to_size(given["dt"].shape)
            assert_close(have, torch.zeros_like(leaves[field]) if want is None else want, bound, field)


def saved_states_of(call: Call) -> Tensor:
    """The states that a solution keeps."""
    saved = native.solve(call, save=True).saved
    assert saved is not None
    return saved


def kinds(method: Method) -> tuple[Kind, ...]:
    return ("tanh",) if method.family == "shears" else KINDS


SHAPES = [(1, 16, 40), (3, 34, 1), (16, 20, 5), (29, 64, 9), (1, 2, 64), (3, 130, 70)]  # batch, units, times
CASES = [(name, kind) for name, method in METHODS.items() for kind in kinds(method)]


# ---- against autograd ----------------------------------------------------------------------------------------------

HOLDS = [("zero-order", False), ("linear", False), ("linear", True)]  # and whether there is a control before
STEPS = ("number", "scalar", "time", "batch")


@crossed({"name, kind": CASES, "dt": STEPS, "hold, before": HOLDS, "substeps": [1, 3], "dtype": list(BOUND)})
def test_every_scheme_hold_and_step(
    name: str, kind: Kind, dt: str, hold: Hold, before: bool, substeps: int, dtype: torch.dtype
) -> None:
    facts: dict[str, Any] = {
        "kind": kind,
        "dt": dt,
        "hold": hold,
        "before": before,
        "substeps": substeps,
        "dtype": dtype,
    }
    compare(make_call(METHODS[name], **facts), BOUND[dtype])


@crossed(
    {"name": list(METHODS), "kind": KINDS, "shape": range(len(SHAPES)), "dtype": list(BOUND)},
    where=lambda name, kind, shape, dtype: kind in kinds(METHODS[name]),
)
def test_every_shape(name: str, kind: Kind, shape: int, dtype: torch.dtype) -> None:
    """Among them several blocks of time, several blocks of rows, and every width of register tile."""
    batch, units, times = SHAPES[shape]
    compare(make_call(METHODS[name], kind=kind, batch=batch, units=units, times=times, dtype=dtype), BOUND[dtype])


@crossed(
    {"name": list(METHODS), "kind": KINDS},
    where=lambda name, kind: kind in kinds(METHODS[name]),
    strength=1,
)
def test_the_linear_hold_across_blocks_of_time(name: str, kind: Kind) -> None:
    compare(make_call(METHODS[name], kind=kind, units=130, times=70, hold="linear", before=True), 1e-10)


@crossed({"units": [1, 5, 17, 33], "kind": KINDS, "name": ["euler", "rk4", *LINEAR_METHODS]})
def test_an_odd_number_of_units(name: str, kind: Kind, units: int) -> None:
    compare(make_call(METHODS[name], kind=kind, units=units, inputs=3), 1e-10)


@crossed(
    {"name": list(METHODS), "kind": KINDS, "inputs": [1, 17, 96], "control_given": [False, True]},
    where=lambda name, kind, inputs, control_given: kind in kinds(METHODS[name]),
)
def test_every_number_of_inputs(name: str, kind: Kind, inputs: int, control_given: bool) -> None:
    compare(make_call(METHODS[name], kind=kind, inputs=inputs, control_given=control_given), 1e-10)


@crossed(
    {"name": list(METHODS), "kind": KINDS, "hold, before": HOLDS, "several": [False, True]},
    where=lambda name, kind, hold, several: kind in kinds(METHODS[name]),
)
def test_a_squashed_control(name: str, kind: Kind, hold: Hold, before: bool, several: bool) -> None:
    """In one block of time with the last rows of padding, and in several."""
    padded = 5 if METHODS[name].family != "shears" else 10
    facts: dict[str, Any] = {"units": 130, "times": 70} if several else {"units": padded, "times": 7}
    compare(make_call(METHODS[name], kind=kind, squash="tanh", dt="batch", hold=hold, before=before, **facts), 1e-10)


@crossed(
    {
        "name": list(LINEAR_METHODS),
        "kind": KINDS,
        "carry": [False, True],
        "substeps": [1, 2],
        "hold, before": HOLDS,
        "times": [1, 2, 9],
        "dt": STEPS,
        "units": [6, 16],  # padded to whole vectors, or not
    }
)
def test_a_general_linear_method_with_and_without_its_carry(
    name: str, kind: Kind, carry: bool, substeps: int, hold: Hold, before: bool, times: int, dt: str, units: int
) -> None:
    facts: dict[str, Any] = {"kind": kind, "substeps": substeps, "times": times, "dt": dt, "units": units}
    compare(make_call(LINEAR_METHODS[name], hold=hold, before=before, carry=carry, **facts), 1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_kept_unless_asked(method: str) -> None:
    call = make_call(METHODS[method], substeps=2)
    saved, thrown = native.solve(call, save=True), native.solve(call, save=False)
    assert thrown.saved is None
    assert thrown.trajectory is None
    assert torch.equal(saved.last, thrown.last)


# ---- arithmetic ----------------------------------------------------------------------------------------------------


def elementary(kind: Kind, x: Tensor) -> Tensor:
    """tanh(x), or sigmoid(x) as the gate of tanh(50) = 1, read off one Euler step of length one from zero."""
    u = x[None, :, None]
    u = u if kind == "tanh" else torch.cat((torch.full_like(u, 50.0), u), -1)
    zero = torch.zeros(len(x), 1, dtype=x.dtype)
    call = Call(zero, torch.zeros(1, 1, dtype=x.dtype), u.contiguous(), EULER, 1.0, kind=kind)
    return native.solve(call, save=False).last[:, 0]


@pytest.mark.parametrize("kind", ["tanh", "gated-tanh"])
def test_the_elementary_functions_are_off_by_three_units_in_the_last_place_at_most(kind: Kind) -> None:
    x = torch.cat((torch.linspace(-90, 90, 200_001), torch.linspace(-1, 1, 200_001), torch.logspace(-30, 0, 50_001)))
    exact = torch.tanh(x.double()) if kind == "tanh" else torch.sigmoid(x.double())
    unit = 2.0 ** (torch.floor(torch.log2(exact.abs().clamp_min(2.0**-126))) - 23)
    error = (elementary(kind, x).double() - exact).abs() / unit
    if kind == "gated-tanh":
        error = error[x > -87]  # below, the kernel stays at exp(-87)
    assert float(error.max()) <= 3


@pytest.mark.parametrize("kind", ["tanh", "gated-tanh"])
def test_the_elementary_functions_in_double_precision(kind: Kind) -> None:
    x = torch.linspace(-30, 30, 100_001, dtype=torch.float64)
    exact = torch.tanh(x) if kind == "tanh" else torch.sigmoid(x)
    error = ((elementary(kind, x) - exact) / exact).nan_to_num().abs().max()
    assert float(error) < 8e-16  # 3.6 times 2^-52, torch's own error in it


def test_what_is_not_a_number_stays_so() -> None:
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
    assert torch.isnan(elementary("tanh", x)[0])
    assert elementary("tanh", x)[1:].tolist() == [1.0, -1.0, 0.0, 0.0]
    assert torch.isnan(elementary("gated-tanh", x)[0])
    assert elementary("gated-tanh", x)[1] == 1.0
    assert elementary("gated-tanh", x)[2] < 2e-38


@pytest.mark.parametrize("name", METHODS)
def test_threads_change_nothing_but_the_order_of_sums(name: str) -> None:
    call = make_call(METHODS[name], batch=13, units=32, times=20, dt="batch", dtype=torch.float32)
    results = []
    for threads in (1, 2, 2, 5):
        torch.set_num_threads(threads)
        saved, kept = saved_states_of(call), native.solve(call, save=True).kept
        results.append((saved, native.pull_back(call, saved, kept, grad_saved=saved)))
    first, reference_gradients = results[0]
    for saved, gradients in results[1:]:
        assert torch.equal(saved, first)
        assert torch.equal(gradients.y0, reference_gradients.y0)
        close = torch.allclose(gradients.weight, reference_gradients.weight, rtol=1e-4, atol=1e-4)
        assert close  # sums of 260 terms of size ten
    assert torch.equal(results[1][1].weight, results[2][1].weight)


def test_rows_do_not_know_of_each_other() -> None:
    call = make_call(EULER, batch=9, units=32, times=20)
    alone = dataclasses.replace(call, y0=call.y0[4:5].contiguous(), samples=call.samples[:, 4:5].contiguous())
    whole, one = saved_states_of(call), saved_states_of(alone)
    assert torch.allclose(whole[:, 4:5], one, rtol=0, atol=1e-14)  # register tiles of one row may sum in another order


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_one_row_of_one_unit(name: str, kind: Kind) -> None:
    units = 2 if METHODS[name].family == "shears" else 1
    compare(make_call(METHODS[name], kind=kind, batch=1, units=units, hold="linear", substeps=2), 1e-10)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_what_is_not_a_number_stays_in_its_row(name: str, kind: Kind) -> None:
    call = make_call(METHODS[name], kind=kind, batch=9, units=34, dt="batch", hold="linear")
    spoilt = dataclasses.replace(call, samples=call.samples.clone())
    spoilt.samples[2, 4] = float("nan")
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    results = []
    for one in (call, spoilt):
        saved, kept = saved_states_of(one), native.solve(one, save=True).kept
        facts: dict[str, Any] = {"want_samples": True, "want_dt": True}
        found = native.pull_back(one, saved, kept, grad_last=torch.ones_like(one.y0), **facts)
        assert found.samples is not None
        assert found.dt is not None
        results.append((saved[:, others], found.y0[others], found.samples[:, others], found.dt[others]))
        assert bool(torch.isnan(saved[-1, 4]).all()) == (one is spoilt)
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_tensors_may_begin_at_any_number(name: str, kind: Kind) -> None:
    """As slices of other tensors do: no alignment but that of their dtype is asked for."""

    def moved(x: Tensor) -> Tensor:
        buffer = x.new_empty(x.numel() + 1)
        buffer[1:] = x.flatten()
        return buffer[1:].view(x.shape)

    call = make_call(METHODS[name], kind=kind, units=64, dt="time", dtype=torch.float32)
    tensors = {
        f: moved(x)
        for f in ("y0", "weight", "samples", "input_weight", "bias", "dt")
        if (x := getattr(call, f)) is not None
    }
    saved = saved_states_of(call)
    elsewhere = dataclasses.replace(call, **tensors)
    assert torch.equal(saved, saved_states_of(elsewhere))
    kept = native.solve(call, save=True).kept
    wanted = native.pull_back(call, saved, kept, grad_saved=saved, want_samples=True)
    kept = None if kept is None else moved(kept)
    found = native.pull_back(elsewhere, moved(saved), kept, grad_saved=moved(saved), want_samples=True)
    assert all(
        a is b is None or (a is not None and b is not None and a.equal(b)) for a, b in zip(wanted, found, strict=True)
    )


def test_results_do_not_share_memory() -> None:
    call = make_call(EULER, batch=16, units=128, times=300, dtype=torch.float32)  # large enough for the pool
    first, second = saved_states_of(call), saved_states_of(call)
    assert first.data_ptr() != second.data_ptr()
    copy = first.clone()
    del second
    native.solve(call, save=True)
    assert torch.equal(first, copy)
    native.release_memory()


# ---- refusals ------------------------------------------------------------------------------------------------------


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
        ("carried", torch.zeros(1, 3, 6, dtype=torch.float64), ValueError, "only 'general-linear' has any"),
        ("coefficients", torch.zeros(7, 1, 1, 3, dtype=torch.float64), ValueError, "only 'general-linear' has any"),
        ("method", Method("runge-kutta", (1.0,), (1.0,), (0.0,)), ValueError, "not strictly lower triangular"),
        ("method", Method("runge-kutta", (0.0,), (1.0, 2.0), (0.0,)), ValueError, "give as many of each"),
        ("method", splitting((2,), (1.0,), (0.0,)), ValueError, "`moved` has the entry 2"),
    ],
)
def test_bad_arguments_are_named(field: str, value: object, error: type[Exception], message: str) -> None:
    call = dataclasses.replace(make_call(EULER), **{field: value})
    with pytest.raises(error, match=message):
        native.solve(call, save=False)


def test_a_control_that_is_given_is_taken_as_it_is() -> None:
    with pytest.raises(ValueError, match="`squash` is 'tanh' and there is no `input_weight`"):
        native.solve(make_call(EULER, control_given=True, squash="tanh"), save=False)


@pytest.mark.parametrize("substeps", [1, 3])
def test_a_gradient_belongs_to_every_kept_state(substeps: int) -> None:
    call = make_call(LINEAR_METHODS["leapfrog-midpoint"], substeps=substeps)
    saved = saved_states_of(call)
    assert len(saved) == 7 * substeps
    with pytest.raises(ValueError, match="`grad_saved` has shape"):
        native.pull_back(call, saved, grad_saved=saved[1:])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("carried", torch.zeros(3, 3, 6, dtype=torch.float64), r"`carried` has shape \[3, 3, 6\]; wanted \(1 to 2"),
        ("carried", torch.zeros(2, 3, 5, dtype=torch.float64), "`carried` has shape"),
        (
            "coefficients",
            torch.zeros(7, 2, 1, 3, dtype=torch.float64),
            "`coefficients` has shape .*wanted .7, 1 to 1,",
        ),
        ("coefficients", torch.zeros(7, 1, 2, 3, dtype=torch.float64), "`coefficients` has shape"),
        ("coefficients", torch.zeros(7, 1, 1, 4, dtype=torch.float64), "`coefficients` has shape"),
        ("method", Method("general-linear"), "`places` of a general linear method has 0 entries"),
        ("method", Method("general-linear", (), (), (), (), (2, 1)), "`places` of a general linear method has 2"),
        ("method", Method("general-linear", (1.0,), (), (0.0,), (), (1, 1, -1, -1, -1)), "`a` has 1 entries and `c` 1"),
        ("method", Method("general-linear", (1.0,) * 4, (), (0.0,), (), (1, 1, -1, -1, 7)), "`places` has the entry 7"),
        ("method", Method("general-linear", (1.0,) * 4, (), (0.0,), (), (1, 40, -1)), "`places` has 40 stages"),
    ],
)
def test_bad_arguments_of_a_general_linear_method(field: str, value: object, message: str) -> None:
    call = dataclasses.replace(make_call(LINEAR_METHODS["adams-bashforth3"]), **{field: value})
    with pytest.raises(ValueError, match=message):
        native.solve(call, save=False)


def test_what_a_backward_pass_needs_of_the_other_vectors() -> None:
    call = make_call(LINEAR_METHODS["reversible-heun"])
    solution = native.solve(call, save=True)
    assert solution.saved is not None
    with pytest.raises(ValueError, match="`kept` has shape"):
        native.pull_back(call, solution.saved)


def test_a_partitioned_scheme_needs_halves_and_tanh() -> None:
    with pytest.raises(ValueError, match="even number"):
        native.solve(make_call(LEAPFROG, units=5), save=False)
    for kind in set(KINDS) - {"tanh"}:
        with pytest.raises(ValueError, match="partitioned methods take 'tanh'"):
            native.solve(make_call(LEAPFROG, kind=kind), save=False)


def test_without_a_compiler_there_is_a_named_error(tmp_path: Path) -> None:
    code = (
        "from odernn.engines import native\n"
        "try:\n    native.load()\n"
        "except native.NativeUnavailable as error:\n    print(error.reason)\n"
    )
    assert "no C++ compiler was found" in children.run(code, tmp_path, CXX="no-such-compiler")
