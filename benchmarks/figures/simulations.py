"""The paper's Figure 1: trajectories of two units without input, of vanilla networks and of networks with feedback."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from benchmarks.figures.networks import DOUBLE, Request
from benchmarks.figures.picture import Cell, Picture
from benchmarks.support.plotting import COLOURS, clear_frame, new_figure
from odernn import ODERNN, HamiltonianField, LipschitzField, UnstructuredField, VectorField
from solvers import RK4, Euler, ImplicitMidpoint, Leapfrog, Solver

STARTS = ((0.0, 0.5), (-0.5, -0.5), (0.5, -0.75))
STEPS = 50
EPSILON = 0.1
LONG = 0.6
MARKERS = ("o", "s", "^")
COLUMNS = ("panel", "solver", "dt", "w11", "w12", "w21", "w22", "start", "step", "y1", "y2", "norm")


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        letter: the paper's.
        title: what W is.
        matrix: W (2, 2).
        feedback: y' = tanh(W y) with steps of EPSILON; else the vanilla network y <- tanh(W y), which is Euler's method
            with steps of 1 on y' = tanh(W y) - y.
    """

    letter: str
    title: str
    matrix: Float[Tensor, "2 2"]
    feedback: bool

    def field(self) -> UnstructuredField | LipschitzField:
        """The panel's vector field; its one input is not used."""
        field = _feedback() if self.feedback else _vanilla()
        with torch.no_grad():
            _matrix_of(field).copy_(self.matrix)
            field.input_map.weight.zero_()
        return field.requires_grad_(False)

    @property
    def dt(self) -> float:
        """The step."""
        return EPSILON if self.feedback else 1.0


def panels() -> list[Panel]:
    """The eight panels. The paper draws the matrices of (a), (c) and (d) at random; ours are of a fixed seed."""
    draw = torch.Generator().manual_seed(0)
    gaussian = torch.randn(2, 2, dtype=DOUBLE, generator=draw)
    turn, _ = torch.linalg.qr(torch.randn(2, 2, dtype=DOUBLE, generator=draw))
    turn = turn * torch.tensor([[1.0, float(torch.linalg.det(turn).sign())]], dtype=DOUBLE)  # a rotation
    mirror = turn * torch.tensor([[1.0, -1.0]], dtype=DOUBLE)  # and a reflection
    return [
        Panel("a", "Gaussian", gaussian, False),
        Panel("b", "identity", torch.eye(2, dtype=DOUBLE), False),
        Panel("c", "orthogonal, a rotation", turn, False),
        Panel("d", "orthogonal, a reflection", mirror, False),
        Panel("e", "eigenvalues 2, 2", _matrix(2, -2, 0, 2), True),
        Panel("f", "eigenvalues −2, −2", _matrix(-2, 2, 0, -2), True),
        Panel("g", "eigenvalues ±2i", _matrix(0, -2, 2, 0), True),
        Panel("h", "eigenvalues −0.15 ± 2i", _matrix(-0.15, -2, 2, -0.15), True),
    ]


def trajectories(field: VectorField, solver: Solver, dt: float, steps: int = STEPS) -> Float[Tensor, "time starts 2"]:
    """The states from the three starts, the starts included."""
    start = torch.tensor([STARTS], dtype=DOUBLE)
    output, _ = ODERNN(field, solver, dt=dt)(torch.zeros(steps, len(STARTS), 1, dtype=DOUBLE), start)
    return torch.cat((start, output))


def draw_euler(request: Request) -> Picture:
    """The figure as the paper has it."""
    return _draw_eight(Euler(), "as in the paper")


def draw_rk4(request: Request) -> Picture:
    """The same fields by RK4."""
    return _draw_eight(RK4(), "the same fields and steps")


def draw_implicit_midpoint(request: Request) -> Picture:
    """The same fields by the implicit midpoint rule."""
    return _draw_eight(ImplicitMidpoint(), "the same fields and steps")


def draw_leapfrog(request: Request) -> Picture:
    """Panel (g), the only one with a partition, by four solvers, with the paper's steps and with longer ones."""
    panel = next(panel for panel in panels() if panel.letter == "g")
    field = _partitioned(panel)
    solvers = (Euler(), RK4(), ImplicitMidpoint(), Leapfrog())
    figure = new_figure((12.0, 6.6))
    rows: list[tuple[Cell, ...]] = []
    for line, dt in zip(figure.subplots(2, 4), (EPSILON, LONG), strict=True):
        for axes, solver in zip(line, solvers, strict=True):
            rows += _draw_panel(axes, panel, solver, field, dt)
            axes.set_title(f"{type(solver).__name__}, steps of {dt}", fontsize="medium", loc="left")
    figure.suptitle(
        f"Figure 1 (g), y' = tanh(W y) with W = [[0, −2], [2, 0]], by four solvers: {STEPS} steps from the large marks",
        x=0.01,
        ha="left",
        fontsize="medium",
    )
    return Picture(figure, COLUMNS, rows)


def _draw_eight(solver: Solver, remark: str) -> Picture:
    figure = new_figure((12.0, 6.6))
    rows: list[tuple[Cell, ...]] = []
    for axes, panel in zip(figure.subplots(2, 4).flat, panels(), strict=True):
        rows += _draw_panel(axes, panel, solver, panel.field(), panel.dt)
        axes.set_title(f"({panel.letter}) {panel.title}", fontsize="medium", loc="left")
    name = type(solver).__name__
    figure.suptitle(
        f"Figure 1 by {name}, {remark}: {STEPS} steps from the large markers\n"
        f"above: y' = tanh(W y) − y, steps of 1 (by Euler y ← tanh(W y)); below: y' = tanh(W y), steps of {EPSILON}",
        x=0.01,
        ha="left",
        fontsize="medium",
    )
    return Picture(figure, COLUMNS, rows)


def _draw_panel(axes: Axes, panel: Panel, solver: Solver, field: VectorField, dt: float) -> list[tuple[Cell, ...]]:
    states = trajectories(field, solver, dt)
    for one, colour, marker in zip(states.unbind(1), COLOURS, MARKERS, strict=False):
        x, y = one.T.tolist()
        axes.plot(x, y, color=colour, linewidth=1, marker=marker, markersize=2.5, zorder=3)
        axes.plot(x[:1], y[:1], color=colour, marker=marker, markersize=8, markeredgecolor="black", zorder=4)
    _frame(axes, states)
    if panel.feedback:
        _draw_field(axes, field)
    return _rows(panel, solver, dt, states)


def _frame(axes: Axes, states: Tensor) -> None:
    reach = 1.15 * float(states.abs().max())
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_xlabel("$y_1$")
    axes.set_ylabel("$y_2$")
    clear_frame(axes)
    axes.grid(visible=False)


def _draw_field(axes: Axes, field: VectorField) -> None:
    """Arrows of equal length beneath the trajectories."""
    line = torch.linspace(*axes.get_xlim(), 17, dtype=DOUBLE)
    grid = torch.cartesian_prod(line, line)
    slope = torch.nn.functional.normalize(field(0.0, grid, torch.zeros(len(grid), 2, dtype=DOUBLE)), dim=-1)
    axes.quiver(*grid.T.tolist(), *slope.T.tolist(), color="0.75", pivot="mid", scale=26, width=0.004, zorder=1)


def _rows(panel: Panel, solver: Solver, dt: float, states: Tensor) -> list[tuple[Cell, ...]]:
    matrix = panel.matrix.flatten().tolist()
    return [
        (panel.letter, type(solver).__name__, dt, *matrix, start + 1, step, *y, hypot(*y))
        for start in range(len(STARTS))
        for step, y in enumerate(states[:, start].tolist())
    ]


def _matrix_of(field: UnstructuredField | LipschitzField | HamiltonianField) -> Tensor:
    matrix = field.recurrent.matrix
    assert isinstance(matrix, Tensor)
    return matrix


def _feedback() -> UnstructuredField:
    return UnstructuredField(1, 2, dtype=DOUBLE)


def _vanilla() -> LipschitzField:
    """A field y' = -y + tanh(W y): A = -I, and W as it is drawn."""
    return LipschitzField(1, 2, damping=1.0, damping_w=0.0, beta_w=0.5, sigma_a=0.0, dtype=DOUBLE)


def _partitioned(panel: Panel) -> HamiltonianField:
    """The field of panel (g) with its partition: q' = tanh(-2 p), p' = tanh(2 q)."""
    field = HamiltonianField(1, 2, dtype=DOUBLE)
    with torch.no_grad():
        _matrix_of(field).copy_(panel.matrix[1:, :1])
        field.input_map.weight.zero_()
    return field.requires_grad_(False)


def _matrix(*entries: float) -> Float[Tensor, "2 2"]:
    return torch.tensor(entries, dtype=DOUBLE).reshape(2, 2)
