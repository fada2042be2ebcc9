"""A case's numbers: its field with weights, its input, and the gradient that its backward pass starts from."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.speed.case import Case
from benchmarks.speed.own_field import OwnCoRNN
from odernn import FIELDS, AntisymmetricField, SkewSymmetric, VectorField
from odernn.fields.field import AffinePointwiseField
from solvers import SOLVERS

DT = 0.05
DAMPING = 0.1
"""With sigma_w = 1 the frequencies reach about 2, and damping >= dt omega^2 / 2 keeps Euler's method stable: rounding
is not amplified, and float32 can be compared at any length."""

SEED = 0
OWN = "own-cornn"
"""The name of the field that is not the registry's."""
BIAS = 0.3  # not zero, or a bias left out would go unseen


@dataclass(frozen=True)
class Problem:
    """A case with its numbers. A contender makes weights of its own from them.

    Attributes:
        case: what it belongs to.
        field: the field, never trained and never given a gradient.
        x: the input.
        cotangent: the gradient of the loss by the output, (batch, hidden) or (time, batch, hidden).
    """

    case: Case
    field: VectorField
    x: Float[Tensor, "time batch input"]
    cotangent: Tensor

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.x.device

    def copy_of_field(self) -> VectorField:
        """The field with parameters of its own."""
        return copy.deepcopy(self.field)

    def first(self, samples: int) -> Problem:
        """The same problem of no more than its first samples."""
        if samples >= len(self.x):
            return self
        shape = replace(self.case.shape, time=samples)
        cotangent = self.cotangent if self.case.output == "end" else self.cotangent[:samples]
        return replace(self, case=replace(self.case, shape=shape), x=self.x[:samples], cotangent=cotangent)


def draw(case: Case, device: torch.device) -> Problem:
    """The numbers of a case; the same each time."""
    shape = case.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        field = _field(case)
        x = torch.randn(shape.time, shape.batch, shape.inputs)
        size = (shape.batch, shape.units) if case.output == "end" else (shape.time, shape.batch, shape.units)
        cotangent = torch.randn(size)
    return Problem(case, field.to(device), x.to(device), cotangent.to(device))


def full_matrix(field: AntisymmetricField) -> Float[Tensor, "hidden hidden"]:
    """The paper's W, which a peer keeps whole: its strictly upper entries are ours, the others zero."""
    matrix = field.recurrent
    assert isinstance(matrix, SkewSymmetric)
    return matrix().detach().triu(1)


def flops(problem: Problem) -> int:
    """The least floating-point operations of matrix products that the case's work takes.

    A product of the state with K a stage, in training one of lambda with K and one for K's gradient as well; of the
    input one product with V, and in training one for V's gradient. A multiplication and an addition count as two.
    """
    case, field = problem.case, problem.field
    assert isinstance(field, AffinePointwiseField)
    training = case.work in ("training", "memory")
    with torch.no_grad():
        entries = int(torch.count_nonzero(field.weight()))
        controls = field.control(problem.x[:1]).shape[-1]
    recurrent = entries * SOLVERS[case.solver]().stages * (3 if training else 1)
    driven = controls * case.shape.inputs * (2 if training else 1)
    return 2 * case.shape.time * case.shape.batch * (recurrent + driven)


def _field(case: Case) -> VectorField:
    make = OwnCoRNN if case.field == OWN else FIELDS[case.field]
    damping = {"damping": DAMPING} if "damping" in inspect.signature(make).parameters else {}
    field = make(case.shape.inputs, case.shape.units, **damping)
    bias = dict(field.named_parameters())["input_map.bias"]
    nn.init.normal_(bias, std=BIAS)
    return field
