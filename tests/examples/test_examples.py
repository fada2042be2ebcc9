"""Every example runs, is short, and its number means what it says; the sizes are small and the claims are too."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def chance(found: float) -> bool:
    return 0 <= found <= 1


SMALL: dict[str, tuple[dict[str, Any], Callable[[Any], bool]]] = {
    "drop_in_classifier": ({"steps": 2}, lambda found: len(found) == 2 and all(map(chance, found.values()))),
    "own_field": ({"steps": 2}, lambda found: found["off"] < 1e-4),  # float32, sums over 50 steps
    "own_solver": ({"samples": 2}, lambda found: abs(found - 3) < 0.2),  # as the laws of order have it
    "pendulum": ({"steps": 2}, lambda found: all(value > 0 for value in found.values())),
    "streaming": ({"samples": 20}, lambda found: found["off"] < 1e-5),  # float32, two layers
    "packed_text": ({"steps": 2}, chance),
    "swap_solver": ({"steps": 2}, lambda found: abs(found["heun"] - found["rk4"]) < abs(found["euler"] - found["rk4"])),
    "hamiltonian_energy": ({"samples": 100}, lambda found: found["leapfrog"] < 0.1 * found["euler"]),
    "ensemble": ({"steps": 2, "members": 2}, lambda found: found["seen"] >= 0),
    "memory_task": ({"steps": 2}, chance),
    # float32, sums over the samples of an episode
    "torchrl_policy": ({"steps": 2, "batch": 4}, lambda found: chance(found["right"]) and found["off"] < 1e-5),
    "lightning_module": ({"epochs": 1, "count": 100}, lambda found: chance(found["right"]) and found["off"] == 0),
}
"""Arguments that make each quick, and what holds of its number all the same."""
NEEDS = {"torchrl_policy": "torchrl"}
"""What an example is about and the tests do without."""


def test_every_example_is_tried_listed_and_short(repository: Path) -> None:
    scripts = {path.stem: path for path in (repository / "examples").glob("*.py")}
    assert set(scripts) == set(SMALL)
    listed = (repository / "examples" / "README.md").read_text(encoding="utf-8")
    for name, path in scripts.items():
        assert f"`{name}.py`" in listed
        assert len(path.read_text(encoding="utf-8").splitlines()) < 100


@pytest.mark.parametrize(
    "name",
    # torchrl and what it imports warn of each other
    [pytest.param(name, marks=pytest.mark.filterwarnings("ignore")) if name in NEEDS else name for name in SMALL],
)
def test_it_runs_and_its_number_holds(
    name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason="not installed: pip install odernn[peers]")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location(f"example_{name}", repository / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments, holds = SMALL[name]
    found = module.main(**arguments)
    assert holds(found), found
    assert capsys.readouterr().out.strip()
    if "plt" in vars(module):
        assert (tmp_path / f"{name}.png").stat().st_size > 1_000
