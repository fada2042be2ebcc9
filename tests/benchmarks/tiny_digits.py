"""Small runs on the digits, trained in a second, for the tests of what is made of trained runs."""

from pathlib import Path

from benchmarks.commands.train import parse
from benchmarks.run.train import train

UNITS = 8
SMALL = (
    *("--model.hidden_size", str(UNITS), "--task.batch_size", "300", "--epochs", "2", "--progress", "none"),
    *("--trainer.accelerator", "cpu", "--trainer.threads", "1"),
)


def train_digits(out: Path, name: str, *options: str) -> Path:
    """Trains a run beneath `out` and gives its folder."""
    spec = parse([name, *SMALL, "--out", str(out), *options])
    assert train(spec).status == "finished"
    return spec.folder.path
