"""What a user may get wrong: told in one line, before any work, with exit code 2."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.cli import COMMANDS, main
from benchmarks.data import cifar10
from benchmarks.run.lease import TAKEOVER, acquire
from benchmarks.settings.names import all_runs
from benchmarks.support.errors import MISUSED, OK


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """What a command says that must fail."""

    def run(*args: str) -> str:
        assert main([*args, "--out", str(tmp_path / "runs")]) == MISUSED
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert not list(tmp_path.rglob("last.ckpt"))
        return said

    return run


def test_unknown_run_lists_those_there_are(refused: Callable[..., str]) -> None:
    said = refused("train", "imagenet/transformer")
    assert "`run` is 'imagenet/transformer'; choose one of" in said
    for name in all_runs():
        assert f"{name.task}/ " in said
        assert name.row in said


@pytest.mark.parametrize("text", ["digits", "digits/", "digits/antisymetric"])
@pytest.mark.parametrize("command", ["train", "compare"])
def test_of_a_task_that_there_is_only_the_rows_are_listed(refused: Callable[..., str], command: str, text: str) -> None:
    said = refused(command, text)
    assert "\n  digits/ ablation antisymmetric " in said
    assert "smnist/" not in said
    if text == "digits/antisymetric":
        assert "(did you mean 'digits/antisymmetric'?)" in said


def test_a_training_that_was_refused_has_not_been_there(refused: Callable[..., str]) -> None:
    """Its folder stays, as another process may be at work in it, and counts for nothing."""
    refused("train", "digits/antisymmetric", "--model.solver", "rk5")
    assert "there is no trained run in " in refused("compare", "digits/antisymmetric")


def test_run_comes_first(refused: Callable[..., str]) -> None:
    assert "the run comes first, before --epochs" in refused("train", "--epochs", "3", "digits/lstm")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("digits/lstm --model.dt 0.1", "--model.dt"),
        ("digits/lstm --nonsense", "--nonsense"),
        ("digits/antisymmetric --model.dt -0.1", "error: `--model.dt`: Not of type PositiveFloat: -0.1 "),
        ("digits/antisymmetric --model.solver runge", "`model.solver` is 'runge'; choose one of euler, "),
        ("digits/antisymmetric --model.solver rk5", "`model.solver` is 'rk5' (did you mean 'rk4'?); choose one of "),
        ("digits/antisymmetric --model.field magnetic", "`model.field` is 'magnetic'; choose one of antisymmetric, "),
        ("digits/antisymmetric --model.adjoint magic", "magic"),
        ("digits/antisymmetric --model.hold tight", "tight"),
        ("digits/antisymmetric --model.solver leapfrog", "AntisymmetricField"),
        ("digits/hamiltonian-leapfrog --model.hidden_size 9", "9"),
        ("digits/hamiltonian-leapfrog --model.damping 0.1", "has no `damping`; set `model.damping` to null"),
        ("digits/gru --model.forget_bias 1", "`model.forget_bias`"),
        ("digits/lstm --task.val_size 100000", "val_size"),
        ("digits/lstm --task.batch_size 0", "batch_size"),
        ("digits/lstm --optimizer.momentum 0.9", "`optimizer.momentum` is 0.9"),
        ("digits/lstm --trainer.accelerator abacus", "`trainer.accelerator` 'abacus' cannot be used"),
        (
            "digits/lstm --task.permutation_seed 0",
            "make the task digits-permuted; train a run of that name",
        ),
        ("digits-permuted/lstm --task.permutation_seed null", "make the task digits; train a run of that name"),
        ("smnist/lstm --data /no/such/folder", "`--data`) is /no/such/folder, which is not a folder"),
    ],
)
def test_wrong_value_is_named(refused: Callable[..., str], args: str, said: str) -> None:
    assert said in refused("train", *args.split())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_accelerator_is_named(refused: Callable[..., str]) -> None:
    said = refused("train", "digits/lstm", "--trainer.accelerator", "cuda")
    assert "`trainer.accelerator` 'cuda' cannot be used" in said


@pytest.mark.parametrize("command", [["train", "pmnist/gated"], ["reproduce", "pmnist", "--rows", "gated"]])
def test_folder_without_the_data_is_named(refused: Callable[..., str], tmp_path: Path, command: list[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty) in refused(*command, "--data", str(empty))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "lacks data_batch_2.bin"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            "data_batch_2.bin: it is truncated or no CIFAR-10 file",
        ),
        (lambda path: path.write_bytes(b""), "data_batch_2.bin: it is truncated or no"),
        (lambda path: path.write_bytes(b"\xff" * cifar10.RECORD), "data_batch_2.bin: its labels go up to 255"),
    ],
    ids=["missing", "truncated", "empty", "labels"],
)
@pytest.mark.parametrize("command", [["train", "pixel-cifar/gated"], ["reproduce", "table2", "--rows", "gated"]])
def test_unsound_data_file_is_named(
    refused: Callable[..., str],
    small_cifar: Callable[[Path], dict[str, Path]],
    tmp_path: Path,
    command: list[str],
    change: Callable[[Path], None],
    said: str,
) -> None:
    change(small_cifar(tmp_path / "data")["data_batch_2.bin"])
    assert said in refused(*command, "--data", str(tmp_path / "data"))


@pytest.mark.parametrize(
    "command",
    [["train", "digits/lstm"], ["reproduce", "digits", "--rows", "lstm", "--seeds", "1", "--jobs", "1"]],
    ids=lambda command: command[0],
)
def test_unwritable_output_folder_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main([*command, "--out", str(file / "runs")]) == MISUSED
    said = capsys.readouterr().err
    assert "cannot be written to" in said
    assert str(file) in said


def test_folder_in_use_is_named(refused: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "digits" / "lstm" / "seed-0"
    folder.mkdir(parents=True)
    with acquire(folder, TAKEOVER).kept():
        said = refused("train", "digits/lstm")
    assert "error: another process (pid " in said
    assert f"is at work in {folder}" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["reproduce", "imagenet"], "`task` is 'imagenet'; choose from adding, "),
        (
            ["reproduce", "digits", "--rows", "lstm,transformer"],
            "`--rows` names 'transformer', and digits has no such row",
        ),
        (
            ["reproduce", "table2", "--rows", "rnn"],
            "`--rows` names 'rnn', and pixel-cifar has no such row; it has ",
        ),
        (["report"], "which is not a folder"),
    ],
)
def test_reproduce_and_report_name_what_is_wrong(refused: Callable[..., str], args: list[str], said: str) -> None:
    assert said in refused(*args)


@pytest.mark.parametrize("args", [["paint"], ["reproduce", "digits", "--seeds", "0"], ["reproduce"], []])
def test_usage_is_shown_for_what_is_no_command(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(args)
    assert exit_.value.code == MISUSED
    assert "usage: python -m benchmarks" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == OK
    shown = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"{name:<11} {command.summary}" in shown


def test_train_without_a_run_is_misused(capsys: pytest.CaptureFixture[str]) -> None:
    """A script whose variable is empty must not go on as if a network had been trained."""
    assert main(["train"]) == MISUSED
    assert "usage: python -m benchmarks train RUN" in capsys.readouterr().err


def test_help_of_train_lists_the_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == OK
    shown = capsys.readouterr().out
    assert all(name.row in shown for name in all_runs())
