"""Which compiler builds the native kernels, and with which flags for threads."""

import subprocess
from pathlib import Path

import pytest

from odernn.engines.native.compiler import Compiler


@pytest.mark.parametrize("command", ["/usr/bin/env c++", "c++ -pipe", " c++ "])
@pytest.mark.kernels
def test_it_may_be_a_command_with_arguments(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", command)
    found = Compiler.of_environment()
    assert found is not None
    assert Path(found.command[0]).is_absolute()
    assert list(found.command[1:]) == command.split()[1:]


def test_torch_calls_one_with_arguments_by_one_name(tmp_path: Path) -> None:
    program = Compiler(("echo", "one  two", "three")).as_program(tmp_path)
    assert (
        subprocess.run([program, "four"], capture_output=True, text=True, check=True).stdout == "one  two three four\n"
    )
    assert Compiler(("echo",)).as_program(tmp_path) == "echo"


@pytest.mark.parametrize("command", ["no-such-compiler", "c++ 'not closed"])
def test_what_is_no_command_is_no_compiler(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", command)
    assert Compiler.of_environment() is None


@pytest.mark.parametrize(
    ("platform", "program", "flag"),
    [("linux", "true", "-fopenmp"), ("linux", "false", "-pthread"), ("darwin", "true", "-pthread")],
)
def test_openmp_is_for_one_whose_runtime_is_that_of_torch(platform: str, program: str, flag: str) -> None:
    """On macOS none's is, whatever it takes; `true` takes everything, and `false` nothing."""
    assert Compiler((program,)).threading(platform) == flag


@pytest.mark.kernels
def test_flags_that_it_does_not_take_are_left_out(tmp_path: Path) -> None:
    refuses = tmp_path / "refuses"
    refuses.write_text("#!/bin/sh\nfor each; do case $each in -m*=native|-fopenmp) exit 1;; esac; done\n")
    refuses.chmod(0o755)
    assert set(Compiler(("true",)).flags()) - set(Compiler((str(refuses),)).flags()) >= {"-march=native"}
    assert Compiler((str(refuses),)).flags()[-1] == "-pthread"
