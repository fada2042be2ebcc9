"""Law: a call with wrong arguments is refused by an error that names one of them, whichever public name is called."""

import inspect
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import solvers
from solvers import (
    ADJOINTS,
    ETDRK2,
    RK4,
    SOLVERS,
    AffinePointwise,
    BlockDiagonal,
    ButcherTableau,
    Diffusion,
    Euler,
    ExponentialTableau,
    Partition,
    Semilinear,
    Shear,
    Structured,
    TorchdiffeqSolver,
    imaginary_stability,
    integrate,
    make_adjoint,
    make_solver,
    odeint,
    odeint_adjoint,
    odeint_event,
    phi_functions,
    sde_paths,
)

DOUBLE = torch.float64
nan, inf = float("nan"), float("inf")
Y0 = torch.tensor([0.3, -0.8], dtype=DOUBLE)
TIMES = torch.linspace(0, 1, 5, dtype=DOUBLE)


def f(t: Any, y: Tensor) -> Tensor:
    return torch.sin(y) * torch.cos(torch.as_tensor(t)) - 0.3 * y


def event(t: Tensor, y: Tensor) -> Tensor:
    return t - 0.5


def given(values: Sequence[Any]) -> tuple[Any, ...]:
    """The values without None."""
    return tuple(value for value in values if value is not None)


def from_zero(counts: Sequence[Any]) -> tuple[Any, ...]:
    """The wrong counts without zero."""
    return tuple(value for value in counts if not (type(value) is int and value == 0))


NEVER: tuple[Any, ...] = ([], {}, object(), 1j, b"rk4", slice(3), torch.Size, torch.zeros(2, 2, 2, dtype=DOUBLE))
"""What hardly any argument takes."""
NUMBERS = (*NEVER, nan, inf, -inf, 10**400, True, "0.1", None)
POSITIVE = (*NUMBERS, 0, 0.0, -1.0)
COUNTS = (*POSITIVE, 1.5, 2.0, -3, 10**30)
FLAGS = (*NEVER, 1, 0, None, "yes", nan, torch.tensor(True))
NAMES = (*NEVER, "magic", "", 1, nan, RK4, torch.zeros(1))
PARTS = (*NEVER, 3, "part", f, Y0)
FUNCTIONS = ([], {}, object(), 1j, slice(3), 3, "f", None, torch.zeros(2), nan)
RETURNS = tuple(lambda *_, value=value: value for value in (None, 3.0, "y", [1.0, 2.0], torch.ones(3, dtype=DOUBLE)))
"""Functions whose value is not like the state."""
NO_TENSOR = ([], {}, object(), 1j, slice(3), 3.0, None, "y", [Y0])
STATES = (*NO_TENSOR, *(torch.ones(2).to(kind) for kind in (torch.int64, torch.bool, torch.float8_e4m3fn)))
MATRICES = (*NO_TENSOR, Y0, torch.zeros(2, 3), torch.zeros(3, 2))
TIME = (*NO_TENSOR, torch.tensor(1), torch.ones(2, 2), torch.zeros(0), torch.tensor([1j]))
STAMPS = (*TIME, torch.tensor([0.0, 1.0, 0.5]), torch.zeros(2), torch.tensor([0.0, nan]), torch.tensor([0.0, inf]))
TOLERANCES = (
    [],
    {},
    object(),
    1j,
    slice(3),
    "f",
    None,
    nan,
    inf,
    -inf,
    10**400,
    True,
    -1.0,
    torch.tensor(-1.0),
    torch.ones(3),
    (1e-3,),
    torch.tensor(nan),
)
ROWS = (*NEVER, 3, None, "a", nan, ((), (), ()), (1,), ((),), (nan, nan), (None, "b"))

WRONG: dict[str, Sequence[Any]] = {
    **dict.fromkeys(("dt", "limit", "tolerance"), POSITIVE),
    **dict.fromkeys(("max_iterations", "max_num_steps", "every", "chunk", "order"), COUNTS),
    **dict.fromkeys(("nodes", "points"), (*COUNTS, 10**8)),
    **dict.fromkeys(("t0", "t1", "share", "node"), NUMBERS),
    **dict.fromkeys(("kick_sees_p", "drift_sees_q", "active", "reverse_time", "perturb"), FLAGS),
    **dict.fromkeys(("method", "solver", "adjoint", "save", "on_divergence", "calculus", "interp"), NAMES),
    **dict.fromkeys(("f", "func", "drift", "kick", "remainder", "pointwise", "g", "odeint_interface"), FUNCTIONS),
    **dict.fromkeys(("partition", "semilinear", "affine", "diffusion", "brownian"), PARTS),
    **dict.fromkeys(("a", "b", "c", "flows"), ROWS),
    **dict.fromkeys(("rtol", "atol"), TOLERANCES),
    **dict.fromkeys(("adjoint_rtol", "adjoint_atol"), given(TOLERANCES)),
    "adjoint_method": NAMES,
    **dict.fromkeys(("options", "adjoint_options"), (3, "options", [1], {"magic": 1}, {3: 4}, True, Euler)),
    **dict.fromkeys(("first_step", "safety", "ifactor", "dfactor"), given(POSITIVE)),
    **dict.fromkeys(("min_step", "max_step"), (*NEVER, nan, -inf, 10**400, True, "0.1", None, -1.0)),
    **dict.fromkeys(("step_t", "jump_t"), (*NO_TENSOR[:6], "now", torch.tensor([1]))),
    "step_size": (*given(POSITIVE), torch.ones(2), torch.tensor(-1.0), torch.tensor(1)),
    "grid_constructor": ([], {}, object(), 1j, 3, "even", *RETURNS, lambda *_: torch.zeros(3)),
    "max_order": (*COUNTS, 3, 13),
    "norm": ([], object(), 1j, 3, "seminorm", None),
    "dtype": (*NEVER[:-1], "float64", None, 64, torch.int64, torch.bfloat16, torch.complex128),
    "steps": COUNTS,
    "increments": ([], {}, object(), 3, "path", Y0),
    "generator": (*NEVER, 3, "seed"),
    "within": (*NEVER, "magic", "autograd", None, 3, RK4()),
    "backward": (*NEVER, "dopri5", 3, RK4(), TorchdiffeqSolver),
    "registry": (*NEVER[:1], *NEVER[2:], 3, None, "autograd"),
    "y0": STATES,
    "t": STAMPS,
    "ts": (*STAMPS[:3], *STAMPS[4:], "now"),
    "matrix": (*MATRICES, torch.ones(2, 2, dtype=torch.int64)),
    "blocks": (*NO_TENSOR, torch.zeros(2, 2), torch.zeros(3, 2, 4)),
    "linear": NO_TENSOR,
    "weight": NO_TENSOR,
    "highest": from_zero(COUNTS),
    "seed": given(from_zero(COUNTS)),
    "z": ([], {}, object(), b"z", slice(3), "z", None, True, 10**400),
    "adjoint_params": (3, "params", (3,), [None], Y0, 1j),
}
"""By the name of an argument, what it does not take; where a default of None stands for something, without None."""


def options_of(method: str, **valid: Any) -> tuple[Callable[..., Any], dict[str, Any], dict[str, Sequence[Any]]]:
    """The options of a method as arguments."""

    def call(**options: Any) -> Any:
        return odeint(f, Y0, TIMES, method=method, options=options)

    return call, valid, {}


STRUCTURE: dict[str, Any] = {"f": f, "partition": Partition(f, f)}
TABLEAU: dict[str, Any] = {"order": 2, "a": ((), (1.0,)), "b": (0.5, 0.5), "c": (0.0, 1.0)}
EXPONENTIAL = {name: getattr(ETDRK2.tableau, name) for name in ("order", "flows", "a", "b", "c")}
PROBLEM: dict[str, Any] = {"f": f, "y0": Y0, "t1": 1.0, "dt": 0.25, "solver": "rk4"}
ODE: dict[str, Any] = {"func": f, "y0": Y0, "t": TIMES}
FIXED = ODE | {"method": "rk4"}
UNTIL: dict[str, Any] = {"func": f, "y0": Y0, "t0": TIMES[0], "event_fn": event}
RK_EVENT: dict[str, Any] = {"method": "rk4", "options": {"step_size": 0.1}}
NOISY = Structured(f, diffusion=Diffusion(lambda t, y: 0.1 * y))
PATHS: dict[str, Any] = {"f": NOISY, "y0": Y0[None], "ts": [0.0, 0.1], "dt": 0.1, "seed": 3}
SLOPES: dict[str, Sequence[Any]] = {"f": (*FUNCTIONS, *RETURNS)}
FUNCS: dict[str, Sequence[Any]] = {
    "func": (*FUNCTIONS, *RETURNS),
    "event_fn": (*FUNCTIONS[:7], *FUNCTIONS[8:]),
    "t0": (*TIME, torch.tensor(nan)),
}
KINDS = list(dict.fromkeys(SOLVERS.values()))
OWN_TOLERANCE: dict[str, Sequence[Any]] = {"tolerance": [x for x in given(POSITIVE) if x is not inf]}
CALLABLES: list[tuple[Callable[..., Any], dict[str, Any], dict[str, Sequence[Any]]]] = [
    *((kind, {}, OWN_TOLERANCE) for kind in (*KINDS, *ADJOINTS.values())),
    *((make_solver(name).amplification, {"z": 1j}, {}) for name in SOLVERS),
    (Partition, {"drift": f, "kick": f}, {}),
    (Semilinear, {"linear": torch.eye(2), "remainder": f}, {}),
    (AffinePointwise, {"weight": torch.eye(2), "pointwise": f}, {}),
    (Diffusion, {"g": f}, {}),
    (Structured, STRUCTURE, {}),
    (BlockDiagonal, {"blocks": torch.zeros(2, 2, 1)}, {}),
    (BlockDiagonal.of_dense, {"matrix": torch.eye(2)}, {"matrix": (*MATRICES, torch.eye(3))}),
    (Shear, {"kick": True, "share": 0.5, "node": 0.0}, {"kick": FLAGS}),
    (ButcherTableau, TABLEAU, {"order": (*COUNTS, 3, 100)}),
    (ExponentialTableau, EXPONENTIAL, {"order": (*COUNTS, 3, 100)}),
    (integrate, PROBLEM, SLOPES | {"y0": (*STATES, torch.zeros(0)), "dt": (*POSITIVE, 1e-300, 1e-12)}),
    (integrate, PROBLEM | {"solver": "implicit-midpoint", "adjoint": "checkpointed"}, SLOPES),
    (integrate, PROBLEM | {"solver": "leapfrog", "f": Partition(f, f)}, {"y0": (*STATES, torch.zeros(3), Y0[0])}),
    (odeint, ODE, FUNCS),
    (odeint, FIXED, FUNCS),
    (odeint_adjoint, FIXED | {"adjoint_params": ()}, FUNCS),
    (odeint_adjoint, ODE | {"adjoint_params": ()}, FUNCS),
    (odeint_event, UNTIL, FUNCS),
    (odeint_event, UNTIL | RK_EVENT | {"odeint_interface": odeint_adjoint, "adjoint_params": ()}, FUNCS),
    options_of("dopri5", first_step=0.1, min_step=0.0, max_step=1.0, safety=0.9, ifactor=10.0, dfactor=0.2),
    options_of("dopri5", step_t=TIMES[1:2], jump_t=None, max_num_steps=1000, dtype=DOUBLE, norm=torch.linalg.norm),
    options_of("rk4", step_size=0.1, perturb=False, interp="linear"),
    options_of("rk4", grid_constructor=lambda f, y, t: t),
    options_of("explicit_adams", max_order=4),
    (phi_functions, {"matrix": torch.eye(2), "highest": 1}, {}),
    (imaginary_stability, {"solver": RK4(), "points": 10}, {"solver": (*NAMES, "rk4")}),
    (make_solver, {"solver": "rk4"}, {}),
    (make_adjoint, {"adjoint": "autograd"}, {}),
    (sde_paths, PATHS, {"f": (*FUNCTIONS, f, Structured(f)), "y0": (*STATES, Y0), "seed": WRONG["seed"]}),
]
ABSTRACT = {"Adjoint", "ExplicitRungeKutta", "ExponentialRungeKutta", "ImplicitSolver", "ReversibleSolver", "Solver"}
ABSTRACT |= {"SplittingMethod", "StochasticSolver", "Need", "Solution"}
"""What is subclassed, or only handed out."""


def arguments(call: Callable[..., Any], valid: dict[str, Any]) -> list[str]:
    parameters = inspect.signature(call).parameters
    return list(valid) if "options" in parameters and len(parameters) == 1 else list(parameters)


def test_every_public_callable_is_among_them() -> None:
    called = {getattr(call, "__name__", "") for call, *_ in CALLABLES}
    public = {name for name in solvers.__all__ if callable(getattr(solvers, name))}
    errors = {name for name in public if name.endswith(("Error", "Warning"))}
    assert public - called - errors == ABSTRACT


def test_one_wrong_argument_is_named() -> None:
    fallen = [
        fault(call, valid, {name: value})
        for call, valid, own in CALLABLES
        for name in arguments(call, valid)
        for value in (WRONG | own)[name]  # an argument that is not there is one that was forgotten here
    ]
    report(fallen)


def test_one_of_several_wrong_arguments_is_named() -> None:
    draw, fallen = random.Random(0), []
    for call, valid, own in CALLABLES:
        names = arguments(call, valid)
        for _ in range(40 if len(names) > 1 else 0):
            chosen = draw.sample(names, draw.randint(2, min(3, len(names))))
            fallen.append(fault(call, valid, {name: draw.choice(list((WRONG | own)[name])) for name in chosen}))
    report(fallen)


def report(fallen: Sequence[str | None]) -> None:
    found = sorted({each for each in fallen if each})
    assert not found, f"{len(found)} of {len(fallen)}:\n" + "\n".join(found)


def fault(call: Callable[..., Any], valid: dict[str, Any], wrong: dict[str, Any]) -> str | None:
    """What is wrong with how a call with wrong arguments ends, or None."""
    try:
        call(**(valid | wrong))
    except Exception as error:
        if isinstance(error, TypeError | ValueError) and any(f"`{name}" in str(error) for name in wrong):
            return None
        what = f"{type(error).__name__}: {str(error)[:100]}"
    else:
        what = "accepted"
    given = ", ".join(f"{name}={str(value)[:30]!r}" for name, value in wrong.items())
    return f"{getattr(call, '__qualname__', call)}({given}): {what}"
