"""What importing the package costs on top of torch, told by the modules that it loads, and not by a clock."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import torch
before = set(sys.modules)
import odernn
print(*sorted(set(sys.modules) - before))
"""
OURS = {"odernn", "solvers"}
# Small: pure Python, but for numpy, most of which torch has loaded already, and safetensors, one small library.
LIGHT = {"jaxtyping", "einops", "numpy", "safetensors"}


def test_it_loads_no_package_that_takes_long(repository: Path) -> None:
    """scipy, torchdiffeq, torchsde and torch's own compiler each take longer than all of odernn."""
    command = [sys.executable, "-c", PROGRAM]
    loaded = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout.split()
    packages = {name.partition(".")[0] for name in loaded}
    assert packages >= OURS
    assert packages - OURS - LIGHT - sys.stdlib_module_names == set(), loaded
    assert not any(name.startswith("odernn.analysis") for name in loaded), "the analysis is imported by name only"
