"""Law: with `create_graph=True` a call on any engine has the derivatives of autograd through its steps."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from odernn import FIELDS, ODERNN, VectorField
from odernn.engines import gradient
from odernn.engines.method import exponential, runge_kutta, splitting
from odernn.engines.operators import NATIVE, TORCH
from odernn.engines.program import Call
from odernn.engines.replay import replay
from solvers import ETDRK2
from tests.fields import unregistered
from tests.odernn.engines.native.calls import others_of
from tests.pairs import crossed
from tests.reference import LINEAR_METHODS

DOUBLE = torch.float64
TIME, BATCH = 5, 3
RESETS = torch.zeros(TIME, BATCH, dtype=torch.bool)
RESETS[2, 0] = RESETS[1, 2] = RESETS[4, 2] = True
CALLS: dict[str, dict[str, Any]] = {
    "one length": {},
    "lengths": {"lengths": [5, 2, 4]},
    "resets": {"resets": RESETS, "save": "end"},
    "steps": {"dt": torch.full((BATCH, TIME), 0.2, dtype=DOUBLE) + 0.1 * torch.eye(BATCH, TIME, dtype=DOUBLE)},
}
FIELD_AND_SOLVER: list[tuple[str, str]] = [
    ("antisymmetric", "rk4"),
    ("gated-antisymmetric", "heun"),
    ("hamiltonian", "leapfrog"),
    ("lipschitz", "leapfrog-midpoint"),
    ("lipschitz", "linearly-exact-euler"),
    ("oscillator", "etdrk2"),
    ("unicornn", "leapfrog"),
    ("unregistered antisymmetric", "rk4"),
    ("unregistered hamiltonian", "leapfrog"),
    ("unregistered antisymmetric", "leapfrog-midpoint"),
]
native = pytest.param("native", marks=pytest.mark.kernels)


def field_of(name: str) -> VectorField:
    kind: Callable[..., Any] = FIELDS[name.rpartition(" ")[2]]
    field = kind(2, 4, dtype=DOUBLE)
    return unregistered(field) if " " in name else field


def first_and_second(rnn: ODERNN, x: Tensor, **given: Any) -> list[Tensor]:
    """The gradients of a loss, and those of a penalty on them."""
    x, y0 = x.clone().requires_grad_(), torch.full((1, BATCH, 4), 0.3, dtype=DOUBLE, requires_grad=True)
    dts = [given["dt"].clone().requires_grad_()] if "dt" in given else []
    output, y_n = rnn(x, y0, **(given | dict(zip(given.keys() & {"dt"}, dts, strict=True))))
    loss = y_n.exp().sum() if output is None else output.sin().square().sum() + y_n.exp().sum()
    sources = [x, y0, *dts, *rnn.parameters()]
    first = torch.autograd.grad(loss, sources, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), sources)
    return [*first, *second]


@crossed(
    {
        "field, solver": FIELD_AND_SOLVER,
        "engine": ["torch", native],
        "hold, substeps": [("zero-order", 1), ("linear", 2)],
        "call": list(CALLS),
    }
)
def test_a_penalty_on_gradients(field: str, solver: str, engine: str, hold: str, substeps: int, call: str) -> None:
    made, x = field_of(field), torch.randn(TIME, BATCH, 2, dtype=DOUBLE)
    options: dict[str, Any] = {"dt": 0.2, "hold": hold, "substeps": substeps}
    found = first_and_second(ODERNN(made, solver, engine=engine, **options), x, **CALLS[call])
    wanted = first_and_second(ODERNN(made, solver, adjoint="autograd", **options), x, **CALLS[call])
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("field", ["antisymmetric", "unregistered antisymmetric"])
@pytest.mark.parametrize("engine", ["torch", native])
def test_chunks_that_are_made_of_each_other(field: str, engine: str) -> None:
    """State and control before the second chunk are made of parameters that it takes too: none counts twice."""
    made, x = field_of(field), torch.randn(TIME, BATCH, 2, dtype=DOUBLE)

    def penalty(rnn: ODERNN) -> tuple[Tensor, ...]:
        first, state = rnn(x[:2], rnn.initial_state(BATCH))
        second, _ = rnn(x[2:], state)
        slopes = torch.autograd.grad(torch.cat((first, second)).sin().sum(), list(made.parameters()), create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in slopes), list(made.parameters()))

    found = penalty(ODERNN(made, "rk4", dt=0.2, hold="linear", engine=engine))
    wanted = penalty(ODERNN(made, "rk4", dt=0.2, hold="linear", adjoint="autograd"))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-11)


METHODS = {
    "heun": runge_kutta([[], [1.0]], [0.5, 0.5], [0.0, 1.0]),
    "leapfrog": splitting((1, 0, 1), (0.5, 1.0, 0.5), (0.0, 0.5, 1.0)),
    **LINEAR_METHODS,
    "exponential": exponential(
        ETDRK2.tableau.flow_entries, ETDRK2.tableau.a_entries, ETDRK2.tableau.b_entries, ETDRK2.tableau.c
    ),
}


def call_of(method: str) -> Call:
    """Everything that an operator can be given, needing gradients."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=DOUBLE).requires_grad_()

    others, numbers = others_of(METHODS[method])
    return Call(
        *(normal(BATCH, 4), normal(4, 4), normal(TIME, BATCH, 2), METHODS[method]),
        dt=(0.1 + 0.1 * torch.rand(BATCH, TIME, dtype=DOUBLE)).requires_grad_(),
        input_weight=normal(4, 2),
        bias=normal(4),
        hold="linear",
        before=normal(BATCH, 4),
        substeps=2,
        carried=normal(others, BATCH, 4) if others else None,
        coefficients=normal(TIME, 2, BATCH, numbers) if numbers else None,
        blocks=normal(1, len(ETDRK2.tableau.functions), 2, 2, 2) if method == "exponential" else None,
    )


def of_several_lengths(call: Call, *, packed: bool) -> Call:
    """The same with sequences of 5, 4 and 2 samples among the places of a storage, with a step each."""
    index = torch.tensor([7, 1, 3, 0, 9, 2, 11, 12, 4, 5, 13])
    samples = torch.randn(TIME * BATCH, 2, dtype=DOUBLE, requires_grad=True)
    dt = (0.1 + 0.1 * torch.rand(len(index), dtype=DOUBLE)).requires_grad_()
    return replace(call, samples=samples, dt=dt, index=index, lengths=torch.tensor([5, 4, 2]), packed=packed)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("namespace", "form"), [(TORCH, None), *((NATIVE, form) for form in (None, True, False))])
def test_every_output_and_its_gradients_are_those_of_the_operator(
    method: str, namespace: str, form: bool | None, request: pytest.FixtureRequest
) -> None:
    """Of every saved state, of the last and of the other vectors; of a storage in its own order and in the sweep's."""
    if namespace == NATIVE:
        request.getfixturevalue("kernels")
    call = call_of(method) if form is None else of_several_lengths(call_of(method), packed=form)
    sources = [each for each in call.operands if each is not None and each.requires_grad]
    solved = getattr(torch.ops, namespace).solve(*call.arguments(), True)[:3]  # what is kept has no gradient
    torch.testing.assert_close(replay(call.operands, call.program), solved, rtol=0, atol=1e-12)
    outputs = [one for one in solved if one.numel()]
    weights = [torch.randn_like(one) for one in outputs]
    plain = torch.autograd.grad(outputs, sources, weights, retain_graph=True)
    torch.testing.assert_close(
        torch.autograd.grad(outputs, sources, weights, create_graph=True), plain, rtol=0, atol=1e-11
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_weights_of_several_networks(method: str) -> None:
    """A penalty on the gradients of networks that run at once under vmap is the sum of theirs."""
    calls = [call_of(method) for _ in range(2)]
    program, sources = calls[0].program.text, [[x for x in call.operands if x is not None] for call in calls]
    places = [i for i, x in enumerate(calls[0].operands) if x is not None]

    def run(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        operands: list[Tensor | None] = [None] * len(calls[0].operands)
        for place, x in zip(places, tensors, strict=True):
            operands[place] = x
        return torch.ops.odernn_torch.solve(*operands, program, True)[:2]

    def penalty(outputs: tuple[Tensor, Tensor]) -> list[Tensor]:
        leaves = [x for each in sources for x in each]
        slopes = torch.autograd.grad(sum(x.sin().sum() for x in outputs), leaves, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in slopes), leaves))

    stacked = [torch.stack(each) for each in zip(*sources, strict=True)]
    apart = [run(*each) for each in sources]
    together = torch.func.vmap(run)(*stacked)
    wanted = penalty((torch.stack([saved for saved, _ in apart]), torch.stack([last for _, last in apart])))
    torch.testing.assert_close(penalty(together), wanted, rtol=1e-10, atol=1e-11)


def test_an_ordinary_backward_pass_makes_no_step_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: object) -> None:
        raise AssertionError

    rnn = ODERNN(field_of("antisymmetric"), "rk4", dt=0.2)
    output, _ = rnn(torch.randn(TIME, BATCH, 2, dtype=DOUBLE))
    monkeypatch.setattr(gradient, "replay", never)
    output.sum().backward(retain_graph=True)
    with pytest.raises(AssertionError):
        output.sum().backward(create_graph=True)


def test_the_gradient_of_a_gradient_is_not_differentiated_by_hand() -> None:
    """Who calls the adjoint's operator for himself is told what has a derivative."""
    call = call_of("heun")
    saved, _, _, kept = torch.ops.odernn_torch.solve(*call.arguments(), True)
    found = torch.ops.odernn_torch.pull_back(saved, kept, saved, None, None, *call.arguments(), False, False)
    with pytest.raises(RuntimeError, match="differentiate `solve` with create_graph=True"):
        found[0].sum().backward()
