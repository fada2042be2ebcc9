"""Law: a call with one wrong argument is refused by an error that names it; a valid one is a plain loop in float64."""

import inspect
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from odernn import (
    FIELDS,
    GRURNN,
    HOLDS,
    ODERNN,
    AntisymmetricField,
    AntisymmetricRNN,
    Discretisation,
    ElmanRNN,
    NoisyField,
    RecurrentState,
    SkewSymmetric,
    Stream,
)
from solvers import RK4, Euler, make_solver

DOUBLE = torch.float64
TIME, BATCH, INPUT, HIDDEN = 4, 3, 2, 4
nan, inf = float("nan"), float("inf")

NEVER: tuple[Any, ...] = ([], {}, object(), 1j, b"rk4", nn.Linear(1, 1), slice(3))
"""What no argument takes."""
NUMBERS = (*NEVER, nan, inf, -inf, -1.0, 10**400, True, "0.1", None, torch.zeros(2, 2, 2, dtype=DOUBLE))
COUNTS = (*NUMBERS, 0, 1.5, 2.0)
FLAGS = (*NEVER, 1, 0, None, "yes", nan, torch.tensor(True))
NAMES = (*NEVER, "magic", "", 1, nan, None)
STEPS = (
    *(*NEVER, nan, inf, 0, -0.1, 10**400, True, "0.1", torch.tensor(True), torch.tensor(-1.0)),
    *(torch.tensor(nan), torch.ones(TIME, dtype=torch.int64), torch.ones(1, 1, 1), torch.ones(TIME) * 1j),
)
CALL_STEPS = (*STEPS, torch.ones(TIME + 1), torch.ones(TIME, BATCH), torch.ones(TIME, device="meta"), torch.ones(0))
SAMPLE_STEPS = (*STEPS, torch.ones(BATCH), torch.ones(1, device="meta"))
INPUTS = (
    *(*NEVER, None, 3, "x", torch.zeros(()), torch.zeros(TIME, BATCH, INPUT + 1, dtype=DOUBLE)),
    *(torch.zeros(TIME, BATCH, INPUT), torch.zeros(TIME, BATCH, INPUT, dtype=torch.int64)),
    *(torch.zeros(1, TIME, BATCH, INPUT, dtype=DOUBLE), torch.zeros(TIME, BATCH, INPUT, dtype=DOUBLE, device="meta")),
    torch.zeros(TIME, BATCH, INPUT, dtype=DOUBLE).to_sparse(),
)
SAMPLES = (*INPUTS, torch.zeros(INPUT + 1, dtype=DOUBLE))
_state: Callable[..., Any] = RecurrentState
Y = torch.zeros(BATCH, HIDDEN, dtype=DOUBLE)
STATES = (
    *(*NEVER, 0.5, "state", Y[:, :1], _state(Y[:, :1]), _state(Y.float())),
    *(_state(None), _state(Y, "now"), _state(Y, nan), _state(Y, torch.zeros(2, 1))),
    *(_state(Y, torch.tensor(1)), _state(Y, carry=3), _state(Y, carry=("a",))),
    *(_state(Y, carry=(nan,)), _state(Y, control=2), _state(Y, control=Y[0])),
    *(_state(Y.to("meta")), _state(Y, control=Y.to("meta"))),
    _state(Y, carry=(Y, 0.1), solver="AdamsBashforth2()"),
)
STAMPS = (
    *(*NEVER, 3.0, "now", torch.tensor(1.0), torch.tensor(True), torch.ones(TIME, dtype=torch.bool)),
    *(torch.arange(TIME), torch.ones(TIME), torch.arange(TIME, 0, -1.0), torch.tensor([1.0, 2.0, nan, 4.0])),
    *(torch.arange(1.0, TIME), torch.ones(1, 1, 1), torch.arange(1.0, TIME + 1, device="meta")),
)
MASKS = (
    *(*NEVER, True, 3, torch.ones(TIME, BATCH), torch.ones(TIME, dtype=torch.bool), torch.tensor(True)),
    *(torch.ones(TIME + 1, BATCH, dtype=torch.bool), torch.ones(TIME, BATCH, dtype=torch.bool, device="meta")),
)
LENGTHS = (
    *({}, object(), 1j, b"rk4", 3, "3", [1, 2], [1, 2, 5], [0, 1, 2], [-1, 1, 1], [1.0, 2, 3], [True, 1, 2]),
    *(torch.ones(BATCH), torch.ones(BATCH, dtype=torch.bool), torch.tensor([1, 2]), torch.tensor([4, 5, 1])),
)
FIELDS_WRONG = (*NEVER, None, "antisymmetric", AntisymmetricField)
SOLVERS_WRONG = (*NAMES, RK4, make_solver("leapfrog"))
WRONG: dict[str, Sequence[Any]] = {
    **dict.fromkeys(("input_size", "hidden_size", "size", "substeps", "num_layers"), COUNTS),
    **dict.fromkeys(("mask", "resets"), MASKS),
    "lengths": LENGTHS,
    "truncate": [count for count in COUNTS if count is not None],
    "dropout": (*(number for number in NUMBERS if number is not True), 1.5),
    "nonlinearity": NAMES,
    **dict.fromkeys(
        ("damping", "sigma", "sigma_w", "sigma_v", "sigma_a", "epsilon", "gamma", "beta", "beta_w"), NUMBERS
    ),
    **dict.fromkeys(("damping_w", "additive", "multiplicative"), NUMBERS),
    **dict.fromkeys(("batch_first", "check_input", "gated", "bias", "bidirectional"), FLAGS),
    **dict.fromkeys(("engine", "on_divergence", "adjoint", "hold", "save"), NAMES),
    "solver": SOLVERS_WRONG,
    "field": FIELDS_WRONG,
    "dt": STEPS,
    "x": INPUTS,
    "y0": (*STATES, RecurrentState(Y[:1]), torch.zeros(1, BATCH, HIDDEN + 1, dtype=DOUBLE), Y),
    "state": STATES,
    "timestamps": STAMPS,
    "generator": (*NEVER, 3, "seed", torch.Generator),
    "increments": ([], 3, 1j, "path"),
    "batch_size": COUNTS,
    "discretisation": (*NEVER, None, 3),
}


def field() -> AntisymmetricField:
    return AntisymmetricField(INPUT, HIDDEN, dtype=DOUBLE)


def layer(**options: Any) -> ODERNN:
    return ODERNN(field(), **({"solver": Euler(), "dt": 0.1, "hold": "linear"} | options))


def x() -> Tensor:
    return torch.randn(TIME, BATCH, INPUT, dtype=DOUBLE)


SIZES: dict[str, Any] = {"input_size": INPUT, "hidden_size": HIDDEN}
SCHEME = {"field": field(), "hold": HOLDS["linear"], "solver": Euler(), "dt": 0.1}
OWN = {"dt": (*STEPS, torch.tensor(0.1), None), "hold": (*NEVER, "linear", None), "solver": (*NEVER, "rk4", RK4)}
CALLABLES: list[tuple[Callable[..., Any], dict[str, Any], dict[str, Sequence[Any]]]] = [
    (ODERNN, {"field": field(), "solver": "rk4", "dt": 0.1}, {"dt": (*STEPS, None)}),
    (AntisymmetricRNN, {**SIZES, "epsilon": 0.1, "gamma": 0.1}, {}),
    (ElmanRNN, SIZES, {}),
    (GRURNN, SIZES, {}),
    (
        AntisymmetricRNN(INPUT, HIDDEN, 2, dtype=DOUBLE).forward,
        {"x": x()},
        {"y0": (*STATES, RecurrentState(Y)), "dt": CALL_STEPS},
    ),
    (SkewSymmetric, {"size": 3, "sigma": 1.0}, {}),
    (NoisyField, {"field": field()}, {"field": (*FIELDS_WRONG, NoisyField(field()))}),
    (Discretisation, SCHEME, OWN),
    (Stream, {"discretisation": Discretisation(**SCHEME), "state": RecurrentState(Y)}, {"state": (*STATES, 3, None)}),
    *((kind, SIZES, {}) for name, kind in FIELDS.items() if "oscillator" not in name),
    (layer().forward, {"x": x()}, {"dt": CALL_STEPS}),
    (layer(batch_first=True).forward, {"x": x().transpose(0, 1)}, {}),
    (
        layer().step,
        {"x": x()[0]},
        {"x": SAMPLES, "state": (*STATES, RecurrentState(Y[:1]), 3), "dt": (*STEPS, torch.ones(3))},
    ),
    (layer().stream, {}, {"state": (*STATES, 0, -1)}),
    (layer().stream(BATCH).__call__, {"x": x()[0]}, {"x": (*SAMPLES, x()[0, :1], x()[0, 0])}),
    (layer().initial_state, {}, {}),
    (layer().choice, {"x": x()}, {}),
    (layer().with_solver, {"solver": Euler()}, {"substeps": [c for c in COUNTS if c is not None], "hold": NAMES[:-1]}),
]


def cases(how_many: int) -> list[tuple[Callable[..., Any], dict[str, Any], str, Any]]:
    """Calls of which one argument is wrong."""
    draw, found = random.Random(0), []
    for call, valid, own in CALLABLES:
        wrong = WRONG | own
        names = [name for name in inspect.signature(call).parameters if name in wrong]
        assert names, call
        for _ in range(how_many):
            name = draw.choice(names)
            found.append((call, valid, name, draw.choice(wrong[name])))
    return found


def test_one_wrong_argument_is_named() -> None:
    fallen = []
    for call, valid, name, value in cases(200):
        shown = f"{getattr(call, '__qualname__', call)}({name}={str(value)[:40]!r})"
        try:
            call(**(valid | {name: value}))
        except (TypeError, ValueError, NotImplementedError) as error:
            if f"`{name}" not in str(error):
                fallen.append(f"{shown}: {type(error).__name__}: {str(error)[:100]}")
        except Exception as error:
            fallen.append(f"{shown}: {type(error).__name__}: {str(error)[:100]}")
        else:
            fallen.append(f"{shown}: accepted")
    assert not fallen, f"{len(fallen)} of them: " + "\n".join(sorted(set(fallen)))


def loop(rnn: ODERNN, x: Tensor, dt: Tensor, substeps: int, y: Tensor) -> Tensor:
    """Euler's method on the field's equation, (time, batch) steps, zero-order hold."""
    outputs = []
    for sample, steps in zip(x, dt, strict=True):
        u = rnn.field.control(sample)
        for _ in range(substeps):
            y = y + steps.unsqueeze(-1) / substeps * rnn.field(torch.zeros(()), y, u)
        outputs.append(y)
    return torch.stack(outputs)


@pytest.mark.parametrize("seed", range(60))
def test_a_valid_call_is_a_plain_loop(seed: int) -> None:
    draw = random.Random(seed)
    time, batch, inputs, hidden = (draw.randint(1, 6) for _ in range(4))
    name = draw.choice([name for name in FIELDS if "oscillator" not in name])
    kind: Callable[..., Any] = FIELDS[name]
    substeps = draw.randint(1, 3)
    rnn = ODERNN(
        kind(inputs, 2 * hidden, dtype=DOUBLE),
        draw.choice(["euler", Euler()]),
        dt=draw.choice([0.1, torch.tensor(0.1), nn.Parameter(torch.tensor(0.1))]),
        substeps=substeps,
        batch_first=draw.random() < 0.5,
        adjoint=draw.choice(["auto", "autograd", "discrete", "checkpointed"]),
    )
    x = torch.randn(time, batch, inputs, dtype=DOUBLE)
    steps = torch.rand(batch, time, dtype=DOUBLE) + 0.1
    given = draw.choice([None, 0.2, steps, steps[0]])
    dt = torch.as_tensor(rnn.dt if given is None else given, dtype=DOUBLE).detach()
    y0 = draw.choice([None, torch.randn(1, batch, 2 * hidden, dtype=DOUBLE)])
    start = torch.zeros(batch, 2 * hidden, dtype=DOUBLE) if y0 is None else y0[0]
    wanted = loop(rnn, x, dt.expand(batch, time).T, substeps, start)
    output, y_n = rnn(x.transpose(0, 1) if rnn.batch_first else x, y0, dt=given)
    assert output is not None
    # 1e-6: a float32 dt of 0.1 is taken as it is, the plain loop's is the same; the sums are float64's
    torch.testing.assert_close(output.transpose(0, 1) if rnn.batch_first else output, wanted, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(y_n[0], wanted[-1], rtol=1e-6, atol=1e-9)
