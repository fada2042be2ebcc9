"""Law: torch.compile, torch.export and autocast meet the layer without a graph break and give its numbers."""

from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import (
    ODERNN,
    AffinePointwiseField,
    AntisymmetricField,
    GatedAntisymmetricField,
    HamiltonianField,
    LipschitzField,
    OscillatorField,
    RecurrentState,
    VectorField,
)
from solvers import ETDRK2, RK4, Euler, Leapfrog, LeapfrogMidpoint, LinearlyExactEuler, Solver

NATIVE = pytest.param("native", marks=pytest.mark.kernels)
each_engine = pytest.mark.parametrize("engine", ["torch", NATIVE, "auto"])
# torch's own, while it traces: a context variable of its decomposition tables, and its first use of jit.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")


class Own(AffinePointwiseField):
    """A field that no operator knows."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.state_map, self.input_map = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(2, 4)

    def control(self, x: Tensor) -> Tensor:
        return self.input_map(x)

    def weight(self) -> Tensor:
        return self.state_map.weight

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(p + u) - 0.1 * y


CASES = [
    pytest.param(AntisymmetricField(2, 4), Euler(), "zero-order", id="antisymmetric-euler"),
    pytest.param(GatedAntisymmetricField(2, 4), RK4(), "linear", id="gated-rk4"),
    pytest.param(HamiltonianField(2, 4), Leapfrog(), "zero-order", id="hamiltonian-leapfrog"),
    pytest.param(LipschitzField(2, 4), LeapfrogMidpoint(), "linear", id="lipschitz-leapfrog-midpoint"),
    pytest.param(OscillatorField(2, 4), ETDRK2(), "linear", id="oscillator-etdrk2"),
    pytest.param(LipschitzField(2, 4), LinearlyExactEuler(), "zero-order", id="lipschitz-linearly-exact"),
    pytest.param(Own(), RK4(), "linear", id="own-rk4"),
]


def on_engines(case: Any) -> list[Any]:
    """A case on an engine, one or the other in turn; the first on every one, a field of one's own where it runs."""
    place = CASES.index(case)
    engines = {0: ["torch", NATIVE, "auto"], len(CASES) - 1: ["auto"]}.get(place, [["torch", NATIVE][place % 2]])
    marks = [getattr(engine, "marks", ()) for engine in engines]
    names = [engine if isinstance(engine, str) else "native" for engine in engines]
    return [
        pytest.param(*case.values, name, id=f"{case.id}-{name}", marks=mark)
        for name, mark in zip(names, marks, strict=True)
    ]


ROWS = [each for case in CASES for each in on_engines(case)]


def gradients(call: torch.nn.Module, field: VectorField, x: Tensor) -> list[Tensor]:
    """The outcome, and the gradients by input and parameters."""
    x = x.clone().requires_grad_()
    output, y_n = call(x)
    return [output, *torch.autograd.grad(output.square().sum() + y_n.sum(), [x, *field.parameters()])]


@pytest.mark.parametrize(("field", "solver", "hold", "engine"), ROWS)
@pytest.mark.filterwarnings("ignore:the torch engine runs:odernn.EngineWarning")  # of the call that is not traced
def test_compile_without_a_graph_break(field: VectorField, solver: Solver, hold: str, engine: str) -> None:
    """Traced to the operators forward and backward; what the compiler makes of the rest is not our concern."""
    torch.compiler.reset()
    rnn, x = ODERNN(field, solver, dt=0.1, hold=hold, engine=engine), torch.randn(5, 3, 2)
    compiled = torch.compile(rnn, fullgraph=True, backend="aot_eager")
    for got, wanted in zip(gradients(compiled, field, x), gradients(rnn, field, x), strict=True):
        torch.testing.assert_close(got, wanted)  # the same operators, so float32's own tolerance is wide


@pytest.mark.parametrize("engine", ["torch", NATIVE])
def test_a_compiled_step_and_a_dt_that_needs_a_gradient(engine: str) -> None:
    torch.compiler.reset()
    rnn = ODERNN(AntisymmetricField(2, 4), RK4(), dt=0.1, engine=engine, batch_first=True)
    x, dt = torch.randn(3, 5, 2), (0.1 + 0.1 * torch.rand(3, 5)).requires_grad_()
    compiled = torch.compile(rnn, fullgraph=True, backend="aot_eager")
    found = [torch.autograd.grad(call(x, dt=dt)[1].square().sum(), dt)[0] for call in (rnn, compiled)]
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize(("field", "solver", "hold", "engine"), ROWS[:-1])
def test_export_with_any_length_and_batch(field: VectorField, solver: Solver, hold: str, engine: str) -> None:
    rnn = ODERNN(field, solver, dt=0.1, hold=hold, engine=engine, on_divergence="ignore")
    time, batch = torch.export.Dim("time", min=2), torch.export.Dim("batch", min=2)
    program = torch.export.export(rnn, (torch.randn(5, 3, 2),), dynamic_shapes={"x": {0: time, 1: batch}})
    assert sum("odernn" in str(node.target) for node in program.graph.nodes) == 1
    x = torch.randn(9, 4, 2)
    for got, wanted in zip(program.module()(x), rnn(x), strict=True):
        torch.testing.assert_close(got, wanted)


@each_engine
@pytest.mark.filterwarnings("ignore:the torch engine runs:odernn.EngineWarning")
@pytest.mark.parametrize(("field", "solver", "hold"), CASES)
def test_autocast_keeps_the_recurrence_in_float32(field: VectorField, solver: Solver, hold: str, engine: str) -> None:
    below = torch.nn.Linear(3, 2)
    rnn, x = ODERNN(field, solver, dt=0.1, hold=hold, engine=engine), torch.randn(5, 3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = below(x)
        assert half.dtype == torch.bfloat16
        output, y_n = rnn(half)
        output.square().sum().backward()
    assert output.dtype == y_n.dtype == torch.float32
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in (*field.parameters(), *below.parameters()))
    torch.testing.assert_close(output, rnn(half.float())[0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for one in (rnn.step(half[0])[0], rnn.stream(3)(half[0])):
            torch.testing.assert_close(one, output[0])


@each_engine
def test_a_start_in_half_precision_inside_autocast(engine: str) -> None:
    rnn, x = ODERNN(AntisymmetricField(2, 4), RK4(), dt=0.1, engine=engine), torch.randn(5, 3, 2)
    half = torch.randn(1, 3, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = rnn(x, half)
    torch.testing.assert_close(output, rnn(x, half.float())[0])


@each_engine
def test_chunks_inside_autocast_give_the_whole(engine: str) -> None:
    rnn, x = ODERNN(LipschitzField(2, 4), RK4(), dt=0.1, hold="linear", engine=engine), torch.randn(6, 3, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        whole, _ = rnn(x)
        state, parts = RecurrentState(torch.zeros(3, 4)), []
        for chunk in x.split(2):
            output, state = rnn(chunk, state)
            parts.append(output)
    torch.testing.assert_close(torch.cat(parts), whole)
