"""An environment of its own for JAX and diffrax, made once, in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pooch
from filelock import FileLock, Timeout

from benchmarks.support.errors import UserError

REQUIREMENTS = (
    "jax==0.10.2",
    "jaxlib==0.10.2",
    "diffrax==0.7.2",
    "equinox==0.13.8",
    "lineax==0.1.1",
    "numpy==2.4.6",
    "optimistix==0.1.0",
)
VARIABLE = "ODERNN_CACHE"
"""The environment variable that names another cache folder."""

STAMP = "ready"
PATIENCE = 1800  # seconds, for a slow network


def cache_folder() -> Path:
    """Where environments are kept: what VARIABLE names, or the user's cache folder."""
    return Path(os.environ.get(VARIABLE) or pooch.os_cache("odernn"))


def is_made(cache: Path) -> bool:
    """Whether the environment is there, whole."""
    return (_folder(cache) / STAMP).exists()


def jax_python(cache: Path) -> Path:
    """The Python of the environment, which is made if it is not there whole.

    Its folder is named after what is in it, so other requirements make another one; a stamp written last tells a whole
    one from one whose making was interrupted.

    Raises:
        UserError: it cannot be made; the message ends with what pip said last.
    """
    folder = _folder(cache)
    python = folder / _python_in_a_folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock"), timeout=PATIENCE):
            if not is_made(cache):
                _make(folder, python)
                (folder / STAMP).touch()
    except Timeout as error:
        raise UserError(f"another process has been making {folder} for too long; end it, or wait for it") from error
    except OSError as error:
        raise UserError(f"no environment can be made in {folder}: {error}; name another with {VARIABLE}") from error
    return python


def _make(folder: Path, python: Path) -> None:
    print(f"making an environment for {', '.join(REQUIREMENTS)} in {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    _call([sys.executable, "-m", "venv", str(folder)])
    _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS])


def _call(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "nothing").strip().splitlines()
        failed = " ".join(command[1:4])
        raise UserError(f"the environment of `--peers jax` cannot be made ({failed}): {said[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"the environment of `--peers jax` took more than {PATIENCE} s to make") from error


def _folder(cache: Path) -> Path:
    named = " ".join([f"{sys.version_info.major}.{sys.version_info.minor}", *REQUIREMENTS])
    return cache / f"jax-{hashlib.sha256(named.encode()).hexdigest()[:12]}"


def _python_in_a_folder() -> Path:
    return Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python")
