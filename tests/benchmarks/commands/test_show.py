"""`python -m benchmarks show`: a picture of every task."""

import io
from pathlib import Path

import matplotlib.image
import pytest

from benchmarks.cli import main
from benchmarks.commands.show import draw
from benchmarks.data import DataChecksumWarning
from benchmarks.support.errors import MISUSED, OK
from benchmarks.tasks import TASKS

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")


@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_drawn(name, task_arguments):
    task = TASKS[name](**task_arguments[name])
    task.setup()
    one, two = (draw(task, "test", samples, 0) for samples in (1, 2))
    shapes = [matplotlib.image.imread(io.BytesIO(png), format="png").shape for png in (one, two)]
    assert shapes[1][0] > shapes[0][0]  # a line more
    assert shapes[1][1] == shapes[0][1]


def test_the_same_samples_are_the_same_picture(task_arguments):
    task = TASKS["digits"](**task_arguments["digits"])
    task.setup()
    assert draw(task, "test", 1, 0) == draw(task, "test", 1, 0)


def test_the_command_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "digits.png"
    assert main(["show", "digits-permuted", "--samples", "2", "--out", str(path)]) == OK
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    assert str(path) in capsys.readouterr().out


def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "imagenet"]) == MISUSED
    assert "`task` is 'imagenet'; choose from adding, " in capsys.readouterr().err
    assert main(["show", "pixel-cifar", "--data", str(tmp_path)]) == MISUSED
    assert "CIFAR-10 is not in the folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
