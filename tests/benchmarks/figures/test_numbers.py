"""What the figures show in numbers, against what is known of it."""

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from math import log2

import pytest
import torch
from torch import nn

from benchmarks.figures.energies import Held, energies, flow_energies
from benchmarks.figures.evaluations import evaluations_a_step
from benchmarks.figures.moduli import Line, draw_by_solver, jacobian
from benchmarks.figures.networks import all_solvers, random_drive, stepped_by
from benchmarks.figures.picture import Picture
from benchmarks.figures.regions import draw_panels
from odernn import ODERNN, AntisymmetricField, HamiltonianField, LipschitzField
from solvers import RK4, SOLVERS, Euler, ImplicitMidpoint

DOUBLE = torch.float64


@pytest.mark.parametrize("make", [nn.RNN, nn.GRU, nn.LSTM])
def test_the_jacobian_of_torchs_layers_is_autograds(make: type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]) -> None:
    layer = make(2, 3, batch_first=True).double()
    x = torch.randn(2, 5, 2, dtype=DOUBLE)
    found = jacobian(layer, x)

    def last(start: torch.Tensor) -> torch.Tensor:
        parts = tuple(part.contiguous() for part in start.view(1, 1, -1).split(3, dim=-1))
        _, end = layer(x[1:], parts if len(parts) == 2 else parts[0])
        return torch.cat(end, dim=-1).flatten() if isinstance(end, tuple) else end.flatten()

    size = found.shape[-1]
    expected = torch.autograd.functional.jacobian(last, torch.zeros(size, dtype=DOUBLE))
    torch.testing.assert_close(found[1], expected)


def test_an_lstm_forgets_and_a_large_damping_too(small: Callable[[str], Picture]) -> None:
    rows = small("figure2").rows
    longest = {row[0]: float(row[2]) for row in rows if row[1] == 80}
    assert longest["LSTM, of the state (h, c)"] < 1e-4
    assert longest["AntisymmetricRNN, γ = 0"] == pytest.approx(1.0, abs=0.05)
    assert longest["AntisymmetricRNN, γ = 1"] < 0.7 < longest["AntisymmetricRNN, γ = 0.1"]


def test_every_solver_of_the_field_has_its_row(small: Callable[[str], Picture]) -> None:
    shown = {row[0] for row in small("figure2-solvers").rows}
    assert {"euler", "rk4", "leapfrog-midpoint", "adams-bashforth3", "implicit-midpoint"} <= shown
    assert not shown & {"leapfrog", "exponential-euler", "euler-maruyama", "dopri5"}


def test_regions_hold_what_is_known_of_the_solvers(small: Callable[[str], Picture]) -> None:
    rows = small("stability-regions").rows
    stable: defaultdict[str, list[bool]] = defaultdict(list)
    for name, _, _, gain, inside in rows:
        stable[str(name)].append(bool(inside))
        assert bool(inside) == (float(gain) <= 1 + 1e-9)
    assert set(stable) == set(SOLVERS)
    for name in ("implicit-midpoint", "backward-euler", "trapezoidal", "exponential-euler"):
        assert all(stable[name])
    assert sum(stable["euler"]) < sum(stable["rk4"])
    # A damped mode is outside the region of every method that is neutral on the imaginary axis only.
    assert not any(stable["leapfrog"])
    assert stable["heun"] == stable["midpoint"] == stable["stochastic-heun"]


def test_energy_is_kept_by_those_that_keep_it(small: Callable[[str], Picture]) -> None:
    changes: defaultdict[str, list[float]] = defaultdict(list)
    for name, _, _, value, flow, change in small("energy").rows:
        changes[str(name)].append(float(change))
        assert float(change) == pytest.approx(abs(float(value) - float(flow)) / float(flow), rel=1e-6, abs=1e-12)
    assert set(changes) == {name for name, make in SOLVERS.items() if make.family != "exponential"}
    assert all(change[0] == 0 for change in changes.values())
    assert max(changes["average-vector-field"]) < 1e-12
    assert max(changes["yoshida4"]) < max(changes["leapfrog"]) < 0.1
    assert changes["euler"][-1] > 0.5


def test_a_damped_flow_loses_energy_and_a_good_solver_follows() -> None:
    rnn = ODERNN(AntisymmetricField(1, 6, damping=0.5, dtype=DOUBLE), RK4(), dt=0.2, batch_first=True)
    held = Held("any", rnn, torch.ones(1, dtype=DOUBLE), torch.randn(1, 1, 6, dtype=DOUBLE), 30)
    flow = flow_energies(held)
    assert bool((flow.diff() < 0).all())
    by_rk4, by_euler = energies(held, RK4()), energies(held, Euler())
    assert by_rk4 is not None
    assert by_euler is not None
    assert float((by_rk4 - flow).abs().max()) < 0.01 * float((by_euler - flow).abs().max())


def test_error_falls_with_the_work_at_the_order(small: Callable[[str], Picture]) -> None:
    errors: defaultdict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    work: dict[tuple[str, str, int], float] = {}
    for network, name, _, substeps, _, evaluations, seconds, error in small("work-precision").rows:
        key = str(network), str(name)
        errors[key][int(substeps)] = float(error)
        work[*key, int(substeps)] = float(evaluations)
        assert float(seconds) > 0
    networks = {network for network, _ in errors}
    assert len(networks) == 2
    assert {name for _, name in errors} == set(SOLVERS)
    for network in networks:
        assert log2(errors[network, "rk4"][1] / errors[network, "rk4"][2]) > 3  # order 4, at large steps
        assert 0.5 < log2(errors[network, "euler"][1] / errors[network, "euler"][2]) < 2
        assert work[network, "rk4", 2] == 2 * work[network, "rk4", 1] == 4 * work[network, "euler", 2]
        assert work[network, "implicit-midpoint", 1] > 2 * work[network, "euler", 1]


def test_evaluations_are_counted_where_a_solver_iterates() -> None:
    rnn = ODERNN(LipschitzField(2, 4, dtype=DOUBLE), RK4(), dt=0.1, batch_first=True)
    x = random_drive(1, 6, 2)
    assert evaluations_a_step(rnn, x) == 4
    loose = stepped_by(rnn, ImplicitMidpoint(method="fixed-point", tolerance=1e-2))
    strict = stepped_by(rnn, ImplicitMidpoint(method="fixed-point", tolerance=1e-12))
    assert loose is not None
    assert strict is not None
    assert 1 < evaluations_a_step(loose, x) < evaluations_a_step(strict, x)


def test_a_field_is_stepped_by_what_suits_it() -> None:
    rnn = ODERNN(HamiltonianField(2, 4, dtype=DOUBLE), RK4(), dt=0.1, batch_first=True)
    suited = {name for name, solver in all_solvers().items() if stepped_by(rnn, solver) is not None}
    assert suited == {name for name, make in SOLVERS.items() if make.family != "exponential"}


@pytest.mark.parametrize(("low", "high", "least"), [(0.4, 2.0, 3), (0.99, 1.01, 1), (1e-6, 1e3, 3)])
def test_the_moduli_of_solvers_have_ticks_that_can_be_read(low: float, high: float, least: int) -> None:
    """They do not run into each other, and there are enough."""
    moduli = torch.tensor([[low, high]], dtype=DOUBLE)
    lengths = [10, 20, 40, 80]  # as many panels side by side as the figure has
    for limits in (None, (low, high)):
        figure = draw_by_solver([Line("euler", lengths, [moduli] * 4, [1.0] * 4)], "a network", limits).figure
        figure.draw_without_rendering()
        for axes in figure.axes:
            left, right = axes.get_xlim()
            shown = [tick.label1 for tick in axes.xaxis.get_major_ticks() if left <= tick.get_loc() <= right]
            shown += [tick.label1 for tick in axes.xaxis.get_minor_ticks() if tick.label1.get_text()]
            boxes = sorted((label.get_window_extent() for label in shown if label.get_text()), key=lambda box: box.x0)
            assert len(boxes) >= least
            assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_a_long_title_of_the_regions_stays_in_the_figure() -> None:
    picture = draw_panels({"euler": Euler()}, torch.zeros(1, dtype=torch.complex128), "a network of long name " * 8, 9)
    figure = picture.figure
    figure.canvas.draw()
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in figure.texts)
