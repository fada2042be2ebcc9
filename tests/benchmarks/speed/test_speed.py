"""The speed command: its files, its suites, its bars, Ctrl-C, and what it refuses."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import pytest
import torch

import benchmarks.commands.speed as command
from benchmarks.commands.speed import main
from benchmarks.speed import peak_rss
from benchmarks.speed.case import Case, Shape
from benchmarks.speed.contenders import all_contenders
from benchmarks.speed.measurement import Measurement, Point
from benchmarks.speed.problem import OWN, draw, flops
from benchmarks.speed.roofline import measure_peak
from benchmarks.speed.suites import FULL, QUICK, SUITES
from benchmarks.speed.table import suite_tables, targets_table
from benchmarks.speed.targets import TARGETS, TRAJECTORY, Target, values_of
from benchmarks.support.errors import INTERRUPTED, OK, UserError
from odernn import FIELDS
from solvers import SOLVERS

pytestmark = pytest.mark.usefixtures("collected")
CPU = torch.device("cpu")
CASE = Case(Shape(10, 4, 8, 2))
ROOT = Path(__file__).parents[3]


def measurement(
    contender: str, *seconds: float, case: Case = CASE, kind="peer", suite: str = "reference", note: str = ""
):
    return Measurement(suite, case, contender, kind, seconds, flops=1000, note=note)


def test_command_writes_numbers_tables_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    arguments = (
        "--quick --suite reference,length,streaming --contenders native,naive,nn.RNN,jax-scan,matmul --threads 2"
    )
    assert main([*arguments.split(), "--out", str(tmp_path / "new")]) == OK
    assert torch.get_num_threads() == threads
    record = json.loads((tmp_path / "new" / "speed.json").read_text(encoding="utf-8"))
    assert record["machine"]["threads"] == 2
    assert {"python", "torch", "odernn", "torchdiffeq"} <= set(record["versions"])
    assert len(record["commit"]) == 2
    assert record["peak_flops"] > 1e6
    assert len(record["bars"]) == len(TARGETS)
    by_name = {(one["suite"], one["case"]["work"], one["contender"]): one for one in record["outcomes"]}
    assert {suite for suite, _, _ in by_name} == {"reference", "length", "streaming"}
    naive = by_name["reference", "training", "naive"]
    assert len(naive["seconds"]) >= 5
    assert naive["error"] < 1e-5
    assert by_name["reference", "training", "jax-scan"]["note"] == "`--peers jax` measures it"
    text = (tmp_path / "new" / "speed.md").read_text(encoding="utf-8")
    for said in (
        "2 threads",
        "commit ",
        "torchdiffeq ",
        "GFLOP/s",
        "## reference",
        "## streaming",
        "## Bars",
        "| limit |",
    ):
        assert said in text
    for name in ("time", "step", "limit"):
        assert f"(speed-{name}.png)" in text
        assert matplotlib.image.imread(tmp_path / "new" / f"speed-{name}.png").std() > 0.01  # something is drawn
    assert "not measured" in capsys.readouterr().out


@pytest.mark.parametrize(
    "suite", [name for name in SUITES if name not in ("reference", "length", "streaming", "memory")]
)
def test_every_suite_runs(suite: str, tmp_path: Path) -> None:
    assert main(["--quick", "--suite", suite, "--contenders", "torch,nn.RNN", "--out", str(tmp_path)]) == OK
    measurements = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))["outcomes"]
    assert measurements
    assert all(one["seconds"] for one in measurements), measurements


@pytest.mark.skipif(not peak_rss.STATUS.exists(), reason="resident memory is read from Linux's /proc only")
def test_memory_is_that_of_a_process_of_its_own(tmp_path: Path) -> None:
    arguments = "--suite memory --contenders autograd --shape 400,64,64,1 --threads 1"
    assert main([*arguments.split(), "--out", str(tmp_path)]) == OK
    (one,) = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))["outcomes"]
    trajectory = 400 * 64 * 64 * 4
    assert 2.5 * trajectory < one["bytes"] < 9 * trajectory  # the tape: three tensors a step or more
    assert "MB" in (tmp_path / "speed.md").read_text(encoding="utf-8")


def test_a_process_that_fails_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="Traceback\nMemoryError: all gone\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    case = replace(CASE, work="memory")
    (one,) = peak_rss.measure_resident("memory", [command.SUITES["memory"].groups(QUICK)[0][0]], all_contenders(), 1)
    assert one.case.work == case.work
    assert one.note in ("its process failed: MemoryError: all gone",) or not peak_rss.STATUS.exists()
    assert one.bytes is None


def test_suites_name_what_there_is() -> None:
    names = set(all_contenders())
    for suite in SUITES.values():
        for sizes in (FULL, QUICK):
            entries = [entry for group in suite.groups(sizes) for entry in group]
            assert len(set(entries)) == len(entries)
            assert {entry.contender for entry in entries} <= names
            assert {entry.case.field for entry in entries} <= {*FIELDS, OWN}
            assert {entry.case.solver for entry in entries} <= set(SOLVERS)


def test_every_bar_is_about_something_that_is_measured() -> None:
    measured = {
        Point(name, *entry) for name, suite in SUITES.items() for group in suite.groups(FULL) for entry in group
    }
    for target in TARGETS:
        points = {point for point in (*target.tops, *target.bottoms) if point.contender != TRAJECTORY}
        assert points
        assert points <= measured, target.claim


def test_bars_are_those_of_the_project() -> None:
    assert len(TARGETS) == 38
    assert len({target.claim for target in TARGETS}) == len(TARGETS)


@pytest.mark.parametrize(("top", "verdict"), [(0.5, "met"), (0.500001, "missed"), (None, "not measured")])
def test_verdict_of_a_ratio(top: float | None, verdict: str) -> None:
    target = Target("a against b", [Point("reference", CASE, "a")], [Point("reference", CASE, "b")], 0.5)
    measurements = [measurement("b", 3.0, 1.0, 0.5), *([] if top is None else [measurement("a", top)])]
    assert target.verdict(values_of(measurements)) == verdict
    assert f"| a against b | {'–' if top is None else '0.5'} | 0.5 | {verdict} |" in targets_table(
        measurements, [target]
    )


def test_bar_of_a_range_takes_the_largest_and_the_smallest_a_step() -> None:
    cases = [replace(CASE, shape=replace(CASE.shape, time=time)) for time in (10, 100)]
    points = [Point("length", case, "a") for case in cases]
    values = values_of(
        [measurement("a", 1.0, case=cases[0], suite="length"), measurement("a", 12.0, case=cases[1], suite="length")]
    )
    assert Target("range", points, points, 1.15).measured(values) == pytest.approx(1.2)


def test_bar_of_a_difference_is_in_microseconds_a_step() -> None:
    target = Target("more", [Point("any", CASE, "a")], [Point("any", CASE, "b")], 5.0, "microseconds more")
    values = values_of([measurement("a", 90e-6, suite="any"), measurement("b", 50e-6, suite="any")])
    assert target.measured(values) == pytest.approx(4.0)  # ten steps
    assert target.verdict(values) == "met"


def test_memory_is_judged_by_the_trajectory_and_the_weights() -> None:
    case = replace(CASE, work="memory")
    values = values_of([replace(measurement("a", case=case, suite="memory"), bytes=5000)])
    assert values[Point("memory", case, "a")] == 5000
    assert values[Point("memory", case, TRAJECTORY)] == 4 * (10 * 4 * 8 + 8 * 7 // 2 + 8 * 2 + 8)


def test_table_shows_ratios_spread_and_remarks() -> None:
    table = suite_tables(
        [
            measurement("native", 0.03, 0.01, 0.02, kind="ours"),
            measurement("fast", 0.04),
            measurement("slow", 0.4),
            measurement("wrong", note="disagrees: max error 0.1"),
            measurement("nn.RNN", 0.08, kind="another function"),
        ],
        peak=1e5,
    )
    lines = table.splitlines()
    assert lines[4] == "| native | 20 ms | 10 ms | 30 ms | 3 | 2e+03 | 0.25 | 0.5 | 50.0% |  |"
    assert lines[6].startswith("| slow | 400 ms | 400 ms | 400 ms | 1 | 4e+04 | 5 | 10 |")
    assert lines[7] == "| wrong | – | – | – | – | – | – | – | – | disagrees: max error 0.1 |"
    assert lines[8] == "| nn.RNN | 80 ms | 80 ms | 80 ms | 1 | 8e+03 | 1 | 2 | – | another function |"
    assert lines[9].startswith("| limit | 10 ms |")


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 3 * 64 + 2 * 16),  # K three times and V twice
        ({"work": "inference"}, 64 + 16),
        ({"solver": "rk4"}, 4 * 3 * 64 + 2 * 16),
        ({"field": "gated-antisymmetric"}, 3 * 64 + 2 * 2 * 16),
        ({"field": "lipschitz"}, 2 * 3 * 64 + 2 * 16),
        ({"field": "hamiltonian", "solver": "leapfrog"}, 3 * 32 + 2 * 16),  # half of its matrix is zeros
    ],
)
def test_operations_of_the_matrix_products(changes: dict[str, str], count: int) -> None:
    assert flops(draw(replace(CASE, **changes), CPU)) == 2 * 10 * 4 * count  # pyright: ignore[reportArgumentType]


def test_peak_is_operations_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.5, 0.25, *[1.0] * 10])
    monkeypatch.setattr("benchmarks.speed.roofline.seconds_of", lambda work, device: next(seconds))
    assert measure_peak(CPU, size=10) == 2 * 10**3 / 0.25


def test_ctrl_c_leaves_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(suite: str, *_):
        if suite == "output":
            raise KeyboardInterrupt
        return [measurement("native", 0.1, suite=suite)]

    monkeypatch.setattr(command, "measure_group", interrupt)
    assert main(["--quick", "--suite", "units,output,batch", "--out", str(tmp_path)]) == INTERRUPTED
    record = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert {one["suite"] for one in record["outcomes"]} == {"units"}
    assert "| native |" in (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert "interrupted" in capsys.readouterr().err


def test_numbers_are_written_group_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(suite: str, *_):
        if suite == "output":
            raise MemoryError
        return [measurement("native", 0.1, suite=suite)]

    monkeypatch.setattr(command, "measure_group", fail)
    with pytest.raises(MemoryError):
        main(["--quick", "--suite", "fields,output", "--out", str(tmp_path)])
    record = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert [one["suite"] for one in record["outcomes"]] == ["fields"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--suite reference,magic", "`--suite` names 'magic'; choose from reference, fields, "),
        ("--contenders magic", "`--contenders` names 'magic'; choose from native, compiled, triton, torch, "),
        ("--peers tensorflow", "`--peers` names 'tensorflow'; choose from jax"),
        pytest.param(
            "--device cuda",
            "`--device` is cuda and torch finds none here",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_wrong_value_is_named(arguments: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        main([*arguments.split(), "--out", str(tmp_path / "new")])
    assert said in str(raised.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "arguments", ["--shape 1,2,3", "--shape 0,1,1,1", "--seconds 0", "--threads 0", "--device abacus"]
)
def test_usage_is_shown_for_what_is_no_value(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments.split())
    assert "usage: python -m benchmarks speed" in capsys.readouterr().err


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written to"):
        main(["--quick", "--out", str(tmp_path / "file" / "new")])
