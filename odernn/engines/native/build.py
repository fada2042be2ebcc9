"""Build the native kernels with the machine's own compiler, once, at first use."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from .compiler import Compiler

_SOURCES = (
    "bindings.cpp",  # the longest first
    "pull_back.cpp",
    "solve.cpp",
    "recursion.cpp",
    "matmul.cpp",
    "arena.cpp",
)
_OF_A_FIELD = ("pull_back.cpp", "solve.cpp", "matmul.cpp", "arena.cpp", "field.cpp")
"""The sources that are compiled with the elementwise part of a field: nothing of torch, whose headers take longer."""
_FOLDER = Path(__file__).parent / "kernels"
_LOG = logging.getLogger(__name__)

_ENVIRONMENT = threading.Lock()
"""Held while a build has the environment of the process as torch wants it."""


class NativeUnavailable(RuntimeError):  # noqa: N818 - it says what is the case, not what went wrong
    """The native kernels cannot be built or loaded here.

    Attributes:
        reason: why, in one line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """The message."""
        return f"the native kernels are unavailable: {self.reason}"


def load() -> None:
    """Make the operators torch.ops.odernn_native available, building them if no earlier build is cached.

    The cache lies in torch's folder for extensions (TORCH_EXTENSIONS_DIR moves it); its key holds the sources, the
    versions of torch and Python, the compiler and the processor's features.

    Raises:
        NativeUnavailable: no C++ compiler, no ninja, a compiler that fails, a folder that cannot be written. The
            answer is remembered: nothing is tried twice in one process.
    """
    reason = _load()
    if reason is not None:
        raise NativeUnavailable(reason)


def load_field(header: str) -> str:
    """Make the operators of a field available whose elementwise part is this C++; built as those of `load` are.

    Args:
        header: what kernels/traced.h includes.

    Returns:
        Their namespace in torch.ops, which is the same for the same header.

    Raises:
        NativeUnavailable: as `load`.
    """
    namespace = f"odernn_field_{hashlib.sha256(header.encode()).hexdigest()[:16]}"
    reason = _load_field(namespace, header)
    if reason is not None:
        raise NativeUnavailable(reason)
    return namespace


@cache
def _load_field(namespace: str, header: str) -> str | None:
    """The reason why not, or None."""
    return _missing_tool() or _load() or _reason_against(namespace, _OF_A_FIELD, header)


def is_available() -> bool:
    """Whether the kernels can be used here; builds them if need be."""
    try:
        load()
    except NativeUnavailable:
        return False
    return True


@cache
def _load() -> str | None:
    """The reason why not, or None."""
    return _missing_tool() or _reason_against("odernn_native", _SOURCES)


def _reason_against(namespace: str, sources: tuple[str, ...], header: str | None = None) -> str | None:
    """Build and load the sources as operators of a namespace; the reason why that fails, or None."""
    compiler = Compiler.of_environment()
    assert compiler is not None
    try:
        flags = compiler.flags()
        name = f"{namespace}_{_key(compiler, flags)}"
        library = _built(name, compiler, flags, sources, header)
        if header is None:
            torch.ops.load_library(library)
        else:
            torch.ops.odernn_native.load_field(namespace, library)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return f"the build with {compiler} failed: {_first_error(str(error))}"
    return None


def _missing_tool() -> str | None:
    if sys.platform == "win32":
        return "the sources use the vector extensions of GCC and Clang, which the compiler of Windows does not have"
    if Compiler.of_environment() is None:
        return "no C++ compiler was found; install g++ or clang++, or name one in the environment variable CXX"
    if shutil.which("ninja") is None and _ninja_folder() is None:
        return "ninja was not found; install it, for example with `pip install ninja`"
    return None


def _ninja_folder() -> str | None:
    """The folder of the ninja of this Python's environment, which need not be on the path."""
    folder = Path(sys.executable).parent
    return str(folder) if (folder / "ninja").exists() else None


def _key(compiler: Compiler, flags: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for path in sorted((*_FOLDER.glob("*.cpp"), *_FOLDER.glob("*.h"))):
        digest.update(path.name.encode() + path.read_bytes())
    arguments = (*compiler.command[1:], *flags)
    facts = (torch.__version__, sys.version, platform.machine(), compiler.version(), _processor(), *arguments)
    digest.update("\n".join(facts).encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """The features of the processor, as far as the system says: a folder shared by two machines holds two builds."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    wanted = ("flags", "Features", "model name")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _built(
    name: str,
    compiler: Compiler,
    flags: tuple[str, ...],
    sources: tuple[str, ...],
    header: str | None,
) -> str:
    """The path of the library, built now or before; with a field's header its kernels."""
    from torch.utils import cpp_extension  # costs more to import than all of odernn, and only those who build need it

    folder = Path(cpp_extension._get_build_directory(name, verbose=False))
    library, done = folder / f"{name}.so", folder / "done"
    if done.exists() and library.exists():
        return str(library)
    with _alone(folder / "building"), _found_by_torch(_ninja_folder(), compiler.as_program(folder)):
        if not (done.exists() and library.exists()):
            (folder / "lock").unlink(missing_ok=True)  # torch's own lock: only a process that died can have left it
            library.unlink(missing_ok=True)  # it may be half written
            what, takes = ("native kernels", "half") if header is None else ("kernels of a field", "a quarter of")
            _LOG.warning("building odernn's %s, once for this machine and this torch: %s a minute or so", what, takes)
            definitions = []
            if header is not None:
                (folder / "pointwise.h").write_text(header, encoding="utf-8")
                definitions = [f"-DODERNN_POINTWISE='\"{folder / 'pointwise.h'}\"'"]
            cpp_extension.load(
                name=name,
                sources=[str(_FOLDER / source) for source in sources],
                extra_cflags=[*flags, *definitions],
                extra_ldflags=[flag for flag in flags if flag in ("-fopenmp", "-pthread")],
                build_directory=str(folder),
                is_python_module=False,
            )
            done.touch()
    return str(library)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the file's lock, which the system frees when a process dies. torch's lock is a file that outlives it."""
    import fcntl  # not on Windows, where nothing is built

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _found_by_torch(folder: str | None, compiler: str) -> Iterator[None]:
    """Let torch find what lies in `folder` too, and the compiler, for one build of the process after the other."""
    with _ENVIRONMENT:
        before = {name: os.environ.get(name) for name in ("PATH", "CXX")}
        if folder is not None:
            os.environ["PATH"] = os.pathsep.join((folder, before["PATH"] or ""))
        os.environ["CXX"] = compiler
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _first_error(text: str) -> str:
    """The line of a compiler's output that says what went wrong, or the first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else "no message")[:300]
