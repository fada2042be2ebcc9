"""How lightning's checkpoints reach the disk and come back."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric.plugins import CheckpointIO

from benchmarks.support.atomic import write_atomically
from benchmarks.support.errors import UserError

# What torch's reader of plain values raises for bytes that are none, some of it by accident.
DAMAGED = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, pickle.UnpicklingError)


class AtomicCheckpointIO(CheckpointIO):
    """Checkpoints that are whole at any moment, and are read as data, never as code.

    lightning's own way also writes beside and renames, but waits for no disk; and it reads pickles unless told not to.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        # torch turns an error of the stream that it writes to, as on a full disk, into one of its own.
        whole = io.BytesIO()
        torch.save(checkpoint, whole)
        write_atomically(Path(path), lambda stream: [stream.write(whole.getbuffer())].clear())

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """What `save_checkpoint` wrote.

        Raises:
            UserError: it is damaged, or holds more than tensors and plain values.
        """
        try:
            return cast(dict[str, Any], torch.load(path, map_location="cpu", weights_only=True))
        except DAMAGED as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"the checkpoint {path} cannot be read ({reason}); start again with `--overwrite`"
            ) from error

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)
