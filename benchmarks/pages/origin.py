"""Where the numbers of a document are from: command, commit, machine, time."""

from __future__ import annotations

import datetime
import os
import shlex
from collections.abc import Sequence

import torch

from benchmarks.support.provenance import find_commit, find_machine, find_versions


def origin(command: str, argv: Sequence[str]) -> dict[str, str]:
    """What a reader must know, by name.

    Args:
        command: of `python -m benchmarks`.
        argv: the arguments after it.
    """
    commit, machine = find_commit(), find_machine(torch.device("cpu"))
    said = "unknown" if commit.id is None else commit.id[:12] + (" with changes" if commit.dirty else "")
    cores = f"{machine.cores} cores, {machine.threads} thread{'s' if machine.threads > 1 else ''} of torch"
    versions = ", ".join(f"{name} {version}" for name, version in find_versions().items())
    return {
        "command": shlex.join(["python", "-m", "benchmarks", command, *argv]),
        "commit": said,
        "machine": f"{machine.cpu}, {cores}, {machine.platform}{_load()}",
        "versions": versions,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _load() -> str:
    """The load of the machine, where the system tells: how many processes wanted a core in the last minute."""
    try:
        return f"; load {os.getloadavg()[0]:.1f}"
    except (AttributeError, OSError):
        return ""
