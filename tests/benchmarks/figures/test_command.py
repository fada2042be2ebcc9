"""`python -m benchmarks figures`: three files a figure, of an untrained network or of a run, and its refusals."""

import csv
import shutil
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.image
import pytest
import torch
from matplotlib.text import Text

from benchmarks.commands.figures import SEQUENCES, main
from benchmarks.figures.networks import Request
from benchmarks.figures.picture import Picture, write_picture
from benchmarks.figures.registry import FIGURES
from benchmarks.figures.trained import read_trained
from benchmarks.support.errors import OK, UserError


def numbers(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def check_files(folder: Path, name: str) -> list[dict[str, str]]:
    """Something is drawn, the SVG is well formed with its text as text, and every number is finite."""
    assert matplotlib.image.imread(folder / f"{name}.png").std() > 0.01
    svg = ElementTree.parse(folder / f"{name}.svg")
    assert any(element.tag.endswith("}text") for element in svg.iter())
    rows = numbers(folder / f"{name}.csv")
    assert rows
    for cell in (cell for row in rows for cell in row.values()):
        try:
            value = float(cell)
        except ValueError:
            continue
        assert isfinite(value)
    return rows


def draw(folder: Path, names: Sequence[str], *options: str) -> None:
    assert main(["--small", "--only", ",".join(names), "--out", str(folder), *options]) == OK


AS_ANOTHER = ("figure1-rk4", "figure1-implicit-midpoint", "figure1-leapfrog", "figure2-solvers")
"""What is drawn by the code of figure1 and figure2, of other numbers."""


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_finite_numbers(name: str, small: Callable[[str], Picture]) -> None:
    rows = small(name).rows
    assert rows
    assert all(isfinite(cell) for row in rows for cell in row if isinstance(cell, float))


# The layout takes most of the time; the figures that the command draws below have theirs.
@pytest.mark.parametrize("layout", ["none", pytest.param("constrained", marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full) if name in AS_ANOTHER else name for name in FIGURES]
)
def test_every_figure_is_drawn(name: str, layout: Any, tmp_path: Path, small: Callable[[str], Picture]) -> None:
    picture = small(name)
    picture.figure.set_layout_engine(layout)
    write_picture(tmp_path, name, picture)
    check_files(tmp_path, name)
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg", ".csv"}


def test_the_command_writes_the_same_file_again_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        draw(folder, ["figure2"])
        assert capsys.readouterr().out == f"written to {folder / 'figure2'}.png, with .svg and .csv beside it\n"
    check_files(folders[0], "figure2")
    for kind in ("png", "svg", "csv"):
        first, second = ((folder / f"figure2.{kind}").read_bytes() for folder in folders)
        assert first == second


TITLE = "AntisymmetricRNN, digits/antisymmetric"


def test_figure_2_of_a_run(antisymmetric_run: Path, tmp_path: Path) -> None:
    draw(tmp_path, ["figure2"], "--run", str(antisymmetric_run))
    rows = check_files(tmp_path, "figure2")
    assert {row["network"] for row in rows} == {"at the start", "last epoch", "best epoch"}
    assert [row["T"] for row in rows[:4]] == ["8", "16", "32", "64"]
    assert TITLE in (tmp_path / "figure2.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["figure2-solvers", "stability-regions", "energy", "work-precision"])
def test_every_figure_of_a_network_is_drawn_of_a_run(name: str, antisymmetric_run: Path) -> None:
    picture = FIGURES[name](Request(read_trained(antisymmetric_run, None, SEQUENCES), small=True))
    assert picture.rows
    assert all(isfinite(cell) for row in picture.rows for cell in row if isinstance(cell, float))
    assert any(TITLE in text.get_text() for text in picture.figure.findobj(Text))


def test_figure_2_of_an_lstms_run(lstm_run: Path, tmp_path: Path) -> None:
    draw(tmp_path, ["figure2"], "--run", str(lstm_run))
    check_files(tmp_path, "figure2")


def test_the_other_figures_need_a_vector_field(lstm_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the run 'LSTM, digits/lstm' trained torch's LSTM, which has no vector field"):
        draw(tmp_path, ["stability-regions"], "--run", str(lstm_run))


def test_an_unknown_figure_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"`--only` names 'fugure3' \(did you mean 'figure.*choose from figure1, figure1-rk4, "
    ):
        draw(tmp_path, ["fugure3"])
    assert not list(tmp_path.iterdir())


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written to"):
        draw(tmp_path / "file" / "new", ["figure1"])


@pytest.fixture
def copied(antisymmetric_run: Path, tmp_path: Path) -> Path:
    """A run's folder that a test may damage."""
    folder = tmp_path / "digits" / "antisymmetric" / "seed-0"
    shutil.copytree(antisymmetric_run, folder)
    return folder


def refusal(run: Path, tmp_path: Path) -> str:
    with pytest.raises(UserError) as raised:
        draw(tmp_path / "new", ["figure2"], "--run", str(run))
    assert not (tmp_path / "new").exists()
    return str(raised.value)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    assert f"`--run` is {tmp_path}, which holds no config.yaml" in refusal(tmp_path, tmp_path)


def test_a_run_without_an_epoch_is_named(copied: Path, tmp_path: Path) -> None:
    (copied / "last.ckpt").unlink()
    assert "which holds no last.ckpt: no epoch of it has ended yet" in refusal(copied, tmp_path)


def test_a_folder_of_no_task_is_named(copied: Path, tmp_path: Path) -> None:
    moved = tmp_path / "some" / "where" / "seed-0"
    shutil.copytree(copied, moved)
    assert "the folder of a run is <task>/<row>/seed-<n>, with a task of digits" in refusal(moved, tmp_path)


def test_settings_of_another_version_are_named(copied: Path, tmp_path: Path) -> None:
    text = (copied / "config.yaml").read_text(encoding="utf-8")
    (copied / "config.yaml").write_text(text.replace("  dt:", "  step:"), encoding="utf-8")
    assert "config.yaml is of another version of this program" in refusal(copied, tmp_path)


def test_a_damaged_checkpoint_is_named(copied: Path, tmp_path: Path) -> None:
    content = (copied / "last.ckpt").read_bytes()
    (copied / "last.ckpt").write_bytes(content[: len(content) // 2])
    assert "last.ckpt cannot be read" in refusal(copied, tmp_path)


def test_weights_of_another_network_are_named(copied: Path, tmp_path: Path) -> None:
    text = (copied / "config.yaml").read_text(encoding="utf-8")
    (copied / "config.yaml").write_text(text.replace("hidden_size: 4", "hidden_size: 5"), encoding="utf-8")
    assert "do not fit its settings" in refusal(copied, tmp_path)


def test_a_checkpoint_without_best_weights_is_named(copied: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(copied / "last.ckpt", weights_only=True)
    checkpoint["callbacks"] = {}
    torch.save(checkpoint, copied / "last.ckpt")
    assert "last.ckpt holds no best weights" in refusal(copied, tmp_path)
