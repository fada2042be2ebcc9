"""Compile a kernel for a card that need not be there, and read what it takes."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.budgets.kernels import Kernel
from benchmarks.support.errors import UserError
from odernn.engines.triton.programs import compile_options


@dataclass(frozen=True)
class Budget:
    """What a compiled kernel takes.

    Attributes:
        kernel: which one.
        architecture: of the card.
        fingerprint: of the text that was compiled.
        registers: a thread.
        stack: bytes a thread that lie in memory in place of registers.
        shared: kilobytes of shared memory a block.
        tensor_cores: instructions of the tensor cores in the program.
    """

    kernel: Kernel
    architecture: int
    fingerprint: str
    registers: int
    stack: int
    shared: int
    tensor_cores: int


def measure(kernel: Kernel, architecture: int) -> Budget:
    """The budget of a kernel.

    Raises:
        UserError: Triton or its disassembler is not there.
    """
    cubin, shared = _compile(kernel, architecture)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = _cuobjdump("--dump-resource-usage", file.name)
        assembly = _cuobjdump("-sass", file.name)
    found = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    assert found is not None, usage
    tensor_cores = len(re.findall(r"\b(?:UTC)?H?G?MMA\b", assembly))
    return Budget(
        kernel, architecture, kernel.fingerprint, int(found[1]), int(found[2]), -(-shared // 1024), tensor_cores
    )


def _compile(kernel: Kernel, architecture: int) -> tuple[bytes, int]:
    try:
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource
    except ModuleNotFoundError as error:
        raise UserError("the kernels are compiled by Triton, which is not installed: pip install triton") from error
    function, absent = kernel.compiled, kernel.absent()
    signature: dict[str, str] = {}
    numbers = {"length": "i32", "batch": "i32", "intervals": "i32", "each": "i32", "dt": "fp32"}
    numbers |= {"lengths": "*i32", "arrived": "*i32"}
    if kernel.layout.meets and kernel.precision == "bf16":
        numbers |= {"scratch": "*bf16"} | ({"weight": "*bf16"} if kernel.is_streamed else {})
    for name in function.arg_names:
        signature[name] = "constexpr" if name in absent else numbers.get(name, "*fp32")
    aligned: dict[Any, Any] = {
        (place,): [["tt.divisibility", 16]] for place, name in enumerate(signature) if signature[name][0] == "*"
    }
    made = triton.compile(
        ASTSource(function, signature, dict.fromkeys(absent), aligned),
        target=GPUTarget("cuda", architecture, 32),
        options=compile_options(kernel.layout),
    )
    return made.asm["cubin"], made.metadata.shared


def _cuobjdump(*arguments: str) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    try:
        return subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout
    except OSError as error:
        raise UserError(f"Triton's disassembler cannot be run: {error}") from error
