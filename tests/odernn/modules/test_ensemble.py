"""Law: an ensemble gives what its networks give one by one, and trains each as it would train by itself."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from odernn import (
    ODERNN,
    AntisymmetricField,
    AntisymmetricRNN,
    CoRNN,
    Ensemble,
    EnsembleDivergenceError,
    GatedAntisymmetricField,
    HamiltonianField,
    ODERecurrence,
    SequenceNetwork,
    StackedODERNN,
)
from odernn.engines.stacked import run_at_once
from solvers import RK4, Autograd, Checkpointed, Euler, ImplicitMidpoint, Leapfrog, LeapfrogMidpoint

DOUBLE = torch.float64
MODELS = 3
EQUAL = {"rtol": 0, "atol": 1e-14}  # the same arithmetic, but for the order in which a gradient's parts are added
TIMES, BATCH, INPUTS = 5, 4, 2


def layer(**options: Any) -> ODERNN:
    return ODERNN(AntisymmetricField(INPUTS, 6, dtype=DOUBLE), RK4(), dt=0.3, **options)


def classifier() -> SequenceNetwork:
    recurrent = ODERecurrence(
        layer(batch_first=True), upper=[ODERNN(AntisymmetricField(6, 6), Euler(), dt=0.1, batch_first=True)]
    )
    return SequenceNetwork(recurrent, 6, 3).double()


KINDS: dict[str, Callable[[], Any]] = {
    "runge-kutta": layer,
    "kicks and drifts": lambda: ODERNN(HamiltonianField(INPUTS, 6, dtype=DOUBLE), Leapfrog(), dt=0.3, hold="linear"),
    "two-step": lambda: ODERNN(
        GatedAntisymmetricField(INPUTS, 6, dtype=DOUBLE), LeapfrogMidpoint(), dt=0.3, substeps=2
    ),
    "dt that is trained": lambda: layer_with_step(nn.Parameter(torch.rand((), dtype=DOUBLE))),
    "named": lambda: CoRNN(INPUTS, 6, dt=0.3, gamma=1.0, epsilon=0.5, dtype=DOUBLE),
    "stack": lambda: AntisymmetricRNN(INPUTS, 6, num_layers=2, epsilon=0.3, gamma=0.1).double(),
    "two directions": lambda: StackedODERNN([layer()], reverse=[layer()]),
    "classifier": classifier,
}


def layer_with_step(dt: Tensor) -> ODERNN:
    return ODERNN(AntisymmetricField(INPUTS, 6, dtype=DOUBLE), Euler(), dt=dt)


def drawn(kind: str) -> list[Any]:
    torch.manual_seed(1)
    return [KINDS[kind]() for _ in range(MODELS)]


def samples(*models: int) -> Tensor:
    return torch.randn(*models, TIMES, BATCH, INPUTS, dtype=DOUBLE)


def flat(found: Any) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else list(found)


def loss(found: list[Tensor]) -> Tensor:
    return torch.stack([each.square().sum() for each in found]).sum()


def gradients(network: nn.Module) -> dict[str, Tensor]:
    found = {name: parameter.grad for name, parameter in network.named_parameters()}
    return {name: each for name, each in found.items() if each is not None}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradients_are_the_networks_own(kind: str, shared: bool) -> None:
    networks = drawn(kind)
    ensemble = Ensemble(networks)
    x = samples() if shared else samples(MODELS)
    found = flat(ensemble(x))
    loss(found).backward()
    for k, network in enumerate(networks):
        own = flat(network(x if shared else x[k]))
        loss(own).backward()
        for together, alone in zip(found, own, strict=True):
            torch.testing.assert_close(together[k], alone, **EQUAL)
        together = gradients(ensemble.network)
        for name, alone in gradients(network).items():
            scale = float(alone.abs().max())
            torch.testing.assert_close(together[name][k], alone, rtol=0, atol=1e-14 * (1 + scale))


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_one_optimizer_trains_each_network_as_its_own_would(optimizer: Callable[..., torch.optim.Optimizer]) -> None:
    networks = drawn("classifier")
    ensemble = Ensemble(networks)
    x, targets = samples(MODELS), torch.randint(3, (MODELS, TIMES))
    together = optimizer(ensemble.parameters(), lr=0.1)
    for _ in range(4):
        together.zero_grad()
        nn.functional.cross_entropy(ensemble(x).flatten(0, 1), targets.flatten(), reduction="sum").backward()
        together.step()
    for k, (network, trained) in enumerate(zip(networks, ensemble, strict=True)):
        alone = optimizer(network.parameters(), lr=0.1)
        for _ in range(4):
            alone.zero_grad()
            nn.functional.cross_entropy(network(x[k]), targets[k], reduction="sum").backward()
            alone.step()
        for name, value in network.state_dict().items():
            torch.testing.assert_close(trained.state_dict()[name], value, rtol=0, atol=1e-11)  # four steps of 0.1


def test_states_go_on_from_call_to_call() -> None:
    networks = drawn("two-step")
    ensemble, x = Ensemble(networks), samples(MODELS)
    whole, _ = ensemble(x)
    _, states = ensemble(x[:, :2], [network.initial_state(BATCH) for network in networks])
    rest, _ = ensemble(x[:, 2:], states)
    torch.testing.assert_close(rest, whole[:, 2:], rtol=0, atol=1e-13)


def test_initial_states_are_shared_or_one_each() -> None:
    networks = drawn("runge-kutta")
    ensemble, x = Ensemble(networks), samples()
    each = torch.randn(MODELS, 1, BATCH, 6, dtype=DOUBLE)
    for k, network in enumerate(networks):
        assert torch.equal(ensemble(x, each)[0][k], network(x, each[k])[0])
        assert torch.equal(ensemble(x, each[0])[1][k], network(x, each[0])[1])


def test_options_reach_every_network() -> None:
    networks = drawn("runge-kutta")
    ensemble, x, lengths = Ensemble(networks), samples(), [5, 2, 3, 1]
    output, y_n = ensemble(x, lengths=lengths, dt=0.2, save="end")
    assert output is None
    for k, network in enumerate(networks):
        assert torch.equal(y_n[k], network(x, lengths=lengths, dt=0.2, save="end")[1])


def test_a_network_comes_back_with_its_numbers_and_shares_none() -> None:
    networks = drawn("stack")
    ensemble = Ensemble(networks)
    assert len(ensemble) == len(ensemble.unstack()) == MODELS
    for network, back in zip(networks, ensemble.unstack(), strict=True):
        assert all(torch.equal(value, network.state_dict()[name]) for name, value in back.state_dict().items())
    last = ensemble[-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, networks[-1].state_dict()[name]) for name, value in ensemble[-1].state_dict().items())


def test_it_is_saved_and_loaded_as_any_module() -> None:
    ensemble, other, x = Ensemble(drawn("classifier")), Ensemble([classifier() for _ in range(MODELS)]), samples()
    file = io.BytesIO()
    torch.save(ensemble.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), ensemble(x))
    assert torch.equal(copy.deepcopy(ensemble)(x), ensemble(x))


def test_parameters_that_two_modules_share_stay_shared() -> None:
    def tied() -> StackedODERNN:
        below, above = (ODERNN(AntisymmetricField(6, 6, dtype=DOUBLE), Euler(), dt=0.1) for _ in range(2))
        above.field.input_map = below.field.input_map  # pyright: ignore[reportAttributeAccessIssue]
        return StackedODERNN([below, above])

    networks = [tied() for _ in range(MODELS)]
    ensemble, x = Ensemble(networks), torch.randn(TIMES, BATCH, 6, dtype=DOUBLE)
    assert len(list(ensemble[0].parameters())) == len(list(networks[0].parameters()))
    assert torch.equal(ensemble(x)[0][1], networks[1](x)[0])


def test_the_network_that_diverges_is_named() -> None:
    networks = drawn("runge-kutta")
    x = samples(MODELS)
    x[1] = torch.inf
    with pytest.raises(EnsembleDivergenceError, match="network 1 of the ensemble: RK4 diverged at step 1") as caught:
        Ensemble(networks)(x)
    assert caught.value.model == 1
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.model, again.step, str(again)) == (1, 1, str(caught.value))


AT_ONCE = ("runge-kutta", "two-step", "stack", "classifier")


@pytest.mark.parametrize("kind", AT_ONCE)
@pytest.mark.parametrize("shared", [True, False])
def test_at_once_as_in_turn(kind: str, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a CUDA device does, under vmap; here by the native kernels, where they can be had."""
    ensemble, x = Ensemble(drawn(kind)), samples() if shared else samples(MODELS)
    wanted = flat(ensemble(x))
    loss(wanted).backward()
    before = gradients(ensemble)
    ensemble.zero_grad()
    monkeypatch.setattr(Ensemble, "runs_at_once", True)
    monkeypatch.setattr(Ensemble, "_in_turn", None)
    found = flat(ensemble(x))
    loss(found).backward()
    for one, other in zip([*found, *gradients(ensemble).values()], [*wanted, *before.values()], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)  # products of several networks round otherwise


def test_at_once_from_states_and_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble, x, each = Ensemble(drawn("runge-kutta")), samples(), torch.randn(MODELS, 1, BATCH, 6, dtype=DOUBLE)
    wanted = [ensemble(x, each), ensemble(x, each[0], save="end")]
    monkeypatch.setattr(Ensemble, "runs_at_once", True)
    monkeypatch.setattr(Ensemble, "_in_turn", None)
    found = [ensemble(x, each), ensemble(x, each[0], save="end")]
    assert found[1][0] is wanted[1][0] is None
    pairs = [(found[0][0], wanted[0][0]), (found[0][1], wanted[0][1]), (found[1][1], wanted[1][1])]
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match="`y0` is for 2 networks"):
        ensemble(x, each[:2])


def test_at_once_the_network_that_diverges_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble, x = Ensemble(drawn("runge-kutta")), samples(MODELS)
    x[2] = torch.inf
    monkeypatch.setattr(Ensemble, "runs_at_once", True)
    with pytest.raises(EnsembleDivergenceError, match="network 2 of the ensemble: RK4 diverged at step 1"):
        ensemble(x)


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(INPUTS, 6, batch_first=True, dtype=DOUBLE)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[1][0][0]


def test_other_recurrent_parts_run_in_turn() -> None:
    networks = [SequenceNetwork(Lstm(), 6, 3).double() for _ in range(MODELS)]
    ensemble, x = Ensemble(networks), samples(MODELS)
    assert not ensemble.runs_at_once
    torch.testing.assert_close(ensemble(x)[1], networks[1](x[1]), **EQUAL)


def test_on_which_device_networks_run_at_once() -> None:
    networks = drawn("runge-kutta")
    assert not Ensemble(networks).runs_at_once
    rnn = networks[0]
    with FakeTensorMode():
        there = torch.empty(1, device="cuda", dtype=DOUBLE)
    for solver, at_once in ((RK4(), True), (ImplicitMidpoint(), False)):
        assert run_at_once(rnn.field, solver, rnn.hold, 0.1, Autograd(), "auto", there) == at_once
    assert not run_at_once(rnn.field, RK4(), rnn.hold, 0.1, Checkpointed(), "auto", there)
    assert not run_at_once(rnn.field, RK4(), rnn.hold, 0.1, rnn.adjoint, "native", there)


def _other(**changes: Any) -> list[ODERNN]:
    one, other = layer(), layer()
    for name, value in changes.items():
        setattr(other, name, value)
    return [one, other]


@pytest.mark.parametrize(
    ("networks", "told"),
    [
        ([], "give a list of networks"),
        ([nn.RNN(2, 3)], "`networks\\[0\\]` is RNN; give an ODERNN"),
        (_other(substeps=2), "`substeps` is 2, of the first 1"),
        (_other(solver=Euler()), "`solver` is Euler\\(\\), of the first RK4\\(\\)"),
        (_other(dt=0.4), "`dt` is 0.4, of the first 0.3"),
        (_other(field=AntisymmetricField(INPUTS, 6, damping=0.1, dtype=DOUBLE)), "damping"),
        (_other(field=GatedAntisymmetricField(INPUTS, 6, dtype=DOUBLE)), "GatedAntisymmetricField at `field`"),
        ([layer(), layer().float()], "torch.float32"),
        ([layer(), StackedODERNN([layer()])], "StackedODERNN"),
        ([StackedODERNN([layer()]), StackedODERNN([layer()], reverse=[layer()])], "another architecture"),
    ],
)
def test_what_does_not_go_together_is_refused(networks: list[Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        Ensemble(networks)


def test_arguments_of_other_ensembles_are_refused() -> None:
    ensemble = Ensemble(drawn("runge-kutta"))
    with pytest.raises(ValueError, match="`x` is for 2 networks; the ensemble has 3"):
        ensemble(samples(2))
    with pytest.raises(ValueError, match="`y0` is for 1 networks"):
        ensemble(samples(), [None])
    with pytest.raises(TypeError, match="give a padded tensor"):
        ensemble(nn.utils.rnn.pack_sequence([torch.randn(3, INPUTS)]))
    with pytest.raises(TypeError, match="takes `x` only; leave out lengths"):
        Ensemble(drawn("classifier"))(samples(), lengths=[1])
    with pytest.raises(IndexError, match="`index` is 3"):
        ensemble[3]
