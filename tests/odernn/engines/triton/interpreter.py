"""A process under Triton's interpreter."""

import os
from importlib import import_module
from pathlib import Path


def interpreted(folder: Path, full: bool) -> dict[str, float | str]:
    """The errors of the cases, by name: see tests/ahead.py."""
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it as it is imported
    return import_module("tests.odernn.engines.triton.interpreted").errors(full)
