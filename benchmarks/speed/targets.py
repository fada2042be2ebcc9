"""Targets: what the measurements must show, written down as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.speed.case import FLOAT_BYTES, Case, Shape, Work
from benchmarks.speed.measurement import Measurement, Point
from benchmarks.speed.suites import EXPONENTIAL, FULL, MULTI_STEP, neighbours_shape
from solvers import SOLVERS

TRAJECTORY = "trajectory and weights"
"""A contender that nobody measures: the bytes of the states after all samples, and of the parameters."""

Values = Mapping[Point, float]
Meaning = Literal["ratio", "microseconds more"]


@dataclass(frozen=True)
class Target:
    """A value against another one, at most so much.

    Attributes:
        claim: what is compared, in words.
        tops: what is judged; the largest of them counts.
        bottoms: what it is judged by; the smallest of them counts.
        at_most: the target.
        meaning: whether the one is divided by the other, or the difference is taken, in microseconds a step.
    """

    claim: str
    tops: Sequence[Point]
    bottoms: Sequence[Point]
    at_most: float
    meaning: Meaning = "ratio"

    def measured(self, values: Values) -> float | None:
        """What was measured, or None where a part of it was not."""
        if any(point not in values for point in (*self.tops, *self.bottoms)):
            return None
        top, bottom = max(values[p] for p in self.tops), min(values[p] for p in self.bottoms)
        return top / bottom if self.meaning == "ratio" else 1e6 * (top - bottom)

    def verdict(self, values: Values) -> str:
        """Met, missed, or not measured."""
        measured = self.measured(values)
        if measured is None:
            return "not measured"
        return "met" if measured <= self.at_most else "missed"


def values_of(measurements: Sequence[Measurement]) -> Values:
    """What targets compare: seconds a step, or bytes, with the trajectory's among them."""
    values = {measurement.point: measurement.value for measurement in measurements if measurement.value is not None}
    cases = {(measurement.suite, measurement.case) for measurement in measurements if measurement.case.work == "memory"}
    return values | {Point(suite, case, TRAJECTORY): _trajectory_bytes(case.shape) for suite, case in cases}


def _trajectory_bytes(shape: Shape) -> float:
    parameters = shape.units * (shape.units - 1) // 2 + shape.units * shape.inputs + shape.units
    return shape.trajectory_bytes + FLOAT_BYTES * parameters


def _reference(contender: str, index: int = 0, work: Work = "training") -> Point:
    return Point("reference", Case(FULL.reference[index], work=work), contender)


def _against(top: str, bottom: str, at_most: float, index: int = 0, work: Work = "training") -> Target:
    shape = FULL.reference[index]
    claim = f"{shape}: {top} against {bottom}" + ("" if work == "training" else ", forward alone")
    return Target(claim, [_reference(top, index, work)], [_reference(bottom, index, work)], at_most)


def _within(suite: str, claim: str, top: Case, bottom: Case, at_most: float) -> Target:
    return Target(claim, [Point(suite, top, "native")], [Point(suite, bottom, "native")], at_most)


def _of_fields_and_solvers() -> list[Target]:
    euler = Case(FULL.reference[0])
    rk4, gated = replace(euler, solver="rk4"), replace(euler, field="gated-antisymmetric")
    leapfrog = replace(euler, field="hamiltonian", solver="leapfrog")
    return [
        _within("fields", "native: the gated field against the plain one", gated, euler, 1.15),
        _within("solvers", "native: RK4 against Euler", rk4, euler, 4.2),
        _within("fields", "native: Leapfrog on the Hamiltonian field against Euler", leapfrog, euler, 1.0),
    ]


def _of_schemes() -> list[Target]:
    """At most a method's evaluations times Euler's time, and a fifth; oscillators have their linear part besides."""
    euler = Case(neighbours_shape(FULL))
    each = [(replace(euler, solver=solver), 1.2) for solver in MULTI_STEP]
    each += [(replace(euler, field="oscillator", solver=solver), 1.3) for solver in EXPONENTIAL[1:]]
    first = replace(euler, field="oscillator", solver=EXPONENTIAL[0])
    return [
        _within("schemes", f"native: {case.field} by {case.solver} against Euler", case, euler, evaluations * at_most)
        for case, at_most in ((first, 1.15), *each)
        for evaluations in (SOLVERS[case.solver]().stages,)
    ]


def _of_neighbours() -> list[Target]:
    """Targets by the dense products of a step, as large as the antisymmetric field's, and beside the loop by hand."""
    shape = neighbours_shape(FULL)
    euler, found = Point("neighbours", Case(shape), "native"), []
    for field, engine, products in (("cornn", "native", 2), ("own-cornn", "compiled", 2), ("lem", "compiled", 4)):
        case = Case(replace(shape, units=2 * shape.units), field=field, solver="symplectic-euler")
        ours, by_hand = (Point("neighbours", case, name) for name in (engine, "naive"))
        claim = f"{engine}: {field}, {products} products a step, against Euler's one"
        found.append(Target(claim, [ours], [euler], 1.5 * products))
        found.append(Target(f"{engine}: {field} against the loop by hand", [ours], [by_hand], 1 / 3))
    return found


def _of_length() -> Target:
    points = [Point("length", Case(replace(FULL.reference[0], time=length)), "native") for length in FULL.lengths]
    ends = f"T = {min(FULL.lengths):,} to {max(FULL.lengths):,}"
    return Target(f"native: the longest against the shortest time of a step, {ends}", points, points, 1.15)


def _of_memory() -> list[Target]:
    case = Case(FULL.reference[0], work="memory")
    bottom = [Point("memory", case, TRAJECTORY)]
    return [
        Target(f"{case.shape}: {name}'s peak against {TRAJECTORY}", [Point("memory", case, name)], bottom, at_most)
        for name, at_most in (("native", 1.3), ("native-checkpointed", 0.1))
    ]


def _of_streaming() -> Target:
    case = Case(replace(FULL.reference[0], time=FULL.calls, batch=1), work="streaming")
    top, bottom = (Point("streaming", case, name) for name in ("stream", "naive"))
    return Target("a call of a stream against a step of the loop by hand", [top], [bottom], 5.0, "microseconds more")


TARGETS: Sequence[Target] = (
    _against("triton", "nn.RNN", 1.5),
    _against("triton-graph", "nn.RNN", 1.5),
    _against("triton-graph", "naive-graph", 0.1),
    _against("native", "nn.RNN", 0.5),
    _against("native", "matmul", 2.0),
    _against("torch", "nn.RNN", 1.0),
    _against("native", "nn.RNN", 0.65, 1),
    _against("native", "nn.RNN", 0.25, 2),
    _against("native", "nn.RNN", 0.15, 3),
    _against("native", "nn.RNN", 0.25, 4),
    _against("native", "diffrax", 1 / 2.5),
    _against("native", "jax-scan", 1 / 2),
    _against("native", "jax-scan", 1.0, work="inference"),
    _against("native", "torchdiffeq", 1 / 3),
    _against("native", "torchdiffeq-whole", 1 / 100),
    *_of_fields_and_solvers(),
    *_of_schemes(),
    *_of_neighbours(),
    _of_length(),
    *_of_memory(),
    _of_streaming(),
)
