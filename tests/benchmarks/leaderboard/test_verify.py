"""A result that cannot be true is named, whatever it is that does not fit; a sound one is not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import odernn
from benchmarks.cli import main
from benchmarks.leaderboard.verify import verify
from benchmarks.support.errors import OK, UserError
from odernn.zoo.files import SHIPPED, WEIGHTS
from tests.benchmarks.tiny_digits import train_digits


def test_sound_results_are_taken(results: Path) -> None:
    for path in sorted(results.rglob("result.json")):
        found = verify(path)
        assert found.result.parameters == sum(each.numel() for each in found.network.parameters())


def test_the_results_of_the_repository_are_sound(repository: Path) -> None:
    paths = sorted((repository / "benchmarks").rglob("result.json"))
    assert paths
    for path in paths:
        verify(path)


@pytest.mark.parametrize("name", odernn.list_pretrained())
def test_so_are_those_beside_the_networks_that_ship(name: str) -> None:
    verify(SHIPPED / name / "result.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parameters": 70}, "`parameters` is 70, and its settings make a network of"),
        ({"settings/model/hidden_size": 7}, "its settings make a network of"),
        ({"settings/model/field": "unstructured"}, "`field` is 'antisymmetric', and its settings say 'unstructured'"),
        ({"settings/model/field": "unstructured", "field": "unstructured"}, "its settings make a network of"),
        ({"settings/model/layers": 2}, "its settings make a network of"),
        ({"settings/model/colour": "red"}, "`settings` are not those of a run"),
        ({"settings/optimizer": {}}, "`settings` are not those of a run"),
        ({"settings/task/batch_size": 0}, "batch_size"),
        ({"solver": "rk4"}, "`solver` is 'rk4', and its settings say 'euler'"),
        ({"substeps": 9}, "`substeps` is 9"),
        ({"seed": 7}, "`seed` is 7, and its settings say 0"),
        ({"epochs": 20}, "`epochs` is 20, and its settings say 2"),
        ({"settings/epochs": 20, "epochs": 20}, "`history` has 2 epochs"),
        ({"task": "digits-permuted"}, "make the task digits; train a run of that name"),
        ({"task": "imagenet"}, "`task` is 'imagenet'; there are"),
        ({"metrics/accuracy/val": 0.99}, "`metrics.accuracy.val` is 0.99, and `history` has"),
        ({"metrics/accuracy/train": 0.99}, "`metrics.accuracy.train` is 0.99"),
        ({"metrics/accuracy/test": 1.5}, "which is not between 0 and 1"),
        ({"best_epoch": 3}, "`best_epoch` is 3, of 2"),
        ({"history/0/epoch": 5}, "does not count its epochs from 1"),
        ({"data/scikit-learn digits/sha256": "0" * 64}, "is called the published file"),
        ({"objective": "regression"}, "`metrics` has ['accuracy'], regression has"),
        ({"dt": "small"}, "`dt` is 'small', wanted a finite number"),
    ],
)
def test_a_forged_result_is_named(forge: Callable[..., Path], change: dict[str, Any], said: str) -> None:
    path = forge(change)
    with pytest.raises(UserError) as raised:
        verify(path)
    assert said in str(raised.value)


def test_the_best_epoch_must_be_the_best(forge: Callable[..., Path], results: Path) -> None:
    sound = verify(results / "digits/antisymmetric/seed-0/result.json").result
    assert sound.best_epoch is not None
    other = 3 - sound.best_epoch
    scores = sound.history[other - 1].val["accuracy"]
    with pytest.raises(UserError, match=rf"`best_epoch` is {other}, and epoch {sound.best_epoch} was better"):
        verify(forge({"best_epoch": other, "metrics/accuracy/val": scores}))


def test_weights_of_other_shapes_beside_it_are_named(copied: Path, tmp_path: Path) -> None:
    folder = train_digits(tmp_path, "digits/antisymmetric", "--model.hidden_size", "6")
    target = copied / "digits/antisymmetric/seed-0"
    shutil.copy(folder / "last.ckpt", target / "last.ckpt")
    with pytest.raises(UserError, match="do not fit its settings"):
        verify(target / "result.json")
    (target / "last.ckpt").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"last\.ckpt cannot be read"):
        verify(target / "result.json")


def test_so_are_exported_weights(results: Path, tmp_path: Path) -> None:
    assert main(["export", "digits/antisymmetric", "--out", str(results), "--write", str(tmp_path)]) == OK
    folder = tmp_path / "digits/antisymmetric"
    verify(folder / "result.json")
    assert main(["export", "digits/unicornn-3x64", "--out", str(results), "--write", str(tmp_path)]) == OK
    shutil.copy(tmp_path / "digits/unicornn-3x64" / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(UserError, match=r"the weights in weights\.safetensors do not fit"):
        verify(folder / "result.json")
