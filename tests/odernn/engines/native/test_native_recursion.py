"""The sequential part of the adjoint: every family agrees with autograd, for any number of groups of K."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn.engines import native
from odernn.engines.method import EULER, LEAPFROG, SYMPLECTIC_EULER, Method, runge_kutta, splitting
from odernn.engines.native import TwoStepWeights
from tests.pairs import crossed
from tests.reference import LINEAR_METHODS, assert_close, midpoint_step, one_step

pytestmark = pytest.mark.kernels

METHODS = {
    "euler": EULER,
    "kutta3": runge_kutta([[], [0.5], [-1.0, 2.0]], [1 / 6, 2 / 3, 1 / 6], [0.0, 0.5, 1.0]),
    "symplectic-euler": SYMPLECTIC_EULER,
    "leapfrog": LEAPFROG,
    "any-moves": splitting((0, 0, 1, 0, 1, 1), (0.3, -0.2, 0.7, 0.9, 0.1, 0.2), (0.0,) * 6),
    "two-step": LINEAR_METHODS["leapfrog-midpoint"],
}
# The sums have a few hundred terms of size one; a unit in the last place is 2e-16 and 1e-7, and the reference float64.
BOUND = {torch.float64: 1e-12, torch.float32: 1e-4}
SHAPES = [(1, 2), (3, 34), (29, 66), (13, 64)]


# ---- the reference -------------------------------------------------------------------------------------------------


def rate(y: Tensor, p: Tensor, u: Tensor, groups: int, damping: float) -> Tensor:
    """A field of one, two or three groups, in which each has a derivative of its own."""
    preactivations = p.chunk(groups, -1)
    out = torch.tanh(preactivations[0] + u) - damping * y
    if groups > 1:
        out = out * torch.cos(preactivations[1])
    return out + torch.sin(preactivations[2]) if groups > 2 else out


@dataclasses.dataclass
class Case:
    """The leaves of one run forward, and what its evaluations leave for the recursion."""

    method: Method
    groups: int
    damping: float
    y: Tensor
    previous: Tensor
    weight: Tensor
    u: Tensor
    dt: tuple[Tensor, ...]
    evaluations: list[tuple[Tensor, ...]] = dataclasses.field(default_factory=list)

    def evaluate(self, n: int, y: Tensor, source: Tensor, rows: slice, columns: slice) -> Tensor:
        """One rate; (source, rate, D_p, D_y, D_u) are noted."""
        size = self.y.shape[-1]
        weight = self.weight.unflatten(0, (self.groups, size))[:, rows, columns].flatten(0, 1)
        p = source @ weight.T
        u = self.u[n, :, rows]
        leaves = [x.detach().requires_grad_() for x in (p, y, u)]
        apart = rate(leaves[1], leaves[0], leaves[2], self.groups, self.damping)
        derivatives = torch.autograd.grad(apart.sum(), leaves, allow_unused=True)
        value = rate(y, p, u, self.groups, self.damping)
        self.evaluations.append((source.detach(), value.detach(), *(d if d is not None else p for d in derivatives)))
        return value

    def step(self, n: int, y: Tensor, previous: Tensor) -> Tensor:
        """The state after step n."""
        dt, *others = (one if one.ndim == 0 else one[..., n] if one.ndim == 1 else one[:, n, None] for one in self.dt)

        def rate(y: Tensor, source: Tensor, rows: slice, columns: slice, node: float) -> Tensor:
            return self.evaluate(n, y, source, rows, columns)

        if self.method.family == "general-linear":
            return midpoint_step((dt, *others), rate, y, previous)
        return one_step(self.method, rate, dt, y)


def make_case(
    method: Method,
    *,
    groups: int = 2,
    damping: float = 0.3,
    dt: str = "number",
    steps: int = 7,
    shape: tuple[int, int] = (5, 14),
) -> Case:
    random = torch.Generator().manual_seed(0)
    batch, units = shape

    def normal(*size: int, scale: float = 1.0) -> Tensor:
        return (scale * torch.randn(*size, generator=random, dtype=torch.float64)).requires_grad_()

    size = {"number": (), "time": (steps,), "batch": (batch, steps)}[dt]
    schedules = 3 if method.family == "general-linear" else 1
    return Case(
        method=method,
        groups=groups,
        damping=0.0 if method.family == "shears" else damping,  # a half's rate does not depend on itself
        y=normal(batch, units),
        previous=normal(batch, units),
        weight=normal(groups * units, units, scale=units**-0.5),
        u=normal(steps, batch, units),
        dt=tuple(
            (0.2 + 0.3 * torch.rand(size, generator=random, dtype=torch.float64)).requires_grad_()
            for _ in range(schedules)
        ),
    )


@dataclasses.dataclass
class Loss:
    """A loss on the last state, the one before and every `substeps`-th before the last, and its gradients by them."""

    states: list[Tensor]
    value: Tensor
    last: Tensor
    last_but_one: Tensor
    trajectory: Tensor


def make_loss(case: Case, substeps: int) -> Loss:
    states = [case.previous, case.y]
    for n in range(len(case.u)):
        states.append(case.step(n, states[-1], states[-2]))
    outputs = torch.stack(states[:1:-substeps][::-1])
    random = torch.Generator().manual_seed(1)
    g = torch.randn(len(outputs) + 2, *case.y.shape, generator=random, dtype=torch.float64)
    value = (outputs * g[2:]).sum() + (states[-1] * g[0]).sum()
    if case.method.family == "general-linear":
        value = value + (states[-2] * g[1]).sum()
    return Loss(states, value, g[0], g[1], g[2:])


def compare(case: Case, substeps: int, dtype: torch.dtype = torch.float64) -> None:
    """Gradients by every leaf, put together from what the recursion returns."""
    two = case.method.family == "general-linear"
    loss = make_loss(case, substeps)
    parts = zip(*case.evaluations, strict=True)
    noted = [torch.stack(part).unflatten(0, (len(case.u), -1)).to(dtype) for part in parts]
    sources, rates, d_preactivation, d_state, d_control = noted
    dt = tuple(one.detach() for one in case.dt)
    found = native.recursion(
        loss.last.to(dtype),
        case.weight.detach().to(dtype),
        d_preactivation,
        TwoStepWeights(*dt) if two else dt[0],
        case.method,
        state_derivative=d_state if case.damping else None,
        trajectory=loss.trajectory.to(dtype),
        substeps=substeps,
        carried=loss.last_but_one.to(dtype) if two else None,
    )
    have = {
        "y": found.lambda_,
        "weight": weight_gradient(case, found.preactivation.double(), sources.double()),
        "u": control_gradient(case, (found.kappa * d_control).double()),
        **schedule_gradients(case, loss, found.kappa.double(), rates.double()),
    }
    assert (found.carried is not None) == two
    if found.carried is not None:
        have["previous"] = found.carried
    leaves = {name: getattr(case, name) for name in ("y", "weight", "u", "previous")}
    leaves |= {f"dt[{i}]": one for i, one in enumerate(case.dt)}
    for name, gradient in have.items():
        (wanted,) = torch.autograd.grad(loss.value, leaves[name], retain_graph=True)
        assert_close(gradient, wanted, BOUND[dtype], name)


def schedule_gradients(case: Case, loss: Loss, kappa: Tensor, rates: Tensor) -> dict[str, Tensor]:
    """By the step, <kappa, rate> / dt; by the two-step weights, <kappa / s, what each multiplies>."""
    last = case.dt[-1].detach()
    cotangents = kappa / last.movedim(-1, 0).reshape(len(case.u), 1, -1, 1) if last.ndim else kappa / last
    factors = [rates]
    if case.method.family == "general-linear":
        states = torch.stack(loss.states).detach().unsqueeze(1)
        factors = [states[:-2], states[1:-1], rates]
    products = [(cotangents * factor).sum((1, 3)) for factor in factors]  # (steps, batch)
    by_shape = {0: lambda x: x.sum(), 1: lambda x: x.sum(1), 2: lambda x: x.T}
    return {f"dt[{i}]": by_shape[last.ndim](product) for i, product in enumerate(products)}


def moved_halves(case: Case) -> list[tuple[slice, slice]]:
    """Rows and columns of K, within a group, of every evaluation of a step."""
    if case.method.family != "shears":
        return [(slice(None), slice(None))] * (len(case.method.b) or 1)
    half = case.y.shape[-1] // 2
    halves = [slice(None, half), slice(half, None)]
    return [(halves[half], halves[1 - half]) for half in case.method.moved]


def weight_gradient(case: Case, preactivation: Tensor, sources: Tensor) -> Tensor:
    total = torch.zeros(case.groups, case.y.shape[-1], case.y.shape[-1], dtype=torch.float64)
    for i, (rows, columns) in enumerate(moved_halves(case)):
        of_stage = torch.einsum("tbgm,tbn->gmn", preactivation[:, i].unflatten(-1, (case.groups, -1)), sources[:, i])
        total[:, rows, columns] += of_stage
    return total.flatten(0, 1)


def control_gradient(case: Case, by_control: Tensor) -> Tensor:
    total = torch.zeros_like(case.u)
    for i, (rows, _) in enumerate(moved_halves(case)):
        total[..., rows] += by_control[:, i]
    return total


# ---- against autograd ----------------------------------------------------------------------------------------------


@crossed({"name": list(METHODS), "groups": [1, 2, 3], "dt": ["number", "time", "batch"], "substeps": [1, 3, 9]})
def test_every_scheme_number_of_groups_and_step(name: str, groups: int, dt: str, substeps: int) -> None:
    """Seven steps: the first of a chunk need not be the first after an output."""
    compare(make_case(METHODS[name], groups=groups, dt=dt), substeps)


@crossed({"name": list(METHODS), "shape": range(len(SHAPES)), "dtype": list(BOUND)})
def test_every_shape(name: str, shape: int, dtype: torch.dtype) -> None:
    """Among them several blocks of rows and rows that are not a whole number of vectors."""
    compare(make_case(METHODS[name], shape=SHAPES[shape], dt="batch"), 2, dtype)


@pytest.mark.parametrize("name", ["euler", "kutta3", "two-step"])
def test_a_field_that_does_not_see_the_state_itself(name: str) -> None:
    compare(make_case(METHODS[name], damping=0.0), 1)


@pytest.mark.parametrize("name", METHODS)
def test_nothing_but_the_last_state(name: str) -> None:
    """Without a trajectory's gradient, and without a carried one, both are zero; the number of threads is no matter."""
    case = make_case(METHODS[name], groups=1, damping=0.0)
    half = case.y.shape[-1] // (2 if METHODS[name].family == "shears" else 1)
    derivative = torch.rand(7, len(METHODS[name].b) or 1, 5, half, dtype=torch.float64)
    two = METHODS[name].family == "general-linear"
    dt = TwoStepWeights(0.5, 0.4, 0.2) if two else 0.2
    zero = torch.zeros(7, 5, 14, dtype=torch.float64)
    arguments = (case.y.detach(), case.weight.detach(), derivative, dt, METHODS[name])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    short = native.recursion(*arguments)
    torch.set_num_threads(threads + 2)
    long = native.recursion(*arguments, trajectory=zero, carried=zero[0] if two else None)
    torch.set_num_threads(threads)
    for a, b in zip(short, long, strict=True):
        assert a is b is None or (a is not None and b is not None and torch.equal(a, b))


# ---- refusals ------------------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "lambda_": torch.zeros(3, 6),
    "weight": torch.zeros(12, 6),
    "preactivation_derivative": torch.zeros(4, 1, 3, 12),
    "dt": 0.1,
    "method": EULER,
}


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"lambda_": torch.zeros(3, 6, dtype=torch.float16)}, TypeError, "`lambda_` has dtype"),
        ({"lambda_": torch.zeros(0, 6)}, ValueError, "`lambda_` has shape"),
        ({"weight": torch.zeros(9, 6)}, ValueError, "`weight` has shape"),
        ({"weight": torch.zeros(6, 12).T}, ValueError, "`weight` is not contiguous"),
        ({"preactivation_derivative": torch.zeros(4, 3, 12)}, ValueError, "`preactivation_derivative` has shape"),
        ({"preactivation_derivative": torch.zeros(0, 1, 3, 12)}, ValueError, "with one step at least"),
        ({"preactivation_derivative": torch.zeros(4, 1, 3, 6)}, ValueError, "`preactivation_derivative` has shape"),
        ({"state_derivative": torch.zeros(4, 1, 3, 12)}, ValueError, "`state_derivative` has shape"),
        ({"trajectory": torch.zeros(4, 3, 6), "substeps": 3}, ValueError, "`trajectory` has shape"),
        ({"substeps": 0}, ValueError, "`substeps` is 0"),
        ({"carried": torch.zeros(3, 6)}, ValueError, "`carried` is given and `family` is 'runge-kutta'"),
        ({"dt": TwoStepWeights(0.1, 0.1, 0.1)}, ValueError, "give the step alone"),
        ({"dt": torch.zeros(5)}, ValueError, "`dt` has shape"),
        ({"method": LINEAR_METHODS["leapfrog-midpoint"]}, ValueError, r"give the method's weights \(e, w, s\)"),
        ({"method": Method("runge-kutta", (0.0,), (), ())}, ValueError, "`b` is empty"),
        ({"method": Method("runge-kutta", (0.0,), (1.0, 2.0), ())}, ValueError, "`a` has 1 entries"),
        ({"method": splitting((2,), (1.0,), (0.0,))}, ValueError, "`moved` has the entry 2"),
        ({"method": LEAPFROG, "lambda_": torch.zeros(3, 5)}, ValueError, "need an even number"),
        (
            {"method": splitting((1,), (1.0,), (0.0,)), "state_derivative": torch.zeros(4, 1, 3, 6)},
            ValueError,
            "does not depend on the half that it moves",
        ),
    ],
)
def test_bad_arguments_are_named(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        native.recursion(**{**GOOD, **changed})
