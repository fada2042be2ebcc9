"""Calls of the native kernels, and the same by a plain loop under autograd: every state, every gradient."""

from __future__ import annotations

import dataclasses
from typing import get_args

import torch
from torch import Tensor

from odernn.engines import native
from odernn.engines.linear_method import linear_method
from odernn.engines.method import EULER, LEAPFROG, SYMPLECTIC_EULER, Method, runge_kutta
from odernn.engines.program import Call, Hold, Kind, Squash
from odernn.fields.activation import GATED_TANH, TANH
from odernn.fields.semilinear import LINEAR, LINEAR_PLUS_TANH
from tests.reference import LINEAR_METHODS, Rate, assert_close, linear_step, one_step

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
