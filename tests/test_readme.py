"""Every claim of the README that can be run: its code, its commands, its files, its numbers."""

import re
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.commands.report import markdown_tables
from benchmarks.report.embedded import embed
from benchmarks.report.result import find_results

FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(text) if kind == language]


def test_its_python_runs(readme: str) -> None:
    examples = blocks(readme, "python")
    assert examples
    for example in examples:
        names: dict[str, object] = {}
        exec(compile(example, "README.md", "exec"), names)


def test_its_make_targets_exist(readme: str, repository: Path) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake (\w+)", readme))
    assert {"reproduce", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_its_commands_are_understood(readme: str, capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"python -m benchmarks (\w+)", readme)
    assert set(commands) >= {"train", "reproduce", "report"}
    for command in set(commands):
        try:
            code = main([command, "--help"])
        except SystemExit as end:  # as argparse ends after its help
            code = end.code
        assert not code
        assert f"usage: python -m benchmarks {command}" in capsys.readouterr().out


def test_its_links_lead_somewhere(readme: str, repository: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        if not target.startswith("http"):
            assert (repository / target).exists(), target


def test_its_tables_are_those_of_the_result_files(readme: str, repository: Path) -> None:
    """They are made by `python -m benchmarks report --out benchmarks/results --into README.md`."""
    results = find_results(repository / "benchmarks" / "results")
    assert embed(readme, markdown_tables(results)) == readme


def test_its_times_are_those_of_the_results(readme: str, repository: Path) -> None:
    (head, *_), *rows = (
        [cell.strip(" *`") for cell in line.strip("|").split("|")] for line in speed_table(readme).splitlines()
    )
    assert head == "T, batch, units, inputs"
    results = (repository / "benchmarks" / "results" / "speed.md").read_text(encoding="utf-8")
    names = ("native", "torch", "naive", "torchdiffeq", "jax-scan", "diffrax", "nn.RNN")
    for shape, *times in rows[1:]:
        case = f"### ({shape}) antisymmetric, euler, forward + backward, end\n"
        measured = results.partition(case)[2].partition("### ")[0]
        for name, time in zip(names, times, strict=True):
            assert f"| {name} | {time} ms |" in measured, (shape, name)


def speed_table(readme: str) -> str:
    found = re.search(r"^\| T, batch, units, inputs.*?(?=\n\n)", readme, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]
