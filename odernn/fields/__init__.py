"""Vector fields, one family a file."""

from .hamiltonian import HamiltonianField
from .tanh import AntisymmetricField, GatedAntisymmetricField, GatedUnstructuredField, TanhField, UnstructuredField

__all__ = [
    "AntisymmetricField",
    "GatedAntisymmetricField",
    "GatedUnstructuredField",
    "HamiltonianField",
    "TanhField",
    "UnstructuredField",
]
