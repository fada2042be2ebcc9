"""The suite over some networks, each under its own scheme and under others with the same weights."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from benchmarks.compare.schemes import LeftOut, Scheme, choose, refusal_of
from benchmarks.robustness.accuracy import accuracies, clean_accuracy
from benchmarks.robustness.store import Store
from benchmarks.robustness.suite import Kind, Perturbation, Suite
from benchmarks.robustness.trained import Trained
from benchmarks.settings.types import ODESettings
from odernn import ODERecurrence, SequenceNetwork
from solvers import ConvergenceError

CLEAN = "clean"
TORCH = "torch"
"""The scheme's label of torch's own layers, which have none."""


@dataclass(frozen=True)
class Row:
    """A network under a scheme.

    Attributes:
        trained: the network.
        scheme: the scheme's label.
        own: whether it was trained by it.
        clean: the accuracy without a perturbation, from 0 to 1.
        found: by perturbation, for each of its levels, the accuracy of each draw.
    """

    trained: Trained
    scheme: str
    own: bool
    clean: float
    found: Mapping[Kind, Sequence[Sequence[float]]]

    def means(self, kind: Kind) -> list[float]:
        """The mean accuracy at each level, without level zero."""
        return [statistics.fmean(draws) for draws in self.found[kind]]

    def area(self, perturbation: Perturbation) -> float:
        """The area under accuracy against level, by the trapezoidal rule, over the largest level: a mean accuracy."""
        levels = [0.0, *perturbation.levels]
        values = [self.clean, *self.means(perturbation.kind)]
        pieces = [
            (after - before) * (one + other) / 2
            for before, after, one, other in zip(levels, levels[1:], values, values[1:], strict=False)
        ]
        return sum(pieces) / levels[-1]

    def overall(self, suite: Suite) -> float:
        """The mean of the areas."""
        return statistics.fmean(self.area(each) for each in suite.perturbations.values())


@dataclass(frozen=True)
class Robustness:
    """What the suite found.

    Attributes:
        suite: the suite.
        rows: network by network, each under its own scheme first.
        left_out: network and scheme, with the reason.
    """

    suite: Suite
    rows: Sequence[Row]
    left_out: Sequence[LeftOut]


@dataclass(frozen=True)
class _Stepped:
    """A network that a scheme steps."""

    label: str
    network: nn.Module
    own: bool


def measure(
    trained: Sequence[Trained],
    suite: Suite,
    solvers: Sequence[str],
    substeps: Sequence[int],
    store: Store,
    tell: Callable[[str], None],
) -> Robustness:
    """Runs the suite.

    Args:
        trained: the networks.
        suite: the perturbations.
        solvers: names of those that step each network too, where its field takes them.
        substeps: of these.
        store: what is there already, and where the rest goes.
        tell: what shows how far it is.
    """
    rows: list[Row] = []
    left_out: list[LeftOut] = []
    for one in trained:
        stepped, refused = _stepped(one, solvers, substeps)
        left_out += refused
        for each in stepped:
            try:
                rows.append(_row(one, each, suite, store, tell))
            except ConvergenceError as error:
                left_out.append(LeftOut(f"{one.label}, {each.label}", str(error)))
    return Robustness(suite, rows, left_out)


def _row(trained: Trained, stepped: _Stepped, suite: Suite, store: Store, tell: Callable[[str], None]) -> Row:
    tell(f"{trained.label}, {stepped.label}")
    images, network = trained.images, stepped.network

    def cell(name: str, measured: Callable[[], list[float]]) -> list[float]:
        return store.get(trained.digest, trained.label, stepped.label, name, measured)

    (clean,) = cell(CLEAN, lambda: [clean_accuracy(network, images)])
    found: dict[Kind, list[list[float]]] = {}
    for kind, perturbation in suite.perturbations.items():
        for level in perturbation.levels:
            draws = cell(f"{kind} {level}", _accuracies(trained, network, suite, perturbation, level))
            found.setdefault(kind, []).append(draws)
    return Row(trained, stepped.label, stepped.own, clean, found)


def _accuracies(
    trained: Trained, network: nn.Module, suite: Suite, perturbation: Perturbation, level: float
) -> Callable[[], list[float]]:
    return lambda: accuracies(network, trained.images, suite, perturbation, level)


def _stepped(trained: Trained, solvers: Sequence[str], substeps: Sequence[int]) -> tuple[list[_Stepped], list[LeftOut]]:
    part, model = trained.network.recurrent, trained.run.settings.model
    if not isinstance(part, ODERecurrence) or not isinstance(model, ODESettings):
        reason = "torch's own layer has no vector field for another solver to step"
        others = [LeftOut(f"{trained.label}, {name}", reason) for name in solvers]
        return [_Stepped(TORCH, trained.network, own=True)], others
    schemes, refused = choose((model.solver, model.substeps), solvers, substeps, refusal_of(part.rnn))
    stepped = [_Stepped(each.label, _under(trained.network, part, each), each.own) for each in schemes]
    return stepped, [LeftOut(f"{trained.label}, {each.name}", each.reason) for each in refused]


def _under(network: SequenceNetwork, part: ODERecurrence, scheme: Scheme) -> nn.Module:
    """The network with the same weights under a scheme."""
    layers = [scheme.iterated.step(layer) for layer in part.layers]
    return nn.Sequential(network.encoder, part.with_layers(layers), network.readout).eval()
