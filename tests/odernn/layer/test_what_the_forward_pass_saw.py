"""Law: whatever changes between forward and backward, the gradient is autograd's, or an error says so.

Backward evaluation under every adjoint, against every kind of change: of the module, of random numbers, of inputs.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from odernn import (
    ADJOINTS,
    ODERNN,
    AffinePointwiseField,
    AntisymmetricField,
    LipschitzField,
    RecurrentState,
    VectorField,
)
from solvers import RK4, Checkpointed, Continuous, LeapfrogMidpoint, TorchdiffeqSolver, make_adjoint
from tests.pairs import crossed

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


def set_damping(field: VectorField) -> None:
    field.damping = 0.7


def set_buffer(field: VectorField) -> None:
    if "scale" in field._buffers:
        field.scale = torch.full((4,), 0.1, dtype=DOUBLE)


def write_buffer(field: VectorField) -> None:
    for buffer in field.buffers():
        if buffer.is_floating_point():
            buffer.mul_(0.3)


def write_parameters(field: VectorField) -> None:
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.mul_(0.3)


def set_parameters(field: VectorField) -> None:
    for module in field.modules():
        for name, value in list(module._parameters.items()):
            if value is not None:
                setattr(module, name, nn.Parameter(0.3 * value.detach()))


def write_list(field: VectorField) -> None:
    if isinstance(field, Plain | Own):
        field.gains[0] = 0.2


def write_tensor(field: VectorField) -> None:
    if isinstance(field, Plain):
        field.shift.mul_(3)


def replace_submodule(field: VectorField) -> None:
    for name, _ in list(field.named_children()):
        setattr(field, name, type(field)().get_submodule(name) if isinstance(field, Plain | Own) else nn.Linear(2, 4))


def tripled(module: nn.Module, args: object, output: Tensor) -> Tensor:
    return 3 * output


def add_hook(field: VectorField) -> None:
    next(iter(field.children())).register_forward_hook(tripled)


Change = Callable[[VectorField], object]
REPLACED: dict[str, Change] = {
    each.__name__: each for each in (set_damping, set_buffer, set_parameters, replace_submodule, VectorField.eval)
}
"""What a module holds can be put back for the backward pass: these give the numbers."""
WRITTEN: dict[str, Change] = {
    each.__name__: each for each in (write_buffer, write_parameters, write_list, write_tensor, add_hook)
}
"""Of what was written into the old values are gone: these may be errors."""


def layer(field: VectorField, adjoint: object, name: str, hold: str = "zero-order") -> ODERNN:
    solver = {"continuous": FINE, "checkpointed": RK4(), "every-2": RK4()}.get(name, LeapfrogMidpoint())
    return ODERNN(field, solver, dt=0.2, hold=hold, adjoint=adjoint)  # pyright: ignore[reportArgumentType]


def gradients(field: str, name: str, adjoint: object, change: Change) -> list[Tensor]:
    torch.manual_seed(0)
    module = FIELDS[field]()
    x = torch.randn(5, 3, 2, dtype=DOUBLE, requires_grad=True)
    leaves = [x, *module.parameters()]
    loss = layer(module, adjoint, name)(x)[0].square().sum()
    change(module)
    return list(torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True))


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


def unchanged(field: VectorField) -> None:
    """Change nothing."""


@crossed({"field": list(FIELDS), "name": NAMES, "change": list(REPLACED)})
def test_what_is_replaced_is_put_back(field: str, name: str, change: str) -> None:
    found = gradients(field, name, adjoint_of(name), REPLACED[change])
    agree(found, gradients(field, name, "autograd", unchanged), name)


@crossed({"field": list(FIELDS), "name": NAMES, "change": list(WRITTEN)})
def test_what_is_written_into_is_no_other_number(field: str, name: str, change: str) -> None:
    wanted = gradients(field, name, "autograd", unchanged)
    agree_or_say(lambda: gradients(field, name, adjoint_of(name), WRITTEN[change]), wanted, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", FIELDS)
def test_what_is_put_back_is_taken_away_again(field: str, name: str) -> None:
    torch.manual_seed(0)
    module = FIELDS[field]()
    loss = layer(module, adjoint_of(name), name)(torch.randn(5, 3, 2, dtype=DOUBLE))[0].square().sum()
    set_damping(module)
    set_parameters(module)
    module.eval()
    now = list(module.parameters())
    loss.backward()
    assert module.damping == 0.7
    assert not module.training
    assert all(one is other for one, other in zip(module.parameters(), now, strict=True))
    assert all(parameter.grad is None for parameter in now)


@crossed({"field": list(FIELDS), "name": NAMES, "hold": ["zero-order", "linear"]})
def test_functional_call(field: str, name: str, hold: str) -> None:
    def found(adjoint: object) -> list[Tensor]:
        torch.manual_seed(0)
        rnn = layer(FIELDS[field](), adjoint, name, hold)
        fast = {key: (0.75 * p).detach().requires_grad_() for key, p in rnn.named_parameters()}
        scaled = {key: 2 * p for key, p in fast.items()}  # a hypernetwork's: no leaves
        output, _ = functional_call(rnn, scaled, (torch.randn(5, 3, 2, dtype=DOUBLE),))
        return list(torch.autograd.grad(output.square().sum(), list(fast.values())))

    agree(found(adjoint_of(name)), found("autograd"), name)


class Inside(Plain):
    """With something of the user's in the evaluation, or in the control."""

    def __init__(self, part: str, where: str) -> None:
        super().__init__()
        self.where = where
        width = 2 if where == "control" else 4
        self.part = PARTS[part](width)

    def control(self, x: Tensor) -> Tensor:
        if self.where != "control":
            return super().control(x)
        return super().control(self.part(x.flatten(0, -2)).view_as(x))

    def forward(self, t: object, y: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(self.part(y) @ self.W.T + u) - y if self.where == "forward" else super().forward(t, y, u)


class InsidePointwise(Own):
    def __init__(self, part: str, where: str) -> None:
        super().__init__()
        self.part = PARTS[part](4)

    def pointwise(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        return torch.tanh(self.part(p) + u) - y


class Drawn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Counting(nn.Module):
    """Scaled by how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x / (1 + self.calls % 7)


PARTS: dict[str, Callable[[int], nn.Module]] = {
    "dropout": lambda width: nn.Dropout(0.5),
    "randn_like": lambda width: Drawn(),
    "batch norm": lambda width: nn.BatchNorm1d(width, dtype=DOUBLE),
    "layer norm": lambda width: nn.LayerNorm(width, dtype=DOUBLE),
    "softmax": lambda width: nn.Softmax(-1),
    "spectral norm": lambda width: nn.utils.spectral_norm(nn.Linear(width, width, dtype=DOUBLE)),
}
PLACES: dict[str, Callable[[str, str], VectorField]] = {
    "control": Inside,
    "forward": Inside,
    "pointwise": InsidePointwise,
}


@crossed({"part": list(PARTS), "where": list(PLACES), "name": NAMES})
def test_parts_that_draw_count_or_mix(part: str, where: str, name: str) -> None:
    """By default, checkpointed and discrete they train as under autograd; in a control, under every adjoint."""

    def found(adjoint: object) -> tuple[list[Tensor], dict[str, Tensor]]:
        torch.manual_seed(0)
        field = PLACES[where](part, where)
        rnn = layer(field, adjoint, name)
        torch.manual_seed(7)
        x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 4, dtype=DOUBLE)
        loss = rnn(x, y0)[0].square().sum()
        torch.manual_seed(8)
        found = torch.autograd.grad(loss, list(field.parameters()), allow_unused=True, materialize_grads=True)
        return list(found), dict(field.named_buffers())

    wanted, buffers = found("autograd")
    deterministic = part in ("layer norm", "softmax")
    if where != "control" and name in ("reversible", "continuous") and not deterministic:
        agree_or_say(lambda: found(adjoint_of(name))[0], wanted, name)
        return
    got, others = found(adjoint_of(name))
    agree(got, wanted, name)
    for key, buffer in buffers.items():
        torch.testing.assert_close(others[key], buffer, **ROUNDING)


def test_a_field_that_counts_its_calls_is_replayed() -> None:
    def found(adjoint: object) -> list[Tensor]:
        torch.manual_seed(0)
        field = Inside("softmax", "forward")
        field.part = Counting()
        loss = layer(field, adjoint, "checkpointed")(torch.randn(5, 3, 2, dtype=DOUBLE))[0].square().sum()
        calls = field.part.calls
        grads = torch.autograd.grad(loss, list(field.parameters()), allow_unused=True, materialize_grads=True)
        assert field.part.calls == calls
        return list(grads)

    agree(found(Checkpointed(every=2)), found("autograd"), "checkpointed")


INPUTS = ["x", "y0", "dt", "timestamps", "state.y", "state.control", "state.carry"]


@crossed({"field": list(FIELDS), "name": NAMES, "given": INPUTS})
def test_an_input_that_is_written_into(field: str, name: str, given: str) -> None:
    """As the next batch into the buffer of this one: no other number."""

    def found(adjoint: object, write: bool) -> list[Tensor]:
        torch.manual_seed(0)
        module = FIELDS[field]()
        rnn = layer(module, adjoint, name, "linear")
        x, y0 = torch.randn(5, 3, 2, dtype=DOUBLE), torch.randn(1, 3, 4, dtype=DOUBLE)
        dt = 0.1 + 0.2 * torch.rand(3, 5, dtype=DOUBLE)
        tensors = {"x": x, "y0": y0, "dt": dt, "timestamps": dt.cumsum(1)}
        if given.startswith("state"):
            with torch.no_grad():
                _, state = rnn(x, RecurrentState(y0[0]))
            tensors |= {"state.y": state.y, "state.control": state.control}
            tensors["state.carry"] = state.carry[0] if state.carry else state.y
            loss = rnn(x, state)[0].square().sum()
        elif given == "timestamps":
            loss = rnn(x, y0, timestamps=tensors["timestamps"])[0].square().sum()
        else:
            loss = rnn(x, y0, dt=dt)[0].square().sum()
        if write:
            tensors[given].mul_(1.7)
        return list(torch.autograd.grad(loss, list(module.parameters())))

    wanted = found("autograd", write=False)
    agree_or_say(lambda: found(adjoint_of(name), write=True), wanted, name)
