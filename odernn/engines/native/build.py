"""Build the native kernels with the machine's own compiler, once, at first use."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

_SOURCES = (
    "bindings.cpp",  # the longest first
    "pull_back.cpp",
    "solve.cpp",
    "recursion.cpp",
    "matmul.cpp",
    "arena.cpp",
)
_OF_A_FIELD = tuple(source for source in _SOURCES if source != "recursion.cpp")
"""The sources that are compiled with the elementwise part of a field: its `solve` and `pull_back`."""
_FOLDER = Path(__file__).parent / "kernels"
_LOG = logging.getLogger(__name__)


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


_building = threading.Lock()
"""Held while a library is built or loaded; whoever needs one that is there does not wait for the build of another."""


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
    return _missing_tool() or _reason_against(namespace, _OF_A_FIELD, header)


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
    compiler = _compiler()
    assert compiler is not None
    try:
        flags = _flags(compiler)
        torch.ops.load_library(_built(f"{namespace}_{_key(compiler, flags)}", flags, namespace, sources, header))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return f"the build with {shlex.join(compiler)} failed: {_first_error(str(error))}"
    return None


def _missing_tool() -> str | None:
    if sys.platform == "win32":
        return "the sources use the vector extensions of GCC and Clang, which the compiler of Windows does not have"
    if _compiler() is None:
        return "no C++ compiler was found; install g++ or clang++, or name one in the environment variable CXX"
    if shutil.which("ninja") is None and _ninja_folder() is None:
        return "ninja was not found; install it, for example with `pip install ninja`"
    return None


def _compiler() -> tuple[str, ...] | None:
    """The command of the compiler that torch will call: a program, perhaps a launcher such as ccache, and arguments."""
    try:
        name, *arguments = shlex.split(os.environ.get("CXX", "")) or ["c++"]
    except ValueError:  # a quote that is not closed
        return None
    program = shutil.which(name)
    return None if program is None else (program, *arguments)


def _ninja_folder() -> str | None:
    """The folder of the ninja of this Python's environment, which need not be on the path."""
    folder = Path(sys.executable).parent
    return str(folder) if (folder / "ninja").exists() else None


def _flags(compiler: tuple[str, ...]) -> tuple[str, ...]:
    """The compiler's flags, with the name that it has for this processor."""
    native = next((flag for flag in ("-march=native", "-mcpu=native") if _accepts(compiler, flag)), None)
    flags = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fvisibility=hidden")
    return (*flags, _threading(compiler), *(() if native is None else (native,)))


def _threading(compiler: tuple[str, ...]) -> str:
    """-fopenmp, without which torch's parallel_for runs on one thread, or -pthread for threads of the kernels' own.

    OpenMP is for GCC on Linux, whose runtime is the one that torch brings. Another compiler's would be a second one in
    the process: it does not know torch's number of threads, and on macOS it may end the process.
    """
    gcc = "#include <omp.h>\n#ifdef __clang__\n#error\n#endif\n"
    return "-fopenmp" if sys.platform == "linux" and _accepts(compiler, "-fopenmp", gcc) else "-pthread"


def _accepts(compiler: tuple[str, ...], flag: str, source: str = "") -> bool:
    """Whether the compiler takes the source with the flag."""
    command = [*compiler, flag, "-x", "c++", "-fsyntax-only", "-"]
    return (
        subprocess.run(command, input=source, text=True, capture_output=True, check=False, timeout=60).returncode == 0
    )


def _key(compiler: tuple[str, ...], flags: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for path in sorted((*_FOLDER.glob("*.cpp"), *_FOLDER.glob("*.h"))):
        digest.update(path.name.encode() + path.read_bytes())
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout
    facts = (torch.__version__, sys.version, platform.machine(), version, _processor(), *compiler[1:], *flags)
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


def _built(name: str, flags: tuple[str, ...], namespace: str, sources: tuple[str, ...], header: str | None) -> str:
    """The path of the library, built now or before; with a field's header its kernels."""
    from torch.utils import cpp_extension  # costs more to import than all of odernn, and only those who build need it

    folder = Path(cpp_extension._get_build_directory(name, verbose=False))
    library, done = folder / f"{name}.so", folder / "done"
    if done.exists() and library.exists():
        return str(library)
    with _alone(folder / "building"), _path_with(_ninja_folder()):
        if not (done.exists() and library.exists()):
            (folder / "lock").unlink(missing_ok=True)  # torch's own lock: only a process that died can have left it
            library.unlink(missing_ok=True)  # it may be half written
            what = "native kernels" if header is None else "kernels of a field"
            _LOG.warning("building odernn's %s, once for this machine and this torch: half a minute or so", what)
            definitions = [f"-DODERNN_NAMESPACE={namespace}"]
            if header is not None:
                (folder / "pointwise.h").write_text(header, encoding="utf-8")
                definitions.append(f"-DODERNN_POINTWISE='\"{folder / 'pointwise.h'}\"'")
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
def _path_with(folder: str | None) -> Iterator[None]:
    """Let child processes find what lies in `folder` too."""
    before = os.environ.get("PATH", "")
    if folder is not None:
        os.environ["PATH"] = os.pathsep.join((folder, before))
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _first_error(text: str) -> str:
    """The line of a compiler's output that says what went wrong, or the first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else "no message")[:300]
