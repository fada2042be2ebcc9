"""Law: on a linear part of blocks every method gives autograd's numbers and gradients, on every engine."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, ODERNN, RecurrentState
from odernn.engines import native
from odernn.engines.method import EULER, Method, exponential
from odernn.engines.operators import NATIVE, TORCH
from odernn.engines.program import Call
from solvers import (
    SOLVERS,
    Checkpointed,
    ExplicitRungeKutta,
    ExponentialRungeKutta,
    ExponentialTableau,
    LinearlyExactEuler,
    make_solver,
)
from tests.pairs import crossed

DOUBLE = torch.float64
# Sums of some hundred products of numbers of size ten, in another order; of float32, whose tanh is within 3 ulp.
ROUNDING: dict[torch.dtype, dict[str, Any]] = {
    DOUBLE: {"rtol": 1e-10, "atol": 1e-10},
    torch.float32: {"rtol": 1e-3, "atol": 2e-3},
}
BANKS = [name for name in FIELDS if "oscillator" in name]
TABLEAUS = [name for name, solver in SOLVERS.items() if issubclass(solver, ExplicitRungeKutta)]
EXPONENTIAL = [name for name, solver in SOLVERS.items() if issubclass(solver, ExponentialRungeKutta)]
DENSE = ("lipschitz", "linear-antisymmetric")
PAIRS = [
    *((field, solver) for field in BANKS for solver in EXPONENTIAL),
    *(("gated-oscillator", solver) for solver in TABLEAUS),
    *((field, "linearly-exact-euler") for field in DENSE),
]
EACH = ["torch", pytest.param("native", marks=pytest.mark.kernels)]
FULL = pytest.mark.full  # one of one stage and one of two stand for the others
each_engine = pytest.mark.parametrize("engine", EACH)


def layer(field: str, solver: str, *, units: int = 6, dtype: torch.dtype = DOUBLE, **facts: Any) -> ODERNN:
    torch.manual_seed(0)
    made = FIELDS[field](2, units, dtype=DOUBLE)
    torch.nn.init.normal_(made.get_submodule("input_map").bias)
    return ODERNN(made.to(dtype), make_solver(solver), **({"dt": 0.3} | facts))


def gradients(rnn: ODERNN, *, batch: int = 3, uneven: bool = False, cut: int = 3) -> list[Tensor]:
    """The trajectory in two parts, and the gradients by everything."""
    torch.manual_seed(1)
    units, dtype = rnn.field.hidden_size, next(rnn.parameters()).dtype
    x, y0, weights = (torch.randn(*s, dtype=DOUBLE) for s in ((7, batch, 2), (batch, units), (7, batch, units)))
    dt = 0.2 + 0.2 * torch.rand(7, dtype=DOUBLE)
    x, y0, weights, dt = (each.to(dtype) for each in (x, y0, weights, dt))
    asked = [each.requires_grad_() for each in (x, y0, *([dt] if uneven else []))]
    early, state = rnn(x[:cut], RecurrentState(y0), **({"dt": dt[:cut]} if uneven else {}))
    late, _ = rnn(x[cut:], state, **({"dt": dt[cut:]} if uneven else {}))
    output = torch.cat((early, late))
    return [output, *torch.autograd.grad((output * weights).sum(), [*asked, *rnn.parameters()])]


def agree(found: list[Tensor], wanted: list[Tensor]) -> None:
    for got, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.double(), expected, **ROUNDING[got.dtype])


def runs_as_an_operator(rnn: ODERNN) -> bool:
    return type(rnn.choice(torch.randn(7, 3, 2, dtype=next(rnn.parameters()).dtype)).adjoint).__name__ == "Operator"


@crossed(
    {
        "field, solver": PAIRS,
        "hold": ["zero-order", "linear"],
        "substeps": [1, 3],
        "dtype": list(ROUNDING),
        "engine": EACH,
    }
)
def test_agrees_with_autograd(
    field: str, solver: str, hold: str, substeps: int, dtype: torch.dtype, engine: str
) -> None:
    facts = {"hold": hold, "substeps": substeps}
    rnn = layer(field, solver, dtype=dtype, engine=engine, **facts)
    assert runs_as_an_operator(rnn)
    agree(gradients(rnn), gradients(layer(field, solver, adjoint="autograd", **facts)))


@each_engine
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("solver", [*EXPONENTIAL, "rk4"])
def test_steps_that_differ_from_sample_to_sample(solver: str, hold: str, engine: str) -> None:
    """The matrices are then one set an interval; gradients flow to dt through them and beside them."""
    facts = {"hold": hold, "substeps": 2}
    rnn = layer("gated-oscillator", solver, engine=engine, **facts)
    assert runs_as_an_operator(layer("gated-oscillator", solver, engine=engine, **(facts | {"dt": torch.rand(7)})))
    wanted = layer("gated-oscillator", solver, adjoint="autograd", **facts)
    agree(gradients(rnn, uneven=True), gradients(wanted, uneven=True))


@crossed({"solver": EXPONENTIAL, "units": [2, 10, 34, 66], "engine": EACH})
def test_halves_that_are_no_whole_vectors_and_a_batch_of_several_blocks(solver: str, units: int, engine: str) -> None:
    rnn, wanted = (layer("oscillator", solver, units=units, **f) for f in ({"engine": engine}, {"adjoint": "autograd"}))
    agree(gradients(rnn, batch=41), gradients(wanted, batch=41))


@pytest.mark.parametrize(
    "solver",
    [name if name in ("exponential-euler", "etdrk2") else pytest.param(name, marks=FULL) for name in EXPONENTIAL],
)
def test_several_chunks_of_the_torch_engine(solver: str) -> None:
    """So many rows of six units that the evaluations in at most four intervals fill one."""
    rows = 1 << 15
    rnn = layer("oscillator", solver, hold="linear", engine="torch")
    wanted = layer("oscillator", solver, hold="linear", adjoint="autograd")
    agree(gradients(rnn, batch=rows), gradients(wanted, batch=rows))


@each_engine
@pytest.mark.parametrize("solver", EXPONENTIAL)
def test_checkpointed_in_parts(solver: str, engine: str) -> None:
    within = layer("oscillator", solver).adjoint
    rnn = layer("oscillator", solver, engine=engine, adjoint=Checkpointed(every=2, within=within))
    agree(gradients(rnn), gradients(layer("oscillator", solver, adjoint="autograd")))


@crossed({"field, solver": PAIRS, "hold": ["zero-order", "linear"], "engine": EACH})
def test_a_stream_gives_the_same(field: str, solver: str, hold: str, engine: str) -> None:
    rnn = layer(field, solver, engine=engine, hold=hold, substeps=2)
    x, stream = torch.randn(5, 3, 2, dtype=DOUBLE), rnn.stream(3)
    assert stream.engine == engine
    found = torch.stack([stream(each) for each in x])
    torch.testing.assert_close(found, rnn(x)[0].detach(), rtol=0, atol=1e-13)  # five steps of numbers of size one


@crossed({"solver": [*EXPONENTIAL, "kutta3"], "uneven": [False, True], "engine": EACH})
def test_gradcheck(solver: str, uneven: bool, engine: str) -> None:
    rnn = layer("oscillator", solver, units=4, hold="linear", engine=engine, substeps=2)
    x, y0 = (torch.randn(*shape, dtype=DOUBLE, requires_grad=True) for shape in ((3, 2, 2), (1, 2, 4)))
    dt = (torch.rand(3, dtype=DOUBLE) * 0.3 + 0.1).requires_grad_()
    asked = (x, y0, *([dt] if uneven else []), *rnn.parameters())
    assert torch.autograd.gradcheck(lambda *_: rnn(x, y0, dt=dt if uneven else None)[0], asked, fast_mode=True)


@pytest.mark.kernels
@pytest.mark.parametrize("solver", EXPONENTIAL)
def test_threads_change_nothing_but_the_order_of_sums(solver: str) -> None:
    rnn, before, found = layer("gated-oscillator", solver, engine="native"), torch.get_num_threads(), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        found.append(gradients(rnn, batch=13))
    torch.set_num_threads(before)
    for other in found[1:]:
        assert torch.equal(other[0], found[0][0])
        agree(other, found[0])


@pytest.mark.parametrize(
    ("field", "solver", "dt", "reason"),
    [
        ("oscillator", "etdrk2", torch.rand(3, 7), "one `dt` for all sequences of a batch"),
        ("lipschitz", "linearly-exact-euler", torch.rand(7), "a `dt` that is a number"),
        ("lipschitz", "etdrk2", 0.1, "ETDRK2 on LipschitzField, whose linear part is a dense matrix"),
    ],
)
def test_what_has_no_such_form_is_autograd_with_a_reason(field: str, solver: str, dt: Any, reason: str) -> None:
    choice = layer(field, solver, dtype=torch.float32, dt=dt).choice(torch.randn(7, 3, 2))
    assert type(choice.adjoint).__name__ == "Autograd"
    assert reason in choice.reason


# ---- the operators -------------------------------------------------------------------------------------------------


def method_of(tableau: ExponentialTableau) -> Method:
    return exponential(tableau.flow_entries, tableau.a_entries, tableau.b_entries, tableau.c)


def call(solver: str, *, steps: int, matrices: int | None = None, units: int = 4) -> Call:
    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=DOUBLE).requires_grad_()

    kind = SOLVERS[solver]
    assert issubclass(kind, ExponentialRungeKutta)
    tableau = kind.tableau
    count = len(tableau.functions) if matrices is None else matrices
    return Call(
        y0=normal(3, units),
        weight=normal(units, units),
        samples=normal(5, 3, 2),
        method=method_of(tableau),
        dt=(0.1 + 0.1 * torch.rand(5, dtype=DOUBLE)).requires_grad_(),
        input_weight=normal(units, 2),
        bias=normal(units),
        substeps=2,
        blocks=normal(steps, count, 2, 2, units // 2),
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own while it traces
@crossed(
    {
        "solver": EXPONENTIAL,
        "steps": [1, 5],
        "namespace": [TORCH, pytest.param(NATIVE, marks=pytest.mark.kernels)],
    },
    strength=1,
)
def test_opcheck(solver: str, steps: int, namespace: str) -> None:
    """Schema, fake shapes, autograd and tracing, as torch checks them, with blocks of any kind."""
    operator = getattr(torch.ops, namespace).solve.default
    arguments = (*call(solver, steps=steps).arguments(), True)
    assert set(torch.library.opcheck(operator, arguments).values()) == {"SUCCESS"}


@crossed(
    {
        "solver": EXPONENTIAL,
        "steps": [1, 5],
        "namespace": [TORCH, pytest.param(NATIVE, marks=pytest.mark.kernels)],
    }
)
def test_gradcheck_by_blocks_that_are_no_functions_of_one_matrix(solver: str, steps: int, namespace: str) -> None:
    """Blocks that are not rotations, and do not commute, tell an entry from its mirror image."""
    given = call(solver, steps=steps).arguments()
    places = [i for i, each in enumerate(given) if isinstance(each, Tensor) and each.requires_grad]

    def outputs(*tensors: Tensor) -> tuple[Tensor, ...]:
        arguments = list(given)
        for place, tensor in zip(places, tensors, strict=True):
            arguments[place] = tensor
        return getattr(torch.ops, namespace).solve(*arguments, True)

    assert torch.autograd.gradcheck(outputs, tuple(given[place] for place in places), fast_mode=True)


ONE = method_of(LinearlyExactEuler.tableau)


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"blocks": None}, ValueError, "`blocks` is missing"),
        ({"method": EULER}, ValueError, "only 'exponential' has matrices"),
        ({"blocks": torch.zeros(2, 1, 2, 2, 2, dtype=DOUBLE)}, ValueError, r"`blocks` has shape \[2, 1, 2, 2, 2\]"),
        ({"blocks": torch.zeros(1, 1, 2, 2, 3, dtype=DOUBLE)}, ValueError, "`blocks` has shape"),
        ({"blocks": torch.zeros(1, 1, 2, 2, 2)}, TypeError, "`blocks` has dtype"),
        ({"blocks": torch.zeros(1, 2, 2, 2, 1, dtype=DOUBLE).mT}, ValueError, "`blocks` has shape"),
        ({"method": replace(ONE, places=(-1, 1, -1, -1))}, ValueError, "`places` has the entry 1"),
        ({"method": replace(ONE, places=(-1, -2, -1, -1))}, ValueError, "`places` has the entry -2"),
        ({"method": replace(ONE, places=(0,))}, ValueError, "`places` has 1 entries; a tableau of 1 stages has 4"),
        ({"method": Method("exponential", (1.0,), (1.0,), (0.0,), places=(-1,) * 4)}, ValueError, "lower triangular"),
        ({"kind": "linear-plus-tanh", "weight": torch.zeros(8, 4, dtype=DOUBLE)}, ValueError, "give 'tanh'"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        native.solve(replace(call("linearly-exact-euler", steps=1), **change), save=False)


@pytest.mark.kernels
def test_an_odd_state_has_no_halves() -> None:
    shapes = {"y0": (3, 5), "weight": (5, 5), "input_weight": (5, 2), "bias": (5,)}
    odd = {name: torch.zeros(shape, dtype=DOUBLE) for name, shape in shapes.items()}
    with pytest.raises(ValueError, match="2 x 2 blocks need an even number"):
        native.solve(replace(call("linearly-exact-euler", steps=1), **odd), save=False)
