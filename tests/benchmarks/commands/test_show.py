"""`python -m benchmarks show`: a picture of every task."""

import io
from pathlib import Path

import matplotlib.image
import pytest

from benchmarks.cli import main
from benchmarks.commands.show import draw
from benchmarks.data import DataChecksumWarning
from benchmarks.support.errors import MISUSED, OK
from benchmarks.tasks import TASKS, Task

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")


def size(task: Task, samples: int) -> tuple[int, ...]:
    """The height and the width of a picture, in which something is drawn."""
    image = matplotlib.image.imread(io.BytesIO(draw(task, "test", samples, 0)), format="png")
    assert image.std() > 0.01
    return image.shape[:2]


AS_ANOTHER = ("digits-permuted", "smnist", "pmnist", "noise-padded-mnist", "text-characters")
"""Tasks of the same kind of samples as others: images that are permuted or padded, letters of another text."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full) if name in AS_ANOTHER else name for name in TASKS]
)
def test_every_task_can_be_drawn(name, task_arguments):
    task = TASKS[name](**task_arguments[name])
    task.setup()
    size(task, 2)


@pytest.mark.parametrize("name", ["digits", "adding", "ptb-characters"])  # of images, numbers and letters
def test_a_sample_more_is_a_line_more(name, task_arguments):
    task = TASKS[name](**task_arguments[name])
    task.setup()
    one, two = (size(task, samples) for samples in (1, 2))
    assert two[0] > one[0]
    assert two[1] == one[1]


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
