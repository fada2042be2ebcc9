"""Law: torch's transforms, compiler, threads, in-place writes and safe loading meet a layer as they meet nn.RNN."""

import copy
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacfwd, jacrev, stack_module_state, vmap

from odernn import ADJOINTS, FIELDS, HOLDS, ODERNN, AffinePointwiseField, AntisymmetricField, VectorField
from odernn.engines.native import is_available
from solvers import SOLVERS, Checkpointed, DivergenceError, Euler, ImplicitMidpoint, make_adjoint, make_solver
from tests.pairs import crossed

DOUBLE = torch.float64
X = torch.randn(6, 3, 2, dtype=DOUBLE)
needs_kernels = pytest.mark.skipif(not is_available(), reason="the native kernels cannot be built here")
ENGINES = ["torch", pytest.param("native", marks=needs_kernels)]
# torch's own, while it traces: a context variable of its decomposition tables, and its first use of jit.
tracing = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")


class Own(AffinePointwiseField):
    """A field that no operator knows."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.map, self.matrix = nn.Linear(2, 4, dtype=DOUBLE), nn.Parameter(0.3 * torch.randn(4, 4, dtype=DOUBLE))

    def control(self, x: Tensor) -> Tensor:
        return self.map(x)

    def weight(self) -> Tensor:
        return self.matrix

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p + u) - 0.1 * y


def layer(**options: object) -> ODERNN:
    return ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), **({"solver": "rk4", "dt": 0.1} | options))  # pyright: ignore


def output(rnn: ODERNN, x: Tensor, **options: object) -> Tensor:
    found, _ = rnn(x, **options)  # pyright: ignore[reportCallIssue]
    assert found is not None
    return found


@pytest.mark.parametrize("name", FIELDS)
def test_an_ensemble_under_vmap_with_the_default_arguments(name: str) -> None:
    kind: Callable[..., VectorField] = FIELDS[name]
    rnns = [ODERNN(kind(2, 4, dtype=DOUBLE), Euler(), dt=torch.tensor(0.1), check_input=True) for _ in range(3)]
    parameters, buffers = stack_module_state(rnns)  # pyright: ignore[reportArgumentType]
    base = copy.deepcopy(rnns[0])
    found = vmap(lambda p, b: functional_call(base, (p, b), (X,))[0])(parameters, buffers)
    torch.testing.assert_close(found, torch.stack([output(rnn, X) for rnn in rnns]))


@tracing
@pytest.mark.parametrize("steps", [{}, {"dt": torch.full((6,), 0.1)}, {"timestamps": torch.arange(1.0, 7)}])
def test_jacobians_with_the_default_arguments(steps: dict[str, Tensor]) -> None:
    rnn = layer()
    wanted = torch.autograd.functional.jacobian(lambda x: output(rnn, x, **steps), X)
    for transform in (jacrev, jacfwd):
        torch.testing.assert_close(transform(lambda x: output(rnn, x, **steps))(X), wanted)


def test_what_is_refused_without_a_transform_is_refused_under_it() -> None:
    rnn, dt = layer(check_input=True), torch.full((2, 6), 0.1)
    dt[1, 3] = -1
    with pytest.raises(ValueError, match="every step `dt` is finite and above zero"):
        vmap(lambda dt: output(rnn, X, dt=dt))(dt)
    with pytest.raises(ValueError, match="`x` is finite"):
        vmap(lambda x: output(rnn, x))(torch.stack((X, X / 0)))
    rnn.check_input = False
    with pytest.raises(DivergenceError, match="under a transform"):
        vmap(lambda x: output(rnn, x))(torch.stack((X, X / 0)))


@tracing
def test_a_compiled_step_is_not_compiled_at_every_sample() -> None:
    """Once without a state, once with one."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    rnn = layer()
    step, state = torch.compile(rnn.step, backend="eager"), None
    with torch.no_grad():
        for x in torch.randn(8, 3, 2, dtype=DOUBLE):
            _, state = step(x, state)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2


@tracing
@pytest.mark.parametrize("wrong", ["dt", "timestamps", "x"])
def test_a_compiled_call_refuses_what_the_eager_one_refuses(wrong: str) -> None:
    torch.compiler.reset()
    rnn = layer(check_input=True, on_divergence="ignore")
    bad = torch.tensor([0.1, 0.2, 0.1, 0.4, 0.5, float("nan")])
    given = {"x": X.clone()} | ({} if wrong == "x" else {wrong: bad})
    if wrong == "x":
        given["x"][2, 1] = float("inf")
    compiled = torch.compile(rnn, backend="eager", fullgraph=True)
    with pytest.raises(ValueError, match=f"`{wrong}`"):
        rnn(**given)
    with pytest.raises(RuntimeError, match=f"`{wrong}`"):
        compiled(**given)


@crossed(
    {
        "own": [False, True],
        "solver": ["rk4", "leapfrog-midpoint"],
        "adjoint": ["auto", "autograd", "checkpointed", Checkpointed(within=ADJOINTS["discrete"]())],
        "batch_first": [False, True],
        "engine": ENGINES,
    }
)
def test_an_output_may_be_written_into(own: bool, solver: str, adjoint: object, batch_first: bool, engine: str) -> None:
    torch.manual_seed(1)
    field = Own() if own else AntisymmetricField(2, 4, dtype=DOUBLE)
    if engine == "native" and adjoint in ("autograd", "checkpointed"):
        engine = "auto"
    rnn = ODERNN(field, solver, dt=0.1, adjoint=adjoint, batch_first=batch_first, engine=engine)  # pyright: ignore

    def gradients(in_place: bool) -> tuple[Tensor, ...]:
        out, y_n = rnn(X)
        assert out is not None
        out, y_n = (out.relu_(), y_n.mul_(2)) if in_place else (out.relu(), y_n * 2)
        return torch.autograd.grad(out.square().sum() + y_n.sum(), list(field.parameters()))

    for got, wanted in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("adjoint", ["auto", "autograd", "discrete"])
def test_a_parametrised_layer_in_threads(adjoint: str) -> None:
    rnn = layer(adjoint=adjoint)
    nn.utils.parametrizations.weight_norm(rnn.field.input_map)  # pyright: ignore[reportArgumentType]
    parameters = list(rnn.parameters())

    def gradients() -> tuple[Tensor, ...]:
        return torch.autograd.grad(output(rnn, X).square().sum(), parameters)

    wanted, found = gradients(), []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        for _ in range(20):
            found.append(gradients())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    for one in found:
        torch.testing.assert_close(one, wanted)


def test_solvers_adjoints_and_holds_are_hyperparameters_of_a_safe_checkpoint(tmp_path: Path) -> None:
    values = {
        "solvers": [make_solver(name) for name in SOLVERS] + [ImplicitMidpoint(tolerance=1e-6)],
        "adjoints": [make_adjoint(name, ADJOINTS) for name in ADJOINTS] + [Checkpointed(every=3)],
        "holds": list(HOLDS.values()),
    }
    torch.save({"hyper_parameters": values}, tmp_path / "a.ckpt")
    assert torch.load(tmp_path / "a.ckpt", weights_only=True)["hyper_parameters"] == values
