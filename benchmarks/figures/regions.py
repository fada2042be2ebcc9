"""The stability region of every registered solver, with a network's eigenvalues times dt upon it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from textwrap import fill

import torch
from jaxtyping import Complex
from matplotlib.axes import Axes
from torch import Tensor

from benchmarks.figures.networks import DOUBLE, Driven, Request, all_solvers, random_drive, trained_driven
from benchmarks.figures.picture import Cell, Picture
from benchmarks.support.plotting import COLOURS, clear_frame, new_figure
from odernn import ODERNN, AntisymmetricField
from odernn.analysis import scaled_spectrum
from solvers import Solver, imaginary_stability

COLUMNS_A_ROW = 6
CHARACTERS_A_LINE = 130
"""Of the title, which is as wide as the figure then."""
SEQUENCES, TIMES = 2, 2
COARSE_LIMIT, POINTS = 20.0, 2000
INSIDE = 1e-9
"""How far above 1 |R| may lie by the rounding of an eigenvalue."""

SMALL, ENLARGED = 1.2, 81
"""Modes within this radius are drawn a second time, enlarged, on a grid of so many points."""

MANY = 500
"""Modes from which on an SVG holds their dots as pixels: as shapes they make megabytes."""

COLUMNS = ("solver", "real", "imaginary", "amplification", "inside")


def draw_regions(request: Request) -> Picture:
    """A panel for each solver: where |R(z)| <= 1, and the z of the network."""
    driven = _network(request)
    return draw_panels(all_solvers(), modes(driven, SEQUENCES), driven.title, 61 if request.small else 241)


def draw_panels(solvers: Mapping[str, Solver], z: Complex[Tensor, " modes"], title: str, points: int) -> Picture:
    """A panel for each solver: where |R(z)| <= 1 on a grid of so many points a side, and the given z."""
    lines = ceil(len(solvers) / COLUMNS_A_ROW)
    figure = new_figure((2.0 * COLUMNS_A_ROW, 2.35 * lines + 0.5))
    grid = figure.subplots(lines, COLUMNS_A_ROW, sharex=True, sharey=True, squeeze=False)
    reach = max(3.6, 1.15 * float(z.abs().max()))
    grid.flat[0].set(xlim=(-reach, 0.45 * reach), ylim=(-reach, reach))  # of all; none then looks for its own
    rows: list[tuple[Cell, ...]] = []
    for axes, (name, solver) in zip(grid.flat, solvers.items(), strict=False):
        rows += _draw_panel(axes, name, solver, z, points)
    for axes in list(grid.flat)[len(solvers) :]:
        axes.set_visible(False)
    for axes in list(grid.flat)[max(0, len(solvers) - COLUMNS_A_ROW) : len(solvers)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("Re z", fontsize="medium")
    figure.supylabel("Im z", fontsize="medium")
    enlarged = "; in the corners: the same dots and crosses, stretched" if float(z.abs().max()) < SMALL else ""
    said = (
        f"shaded, or a thick line: stable, |R(z)| ≤ 1; dots: z = dt λ of {title}; "
        f"crosses: those that are not stable; in %: how many are stable{enlarged}"
    )
    figure.suptitle(fill(said, CHARACTERS_A_LINE), x=0.01, ha="left", fontsize="medium")
    return Picture(figure, COLUMNS, rows)


def _draw_panel(
    axes: Axes, name: str, solver: Solver, z: Complex[Tensor, " modes"], points: int
) -> list[tuple[Cell, ...]]:
    real, imaginary = (torch.linspace(*limits, points, dtype=DOUBLE) for limits in (axes.get_xlim(), axes.get_ylim()))
    _shade(axes, real, imaginary, solver)
    _draw_neutral(axes, solver, float(imaginary.max()))
    axes.axhline(0, color="0.5", linewidth=0.5)
    axes.axvline(0, color="0.5", linewidth=0.5)
    own = solver.amplification(z)
    stable = own <= 1 + INSIDE
    _draw_modes(axes, z, stable)
    if float(z.abs().max()) < SMALL:
        _draw_enlarged(axes, solver, z, stable)
    axes.set_title(f"{name}, {100 * float(stable.double().mean()):.0f} %", fontsize="small", loc="left")
    axes.set_aspect("equal")
    clear_frame(axes)
    return [
        (name, value.real, value.imag, gain, int(inside))
        for value, gain, inside in zip(z.tolist(), own.tolist(), stable.tolist(), strict=True)
    ]


def _draw_modes(axes: Axes, z: Tensor, stable: Tensor) -> None:
    many = len(z) > MANY
    for where, colour, marker in ((stable, COLOURS[6], "."), (~stable, COLOURS[1], "x")):
        axes.plot(
            z.real[where], z.imag[where], linestyle="", marker=marker, markersize=3, color=colour, rasterized=many
        )


def _draw_enlarged(axes: Axes, solver: Solver, z: Tensor, stable: Tensor) -> None:
    """The z and what is around them, stretched to fill a corner."""
    inset = axes.inset_axes((0.02, 0.6, 0.46, 0.39))
    width, height = max(float(z.real.abs().max()), 1e-3), float(z.imag.abs().max())
    real = torch.linspace(-1.3 * width, 0.6 * width, ENLARGED, dtype=DOUBLE)
    imaginary = torch.linspace(-1.2 * height, 1.2 * height, ENLARGED, dtype=DOUBLE)
    _shade(inset, real, imaginary, solver)
    _draw_modes(inset, z, stable)
    inset.axvline(0, color="0.5", linewidth=0.5)
    inset.set_xticks([])
    inset.set_yticks([])


def _shade(axes: Axes, real: Tensor, imaginary: Tensor, solver: Solver) -> None:
    gains = solver.amplification(torch.complex(*torch.meshgrid(real, imaginary, indexing="xy")))
    axes.contourf(real, imaginary, (gains > 1 + INSIDE).double(), levels=[-0.5, 0.5], colors=[COLOURS[4]], alpha=0.45)


def _draw_neutral(axes: Axes, solver: Solver, reach: float) -> None:
    """The stable part of the imaginary axis, which is all of the region of a method that is neutral there."""
    end = min(imaginary_stability(solver, limit=COARSE_LIMIT, points=POINTS), reach)
    if end > 0:
        axes.plot([0, 0], [-end, end], color=COLOURS[0], linewidth=2.5, solid_capstyle="butt")


def modes(driven: Driven, sequences: int, times: int = TIMES) -> Complex[Tensor, " modes"]:
    """The z of the first sequences at a few samples, without the real parts that are rounding."""
    at = torch.linspace(0, driven.x.shape[1] - 1, times).round().int().tolist()
    z = scaled_spectrum(driven.rnn, driven.x[:sequences], at=sorted(set(at))).flatten()
    return torch.complex(torch.where(z.real.abs() < 1e-12 * z.abs().max(), 0, z.real), z.imag)


def _network(request: Request) -> Driven:
    if request.trained is not None:
        return trained_driven(request.trained)
    units, damping, dt, sigma_w = 8 if request.small else 64, 0.3, 1.0, 1.5
    torch.manual_seed(0)
    field = AntisymmetricField(1, units, damping=damping, sigma_w=sigma_w, dtype=DOUBLE)
    rnn = ODERNN(field, all_solvers()["implicit-midpoint"], dt=dt, batch_first=True)
    title = f"an untrained AntisymmetricField, {units} units, γ = {damping}, σ_w = {sigma_w}, dt = {dt:g}"
    return Driven(title, rnn, random_drive(SEQUENCES, 20, 1))
