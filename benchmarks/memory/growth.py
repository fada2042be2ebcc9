"""What was measured of memory: growth with the length of a sequence, as a table and as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from benchmarks.support.markdown import markdown_table
from benchmarks.support.plotting import COLOURS, DASHES, clear_frame, new_figure, to_png

SIZE = (8.0, 5.0)
EXPONENTS = np.arange(0.05, 1.501, 0.01)
STILL = 0.05  # a peak that changes by less, over the longer half of the lengths, does not grow


@dataclass(frozen=True)
class Growth:
    """The peaks of one adjoint.

    Attributes:
        adjoint: its name.
        peaks: bytes by the length of the sequence.
        state_bytes: of one state (batch, units).
        note: what a reader should know, or nothing.
    """

    adjoint: str
    peaks: Mapping[int, int]
    state_bytes: int
    note: str = ""

    @property
    def exponent(self) -> float | None:
        """The p of `fit_exponent` over the longer half of the lengths, at least three; None for fewer."""
        lengths = sorted(self.peaks)
        longer = lengths[-max(3, math.ceil(len(lengths) / 2)) :]
        return fit_exponent(longer, [self.peaks[length] for length in longer]) if len(longer) > 2 else None

    @property
    def states_an_interval(self) -> float | None:
        """By how many states the peak grows for every further interval, between the two longest lengths."""
        lengths = sorted(self.peaks)
        if len(lengths) < 2:
            return None
        before, last = lengths[-2:]
        return (self.peaks[last] - self.peaks[before]) / (last - before) / self.state_bytes


def fit_exponent(lengths: Sequence[int], peaks: Sequence[int]) -> float:
    """The p of the best fit fixed + c T^p with fixed >= 0, in relative errors; 0 for a peak that does not grow.

    The fixed part is there because a peak has one, of parameters and of work in parts of a given size, which would
    otherwise hide the growth of the rest.
    """
    T, M = np.asarray(lengths, dtype=float), np.asarray(peaks, dtype=float)
    if M.max() - M.min() <= STILL * M.max():
        return 0.0
    return float(min(EXPONENTS, key=lambda p: _misfit(T**p, M)))


def _misfit(power: np.ndarray, M: np.ndarray) -> float:
    """The smallest sum of squares of (fixed + c power) / M - 1."""
    columns = np.stack((1 / M, power / M), axis=1)
    ones = np.ones_like(M)
    fixed, _ = solution = np.linalg.lstsq(columns, ones, rcond=None)[0]
    if fixed < 0:
        columns = columns[:, 1:]
        solution = np.linalg.lstsq(columns, ones, rcond=None)[0]
    return float(((columns @ solution - ones) ** 2).sum())


def to_rows(growths: Sequence[Growth]) -> list[list[str]]:
    """The table's cells, the first row its head: peaks in MB by the length, exponent, states an interval."""
    lengths = sorted({length for growth in growths for length in growth.peaks})
    head = ["adjoint", *(f"{length:,}" for length in lengths), "exponent", "states"]
    return [head, *(_row(growth, lengths) for growth in growths)]


def to_markdown(growths: Sequence[Growth]) -> str:
    """The table in Markdown, with its notes beneath it."""
    head, *rows = to_rows(growths)
    return "\n\n".join([markdown_table(head, rows, left=head[:1]), *notes(growths)])


def notes(growths: Sequence[Growth]) -> list[str]:
    """What a reader of the table should know of single rows."""
    return [f"{growth.adjoint}: {growth.note}" for growth in growths if growth.note]


def draw_growth(title: str, growths: Sequence[Growth]) -> bytes:
    """A PNG of the peaks against the length, both logarithmic."""
    figure = new_figure(SIZE)
    axes = figure.subplots()
    for index, growth in enumerate(growths):
        lengths = sorted(growth.peaks)
        colour, dash = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
        peaks = [growth.peaks[length] / 1e6 for length in lengths]
        axes.plot(lengths, peaks, color=colour, linestyle=dash, marker="o", markersize=4, label=growth.adjoint)
    _label(axes, sorted({length for growth in growths for length in growth.peaks}))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
    return to_png(figure)


def _label(axes: Axes, lengths: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
    axes.set_xlabel("samples in the sequence, T")
    axes.set_ylabel("peak of forward and backward (MB)")
    clear_frame(axes)


def _row(growth: Growth, lengths: Sequence[int]) -> list[str]:
    cells = [_megabytes(growth.peaks[length]) if length in growth.peaks else "–" for length in lengths]
    return [growth.adjoint, *cells, _number(growth.exponent), _number(growth.states_an_interval)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _megabytes(count: int) -> str:
    """Millions of bytes, to three digits."""
    value = count / 1e6
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
