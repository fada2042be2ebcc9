"""What a user may get wrong: told in one line, with exit code 2, and nothing is written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.report.result import read_result
from benchmarks.support.errors import MISUSED
from tests.benchmarks.compare.tiny import RUN


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """What `compare` says that must fail."""

    def run(*args: str) -> str:
        write = tmp_path / "write"
        assert main(["compare", *args, "--write", str(write)]) == MISUSED
        assert not write.exists()
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        return said

    return run


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Path:
    """The run's folder, which a test may damage."""
    folder = tmp_path / RUN / "seed-0"
    shutil.copytree(runs / RUN / "seed-0", folder)
    return folder


def test_an_unknown_solver_is_named_before_anything_is_read(refused: Callable[..., str]) -> None:
    assert "`--solvers` names 'ruk4' (did you mean 'rk4'?); choose" in refused("nowhere", "--solvers", "ruk4")


def test_what_is_neither_a_folder_nor_a_run_is_named(refused: Callable[..., str]) -> None:
    said = refused("digits/antisymetric")
    assert "`run` is 'digits/antisymetric', which is neither a folder nor the name of a run" in said
    assert "(did you mean 'digits/antisymmetric'?)" in said


def test_a_run_that_was_not_trained_is_named(refused: Callable[..., str], tmp_path: Path) -> None:
    said = refused("digits/gated", "--out", str(tmp_path))
    assert f"there is no trained run in {tmp_path / 'digits' / 'gated' / 'seed-0'}; train it first" in said


def test_a_folder_without_a_run_is_named(refused: Callable[..., str], tmp_path: Path) -> None:
    assert f"`run` is {tmp_path}, which holds no config.yaml" in refused(str(tmp_path))


def test_a_run_that_has_not_ended_is_named(refused: Callable[..., str], copied: Path) -> None:
    (copied / "result.json").unlink()
    assert f"`run` is {copied}, a run that has not ended; go on with it by `train`" in refused(str(copied))


def test_a_run_that_diverged_is_named(refused: Callable[..., str], copied: Path) -> None:
    plain = json.loads((copied / "result.json").read_text(encoding="utf-8"))
    plain |= {"status": "diverged", "failure": "the loss is nan", "metrics": None, "best_epoch": None}
    (copied / "result.json").write_text(json.dumps(plain), encoding="utf-8")
    assert read_result(copied / "result.json").failure
    assert "a run that diverged (the loss is nan); there are no trained weights" in refused(str(copied))


@pytest.mark.parametrize("keep", [0, 0.5])
def test_a_torn_checkpoint_is_named(refused: Callable[..., str], copied: Path, keep: float) -> None:
    content = (copied / "last.ckpt").read_bytes()
    (copied / "last.ckpt").write_bytes(content[: int(keep * len(content))])
    said = refused(str(copied))
    assert "last.ckpt cannot be read" in said
    assert said.count("\n") == 1


def test_a_run_without_its_checkpoint_is_named(refused: Callable[..., str], copied: Path) -> None:
    (copied / "last.ckpt").unlink()
    assert "which holds no last.ckpt" in refused(str(copied))


def test_a_torn_result_is_named(refused: Callable[..., str], copied: Path) -> None:
    (copied / "result.json").write_text("{", encoding="utf-8")
    assert "result.json is not the result of a run" in refused(str(copied))


def test_a_network_of_torch_is_named(
    refused: Callable[..., str], trained_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = trained_run(tmp_path, "adding/lstm")
    assert "trained torch's LSTM, which has no vector field" in refused(str(folder))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--epochs", "3"), "`--epochs` and `--budget` are for `--train`"),
        (("--budget", "smoke"), "`--epochs` and `--budget` are for `--train`"),
    ],
)
def test_options_of_training_need_it(refused: Callable[..., str], options: tuple[str, ...], said: str) -> None:
    assert said in refused(RUN, *options)


@pytest.mark.parametrize(
    "options", [("--model.dt", "0.1"), ("--substeps", "0"), ("--samples", "x"), ("--part", "all"), ("--train", "equal")]
)
def test_usage_is_shown_for_what_is_no_option(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["compare", RUN, *options])
    assert exit_.value.code == MISUSED
    assert "usage: python -m benchmarks compare" in capsys.readouterr().err


def test_an_option_that_a_run_has_not_is_named(refused: Callable[..., str]) -> None:
    said = refused(RUN, "--train", "equal-time", "--model.colour", "red")
    assert "--model.colour" in said


def test_an_unwritable_folder_is_named(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    asked = ["compare", RUN, "--out", str(runs), "--write", str(tmp_path / "file" / "new")]
    assert main(asked) == MISUSED
    assert "cannot be written to" in capsys.readouterr().err
