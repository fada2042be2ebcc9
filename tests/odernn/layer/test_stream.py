"""Law: a stream gives the numbers of the whole sequence, for every solver, and carries on where it was left."""

import copy
from typing import Any

import pytest
import torch

from odernn import FIELDS, ODERNN, EngineWarning, NoisyField, PartitionedField, RecurrentState, SemilinearField
from solvers import SOLVERS, DivergenceError, DivergenceWarning, Euler, Need, make_solver

DOUBLE = torch.float64
NEEDED = {None: "antisymmetric", Need.PARTITION: "hamiltonian", Need.LINEAR_PART: "lipschitz"}
ROUNDING: dict[str, Any] = {"rtol": 1e-11, "atol": 1e-12}  # the same operations on few numbers, in another grouping


ENGINES = ["torch", pytest.param("auto", marks=pytest.mark.kernels)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("solver", [name for name in SOLVERS if make_solver(name).needs is not Need.DIFFUSION])
def test_sample_after_sample_is_the_whole(solver: str, hold: str, engine: str) -> None:
    method = make_solver(solver)
    field = FIELDS[NEEDED[method.needs]](2, 4, dtype=DOUBLE)
    assert method.needs is None or isinstance(field, PartitionedField | SemilinearField)
    rnn = ODERNN(field, method, dt=0.2, substeps=2, hold=hold, engine=engine, adjoint="autograd")
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    whole, _ = rnn(x)
    stream = rnn.stream(3)
    torch.testing.assert_close(torch.stack([stream(sample) for sample in x]), whole.detach(), **ROUNDING)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("name", [name for name in FIELDS if name != "lem"])  # it sees the state itself
@pytest.mark.kernels
def test_every_field_in_the_kernels(name: str, hold: str, dtype: torch.dtype) -> None:
    field = FIELDS[name](3, 10, dtype=dtype)
    method = make_solver("leapfrog" if name == "hamiltonian" else "rk4")
    rnn = ODERNN(field, method, dt=0.2, hold=hold, engine="native")
    whole, _ = rnn(x := torch.randn(6, 7, 3, dtype=dtype))
    stream = rnn.stream(7)
    assert stream.engine == "native"
    # Both are the same kernels; float32 sums of 10 terms, six steps on, in the same order.
    torch.testing.assert_close(torch.stack([stream(sample) for sample in x]), whole.detach(), rtol=1e-6, atol=1e-7)


def test_noise_has_the_seed_of_the_stream() -> None:
    field = NoisyField(FIELDS["antisymmetric"](2, 4, dtype=DOUBLE), additive=0.1).train()
    rnn, x = ODERNN(field, make_solver("euler-maruyama"), dt=0.1), torch.randn(4, 3, 2, dtype=DOUBLE)
    outcomes = []
    for _ in range(2):
        torch.manual_seed(3)
        stream = rnn.stream(3)
        outcomes.append(torch.stack([stream(sample) for sample in x]))
    assert torch.equal(*outcomes)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_goes_on_from_a_state_and_its_state_goes_on_elsewhere(engine: str) -> None:
    field, solver = FIELDS["antisymmetric"](2, 4, dtype=DOUBLE), make_solver("leapfrog-midpoint")
    rnn = ODERNN(field, solver, dt=0.2, substeps=2, hold="linear", engine=engine)
    x = torch.randn(6, 3, 2, dtype=DOUBLE)
    whole, _ = rnn(x)
    _, state = rnn(x[:2], rnn.initial_state(3))
    stream = rnn.stream(state)
    middle = torch.stack([stream(sample) for sample in x[2:4]])
    rest, _ = rnn(x[4:], stream.state)
    torch.testing.assert_close(torch.cat((middle, rest)), whole[2:], **ROUNDING)


@pytest.mark.parametrize(
    "last_step", [0.05, torch.tensor(0.05, dtype=DOUBLE), torch.tensor([[0.05], [0.2]], dtype=DOUBLE)]
)
def test_the_two_step_rule_goes_on_from_a_step_of_another_length(last_step: float | torch.Tensor) -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4, dtype=DOUBLE), make_solver("leapfrog-midpoint"), dt=0.2)
    y, previous, x = (torch.randn(2, n, dtype=DOUBLE) for n in (4, 4, 2))
    state = RecurrentState(y, carry=(previous, last_step))
    expected, _ = rnn.step(x, state)
    torch.testing.assert_close(rnn.stream(state)(x), expected.detach(), **ROUNDING)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_of_a_state_that_lie_anywhere(engine: str) -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](3, 4), Euler(), dt=0.1, engine=engine)
    y, x = torch.randn(4, 5).T, torch.randn(3, 5).T
    expected, _ = rnn.step(x, RecurrentState(y))
    torch.testing.assert_close(rnn.stream(RecurrentState(y))(x), expected.detach())


@pytest.mark.parametrize("engine", ENGINES)
def test_it_keeps_the_weights_of_its_making_and_no_graph(engine: str) -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), Euler(), dt=0.1, hold="linear", engine=engine)
    x = torch.randn(1, 2, requires_grad=True)
    stream, other = rnn.stream(), rnn.stream()
    first = stream(x)
    assert not first.requires_grad
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.mul_(3)
    assert torch.equal(other(x), first)
    assert not torch.equal(rnn.stream()(x), first)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_stops_being_finite_is_told(engine: str) -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), Euler(), dt=0.1, engine=engine)
    stream = rnn.stream()
    stream(torch.ones(1, 2))
    with pytest.raises(DivergenceError, match=r"t = 0\.1"):
        stream(torch.full((1, 2), float("nan")))
    rnn.on_divergence = "ignore"
    assert rnn.stream()(torch.full((1, 2), float("nan"))).isnan().all()


def test_a_step_that_needs_a_gradient_and_a_late_time() -> None:
    dt = torch.tensor(0.01, requires_grad=True)
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("rk4"), dt=dt, hold="linear")
    late = RecurrentState(torch.zeros(1, 4), t=1e4, control=torch.ones(1, 4))
    stream, x = rnn.stream(late), torch.ones(1, 2)
    y = stream(x)
    assert not y.requires_grad
    # The fraction of the interval is right to 1e4 / 0.01 units in the last place of float64, not of float32.
    torch.testing.assert_close(y, rnn.step(x, late)[0].detach(), rtol=1e-5, atol=1e-7)


def test_its_layers_checks_are_its_own() -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), Euler(), dt=0.1, on_divergence="warn", check_input=True)
    with pytest.raises(ValueError, match="`x` is not finite"):
        rnn.stream()(torch.full((1, 2), float("nan")))
    rnn.check_input = False
    with pytest.warns(DivergenceWarning, match="stopped being finite"):
        rnn.stream()(torch.full((1, 2), float("nan")))


def test_a_generator_of_noise_goes_on() -> None:
    generator = torch.Generator().manual_seed(0)
    field = NoisyField(FIELDS["antisymmetric"](2, 4), additive=0.1, generator=generator).train()
    rnn, x = ODERNN(field, make_solver("euler-maruyama"), dt=0.1), torch.zeros(1, 2)
    assert not torch.equal(rnn.stream()(x), rnn.stream()(x))


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_value_that_is_not_finite_is_seen(engine: str, value: float) -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 20), Euler(), dt=0.1, engine=engine)
    y = torch.zeros(2, 20)
    y[1, 18] = value
    with pytest.raises(DivergenceError):
        rnn.stream(RecurrentState(y))(torch.zeros(2, 2))


@pytest.mark.parametrize("engine", ENGINES)
def test_numbers_whose_sum_overflows_are_finite(engine: str) -> None:
    rnn = ODERNN(FIELDS["unstructured"](2, 4), Euler(), dt=0.1, engine=engine)
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.zero_()
    y = torch.full((1, 4), 0.9 * torch.finfo(torch.float32).max)
    assert torch.equal(rnn.stream(RecurrentState(y))(torch.zeros(1, 2)), y)


def test_what_the_kernels_do_not_take_goes_by_torch() -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("implicit-midpoint"), dt=0.1, adjoint="autograd")
    assert rnn.stream().engine == "torch"
    assert ODERNN(FIELDS["antisymmetric"](2, 4), Euler(), dt=0.1, engine="torch").stream().engine == "torch"
    native = ODERNN(FIELDS["antisymmetric"](2, 4), make_solver("implicit-midpoint"), dt=0.1, engine="native")
    with pytest.warns(EngineWarning, match="no operator for ImplicitMidpoint"):
        native.stream()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_copy_goes_its_own_way(engine: str) -> None:
    rnn, x = ODERNN(FIELDS["antisymmetric"](2, 4), Euler(), dt=0.1, engine=engine), torch.randn(3, 1, 2)
    stream = rnn.stream()
    stream(x[0])
    other = copy.deepcopy(stream)
    first, second = stream(x[1]), stream(x[2])
    del stream
    assert torch.equal(other(x[1]), first)
    assert torch.equal(other(x[2]), second)


def test_bad_arguments() -> None:
    rnn = ODERNN(FIELDS["antisymmetric"](2, 4), Euler(), dt=0.1)
    with pytest.raises(ValueError, match="`state` is 0"):
        rnn.stream(0)
    with pytest.raises(ValueError, match="samples of shape"):
        rnn.stream(2)(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"`state\.y` has shape"):
        rnn.stream(RecurrentState(torch.zeros(2, 5)))
    with pytest.raises(ValueError, match="no end"):
        ODERNN(rnn.field, Euler(), dt=torch.full((4,), 0.1)).stream()
