"""Learning curves: a picture of the right size, of any runs there are."""

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib import _pylab_helpers

from benchmarks.report.curves import SIZE, draw_curves
from benchmarks.report.result import RunResult
from benchmarks.report.table import group_results
from benchmarks.support.plotting import DPI
from tests.benchmarks.synthetic import make_result


def pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png), format="png")


@pytest.mark.parametrize(
    "results",
    [
        [make_result()],
        [make_result(epochs=1)],
        [make_result(objective="regression")],
        [make_result(seed=0), make_result(seed=1, test=None)],
        [make_result(row=f"row {index}") for index in range(12)],
    ],
    ids=["one run", "one epoch", "regression", "one diverged", "many rows"],
)
def test_draws_any_runs(results: list[RunResult]) -> None:
    image = pixels(draw_curves("digits", group_results(results)))
    assert image.shape[:2] == (round(SIZE[1] * DPI), round(SIZE[0] * DPI))
    assert image[..., :3].std() > 0.01  # something is drawn


def test_bytes_are_a_function_of_the_runs() -> None:
    one, again, other = (draw_curves("digits", [[make_result(epochs=epochs)]]) for epochs in (3, 3, 4))
    assert one == again
    assert one != other


def test_leaves_no_figure_behind() -> None:
    draw_curves("digits", [[make_result()]])
    assert not _pylab_helpers.Gcf.figs
