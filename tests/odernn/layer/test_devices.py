"""Law: a network is the same however it came to its tensors, and lies where its field does, whatever the defaults."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from odernn import FIELDS, ODERNN, SkewSymmetric
from odernn.engines.method import EULER
from odernn.engines.native import is_available
from odernn.engines.program import Call
from solvers import SOLVERS, Need, make_solver
from tests.pairs import crossed
from tests.problems import REPRESENTATIVES

NEEDED = {None: "antisymmetric", Need.PARTITION: "hamiltonian", Need.LINEAR_PART: "lipschitz"}
X = torch.randn(6, 3, 2)
needs_kernels = pytest.mark.skipif(not is_available(), reason="the native kernels cannot be built here")
ENGINES = ["torch", pytest.param("native", marks=needs_kernels)]


def layer(name: str, seed: int = 1, **options: object) -> ODERNN:
    torch.manual_seed(seed)
    return ODERNN(FIELDS[name](2, 4), "rk4", **({"dt": 0.1} | options))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", FIELDS)
def test_made_on_meta_and_loaded_it_is_the_same(name: str) -> None:
    rnn = layer(name, dt=torch.tensor(0.2))
    with torch.device("meta"):
        other = layer(name, dt=torch.tensor(0.3))
    with pytest.raises(ValueError, match="on meta"):
        other(X)
    other.load_state_dict(rnn.state_dict(), assign=True)
    assert torch.equal(other(X)[0], rnn(X)[0])
    empty = layer(name, seed=2, dt=torch.tensor(0.3)).to_empty(device="cpu")
    empty.load_state_dict(rnn.state_dict())
    assert torch.equal(empty(X)[0], rnn(X)[0])


def test_a_matrix_without_its_initialisation() -> None:
    matrix = SkewSymmetric(5, 1.0)
    other = nn.utils.skip_init(SkewSymmetric, 5, 1.0)
    other.load_state_dict(matrix.state_dict())
    assert torch.equal(other(), matrix())
    assert not list(matrix.buffers())


@pytest.mark.parametrize("name", FIELDS)
def test_the_average_of_a_network_that_stays_is_that_network(name: str) -> None:
    rnn = layer(name)
    average = AveragedModel(rnn, use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(0.9999))
    for _ in range(3):
        average.update_parameters(rnn)
    torch.testing.assert_close(average.module(X)[0], rnn(X)[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_one_parameter_left_on_meta_is_named(engine: str) -> None:
    rnn = layer("antisymmetric", engine=engine)
    rnn.field.input_map.bias = nn.Parameter(torch.empty(4, device="meta"))  # pyright: ignore
    for call in (rnn, rnn.choice):
        with pytest.raises(ValueError, match=r"the field's `input_map\.bias` on meta"):
            call(X)
    with pytest.raises(ValueError, match=r"the field's `input_map\.bias` on meta"):
        rnn.step(X[0])


@pytest.mark.parametrize("namespace", ["odernn_torch", "odernn_native"])
def test_an_operator_refuses_a_tensor_without_values(namespace: str) -> None:
    call = Call(torch.zeros(3, 4), torch.zeros(4, 4), X, EULER, 0.1, torch.zeros(4, 2), torch.empty(4, device="meta"))
    with pytest.raises(ValueError, match="lie on cpu, meta"):
        getattr(torch.ops, namespace).solve(*call.arguments(), True)


@crossed(
    {
        "solver": REPRESENTATIVES,
        "hold": ["zero-order", "linear"],
        "adjoint": ["auto", "autograd"],
    },
    where=lambda solver, hold, adjoint: make_solver(solver).needs is not Need.DIFFUSION,
    once={"solver": REPRESENTATIVES},
    full={"solver": list(SOLVERS)},
)
def test_the_defaults_change_nothing(solver: str, hold: str, adjoint: str) -> None:
    rnn = layer(NEEDED[make_solver(solver).needs], hold=hold, adjoint=adjoint).with_solver(solver)
    stamps = torch.arange(1.0, 7)

    def outcomes() -> list[torch.Tensor]:
        output, state = rnn(X, rnn.initial_state(3))
        again, _ = rnn(X, state, timestamps=stamps + 1)
        stream = rnn.stream(3)
        gradients = torch.autograd.grad(output.square().sum(), list(rnn.parameters()))  # pyright: ignore
        found = [output, again, rnn.step(X[0])[0], stream(X[0]), *gradients]
        return [one.detach() for one in found if one is not None]

    wanted = outcomes()
    with torch.device("meta"):
        on_meta = outcomes()
    torch.set_default_dtype(torch.float64)
    try:
        in_double = outcomes()
    finally:
        torch.set_default_dtype(torch.float32)
    for found in (on_meta, in_double):
        assert all(map(torch.equal, found, wanted))
