"""The command: brackets, groups, cost, refused files, and the page in a real browser."""

import csv
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.leaderboard.board import BRACKETS, bracket_of, collect
from benchmarks.leaderboard.cost import Cost, cost_of
from benchmarks.models.network import build_network
from benchmarks.report.result import read_result
from benchmarks.run.spec import RunSpec, make_task
from benchmarks.settings.names import find_run
from benchmarks.settings.parser import read_settings
from benchmarks.support.errors import MISUSED, OK
from tests.benchmarks.leaderboard.conftest import HOSTILE
from tests.benchmarks.pages.browser import assert_it_asks_for_nothing, click, column, states
from tests.benchmarks.tiny_digits import UNITS, train_digits

TABLE = f"up-to-{BRACKETS[0]}"


@pytest.fixture(scope="module")
def written(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The leaderboard of the small runs and of one broken file."""
    folder, broken = tmp_path_factory.mktemp("written"), tmp_path_factory.mktemp("broken")
    (broken / "result.json").write_text("{", encoding="utf-8")
    assert main(["leaderboard", str(results), str(broken), "--write", str(folder)]) == OK
    return folder


def records(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("parameters", "bracket"),
    [(1, 12_000), (12_000, 12_000), (12_001, 50_000), (50_000, 50_000), (150_000, 150_000), (150_001, None)],
)
def test_a_network_stands_in_the_smallest_bracket_that_holds_it(parameters: int, bracket: int | None) -> None:
    assert bracket_of(parameters) == bracket


def test_seeds_are_one_row_and_the_best_comes_first(written: Path, results: Path) -> None:
    rows = records(written, TABLE)
    assert {row["row"]: row["seeds"] for row in rows} == {"antisymmetric": "2", "gru": "1", "unicornn-3x64": "1"}
    shown = [float(row["test"]) for row in rows]
    assert shown == sorted(shown, reverse=True)
    tests = []
    for seed in (0, 1):
        scores = read_result(results / "digits/antisymmetric" / f"seed-{seed}" / "result.json").scores
        assert scores is not None
        tests.append(100 * scores.test)
    (row,) = [row for row in rows if row["row"] == "antisymmetric"]
    assert float(row["test"]) == pytest.approx(statistics.fmean(tests), rel=1e-8)  # CSV has nine digits
    assert float(row["spread"]) == pytest.approx(statistics.stdev(tests), rel=1e-8, abs=1e-12)
    assert row["data"] == "published"


def test_a_broken_file_is_named_and_the_rest_shown(
    forge: Callable[..., Path], copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = forge({"parameters": 70})
    assert main(["leaderboard", str(copied), "--write", str(tmp_path / "w")]) == OK
    assert f"refused: {path}: `parameters` is 70" in capsys.readouterr().err
    (refused,) = records(tmp_path / "w", "refused")
    assert refused["file"] == str(path)
    assert {row["row"]: row["seeds"] for row in records(tmp_path / "w", TABLE)}["antisymmetric"] == "1"


def test_a_run_that_is_there_twice_counts_once(results: Path, copied: Path, tmp_path: Path) -> None:
    board = collect([results, copied])
    assert sum(len(entry.results) for entry in board.entries) == 4
    assert len(board.refused) == 4
    assert all("it is of the same run as" in each.reason for each in board.refused)
    assert len(collect([results, results]).refused) == 0


def test_a_run_that_diverged_is_counted(tmp_path: Path, forge: Callable[..., Path], copied: Path) -> None:
    change = {"status": "diverged", "failure": "the loss is nan", "metrics": None, "best_epoch": None}
    forge(change, "digits/antisymmetric/seed-1")
    forge(change, "digits/gru/seed-0")
    assert main(["leaderboard", str(copied), "--write", str(tmp_path / "w")]) == OK
    rows = {row["row"]: row for row in records(tmp_path / "w", TABLE)}
    assert (rows["antisymmetric"]["seeds"], rows["antisymmetric"]["diverged"]) == ("2", "1")
    assert list(rows)[-1] == "gru"
    assert rows["gru"]["test"] == ""


def test_larger_networks_stand_elsewhere(results: Path, tmp_path: Path) -> None:
    train_digits(tmp_path / "r", "digits/gru", "--model.hidden_size", "240", "--epochs", "1", "--task.limit", "16")
    assert main(["leaderboard", str(tmp_path / "r"), str(results), "--write", str(tmp_path / "w")]) == OK
    (row,) = records(tmp_path / "w", f"more-than-{BRACKETS[-1]}")
    assert row["parameters"] == str(3 * (240**2 + 3 * 240) + 10 * 241)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no such folder"), ("", "there is no result.json"), ("{", "none of the files")],
)
def test_nothing_to_show_is_an_error(
    content: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    if content is not None:
        folder.mkdir()
    if content:
        (folder / "result.json").write_text(content)
    assert main(["leaderboard", str(folder), "--write", str(tmp_path / "w")]) == MISUSED
    assert said in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_an_unwritable_folder_is_named(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["leaderboard", str(results), "--write", str(tmp_path / "file")]) == MISUSED
    assert "cannot be written to" in capsys.readouterr().err


def test_the_board_of_the_repository_is_that_of_its_results(repository: Path, tmp_path: Path) -> None:
    """It is made by `python -m benchmarks leaderboard --write benchmarks/results/leaderboard`."""
    assert main(["leaderboard", "--write", str(tmp_path)]) == OK
    kept = repository / "benchmarks" / "results" / "leaderboard"
    assert sorted(path.name for path in kept.glob("*.csv")) == sorted(path.name for path in tmp_path.glob("*.csv"))
    for path in kept.glob("*.csv"):
        assert (tmp_path / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


# --- what a sequence of 64 pixels costs, by hand ---

T, N, CLASSES = 64, 128, 10
READOUT = 2 * N * CLASSES


def cost(name: str, *options: str) -> Cost:
    run = find_run(name)
    settings = read_settings(run, options)
    task = make_task(RunSpec(run, settings, Path()))
    network = build_network(settings.model, input_size=task.input_size, objective=task.objective, seed=0)
    return cost_of(network, task)


@pytest.mark.parametrize(
    ("name", "options", "evaluations", "flop"),
    [
        ("digits/antisymmetric", (), T, 2 * T * (N**2 + N) + READOUT),
        ("digits/antisymmetric", ("--model.solver", "rk4"), 4 * T, 2 * T * (4 * N**2 + N) + READOUT),
        ("digits/antisymmetric", ("--model.substeps", "3"), 3 * T, 2 * T * (3 * N**2 + N) + READOUT),
        ("digits/antisymmetric", ("--model.sigma_w", "0"), T, 2 * T * (N**2 + N) + READOUT),
        ("digits/antisymmetric", ("--model.embedding", "5"), T, 2 * T * (N**2 + 5 * N + 5) + READOUT),
        ("digits/gated", (), T, 2 * T * (N**2 + 2 * N) + READOUT),
        # the diagonal of W - W^T is zero by construction; A is N / 2 blocks of 4
        ("digits/oscillator", (), T, 2 * T * (2 * N + N * (N - 1) + N) + READOUT),
        # two blocks of N / 2; two kicks and a drift, each of half a field
        ("digits/hamiltonian-leapfrog", (), 1.5 * T, 2 * T * (3 * (N // 2) ** 2 + N) + READOUT),
        ("digits/gru", (), T, 2 * T * 3 * (N**2 + N) + READOUT),
        ("digits/lstm", (), T, 2 * T * 4 * (N**2 + N) + READOUT),
        ("digits/antisymmetric", ("--model.solver", "implicit-midpoint", "--model.engine", "torch"), None, None),
    ],
)
def test_the_cost_is_counted(
    name: str, options: tuple[str, ...], evaluations: float | None, flop: float | None
) -> None:
    assert cost(name, *options) == Cost(evaluations, flop)


def test_the_cost_does_not_depend_on_the_units_of_a_stack_below(results: Path) -> None:
    """Three layers of k oscillators: 3 k blocks, k weights each, and k x k maps between them; the readout sees k."""
    k = UNITS // 2
    (entry,) = [each for each in collect([results]).entries if each.first.row == "unicornn-3x64"]
    layer, maps = 2 * (2 * k + k), (k, k * k, k * k)
    steps = entry.cost.evaluations
    assert steps is not None
    a_sample = steps / (3 * T)
    assert entry.cost.flop == T * sum(a_sample * layer + 2 * size for size in maps) + 2 * k * CLASSES


# --- the page ---


@pytest.fixture(scope="module")
def browser(written: Path, chromium: Any) -> Any:
    """Chromium, without a window, at the page."""
    chromium.get((written / "leaderboard.html").as_uri())
    return chromium


def test_the_page_opens_without_an_error_and_asks_for_nothing(browser: Any) -> None:
    assert browser.title == "Leaderboard by parameters"  # and was not taken over by the title of a run
    assert_it_asks_for_nothing(browser)


def test_a_click_on_a_head_sorts_by_numbers_and_another_turns_it_round(browser: Any) -> None:
    place = click(browser, TABLE, "parameters")
    rising = [float(value) for value in column(browser, TABLE, place)]
    assert rising == sorted(rising)
    assert len(rising) == 3
    click(browser, TABLE, "parameters")
    assert [float(value) for value in column(browser, TABLE, place)] == rising[::-1]
    assert states(browser, TABLE)[place - 1] == "descending"


def test_the_title_of_a_run_is_text(written: Path) -> None:
    page = (written / "leaderboard.html").read_text(encoding="utf-8")
    assert "<script>document.title" not in page
    assert "&lt;script&gt;document.title" in page
    assert "<script>" not in (written / "leaderboard.md").read_text(encoding="utf-8")
    assert any(row["method"] == HOSTILE for row in records(written, TABLE))


def test_the_numbers_say_where_they_are_from(written: Path) -> None:
    about = json.loads((written / "leaderboard.json").read_text(encoding="utf-8"))["about"]
    assert about.keys() >= {"entries", "command", "commit", "versions", "made"}
