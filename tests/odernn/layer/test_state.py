"""Laws of a RecurrentState: it knows its solver, is nobody's alias, and moves, saves and maps like a tensor."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from odernn import FIELDS, ODERNN, RecurrentState, VectorField
from odernn.engines.native import is_available
from solvers import SOLVERS, Need, Solver, make_solver

DOUBLE = torch.float64
NEEDED = {None: "antisymmetric", Need.PARTITION: "hamiltonian", Need.LINEAR_PART: "lipschitz"}
NAMES = [name for name in SOLVERS if make_solver(name).needs is not Need.DIFFUSION]
FIRST = ("euler", "adams-bashforth2", "leapfrog-midpoint", "reversible-heun", "etdrk2")
PAIRS = [(a, b) for a in FIRST for b in NAMES if make_solver(b).needs in (None, make_solver(a).needs)]
needs_kernels = pytest.mark.skipif(not is_available(), reason="the native kernels cannot be built here")
ENGINES = ["torch", pytest.param("auto", marks=needs_kernels)]


def layer(solver: str | Solver = "euler", **options: object) -> ODERNN:
    method = make_solver(solver) if isinstance(solver, str) else solver
    torch.manual_seed(1)
    kind: Callable[..., VectorField] = FIELDS[NEEDED[method.needs]]
    field = kind(2, 4, dtype=DOUBLE)
    return ODERNN(field, method, dt=0.1, **options)  # pyright: ignore[reportArgumentType]


def tensors(state: RecurrentState) -> list[Tensor]:
    return [part for part in pytree.tree_leaves(state) if isinstance(part, Tensor)]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_another_solver_starts_there_or_names_both(first: str, second: str) -> None:
    """One that has no carry to hand on can be followed by any; a carry is for the solver that made it."""
    rnn, x = layer(first), torch.randn(4, 3, 2, dtype=DOUBLE)
    other = rnn.with_solver(second)
    _, state = rnn(x[:2], rnn.initial_state(3))
    if first == second:
        other(x[2:], state)
    elif state.carry:
        for run in (other, other.stream):
            with pytest.raises(ValueError, match="holds the carry of") as caught:
                run(x[2:], state) if run is other else run(state)  # pyright: ignore[reportCallIssue, reportArgumentType]
            assert repr(rnn.solver) in str(caught.value)
            assert repr(other.solver) in str(caught.value)
    else:
        wanted, _ = other(x[2:], RecurrentState(state.y, state.t))
        assert torch.equal(other(x[2:], state)[0], wanted)


def test_hyperparameters_are_part_of_the_solver() -> None:
    rnn = layer("adams-bashforth2")
    _, state = rnn.step(torch.ones(3, 2, dtype=DOUBLE))
    with pytest.raises(ValueError, match=r"holds the carry of AdamsBashforth2\(\)"):
        layer("adams-bashforth3").step(torch.ones(3, 2, dtype=DOUBLE), state)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"y": None}, r"`state\.y` is NoneType"),
        ({"y": torch.zeros(4, dtype=DOUBLE)}, r"`state\.y` has shape \(4,\)"),
        ({"t": "now"}, r"`state\.t` is 'now'"),
        ({"t": torch.tensor(True)}, r"`state\.t` has dtype torch.bool"),
        ({"t": torch.zeros(2, 1)}, r"`state\.t` has shape \(2, 1\)"),
        ({"carry": 3}, r"`state\.carry` is int"),
        ({"carry": ("a",)}, r"`state\.carry\[0\]` is 'a'"),
        ({"control": 1.0}, r"`state\.control` is float"),
        ({"control": torch.zeros(4, dtype=DOUBLE)}, r"`state\.control` has shape \(4,\)"),
        ({"control": torch.zeros(3, 4, dtype=DOUBLE, device="meta")}, r"`state\.control` is on meta"),
        ({"y": torch.zeros(3, 4, dtype=DOUBLE, device="meta")}, r"`state\.y` is on meta"),
    ],
)
def test_a_wrong_part_is_named(parts: dict[str, object], message: str) -> None:
    rnn = layer("adams-bashforth2", hold="linear")
    state = replace(RecurrentState(torch.zeros(3, 4, dtype=DOUBLE)), **parts)  # pyright: ignore[reportArgumentType]
    with pytest.raises((TypeError, ValueError), match=message):
        rnn.step(torch.zeros(3, 2, dtype=DOUBLE), state)
    with pytest.raises((TypeError, ValueError), match="`state"):
        rnn.step(torch.zeros(3, 2, dtype=DOUBLE), 3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("hold", ["zero-order", "linear"])
@pytest.mark.parametrize("solver", NAMES)
def test_writing_into_what_came_out_changes_nothing_after_it(solver: str, hold: str, engine: str) -> None:
    rnn = layer(solver, hold=hold, engine=engine)
    with torch.no_grad():
        x = torch.randn(4, 3, 2, dtype=DOUBLE)
        _, begin = rnn(x[:2], rnn.initial_state(3))
        wanted, _ = rnn(x[2:], begin)
        given = begin.clone()
        stream = rnn.stream(given)
        for part in tensors(given):
            part.fill_(7.0)
        found = []
        for sample in x[2:]:
            output = stream(sample)
            found.append(output.clone())
            output.fill_(7.0)
            for part in tensors(stream.state):
                part.fill_(7.0)
        torch.testing.assert_close(torch.stack(found), wanted)
        state, found = begin.clone(), []
        for sample in x[2:]:
            output, after = rnn.step(sample, state)
            found.append(output.clone())
            for part in (output, *tensors(state)):
                part.fill_(7.0)
            state = after
        torch.testing.assert_close(torch.stack(found), wanted)


def test_it_is_a_pytree_moves_and_saves(tmp_path: Path) -> None:
    rnn = layer("leapfrog-midpoint", hold="linear")
    _, state = rnn(torch.randn(3, 3, 2, dtype=DOUBLE), rnn.initial_state(3))
    state = state.detach()
    torch.save({"state": state}, tmp_path / "state.pt")
    leaves, spec = pytree.tree_flatten(state)
    others = (
        torch.load(tmp_path / "state.pt", weights_only=True)["state"],
        pickle.loads(pickle.dumps(state)),
        copy.deepcopy(state),
        pytree.tree_unflatten(leaves, spec),
        pytree.treespec_loads(pytree.treespec_dumps(spec)).unflatten(leaves),
        state.to(torch.float64),
    )
    for other in others:
        assert other.solver == state.solver == repr(rnn.solver)
        assert len(tensors(other)) == len(tensors(state)) >= 4
        assert all(map(torch.equal, tensors(other), tensors(state)))
    assert state.to(torch.float32).y.dtype == torch.float32
    assert state.to("meta", torch.float32).y.device.type == "meta"
    assert state.to(dtype=torch.float32).t.dtype == torch.float64  # pyright: ignore[reportAttributeAccessIssue]
