"""Law: what f reads may change between forward and backward: the gradient is autograd's, or an error says so."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from solvers import RK38, Adjoint, Checkpointed, Continuous, ReversibleHeun, TorchdiffeqSolver, integrate, make_adjoint

DOUBLE = torch.float64
# The same operations in another order; the continuous gradient is off by the discretisation error of RK38 at dt 0.05.
TOLERANCE = {"continuous": {"rtol": 1e-4, "atol": 1e-5}}
ROUNDING = {"rtol": 1e-9, "atol": 1e-10}
ADJOINTS: dict[str, Callable[[], Adjoint]] = {
    "checkpointed": Checkpointed,
    "reversible": lambda: make_adjoint("reversible"),
    "continuous": lambda: Continuous(TorchdiffeqSolver("rk4")),
}


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.damping = nn.Linear(3, 3, dtype=DOUBLE), 0.1
        self.register_buffer("scale", torch.ones(3, dtype=DOUBLE))
        self.part: nn.Module = nn.Identity()

    def forward(self, t: object, y: Tensor) -> Tensor:
        return torch.tanh(self.part(self.linear(y))) * self.get_buffer("scale") - self.damping * y


def by_itself(module: Module) -> Callable[[object, Tensor], Tensor]:
    return module


def by_a_closure(module: Module) -> Callable[[object, Tensor], Tensor]:
    return lambda t, y: module(t, y)


def by_a_method(module: Module) -> Callable[[object, Tensor], Tensor]:
    return module.forward


def set_damping(module: Module) -> None:
    module.damping = 0.9


def set_weight(module: Module) -> None:
    module.linear.weight = nn.Parameter(3 * module.linear.weight.detach())


def set_part(module: Module) -> None:
    module.part = nn.Tanh()


def write_weight(module: Module) -> None:
    with torch.no_grad():
        module.linear.weight.mul_(3)


def write_scale(module: Module) -> None:
    assert isinstance(module.scale, Tensor)
    module.scale.mul_(3)


def write_weight_uncounted(module: Module) -> None:
    module.linear.weight.data.neg_()


def replace_data(module: Module) -> None:
    module.linear.weight.data = 3 * module.linear.weight.data


def write_array(module: Module) -> None:
    module.linear.bias.detach().numpy()[:] *= 3


def gradients(
    adjoint: Adjoint | str, name: str, make: Callable, change: Callable[[Module], object], part: nn.Module | None = None
) -> list[Tensor]:
    torch.manual_seed(0)
    module = Module()
    module.part = part or module.part
    leaves, y0 = list(module.parameters()), torch.randn(2, 3, dtype=DOUBLE)
    solver = ReversibleHeun() if name == "reversible" else RK38()
    loss = integrate(make(module), y0, t1=1.0, dt=0.05, solver=solver, adjoint=adjoint).y.square().sum()
    change(module)
    return list(torch.autograd.grad(loss, leaves))


def agree(found: list[Tensor], wanted: list[Tensor], name: str) -> None:
    for got, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, right, **TOLERANCE.get(name, ROUNDING))


@pytest.mark.parametrize("make", [by_itself, by_a_closure, by_a_method])
@pytest.mark.parametrize("name", ADJOINTS)
@pytest.mark.parametrize("change", [set_damping, set_weight, set_part])
def test_what_is_replaced_is_put_back(name: str, make: Callable, change: Callable[[Module], object]) -> None:
    wanted = gradients("autograd", name, make, lambda module: None)
    agree(gradients(ADJOINTS[name](), name, make, change), wanted, name)


@pytest.mark.parametrize("make", [by_itself, by_a_closure, by_a_method])
@pytest.mark.parametrize("name", ADJOINTS)
@pytest.mark.parametrize("change", [write_weight, write_scale, write_weight_uncounted, replace_data, write_array])
def test_what_is_written_into_is_an_error(name: str, make: Callable, change: Callable[[Module], object]) -> None:
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        gradients(ADJOINTS[name](), name, make, change)


@pytest.mark.parametrize("name", ADJOINTS)
def test_random_numbers_are_drawn_again_or_refused(name: str) -> None:
    def found(adjoint: Adjoint | str) -> list[Tensor]:
        return gradients(adjoint, name, by_itself, lambda module: torch.manual_seed(5), nn.Dropout(0.5))

    if name == "checkpointed":
        agree(found(Checkpointed()), found("autograd"), name)
    else:
        with pytest.raises(NotImplementedError, match="draws random numbers"):
            found(ADJOINTS[name]())


@pytest.mark.parametrize("name", ADJOINTS)
def test_a_count_of_the_evaluations_is_no_change(name: str) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.evaluations = 0

        def forward(self, y: Tensor) -> Tensor:
            self.evaluations += 1
            return y

    agree(
        gradients(ADJOINTS[name](), name, by_itself, lambda module: None, Counting()),
        gradients("autograd", name, by_itself, lambda module: None),
        name,
    )


@pytest.mark.parametrize("name", ADJOINTS)
def test_a_number_that_a_closure_reads(name: str) -> None:
    """A cell cannot be put back: an error."""
    torch.manual_seed(0)
    weight, gain = torch.randn(3, 3, dtype=DOUBLE, requires_grad=True), 1.0

    def f(t: object, y: Tensor) -> Tensor:
        return gain * torch.tanh(y @ weight)

    solver = ReversibleHeun() if name == "reversible" else RK38()
    y0 = torch.randn(2, 3, dtype=DOUBLE)
    loss = integrate(f, y0, t1=1.0, dt=0.05, solver=solver, adjoint=ADJOINTS[name]()).y.sum()
    gain = 2.0
    with pytest.raises(RuntimeError, match="not what it was in the forward pass"):
        loss.backward()


@pytest.mark.parametrize("write", [lambda y0: y0.mul_(2), lambda y0: y0.data.copy_(y0.flip(0))])
@pytest.mark.parametrize("name", ADJOINTS)
def test_a_start_that_is_written_into_is_an_error(name: str, write: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    module, y0 = Module(), torch.randn(2, 3, dtype=DOUBLE)
    solver = ReversibleHeun() if name == "reversible" else RK38()
    loss = integrate(module, y0, t1=1.0, dt=0.05, solver=solver, adjoint=ADJOINTS[name]()).y[1:].sum()
    write(y0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
