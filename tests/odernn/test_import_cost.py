"""What importing the package costs on top of torch."""

import subprocess
import sys
from pathlib import Path
from statistics import median

PROGRAM = """
import gc, sys, time
import torch
gc.collect()
gc.freeze()
start = time.process_time()
import odernn
cost = time.process_time() - start
print(cost, *sorted({name.partition(".")[0] for name in sys.modules} & {"scipy", "torchdiffeq", "torchsde"}))
"""
WITHOUT = "import odernn, sys; print(*(name for name in sys.modules if name.startswith('odernn.analysis')))"
RUNS = 3
LIMIT = 0.2


def test_it_costs_at_most_a_fifth_of_a_second(repository: Path) -> None:
    """In the processor's time, which leaves out the waiting for a busy machine; a run before fills the caches.

    A full pass of the garbage collector over torch's objects takes 80 ms, and one falls due some time after torch was
    imported, in our import or in what follows, by the number of objects made so far: it is left out.
    """
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run(command, cwd=repository, capture_output=True, check=True)
    outputs = [
        subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(RUNS)
    ]
    assert median(float(output[0]) for output in outputs) <= LIMIT, outputs
    assert all(output[1:] == [] for output in outputs), "a wrapped package is imported before anyone asks for it"


def test_the_analysis_is_imported_by_name_only(repository: Path) -> None:
    command = [sys.executable, "-c", WITHOUT]
    output = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
    assert output.strip() == ""
