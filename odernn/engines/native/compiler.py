"""The machine's C++ compiler: which command it is, and which flags it takes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Compiler:
    """The command of a compiler: a program, perhaps a launcher such as ccache, and arguments."""

    command: tuple[str, ...]

    @staticmethod
    def of_environment() -> Compiler | None:
        """The one that torch will call, or None if there is none."""
        try:
            name, *arguments = shlex.split(os.environ.get("CXX", "")) or ["c++"]
        except ValueError:  # a quote that is not closed
            return None
        program = shutil.which(name)
        return None if program is None else Compiler((program, *arguments))

    def as_program(self, folder: Path) -> str:
        """The command as one program, in the folder if it has arguments: torch 2.13 takes CXX for a program's name."""
        if len(self.command) == 1:
            return self.command[0]
        script = folder / "compiler"
        script.write_text(f'#!/bin/sh\nexec {self} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        return str(script)

    def flags(self) -> tuple[str, ...]:
        """What the kernels are compiled with, this processor's name among it."""
        native = next((flag for flag in ("-march=native", "-mcpu=native") if self.accepts(flag)), None)
        flags = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fvisibility=hidden")
        return (*flags, self.threading(sys.platform), *(() if native is None else (native,)))

    def threading(self, platform: str) -> str:
        """-fopenmp, without which torch's parallel_for runs on one thread, or -pthread for threads of the kernels' own.

        OpenMP is for GCC on Linux, whose runtime is the one that torch brings. Another compiler's would be a second one
        in the process: it does not know torch's number of threads, and on macOS it may end the process.
        """
        gcc = "#include <omp.h>\n#ifdef __clang__\n#error\n#endif\n"
        return "-fopenmp" if platform == "linux" and self.accepts("-fopenmp", gcc) else "-pthread"

    def accepts(self, flag: str, source: str = "") -> bool:
        """Whether it takes the source with the flag."""
        command = [*self.command, flag, "-x", "c++", "-fsyntax-only", "-"]
        done = subprocess.run(command, input=source, text=True, capture_output=True, check=False, timeout=60)
        return done.returncode == 0

    def version(self) -> str:
        """What it says of itself."""
        command = [*self.command, "--version"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout

    def __str__(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.command)
