"""Fields with a part of each kind that a backward evaluation reads, under every adjoint; whether gradients agree."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from odernn import ADJOINTS, ODERNN, AffinePointwiseField, AntisymmetricField, LipschitzField, VectorField
from solvers import RK4, Checkpointed, Continuous, LeapfrogMidpoint, TorchdiffeqSolver, make_adjoint

DOUBLE = torch.float64
# Sums over some tens of products of numbers of size one, taken in another order.
ROUNDING = {"rtol": 1e-9, "atol": 1e-10}
FINE = TorchdiffeqSolver("rk4", steps=4)
NAMES = ["auto", "discrete", "checkpointed", "every-2", "reversible", "continuous"]


def adjoint_of(name: str) -> object:
    if name == "every-2":
        return Checkpointed(every=2)
    if name == "continuous":
        return Continuous(FINE)
    return make_adjoint(name, ADJOINTS)


class Plain(VectorField):
    """No structure, and a part of each kind that a backward evaluation reads."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.W, self.V = nn.Parameter(0.4 * torch.randn(4, 4, dtype=DOUBLE)), nn.Linear(2, 4, dtype=DOUBLE)
        self.register_buffer("scale", torch.full((4,), 0.8, dtype=DOUBLE))
        self.damping, self.gains, self.shift = 0.1, [1.0, 0.9], torch.full((4,), 0.2, dtype=DOUBLE)

    def control(self, x: Tensor) -> Tensor:
        return self.V(x)

    def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
        slope = torch.tanh(y @ self.W.T + u + self.shift) * self.get_buffer("scale") * self.gains[0] - self.damping * y
        return slope if self.training else 2 * slope


class Own(AffinePointwiseField):
    """The same, but for the matrix, in the form that the parallel adjoint takes."""

    def __init__(self) -> None:
        super().__init__(2, 4)
        self.W, self.V = nn.Parameter(0.4 * torch.randn(4, 4, dtype=DOUBLE)), nn.Linear(2, 4, dtype=DOUBLE)
        self.register_buffer("scale", torch.full((4,), 0.8, dtype=DOUBLE))
        self.damping, self.gains, self.shift = 0.1, [1.0, 0.9], nn.Parameter(torch.full((4,), 0.2, dtype=DOUBLE))

    def control(self, x: Tensor) -> Tensor:
        return self.V(x)

    def weight(self) -> Tensor:
        return self.W

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        slope = torch.tanh(p + u + self.shift) * self.get_buffer("scale") * self.gains[0] - self.damping * y
        return slope if self.training else 2 * slope


FIELDS: dict[str, Callable[[], VectorField]] = {
    "plain": Plain,
    "own": Own,
    "antisymmetric": lambda: AntisymmetricField(2, 4, dtype=DOUBLE),
    "lipschitz": lambda: LipschitzField(2, 4, dtype=DOUBLE),
}


def layer(field: VectorField, adjoint: object, name: str, hold: str = "zero-order") -> ODERNN:
    solver = {"continuous": FINE, "checkpointed": RK4(), "every-2": RK4()}.get(name, LeapfrogMidpoint())
    return ODERNN(field, solver, dt=0.2, hold=hold, adjoint=adjoint)  # pyright: ignore[reportArgumentType]


def agree(found: list[Tensor], wanted: list[Tensor], name: str) -> None:
    # The continuous gradient differs by the discretisation error, far below what any of the changes makes.
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if name == "continuous" else ROUNDING
    for got, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, right, **tolerance)


def agree_or_say(found: Callable[[], list[Tensor]], wanted: list[Tensor], name: str) -> None:
    """The right numbers, or an error that says what was written into or would be done twice."""
    try:
        got = found()
    except RuntimeError as error:
        if not any(each in str(error) for each in ("inplace operation", "forward pass", "backward pass")):
            raise
        return
    agree(got, wanted, name)
