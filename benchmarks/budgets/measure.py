"""Compile a kernel for a card that need not be there, and read what it takes."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Set
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
    types = {"length": "i32", "batch": "i32", "intervals": "i32", "each": "i32", "dt": "fp32"}
    types |= {"lengths": "*i32", "arrived": "*i32"}
    if kernel.layout.meets and kernel.precision == "bf16":
        types |= {"scratch": "*bf16"} | ({"weight": "*bf16"} if kernel.is_streamed else {})
    cubin, shared = compiled_for(architecture, kernel.compiled, kernel.absent(), types, compile_options(kernel.layout))
    registers, stack = usage_of(cubin)
    tensor_cores = len(re.findall(r"\b(?:UTC)?H?G?MMA\b", _cuobjdump(cubin, "-sass")))
    return Budget(kernel, architecture, kernel.fingerprint, registers, stack, -(-shared // 1024), tensor_cores)


def usage_of(cubin: bytes) -> tuple[int, int]:
    """Registers a thread of compiled code, and bytes a thread that lie in memory in place of registers."""
    text = _cuobjdump(cubin, "--dump-resource-usage")
    found = re.search(r"REG:(\d+) STACK:(\d+)", text)
    assert found is not None, text
    return int(found[1]), int(found[2])


def compiled_for(
    architecture: int, function: Any, absent: Set[str], types: Mapping[str, str], options: Mapping[str, Any]
) -> tuple[bytes, int]:
    """The code of a Triton function for a card, and the bytes of shared memory that it takes.

    Args:
        architecture: of the card.
        function: as Triton has it.
        absent: its arguments that are None.
        types: of its arguments by name, as Triton writes them; the others point to float32, as aligned as tensors are.
        options: of the compiler.

    Raises:
        UserError: Triton is not there.
    """
    try:
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource
    except ModuleNotFoundError as error:
        raise UserError("the kernels are compiled by Triton, which is not installed: pip install triton") from error
    signature = {name: "constexpr" if name in absent else types.get(name, "*fp32") for name in function.arg_names}
    aligned: dict[Any, Any] = {
        (place,): [["tt.divisibility", 16]] for place, name in enumerate(signature) if signature[name][0] == "*"
    }
    made = triton.compile(
        ASTSource(function, signature, dict.fromkeys(absent), aligned),
        target=GPUTarget("cuda", architecture, 32),
        options=dict(options),
    )
    return made.asm["cubin"], made.metadata.shared


def _cuobjdump(cubin: bytes, what: str) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        try:
            return subprocess.run([tool, what, file.name], capture_output=True, text=True, check=True).stdout
        except OSError as error:
            raise UserError(f"Triton's disassembler cannot be run: {error}") from error
