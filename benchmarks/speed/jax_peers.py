"""The peers in JAX as contenders: a worker in an environment of its own, which this process talks to.

A message is one line of JSON on the worker's standard input, and its reply one line on its standard output; arrays go
through files in numpy's format, without pickle. The worker takes its own time of each repetition, so what passes
between the processes is not counted.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from benchmarks.speed.case import Case
from benchmarks.speed.contender import Contender, Runner, UnavailableError, takes_the_papers, takes_whole_sequences
from benchmarks.speed.equivalence import Answer
from benchmarks.speed.problem import DAMPING, DT, Problem, full_matrix
from odernn import AntisymmetricField

WORKER = Path(__file__).with_name("jax_worker.py")
NAMES = ("jax-scan", "diffrax")


class JaxWorker:
    """The worker's process. A context manager, at whose end it ends.

    Args:
        command: what starts it.
        threads: how many it may use.
    """

    def __init__(self, command: Sequence[str], threads: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="odernn-speed-")
        # Ctrl-C is for this process, which then ends the worker: hence a session of its own.
        self._process = subprocess.Popen(
            [*command, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._prepared = 0

    def __enter__(self) -> JaxWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()  # its end of the lines, at which it stops
            self._process.wait(timeout=10)
        except (subprocess.TimeoutExpired, OSError):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def ask(self, do: str, message: dict[str, Any] | None = None) -> dict[str, Any]:
        """The reply to a message.

        Raises:
            UnavailableError: the worker reports an error, or has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **(message or {})}) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise UnavailableError(f"the JAX worker has ended: {error}") from error
        line = self._process.stdout.readline()
        if not line:
            raise UnavailableError(f"the JAX worker has ended with code {self._process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise UnavailableError(f"the JAX worker failed: {reply['error']}")
        return reply

    def versions(self) -> dict[str, str]:
        """The versions of what it runs."""
        return self.ask("versions")["versions"]

    def prepare(self, name: str, problem: Problem) -> Runner:
        """The runner of one of its contenders."""
        self._prepared += 1
        key = str(self._prepared)
        inputs, outputs = (Path(self._folder.name) / f"{key}-{end}.npz" for end in ("in", "out"))
        np.savez(inputs, **_arrays(problem))  # pyright: ignore[reportArgumentType] - its stub takes a flag by keyword
        case = asdict(problem.case)
        settings = {"name": name, "case": case, "dt": DT, "damping": DAMPING, "inputs": str(inputs)}
        self.ask("prepare", {"key": key, **settings})

        def answer() -> Answer:
            self.ask("answer", {"key": key, "outputs": str(outputs)})
            with np.load(outputs, allow_pickle=False) as arrays:
                return {one: torch.from_numpy(arrays[one]) for one in arrays.files}

        return Runner(lambda: float(self.ask("time", {"key": key})["seconds"]), answer)


def jax_contenders(worker: JaxWorker) -> list[Contender]:
    """The peers that the worker runs."""
    return [Contender(name, "peer", _maker(worker, name), _refusal) for name in NAMES]


def absent_contenders() -> list[Contender]:
    """Placeholders for JAX's contenders where nobody asked for them, so that a table says so."""
    return [Contender(name, "peer", _not_asked_for, lambda case: "`--peers jax` measures it") for name in NAMES]


def _not_asked_for(problem: Problem) -> Runner:
    raise UnavailableError("`--peers jax` measures it")


def _maker(worker: JaxWorker, name: str) -> Callable[[Problem], Runner]:
    return lambda problem: worker.prepare(name, problem)


def _refusal(case: Case) -> str | None:
    return takes_whole_sequences(case) or takes_the_papers(case)


def _arrays(problem: Problem) -> dict[str, np.ndarray]:
    if problem.device.type != "cpu":
        raise UnavailableError("its environment is for the CPU")
    field = problem.field
    assert isinstance(field, AntisymmetricField)
    v, b = (one.detach() for one in field.input_map.parameters())
    tensors = {"w": full_matrix(field), "v": v, "b": b, "x": problem.x, "cotangent": problem.cotangent}
    return {name: one.numpy() for name, one in tensors.items()}
