"""Law: an engine of one's own is a value: two operators, and which problems they take; all else is every engine's."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from odernn import ENGINES, ODERNN, AntisymmetricField, Engine, EngineWarning, UnstructuredField
from odernn.engines.engine import Advance
from odernn.engines.method import EULER
from odernn.engines.native.plan import Plan
from odernn.engines.operators import NATIVE
from odernn.extend import Call, RecurrentProblem
from solvers import RK4, Euler
from tests.odernn.engines.own_engine import CALLS, Loop, loop

DOUBLE = torch.float64
ROUNDING: dict[str, Any] = {"rtol": 0, "atol": 1e-13}  # float64, sums over fifteen rows of numbers below ten


def layer(engine: Engine | str = "torch", field: Any = AntisymmetricField, **options: Any) -> ODERNN:
    torch.manual_seed(0)
    return ODERNN(field(2, 4, dtype=DOUBLE), Euler(), dt=0.1, engine=engine, **options)


def inputs() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(5, 3, 2, dtype=DOUBLE, requires_grad=True)


def answers(rnn: ODERNN, x: Tensor, y0: Tensor, run: Any = None) -> list[Tensor]:
    """The output, the last state, and the gradients of a function of both."""
    output, last = (rnn if run is None else run)(x, y0)
    leaves = [x, y0, *rnn.parameters()]
    return [output, last, *torch.autograd.grad(output.sin().sum() + last.cos().sum(), leaves)]


@pytest.mark.parametrize("field", [AntisymmetricField, UnstructuredField])
def test_its_numbers_and_gradients_are_those_of_autograd(field: Any) -> None:
    x, y0 = inputs(), torch.randn(1, 3, 4, dtype=DOUBLE, requires_grad=True)
    rnn = layer(loop(), field)
    CALLS.clear()
    choice = rnn.choice(x)
    assert (choice.engine, choice.executor) == ("loop", loop())
    assert choice.reason == f"the loop takes {field.__name__}"
    found = answers(rnn, x, y0)
    assert CALLS == ["solve", "pull back"]
    torch.testing.assert_close(found, answers(layer(field=field, adjoint="autograd"), x, y0), **ROUNDING)


def test_it_is_compiled_as_any_engine_is() -> None:
    x, y0 = inputs(), torch.randn(1, 3, 4, dtype=DOUBLE, requires_grad=True)
    rnn = layer(loop())
    CALLS.clear()
    compiled = torch.compile(rnn, fullgraph=True, backend="aot_eager")
    found = answers(rnn, x, y0, compiled)
    assert CALLS == ["solve", "pull back"]
    torch.testing.assert_close(found, answers(layer(), x, y0), **ROUNDING)


def test_it_is_exported() -> None:
    class End(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layer(loop())

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[1]

    module, x = End(), inputs().detach()
    program = torch.export.export(module, (x,))
    assert f"{Loop.namespace}.solve" in program.graph_module.code
    torch.testing.assert_close(program.module()(x), module(x), **ROUNDING)


def test_opcheck() -> None:
    y0, k, v = torch.randn(3, 4), torch.randn(4, 4), torch.randn(4, 2)
    from_zero = {"y0": y0, "weight": k, "samples": torch.randn(5, 3, 2), "input_weight": v, "bias": torch.randn(4)}
    tensors = {name: each.to(DOUBLE).requires_grad_() for name, each in from_zero.items()}
    call = Call(**tensors, dt=0.1, method=EULER)
    operator = getattr(torch.ops, loop().namespace).solve.default
    assert set(torch.library.opcheck(operator, (*call.arguments(), True)).values()) == {"SUCCESS"}


def test_a_second_derivative_goes_by_autograd() -> None:
    def second(engine: Engine | str) -> tuple[Tensor, ...]:
        rnn, x = layer(engine), inputs()
        (slope,) = torch.autograd.grad(rnn(x)[0].sin().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), list(rnn.parameters()))

    torch.testing.assert_close(second(loop()), second("torch"), **ROUNDING)


def test_networks_with_stacked_weights_run_one_after_the_other(capfd: pytest.CaptureFixture[str]) -> None:
    networks, x = [layer(loop()), layer(loop())], inputs().detach()
    networks[1].reset_parameters()
    parameters, _ = torch.func.stack_module_state(networks)  # pyright: ignore[reportArgumentType]
    CALLS.clear()
    output = torch.func.vmap(lambda own: torch.func.functional_call(networks[0], own, (x,))[0])(parameters)
    found = torch.autograd.grad(output.sin().sum(), list(parameters.values()))
    assert CALLS == ["solve", "solve", "pull back", "pull back"]
    assert capfd.readouterr().err == ""  # where torch knows no rule it does the same, and complains
    each = [rnn(x)[0] for rnn in networks]
    torch.testing.assert_close(output, torch.stack(each), **ROUNDING)
    own = [
        torch.autograd.grad(one.sin().sum(), list(rnn.parameters())) for one, rnn in zip(each, networks, strict=True)
    ]
    torch.testing.assert_close(found, tuple(map(torch.stack, zip(*own, strict=True))), **ROUNDING)


@pytest.mark.parametrize("lengths", [[5, 3, 1], [2, 5, 5]])
def test_sequences_of_several_lengths_run_in_pieces(lengths: list[int]) -> None:
    x, ends = inputs(), torch.tensor(lengths)
    CALLS.clear()
    found = layer(loop())(x, lengths=ends)
    assert "solve" in CALLS
    torch.testing.assert_close(found, layer()(x, lengths=ends), **ROUNDING)


def test_a_sequence_in_parts_is_the_whole() -> None:
    rnn, x = layer(loop()), inputs().detach()
    whole, state = rnn(x)[0], rnn.initial_state(3)
    parts = list[Tensor]()
    for part in x.split(2):
        output, state = rnn(part, state)
        parts.append(output)
    torch.testing.assert_close(torch.cat(parts), whole, **ROUNDING)


@pytest.mark.parametrize(
    ("options", "dtype", "reason"),
    [
        ({}, torch.float32, "the loop works in float64"),
        ({"substeps": 2}, DOUBLE, "the loop takes Euler's steps of one length"),
        ({"hold": "linear"}, DOUBLE, "the loop knows tanh, held between samples"),
    ],
)
def test_torch_serves_where_it_refuses(options: dict[str, Any], dtype: torch.dtype, reason: str) -> None:
    rnn, x = layer(loop(), **options).to(dtype), inputs().to(dtype)
    choice = rnn.choice(x)
    assert (choice.engine, choice.reason) == ("torch", reason)
    CALLS.clear()
    with pytest.warns(EngineWarning, match=f"in place of the loop one: {reason}"):
        rnn(x)
    assert not CALLS


def test_of_a_field_that_no_operator_knows_it_does_nothing() -> None:
    class Own(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues] - as somebody may, who does not check
        def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
            return torch.sin(p + u)

    choice = layer(loop(), Own).choice(inputs())
    assert choice.engine == "torch"
    assert "the loop engine has no operator for a field of one's own" in choice.reason


def test_auto_asks_the_registered_ones_only() -> None:
    loop()
    assert layer("auto").choice(inputs()).engine in ENGINES


def test_a_stream_says_that_it_is_not_for_samples() -> None:
    with pytest.warns(EngineWarning, match="the loop engine runs whole sequences"):
        assert layer(loop()).stream(2).engine == "torch"


@pytest.mark.kernels
def test_a_stream_takes_what_prepares_a_call_for_samples() -> None:
    prepared = list[Call]()

    @dataclass(frozen=True)
    class Streaming(Engine):
        name: ClassVar[str] = "streaming"
        namespace: ClassVar[str] = NATIVE

        def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
            return "it takes samples only"

        def stream(self, y: Tensor, *, asked: bool) -> Any:
            assert asked

            def prepare(call: Call) -> Advance:
                prepared.append(call)
                return Plan(call).advance

            return prepare

    stream, x = layer(Streaming()).stream(3), inputs().detach()
    assert (stream.engine, len(prepared)) == ("streaming", 1)
    torch.testing.assert_close(torch.stack([stream(sample) for sample in x]), layer()(x)[0].detach(), **ROUNDING)


def test_layers_with_it_are_copied_and_printed() -> None:
    rnn = layer(loop())
    assert copy.deepcopy(rnn).engine == rnn.engine == loop()
    assert rnn.with_solver(RK4()).engine == loop()
    assert "engine=Loop()" in repr(rnn)


@pytest.mark.parametrize("name", list(ENGINES))
def test_a_registered_engine_is_its_name(name: str) -> None:
    assert layer(ENGINES[name]).engine == name
    assert layer().stream(1).engine in ENGINES


def test_operators_that_torch_knows_stay_the_same_objects() -> None:
    """A counter of products, and whatever else has a table of operators, knows them by identity."""
    known = getattr(torch.ops, loop().namespace).solve
    layer(loop())
    assert getattr(torch.ops, loop().namespace).solve is known


def test_what_is_no_engine_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`engine` is .*Loop.*; give one of 'auto', "):
        layer(Loop)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["auto", *ENGINES])
def test_one_that_is_called_as_another_is_refused(name: str) -> None:
    @dataclass(frozen=True)
    class Impostor(Engine):
        name: ClassVar[str]
        namespace: ClassVar[str] = NATIVE

        def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
            return None

    Impostor.name = name
    with pytest.raises(ValueError, match=f"is called '{name}' as another one is; give it another name"):
        layer(Impostor())


def test_one_without_operators_is_refused() -> None:
    @dataclass(frozen=True)
    class Empty(Engine):
        name: ClassVar[str] = "empty"
        namespace: ClassVar[str] = "odernn_tests_nowhere"

        def refusal(self, problem: RecurrentProblem, *, asked: bool) -> str | None:
            return None

    with pytest.raises(ValueError, match=r"torch\.ops\.odernn_tests_nowhere has no `solve`; call `register_engine`"):
        layer(Empty())


def test_an_adjoint_that_it_does_not_execute_is_refused() -> None:
    with pytest.raises(ValueError, match="`engine` is 'loop' and `adjoint`"):
        layer(loop(), adjoint="reversible")
