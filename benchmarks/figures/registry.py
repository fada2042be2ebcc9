"""FIGURES, the one list of figures: the command line and the tests read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from benchmarks.figures.energies import draw_energies
from benchmarks.figures.moduli import draw_dampings, draw_solvers
from benchmarks.figures.networks import Request
from benchmarks.figures.picture import Picture
from benchmarks.figures.regions import draw_regions
from benchmarks.figures.simulations import draw_euler, draw_implicit_midpoint, draw_leapfrog, draw_rk4
from benchmarks.figures.work_precision import draw_work_precision

FIGURES: Mapping[str, Callable[[Request], Picture]] = MappingProxyType(
    {
        "figure1": draw_euler,
        "figure1-rk4": draw_rk4,
        "figure1-implicit-midpoint": draw_implicit_midpoint,
        "figure1-leapfrog": draw_leapfrog,
        "figure2": draw_dampings,
        "figure2-solvers": draw_solvers,
        "stability-regions": draw_regions,
        "energy": draw_energies,
        "work-precision": draw_work_precision,
    }
)
