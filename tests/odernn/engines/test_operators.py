"""Law: the registered operators keep torch's rules, their formulas are autograd's, and nothing waits for the device."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from odernn import FIELDS, ODERNN, DiscreteAdjoint
from odernn.engines.formulas import FORMULAS
from odernn.engines.method import exponential, runge_kutta, splitting
from odernn.engines.operators import NATIVE, TORCH, Cotangents, Wants, flat_pull_back
from odernn.engines.program import Call, Operands, Program
from odernn.engines.torch import operators as torch_solver
from odernn.fields.activation import (
    GATED_TANH,
    LINEAR,
    LINEAR_PLUS_GATED_TANH,
    LINEAR_PLUS_SCALED_TANH,
    LINEAR_PLUS_TANH,
    TANH,
    Activation,
)
from odernn.fields.field import ActivatedField
from solvers import ETDRK2, make_solver
from tests.fields import unregistered
from tests.odernn.engines.native.calls import others_of
from tests.pairs import crossed
from tests.reference import LINEAR_METHODS

DOUBLE = torch.float64
ACTIVATIONS = (TANH, GATED_TANH, LINEAR, LINEAR_PLUS_TANH)
METHODS = {
    "heun": runge_kutta([[], [1.0]], [0.5, 0.5], [0.0, 1.0]),
    "leapfrog": splitting((1, 0, 1), (0.5, 1.0, 0.5), (0.0, 0.5, 1.0)),
    **LINEAR_METHODS,
    "exponential": exponential(
        ETDRK2.tableau.flow_entries, ETDRK2.tableau.a_entries, ETDRK2.tableau.b_entries, ETDRK2.tableau.c
    ),
}


def call(method: str, hold: str = "linear", *, carry: bool = False, number: bool = False) -> Call:
    """Everything that an operator can be given, needing gradients."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=DOUBLE).requires_grad_()

    others, numbers = others_of(METHODS[method])
    return Call(
        y0=normal(3, 4),
        weight=normal(4, 4),
        samples=normal(5, 3, 2),
        method=METHODS[method],
        dt=0.1 if number else (0.1 + 0.1 * torch.rand(3, 5, dtype=DOUBLE)).requires_grad_(),
        input_weight=normal(4, 2),
        bias=normal(4),
        hold=hold,
        before=normal(3, 4) if hold == "linear" else None,
        substeps=2,
        carried=normal(others, 3, 4) if carry else None,
        coefficients=normal(5, 2, 3, numbers) if numbers and not number else None,
        blocks=normal(1, len(ETDRK2.tableau.functions), 2, 2, 2) if method == "exponential" else None,
    )


NAMESPACES = [TORCH, pytest.param(NATIVE, marks=pytest.mark.kernels)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own while it traces
@crossed({"method": list(METHODS), "hold": ["zero-order", "linear"], "namespace": NAMESPACES}, strength=1)
def test_opcheck(method: str, hold: str, namespace: str) -> None:
    """Schema, fake shapes, autograd and tracing, as torch checks them."""
    operator = getattr(torch.ops, namespace).solve.default
    assert set(torch.library.opcheck(operator, (*call(method, hold).arguments(), True)).values()) == {"SUCCESS"}


@pytest.mark.kernels
def test_both_engines_have_one_schema() -> None:
    for name in ("solve", "pull_back"):
        ours, theirs = (getattr(getattr(torch.ops, namespace), name).default._schema for namespace in (TORCH, NATIVE))
        assert str(ours).partition("(")[2] == str(theirs).partition("(")[2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own while it traces
@crossed({"kind": list(FORMULAS), "save": [True, False], "namespace": NAMESPACES})
def test_opcheck_of_every_kind(kind: str, save: bool, namespace: str) -> None:
    given = call("heun")
    controls, preactivations = (8 if kind == "gated-tanh" else 4), (8 if kind == "linear-plus-tanh" else 4)
    changed = {"weight": torch.randn(preactivations, 4, dtype=DOUBLE), "bias": torch.randn(controls, dtype=DOUBLE)}
    changed |= {
        "input_weight": torch.randn(controls, 2, dtype=DOUBLE),
        "before": torch.randn(3, controls, dtype=DOUBLE),
    }
    tensors = {f: v.requires_grad_(save) for f, v in changed.items()}
    if not save:
        tensors |= {f: getattr(given, f).detach() for f in ("y0", "samples", "dt")}
    arguments = replace(given, kind=kind, squash="tanh" if kind == "linear" else "identity", **tensors).arguments()
    operator = getattr(torch.ops, namespace).solve.default
    assert set(torch.library.opcheck(operator, (*arguments, save)).values()) == {"SUCCESS"}


@crossed({"method": list(LINEAR_METHODS), "number": [False, True], "carry": [False, True], "namespace": NAMESPACES})
def test_gradcheck_of_every_output(method: str, carry: bool, number: bool, namespace: str) -> None:
    """The gradients by every saved state, the last and the other vectors, of every argument that needs one."""
    given = call(method, carry=carry, number=number).arguments()
    places = [i for i, each in enumerate(given) if isinstance(each, Tensor) and each.requires_grad]

    def outputs(*tensors: Tensor) -> tuple[Tensor, ...]:
        arguments = list(given)
        for place, tensor in zip(places, tensors, strict=True):
            arguments[place] = tensor
        return getattr(torch.ops, namespace).solve(*arguments, True)[:3]  # what is kept has no gradient

    assert torch.autograd.gradcheck(outputs, tuple(given[place] for place in places), fast_mode=True)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_without_kept_states_there_is_no_gradient_but_an_error(namespace: str) -> None:
    with pytest.raises(RuntimeError, match="`save` false"):
        getattr(torch.ops, namespace).solve(*call("heun").arguments(), False)


@pytest.mark.parametrize("step", [0.3, torch.tensor([[0.3], [0.1], [2.0], [0.5], [1.0]], dtype=DOUBLE)], ids=type)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda each: each.name)
def test_a_formula_is_the_activation_and_its_derivatives(activation: Activation, step: float | Tensor) -> None:
    n, formula = 3, FORMULAS[activation.name]
    groups = 2 if activation is LINEAR_PLUS_TANH else 1
    p = torch.randn(5, groups * n, dtype=DOUBLE, requires_grad=True)
    u = torch.randn(5, activation.controls * n, dtype=DOUBLE, requires_grad=True)
    slope = activation.function(p, u)
    by_preactivation, by_control = torch.autograd.grad(slope.sum(), (p, u))
    found = formula.linearise(p.detach().clone(), u.detach(), step, torch.empty_like(p.detach()))
    torch.testing.assert_close(formula.rate(p.detach().clone(), u.detach()), slope)
    torch.testing.assert_close(found.slope, slope)
    torch.testing.assert_close(found.by_preactivation, by_preactivation * step)
    shared = found.by_preactivation[..., -u.shape[-1] :] / step if found.by_control is None else found.by_control
    torch.testing.assert_close(shared, by_control)
    assert formula.by_control == (found.by_control is not None)


def test_every_activation_of_the_registry_has_a_formula() -> None:
    fields = [field(2, 4) for field in FIELDS.values()]
    activations = {field.activation for field in fields if isinstance(field, ActivatedField)}
    # those of the gated bank of oscillators and of UnICORNN are executed as what they add to a linear part
    in_blocks = {LINEAR_PLUS_GATED_TANH, LINEAR_PLUS_SCALED_TANH}
    assert {each.name for each in activations - in_blocks} == set(FORMULAS)
    assert LINEAR_PLUS_SCALED_TANH.remainder is TANH
    assert LINEAR_PLUS_GATED_TANH.remainder is GATED_TANH


class Watch(TorchDispatchMode):
    """Counts what torch does, and refuses to read a value back into Python or to copy to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        assert "_local_scalar_dense" not in name, f"{name} waits for the device"
        assert not any(part in name for part in ("is_nonzero", "nonzero")), name
        # the states of random generators are bytes that lie on the host
        assert "aten.equal" not in name or all(each.dtype == torch.uint8 for each in args), name
        assert "_to_copy" not in name or "device" not in (kwargs or {}), f"{name} copies to another device"
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", METHODS)
def test_nothing_in_the_torch_engine_waits_for_the_device(method: str) -> None:
    """On tensors of a device of their own a read-back would stall it; a dt that came as a number is the host's."""
    made = call(method)
    operands = Operands(*(each if each is None else each.detach() for each in made.operands))
    with Watch() as watch:
        saved, last, _, kept = torch_solver.solve(operands, made.program, True)
        given = Cotangents(saved, kept, torch.ones_like(saved), last, None)
        torch_solver.pull_back(operands, made.program, given, Wants(True, True))
    assert watch.count > 50


@pytest.mark.parametrize("solver", ["heun", "leapfrog", "leapfrog-midpoint"])
def test_nothing_in_the_discrete_adjoint_waits_for_the_device(solver: str) -> None:
    """The same of a field that no operator knows: from the layer's checks on, with divergence left alone."""
    field = unregistered(FIELDS["hamiltonian"](2, 4))
    rnn = ODERNN(field, make_solver(solver), dt=0.1, on_divergence="ignore", engine="torch")
    assert rnn.choice(torch.randn(5, 3, 2)).adjoint == DiscreteAdjoint()
    x = torch.randn(5, 3, 2)
    run: Callable[[], Tensor] = lambda: rnn(x)[0].square().sum()  # noqa: E731
    with Watch():
        run().backward()


@pytest.mark.parametrize("shape", [(5, 3, 2), (7, 1, 2)])
def test_the_torch_engine_runs_on_the_meta_device(shape: tuple[int, ...]) -> None:
    """No value is looked at anywhere: shapes alone will do."""
    field = FIELDS["gated-antisymmetric"](2, 4, device="meta")
    rnn = ODERNN(field, make_solver("rk4"), dt=0.1, engine="torch", on_divergence="ignore")
    output, y_n = rnn(torch.empty(*shape, device="meta"))
    output.sum().backward()
    assert output.shape == (*shape[:2], 4)
    assert y_n.shape == (1, shape[1], 4)


def test_an_engine_is_given_a_contiguous_gradient_of_the_saved_states() -> None:
    """That of a mean over time is not; the native kernels, which take any, are not called by way of this."""
    seen = list[Tensor | None]()

    def pull_back(operands: Operands, program: Program, cotangents: Cotangents, wants: Wants) -> tuple[Tensor, ...]:
        seen.append(cotangents.of_saved)
        return ()

    call = Call(torch.zeros(2, 4), torch.zeros(4, 4), torch.zeros(3, 2, 4), METHODS["heun"], 1.0)
    saved, gradient = torch.zeros(3, 2, 4), torch.ones(4).expand(3, 2, 4)
    flat_pull_back(pull_back)(saved, saved.new_empty(0), gradient, None, None, *call.arguments(), False, False)
    assert seen[0] is not None
    assert seen[0].is_contiguous()
    assert torch.equal(seen[0], gradient)
