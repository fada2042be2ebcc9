"""Law: whatever acts in a call of a module acts in the layer and in its streams: no fast path leaves it out."""

from collections.abc import Callable
from typing import final

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from odernn import (
    FIELDS,
    ODERNN,
    AntisymmetricField,
    CoRNNField,
    HamiltonianField,
    LinearAntisymmetricField,
    UnstructuredField,
    VectorField,
)
from odernn.engines.lowering import Operator
from odernn.engines.weight_blocks import blocks_of
from odernn.fields import TanhField
from solvers import RK4, Euler, Leapfrog, Solver, SymplecticEuler

DOUBLE = torch.float64
# The control is summed in another order, once for all times, in the fast path: some units in the last place.
ROUNDING = {"rtol": 1e-10, "atol": 1e-11}
ENGINES = ["torch", "auto"]


class Adapted(nn.Linear):
    """An adapter: a product of low rank beside the weight."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, dtype=DOUBLE)
        self.down, self.up = nn.Linear(linear.in_features, 1, dtype=DOUBLE), nn.Linear(1, 4, dtype=DOUBLE)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + self.up(self.down(input))


class Noisy(nn.Linear):
    """Noise that has been drawn already, in the call."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + torch.arange(self.out_features, dtype=input.dtype)


def doubled(module: nn.Module, args: object, output: Tensor) -> Tensor:
    return output * 2


def hooked(linear: nn.Linear) -> nn.Module:
    linear.register_forward_hook(doubled)
    return linear


def hooked_before(linear: nn.Linear) -> nn.Module:
    linear.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    return linear


def hooked_backward(linear: nn.Linear) -> nn.Module:
    linear.register_full_backward_hook(lambda module, by_x, by_y: tuple(None if g is None else 2 * g for g in by_x))
    return linear


def overridden_in_the_instance(linear: nn.Linear) -> nn.Module:
    linear.forward = lambda x: x.sum(-1, keepdim=True) + linear.bias  # pyright: ignore[reportAttributeAccessIssue]
    return linear


def pruned(linear: nn.Linear) -> nn.Module:
    return prune.random_unstructured(linear, "weight", 0.5)


class Quantised(nn.Linear):
    """A weight rounded in the call, its gradient passed on, as quantisation-aware training does."""

    def forward(self, input: Tensor) -> Tensor:
        rounded = self.weight + ((4 * self.weight).round() / 4 - self.weight).detach()
        return nn.functional.linear(input, rounded, self.bias)


def without_bias(linear: nn.Linear) -> nn.Module:
    return nn.Linear(2, 4, bias=False, dtype=DOUBLE)


class Doubled(Tensor):
    """A tensor that is twice itself as a weight."""

    @classmethod
    def __torch_function__(cls, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        if func is nn.functional.linear:
            x, weight, bias = args
            return func(x, 2 * weight.as_subclass(Tensor), bias)
        return super().__torch_function__(func, types, args, kwargs or {})  # pyright: ignore[reportArgumentType]

    def __deepcopy__(self, memo: dict[int, object]) -> Tensor:
        return nn.Parameter(self.detach().clone().as_subclass(Doubled))


def a_subclass_of_parameter(linear: nn.Linear) -> nn.Module:
    linear.weight = nn.Parameter(linear.weight.detach().as_subclass(Doubled))
    return linear


MAPS: dict[str, Callable[[nn.Linear], nn.Module]] = {
    "adapter": Adapted,
    "noise": lambda linear: Noisy(2, 4, dtype=DOUBLE),
    "forward hook": hooked,
    "forward pre-hook": hooked_before,
    "backward hook": hooked_backward,
    "forward in the instance": overridden_in_the_instance,
    "pruning": pruned,
    "quantisation-aware": lambda linear: Quantised(2, 4, dtype=DOUBLE),
    "old weight norm": weight_norm,
    "old spectral norm": lambda linear: spectral_norm(linear).eval(),
    "weight norm": parametrizations.weight_norm,
    "sequential": lambda linear: nn.Sequential(linear, nn.Tanh()),
    "no bias": without_bias,
    "a subclass of tensor": a_subclass_of_parameter,
}


class Plain(VectorField):
    """What the field inside computes, asked for by its functions only: the reference."""

    def __init__(self, field: TanhField | HamiltonianField | LinearAntisymmetricField) -> None:
        super().__init__(field.input_size, field.hidden_size)
        self.field = field

    def control(self, x: Tensor) -> Tensor:
        return self.field.control(x)

    def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
        return self.field.pointwise(y, y @ self.field.weight().T, u)


def run(field: VectorField, hold: str = "zero-order", solver: Solver | None = None, **options: str) -> list[Tensor]:
    torch.manual_seed(1)
    x = torch.randn(5, 3, 2, dtype=DOUBLE, requires_grad=True)
    rnn = ODERNN(field, solver or RK4(), dt=0.3, hold=hold, **options)  # pyright: ignore[reportArgumentType]
    output, _ = rnn(x)
    leaves = [x, *field.parameters()]
    found = torch.autograd.grad(output.square().sum(), leaves, allow_unused=True, materialize_grads=True)
    return [output, *found]


def agree(found: list[Tensor], wanted: list[Tensor]) -> None:
    for got, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.as_subclass(Tensor), right.as_subclass(Tensor), **ROUNDING)


def streamed(field: VectorField, hold: str, engine: str) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x = torch.randn(5, 3, 2, dtype=DOUBLE)
    rnn = ODERNN(field, RK4(), dt=0.3, hold=hold, engine=engine)  # pyright: ignore[reportArgumentType]
    stream = rnn.stream(3)
    return torch.stack([stream(each) for each in x]), rnn(x)[0].detach()


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.filterwarnings("ignore")  # torch deprecates some of what it still has
def test_whatever_the_map_of_the_input_is(name: str, engine: str, hold: str) -> None:
    torch.manual_seed(0)
    field = AntisymmetricField(2, 4, dtype=DOUBLE)
    nn.init.normal_(field.input_map.bias)
    setattr(field, "input_map", MAPS[name](field.input_map))  # noqa: B010 - annotated as a Linear
    agree(run(field, hold, engine=engine), run(Plain(field), hold, adjoint="autograd"))
    torch.testing.assert_close(*streamed(field, hold, engine), **ROUNDING)
    rnn = ODERNN(field, RK4(), dt=0.3, engine=engine)  # pyright: ignore[reportArgumentType]
    choice = rnn.choice(torch.randn(5, 3, 2, dtype=DOUBLE))
    assert isinstance(choice.adjoint, Operator)  # as fast as ever: the operators take the control as it was computed
    assert ("the map of the input" in choice.reason) == (name != "no bias")


def test_hooks_of_all_modules_act() -> None:
    field = AntisymmetricField(2, 4, dtype=DOUBLE)
    hook = nn.modules.module.register_module_forward_hook(
        lambda module, args, output: 2 * output if isinstance(module, nn.Linear) else None
    )
    try:
        agree(run(field), run(Plain(field), adjoint="autograd"))
        torch.testing.assert_close(*streamed(field, "zero-order", "auto"), **ROUNDING)
    finally:
        hook.remove()


@final
class Kept(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    """Overrides nothing."""


class KeptTanh(TanhField):
    """Overrides nothing of the family's."""

    matrix, activation = UnstructuredField.matrix, UnstructuredField.activation


class Squared(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    def control(self, x: Tensor) -> Tensor:
        return super().control(x * x)


class Leaky(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return super().pointwise(y, p, u) - 0.3 * y


class Halved(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    def weight(self) -> Tensor:
        return super().weight() / 2


class Slowed(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
        return super().forward(t, y, u) / 2  # pyright: ignore[reportArgumentType]


class Sine(AntisymmetricField):  # pyright: ignore[reportGeneralTypeIssues]
    activation = type(AntisymmetricField.activation)("tanh", 1, lambda p, u: torch.sin(p + u))


def in_the_instance(name: str) -> Callable[[], VectorField]:
    def make() -> VectorField:
        field = AntisymmetricField(2, 4, dtype=DOUBLE)
        own = getattr(field, name)
        setattr(field, name, lambda *given: own(*given) / 2)
        return field

    return make


def with_a_hook(where: str) -> Callable[[], VectorField]:
    def make() -> VectorField:
        field = AntisymmetricField(2, 4, dtype=DOUBLE)
        field.get_submodule(where).register_forward_hook(doubled)
        return field

    return make


def with_a_part(name: str) -> Callable[[], VectorField]:
    """With a module called as a function that the class does not have."""

    def make() -> VectorField:
        field = AntisymmetricField(2, 4, dtype=DOUBLE)
        field.add_module(name, nn.Identity())
        return field

    return make


def made(cls: type[VectorField]) -> Callable[[], VectorField]:
    return lambda: cls(2, 4, dtype=DOUBLE)  # pyright: ignore[reportCallIssue]


FAST = {"nothing": made(Kept), "nothing of the family": made(KeptTanh), "weight": made(Halved)}
ASKED = {
    "control": made(Squared),
    "pointwise": made(Leaky),
    "forward": made(Slowed),
    "activation": made(Sine),
    **{f"{name} in the instance": in_the_instance(name) for name in ("control", "pointwise", "weight", "forward")},
    "hook of the field": with_a_hook(""),
    "hook of recurrent": with_a_hook("recurrent"),
    **{f"a part called {name}": with_a_part(name) for name in ("linear_blocks", "remainder_scale", "drift")},
}


@pytest.mark.parametrize("name", FAST | ASKED)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_field_that_overrides(name: str, engine: str) -> None:
    torch.manual_seed(0)
    field = (FAST | ASKED)[name]()

    class Asked(Plain):
        def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
            return self.field(t, y, u)

    agree(run(field, engine=engine), run(Asked(field), adjoint="autograd"))  # pyright: ignore[reportArgumentType]
    steps, whole = streamed(field, "zero-order", engine)
    torch.testing.assert_close(steps, whole, **ROUNDING)
    assert not steps.requires_grad


@pytest.mark.parametrize("name", FAST)
def test_a_field_that_overrides_nothing_keeps_the_fast_path(name: str) -> None:
    torch.manual_seed(0)
    assert isinstance(
        ODERNN(FAST[name](), Euler(), dt=0.3).choice(torch.randn(5, 3, 2, dtype=DOUBLE)).adjoint, Operator
    )


# LEM's `pointwise` sees the state itself: its kernels are those that `compile_kernels` builds.
@pytest.mark.parametrize("name", [name for name in FIELDS if name != "lem"])
def test_every_registered_field_keeps_the_fast_path(name: str) -> None:
    choice = ODERNN(FIELDS[name](2, 4, dtype=DOUBLE), Euler(), dt=0.3).choice(torch.randn(5, 3, 2, dtype=DOUBLE))
    assert isinstance(choice.adjoint, Operator)
    assert "control" not in choice.reason


class Filled(CoRNNField):  # pyright: ignore[reportGeneralTypeIssues]
    """K has no zeros, of which its class says that most are."""

    def weight(self) -> Tensor:
        return super().weight() + 0.1


class Told(Filled):
    """K has no zeros, and its class says so."""

    weight_blocks = (("dense", "dense"),) * 4


def replaced(field: CoRNNField) -> CoRNNField:
    field.weight = lambda: torch.ones(32, 16, dtype=DOUBLE)
    return field


def test_zeros_of_a_weight_that_is_overridden_are_not_taken_for_zeros() -> None:
    torch.manual_seed(0)
    field = Filled(2, 16, dtype=DOUBLE)  # halves of whole vectors
    plain = CoRNNField(2, 16, dtype=DOUBLE)
    assert blocks_of(field, field.weight()) == blocks_of(replaced(plain), plain.weight()) == ()
    assert blocks_of(Told(2, 16, dtype=DOUBLE), field.weight()) == (2,) * 8
    plain = CoRNNField(2, 16, dtype=DOUBLE)
    assert blocks_of(plain, plain.weight()) == (0, 1, 1, 1, 0, 0, 2, 2)
    for solver in (Euler(), SymplecticEuler()):
        agree(run(field, solver=solver), run(field, solver=solver, adjoint="autograd"))


class Kicked(HamiltonianField):  # pyright: ignore[reportGeneralTypeIssues]
    def kick(self, t: object, q: Tensor, u: Tensor) -> Tensor:
        return super().kick(t, q, u) / 2


class Turned(HamiltonianField):  # pyright: ignore[reportGeneralTypeIssues]
    def weight(self) -> Tensor:
        return 2 * super().weight()


@pytest.mark.parametrize("cls", [Kicked, Turned])
def test_a_partition_that_is_overridden_is_asked(cls: type[HamiltonianField]) -> None:
    """A splitting method asks for drift and kick, of whose making the kernels know nothing."""
    torch.manual_seed(0)
    field = cls(2, 4, dtype=DOUBLE)
    agree(run(field, solver=Leapfrog()), run(field, solver=Leapfrog(), adjoint="autograd"))


def test_functional_call_keeps_the_fast_path() -> None:
    rnn = ODERNN(AntisymmetricField(2, 4, dtype=DOUBLE), RK4(), dt=0.3)
    reasons = []

    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = rnn

        def forward(self, x: Tensor) -> Tensor:
            reasons.append(rnn.choice(x))
            return rnn(x)[0]

    replacements = {f"rnn.{name}": 2 * p.detach() for name, p in rnn.named_parameters()}
    torch.func.functional_call(Told(), replacements, (torch.randn(5, 3, 2, dtype=DOUBLE),))
    assert "torch computes" not in reasons[0].reason
