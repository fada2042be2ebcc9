"""The paper's Figure 2: moduli of the end-to-end Jacobian's eigenvalues against T, by damping, training and solver."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor, nn

from benchmarks.figures.networks import DOUBLE, Driven, Request, all_solvers, random_drive, stepped_by, trained_driven
from benchmarks.figures.picture import Cell, Picture
from benchmarks.figures.trained import TrainedNetwork
from benchmarks.models.baselines import set_forget_bias
from benchmarks.support.errors import UserError
from benchmarks.support.plotting import COLOURS, clear_frame, log_ticks, new_figure, styles
from odernn import ODERNN, AntisymmetricField
from odernn.analysis import conditioning, end_to_end_jacobian
from solvers import ConvergenceError, Euler, ImplicitSolver, Solver

LENGTHS = (100, 200, 400, 800)
UNITS, INPUTS, SEQUENCES, DRIVE = 64, 8, 2, 0.55
EPSILON, SIGMA_W = 0.01, 2.0
GAMMAS = (0.0, 0.01, 0.1, 1.0)
FEW = 30.0
"""A range whose ends are not so many times apart has plain numbers at its ticks, else powers of ten."""
MOST = 64
"""Samples of a run's first sequence over which solvers are compared: implicit ones take long with many units."""
COLUMNS = ("network", "T", "mean", "std", "smallest", "largest", "largest_singular_value")


@dataclass(frozen=True)
class Line:
    """One network's moduli against the length."""

    label: str
    lengths: Sequence[int]
    moduli: Sequence[Float[Tensor, "sequences units"]]
    stretches: Sequence[float]

    def rows(self) -> list[tuple[Cell, ...]]:
        """The numbers of each length, over all sequences."""
        return [
            (self.label, length, float(m.mean()), float(m.std(correction=0)), float(m.min()), float(m.max()), stretch)
            for length, m, stretch in zip(self.lengths, self.moduli, self.stretches, strict=True)
        ]


def draw_dampings(request: Request) -> Picture:
    """Figure 2: networks of several dampings and an LSTM, untrained; or a run's network along its training."""
    if request.trained is not None:
        return _draw_against_length(_along_training(request.trained), request.trained.title)
    lengths = _lengths(request)
    x = random_drive(SEQUENCES, lengths[-1], INPUTS, DRIVE)
    networks: dict[str, ODERNN | nn.Module] = {
        f"AntisymmetricRNN, γ = {gamma:g}": _antisymmetric(gamma, request) for gamma in GAMMAS
    }
    networks["LSTM, of the state (h, c)"] = _lstm(request)
    title = f"untrained, {_units(request)} units, ε = {EPSILON}, σ_w = {SIGMA_W:g}, random input"
    return _draw_against_length([line_of(label, network, x, lengths) for label, network in networks.items()], title)


def draw_solvers(request: Request) -> Picture:
    """The same network under every solver that takes its field, with the same step."""
    driven = _network(request)
    lengths = _fractions(driven.x.shape[1])
    lines = []
    for name, solver in all_solvers().items():
        if solver.family not in ("adaptive", "stochastic") and stepped_by(driven.rnn, solver) is not None:
            lines.append(_line_by(name, solver, driven, lengths))
    return draw_by_solver(lines, f"Figure 2 by solver: {driven.title}")


def _line_by(name: str, solver: Solver, driven: Driven, lengths: Sequence[int]) -> Line:
    """The line of a solver. An implicit one iterates without matrices, which is faster, where that converges."""
    if isinstance(solver, ImplicitSolver):
        with contextlib.suppress(ConvergenceError):
            return line_of(name, _stepped(driven, replace(solver, method="fixed-point")), driven.x, lengths)
    return line_of(name, _stepped(driven, solver), driven.x, lengths)


def _stepped(driven: Driven, solver: Solver) -> ODERNN:
    rnn = stepped_by(driven.rnn, solver)
    assert rnn is not None
    return rnn


def line_of(label: str, network: ODERNN | nn.Module, x: Tensor, lengths: Sequence[int]) -> Line:
    """The moduli of a network's end-to-end Jacobian over the first T samples of `x`, for each T."""
    found = [conditioning(_finite(jacobian(network, x[:, :length]))) for length in lengths]
    stretches = [float(one.singular_values.max()) for one in found]
    return Line(label, lengths, [one.moduli for one in found], stretches)


def jacobian(network: ODERNN | nn.Module, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch n n"]:
    """The derivative of a network's last state by its first, in float64; of an LSTM the state is (h, c)."""
    if isinstance(network, ODERNN):
        return end_to_end_jacobian(network, x, dtype=DOUBLE)
    return _jacobian_of_torchs(copy.deepcopy(network).double(), x.double())


def _jacobian_of_torchs(layer: nn.Module, x: Float[Tensor, "batch time input"]) -> Float[Tensor, "batch n n"]:
    """The same for a layer of torch: every sequence stands once for each row of the Jacobian."""
    assert isinstance(layer, nn.RNN | nn.GRU | nn.LSTM)
    parts = 2 if isinstance(layer, nn.LSTM) else 1
    rows = parts * layer.hidden_size
    start = [torch.zeros(1, rows * len(x), layer.hidden_size, dtype=x.dtype, requires_grad=True) for _ in range(parts)]
    _, end = layer(x.repeat_interleave(rows, dim=0), tuple(start) if parts == 2 else start[0])
    ends = list(end) if parts == 2 else [end]
    along = torch.eye(rows, dtype=x.dtype).repeat(len(x), 1).split(layer.hidden_size, dim=1)
    gradients = torch.autograd.grad(ends, start, [direction.unsqueeze(0) for direction in along])
    return torch.cat(gradients, dim=-1)[0].unflatten(0, (len(x), rows))


def _finite(matrices: Tensor) -> Tensor:
    if bool(torch.isfinite(matrices).all()):
        return matrices
    raise UserError("an end-to-end Jacobian is not finite: the network diverges with this solver and step")


def _along_training(trained: TrainedNetwork) -> list[Line]:
    lengths = _fractions(trained.x.shape[1])
    return [line_of(moment, network, trained.x, lengths) for moment, network in trained.moments.items()]


def _network(request: Request) -> Driven:
    if request.trained is not None:
        return trained_driven(request.trained, sequences=1, samples=MOST // 4 if request.small else MOST)
    units, time = (8, 24) if request.small else (24, 200)
    torch.manual_seed(0)
    field = AntisymmetricField(INPUTS, units, damping=0.01, sigma_w=SIGMA_W, dtype=DOUBLE)
    rnn = ODERNN(field, all_solvers()["euler"], dt=0.1, batch_first=True)
    title = f"untrained AntisymmetricField, {units} units, γ = 0.01, dt = 0.1, σ_w = {SIGMA_W:g}, random input"
    return Driven(title, rnn, random_drive(SEQUENCES, time, INPUTS, DRIVE))


def _antisymmetric(gamma: float, request: Request) -> ODERNN:
    torch.manual_seed(0)
    field = AntisymmetricField(INPUTS, _units(request), damping=gamma, sigma_w=SIGMA_W)
    return ODERNN(field, Euler(), dt=EPSILON, batch_first=True)


def _lstm(request: Request) -> nn.LSTM:
    torch.manual_seed(0)
    lstm = nn.LSTM(INPUTS, _units(request), batch_first=True)
    set_forget_bias(lstm, 1.0)
    return lstm


def _units(request: Request) -> int:
    return 16 if request.small else UNITS


def _lengths(request: Request) -> tuple[int, ...]:
    return tuple(length // 10 for length in LENGTHS) if request.small else LENGTHS


def _fractions(length: int) -> tuple[int, ...]:
    """An eighth, a quarter, a half and the whole."""
    return tuple(sorted({max(1, length // part) for part in (8, 4, 2, 1)}))


def _draw_against_length(lines: Sequence[Line], title: str) -> Picture:
    """Means and bands on a linear axis, as the paper has them, and the means on a logarithmic one."""
    figure = new_figure((12.0, 4.6))
    linear, logarithmic = figure.subplots(1, 2)
    for line, (colour, dash) in zip(lines, styles(), strict=False):
        means, stds = _moments(line)
        low, high = (means - stds).clamp(min=0).tolist(), (means + stds).tolist()
        linear.fill_between(line.lengths, low, high, color=colour, alpha=0.2, linewidth=0)
        logarithmic.fill_between(line.lengths, *_most(line), color=colour, alpha=0.2, linewidth=0)
        for axes in (linear, logarithmic):
            axes.plot(line.lengths, means.tolist(), color=colour, linestyle=dash, marker="o", label=line.label)
    for axes, scale in ((linear, "linear"), (logarithmic, "log")):
        axes.set_yscale(scale)
        axes.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        axes.set_xlabel("T, samples from the start to the end")
        axes.set_xlim(0, None)
        clear_frame(axes)
    linear.set_ylim(0, None)
    linear.set_ylabel("modulus of the eigenvalues of dy_T / dy_0")
    figure.legend(*linear.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize="small")
    linear.set_title("mean and standard deviation", fontsize="medium", loc="left")
    logarithmic.set_title("mean, and 10th to 90th percentile", fontsize="medium", loc="left")
    figure.suptitle(f"Figure 2: {title}", x=0.01, ha="left", fontsize="medium")
    return Picture(figure, COLUMNS, [row for line in lines for row in line.rows()])


def draw_by_solver(lines: Sequence[Line], title: str, limits: tuple[float, float] | None = None) -> Picture:
    """A panel for each length: the mean, most of the moduli and all of them, a row a solver.

    Args:
        lines: the solvers.
        title: of the figure.
        limits: of the moduli that are shown; None for all of them.
    """
    lengths = lines[0].lengths
    figure = new_figure((12.0, 1.4 + 0.24 * len(lines)))
    for index, axes in enumerate(figure.subplots(1, len(lengths), sharex=True, sharey=True, squeeze=False)[0]):
        for row, line in enumerate(lines):
            _draw_whiskers(axes, row, line.moduli[index].flatten())
        axes.axvline(1, color="0.6", linewidth=0.8, zorder=0)
        axes.set_title(f"T = {lengths[index]}", fontsize="medium", loc="left")
        axes.set_yticks(range(len(lines)), [line.label for line in lines], fontsize="small")
        clear_frame(axes)
    for axes in figure.axes:
        axes.set_xscale("log")
        low, high = axes.get_xlim() if limits is None else axes.set_xlim(*limits)
        log_ticks(axes, decades=high > FEW * low)
    figure.axes[0].invert_yaxis()
    figure.supxlabel("modulus of the eigenvalues of dy_T / dy_0: mean, 10th to 90th percentile, all", fontsize="medium")
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
    return Picture(figure, COLUMNS, [row for line in lines for row in line.rows()])


def _draw_whiskers(axes: Axes, row: int, moduli: Tensor) -> None:
    low, high = torch.quantile(moduli, torch.tensor([0.1, 0.9], dtype=moduli.dtype)).tolist()
    axes.plot([float(moduli.min()), float(moduli.max())], [row, row], color=COLOURS[4], linewidth=1)
    axes.plot([low, high], [row, row], color=COLOURS[0], linewidth=4, solid_capstyle="butt")
    axes.plot([float(moduli.mean())], [row], color=COLOURS[1], marker="o", markersize=5, markeredgecolor="white")


def _most(line: Line) -> tuple[list[float], list[float]]:
    """The 10th and the 90th percentile at each length."""
    shares = torch.tensor([0.1, 0.9], dtype=DOUBLE)
    low, high = torch.stack([torch.quantile(m.flatten(), shares) for m in line.moduli], dim=1).tolist()
    return low, high


def _moments(line: Line) -> tuple[Tensor, Tensor]:
    """The means and standard deviations at each length, (lengths,)."""
    return torch.stack([m.mean() for m in line.moduli]), torch.stack([m.std(correction=0) for m in line.moduli])
