"""The suites: what each measures, in groups whose repetitions are interleaved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.speed.case import Case, Shape, Work


class Entry(NamedTuple):
    """A contender, by its name, on a case."""

    case: Case
    contender: str


Group = Sequence[Entry]
"""Entries whose repetitions are interleaved, so that they see the same state of the machine."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of all suites.

    Attributes:
        reference: the shapes that the peers are compared on; the first one is also that of fields, solvers and outputs.
        lengths: T of the suite `length`, for all contenders with a batch of `length_batch`, for ours with the batch of
            the first reference shape too.
        length_batch: small, or the longest sequences would take the memory of a large machine.
        batches: of the suite `batch`.
        units: of the suite `units`.
        short: T of the suites `batch` and `units`.
        calls: samples that are streamed in one repetition.
    """

    reference: tuple[Shape, ...]
    lengths: tuple[int, ...]
    length_batch: int
    batches: tuple[int, ...]
    units: tuple[int, ...]
    short: int
    calls: int


FULL = Sizes(
    reference=(
        Shape(784, 128, 128, 1),
        Shape(1024, 128, 256, 3),
        Shape(784, 16, 128, 1),
        Shape(784, 1, 128, 1),
        Shape(784, 128, 32, 1),
    ),
    lengths=(256, 1024, 4096, 16384),
    length_batch=16,
    batches=(1, 4, 16, 64, 256, 1024),
    units=(16, 32, 64, 128, 256, 512, 1024),
    short=256,
    calls=256,
)
QUICK = Sizes(
    reference=(Shape(12, 3, 8, 1),),
    lengths=(8, 16),
    length_batch=2,
    batches=(1, 2),
    units=(4, 8),
    short=8,
    calls=4,
)

OURS = ("native", "triton", "triton-graph", "torch")
LOOPS = ("naive", "naive-graph", "naive-compiled")
SAME_FUNCTION = (*LOOPS, "torchdiffeq", "torchdiffeq-whole", "torchrecurrent", "jax-scan", "diffrax")
OTHERS = ("nn.RNN", "nn.GRU", "nn.LSTM")
ON_A_GPU = ("flashrnn", "flashrnn-triton", "torchrl-gru", "torchrl-lstm")
ALL = (*OURS, "autograd", *SAME_FUNCTION, *OTHERS, *ON_A_GPU, "matmul")
FEW = (*OURS, "naive", "naive-graph", "nn.RNN", "matmul")

FIELDS = ("antisymmetric", "gated-antisymmetric", "lipschitz", "linear-antisymmetric")
SOLVERS = ("euler", "midpoint", "heun", "kutta3", "rk4", "leapfrog-midpoint")
OF_A_PARTITION = ("symplectic-euler", "leapfrog")
EXPONENTIAL = ("linearly-exact-euler", "exponential-euler", "lawson-euler", "strang", "etdrk2")
MULTI_STEP = ("adams-bashforth2", "adams-bashforth3", "reversible-heun", "asynchronous-leapfrog", "leapfrog-midpoint")
# Each by its paper's scheme, with the engine that runs it: a field of the registry, or one of a user's own.
NEIGHBOURS = (("cornn", "native"), ("own-cornn", "compiled"), ("lem", "compiled"), ("unicornn", "native"))


@dataclass(frozen=True)
class Suite:
    """A suite: its line in the help, and its groups."""

    summary: str
    groups: Callable[[Sizes], Sequence[Group]]


def _reference(sizes: Sizes) -> Sequence[Group]:
    works: tuple[Work, ...] = ("training", "inference")
    return [_each(Case(shape, work=work), ALL) for shape in sizes.reference for work in works]


def _fields(sizes: Sizes) -> Sequence[Group]:
    cases = [Case(sizes.reference[0], field=field) for field in FIELDS]
    cases.append(Case(sizes.reference[0], field="hamiltonian", solver="leapfrog"))
    return [[entry for case in cases for entry in _each(case, OURS)]]


def _solvers(sizes: Sizes) -> Sequence[Group]:
    cases = [Case(sizes.reference[0], solver=solver) for solver in SOLVERS]
    cases += [Case(sizes.reference[0], field="hamiltonian", solver=solver) for solver in OF_A_PARTITION]
    return [[entry for case in cases for entry in _each(case, OURS)]]


def neighbours_shape(sizes: Sizes) -> Shape:
    """The shape of the suites `schemes` and `neighbours`: the first one with a quarter of its rows."""
    return replace(sizes.reference[0], batch=max(1, sizes.reference[0].batch // 4))


def _schemes(sizes: Sizes) -> Sequence[Group]:
    shape = neighbours_shape(sizes)
    cases = [Case(shape), *(Case(shape, solver=solver) for solver in MULTI_STEP)]
    cases += [Case(shape, field="oscillator", solver=solver) for solver in EXPONENTIAL]
    return [[entry for case in cases for entry in _each(case, OURS)]]


def _neighbours(sizes: Sizes) -> Sequence[Group]:
    shape = neighbours_shape(sizes)
    halves = replace(shape, units=2 * shape.units)  # as many oscillators as the others have units
    alone = [Case(shape, field=field) for field in FIELDS]
    entries = [Entry(case, contender) for case in alone for contender in OURS]
    entries += [Entry(alone[0], contender) for contender in ("naive", "nn.RNN")]
    for field, engine in NEIGHBOURS:
        entries += _each(Case(halves, field=field, solver="symplectic-euler"), (engine, "torch", "naive"))
    return [entries]


def _length(sizes: Sizes) -> Sequence[Group]:
    shape = replace(sizes.reference[0], batch=sizes.length_batch)
    cases = [Case(replace(shape, time=length)) for length in sizes.lengths]
    alone = [Case(replace(sizes.reference[0], time=length)) for length in sizes.lengths]
    return [
        [entry for case in cases for entry in _each(case, (*FEW, "jax-scan", "diffrax"))],
        [entry for case in alone for entry in _each(case, OURS)],
    ]


def _batch(sizes: Sizes) -> Sequence[Group]:
    shape = replace(sizes.reference[0], time=sizes.short)
    return [_each(Case(replace(shape, batch=batch)), FEW) for batch in sizes.batches]


def _units(sizes: Sizes) -> Sequence[Group]:
    shape = replace(sizes.reference[0], time=sizes.short)
    return [_each(Case(replace(shape, units=units)), FEW) for units in sizes.units]


def _output(sizes: Sizes) -> Sequence[Group]:
    cases = (Case(sizes.reference[0]), Case(sizes.reference[0], output="trajectory"))
    names = (*OURS, "naive", "nn.RNN", "jax-scan", "diffrax")
    return [[entry for case in cases for entry in _each(case, names)]]


def _streaming(sizes: Sizes) -> Sequence[Group]:
    shape = replace(sizes.reference[0], time=sizes.calls, batch=1)
    return [_each(Case(shape, work="streaming"), ("stream", "step", "naive", "torchrecurrent", *OTHERS))]


def _memory(sizes: Sizes) -> Sequence[Group]:
    names = (*OURS, "native-checkpointed", "autograd", "naive", "torchrecurrent", *OTHERS)
    return [_each(Case(sizes.reference[0], work="memory"), names)]


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "reference": Suite("five shapes, every peer, forward + backward and forward alone", _reference),
        "fields": Suite("the fields, on the first of these shapes", _fields),
        "solvers": Suite("the solvers, on the same", _solvers),
        "schemes": Suite("multi-step and exponential methods, a quarter of the rows", _schemes),
        "neighbours": Suite("fields of other papers and of one's own, beside loops by hand, likewise", _neighbours),
        "length": Suite("T from 256 to 16,384", _length),
        "batch": Suite("batch from 1 to 1,024", _batch),
        "units": Suite("units from 16 to 1,024", _units),
        "output": Suite("the last state against the states after all samples", _output),
        "streaming": Suite("one sample a call, without gradients", _streaming),
        "memory": Suite("peak resident memory, each in a process of its own", _memory),
    }
)


def _each(case: Case, contenders: Sequence[str]) -> list[Entry]:
    return [Entry(case, contender) for contender in contenders]
