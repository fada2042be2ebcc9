"""The peak resident memory of one contender, in a process of its own: `python -m benchmarks.speed.peak_rss`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.speed.case import Case, Shape
from benchmarks.speed.contender import Contender, UnavailableError
from benchmarks.speed.contenders import all_contenders
from benchmarks.speed.measure import Running, prepare_group
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.problem import draw
from benchmarks.speed.suites import Group

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")
WARM = 8  # samples of the call before, which pays for what is loaded and started once
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Request:
    """What a process measures."""

    contender: str
    case: Case
    threads: int

    @classmethod
    def from_json(cls, text: str) -> Request:
        """The request that `asdict` and json have written."""
        plain = json.loads(text)
        case = plain["case"] | {"shape": Shape(**plain["case"]["shape"])}
        return cls(plain["contender"], Case(**case), plain["threads"])


def measure_resident(suite: str, group: Group, contenders: Mapping[str, Contender], threads: int) -> list[Measurement]:
    """The outcomes of a group's entries: by how much the process of each grows at most in forward and backward."""
    prepared = prepare_group(suite, group, contenders, torch.device("cpu"))
    return [_in_a_process(one.measurement, threads) if isinstance(one, Running) else one for one in prepared]


def _in_a_process(blank: Measurement, threads: int) -> Measurement:
    if not STATUS.exists():
        return replace(blank, note="resident memory is read from Linux's /proc only")
    request = json.dumps(asdict(Request(blank.contender, blank.case, threads)))
    command = [sys.executable, "-m", "benchmarks.speed.peak_rss", request]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or f"code {done.returncode}").splitlines()[-1]
        return replace(blank, note=f"its process failed: {said}")
    reply = json.loads(done.stdout)
    return replace(blank, bytes=reply.get("bytes"), note=reply.get("note", ""))


def peak_of(request: Request) -> int:
    """By how many bytes this process grows at most in one call, after a short one.

    Raises:
        UnavailableError: the contender cannot take the case here.
    """
    torch.set_num_threads(request.threads)
    problem = draw(request.case, torch.device("cpu"))
    make = all_contenders()[request.contender].make
    make(problem.first(WARM)).time()
    runner = make(problem)
    _forget_peak()
    before = _read("VmRSS")
    runner.time()
    return _read("VmHWM") - before


def _forget_peak() -> None:
    """Lets the peak begin at what is resident now. Where the kernel does not, it is that of the short call or more."""
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return


def _read(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise UnavailableError(f"{STATUS} does not say {name}")
    return 1024 * int(found[1])


def main(argv: Sequence[str]) -> None:
    """Prints the reply to the request in the first argument."""
    try:
        reply: dict[str, object] = {"bytes": peak_of(Request.from_json(argv[0]))}
    except UnavailableError as unavailable:
        reply = {"note": str(unavailable)}
    print(json.dumps(reply))


if __name__ == "__main__":
    main(sys.argv[1:])
