"""Vector fields, one family a file."""

from .cells import ElmanField, GRUField
from .hamiltonian import HamiltonianField
from .oscillator import GatedOscillatorField, OscillatorField, UnstructuredOscillatorField
from .semilinear import LinearAntisymmetricField, LipschitzField
from .tanh import AntisymmetricField, GatedAntisymmetricField, GatedUnstructuredField, TanhField, UnstructuredField

__all__ = [
    "AntisymmetricField",
    "ElmanField",
    "GRUField",
    "GatedAntisymmetricField",
    "GatedOscillatorField",
    "GatedUnstructuredField",
    "HamiltonianField",
    "LinearAntisymmetricField",
    "LipschitzField",
    "OscillatorField",
    "TanhField",
    "UnstructuredField",
    "UnstructuredOscillatorField",
]
