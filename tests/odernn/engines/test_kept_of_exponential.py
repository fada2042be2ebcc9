"""Law: an exponential method keeps the dense half of a preactivation, which changes no number."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import ODERNN, CoRNNField
from odernn.engines.method import exponential
from odernn.engines.native import registration
from odernn.engines.operators import NATIVE
from odernn.engines.program import Call
from solvers.extend import Entry

TIME, BATCH, UNITS = 7, 8, 32
LENGTHS = [7, 7, 5, 4, 4, 2, 1, 1]
DOUBLE = torch.float64
ONE = Entry(1.0, -1)

pytestmark = pytest.mark.kernels


def layer(dtype: torch.dtype = DOUBLE, **facts: Any) -> ODERNN:
    torch.manual_seed(0)
    field = CoRNNField(2, UNITS, dtype=dtype)
    torch.nn.init.normal_(field.input_map.bias)
    return ODERNN(field, "symplectic-euler", dt=0.3, **facts)


def gradients(rnn: ODERNN, **given: Any) -> list[Tensor]:
    torch.manual_seed(1)
    x, y0 = (torch.randn(*size, dtype=DOUBLE).requires_grad_() for size in ((TIME, BATCH, 2), (1, BATCH, UNITS)))
    states = [each for each in rnn(x, y0, **given) if each is not None]
    return [*states, *torch.autograd.grad(sum(each.sin().sum() for each in states), [x, y0, *rnn.parameters()])]


@pytest.mark.parametrize("given", [{}, {"lengths": LENGTHS}, {"lengths": LENGTHS, "save": "end"}])
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
def test_cornn_has_autograds_numbers(hold: str, given: dict[str, Any]) -> None:
    wanted = gradients(layer(hold=hold, engine="torch", adjoint="autograd"), **given)
    for ours, theirs in zip(gradients(layer(hold=hold, engine="native"), **given), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)  # rounding, in sums over some fifty rows


def test_a_compiled_call_keeps_it_too() -> None:
    rnn = layer(engine="native")
    compiled: Any = torch.compile(rnn, fullgraph=True, backend="aot_eager")
    for ours, theirs in zip(gradients(compiled), gradients(rnn), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)  # rounding


def test_it_is_half_as_large_as_the_states() -> None:
    rnn, x, found = layer(engine="native"), torch.randn(TIME, BATCH, 2, dtype=DOUBLE), dict[int, int]()

    def pack(saved: Tensor) -> Tensor:
        if saved.ndim >= 3 and saved.shape[-1] != 2 and TIME in saved.shape:
            found[saved.data_ptr()] = saved.nbytes
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        rnn(x, save="end")
    assert sum(found.values()) == 1.5 * TIME * BATCH * UNITS * 8


def call(kind: str = "tanh", filled: tuple[int, ...] = (0, 0, 2, 2), **facts: Any) -> Call:
    """One step a sample: a matrix times the state, and the slope besides."""
    torch.manual_seed(2)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=DOUBLE).requires_grad_()

    half = UNITS // 2
    full = torch.randn(4, half, half, dtype=DOUBLE) / 4
    parts = [part * [0, torch.eye(half, dtype=DOUBLE), 1][number] for part, number in zip(full, filled, strict=True)]
    weight = torch.cat([torch.cat(parts[:2], dim=1), torch.cat(parts[2:], dim=1)]).requires_grad_()
    controls = UNITS if kind == "tanh" else 2 * UNITS
    told: dict[str, Any] = {"weight_blocks": filled, "keeps": True, "blocks": normal(1, 1, 2, 2, half)}
    told |= {"kind": kind, "method": exponential([ONE, Entry(1.0, 0)], [[]], [ONE], [0.0])}
    return Call(normal(BATCH, UNITS), weight, normal(TIME, BATCH, controls), dt=0.1, **(told | facts))


def found(made: Call) -> list[Tensor]:
    leaves = [each for each in made.operands if isinstance(each, Tensor) and each.requires_grad]
    saved, last, *_ = torch.ops.odernn_native.solve(*made.arguments(), True)
    return [saved, *torch.autograd.grad(saved.sin().sum() + last.cos().sum(), leaves)]


@pytest.mark.parametrize("blocks", [(0, 0, 2, 2), (0, 0, 0, 2), (2, 0, 0, 0), (1, 0, 1, 2), (1, 2, 1, 1)])
@pytest.mark.parametrize("kind", ["tanh", "gated-tanh"])
def test_what_is_kept_changes_no_number(kind: str, blocks: tuple[int, ...]) -> None:
    made = call(kind, blocks)
    for ours, theirs in zip(found(made), found(replace(made, keeps=False)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)  # rounding


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own while it traces
def test_torchs_rules() -> None:
    torch.library.opcheck(torch.ops.odernn_native.solve.default, (*call().arguments(), True))


def test_what_runs_in_place_of_the_kernels_has_their_shapes() -> None:
    made = call()
    with torch.no_grad():
        instead = registration.flat_solve(registration.solve_instead, NATIVE)(*made.arguments(), True)
        kernels = torch.ops.odernn_native.solve(*made.arguments(), True)
    assert [each.shape for each in instead] == [each.shape for each in kernels]
    torch.testing.assert_close(instead[:2], kernels[:2], rtol=0, atol=1e-12)  # rounding


@pytest.mark.parametrize(
    "facts",
    [
        {"weight_blocks": (2, 2, 2, 2)},
        {"weight_blocks": (0, 0, 0, 0)},
        {"weight_blocks": ()},
        {"substeps": 2},
        {"method": exponential([ONE] * 3, [[], [ONE]], [ONE] * 2, [0.0, 1.0])},
    ],
)
def test_a_call_without_one_dense_half_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`keeps` is true; give false"):
        torch.ops.odernn_native.solve(*call(**facts).arguments(), True)
