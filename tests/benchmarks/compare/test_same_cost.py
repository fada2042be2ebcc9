"""Each scheme trained at the same cost: the plan, the runs, and a second start."""

import csv
import json
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.compare import training
from benchmarks.compare.plan import Cost, Plan, make_plan, read_plan, write_plan
from benchmarks.support.errors import INTERRUPTED, MISUSED, OK, UserError
from solvers import SOLVERS
from tests.benchmarks.compare.tiny import LENGTH, RUN, TINY, TRAINING

COSTS = {"euler": Cost(0.1, 100.0), "rk4": Cost(0.25, 400.0), "heun ×2": Cost(0.15, 400.0)}


def command(write: Path, *options: str, mode: str = "equal-evaluations", epochs: int = 3) -> list[str]:
    asked = ["compare", RUN, "--train", mode, "--epochs", str(epochs), "--write", str(write), "--substeps", "1"]
    return [*asked, "--solvers", "euler,leapfrog,rk4,lawson-euler", *TINY, *options]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison: leapfrog, the run's own, for three epochs, and the others at its cost."""
    write = tmp_path_factory.mktemp("trained")
    assert main(command(write)) == OK
    return write


def content(folder: Path) -> dict:
    return json.loads((folder / "comparison.json").read_text(encoding="utf-8"))


def test_a_plan_gives_whole_epochs_within_the_budget() -> None:
    by_evaluations = make_plan("equal-evaluations", {}, "euler", 9, COSTS)
    assert by_evaluations.epochs == {"euler": 9, "rk4": 2, "heun ×2": 2}
    by_time = make_plan("equal-time", {}, "euler", 3, COSTS)
    assert by_time.epochs == {"euler": 3, "rk4": 1, "heun ×2": 2}
    assert by_time.budget == pytest.approx(0.3)


def test_a_plan_leaves_out_what_costs_more_than_all() -> None:
    assert make_plan("equal-evaluations", {}, "euler", 3, COSTS).epochs["rk4"] == 0


def test_every_scheme_trains_at_the_cost_of_the_own_one(trained: Path) -> None:
    rows = {row["scheme"]: row for row in content(trained)["training"]}
    assert {name: row["epochs"] for name, row in rows.items()} == {"leapfrog": 3, "euler": 4, "rk4": 1}
    budget = 3 * TRAINING * LENGTH * SOLVERS["leapfrog"].num_evals  # epochs, samples, steps
    for name, row in rows.items():
        assert row["evaluations"] == row["epochs"] * TRAINING * LENGTH * SOLVERS[name].num_evals <= budget
        assert row["seconds"] > 0


def test_what_does_not_fit_is_told(trained: Path) -> None:
    (left_out,) = content(trained)["left-out"]
    assert left_out["scheme"] == "lawson-euler"


def test_the_curves_are_in_the_csv(trained: Path) -> None:
    with (trained / "epochs.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["scheme"] == "euler"]
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert [float(row["evaluations"]) for row in rows] == [epoch * TRAINING * LENGTH for epoch in (1, 2, 3, 4)]
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds)
    assert (trained / "curves.png").exists()
    assert "Learning curves" in (trained / "comparison.html").read_text(encoding="utf-8")


def test_a_second_start_trains_nothing_again(trained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("result.json")}
    assert len(before) == 3
    assert main(command(trained)) == OK
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("result.json")} == before


def test_a_start_that_was_stopped_goes_on_with_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(specs: object, jobs: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "run_all", stop)
        patch.setattr(training, "time_steps", lambda networks, objective, batch: [2.0, 1.0, 9.0])
        assert main(command(tmp_path, mode="equal-time", epochs=1)) == INTERRUPTED
    plan = (tmp_path / "plan.json").read_bytes()
    monkeypatch.setattr(training, "time_steps", None)  # what was planned is not timed again
    assert main(command(tmp_path, mode="equal-time", epochs=1)) == OK
    assert (tmp_path / "plan.json").read_bytes() == plan
    found = content(tmp_path)
    assert {row["scheme"]: row["epochs"] for row in found["training"]} == {"leapfrog": 1, "euler": 2}
    reasons = {row["scheme"]: row["reason"] for row in found["left-out"]}
    assert reasons["rk4"] == "one epoch costs 4.5 times the budget; give every scheme more, with `--epochs`"


@pytest.mark.parametrize(
    ("options", "differing"),
    [(("--model.dt", "0.3"), "settings"), (("--seed", "1"), "settings"), (("--solvers", "euler"), "schemes")],
)
def test_a_folder_of_another_comparison_is_named(
    trained: Path, options: tuple[str, ...], differing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(trained, *options)) == MISUSED
    said = capsys.readouterr().err
    assert f"plan.json is the plan of a comparison with other {differing}; name another folder by `--write`" in said


def test_a_damaged_plan_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, Plan("equal-time", {}, 0.3, COSTS, {"euler": 3}))
    assert read_plan(path, "equal-time", {}, list(COSTS)) is not None
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=r"plan.json is not the plan of a comparison: .*Mend or delete it"):
        read_plan(path, "equal-time", {}, list(COSTS))


def test_a_network_of_torch_has_no_scheme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "adding/lstm", "--train", "equal-time", "--write", str(tmp_path)]) == MISUSED
    assert "`run` is adding/lstm, a network of torch, which has no solver to compare" in capsys.readouterr().err
