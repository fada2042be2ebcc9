"""Recurrent networks as ODE solvers: vector fields, and the layer that steps them through a sequence."""

from .control.hold import HOLDS, Hold, LinearHold, ZeroOrderHold
from .control.input_map import AffineControl
from .engines.choice import ADJOINTS, Auto, Choice
from .engines.engine import Engine
from .engines.registry import ENGINES, register_flop_formulas
from .engines.torch.discrete_adjoint import DiscreteAdjoint
from .engines.warning import EngineWarning
from .fields import (
    AntisymmetricField,
    CoRNNField,
    ElmanField,
    GatedAntisymmetricField,
    GatedOscillatorField,
    GatedUnstructuredField,
    GRUField,
    HamiltonianField,
    LEMField,
    LinearAntisymmetricField,
    LipschitzField,
    OscillatorField,
    UnICORNNField,
    UnstructuredField,
    UnstructuredOscillatorField,
)
from .fields.field import AffinePointwiseField, DampedPartitionedField, PartitionedField, SemilinearField, VectorField
from .fields.noise import NoisyField
from .fields.parametrise import SkewSymmetric
from .fields.registry import FIELDS
from .layer.odernn import ODERNN
from .layer.oscillatory import LEM, CoRNN, UnICORNN
from .layer.state import RecurrentState
from .layer.stepping import Discretisation
from .layer.stream import Stream
from .modules.antisymmetric_rnn import AntisymmetricRNN
from .modules.ensemble import Ensemble, EnsembleDivergenceError
from .modules.sequence_network import ODERecurrence, SequenceNetwork
from .modules.stacked import StackedODERNN
from .modules.stacked_state import StackedState
from .modules.stacked_stream import StackedStream
from .modules.torch_cells import GRURNN, ElmanRNN, from_torch
from .zoo.load import PretrainedNetwork, list_pretrained, pretrained

__all__ = [
    "ADJOINTS",
    "ENGINES",
    "FIELDS",
    "GRURNN",
    "HOLDS",
    "LEM",
    "ODERNN",
    "AffineControl",
    "AffinePointwiseField",
    "AntisymmetricField",
    "AntisymmetricRNN",
    "Auto",
    "Choice",
    "CoRNN",
    "CoRNNField",
    "DampedPartitionedField",
    "DiscreteAdjoint",
    "Discretisation",
    "ElmanField",
    "ElmanRNN",
    "Engine",
    "EngineWarning",
    "Ensemble",
    "EnsembleDivergenceError",
    "GRUField",
    "GatedAntisymmetricField",
    "GatedOscillatorField",
    "GatedUnstructuredField",
    "HamiltonianField",
    "Hold",
    "LEMField",
    "LinearAntisymmetricField",
    "LinearHold",
    "LipschitzField",
    "NoisyField",
    "ODERecurrence",
    "OscillatorField",
    "PartitionedField",
    "PretrainedNetwork",
    "RecurrentState",
    "SemilinearField",
    "SequenceNetwork",
    "SkewSymmetric",
    "StackedODERNN",
    "StackedState",
    "StackedStream",
    "Stream",
    "UnICORNN",
    "UnICORNNField",
    "UnstructuredField",
    "UnstructuredOscillatorField",
    "VectorField",
    "ZeroOrderHold",
    "from_torch",
    "list_pretrained",
    "pretrained",
    "register_flop_formulas",
]
