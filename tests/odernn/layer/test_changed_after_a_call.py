"""Law: nothing of a call is kept that a change afterwards should reach: the next call is that of a new layer."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

from odernn import ODERNN, AntisymmetricField, LinearAntisymmetricField, UnstructuredField, VectorField
from solvers import SOLVERS

DOUBLE = torch.float64


class _Twice(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def _field(seed: int) -> AntisymmetricField:
    torch.manual_seed(seed)
    return AntisymmetricField(2, 4, dtype=DOUBLE)


def _set_map(rnn: ODERNN) -> None:
    torch.manual_seed(2)
    rnn.field.input_map = _Twice(2, 4, dtype=DOUBLE)


def _more(module: nn.Module, given: object, value: Tensor) -> Tensor:
    return value + 1


def _hook(where: str) -> Callable[[ODERNN], object]:
    return lambda rnn: rnn.field.get_submodule(where).register_forward_hook(_more)


def _hook_before(rnn: ODERNN) -> None:
    _map(rnn).register_forward_pre_hook(lambda module, given: (given[0] + 1,))


def _map(rnn: ODERNN) -> nn.Linear:
    return cast(nn.Linear, rnn.field.get_submodule("input_map"))


class _Plus(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def _parametrise(where: str, name: str) -> Callable[[ODERNN], object]:
    return lambda rnn: parametrize.register_parametrization(rnn.field.get_submodule(where), name, _Plus())


def _prune(rnn: ODERNN) -> None:
    torch.manual_seed(3)
    prune.random_unstructured(_map(rnn), "weight", 0.5)


def _put_in(where: str, name: str) -> Callable[[ODERNN], object]:
    """Another function of that name in the instance, twice what the class's gives."""

    def change(rnn: ODERNN) -> None:
        module = rnn.field.get_submodule(where)
        own = getattr(module, name)
        setattr(module, name, lambda *given: 2 * own(*given))

    return change


class _Leaky(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return super().pointwise(y, p, u) - 0.3 * y


class _Squared(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    def control(self, x: Tensor) -> Tensor:
        return super().control(x * x)


class _Negative(Tensor):
    """As a weight it is its negative."""

    @classmethod
    def __torch_function__(cls, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        if func is nn.functional.linear:
            x, weight, bias = args
            return func(x, -weight.as_subclass(Tensor), bias)
        return super().__torch_function__(func, types, args, kwargs or {})  # pyright: ignore[reportArgumentType]


def _set_weight(rnn: ODERNN) -> None:
    _map(rnn).weight = nn.Parameter(_map(rnn).weight.detach().as_subclass(_Negative))


def _set_attribute(rnn: ODERNN) -> None:
    weight = _map(rnn).weight.detach().as_subclass(_Negative)
    del _map(rnn).weight
    vars(_map(rnn))["weight"] = weight


def _hide_weight(rnn: ODERNN) -> None:
    """The parameter stays where it is, and an attribute of the instance comes before it."""
    vars(_map(rnn))["weight"] = _map(rnn).weight.detach().as_subclass(_Negative)


_SINE = type(AntisymmetricField.activation)("tanh", 1, lambda p, u: torch.sin(p + u))

CHANGES: dict[str, Callable[[ODERNN], object]] = {
    "dt": lambda rnn: setattr(rnn, "dt", 0.3),
    "a tensor dt": lambda rnn: setattr(rnn, "dt", torch.tensor(0.3, dtype=DOUBLE)),
    "substeps": lambda rnn: setattr(rnn, "substeps", 3),
    "solver": lambda rnn: setattr(rnn, "solver", "euler"),
    "hold": lambda rnn: setattr(rnn, "hold", "linear"),
    "field": lambda rnn: setattr(rnn, "field", _field(5)),
    "damping": lambda rnn: setattr(rnn.field, "damping", 0.5),
    "input_map": _set_map,
    "a hook": _hook("input_map"),
    "a hook before": _hook_before,
    "a hook of the field": _hook(""),
    "a hook of the matrix": _hook("recurrent"),
    "a parametrisation": _parametrise("input_map", "weight"),
    "a parametrisation of the matrix": _parametrise("recurrent", "upper"),
    "pruning": _prune,
    "forward of the map": _put_in("input_map", "forward"),
    **{f"{name} in the instance": _put_in("", name) for name in ("control", "pointwise", "weight", "forward")},
    "the activation": lambda rnn: setattr(rnn.field, "activation", _SINE),
    "the class, another pointwise": lambda rnn: setattr(rnn.field, "__class__", _Leaky),
    "the class, another control": lambda rnn: setattr(rnn.field, "__class__", _Squared),
    "a weight of another class": _set_weight,
    "a weight of another class that is not a parameter": _set_attribute,
    "a weight of another class that hides the parameter": _hide_weight,
}


@pytest.mark.parametrize("engine", ["torch", "auto"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_next_call_is_that_of_a_layer_that_was_never_called(change: str, engine: str) -> None:
    """Bit by bit: the same operations."""
    called = ODERNN(_field(0), "rk4", dt=0.1, engine=engine)
    fresh = deepcopy(called)
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    before, _ = called(x)
    for rnn in (called, fresh):
        CHANGES[change](rnn)
    after, _ = called(x)
    torch.testing.assert_close(after, fresh(x)[0], rtol=0, atol=0)
    assert not torch.equal(after, before)


OF_CLASSES: dict[str, tuple[type, str, object]] = {
    "pointwise": (AntisymmetricField, "pointwise", lambda self, y, p, u: torch.sin(p + u)),
    "control": (AntisymmetricField, "control", lambda self, x: -self.input_map(x)),
    "forward": (AntisymmetricField, "forward", lambda self, t, y, u: -y),
    "weight": (AntisymmetricField, "weight", lambda self: -self.recurrent()),
    "call": (AntisymmetricField, "__call__", lambda self, t, y, u: -y),
    "activation": (AntisymmetricField, "activation", _SINE),
    "linear": (nn.Linear, "forward", lambda self, x: -nn.functional.linear(x, self.weight, self.bias)),
}


@pytest.mark.parametrize("engine", ["torch", "auto"])
@pytest.mark.parametrize("change", OF_CLASSES)
def test_a_function_that_is_put_into_a_class(change: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called, x = ODERNN(_field(0), "rk4", dt=0.1, engine=engine), torch.randn(5, 3, 2, dtype=DOUBLE)
    before, _ = called(x)
    monkeypatch.setattr(*OF_CLASSES[change])
    after, _ = called(x)
    torch.testing.assert_close(after, ODERNN(_field(0), "rk4", dt=0.1, engine=engine)(x)[0], rtol=0, atol=0)
    assert not torch.equal(after, before)


@pytest.mark.parametrize("adjoint", ["auto", "autograd"])
def test_a_parametrisation_afterwards_is_built_once_a_call(adjoint: str) -> None:
    """An implicit method asks for K and for the linear part, which are made of one matrix."""
    builds: list[int] = []

    class Counted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            builds.append(1)
            return x

    field = LinearAntisymmetricField(2, 4, dtype=DOUBLE)
    rnn, x = ODERNN(field, "implicit-midpoint", dt=0.1, adjoint=adjoint), torch.randn(5, 3, 2, dtype=DOUBLE)
    rnn(x)
    parametrize.register_parametrization(field.recurrent, "upper", Counted())
    builds.clear()
    rnn(x)
    assert len(builds) == 1


@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_a_hook_of_all_modules(engine: str) -> None:
    called, x = ODERNN(_field(0), "rk4", dt=0.1, engine=engine), torch.randn(5, 3, 2, dtype=DOUBLE)
    before, _ = called(x)
    hook = nn.modules.module.register_module_forward_hook(
        lambda module, given, value: value + 1 if isinstance(module, nn.Linear) else None
    )
    try:
        after, _ = called(x)
        torch.testing.assert_close(after, ODERNN(_field(0), "rk4", dt=0.1, engine=engine)(x)[0], rtol=0, atol=0)
    finally:
        hook.remove()
    assert not torch.equal(after, before)
    torch.testing.assert_close(called(x)[0], before, rtol=0, atol=0)


def _backward_hook(rnn: ODERNN) -> None:
    _map(rnn).register_full_backward_hook(lambda module, by_x, by_u: tuple(None if g is None else 2 * g for g in by_x))


def _backward_pre_hook(rnn: ODERNN) -> None:
    _map(rnn).register_full_backward_pre_hook(lambda module, by_u: tuple(None if g is None else 2 * g for g in by_u))


OF_GRADIENTS: dict[str, Callable[[ODERNN], object]] = {
    "a backward hook": _backward_hook,
    "a backward pre-hook": _backward_pre_hook,
    "frozen": lambda rnn: _map(rnn).weight.requires_grad_(False),
    "all frozen": lambda rnn: rnn.requires_grad_(False),
}


@pytest.mark.parametrize("engine", ["torch", "auto"])
@pytest.mark.parametrize("change", OF_GRADIENTS)
def test_the_next_gradients_are_those_of_a_layer_that_was_never_called(change: str, engine: str) -> None:
    called = ODERNN(_field(0), "rk4", dt=0.1, engine=engine)
    fresh = deepcopy(called)
    x = torch.randn(5, 3, 2, dtype=DOUBLE, requires_grad=True)

    def gradients(rnn: ODERNN) -> list[Any]:
        leaves = [x, *rnn.parameters()]
        asked = [leaf for leaf in leaves if leaf.requires_grad]
        return list(torch.autograd.grad(rnn(x)[0].sin().sum(), asked))

    before = gradients(called)
    for rnn in (called, fresh):
        OF_GRADIENTS[change](rnn)
    after = gradients(called)
    torch.testing.assert_close(after, gradients(fresh), rtol=0, atol=0)
    assert len(after) != len(before) or not all(map(torch.equal, after, before))


def test_solver_after_solver() -> None:
    """A solver that is gone may leave its place in memory to the next, which is not taken for it."""
    x, rnn = torch.randn(5, 3, 2, dtype=DOUBLE), ODERNN(_field(0), "rk4", dt=0.1)
    names = ["euler", "heun", "rk4", "midpoint", "kutta3", "adams-bashforth2"]
    assert set(names) <= set(SOLVERS)
    wanted = {name: ODERNN(rnn.field, name, dt=0.1)(x)[0] for name in names}
    for name in 6 * names:
        rnn.solver = SOLVERS[name]()  # pyright: ignore[reportCallIssue, reportArgumentType]
        torch.testing.assert_close(rnn(x)[0], wanted[name], rtol=0, atol=0)


def _reasons(rnn: ODERNN, x: Tensor) -> tuple[str, str, str]:
    choice = rnn.choice(x)
    return choice.engine, type(choice.adjoint).__name__, choice.reason


def _wide(rnn: ODERNN) -> None:
    rnn.field = AntisymmetricField(2, 1025)


OF_THE_CHOICE: dict[str, tuple[Callable[[ODERNN], object], dict[str, Any]]] = {
    "engine": (lambda rnn: setattr(rnn, "engine", "torch"), {}),
    "adjoint": (lambda rnn: setattr(rnn, "adjoint", "autograd"), {}),
    "dtype": (lambda rnn: rnn.to(torch.bfloat16), {"dtype": torch.bfloat16}),
    "device": (lambda rnn: rnn.to("meta"), {"device": "meta"}),
    "width": (_wide, {}),
    "a hook": (_hook("input_map"), {}),
    "a part called as a function": (lambda rnn: rnn.field.add_module("linear_blocks", nn.Identity()), {}),
}


@pytest.mark.parametrize("change", OF_THE_CHOICE)
def test_the_next_choice_is_that_of_a_layer_that_was_never_called(change: str) -> None:
    rnn = ODERNN(AntisymmetricField(2, 4), "rk4", dt=0.1)
    x = torch.randn(5, 3, 2)
    rnn(x)
    before = _reasons(rnn, x)
    do, kind = OF_THE_CHOICE[change]
    do(rnn)
    x = x.to(**kind)
    after = _reasons(rnn, x)
    assert after == _reasons(deepcopy(rnn), x)
    assert after != before
    rnn(x)


def test_a_copy_and_a_pickle_of_a_layer_that_was_called() -> None:
    rnn, x = ODERNN(_field(0), "rk4", dt=0.1), torch.randn(5, 3, 2, dtype=DOUBLE)
    size = len(pickle.dumps(rnn))
    output, _ = rnn(x)
    text = pickle.dumps(rnn)
    assert len(text) == size  # nothing of a call is in it
    for other in (deepcopy(rnn), pickle.loads(text)):
        torch.testing.assert_close(other(x)[0], output, rtol=0, atol=0)
        other.engine = "torch"
        assert (other.choice(x).engine, rnn.choice(x).engine) == ("torch", "native")


class _Switched(UnstructuredField):  # pyright: ignore[reportGeneralTypeIssues]
    """Its activation is each instance's."""

    sine = False

    @property
    def activation(self) -> Any:
        return _SINE if self.sine else UnstructuredField.activation


def test_what_a_class_leaves_to_its_instances_is_asked_of_them() -> None:
    field: VectorField = _Switched(2, 4, dtype=DOUBLE)
    rnn, x = ODERNN(field, "rk4", dt=0.1), torch.randn(5, 3, 2, dtype=DOUBLE)
    before, _ = rnn(x)
    field.sine = True
    after, _ = rnn(x)
    torch.testing.assert_close(after, ODERNN(field, "rk4", dt=0.1, adjoint="autograd")(x)[0])
    assert not torch.equal(after, before)
