"""Law: whatever changes in the module between forward and backward, the gradient is autograd's, or an error says so.

Backward evaluation under every adjoint.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from odernn import VectorField
from tests.odernn.layer.backward_evaluation import (
    DOUBLE,
    FIELDS,
    NAMES,
    Own,
    Plain,
    adjoint_of,
    agree,
    agree_or_say,
    layer,
)
from tests.pairs import crossed


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


def gradients(field: str, name: str, adjoint: object, change: Change) -> list[Tensor]:
    torch.manual_seed(0)
    module = FIELDS[field]()
    x = torch.randn(5, 3, 2, dtype=DOUBLE, requires_grad=True)
    leaves = [x, *module.parameters()]
    loss = layer(module, adjoint, name)(x)[0].square().sum()
    change(module)
    return list(torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True))


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
