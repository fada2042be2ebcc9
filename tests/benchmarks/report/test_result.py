"""`result.json`: written, read back, and refused where it is not what it should be."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report.result import find_results, read_result, write_result
from benchmarks.support.errors import UserError
from benchmarks.tasks import TASKS
from tests.benchmarks.synthetic import make_result


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    write_result(path, make_result())
    return path


def edit(path: Path, *keys: str, value: Any) -> None:
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    results = [
        *(make_result(), make_result(test=None), make_result(row="lstm", solver=None)),
        *(make_result(objective="regression"), make_result(variants=("fixed noise",))),
    ]
    for index, result in enumerate(results):
        write_result(tmp_path / f"{index}.json", result)
        assert read_result(tmp_path / f"{index}.json") == result


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("seed",), "three", r"`seed` is 'three', wanted a whole number"),
        (("seed",), True, r"`seed` is True, wanted a whole number"),
        (("metrics", "accuracy", "test"), "high", r"`metrics.accuracy.test` is 'high', wanted a finite number"),
        (("metrics", "accuracy", "test"), float("nan"), r"`metrics.accuracy.test` is nan, wanted a finite number"),
        (("metrics",), None, r"`metrics` is None, which does not go with the status 'finished'"),
        (("metrics",), {}, r"`metrics` has \[\], classification has \['accuracy'\]"),
        (("objective",), "beauty", r"`objective` is 'beauty', wanted one of classification, "),
        (("status",), "perfect", r"`status` is 'perfect', wanted one of finished, diverged"),
        (("seconds",), 3, r"`seconds` is 3, wanted a mapping"),
        (("history",), {}, r"`history` is \{\}, wanted a list"),
        (("history",), [{"epoch": 1}], r"`history\[0\].lr` is missing"),
        (("data", "images", "verified"), "yes", r"`data.images.verified` is 'yes', wanted true or false"),
        (("versions", "torch"), 2, r"`versions.torch` is 2, wanted text"),
        (("colour",), "red", r"`colour` is unknown"),
    ],
)
def test_wrong_field_is_named(stored: Path, keys: tuple[str, ...], value: Any, said: str) -> None:
    edit(stored, *keys, value=value)
    with pytest.raises(UserError, match=said) as raised:
        read_result(stored)
    assert str(stored) in str(raised.value)


@pytest.mark.parametrize("field", ["task", "seconds", "settings", "finished"])
def test_missing_field_is_named(stored: Path, field: str) -> None:
    content = json.loads(stored.read_text())
    del content[field]
    stored.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"`{field}` is missing"):
        read_result(stored)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"'])
def test_what_is_no_result_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "digits" / "result.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"result\.json is not the result of a run"):
        find_results(tmp_path)


def test_finds_results_anywhere_beneath(tmp_path: Path) -> None:
    for seed in (1, 0):
        folder = tmp_path / "digits" / f"seed-{seed}"
        folder.mkdir(parents=True)
        write_result(folder / "result.json", make_result(seed=seed))
    assert [result.seed for result in find_results(tmp_path)] == [0, 1]


def test_the_results_of_the_repository_are_results(repository: Path) -> None:
    results = find_results(repository / "benchmarks" / "results")
    assert results
    assert all(result.task in TASKS for result in results)
