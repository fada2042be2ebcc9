"""The paper's Figure 1: its recurrences to rounding, and the norms after 50 steps."""

import pytest
import torch

from benchmarks.figures.networks import Request
from benchmarks.figures.simulations import COLUMNS, STARTS, STEPS, draw_euler, draw_leapfrog, panels, trajectories
from solvers import RK4, Euler, ImplicitMidpoint, Solver

DOUBLE = torch.float64
PANELS = {panel.letter: panel for panel in panels()}


@pytest.mark.parametrize("letter", PANELS)
def test_eulers_method_is_the_papers_recurrence(letter: str) -> None:
    panel = PANELS[letter]
    y = torch.tensor(STARTS, dtype=DOUBLE)
    states = trajectories(panel.field(), Euler(), panel.dt)
    for n in range(STEPS):
        # The vanilla one is y + (tanh(W y) - y), which differs from tanh(W y) by rounding.
        slope = torch.tanh(y @ panel.matrix.T)
        y = y + 0.1 * slope if panel.feedback else slope
        torch.testing.assert_close(states[n + 1], y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("letter", "norms"),
    [
        ("e", (7.33, 6.81, 7.93)),
        ("f", (1.1e-4, 1.2e-4, 1.9e-4)),
        ("g", (0.789, 1.019, 1.192)),
        ("h", (0.518, 0.711, 0.841)),
    ],
)
def test_norms_after_fifty_steps(letter: str, norms: tuple[float, float, float]) -> None:
    """Computed once by another program, and rounded to the digits that stand here."""
    panel = PANELS[letter]
    found = torch.linalg.vector_norm(trajectories(panel.field(), Euler(), panel.dt)[-1], dim=-1).tolist()
    half = {"e": 0.005, "f": 0.05e-4, "g": 0.0005, "h": 0.0005}[letter]
    assert found == pytest.approx(norms, rel=0, abs=1.001 * half)


def test_the_constant_distance_of_panel_h_is_a_limit_cycle() -> None:
    states = trajectories(PANELS["h"].field(), Euler(), 0.1, steps=5000)
    assert torch.linalg.vector_norm(states[-1], dim=-1).tolist() == pytest.approx((0.589, 0.579, 0.598), abs=0.0005)


@pytest.mark.parametrize("solver", [RK4(), ImplicitMidpoint()], ids=str)
def test_a_better_solver_keeps_what_euler_does_not(solver: Solver) -> None:
    """In panel (g) the flow keeps log cosh(2 y_1) + log cosh(2 y_2); Euler's method spirals outward."""

    def change(by: Solver) -> float:
        states = trajectories(PANELS["g"].field(), by, 0.1)
        energy = torch.log(torch.cosh(2 * states)).sum(-1)
        return float((energy[-1] / energy[0] - 1).abs().max())

    assert change(Euler()) > 0.3
    assert change(solver) < 0.01


def test_matrices_are_what_the_titles_say() -> None:
    for letter, determinant in (("c", 1.0), ("d", -1.0)):
        matrix = PANELS[letter].matrix
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(2, dtype=DOUBLE))
        assert float(torch.linalg.det(matrix)) == pytest.approx(determinant)


def test_the_numbers_hold_every_step() -> None:
    rows = draw_euler(Request()).rows
    assert len(rows) == 8 * 3 * (STEPS + 1)
    (last,) = [
        row for row in rows if row[0] == "g" and row[COLUMNS.index("start")] == 3 and row[COLUMNS.index("step")] == 50
    ]
    assert last[COLUMNS.index("norm")] == pytest.approx(1.192, abs=0.0005)


def test_leapfrog_is_drawn_where_there_is_a_partition() -> None:
    rows = draw_leapfrog(Request()).rows
    assert {row[0] for row in rows} == {"g"}
    assert {row[1] for row in rows} == {"Euler", "RK4", "ImplicitMidpoint", "Leapfrog"}
    # The partition is that of the same field: Euler's trajectory is that of the paper's panel.
    y1, dt = COLUMNS.index("y1"), COLUMNS.index("dt")
    euler = torch.tensor([row[y1 : y1 + 2] for row in rows if row[1] == "Euler" and row[dt] == 0.1], dtype=DOUBLE)
    expected = trajectories(PANELS["g"].field(), Euler(), 0.1)
    torch.testing.assert_close(euler.unflatten(0, (3, STEPS + 1)), expected.transpose(0, 1))
