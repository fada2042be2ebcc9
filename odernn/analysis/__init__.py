"""The dynamics of a network: spectra, stability, end-to-end Jacobians, Lyapunov exponents, energy, and a diagnosis.

It is not imported with odernn; import it by name:

    from odernn.analysis import diagnose

    diagnose(rnn, x)
"""

from .diagnosis import Diagnosis, diagnose
from .energy import energy
from .gradient_profile import gradient_profile
from .jacobian import Conditioning, conditioning, end_to_end_jacobian
from .lyapunov import lyapunov_exponents
from .measures import Measures
from .spectrum import field_jacobian, scaled_spectrum, spectrum
from .stability import stability_margin, stable_scale
from .words import Remedies

__all__ = [
    "Conditioning",
    "Diagnosis",
    "Measures",
    "Remedies",
    "conditioning",
    "diagnose",
    "end_to_end_jacobian",
    "energy",
    "field_jacobian",
    "gradient_profile",
    "lyapunov_exponents",
    "scaled_spectrum",
    "spectrum",
    "stability_margin",
    "stable_scale",
]
