"""Terminals that are not what one would wish: of another encoding, or closed."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def encode_what_it_can(*streams: TextIO) -> None:
    """Lets streams write a question mark for a character that their encoding does not have, instead of an error."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def abandon_stdout() -> None:
    """Sends what is still to be written to a closed pipe nowhere: Python flushes it at its end, which would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
