"""Programs in processes of their own, which find what they need imported, and nothing built or loaded by it."""

import multiprocessing
import os
import sys
import traceback
from pathlib import Path
from typing import Any

# A fork server imports once what children need. Where there is none, each child imports it by itself.
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
# There is one server in a process, with what it is told before its first child: all tests want the same.
IMPORTED = ["benchmarks.cli", "benchmarks.commands.train", "benchmarks.run.train", "odernn", "pytest"]


def context() -> Any:
    """How they begin."""
    made: Any = multiprocessing.get_context(METHOD)
    if METHOD == "forkserver":
        made.set_forkserver_preload(IMPORTED)
    return made


def run(program: str, folder: Path, *arguments: str, **environment: str) -> str:
    """What a program prints.

    Args:
        program: Python's text.
        folder: one of the test's own, for what it prints.
        arguments: what it finds in `sys.argv`.
        environment: variables that it finds in the environment besides those of here.

    Raises:
        AssertionError: it ended with an error, which is the message.
    """
    printed = folder / "printed"
    child = context().Process(target=_run, args=(program, printed, arguments, {**os.environ, **environment}))
    child.start()
    child.join()
    text = printed.read_text(encoding="utf-8")
    assert child.exitcode == 0, text
    return text


def _run(program: str, printed: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    sys.argv = ["program", *arguments]
    with printed.open("w", encoding="utf-8") as sys.stdout:
        sys.stderr = sys.stdout
        try:
            exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
            raise
