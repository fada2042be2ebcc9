"""The command on small trained networks: its numbers, its files, going on after a stop, and what it refuses."""

import csv
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import pytest

from benchmarks.cli import main
from benchmarks.report.result import read_result
from benchmarks.robustness import measure
from benchmarks.robustness.store import FILE
from benchmarks.robustness.suite import SUITE
from benchmarks.support.errors import MISUSED, OK
from tests.benchmarks.compare.tiny import TINY
from tests.benchmarks.tiny_digits import train_digits

LARGE = ("--model.dt", "0.5")
RUNS = ("digits/antisymmetric", "digits-permuted/lstm", "digits/unicornn-3x64")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trained runs, not to be written to."""
    folder = tmp_path_factory.mktemp("runs")
    options = ((*LARGE, "--model.embedding", "2"), (), LARGE)
    for name, given in zip(RUNS, options, strict=True):
        train_digits(folder, name, *given)
    return folder


@pytest.fixture(scope="module")
def written(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the suite on all of them."""
    folder = tmp_path_factory.mktemp("written")
    options = ("--solvers", "leapfrog", "--threads", "1", "--write", str(folder))
    assert main(["robustness", *RUNS, "--out", str(out), *options]) == OK
    return folder


def records(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_network_is_there_under_its_own_scheme_and_others(written: Path) -> None:
    found = [(row["run"], row["scheme"], row["trained_by"]) for row in records(written, "areas")]
    assert found == [
        ("digits/antisymmetric", "euler", "own"),
        ("digits-permuted/lstm", "torch", "own"),
        ("digits/unicornn-3x64", "symplectic-euler", "own"),
        ("digits/unicornn-3x64", "leapfrog", ""),
    ]
    left_out = {row["scheme"]: row["reason"] for row in records(written, "left-out")}
    assert left_out.keys() == {
        "digits/antisymmetric, leapfrog",
        f"{RUNS[1]}, leapfrog",
    }
    assert "no vector field" in left_out[f"{RUNS[1]}, leapfrog"]


def test_clean_accuracy_is_the_one_that_the_run_was_tested_with(written: Path, out: Path) -> None:
    for row in records(written, "areas"):
        scores = read_result(out / row["run"] / "seed-0" / "result.json").scores
        assert scores is not None
        if row["trained_by"]:
            # engines sum in another order, which may turn one of 300 images
            assert abs(float(row["clean"]) - 100 * scores.test) <= 100 / 300 + 1e-9


def test_areas_are_the_trapezoids_of_the_levels(written: Path) -> None:
    areas = records(written, "areas")
    for kind, perturbation in SUITE.perturbations.items():
        levels = [0.0, *perturbation.levels]
        for row, areas_of in zip(records(written, kind), areas, strict=True):
            values = [float(row["clean"]), *(float(row[f"level_{level:g}"]) for level in perturbation.levels)]
            pieces = zip(levels, levels[1:], values, values[1:], strict=False)
            wanted = sum((b - a) * (u + v) / 2 for a, b, u, v in pieces) / levels[-1]
            assert float(row["area"]) == pytest.approx(wanted, rel=1e-6)  # CSV has nine digits
            assert float(areas_of[kind]) == pytest.approx(wanted, rel=1e-6)
    for row in areas:
        mean = sum(float(row[kind]) for kind in SUITE.perturbations) / len(SUITE.perturbations)
        assert float(row["overall"]) == pytest.approx(mean, rel=1e-6)


def test_every_draw_is_kept(written: Path) -> None:
    kept = json.loads((written / FILE).read_text(encoding="utf-8"))
    assert (kept["suite"], kept["version"], kept["limit"]) == (SUITE.name, SUITE.version, None)
    for row in kept["measured"]:
        for kind, perturbation in SUITE.perturbations.items():
            draws = SUITE.draws if perturbation.is_random else 1
            assert all(len(row["accuracies"][f"{kind} {level}"]) == draws for level in perturbation.levels)


def test_its_pages_and_its_picture_are_written(written: Path) -> None:
    assert matplotlib.image.imread(written / "levels.png").std() > 0.01  # something is drawn
    assert any(each.tag.endswith("}text") for each in ElementTree.parse(written / "levels.svg").iter())
    markdown = (written / "robustness.md").read_text(encoding="utf-8")
    page = (written / "robustness.html").read_text(encoding="utf-8")
    for text in (markdown, page):
        assert "pixel-noise, version 1" in text
        assert "digits/unicornn-3x64" in text
    about = json.loads((written / "robustness.json").read_text(encoding="utf-8"))["about"]
    assert about.keys() >= {"suite", "command", "commit", "machine", "versions", "made", *RUNS}


def test_a_second_start_measures_nothing_again(written: Path, out: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(written, tmp_path / "again")
    kept = (tmp_path / "again" / FILE).read_bytes()

    def fail(*_: object) -> None:
        raise AssertionError("it is measured again")

    monkeypatch.setattr(measure, "accuracies", fail)
    monkeypatch.setattr(measure, "clean_accuracy", fail)
    options = ("--solvers", "leapfrog", "--write", str(tmp_path / "again"))
    assert main(["robustness", *RUNS, "--out", str(out), *options]) == OK
    assert (tmp_path / "again" / FILE).read_bytes() == kept
    assert records(tmp_path / "again", "areas") == records(written, "areas")


def test_it_goes_on_where_it_was_stopped(written: Path, out: Path, tmp_path: Path, monkeypatch) -> None:
    true, calls = measure.accuracies, []

    def stopped(*args) -> list[float]:
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return true(*args)

    monkeypatch.setattr(measure, "accuracies", stopped)
    asked = ["robustness", RUNS[0], "--out", str(out), "--threads", "1", "--write", str(tmp_path)]
    assert main(asked) != OK
    assert len(json.loads((tmp_path / FILE).read_text())["measured"][0]["accuracies"]) == 4
    assert main(asked) == OK
    assert len(calls) == 4 + 12
    assert records(tmp_path, "areas")[0] == records(written, "areas")[0]


@pytest.fixture
def refused(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What the command says that must fail."""

    def run(*args: str) -> str:
        assert main(["robustness", *args, "--write", str(tmp_path / "write")]) == MISUSED
        said = capsys.readouterr().err
        assert "error: " in said
        return said

    return run


def test_bad_input_is_named(refused, out: Path) -> None:
    assert "`run` is 'digits/antisymetric', which is neither" in refused("digits/antisymetric")
    assert "`--solvers` names 'ruk4' (did you mean 'rk4'?)" in refused(RUNS[0], "--out", str(out), "--solvers", "ruk4")
    assert "`run` names digits/antisymmetric twice" in refused(RUNS[0], RUNS[0], "--out", str(out))


def test_a_task_without_images_is_named(refused, tmp_path: Path) -> None:
    train_digits(tmp_path, "adding/antisymmetric", *TINY)
    assert "of the task adding; the suite perturbs images" in refused("adding/antisymmetric", "--out", str(tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "holds no accuracies of this suite"),
        ("[]", "holds no accuracies of this suite"),
        ('{"suite": "pixel-noise", "version": 0, "limit": null, "measured": []}', "name another folder by `--write`"),
        ('{"suite": "pixel-noise", "version": 1, "limit": 7, "measured": []}', "name another folder by `--write`"),
    ],
)
def test_a_file_of_something_else_is_named(refused, out: Path, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "write").mkdir()
    (tmp_path / "write" / FILE).write_text(content)
    assert said in refused(RUNS[0], "--out", str(out))
    assert (tmp_path / "write" / FILE).read_text() == content


def test_an_unwritable_folder_is_named(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    asked = ["robustness", RUNS[0], "--out", str(out), "--write", str(tmp_path / "file" / "new")]
    assert main(asked) == MISUSED
    assert "cannot be written to" in capsys.readouterr().err
