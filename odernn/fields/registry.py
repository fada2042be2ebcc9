"""FIELDS, the one list of vector fields: tests, tables and the command line read it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from . import (
    AntisymmetricField,
    CoRNNField,
    GatedAntisymmetricField,
    GatedOscillatorField,
    GatedUnstructuredField,
    HamiltonianField,
    LEMField,
    LinearAntisymmetricField,
    LipschitzField,
    OscillatorField,
    UnICORNNField,
    UnstructuredField,
    UnstructuredOscillatorField,
)
from .field import VectorField

FIELDS: Mapping[str, type[VectorField]] = MappingProxyType(
    {
        "antisymmetric": AntisymmetricField,
        "gated-antisymmetric": GatedAntisymmetricField,
        "unstructured": UnstructuredField,
        "gated-unstructured": GatedUnstructuredField,
        "hamiltonian": HamiltonianField,
        "lipschitz": LipschitzField,
        "linear-antisymmetric": LinearAntisymmetricField,
        "oscillator": OscillatorField,
        "gated-oscillator": GatedOscillatorField,
        "unstructured-oscillator": UnstructuredOscillatorField,
        "cornn": CoRNNField,
        "unicornn": UnICORNNField,
        "lem": LEMField,
    }
)
"""The fields by name. Every solver is tested with each."""
