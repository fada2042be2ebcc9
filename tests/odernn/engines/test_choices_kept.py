"""Law: an engine that decides by a problem's kind is asked once a kind, and any other in each call."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, AntisymmetricField, Engine, EngineWarning, OscillatorField, UnstructuredField
from odernn.engines.problem import Storage
from odernn.engines.torch import operators as by_torch
from odernn.extend import Operands, Program, RecurrentProblem, register_engine
from solvers import RK4, Euler, ExponentialEuler

DOUBLE = torch.float64
PROGRAMS: list[Program] = []
"""Those that have run."""
ASKED: list[RecurrentProblem] = []
"""The problems that the engine was asked about."""


def solve(operands: Operands, program: Program, save: bool) -> tuple[Tensor, ...]:
    """As the torch engine does."""
    PROGRAMS.append(program)
    return by_torch.solve(operands, replace(program, products="float32"), save)


@dataclass(frozen=True)
class Kept(Engine):
    """It takes everything."""

    name: ClassVar[str] = "kept"
    namespace: ClassVar[str] = "odernn_tests_kept"
    heeds_autocast: ClassVar[bool] = True
    decides_by_kind: ClassVar[bool] = True

    def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
        """Never."""
        ASKED.append(problem)
        return None


@dataclass(frozen=True)
class Moody(Engine):
    """What it says changes from call to call."""

    name: ClassVar[str] = "moody"
    namespace: ClassVar[str] = "odernn_tests_kept"

    def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
        """At each second call."""
        ASKED.append(problem)
        return "it is not in the mood" if len(ASKED) % 2 == 0 else None


@cache
def registered(engine: type[Engine]) -> Engine:
    if engine is Kept:
        register_engine(Kept.namespace, solve, by_torch.pull_back)
    else:
        registered(Kept)
    return engine()


def layer(field: Any = AntisymmetricField, engine: type[Engine] = Kept) -> ODERNN:
    torch.manual_seed(0)
    ASKED.clear()
    PROGRAMS.clear()
    return ODERNN(field(2, 4, dtype=DOUBLE), RK4(), dt=0.1, engine=registered(engine))


def inputs(time: int = 5, batch: int = 3, dtype: torch.dtype = DOUBLE) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(time, batch, 2, dtype=dtype)


def test_problems_of_one_kind() -> None:
    """Values, the batch, the length, the state, the step and the gradients are not of the kind."""
    rnn = layer()
    rnn(inputs())
    rnn(inputs(7, 2), torch.ones(1, 2, 4, dtype=DOUBLE))
    rnn(inputs(), dt=0.3)
    rnn(inputs().requires_grad_(), save="end")
    with torch.no_grad():
        rnn(inputs())
        rnn.field.get_parameter("input_map.weight").mul_(2)
    rnn.requires_grad_(False)(inputs())
    assert len(ASKED) == 1
    assert len(PROGRAMS) == 6
    with pytest.warns(EngineWarning, match="the batch is empty"):
        rnn(inputs()[:, :0])
    assert (len(ASKED), len(PROGRAMS)) == (1, 6)


def _autocast() -> Any:
    return torch.autocast("cpu", torch.bfloat16)


OTHER_KINDS: dict[str, Callable[[ODERNN], object]] = {
    "field": lambda rnn: setattr(rnn, "field", UnstructuredField(2, 4, dtype=DOUBLE)),
    "width": lambda rnn: setattr(rnn, "field", AntisymmetricField(2, 6, dtype=DOUBLE)),
    "solver": lambda rnn: setattr(rnn, "solver", Euler()),
    "hold": lambda rnn: setattr(rnn, "hold", "linear"),
    "substeps": lambda rnn: setattr(rnn, "substeps", 2),
    "a step each": lambda rnn: setattr(rnn, "dt", torch.full((5,), 0.1, dtype=DOUBLE)),
    "a step each and row": lambda rnn: setattr(rnn, "dt", torch.full((3, 5), 0.1, dtype=DOUBLE)),
    "dtype": lambda rnn: rnn.float(),
}


@pytest.mark.parametrize("change", OTHER_KINDS)
def test_another_kind(change: str) -> None:
    rnn = layer()
    rnn(inputs())
    OTHER_KINDS[change](rnn)
    for _ in range(2):
        rnn(inputs(dtype=next(rnn.parameters()).dtype))
    assert len(ASKED) == 2


def test_products_are_of_the_kind() -> None:
    rnn, told = layer(), []
    for around in (nullcontext, _autocast, nullcontext, _autocast):
        with around():
            rnn(inputs())
        told.append(PROGRAMS[-1].products)
    assert told == 2 * ["float32", "bfloat16"]
    assert len(ASKED) == 2


def test_what_the_control_goes_through_is_of_the_kind() -> None:
    rnn = layer()
    rnn(inputs())
    (problem,) = ASKED
    squashed = replace(problem, control=problem.control._replace(squashed=True))
    runner: Any = rnn.integrator().runner
    runner.solve(squashed, "end")
    runner.solve(problem, "end")
    assert [program.squash for program in PROGRAMS] == ["identity", "tanh", "identity"]


def test_sequences_of_several_lengths_have_no_kind() -> None:
    """Their program says in which order what they save is."""
    layer()(inputs())
    (problem,) = ASKED
    assert problem.kind is not None
    assert replace(problem, storage=Storage(torch.arange(15), torch.full((3,), 5))).kind is None


def test_a_step_a_row_where_it_goes_into_matrices() -> None:
    """RK4 on blocks takes one set of matrices, and with a step a row another form; Euler's exponential one has none."""
    rnn, rows = layer(OscillatorField), torch.linspace(0.1, 0.2, 15, dtype=DOUBLE).reshape(3, 5)
    rnn.engine = "auto"
    for solver in (RK4(), ExponentialEuler()):
        rnn.solver = solver
        for dt in (0.1, rows, 0.2, rows[0], rows):
            found, _ = rnn(inputs(), dt=dt)
            wanted, _ = ODERNN(rnn.field, solver, dt=dt, adjoint="autograd")(inputs())
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-13)  # float64, numbers below ten


def test_an_engine_that_decides_by_more_is_asked_in_each_call() -> None:
    rnn = layer(engine=Moody)
    engines = [rnn.choice(inputs()).engine for _ in range(4)]
    assert engines == ["moody", "torch", "moody", "torch"]


@pytest.mark.parametrize("engine", ["torch", "auto"])
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own, at its first jvp
def test_transforms_after_a_call(engine: str) -> None:
    """They go by autograd, whatever was chosen before; so do tangents of forward mode."""
    torch.manual_seed(0)
    rnn = ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), RK4(), dt=0.1, engine=engine)
    x, v = inputs(), torch.randn_like(inputs())

    def last(x: Tensor) -> Tensor:
        return rnn(x)[1]

    jacobian = torch.autograd.functional.jacobian(last, x)
    assert isinstance(jacobian, Tensor)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(transform(last)(x), jacobian)
    torch.testing.assert_close(torch.vmap(last)(torch.stack((x, v))), torch.stack((last(x), last(v))))
    with torch.autograd.forward_ad.dual_level():
        dual = last(torch.autograd.forward_ad.make_dual(x, v))
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    torch.testing.assert_close(tangent, torch.einsum("abctuv,tuv->abc", jacobian, v))


def test_a_control_that_the_layer_computes_after_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """While torch exports to ONNX the layer computes the control itself, whatever an engine could make."""
    rnn = layer()
    found = [rnn(inputs())[0]]
    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
        found.append(rnn(inputs())[0])
    found.append(rnn(inputs())[0])
    for each in found[1:]:
        torch.testing.assert_close(each, found[0], rtol=0, atol=1e-14)  # float64, the sum over two features


def test_a_compiled_call_reads_nothing_of_what_is_kept() -> None:
    graphs: list[Any] = []

    def backend(graph: torch.fx.GraphModule, given: object) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    rnn = layer()
    rnn.engine = "auto"
    compiled = torch.compile(rnn, fullgraph=True, backend=backend)
    first, _ = compiled(inputs())
    for dt in (0.1, torch.full((5,), 0.1, dtype=DOUBLE)):
        rnn(inputs(), dt=dt)
    torch.testing.assert_close(compiled(inputs())[0], first, rtol=0, atol=0)
    assert len(graphs) == 1
