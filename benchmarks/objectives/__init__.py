"""What a network is trained for: its loss, its metrics, and which of them selects. `OBJECTIVES` is the registry."""

from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.objectives.batch import Batch
from benchmarks.objectives.classification import Classification
from benchmarks.objectives.labels import LabelObjective
from benchmarks.objectives.metric import Metric
from benchmarks.objectives.next_token import NextToken
from benchmarks.objectives.objective import Objective, ReadFrom
from benchmarks.objectives.regression import Regression
from benchmarks.objectives.unbalanced import UnbalancedClassification

OBJECTIVES: Mapping[str, type[Objective]] = MappingProxyType(
    {objective.name: objective for objective in (Classification, UnbalancedClassification, Regression, NextToken)}
)

__all__ = [
    "OBJECTIVES",
    "Batch",
    "Classification",
    "LabelObjective",
    "Metric",
    "NextToken",
    "Objective",
    "ReadFrom",
    "Regression",
    "UnbalancedClassification",
]
