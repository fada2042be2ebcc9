"""Law: a setting that is changed afterwards is checked and converted as the constructor's argument is."""

import copy
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from odernn import HOLDS, ODERNN, AntisymmetricField, HamiltonianField
from solvers import RK4, Euler, Leapfrog, make_adjoint
from tests import children

X = torch.randn(5, 4, 3)


def layer(**options: object) -> ODERNN:
    torch.manual_seed(1)
    return ODERNN(AntisymmetricField(3, 6), **({"solver": Euler(), "dt": 0.1} | options))  # pyright: ignore


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dt", -0.1),
        ("dt", "fast"),
        ("dt", torch.tensor([0.1, -1.0])),
        ("engine", "nativ"),
        ("adjoint", "autogard"),
        ("solver", "rk44"),
        ("solver", Leapfrog()),
        ("solver", RK4),
        ("field", nn.Linear(3, 6)),
        ("hold", "linaer"),
        ("substeps", 0),
        ("batch_first", 1),
        ("on_divergence", "rise"),
        ("check_input", "yes"),
    ],
)
def test_a_wrong_value_is_refused_as_at_construction_and_changes_nothing(name: str, value: object) -> None:
    rnn = layer()
    before, wanted = getattr(rnn, name), rnn(X)[0]
    with pytest.raises((TypeError, ValueError)) as afterwards:
        setattr(rnn, name, value)
    if name != "field":
        with pytest.raises(type(afterwards.value)) as at_first:
            layer(**{name: value})
        assert str(afterwards.value) == str(at_first.value)
    assert getattr(rnn, name) is before or getattr(rnn, name) == before
    assert torch.equal(rnn(X)[0], wanted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dt", 1),
        ("dt", torch.full((5,), 0.2)),
        ("dt", nn.Parameter(torch.tensor(0.2))),
        ("adjoint", "autograd"),
        ("adjoint", "checkpointed"),
        ("solver", "rk4"),
        ("hold", "linear"),
        ("engine", "torch"),
        ("substeps", 2),
        ("on_divergence", "warn"),
    ],
)
def test_a_value_set_afterwards_is_that_of_the_constructor(name: str, value: object) -> None:
    rnn, wanted = layer(), layer(**{name: value})
    setattr(rnn, name, value)
    assert type(getattr(rnn, name)) is type(getattr(wanted, name))
    assert rnn.state_dict().keys() == wanted.state_dict().keys()
    for again in (rnn, copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn))):
        assert torch.equal(again(X)[0], wanted(X)[0])
    rnn.dt = 0.1
    assert "dt" not in rnn.state_dict()


def test_settings_that_do_not_fit_each_other() -> None:
    rnn = layer(engine="native")
    with pytest.raises(ValueError, match="it executes the exact discrete adjoint"):
        rnn.adjoint = "autograd"  # pyright: ignore[reportAttributeAccessIssue]
    partitioned = ODERNN(HamiltonianField(3, 6), Leapfrog(), dt=0.1)
    with pytest.raises(ValueError, match="Leapfrog needs a partition"):
        partitioned.field = AntisymmetricField(3, 6)


def test_names_and_values_are_the_same_layer() -> None:
    named = layer(solver="rk4", hold="linear", adjoint="checkpointed")
    assert (named.solver, named.hold, named.adjoint) == (RK4(), HOLDS["linear"], make_adjoint("checkpointed"))
    assert layer().with_solver("rk4").solver == RK4()
    for name, wrong, near in (
        ("solver", "leapfrog-mid", "leapfrog-midpoint"),
        ("adjoint", "checkpoint", "checkpointed"),
        ("hold", "zero_order", "zero-order"),
        ("engine", "nativ", "native"),
        ("on_divergence", "warning", "warn"),
    ):
        with pytest.raises(ValueError, match=rf"`{name}` is '{wrong}'; .*\(did you mean '{near}'\?\)"):
            layer(**{name: wrong})


def test_a_learnable_step_is_trained_saved_and_moved() -> None:
    rnn = layer(dt=nn.Parameter(torch.tensor(0.1)))
    assert "dt" in dict(rnn.named_parameters())
    other = layer(dt=nn.Parameter(torch.tensor(0.3)))
    other.load_state_dict(rnn.state_dict())
    assert isinstance(other.dt, nn.Parameter)
    assert other.dt == rnn.dt
    optimiser = torch.optim.SGD(rnn.parameters(), lr=0.1)
    loss = rnn(X)[0].square().mean()
    loss.backward()
    optimiser.step()
    assert isinstance(rnn.dt, Tensor)
    assert rnn.dt != other.dt
    assert rnn.double().dt.dtype == torch.float64  # pyright: ignore[reportAttributeAccessIssue]
    stream = rnn.float().stream(4)
    torch.testing.assert_close(stream(X[0]), rnn.step(X[0])[0].detach())


def test_a_learnable_step_that_left_its_range_is_named() -> None:
    rnn = layer(dt=nn.Parameter(torch.tensor(0.1)))
    with torch.no_grad():
        rnn.dt.fill_(-0.1)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match=r"`dt` has the entry -0\.1"):
        rnn(X)


def test_a_field_that_says_it_has_no_partition_has_none() -> None:
    class Whole(AntisymmetricField):  # type: ignore[misc]  # not of the family, to try the flag
        partitioned = False

        def drift(self, t: Tensor, p: Tensor, u: Tensor) -> Tensor:
            raise AssertionError

        kick = drift

    with pytest.raises(ValueError, match="Leapfrog needs a partition"):
        ODERNN(Whole(3, 6), Leapfrog(), dt=0.1)
    assert torch.isfinite(ODERNN(Whole(3, 6), Euler(), dt=0.1)(X)[0]).all()


@pytest.mark.parametrize("engine", ["torch", "auto"])
@pytest.mark.parametrize("adjoint", ["auto", "autograd", "discrete", "checkpointed"])
def test_an_empty_batch_is_torch_nn_rnns(adjoint: str, engine: str) -> None:
    rnn, peer = layer(adjoint=adjoint, engine=engine), nn.RNN(3, 6)
    for got, wanted in zip(rnn(X[:, :0]), peer(X[:, :0]), strict=True):
        assert got is not None
        assert got.shape == wanted.shape
    rnn(X[:, :0])[0].sum().backward()  # pyright: ignore[reportOptionalMemberAccess]
    assert rnn.step(X[0, :0])[0].shape == (0, 6)
    with pytest.raises(ValueError, match="at least one sample in time"):
        rnn(X[:0])


def test_a_program_that_was_exported_is_loaded_where_nothing_is_built(tmp_path: Path) -> None:
    """The operators are known at import. Without a compiler the torch engine runs them."""
    rnn, path = layer(), tmp_path / "rnn.pt2"
    torch.export.save(torch.export.export(rnn, (X,)), path)
    run = f"torch.export.load({str(path)!r}).module()(torch.ones(5, 4, 3))[0].sum().item()"
    code = f"import torch, odernn, warnings; warnings.simplefilter('ignore'); print({run})"
    done = children.run(code, tmp_path, CXX="no-such-compiler")
    wanted = float(rnn(torch.ones(5, 4, 3))[0].detach().sum())  # pyright: ignore[reportOptionalMemberAccess]
    assert float(done) == pytest.approx(wanted, rel=1e-5)  # float32's sums
