"""`python -m benchmarks reproduce` and `report`, on real runs of one epoch."""

import re
import signal
import time
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.report.result import RunResult, find_results, write_result
from benchmarks.run import budget, pool
from benchmarks.run.lease import look
from benchmarks.run.spec import RunSpec
from benchmarks.settings.groups import rows_of
from benchmarks.support.errors import FAILED, MISUSED, OK
from benchmarks.support.process import is_gone
from tests import children
from tests.benchmarks.synthetic import make_result

CONTEXT = children.context()
PNG = b"\x89PNG\r\n"
ROWS = ("antisymmetric", "rnn", "hamiltonian-leapfrog", "lstm")
SOME = ("--rows", ",".join(ROWS), "--epochs", "1")


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some rows of digits, one epoch, one seed, two runs at a time."""
    out = tmp_path_factory.mktemp("reproduced")
    assert main(["reproduce", "digits", *SOME, "--seeds", "1", "--jobs", "2", "--out", str(out)]) == OK
    return out


def test_every_row_that_is_asked_for_is_trained_and_in_the_table(reproduced: Path) -> None:
    results = find_results(reproduced)
    assert {result.row for result in results} == set(ROWS)
    assert all(len(result.history) == 1 for result in results)
    text = (reproduced / "report.md").read_text()
    for result in results:
        assert re.search(rf"^\| {re.escape(result.title)} \| – \| \d+\.\d \| 1 \|", text, re.MULTILINE)
    assert "![learning curves of digits](curves-digits.png)" in text
    assert (reproduced / "curves-digits.png").read_bytes().startswith(PNG)


def test_what_is_finished_is_taken_as_it_is(
    reproduced: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = find_results(reproduced)
    report = (reproduced / "report.md").read_bytes()
    command = ["reproduce", "digits", "--epochs", "1", "--jobs", "1", "--out", str(reproduced)]
    assert main([*command, "--seeds", "1", "--rows", ",".join(ROWS)]) == OK
    assert find_results(reproduced) == before
    assert (reproduced / "report.md").read_bytes() == report
    assert main([*command, "--seeds", "2", "--rows", "rnn"]) == OK
    assert len(find_results(reproduced)) == len(before) + 1
    assert " ± " in capsys.readouterr().out


def test_other_settings_are_refused_before_any_run(reproduced: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = ["--rows", ",".join(ROWS), "--epochs", "2"]
    assert main(["reproduce", "digits", *other, "--seeds", "1", "--out", str(reproduced)]) == MISUSED
    assert "`epochs` is 1 there, 2 here" in capsys.readouterr().err


def test_report_is_the_same_table(reproduced: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "TEXT.md"
    text.write_text("<!-- table of digits -->\n<!-- end of table -->\n")
    assert main(["report", "--out", str(reproduced), "--write", str(tmp_path / "new"), "--into", str(text)]) == OK
    table = next(part for part in (tmp_path / "new" / "report.md").read_text().split("\n\n") if part[0] == "|")
    assert table in text.read_text()
    shown = capsys.readouterr().out
    assert all(result.title in shown for result in find_results(reproduced) if len(result.title) < 20)


def test_report_reads_results_without_their_folders(tmp_path: Path) -> None:
    for seed, test in enumerate((0.95, None)):
        folder = tmp_path / "pmnist" / "lstm" / f"seed-{seed}"
        folder.mkdir(parents=True)
        write_result(folder / "result.json", make_result("pmnist", "lstm", seed=seed, test=test, solver=None))
    assert main(["report", "--out", str(tmp_path)]) == OK
    text = (tmp_path / "report.md").read_text()
    assert "| lstm | 92.6 | 95.0 (1 diverged) | beyond | 2 |" in text
    assert "| KRU, 512 units | 94.5 | – | – | – | 11k |" in text


@pytest.mark.filterwarnings("ignore::benchmarks.data.errors.DataChecksumWarning")
def test_a_table_of_the_paper_at_a_glance(
    small_mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["reproduce", "table1", "--budget", "smoke", "--rows", "antisymmetric", "--data", str(small_mnist_dir)]
    monkeypatch.setattr(budget, "SMOKE", ("--epochs", "1", "--task.limit", "16", "--task.val_size", "50"))
    assert main([*command, "--jobs", "1"]) == OK
    results = find_results(tmp_path / "runs" / "smoke")
    assert [result.task for result in results] == ["pmnist", "smnist"]
    assert {tuple(result.variants) for result in results} == {("first 16 samples",)}
    text = (tmp_path / "runs" / "smoke" / "report.md").read_text()
    assert text.index("## smnist") < text.index("## pmnist")  # the table's order
    assert re.search(r"^\| AntisymmetricRNN \(first 16 samples\) \| 95.8 \|", text, re.MULTILINE)


def test_a_budget_that_a_task_has_not_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "digits", "--budget", "paper", "--out", str(tmp_path)]) == MISUSED
    assert "`--budget paper` is for smnist, " in capsys.readouterr().err


def test_report_lists_runs_that_have_not_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done, stopped = tmp_path / "digits" / "lstm" / "seed-0", tmp_path / "digits" / "gated" / "seed-1"
    for folder in (done, stopped):
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text("epoch,train_loss,val_loss,val_accuracy\n1,2.0,1.0,0.5\n2,1.0,0.75,0.625\n")
    write_result(done / "result.json", make_result(row="lstm", solver=None))
    assert main(["report", "--out", str(tmp_path)]) == OK
    shown = capsys.readouterr().out
    lines = [line for line in shown.splitlines() if line.startswith("not finished")]
    assert lines == ["not finished: digits/gated/seed-1: epoch 2, val_loss 0.75, val_accuracy 0.625"]


def test_malformed_result_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "result.json").write_text('{"task": "digits"}')
    assert main(["report", "--out", str(tmp_path)]) == MISUSED
    assert f"{tmp_path / 'result.json'} is not the result of a run" in capsys.readouterr().err


def test_without_rows_every_row_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def train(spec: RunSpec, succeeds: int) -> RunResult:
        asked.append(spec.name.row)
        return make_result(row=spec.name.row)

    monkeypatch.setattr(pool, "train", train)
    assert main(["reproduce", "digits", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]) == OK
    assert asked == [name.row for name in rows_of(["digits"], None)]


def test_diverged_run_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = {"rnn": None, "lstm": 0.9}
    monkeypatch.setattr(pool, "train", lambda spec, succeeds: make_result(row=spec.name.row, test=tests[spec.name.row]))
    command = ["reproduce", "digits", "--rows", "rnn,lstm", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]
    assert main(command) == FAILED
    shown = capsys.readouterr().out
    assert "diverged" in shown
    assert "90.0" in shown


@pytest.mark.waits
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no kill -9")
def test_no_run_outlives_a_killed_reproduce(tmp_path: Path) -> None:
    options = ["--rows", "antisymmetric,rnn", "--seeds", "1", "--epochs", "500", "--jobs", "2", "--out", str(tmp_path)]
    process = CONTEXT.Process(target=main, args=(["reproduce", "digits", *options],))
    process.start()
    try:
        wait_for(lambda: len(list(tmp_path.rglob("metrics.csv"))) == 2)
    finally:
        process.kill()
        process.join()
    folders = [path.parent for path in tmp_path.rglob("metrics.csv")]
    wait_for(lambda: all(is_gone(look(folder).owner) for folder in folders))


def wait_for(condition, seconds: float = 600.0) -> None:
    """Until it holds; by then it never will."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
