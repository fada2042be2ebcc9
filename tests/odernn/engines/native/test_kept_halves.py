"""Law: a preactivation that is kept for the backward pass changes no number, and is half as large as the states."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from odernn import ODERNN, AffineControl, AffinePointwiseField
from odernn.engines.method import EULER, Method, runge_kutta
from odernn.engines.program import Call
from odernn.engines.traced.kernels import FieldKernels, kernels_of
from odernn.engines.weight_blocks import blocks_of
from tests.odernn.engines.native.builds import built
from tests.odernn.engines.native.fields import INPUT, UNITS, Coupled, Undamped
from tests.pairs import crossed

TIME, BATCH = 7, 8  # rows that are more than one tile
BOUNDS = {torch.float64: 1e-11, torch.float32: 2e-4}  # rounding, in sums over sixty rows of seven steps
LENGTHS = [7, 7, 5, 4, 4, 2, 1, 1]

pytestmark = [pytest.mark.kernels, pytest.mark.usefixtures("unoptimised"), pytest.mark.ahead.with_args(built)]


def compiled(field: AffinePointwiseField, solver: str, **facts: Any) -> ODERNN:
    rnn = ODERNN(field, solver, dt=0.1, **facts)
    rnn.compile_kernels()
    return rnn


def drawn(dtype: torch.dtype) -> list[Tensor]:
    """The input, the initial state, and steps of every row."""
    torch.manual_seed(0)
    x, y0 = torch.randn(TIME, BATCH, INPUT, dtype=dtype), torch.randn(1, BATCH, UNITS, dtype=dtype)
    return [each.requires_grad_() for each in (x, y0, 0.05 + 0.1 * torch.rand(BATCH, TIME, dtype=dtype))]


def gradients(rnn: ODERNN, x: Tensor, y0: Tensor, dt: Tensor, lengths: bool) -> list[Tensor]:
    given = {"lengths": LENGTHS} if lengths else {"dt": dt}
    output, y_n = rnn(x, y0, **given)
    loss = (output * torch.arange(output.numel(), dtype=x.dtype).sin().reshape(output.shape)).sum() + y_n.sin().sum()
    leaves = [x, y0, dt, *(each for each in rnn.parameters() if each.requires_grad)]
    return [output.detach(), y_n.detach(), *torch.autograd.grad(loss, leaves, materialize_grads=True)]


@crossed(
    {
        "solver": ["symplectic-euler", "euler"],
        "blocks": ["dense, dense", "zero, dense", "trained from zero, dense"],
        "hold": ["zero-order", "linear"],
        "lengths": [False, True],
        "dtype": list(BOUNDS),
    }
)
def test_they_have_autograds_numbers(solver: str, blocks: str, hold: str, lengths: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    first, _, second = blocks.partition(", ")
    compare(Coupled((first, second), told=True).to(dtype), solver, hold, lengths, dtype)


@pytest.mark.parametrize("solver", ["leapfrog", "symplectic-euler"])
def test_a_half_that_has_arrived_is_the_state_after_the_step(solver: str) -> None:
    """A stage that is made again takes it from there: the last kick of a leapfrog sees the last positions."""
    torch.manual_seed(1)
    compare(Undamped().double(), solver, "zero-order", False, torch.float64)


def compare(field: AffinePointwiseField, solver: str, hold: Any, lengths: bool, dtype: torch.dtype) -> None:
    given = drawn(dtype)
    own = compiled(field, solver, hold=hold)
    assert own.choice(given[0]).reason == "the kernels that were compiled for the field take method and state"
    want = gradients(ODERNN(field, solver, dt=0.1, hold=hold, adjoint="autograd"), *given, lengths)
    for ours, theirs in zip(gradients(own, *given, lengths), want, strict=True):
        assert torch.isfinite(ours).all()
        assert (ours - theirs).abs().max() <= BOUNDS[dtype] * theirs.abs().max().clamp(min=1)


SYMPLECTIC = replace(runge_kutta(((), (1.0,)), (1.0, 1.0), (0.0, 0.0)), moved=(1, 0))


def operator(method: Method = SYMPLECTIC, **facts: Any) -> tuple[Coupled, FieldKernels, Call]:
    """A call that keeps the half, of a field's operator."""
    torch.manual_seed(2)
    field = Coupled(("dense", "dense"), told=True).double()
    compiled(field, "euler")
    kernels, weight = kernels_of(field), field.weight().detach().requires_grad_()
    assert kernels is not None
    y0, u = (torch.randn(*size, dtype=torch.float64) for size in ((BATCH, UNITS), (TIME, BATCH, UNITS)))
    told: dict[str, Any] = {"kind": "traced", "weight_blocks": blocks_of(field, weight), "keeps": True, **facts}
    call = Call(y0.requires_grad_(), weight, u.requires_grad_(), method, 0.1, **told)
    return field, kernels, call


@pytest.mark.parametrize("method", [SYMPLECTIC, EULER])
def test_what_is_kept_is_the_product_of_the_dense_block(method: Method) -> None:
    field, kernels, call = operator(method)
    saved, _, _, kept = getattr(torch.ops, kernels.namespace).solve(*call.arguments(), True)
    before = torch.cat((call.y0.unsqueeze(0), saved[:-1]))
    dense = field.weight()[-UNITS // 2 :]
    torch.testing.assert_close(kept, (before @ dense.T).unsqueeze(0), rtol=0, atol=1e-13)  # sums of 32 terms
    assert 2 * kept.nbytes == saved.nbytes


@pytest.mark.parametrize("method", [SYMPLECTIC, EULER])
def test_the_backward_pass_reads_it(method: Method) -> None:
    """What it has instead of the product, it believes: another preactivation gives other gradients."""
    _, kernels, call = operator(method)
    ops, wants = getattr(torch.ops, kernels.namespace), (True, True)
    with torch.no_grad():
        saved, last, _, kept = ops.solve(*call.arguments(), True)
        given = (torch.ones_like(saved), torch.ones_like(last), None)
        again = ops.pull_back(saved, kept[:0], *given, *replace(call, keeps=False).arguments(), *wants)
        found = ops.pull_back(saved, kept, *given, *call.arguments(), *wants)
        other = ops.pull_back(saved, kept + 1, *given, *call.arguments(), *wants)
    for ours, theirs in zip(found, again, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)  # rounding
    assert not torch.allclose(found[0], other[0])


def test_torchs_rules() -> None:
    _, kernels, call = operator()
    torch.library.opcheck(getattr(torch.ops, kernels.namespace).solve.default, (*call.arguments(), True))


def test_it_may_be_differentiated_twice() -> None:
    _, kernels, call = operator()

    def penalty(keeps: bool) -> Tensor:
        saved = getattr(torch.ops, kernels.namespace).solve(*replace(call, keeps=keeps).arguments(), True)[0]
        (slope,) = torch.autograd.grad(saved.sin().sum(), call.y0, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), call.weight)[0]

    torch.testing.assert_close(penalty(True), penalty(False), rtol=0, atol=1e-13)  # the same sums


def test_networks_side_by_side() -> None:
    """Under vmap each keeps its own."""
    _, kernels, call = operator()
    *operands, text = call.arguments()
    states = torch.stack((call.y0, -call.y0)).detach()

    def kept(y0: Tensor) -> Tensor:
        return getattr(torch.ops, kernels.namespace).solve(y0, *operands[1:], text, True)[3]

    torch.testing.assert_close(torch.func.vmap(kept)(states), torch.stack([kept(y0) for y0 in states]))


class Forced(Coupled):
    """Its control is made where it is needed, and is nowhere for all times at once."""

    control = AffinePointwiseField.control

    def affine_control(self) -> AffineControl:
        return AffineControl(self.input_map.weight, self.input_map.bias, squashed=False)


def saved_for_backward(field: AffinePointwiseField, solver: str, substeps: int) -> int:
    """The bytes of what is as long as the sequence among what a backward pass is left, but for the input."""
    x = torch.randn(TIME, BATCH, INPUT)
    rnn, found = compiled(field, solver, substeps=substeps), dict[int, int]()

    def pack(saved: Tensor) -> Tensor:
        if saved.ndim >= 3 and saved.shape[-1] != INPUT:
            found[saved.data_ptr()] = saved.nbytes
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        rnn(x, save="end")
    return sum(found.values())


@pytest.mark.parametrize(
    ("solver", "substeps", "states"),
    [
        ("symplectic-euler", 1, 1.5),
        ("euler", 1, 1.5),
        ("symplectic-euler", 2, 1),
        ("heun", 1, 1),  # two products
        ("leapfrog-midpoint", 1, 1),
    ],
)
def test_it_is_kept_where_it_is_half_as_large_as_the_states(solver: str, substeps: int, states: float) -> None:
    trajectory = TIME * BATCH * UNITS * 4
    field = Forced(("dense", "dense"), told=True)
    assert saved_for_backward(field, solver, substeps) == states * trajectory
    assert saved_for_backward(Forced(("dense", "dense"), told=False), solver, substeps) == trajectory


def test_nothing_is_kept_without_a_gradient() -> None:
    field = Coupled(("dense", "dense"), told=True)
    rnn, told = compiled(field, "symplectic-euler"), list[Any]()

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            told.extend(each for each in args if isinstance(each, str) and "weight_blocks" in each)
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Watched():
        rnn(torch.randn(TIME, BATCH, INPUT))
    assert told
    assert not any("keeps" in text for text in told)


@pytest.mark.parametrize(
    ("method", "facts"),
    [
        (SYMPLECTIC, {"substeps": 2}),
        (SYMPLECTIC, {"weight_blocks": ()}),
        (SYMPLECTIC, {"weight_blocks": (0, 1, 1, 1, 0, 0, 0, 0)}),
        (replace(SYMPLECTIC, moved=(1, 1)), {}),
        (runge_kutta(((), (0.5,)), (0.0, 1.0), (0.0, 0.5)), {}),
    ],
)
def test_a_call_without_one_dense_half_is_refused(method: Method, facts: dict[str, Any]) -> None:
    _, kernels, call = operator(method, **facts)
    with pytest.raises(ValueError, match="`keeps` is true; give false"):
        getattr(torch.ops, kernels.namespace).solve(*call.arguments(), True)
