"""Where a result comes from: commit, versions, machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch

HERE = Path(__file__).resolve()
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Commit:
    """The commit of the code.

    Attributes:
        id: its hash; None where git does not know this code.
        dirty: whether files differ from it; None likewise.
    """

    id: str | None = None
    dirty: bool | None = None


@dataclass(frozen=True)
class Machine:
    """What the run ran on.

    Attributes:
        devices: how many of `device` trained together.
    """

    platform: str
    cpu: str
    cores: int
    threads: int
    device: str
    devices: int = 1


def find_commit() -> Commit:
    """The commit this file belongs to, if it belongs to one and git is installed."""
    # Without the first question a copy of this code inside somebody else's repository would name that one's commit.
    if _git("ls-files", "--error-unmatch", HERE.name) is None:
        return Commit()
    commit, status = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    if commit is None or status is None:
        return Commit()
    return Commit(commit, bool(status))


def find_versions() -> dict[str, str]:
    """Python and the packages that decide on numbers."""
    own = {"python": platform.python_version(), "torch": torch.__version__, "lightning": L.__version__}
    return own | {"odernn": find_version("odernn")}


def find_machine(device: torch.device, devices: int = 1) -> Machine:
    """The machine, with the device that the network was on."""
    return Machine(
        platform=platform.platform(),
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        devices=devices,
    )


def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(["git", *args], cwd=HERE.parent, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def find_version(distribution: str) -> str:
    """The version of an installed package, or UNKNOWN."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN


def _cpu() -> str:
    # platform.processor() is empty, or says no more than the architecture, on most of Linux.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or UNKNOWN
