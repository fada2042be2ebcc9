"""Measuring a group: compare the answers, warm up, then time in turns."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

import torch

from benchmarks.speed.case import Case
from benchmarks.speed.contender import Contender, Runner, UnavailableError
from benchmarks.speed.equivalence import CHECKED, Answer, largest_error, tolerance
from benchmarks.speed.measurement import Measurement
from benchmarks.speed.ours import REFERENCE
from benchmarks.speed.problem import Problem, draw, flops
from benchmarks.speed.rounds import interleaved, repetitions
from benchmarks.speed.suites import Group

References = Callable[[Problem, int], Answer]
"""The reference's answer to a problem's first so many samples."""


@dataclass
class Running:
    """An entry that is being timed.

    Attributes:
        outcome: what came out so far, without the seconds.
        runner: what is timed.
        seconds: of every repetition so far.
        count: how many repetitions are wanted in turns.
        failed: whether it stopped being able to run.
    """

    measurement: Measurement
    runner: Runner
    seconds: list[float] = field(default_factory=list)
    count: int = 0
    failed: bool = False

    def once(self) -> float:
        """The seconds of one repetition; infinity from a contender that fails in it or has failed before."""
        try:
            return inf if self.failed else self.runner.time()
        except UnavailableError as unavailable:
            self.measurement = replace(self.measurement, note=str(unavailable))
            self.failed = True
            return inf

    def finished(self) -> Measurement:
        """The outcome with the seconds; without them if it failed on the way."""
        return replace(self.measurement, seconds=() if self.failed else tuple(self.seconds))


def measure_group(
    suite: str, group: Group, contenders: Mapping[str, Contender], device: torch.device, budget: float
) -> list[Measurement]:
    """The outcomes of a group's entries, in their order.

    Args:
        suite: which suite the group is of.
        group: what to measure; the repetitions of all its entries are interleaved.
        contenders: by name, the reference among them.
        device: where.
        budget: seconds of repetitions for each entry.
    """
    prepared = prepare_group(suite, group, contenders, device)
    time_in_turns([one for one in prepared if isinstance(one, Running)], budget)
    return [one.finished() if isinstance(one, Running) else one for one in prepared]


def prepare_group(
    suite: str, group: Group, contenders: Mapping[str, Contender], device: torch.device
) -> list[Running | Measurement]:
    """Each entry ready to be timed, or an outcome that says why it is not: it refuses, cannot run, or disagrees."""
    problems = {case: draw(case, device) for case in dict.fromkeys(entry.case for entry in group)}
    references = _remembered(contenders[REFERENCE])
    prepared: list[Running | Measurement] = []
    for entry in group:
        contender, problem = contenders[entry.contender], problems[entry.case]
        blank = Measurement(suite, entry.case, contender.name, contender.kind, flops=flops(problem))
        prepared.append(_prepare(blank, contender, problem, references))
    return prepared


def _prepare(
    blank: Measurement, contender: Contender, problem: Problem, references: References
) -> Running | Measurement:
    refusal = contender.refusal(problem.case)
    if refusal is not None:
        return replace(blank, note=refusal)
    compared = problem.first(min(CHECKED, contender.checked or CHECKED))
    samples = len(compared.x)
    try:
        answer = contender.make(compared).answer
        error = None if answer is None else largest_error(answer(), references(problem, samples))
        if error is not None and not error <= tolerance(samples):
            said = f"disagrees: max error {error:.1e} of the largest entry at T = {samples:,}"
            return replace(blank, error=error, note=said)
        return Running(replace(blank, error=error), contender.make(problem))
    except UnavailableError as unavailable:
        return replace(blank, note=str(unavailable))


def time_in_turns(running: list[Running], budget: float) -> None:
    """Calls of each to warm up, then all repetitions, interleaved."""
    for one in running:
        _warm_up(one, budget)
    rounds = interleaved([one.count for one in running])
    gc.collect()
    gc.disable()
    try:
        for indices in rounds:
            for one in (running[index] for index in indices):
                one.seconds.append(one.once())
    finally:
        gc.enable()


def _warm_up(one: Running, budget: float) -> None:
    """Two calls to warm up; the faster sets the count of repetitions, as a first call may compile."""
    fastest = min(one.once(), one.once())
    one.count = 0 if one.failed else repetitions(fastest, budget)


def _remembered(reference: Contender) -> References:
    """The reference's answers, each computed once.

    They are told apart by the whole problem's case: the first samples of two lengths are not the same numbers.
    """
    answers: dict[tuple[Case, int], Answer] = {}

    def answer_of(problem: Problem, samples: int) -> Answer:
        key = problem.case, samples
        if key not in answers:
            answer = reference.make(problem.first(samples)).answer
            assert answer is not None
            answers[key] = answer()
        return answers[key]

    return answer_of
