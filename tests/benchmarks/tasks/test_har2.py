"""HAR-2: two classes of six activities, one scale, and people who are held out whole."""

import pytest
import torch

from benchmarks.data import DataChecksumWarning
from benchmarks.data.har import load_har
from benchmarks.objectives import LabelObjective
from benchmarks.tasks import HAR2

pytestmark = pytest.mark.filterwarnings(f"ignore::{DataChecksumWarning.__module__}.{DataChecksumWarning.__name__}")


def made(folder, **arguments) -> HAR2:
    task = HAR2(data_dir=folder, **arguments)
    task.setup()
    return task


def everything(samples) -> tuple[torch.Tensor, torch.Tensor]:
    x, target, _ = samples.__getitems__(range(len(samples)))
    return x, target


def test_the_classes_are_the_groups_of_activities(small_har_dir) -> None:
    task = made(small_har_dir)
    _, target = everything(task.splits.test)
    # 1 walking, 2 upstairs, 3 downstairs, 4 sitting, 5 standing, 6 laying, in the files.
    groups = {1: 1, 2: 0, 3: 1, 4: 0, 5: 1, 6: 0}
    numbers = (small_har_dir / "test" / "y_test.txt").read_text().split()
    assert target.tolist() == [groups[int(number)] for number in numbers]
    assert isinstance(task.objective, LabelObjective)
    assert task.objective.class_names == ("sitting, laying, upstairs", "standing, walking, downstairs")


def test_all_signals_have_one_scale(small_har_dir) -> None:
    x, _ = everything(made(small_har_dir).splits.test)
    expected = (load_har(small_har_dir).test.signals - 0.10206605722975093) / 0.4021651763839265
    assert torch.equal(x, expected)


def test_validation_holds_out_people_and_not_windows(small_har_dir) -> None:
    people, data = {}, load_har(small_har_dir).train
    rows = {tuple(window): int(person) for window, person in zip(data.signals[:, 0].tolist(), data.people, strict=True)}
    task = made(small_har_dir, val_people=2)
    for part in ("train", "val"):
        signals = getattr(task.splits, part).signals
        people[part] = {rows[tuple(window)] for window in signals[:, 0].tolist()}
        assert len(signals) == 20 * len(people[part])
    assert len(people["val"]) == 2
    assert people["train"] | people["val"] == {1, 3, 5, 7, 8}
    assert not people["train"] & people["val"]


def test_the_people_are_drawn_by_the_seed(small_har_dir) -> None:
    draws = [everything(made(small_har_dir, split_seed=seed).splits.val)[0] for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_too_many_people_for_validation_are_refused(small_har_dir) -> None:
    with pytest.raises(ValueError, match="`val_people` is 5; give a whole number from 1 to 4"):
        made(small_har_dir, val_people=5)
