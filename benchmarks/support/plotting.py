"""What all pictures have in common: colours, and a figure that becomes a PNG or an SVG without a window."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import count

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

# Okabe & Ito, Color Universal Design (2008), without its yellow, which is too light for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")  # a second sign beside the colour
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DPI = 150


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty figure; the size is in inches."""
    return Figure(figsize=size, dpi=DPI, layout="constrained")


def to_png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    return stream.getvalue()


def clear_frame(axes: Axes) -> None:
    """A faint grid, and no line above and at the right."""
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def styles() -> Iterator[tuple[str, str]]:
    """Colours and dashes, line after line, without end: no two alike before all pairs are used."""
    for index in count():
        yield COLOURS[index % len(COLOURS)], DASHES[(index + index // len(COLOURS)) % len(DASHES)]


def signs() -> Iterator[tuple[str, str]]:
    """Colours and markers, point after point, without end: no two alike before all pairs are used."""
    for index in count():  # the numbers of colours and markers have no common factor
        yield COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def log_ticks(axes: Axes, *, decades: bool = False) -> None:
    """A logarithmic x axis whose ticks are plain numbers: 1, 2, 5, 10; or powers of ten if it has many `decades`."""
    axes.set_xscale("log")
    if not decades:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def to_png_and_svg(figure: Figure) -> tuple[bytes, bytes]:
    """The figure as both. Its parts are placed once, which takes half of the time of a drawing."""
    png = to_png(figure)
    figure.set_layout_engine("none")
    return png, to_svg(figure)


def to_svg(figure: Figure) -> bytes:
    """The figure as an SVG, the same bytes for the same figure; its text stays text."""
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "odernn", "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})
    return stream.getvalue()
