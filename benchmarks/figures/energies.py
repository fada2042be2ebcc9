"""What each solver does to the energy that the flow keeps, against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from benchmarks.figures.networks import DOUBLE, Driven, Request, all_solvers, stepped_by, trained_driven
from benchmarks.figures.picture import Cell, Picture
from benchmarks.support.errors import UserError
from benchmarks.support.plotting import clear_frame, new_figure, styles
from odernn import ODERNN, HamiltonianField
from odernn.analysis import energy
from solvers import RK4, Solver

FLOOR = 1e-16
FINE = 32
"""Substeps of RK4 that stand for the flow of a damped field."""

STEPS = 400
"""Samples that a network is held for."""

COLUMNS = ("solver", "family", "time", "energy", "flow", "relative_error")

GROUPS: Mapping[str, tuple[str, ...]] = {
    "explicit Runge-Kutta": ("explicit Runge-Kutta", "stochastic"),
    "multi-step and reversible": ("multi-step", "reversible"),
    "symplectic splitting": ("splitting",),
    "implicit, exponential, adaptive": ("implicit", "discrete gradient", "exponential", "adaptive"),
}
"""The panels, by the families of the registry."""


@dataclass(frozen=True)
class Held:
    """A network under a constant input, and where it starts.

    Attributes:
        title: for the figure.
        rnn: the network, batch first.
        x: the constant input (input,).
        y0: the start (1, 1, hidden).
        steps: how many samples it runs for.
    """

    title: str
    rnn: ODERNN
    x: Float[Tensor, " input"]
    y0: Float[Tensor, "1 1 hidden"]
    steps: int


def draw_energies(request: Request) -> Picture:
    """How far the energy is off that of the flow, against time, a line for each solver that takes the field."""
    held = _network(request)
    flow = flow_energies(held)
    groups = {title: found for title, families in GROUPS.items() if (found := _runs(held, families))}
    figure = new_figure((1.0 + 3.0 * len(groups), 5.4))
    grid = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    rows: list[tuple[Cell, ...]] = []
    for axes, (title, runs) in zip(grid, groups.items(), strict=True):
        rows += _draw_group(axes, title, float(held.rnn.dt), runs, flow)
    grid[0].set_ylabel("|E(t) − E of the flow| / E(0)")
    figure.suptitle(f"energy under a constant input: {held.title}", x=0.01, ha="left", fontsize="medium")
    return Picture(figure, COLUMNS, rows)


def _runs(held: Held, families: Sequence[str]) -> dict[str, tuple[Solver, Tensor]]:
    """The solvers of some families that take the field, with the energies they give."""
    members = {name: solver for name, solver in all_solvers().items() if solver.family in families}
    found = {name: (solver, energies(held, solver)) for name, solver in members.items()}
    return {name: (solver, values) for name, (solver, values) in found.items() if values is not None}


def _draw_group(
    axes: Axes, title: str, dt: float, runs: Mapping[str, tuple[Solver, Tensor]], flow: Tensor
) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for (name, (solver, values)), (colour, dash) in zip(runs.items(), styles(), strict=False):
        times = [dt * step for step in range(len(values))]
        error = (values - flow).abs() / flow[0]
        shown = error[1:].clamp(min=FLOOR).tolist()  # at the start there is none
        axes.plot(times[1:], shown, color=colour, linestyle=dash, linewidth=1.2, label=name)
        for numbers in zip(times, values.tolist(), flow.tolist(), error.tolist(), strict=True):
            rows.append((name, solver.family, *numbers))
    axes.set_yscale("log")
    axes.set_ylim(FLOOR / 3, 1e3)
    axes.set_xlabel("time")
    axes.set_title(title, fontsize="medium", loc="left")
    axes.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, frameon=False)
    clear_frame(axes)
    return rows


def flow_energies(held: Held) -> Float[Tensor, " time"]:
    """The energy along the flow: the first for ever without damping, else that of RK4 with very short steps."""
    found = energies(held, RK4(), substeps=FINE * held.rnn.substeps)
    assert found is not None
    return found if getattr(held.rnn.field, "damping", 0.0) else found[:1].expand(len(found))


def energies(held: Held, solver: Solver, *, substeps: int | None = None) -> Float[Tensor, " time"] | None:
    """The energy at the start and after every sample; None if the field does not suit the solver.

    Args:
        held: the network.
        solver: what steps it.
        substeps: its steps a sample; the network's own number for None.
    """
    rnn = stepped_by(held.rnn, solver, substeps=substeps or held.rnn.substeps)
    if rnn is None:
        return None
    with torch.no_grad():
        output, _ = rnn(held.x.expand(1, held.steps, -1), held.y0)
        return energy(held.rnn, torch.cat((held.y0[0], output[0])), held.x)


def _network(request: Request) -> Held:
    if request.trained is not None:
        return _trained(request)
    units, dt, steps = (4, 0.25, 40) if request.small else (16, 0.25, STEPS)
    torch.manual_seed(0)
    field = HamiltonianField(1, units, dtype=DOUBLE).requires_grad_(False)
    rnn = ODERNN(field, all_solvers()["leapfrog"], dt=dt, batch_first=True)
    title = f"an untrained HamiltonianField, {units} units, steps of {dt}"
    return Held(title, rnn, torch.ones(1, dtype=DOUBLE), torch.randn(1, 1, units, dtype=DOUBLE), steps)


def _trained(request: Request) -> Held:
    """A run's network, held."""
    assert request.trained is not None
    driven = trained_driven(request.trained)
    try:
        return hold(driven, 40 if request.small else STEPS)
    except ValueError as error:
        raise UserError(f"`--run` is {driven.title}: {error}; ask for other figures with `--only`") from error


def hold(driven: Driven, steps: int) -> Held:
    """A network held at the mean input of its task, from the state that its first sequence leads to.

    Raises:
        ValueError: its field keeps no energy that is known.
    """
    x = driven.x.mean(dim=(0, 1))
    with torch.no_grad():
        _, y0 = driven.rnn(driven.x[:1], save="end")
    assert isinstance(driven.rnn.dt, float)
    energy(driven.rnn, y0, x)
    damping = getattr(driven.rnn.field, "damping", 0.0)
    loses = f"; the damping of {damping:g} takes energy" if damping else ""
    return Held(f"{driven.title}, steps of {driven.rnn.dt}{loses}", driven.rnn, x, y0, steps)
