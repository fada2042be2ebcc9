"""Law: the seeds of a row trained together come to what each comes to by itself, file by file."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.commands import reproduce
from benchmarks.models import network
from benchmarks.report.result import RunResult, read_result
from benchmarks.run import prepare, progress
from benchmarks.run.checkpoint import AtomicCheckpointIO
from benchmarks.run.pool import Queue
from benchmarks.run.seeds import may_train_together, train_seeds
from benchmarks.run.seeds_checkpoint import SeedsCheckpointIO
from benchmarks.run.spec import RunSpec
from benchmarks.run.train import train
from benchmarks.settings.names import find_run
from benchmarks.settings.parser import read_settings
from benchmarks.support.errors import OK

SEEDS = 3
SMALL = (
    *("--epochs", "2", "--model.hidden_size", "6", "--task.batch_size", "20", "--task.limit", "50"),
    *("--trainer.accelerator", "cpu", "--trainer.threads", "1", "--optimizer.lr", "0.05"),
)
OPTIONS = {
    "adam and ema": (
        *("--average.kind", "ema", "--average.decay", "0.7", "--average.start", "0.4"),
        *("--optimizer.name", "adam", "--optimizer.scaled", '["*.field.recurrent.*"]', "--optimizer.scale", "0.1"),
        *("--trainer.gradient_clip", "0.3", "--trainer.gradient_clip_by", "norm"),
    ),
    "momentum in float64": (
        *("--optimizer.name", "sgd", "--optimizer.momentum", "0.9", "--trainer.precision", "64-true"),
        *("--trainer.gradient_clip", "0.01", "--trainer.gradient_clip_by", "value"),
    ),
}
ROUNDING = {"rtol": 1e-4, "atol": 1e-6}  # float32, nine steps; only the norm is summed in another order


def specs(out: Path, *options: str, run: str = "digits/antisymmetric") -> list[RunSpec]:
    name = find_run(run)
    every = [read_settings(name, [*SMALL, *options, "--seed", str(seed)]) for seed in range(SEEDS)]
    return [RunSpec(name, settings, out) for settings in every]


def assert_same(one: Any, other: Any, place: str = "") -> None:
    """Deeply equal, numbers and tensors to rounding, but for times."""
    if isinstance(one, Mapping):
        assert one.keys() == other.keys(), place
        for key in one.keys() - {"seconds"}:
            assert_same(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for k, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{place}[{k}]")
    elif isinstance(one, Tensor | float):
        torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other), **ROUNDING, msg=place)
    else:
        assert one == other, place


def assert_same_runs(together: list[RunSpec], alone: list[RunSpec]) -> None:
    for one, other in zip(together, alone, strict=True):
        found, wanted = (_without_times(read_result(each.folder.result)) for each in (one, other))
        assert_same(vars(found), vars(wanted))
        assert one.folder.config.read_text() == other.folder.config.read_text()
        assert_same(*(AtomicCheckpointIO().load_checkpoint(each.folder.checkpoint) for each in (one, other)))
        assert len(one.folder.metrics.read_text().splitlines()) == 1 + one.settings.epochs


def _without_times(result: RunResult) -> RunResult:
    history = [replace(row, seconds=0.0) for row in result.history]
    return replace(
        result, seconds=replace(result.seconds, training=0, per_epoch=0, test=0), history=history, finished=""
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[RunSpec]]:
    """The runs with some options, each trained by itself."""
    made: dict[str, list[RunSpec]] = {}

    def trained(options: str) -> list[RunSpec]:
        if options not in made:
            made[options] = specs(tmp_path_factory.mktemp("alone"), *OPTIONS[options])
            for spec in made[options]:
                train(spec)
        return made[options]

    return trained


@pytest.mark.parametrize("options", OPTIONS)
def test_every_file_is_that_of_the_run_by_itself(
    options: str,
    alone: Callable[[str], list[RunSpec]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "SECONDS", -1.0)
    together = [replace(spec, progress="lines") for spec in specs(tmp_path, *OPTIONS[options])]
    results = train_seeds(together, [None] * SEEDS)
    assert [result.seed for result in results] == list(range(SEEDS))
    assert_same_runs(together, alone(options))
    mean = sum(result.history[-1].val["accuracy"] for result in results) / SEEDS
    assert f"digits/antisymmetric: epoch 2 of 2: validation {100 * mean:.2f} %" in capsys.readouterr().out


class Killed(BaseException):
    """What a signal would do."""


def test_killed_between_two_checkpoints_it_goes_on(
    alone: Callable[[str], list[RunSpec]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, ends = specs(tmp_path, *OPTIONS["adam and ema"]), []
    one = AtomicCheckpointIO.save_checkpoint

    def dies(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Path, options: Any = None) -> None:
        if len(ends) == SEEDS + 1:  # after the second epoch the first seed's is written, the others' are not
            raise Killed
        ends.append(path)
        one(self, checkpoint, path, options)

    with monkeypatch.context() as patched:
        patched.setattr(AtomicCheckpointIO, "save_checkpoint", dies)
        with pytest.raises(Killed):
            train_seeds(together, [None] * SEEDS)
    groups = []
    monkeypatch.setattr(SeedsCheckpointIO, "__init__", _telling(SeedsCheckpointIO.__init__, groups))
    train_seeds(together, [None] * SEEDS)
    assert groups == [2]  # the two that were an epoch behind; the third went on by itself
    assert_same_runs(together, alone("adam and ema"))


def _telling(init: Callable[..., None], groups: list[int]) -> Callable[..., None]:
    def told(self: SeedsCheckpointIO, paths: list[Path]) -> None:
        groups.append(len(paths))
        init(self, paths)

    return told


def test_a_run_begun_together_may_end_by_itself(alone: Callable[[str], list[RunSpec]], tmp_path: Path) -> None:
    together = specs(tmp_path, *OPTIONS["adam and ema"])
    train_seeds(together, [None] * SEEDS)
    together[1].folder.result.unlink()
    train(together[1])
    assert_same_runs(together, alone("adam and ema"))


def test_a_seed_that_diverges_leaves_the_others_as_they_are(
    alone: Callable[[str], list[RunSpec]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = network.build_network

    def broken(*arguments: Any, seed: int, **options: Any) -> Any:
        made = build(*arguments, seed=seed, **options)
        if seed == 1:
            torch.nn.init.constant_(made.readout.bias, torch.inf)
        return made

    monkeypatch.setattr(prepare, "build_network", broken)
    together = specs(tmp_path, *OPTIONS["adam and ema"])
    found = train_seeds(together, [None] * SEEDS)
    assert [result.status for result in found] == ["finished", "diverged", "finished"]
    assert str(found[1].failure).startswith("the training loss is nan in epoch 1 at step 1")
    reference = alone("adam and ema")
    assert_same_runs([together[0], together[2]], [reference[0], reference[2]])


def test_what_has_ended_is_read(alone: Callable[[str], list[RunSpec]], monkeypatch: pytest.MonkeyPatch) -> None:
    ended = alone("adam and ema")
    monkeypatch.setattr(prepare, "build_network", None)  # nothing is trained again
    assert train_seeds(ended, [None] * SEEDS) == [read_result(spec.folder.result) for spec in ended]


@pytest.mark.parametrize(
    ("run", "options", "fits"),
    [
        ("digits/antisymmetric", (), True),
        ("digits/lstm", (), False),
        ("digits/antisymmetric", ("--model.output_dropout", "0.1"), False),
        ("digits/antisymmetric", ("--model.input_dropout", "0.1"), False),
        ("digits/antisymmetric", ("--schedule.plateau_factor", "0.5"), False),
        ("text-characters/antisymmetric", (), False),
    ],
)
def test_which_rows_can_be_trained_together(run: str, options: tuple[str, ...], fits: bool, tmp_path: Path) -> None:
    spec = RunSpec(find_run(run), read_settings(find_run(run), options), tmp_path)
    assert may_train_together(spec) == fits
    assert not may_train_together(replace(spec, devices=2))
    assert not may_train_together(replace(spec, loggers=("tensorboard",)))


def test_the_queue_takes_the_seeds_of_a_row_together(tmp_path: Path) -> None:
    ours, baseline = specs(tmp_path), specs(tmp_path, run="digits/gru")
    queue = Queue([each for pair in zip(ours, baseline, strict=True) for each in pair], together=2)
    taken = []
    while queue:
        taken.append([(claim.spec.name.row, claim.spec.settings.seed) for claim in queue.take()])
    assert taken == [
        [("antisymmetric", 0), ("antisymmetric", 1)],
        [("gru", 0)],
        [("gru", 1)],
        [("antisymmetric", 2)],
        [("gru", 2)],
    ]


def test_the_command_trains_seeds_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def noted(requests: list[RunSpec], jobs: int, together: int) -> list[RunResult]:
        asked.append((len(requests), together))
        return []

    monkeypatch.setattr(reproduce, "run_all", noted)
    monkeypatch.setattr(reproduce, "write_report", lambda results, tasks, out: None)
    command = ["digits", "--rows", "antisymmetric", "--seeds", "4", "--out", str(tmp_path)]
    for options in ([], ["--together", "2"]):
        assert reproduce.main([*command, *options]) == OK
    assert asked == [(4, reproduce.default_together()), (4, 2)]
