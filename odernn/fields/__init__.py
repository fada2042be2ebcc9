"""Vector fields, one family a file."""

from .cells import ElmanField, GRUField
from .cornn import CoRNNField
from .hamiltonian import HamiltonianField
from .lem import LEMField
from .oscillator import GatedOscillatorField, OscillatorField, UnstructuredOscillatorField
from .semilinear import LinearAntisymmetricField, LipschitzField
from .tanh import AntisymmetricField, GatedAntisymmetricField, GatedUnstructuredField, TanhField, UnstructuredField
from .unicornn import UnICORNNField

__all__ = [
    "AntisymmetricField",
    "CoRNNField",
    "ElmanField",
    "GRUField",
    "GatedAntisymmetricField",
    "GatedOscillatorField",
    "GatedUnstructuredField",
    "HamiltonianField",
    "LEMField",
    "LinearAntisymmetricField",
    "LipschitzField",
    "OscillatorField",
    "TanhField",
    "UnICORNNField",
    "UnstructuredField",
    "UnstructuredOscillatorField",
]
