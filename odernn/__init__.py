"""Recurrent networks as ODE solvers: vector fields, and the layer that steps them through a sequence."""

from .antisymmetric_rnn import AntisymmetricRNN
from .engine import ENGINES, Choice, EngineWarning
from .field import AffinePointwiseField, PartitionedField, SemilinearField, VectorField
from .fields import (
    AntisymmetricField,
    GatedAntisymmetricField,
    GatedOscillatorField,
    GatedUnstructuredField,
    HamiltonianField,
    LinearAntisymmetricField,
    LipschitzField,
    OscillatorField,
    UnstructuredField,
    UnstructuredOscillatorField,
)
from .hold import HOLDS, Hold, LinearHold, ZeroOrderHold
from .layer import ODERNN
from .noise import NoisyField
from .parametrise import SkewSymmetric
from .registry import FIELDS
from .state import RecurrentState
from .stream import Stream

__all__ = [
    "ENGINES",
    "FIELDS",
    "HOLDS",
    "ODERNN",
    "AffinePointwiseField",
    "AntisymmetricField",
    "AntisymmetricRNN",
    "Choice",
    "EngineWarning",
    "GatedAntisymmetricField",
    "GatedOscillatorField",
    "GatedUnstructuredField",
    "HamiltonianField",
    "Hold",
    "LinearAntisymmetricField",
    "LinearHold",
    "LipschitzField",
    "NoisyField",
    "OscillatorField",
    "PartitionedField",
    "RecurrentState",
    "SemilinearField",
    "SkewSymmetric",
    "Stream",
    "UnstructuredField",
    "UnstructuredOscillatorField",
    "VectorField",
    "ZeroOrderHold",
]
