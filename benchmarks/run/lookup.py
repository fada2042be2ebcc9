"""What a command is asked to look at: the folder of a run, or a run by its name."""

from __future__ import annotations

from pathlib import Path

from benchmarks.run.folder import RunFolder
from benchmarks.settings.names import all_runs, list_runs
from benchmarks.support.errors import UserError, nearest


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
        if RunFolder(folder).config.exists():
            return folder
        raise UserError(
            f"`run` is {text!r}, and there is no trained run in {folder}; train it first (`python -m benchmarks train "
            f"{text}`), or name another folder with `--out`{otherwise}"
        )
    raise UserError(
        f"`run` is {text!r}, which is neither a folder nor the name of a run{nearest(text, names)}; the runs are\n"
        + list_runs(text)
    )
