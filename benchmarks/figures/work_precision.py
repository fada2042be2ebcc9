"""Work against precision: the error to a float64 reference, against evaluations and against seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from matplotlib.axes import Axes
from torch import Tensor

from benchmarks.figures.evaluations import ITERATING, evaluations_a_step
from benchmarks.figures.networks import DOUBLE, Driven, Request, all_solvers, random_drive, stepped_by, trained_driven
from benchmarks.figures.picture import Cell, Picture
from benchmarks.support.plotting import COLOURS, DASHES, MARKERS, clear_frame, new_figure
from odernn import ODERNN, HamiltonianField, LipschitzField
from solvers import RK4, Solver, TorchdiffeqSolver

SUBSTEPS = (1, 2, 4, 8, 16)
DEAREST = 4
"""The most substeps of a method that iterates."""

TOLERANCES = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10)
"""What an adaptive method turns in place of substeps."""

MOST = 40
"""Samples of a run's task."""

REFERENCE = 128
"""Substeps of the reference, by RK4: its error is 8^4 times below that of RK4 with the most substeps shown."""

REPEATS, ENOUGH = 5, 0.1
COLUMNS = ("network", "solver", "family", "substeps", "tolerance", "evaluations", "seconds", "error")


@dataclass(frozen=True)
class Point:
    """One solver with some substeps, or some tolerance.

    Attributes:
        substeps: solver steps a sample.
        tolerance: of an adaptive method, absolute and relative; else 0.
        evaluations: of f over the whole sequence.
        seconds: of one forward pass, the shortest of a few.
        error: the largest distance of a sequence's last state to the reference, relative to the reference's norm.
    """

    substeps: int
    tolerance: float
    evaluations: float
    seconds: float
    error: float


def draw_work_precision(request: Request) -> Picture:
    """A row for each network: error against evaluations at the left, against seconds at the right."""
    networks = _networks(request)
    figure = new_figure((12.0, 4.8 * len(networks)))
    grid = figure.subplots(len(networks), 2, squeeze=False)
    rows: list[tuple[Cell, ...]] = []
    for pair, driven in zip(grid, networks, strict=True):
        rows += _draw_network(pair, driven, request)
    figure.suptitle(
        f"error of the last state to a float64 reference (RK4 with {REFERENCE} substeps); "
        f"{', '.join(map(str, _shown(request)))} substeps a sample (implicit: up to {DEAREST}), of dopri5 a finer and "
        "finer tolerance",
        x=0.01,
        ha="left",
        fontsize="medium",
    )
    return Picture(figure, COLUMNS, rows)


def measure(driven: Driven, solver: Solver, substeps: int, reference: Tensor) -> Point | None:
    """One point; None if the solver does not take the field."""
    rnn = stepped_by(driven.rnn, solver, substeps=substeps)
    if rnn is None:
        return None
    end, seconds = _timed(rnn, driven.x)
    distance = torch.linalg.vector_norm(end - reference, dim=-1) / torch.linalg.vector_norm(reference, dim=-1)
    steps = driven.x.shape[1] * substeps
    tolerance = solver.rtol if isinstance(solver, TorchdiffeqSolver) else 0.0
    work = steps * evaluations_a_step(rnn, driven.x)
    return Point(substeps, tolerance, work, seconds, float(distance.max()))


def _timed(rnn: ODERNN, x: Tensor) -> tuple[Tensor, float]:
    """The last state, and the seconds of the shortest of a few forward passes; a slow one is not repeated."""
    seconds, end = [], x
    with torch.no_grad():
        while len(seconds) < REPEATS and sum(seconds) < ENOUGH:
            began = time.perf_counter()
            end = rnn(x, save="end")[1]
            seconds.append(time.perf_counter() - began)
    return end, min(seconds)


def reference_of(driven: Driven) -> Tensor:
    """The last state (1, batch, hidden) by RK4 with very short steps."""
    rnn = stepped_by(driven.rnn, RK4(), substeps=REFERENCE)
    assert rnn is not None
    with torch.no_grad():
        return rnn(driven.x, save="end")[1]


def _draw_network(pair: Sequence[Axes], driven: Driven, request: Request) -> list[tuple[Cell, ...]]:
    reference = reference_of(driven)
    rows: list[tuple[Cell, ...]] = []
    members: dict[str, int] = {}
    for name, solver in all_solvers().items():
        points = [measure(driven, one, substeps, reference) for one, substeps in _variants(solver, request)]
        there = [point for point in points if point is not None]
        if not there:
            continue
        members[solver.family] = members.get(solver.family, -1) + 1
        _draw_line(pair, name, there, *_style(solver.family), MARKERS[members[solver.family] % len(MARKERS)])
        rows += [
            (driven.title, name, solver.family, p.substeps, p.tolerance, p.evaluations, p.seconds, p.error)
            for p in there
        ]
    _label(pair, driven)
    return rows


def _style(family: str) -> tuple[str, str]:
    """A colour for each family of the registry, the same in every panel, and dashes where they begin again."""
    index = list(dict.fromkeys(solver.family for solver in all_solvers().values())).index(family)
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS)]


def _draw_line(pair: Sequence[Axes], name: str, points: Sequence[Point], colour: str, dash: str, marker: str) -> None:
    errors = [point.error for point in points]
    for axes, work in zip(pair, ([p.evaluations for p in points], [p.seconds for p in points]), strict=True):
        axes.plot(work, errors, color=colour, linestyle=dash, marker=marker, markersize=5, linewidth=1, label=name)


def _label(pair: Sequence[Axes], driven: Driven) -> None:
    for axes, work in zip(
        pair,
        ("evaluations of f (a Jacobian counts as one)", "seconds of a forward pass, the shortest of a few"),
        strict=True,
    ):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(work)
        clear_frame(axes)
    pair[0].set_ylabel("relative error")
    pair[0].set_title(driven.title, fontsize="medium", loc="left")
    pair[1].legend(fontsize="small", loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)


def _variants(solver: Solver, request: Request) -> list[tuple[Solver, int]]:
    """A solver with more and more substeps; an adaptive one with one, and a finer and finer tolerance."""
    if isinstance(solver, TorchdiffeqSolver):
        return [(replace(solver, rtol=tol, atol=tol), 1) for tol in TOLERANCES[: len(_shown(request))]]
    most = DEAREST if solver.family in ITERATING else max(SUBSTEPS)
    return [(solver, substeps) for substeps in _shown(request) if substeps <= most]


def _shown(request: Request) -> tuple[int, ...]:
    return SUBSTEPS[:2] if request.small else SUBSTEPS


def _networks(request: Request) -> list[Driven]:
    if request.trained is not None:
        return [trained_driven(request.trained, samples=MOST // 5 if request.small else MOST)]
    units, samples = (4, 3) if request.small else (32, 20)
    torch.manual_seed(0)
    partitioned = HamiltonianField(2, units, dtype=DOUBLE).requires_grad_(False)
    semilinear = LipschitzField(2, units, damping=0.1, beta=0.9, dtype=DOUBLE).requires_grad_(False)
    x = random_drive(32, samples, 2)
    return [
        Driven(
            f"an untrained {type(field).__name__}, {units} units, {samples} samples, dt = 0.4, zero-order hold",
            ODERNN(field, RK4(), dt=0.4, batch_first=True),
            x,
        )
        for field in (partitioned, semilinear)
    ]
