"""Law: builds of several threads leave the environment of the process as it was, and each sees its own compiler."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from torch.utils import cpp_extension

from odernn.engines.native import build
from odernn.engines.native.compiler import Compiler

BUILDS = 4
PAUSE = 0.05  # seconds, in which the others get as far as they can; a build that they wait for is right without it


@pytest.mark.kernels
def test_builds_of_several_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler.of_environment()
    assert compiler is not None
    seen: dict[str, list[str | None]] = {}

    def load(name: str, **facts: Any) -> None:
        """As torch's, which reads the compiler more than once."""
        seen[name] = [os.environ.get("CXX")]
        time.sleep(PAUSE)
        seen[name].append(os.environ.get("CXX"))

    def folder(name: str, verbose: bool) -> str:
        (tmp_path / name).mkdir()
        return str(tmp_path / name)

    monkeypatch.setattr(cpp_extension, "load", load)
    monkeypatch.setattr(cpp_extension, "_get_build_directory", folder)
    monkeypatch.setattr(Compiler, "as_program", lambda self, folder: f"compiler of {folder.name}")
    before = dict(os.environ)
    names = [f"field_{number}" for number in range(BUILDS)]
    with ThreadPoolExecutor(BUILDS) as threads:
        list(threads.map(lambda name: build._built(name, compiler, (), (), None), names))
    assert dict(os.environ) == before
    assert seen == {name: 2 * [f"compiler of {name}"] for name in names}
