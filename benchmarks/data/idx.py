"""The idx format: a magic number, the dimensions, then an array of bytes with its last index fastest.

Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, "the IDX file format". All numbers are big-endian; the
magic number is two zero bytes, the type (0x08 for unsigned bytes) and the number of dimensions.
"""

import math
import struct
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from benchmarks.data.errors import DataFileError

UNSIGNED_BYTE = 0x08


def parse_idx(content: bytes, *, path: Path, shape: tuple[int, ...]) -> UInt8[Tensor, "count ..."]:
    """The array in the `content` of an idx file of unsigned bytes.

    Args:
        content: the uncompressed file, whole.
        path: where it came from, for the errors.
        shape: the published shape. The first dimension is a maximum (a part of the data set is a sound file, whose
            checksum then tells that it is not the whole), the others must agree.

    Raises:
        DataFileError: wrong magic number, type, rank or dimensions, or a payload that is too short or too long.
    """
    _check_magic(content, path, rank=len(shape))
    found = _dimensions(content, path, rank=len(shape))
    _check_dimensions(found, path, shape)
    payload = bytearray(content[4 + 4 * len(shape) :])
    wanted = math.prod(found)
    if len(payload) != wanted:
        fault = "is truncated" if len(payload) < wanted else "continues after its array"
        raise DataFileError.about(path, f"it {fault}: {len(payload):,} bytes where {found} asks for {wanted:,}")
    return torch.frombuffer(payload, dtype=torch.uint8).reshape(found)


def _check_magic(content: bytes, path: Path, rank: int) -> None:
    magic, wanted = content[:4], bytes([0, 0, UNSIGNED_BYTE, rank])
    if magic == wanted:
        return
    if len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] == UNSIGNED_BYTE:
        raise DataFileError.about(path, f"its array has {magic[3]} dimensions, {rank} were wanted")
    if len(magic) == 4 and magic[:2] == b"\0\0":
        raise DataFileError.about(path, f"its numbers are of type {magic[2]:#04x}, unsigned bytes (0x08) were wanted")
    raise DataFileError.about(
        path, f"it is not an idx file: it begins with {magic.hex(' ') or 'nothing'}, not {wanted.hex(' ')}"
    )


def _dimensions(content: bytes, path: Path, rank: int) -> tuple[int, ...]:
    header = content[4 : 4 + 4 * rank]
    if len(header) < 4 * rank:
        raise DataFileError.about(path, f"it is truncated: it ends inside its header, after {len(content)} bytes")
    return struct.unpack(f">{rank}I", header)


def _check_dimensions(found: tuple[int, ...], path: Path, shape: tuple[int, ...]) -> None:
    if found[1:] != shape[1:] or not 1 <= found[0] <= shape[0]:
        raise DataFileError.about(path, f"its array has shape {found}, {shape} (or fewer samples) was wanted")
