"""What a command is asked to look at: the folder of a run, or a run by its name."""

from __future__ import annotations

import difflib
from pathlib import Path

from benchmarks.settings.names import all_runs, list_runs
from benchmarks.support.errors import UserError


def folder_of(text: str, out: Path, seed: int, otherwise: str = "") -> Path:
    """The folder of the run `text`: itself, or where a run of this name and seed lies beneath `out`.

    Args:
        text: a folder, or <task>/<row>.
        out: the folder above the run folders.
        seed: of the run, where it is named.
        otherwise: what else a user may do where there is no such run, for the message.

    Raises:
        UserError: it is neither; the message suggests the nearest name.
    """
    if Path(text).is_dir():
        return Path(text)
    names = {str(name): name for name in all_runs()}
    if text in names:
        folder = out / names[text].task / names[text].row / f"seed-{seed}"
        if folder.is_dir():
            return folder
        raise UserError(
            f"`run` is {text!r}, and there is no trained run in {folder}; train it first (`python -m benchmarks train "
            f"{text}`), or name another folder with `--out`{otherwise}"
        )
    near = difflib.get_close_matches(text, names, n=1)
    meant = f"did you mean {near[0]!r}? There are" if near else "the runs are"
    raise UserError(f"`run` is {text!r}, which is neither a folder nor the name of a run; {meant}\n{list_runs()}")
