"""One network under many schemes: what is measured, held against what is known of it by other ways."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.compare.subject import read_subject
from benchmarks.report.result import read_result
from odernn.analysis import conditioning, end_to_end_jacobian, scaled_spectrum
from solvers import SOLVERS
from tests.benchmarks.compare.tiny import RUN, VALIDATION

Record = dict[str, Any]


@pytest.fixture(scope="module")
def rows(compared: Path) -> dict[str, Record]:
    content = json.loads((compared / "comparison.json").read_text(encoding="utf-8"))
    return {row["scheme"]: row for row in content["schemes"]}


def folder(runs: Path) -> Path:
    return runs / RUN / "seed-0"


def test_every_scheme_is_there_or_left_out_with_its_reason(compared: Path, rows: dict[str, Record]) -> None:
    names = ["leapfrog", "leapfrog ×2"]
    others = [f"{name}{count}" for name in ("euler", "rk4", "implicit-midpoint") for count in ("", " ×2")]
    assert set(rows) == {*names, *others}
    (left_out,) = json.loads((compared / "comparison.json").read_text(encoding="utf-8"))["left-out"]
    assert left_out["scheme"] == "lawson-euler"
    assert "LawsonEuler needs a linear part" in left_out["reason"]


def test_the_own_scheme_has_the_scores_of_the_run(runs: Path, rows: dict[str, Record]) -> None:
    result = read_result(folder(runs) / "result.json")
    own = rows["leapfrog"]
    assert own["trained_by"] == "own"
    assert result.scores is not None
    # The same weights, samples, solver and engine: only the batches differ, so float32 sums may round differently.
    assert own["mse"] == pytest.approx(result.scores.val, rel=1e-5)
    assert own["loss"] == pytest.approx(result.history[-1].val["loss"], rel=1e-5)


def test_evaluations_are_those_of_the_method(rows: dict[str, Record]) -> None:
    for name in ("euler", "rk4", "leapfrog"):
        for substeps, label in ((1, name), (2, f"{name} ×2")):
            assert rows[label]["evaluations"] == substeps * SOLVERS[name].num_evals
    assert rows["implicit-midpoint"]["evaluations"] > 1  # it iterates


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("leapfrog", 2), ("implicit-midpoint", 2), ("rk4", 4)])
def test_the_distance_to_the_flow_falls_with_the_order(name: str, order: int, rows: dict[str, Record]) -> None:
    coarse, fine = rows[name]["distance"], rows[f"{name} ×2"]["distance"]
    # The next term of the error is a few per cent at these steps.
    assert coarse / fine == pytest.approx(2**order, rel=0.1)


def test_neutral_modes_lie_in_the_regions_that_hold_the_imaginary_axis(rows: dict[str, Record]) -> None:
    inside = {name: rows[name]["inside"] for name in ("euler", "leapfrog", "rk4", "implicit-midpoint")}
    assert inside == {"euler": 0.0, "leapfrog": 100.0, "rk4": 100.0, "implicit-midpoint": 100.0}
    assert rows["euler"]["growth"] > 1


def test_the_largest_factor_and_the_jacobian_are_those_of_the_analysis(runs: Path, rows: dict[str, Record]) -> None:
    subject = read_subject(folder(runs), None, "val", VALIDATION, 3)
    rnn, x = subject.double(), subject.x.double()
    z = scaled_spectrum(rnn, x[:2])  # all of the eight samples are looked at
    # The real parts of z, rounding for a Hamiltonian field, are dropped in one of the two: 1e-12 of |z|.
    expected = float(SOLVERS["euler"]().amplification(z).max())
    assert rows["euler"]["growth"] == pytest.approx(expected, rel=1e-9)
    found = conditioning(end_to_end_jacobian(rnn.with_solver("rk4", substeps=2), x[:1]))
    # Float64, the same products in the same order but for the engine.
    assert rows["rk4 ×2"]["condition"] == pytest.approx(float(found.condition_number[0]), rel=1e-8)
    assert rows["rk4 ×2"]["stretch"] == pytest.approx(float(found.singular_values[0, 0]), rel=1e-8)


def test_the_energy_drifts_as_the_method_says(rows: dict[str, Record]) -> None:
    drift = {name: rows[name]["energy_drift"] for name in rows}
    assert drift["euler"] > drift["euler ×2"] > drift["leapfrog"] > drift["rk4 ×2"]
    # Second order, without drift: four times less for half the step; the next term is a few per cent.
    assert drift["leapfrog"] / drift["leapfrog ×2"] == pytest.approx(4, rel=0.2)


def test_the_csv_holds_the_same_numbers(compared: Path, rows: dict[str, Record]) -> None:
    with (compared / "schemes.csv").open(encoding="utf-8", newline="") as stream:
        found = {row["scheme"]: row for row in csv.DictReader(stream)}
    assert found.keys() == rows.keys()
    for label, row in rows.items():
        assert float(found[label]["distance"]) == pytest.approx(row["distance"], rel=1e-8)  # nine digits


def test_what_it_was_made_of_is_said(compared: Path) -> None:
    about = json.loads((compared / "comparison.json").read_text(encoding="utf-8"))["about"]
    assert about["scored on"] == f"{VALIDATION} samples of the validation part, the first ones"
    assert about["command"].startswith(f"python -m benchmarks compare {RUN} --out ")
    assert {"commit", "machine", "versions", "made", "reference", "timed on"} <= about.keys()


def test_a_state_that_overflows_is_a_result(runs: Path) -> None:
    subject = read_subject(folder(runs), None, "val", VALIDATION, 3)
    with torch.no_grad():
        for parameter in (*subject.rnn.parameters(), *subject.readout.parameters()):
            parameter.mul_(1e30)  # the squares of such outputs are more than float32 holds
    assert subject.score(subject.rnn) is None
