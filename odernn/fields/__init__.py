"""Vector fields, one family a file."""

from .hamiltonian import HamiltonianField
from .semilinear import LinearAntisymmetricField, LipschitzField
from .tanh import AntisymmetricField, GatedAntisymmetricField, GatedUnstructuredField, TanhField, UnstructuredField

__all__ = [
    "AntisymmetricField",
    "GatedAntisymmetricField",
    "GatedUnstructuredField",
    "HamiltonianField",
    "LinearAntisymmetricField",
    "LipschitzField",
    "TanhField",
    "UnstructuredField",
]
